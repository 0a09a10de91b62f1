"""Noise of blank sky in differences and coadds beside what photons and read noise of the truth propagate to."""

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from scipy.interpolate import RectBivariateSpline

from skyloom.algorithms.robust import mad_sigma
from skyloom.core import mask_planes
from skyloom.io.exposures import read_difference, read_exposure

# Pixels whose value is no light of the sky, or that of fewer exposures than lie there.
NOT_SKY = mask_planes.bits(
    "BAD", "SAT", "CR", "INTRP", "NO_DATA", "EDGE", "SAT_TEMPLATE", "CLIPPED", "REJECTED"
)
CELL = 64
LEAST_OBJECTS = 2
BLANK_RADIUS_PIXEL = 9.0
LARGEST_RADIUS_PIXEL = 90.0
# Wings of a star grow slowly with its flux: a Moffat profile of exponent 3.5 falls with r^-7, a galaxy faster.
WING_EXPONENT = 0.2
N_PHASE = 200
# Nodes of the map from a coadd's pixels to an exposure's; between them it is a cubic spline.
MAP_STEP = 50


def blank_pixels(shape, x, y, relative_flux):
    """Pixels away from every true object.

    Parameters
    ----------
    shape : tuple of int
        Shape (ny, nx).
    x, y : ndarray, shape (n,)
        True objects [pixel].
    relative_flux : ndarray, shape (n,)
        Their flux over the noise of a pixel.

    Returns
    -------
    ndarray, shape (ny, nx), bool
        True where no object is near; the wider the brighter it is.
    """
    blank = np.ones(shape, dtype=bool)
    grow = np.maximum(relative_flux / 30, 1.0) ** WING_EXPONENT
    radii = np.minimum(BLANK_RADIUS_PIXEL * grow, LARGEST_RADIUS_PIXEL)
    for px, py, radius in zip(x, y, radii, strict=True):
        x0, x1 = (int(np.clip(px + s * radius, 0, shape[1])) for s in (-1, 1))
        y0, y1 = (int(np.clip(py + s * radius, 0, shape[0])) for s in (-1, 1))
        rows, columns = np.ogrid[y0 : y1 + 1, x0 : x1 + 1]
        blank[y0 : y1 + 1, x0 : x1 + 1] &= (np.hypot(columns - px, rows - py) > radius)[
            : shape[0] - y0, : shape[1] - x0
        ]
    return blank


