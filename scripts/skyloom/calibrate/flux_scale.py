"""Put a detector's pixels and measured columns on the sky and on the scale of nJy."""

from dataclasses import replace

import numpy as np

from skyloom.algorithms.apertures import APERTURE_FLUXES
from skyloom.core.images import pixels_at, strips

CORRECTED = ("psfFlux", "uniformPsfFlux", "gaussianFlux")
"""Fluxes that the aperture correction turns into those of the large aperture."""
FLUXES = (*CORRECTED, "kronFlux", "calibFlux", *APERTURE_FLUXES)


def apply_aperture_correction(columns, ap_corr):
    """Columns with PSF and Gaussian fluxes corrected to the large aperture.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (n,)
        From `measure_sources`.
    ap_corr : FieldPolynomial
        Aperture flux over PSF flux.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        The columns that change or are new; the correction's own error, common to all sources, is not in
        ``psfFluxErr`` but stands in ``psfFlux_apCorrErr``.
    """
    correction = ap_corr.evaluate(columns["x"], columns["y"])
    return {
        **{key: columns[key] * correction for name in CORRECTED for key in (name, f"{name}Err")},
        "psfFlux_apCorr": correction,
        "psfFlux_apCorrErr": ap_corr.error(columns["x"], columns["y"]),
    }


def calibrate_fluxes(columns, background, photo_calib):
    """Flux columns in nJy.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (n,)
        Measured columns [electron].
    background : Background
        The sky that was subtracted [electron].
    photo_calib : FieldPolynomial
        Zero point [nJy/electron].

    Returns
    -------
    dict of str to ndarray, shape (n,)
        The columns in units of flux, and ``sky``: the sky's brightness at each source [nJy/pixel].
    """
    scale = photo_calib.evaluate(columns["x"], columns["y"])
    scaled = {key: columns[key] * scale for name in FLUXES for key in (name, f"{name}Err")}
    scaled |= {name: columns[name] * scale for name in ("localBackground", "skyErr")}
    scaled["variance_value"] = columns["variance_value"] * scale**2
    level = background.image()
    return scaled | {"sky": level[pixels_at(columns["x"], columns["y"], level.shape)] * scale}


def sky_columns(columns, wcs):
    """Sky positions and their errors.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (n,)
        With x, y [pixel], their errors and ``xyCov``.
    wcs : Wcs
        The detector's WCS.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        ``ra, dec`` [degree]; ``raErr, decErr`` [degree] and ``ra_dec_Cov`` [degree^2], those of right
        ascension multiplied by cos(dec).
    """
    x, y = columns["x"], columns["y"]
    ra, dec = wcs.pixel_to_sky(x, y)
    jacobian = wcs.jacobian(x, y)
    covariance = np.array(
        [[columns["xErr"] ** 2, columns["xyCov"]], [columns["xyCov"], columns["yErr"] ** 2]], dtype=np.float64
    )
    on_sky = np.einsum("ian,abn,jbn->ijn", jacobian, covariance, jacobian)
    return {
        "ra": ra,
        "dec": dec,
        "raErr": np.sqrt(on_sky[0, 0]),
        "decErr": np.sqrt(on_sky[1, 1]),
        "ra_dec_Cov": on_sky[0, 1],
    }


def scale_in_place(pixels, photo_calib):
    """Turn pixels into nJy.

    Parameters
    ----------
    pixels : MaskedImage
        In electron; image and variance are changed.
    photo_calib : FieldPolynomial
        Zero point [nJy/electron].
    """
    ny, nx = pixels.shape
    for part in strips(ny):
        scale = photo_calib.rows(part, nx).astype(np.float32)
        pixels.image[part] *= scale
        pixels.variance[part] *= np.square(scale, out=scale)


def scale_background(background, photo_calib):
    """Background in nJy.

    Parameters
    ----------
    background : Background
        In electron.
    photo_calib : FieldPolynomial
        Zero point [nJy/electron]; taken at the centres of the mesh, which it must not vary within.

    Returns
    -------
    Background
        On the same mesh.
    """
    n_y, n_x = background.mesh.shape
    y = (np.arange(n_y) + 0.5) * background.bin_size - 0.5
    x = (np.arange(n_x) + 0.5) * background.bin_size - 0.5
    scale = photo_calib.evaluate(*np.meshgrid(x, y))
    return replace(background, mesh=(background.mesh * scale).astype(np.float32))
