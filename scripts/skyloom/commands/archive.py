"""What people ask of a finished output root, in a notebook: a product, a cut-out of the sky, a light curve."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from skyloom.core.errors import ConfigError, SkyloomError, UpstreamFailure
from skyloom.core.images import MaskedImage
from skyloom.core.tables import column, without_sky_objects
from skyloom.core.wcs import tan_project
from skyloom.io import products
from skyloom.io.exposures import read_exposure, wcs_from_header
from skyloom.io.tables import read_table
from skyloom.workflow.paths import PATTERNS, product_path

DEFAULT_ROOT = "results"
MATCH_RADIUS_ARCSEC = 0.5
LIGHT_CURVE_COLUMNS = ("visit", "detector", "band", "ra", "dec", "psfFlux", "psfFluxErr")
CORNERS = ("llc", "lrc", "urc", "ulc")


class UnknownProductError(ConfigError):
    """A product's name or data id that the archive cannot turn into a path.

    Parameters
    ----------
    what : str
        What was asked for.
    problem : str
        What is missing or unknown.
    """

    def __init__(self, what, problem):
        super().__init__(f"{what}: {problem}")
        self.what, self.problem = what, problem


class NothingThereError(SkyloomError):
    """No image of the archive holds a position.

    Parameters
    ----------
    ra, dec : float
        The position [degree].
    where : str
        The images that were looked at.
    """

    def __init__(self, ra, dec, where):
        super().__init__(f"no image among {where} holds ra {ra:.6f}, dec {dec:.6f}")
        self.ra, self.dec, self.where = ra, dec, where


def open_product(product, root=DEFAULT_ROOT, **data_id):
    """Open a product by its path, or by its name and data id.

    Parameters
    ----------
    product : str or Path
        A file that Skyloom wrote, or a product's name such as ``calexp``.
    root : str or Path
        Output root; for a name.
    **data_id : str or int
        What the product is of: visit, detector, tract, patch, band, kind.

    Returns
    -------
    Exposure, DifferenceImage or pandas.DataFrame
        A calexp, warp or coadd; a difference with its template and kernel; a table, whose ``attrs`` hold unit and
        description of each column.

    Raises
    ------
    UnknownProductError
        If there is no product of that name, or its data id is not complete.
    UpstreamFailure
        If the file is a tombstone: the message says why there is no product.
    CorruptProductError
        If a byte was changed, or the file is no product of Skyloom's.
    """
    if product not in PATTERNS:
        if data_id or Path(product).suffix not in (".fits", ".parquet"):
            raise UnknownProductError(str(product), f"no such product; there are {', '.join(PATTERNS)}")
        return products.open_product(product)
    try:
        path = product_path(root, product, **data_id)
    except KeyError as missing:
        raise UnknownProductError(
            product, f"needs {missing.args[0]}: its path is {PATTERNS[product]}"
        ) from None
    return products.open_product(path)


def cutout(position, size, band, kind="deep", root=DEFAULT_ROOT):
    """Cut a square about a position out of the coadd that holds most of it.

    Parameters
    ----------
    position : tuple of float
        (ra, dec) [degree, ICRS].
    size : float
        Side of the square [arcsec].
    band, kind : str
        Band and kind of the coadd.
    root : str or Path
        Output root.

    Returns
    -------
    Exposure
        On the coadd's pixels, smaller at a patch's edge, with its WCS and PSF.

    Raises
    ------
    NothingThereError
        If no coadd holds the position.
    """
    from astropy.io import fits

    ra, dec = position
    found = []
    pattern = product_path("", "coadd", kind=kind, band=band, tract="*", patch="*").lstrip("/")
    for path in sorted(Path(root).glob(pattern)):
        header = fits.getheader(path)
        if header.get("STATUS") != "OK":
            continue
        header = fits.getheader(path, "IMAGE")
        wcs = wcs_from_header(header, (header["NAXIS2"], header["NAXIS1"]))
        window = _window(wcs, ra, dec, size)
        if window is not None:
            found.append((_area(window), path, window))
    if not found:
        raise NothingThereError(ra, dec, Path(root) / pattern)
    _, path, window = max(found, key=lambda item: item[0])
    return crop(read_exposure(path), window)


def crop(exposure, window):
    """Part of an exposure, with the WCS, PSF and calibrations of that part.

    Parameters
    ----------
    exposure : Exposure
        The whole.
    window : tuple of slice
        Rows and columns.

    Returns
    -------
    Exposure
        Its planes are copies; the background, which is a mesh of the whole image, is left out.
    """
    rows, columns = window
    pixels = exposure.pixels
    x0, y0 = columns.start, rows.start
    planes = MaskedImage(*(getattr(pixels, name)[window].copy() for name in ("image", "mask", "variance")))
    return replace(
        exposure,
        pixels=planes,
        wcs=exposure.wcs.shifted(x0, y0, planes.shape),
        psf=_shifted(exposure.psf, x0, y0),
        photo_calib=_shifted(exposure.photo_calib, x0, y0),
        ap_corr=_shifted(exposure.ap_corr, x0, y0),
        background=None,
        info=replace(exposure.info, origin=(exposure.info.origin[0] + x0, exposure.info.origin[1] + y0)),
    )


def light_curve(position, radius=MATCH_RADIUS_ARCSEC, product="src", root=DEFAULT_ROOT):
    """Measurements of one object in all visits that hold its position.

    Parameters
    ----------
    position : tuple of float
        (ra, dec) [degree, ICRS].
    radius : float
        The nearest source within it is taken [arcsec].
    product : str
        ``src`` for the sources of the exposures, ``dia_source`` for those of the differences.
    root : str or Path
        Output root.

    Returns
    -------
    pandas.DataFrame
        A row for each visit with a source, in order of time: visit, detector, band, mjd [TAI], ra, dec [degree],
        psfFlux, psfFluxErr [nJy], distance [arcsec].

    Raises
    ------
    NothingThereError
        If no visit holds the position.
    """
    import pandas as pd

    ra, dec = position
    rows, n_image = [], 0
    for path in sorted(Path(root).glob(PATTERNS["visit_summary"].format(visit="*"))):
        summary = read_table(path)
        for number in np.flatnonzero(_holds(summary, ra, dec)):
            n_image += 1
            data_id = {name: int(column(summary, name)[number]) for name in ("visit", "detector")}
            source = _nearest_source(Path(product_path(root, product, **data_id)), ra, dec, radius)
            if source is not None:
                rows.append(source | {"mjd": float(column(summary, "expMidptMJD")[number])})
    if not n_image:
        raise NothingThereError(ra, dec, f"the visits of {root}")
    names = [*LIGHT_CURVE_COLUMNS, "mjd", "distance"]
    return pd.DataFrame(rows, columns=names).sort_values("mjd", ignore_index=True)


def _window(wcs, ra, dec, size):
    """Rows and columns of a square about a position, cut at the image's edge; None when it lies outside."""
    x, y = (float(v[0]) for v in wcs.sky_to_pixel([ra], [dec]))
    ny, nx = wcs.shape
    if not (-0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5):
        return None
    half = 0.5 * size / wcs.pixel_scale()
    return tuple(
        slice(max(round(centre - half), 0), min(round(centre + half) + 1, n))
        for centre, n in ((y, ny), (x, nx))
    )