def scaled_by_cells(pixels, blank, points, power, factor=1.0):
    """Blank pixels over their expected noise, from cells that the same exposures cover as their neighbours.

    A cell that holds the edge of a detector has objects of both sides in itself or beside it.

    Parameters
    ----------
    pixels : MaskedImage
        Image [nJy].
    blank : ndarray, shape (ny, nx), bool
        Pixels without objects.
    points : tuple of ndarray, shape (n,)
        x and y of the objects [pixel].
    power : list of (float, frozenset)
        Expected pixel variance at each object [nJy^2] and what it was made of.
    factor : float or ndarray, shape (ny, nx)
        By which the variance of a pixel is expected to be larger.

    Returns
    -------
    expected, stated : list of ndarray
        Image over the root of the expected variance, and over the root of the variance plane, a cell each.
    """
    good = blank & ~pixels.is_masked(NOT_SKY) & (pixels.variance > 0)
    cell_x, cell_y = (np.floor(p / CELL).astype(int) for p in points)
    factor = np.broadcast_to(factor, pixels.shape)
    expected, stated = [], []
    for row in range(pixels.shape[0] // CELL):
        for col in range(pixels.shape[1] // CELL):
            inside = np.flatnonzero((cell_x == col) & (cell_y == row))
            around = np.flatnonzero((np.abs(cell_x - col) <= 1) & (np.abs(cell_y - row) <= 1))
            if len(inside) < LEAST_OBJECTS or len({power[i][1] for i in around}) > 1:
                continue
            window = np.s_[row * CELL : (row + 1) * CELL, col * CELL : (col + 1) * CELL]
            values = pixels.image[window][good[window]]
            variance = np.median([power[i][0] for i in inside]) * factor[window][good[window]]
            expected.append(values / np.sqrt(variance))
            stated.append(values / np.sqrt(pixels.variance[window][good[window]]))
    return expected, stated


def difference_noise(survey, visit, detector):
    """Noise of a difference over the expected one and over the stated one.

    Parameters
    ----------
    survey : PartSurvey
        The survey.
    visit, detector : int
        The difference.

    Returns
    -------
    expected, stated : float
        1 when the noise is what photons and read noise propagate to, and what the variance plane says.

    Notes
    -----
    A white difference has the science image's power plus the template's: its noise at frequency zero, where neither
    matching nor whitening changes anything.
    """
    pixels = read_difference(survey.product("diff", visit=visit, detector=detector)).exposure.pixels
    rows = survey.truth(visit, detector)
    template = survey.static_power(survey.visits_of(survey.visits[visit]["band"], "template"))
    blank = blank_pixels(pixels.shape, rows["x"], rows["y"], rows["flux"] / np.sqrt(rows["variance"]))
    known = [i for i, key in enumerate(rows["id"].tolist()) if key in template]
    power = [(rows["variance"][i] + template[rows["id"][i]][0], template[rows["id"][i]][1]) for i in known]
    ratios = scaled_by_cells(pixels, blank, (rows["x"][known], rows["y"][known]), power)
    return tuple(scatter(ratio) for ratio in ratios)


def scatter(cells):
    """Robust standard deviation of the pixels of some cells (float).

    Parameters
    ----------
    cells : list of ndarray
        Pixels.
    """
    return float(mad_sigma(np.concatenate(cells)))


def lanczos_variance_at(phase):
    """Pixel variance over noise power after a Lanczos-3 interpolation along one axis (ndarray, shape of `phase`).

    Parameters
    ----------
    phase : ndarray
        Position between two pixels, 0 to 1.
    """
    table_phase = np.arange(N_PHASE + 1) / N_PHASE
    offset = table_phase[:, None] - np.arange(-2, 4)
    weights = np.sinc(offset) * np.sinc(offset / 3)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.interp(phase, table_phase, np.sum(weights**2, axis=1))


def lanczos_variance():
    """Pixel variance over noise power after a Lanczos-3 interpolation, the mean over all sub-pixel phases (float)."""
    return float(np.mean(lanczos_variance_at((np.arange(N_PHASE) + 0.5) / N_PHASE)) ** 2)


def interpolation_factor(survey, band, path):
    """Pixel variance of a deep coadd over the power of the best mean of its exposures.

    It is 1 where a pixel lies on an exposure's pixel and 0.6 in the middle of four, so that the cells of a visit that
    is hardly rotated differ by 5 %; a pixel that covers more of an exposure's has its flux multiplied by the area.

    Parameters
    ----------
    survey : PartSurvey
        The survey.
    band : str
        Band.
    path : Path
        The coadd.

    Returns
    -------
    ndarray, shape (ny, nx), float64
        The factor, from the headers by Astropy's WCS; NaN where no exposure lies.
    """
    header = fits.getheader(path, "IMAGE")
    shape = header["NAXIS2"], header["NAXIS1"]
    total, information = np.zeros(shape), np.zeros(shape)
    for visit in survey.visits_of(band):
        for detector in survey.camera.detectors:
            calexp = fits.getheader(survey.product("calexp", visit=visit, detector=detector), "IMAGE")
            x, y = places_on_exposure(header, calexp)
            (x_y, x_x), (y_y, y_x) = np.gradient(x), np.gradient(y)
            area = np.abs(x_x * y_y - x_y * y_x)
            inside = (x > 0) & (y > 0) & (x < calexp["NAXIS1"] - 1) & (y < calexp["NAXIS2"] - 1)
            weight = inside / np.median(survey.truth(visit, detector)["variance"])
            total += weight * area**2 * lanczos_variance_at(x % 1) * lanczos_variance_at(y % 1)
            information += weight
    return np.divide(total, information, out=np.full(shape, np.nan), where=information > 0)


def places_on_exposure(coadd, calexp):
    """Where the pixels of a coadd lie on an exposure (x, y: two ndarrays of the coadd's shape [pixel]).

    Parameters
    ----------
    coadd, calexp : astropy.io.fits.Header
        Their headers.
    """
    nodes = [
        np.arange(-MAP_STEP, coadd[key] + 2 * MAP_STEP, MAP_STEP, dtype=float) for key in ("NAXIS2", "NAXIS1")
    ]
    y, x = np.meshgrid(*nodes, indexing="ij")
    places = WCS(calexp).all_world2pix(*WCS(coadd).all_pix2world(x, y, 0), 0, quiet=True)
    pixels = np.arange(coadd["NAXIS2"]), np.arange(coadd["NAXIS1"])
    return tuple(RectBivariateSpline(*nodes, place)(*pixels) for place in places)


def coadd_pixels(survey, band, tract, patch):
    """Blank pixels of a deep coadd over their expected noise and over the stated one.

    Parameters
    ----------
    survey : PartSurvey
        The survey.
    band, tract, patch : str, int, str
        The coadd.

    Returns
    -------
    expected, stated : list of ndarray
        A cell each; their `scatter` is 1 when the noise is what photons and read noise propagate to, and what the
        variance plane says.
    """
    path = survey.product("coadd", kind="deep", band=band, tract=tract, patch=patch)
    pixels = read_exposure(path).pixels
    x, y, flux, power, _ = objects_on_coadd(survey, band, path)
    noise = np.sqrt([p[0] for p in power])
    blank = blank_pixels(pixels.shape, x, y, flux / noise)
    return scaled_by_cells(pixels, blank, (x, y), power, interpolation_factor(survey, band, path))


def objects_on_coadd(survey, band, path):
    """True static objects on the pixels of a coadd, placed by Astropy's WCS.

    Parameters
    ----------
    survey : PartSurvey
        The survey.
    band : str
        Band.
    path : Path
        The coadd.

    Returns
    -------
    x, y, flux : ndarray, shape (n,)
        Positions [pixel] and fluxes [nJy].
    power : list of (float, frozenset)
        Noise power of the best mean at each [nJy^2] and its exposures.
    keys : list of int
        Their identifiers.
    """
    visits = survey.visits_of(band)
    power, places = survey.static_power(visits), {}
    for visit in visits:
        for detector in survey.camera.detectors:
            rows = survey.truth(visit, detector)
            names = ("id", "ra", "dec", "flux")
            places |= {key: place for key, *place in zip(*(rows[n].tolist() for n in names), strict=True)}
    header = fits.getheader(path, "IMAGE")
    keys = list(power)
    ra, dec, flux = np.array([places[key] for key in keys]).T
    x, y = WCS(header).all_world2pix(ra, dec, 0)
    on = (x > 0) & (y > 0) & (x < header["NAXIS1"] - 1)
    on &= y < header["NAXIS2"] - 1
    keys = [key for key, inside in zip(keys, on, strict=True) if inside]
    return x[on], y[on], flux[on], [power[key] for key in keys], keys
