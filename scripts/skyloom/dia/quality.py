"""Cuts that tell DIA sources from what pixels and imperfect matching leave, each counted by its name."""

import logging

import numpy as np

log = logging.getLogger(__name__)


def passes_cuts(values, score, usable_fraction, settings):
    """Sources that no cut removes.

    Parameters
    ----------
    values : dict of str to ndarray, shape (n,)
        Columns of the sources.
    score : ndarray, shape (n,), float64
        Detection's signal to noise.
    usable_fraction : ndarray, shape (n,), float64
        Part of sum(P^2) on usable pixels.
    settings : dict
        Section ``dia.cuts``.

    Returns
    -------
    ndarray, shape (n,), bool
        Sources to keep.

    Notes
    -----
    ``unfit``: no fit, or its sign is not that of the peak. ``pixels``: the PSF lies on unusable pixels.
    ``saturated``: within three PSF sizes of a saturated pixel and fainter than the wing of that star, or on
    one. ``faint``: below the threshold once errors of static sources count. ``shape``: chi-squared of the core too
    large for a point source, by more than PSF errors explain. ``dipole``: two lobes.
    """
    flux, error = values["psfFlux"], values["psfFluxErr"]
    fitted = np.isfinite(flux) & np.isfinite(error) & (flux * score > 0)
    cuts = {
        "unfit": ~fitted,
        "pixels": ~(usable_fraction >= settings["minimum_usable_fraction"])
        | values["pixelFlags_nodataCenter"],
        "saturated": _is_wing_of_saturated(values),
        "faint": ~(
            np.abs(np.where(fitted, flux, 0.0)) >= settings["minimum_snr"] * np.where(fitted, error, 1.0)
        ),
        "shape": _is_misshapen(values, settings),
        "dipole": values["isDipole"] & settings["reject_dipoles"],
    }
    rejected = np.zeros(len(flux), dtype=bool)
    for name, cut in cuts.items():
        log.info("cut %s removes %d of %d", name, np.count_nonzero(cut & ~rejected), len(flux))
        rejected |= cut
    return ~rejected


def _is_wing_of_saturated(values):
    """Return sources on saturated pixels, or near them and fainter than the static light below."""
    centre = values["pixelFlags_saturatedCenter"] | values["pixelFlags_sat_templateCenter"]
    near = values["pixelFlags_saturated"] | values["pixelFlags_sat_template"]
    return centre | (near & ~(np.abs(values["psfFlux"]) > np.abs(values["templateFlux"])))


def _is_misshapen(values, settings):
    """Return sources whose residuals exceed both the noise and what a slightly wrong PSF leaves of a strong one."""
    n_data = np.maximum(values["psfNdata"], 1)
    noise = settings["chi2_sigma"] * np.sqrt(2.0 / n_data)
    beyond_noise = values["psfChi2"] > n_data * (settings["maximum_chi2"] + noise)
    # NaN for a failed fit, which another cut removes.
    power = (values["psfFlux"] / values["psfFluxErr"]) ** 2
    return beyond_noise & (values["psfChi2"] - n_data > settings["maximum_unexplained"] * power)