def _area(window):
    """Pixels of a window."""
    rows, columns = window
    return (rows.stop - rows.start) * (columns.stop - columns.start)


def _shifted(model, x0, y0):
    """A PSF or a field for an array that starts at pixel (x0, y0); None stays None."""
    if model is None:
        return None
    if hasattr(model, "shifted"):
        return model.shifted(x0, y0)
    left, right, bottom, top = model.domain
    return replace(model, domain=(left - x0, right - x0, bottom - y0, top - y0))


def _holds(summary, ra, dec):
    """Detectors of a visit summary whose corners enclose a position, shape (n,), bool."""
    u, v = np.stack(
        [tan_project(column(summary, f"{c}ra"), column(summary, f"{c}dec"), ra, dec) for c in CORNERS],
        axis=1,
    )
    following_u, following_v = np.roll(u, -1, axis=0), np.roll(v, -1, axis=0)
    # The position is the origin of this plane: it lies on the same side of all four edges.
    side = u * following_v - v * following_u
    is_near = np.hypot(u, v).max(axis=0) < 45
    return ((side > 0).all(axis=0) | (side < 0).all(axis=0)) & is_near & (column(summary, "status") == "OK")


def _nearest_source(path, ra, dec, radius):
    """Row (dict) of the nearest source of a table within a radius [arcsec]; None when there is none."""
    if not path.is_file():
        return None
    try:
        table = read_table(path)
    except UpstreamFailure:
        return None
    if "sky_source" in table.column_names:
        table = without_sky_objects(table)
    if table.num_rows == 0:
        return None
    east = (column(table, "ra") - ra + 180) % 360 - 180
    distance = np.hypot(east * np.cos(np.radians(dec)), column(table, "dec") - dec) * 3600
    best = int(np.argmin(distance))
    if not distance[best] <= radius:
        return None
    row = {name: table[name][best].as_py() for name in LIGHT_CURVE_COLUMNS}
    return row | {"distance": float(distance[best])}
