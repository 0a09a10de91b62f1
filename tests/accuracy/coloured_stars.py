"""A detector whose stars are smeared, blurred and moved by the air in proportion to their colour."""

from types import SimpleNamespace

import numpy as np

from skyloom.algorithms.moments import kernel_moments
from skyloom.core.images import Exposure, ExposureInfo
from skyloom.core.reference import ReferenceStars
from skyloom.core.wcs import Wcs

SIZE, MARGIN, HALF = 700, 20, 20
ZERO_POINT, REFERENCE_ERROR_ARCSEC = 5.0, 0.003
MEAN_COLOUR, SPREAD = 0.7, 0.4
FWHM, VARIATION = 3.6, 0.08
# In g at an airmass of 1.7 of 0.2 arcsec pixels: variance along the zenith [pixel^2], its change per mag, and that of
# the seeing (wavelength^-0.2, 9 nm of 480) and of the place [pixel].
SMEAR, SMEAR_SLOPE, SEEING_SLOPE, SHIFT_SLOPE = 0.55, -0.06, -0.004, -0.25
ZENITH = np.array([np.cos(0.5), np.sin(0.5)])


def stamps(stars, x, y, colour, change, place=None):
    """Images of flux 1 of stars at places and of colours, centred as said within the middle pixel."""
    place = np.zeros((len(x), 2)) if place is None else place
    offset = change * (np.asarray(colour) - MEAN_COLOUR)
    fwhm = FWHM * (1 + VARIATION * (np.asarray(x) / SIZE - 0.5)) * (1 + SEEING_SLOPE * offset)
    found = []
    for centre, width, tint in zip(place, fwhm, offset, strict=True):
        # Two points at a distance have the variance of the smear.
        step = np.sqrt(SMEAR + SMEAR_SLOPE * tint) * ZENITH
        pair = [stars.moffat(*(centre + sign * step), width, HALF) for sign in (-1, 1)]
        found.append((pair[0] + pair[1]) / 2)
    return np.stack(found)


def true_moments(stars, x, y, colour, change):
    """T and e1, e2 of the PSF of stars of some colours, shape (n,) each."""
    found = kernel_moments(stamps(stars, x, y, colour, change))
    size = found.ixx + found.iyy
    return size, (found.ixx - found.iyy) / size, 2 * found.ixy / size


def coloured_scene(stars, seed, change=1.0, n=144):
    """Exposure, references with colours, predicted WCS and truth; `change` scales what depends on colour."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(n)))
    grid = MARGIN + (np.arange(side) + 0.5) * (SIZE - 2 * MARGIN) / side
    x, y = (places.ravel()[:n] + rng.uniform(-8, 8, n) for places in np.meshgrid(grid, grid))
    flux = np.exp(rng.uniform(np.log(1.5e4), np.log(3e5), n))
    colour = rng.normal(MEAN_COLOUR, SPREAD, n)
    wcs = Wcs(
        *(np.array([150.0, 2.2]), np.full(2, (SIZE - 1) / 2)),
        np.array([[-0.2, 0.0], [0.0, 0.2]]) / 3600,
        shape=(SIZE, SIZE),
    )
    ra, dec = wcs.pixel_to_sky(x, y)
    shift = change * SHIFT_SLOPE * (colour - MEAN_COLOUR)
    x, y = x + shift * ZENITH[0], y + shift * ZENITH[1]
    light = np.zeros((SIZE, SIZE))
    middle = np.rint(np.column_stack([x, y])).astype(int)
    images = stamps(stars, x, y, colour, change, np.column_stack([x, y]) - middle)
    for (column, row), image, amount in zip(middle, images, flux, strict=True):
        light[row - HALF : row + HALF + 1, column - HALF : column + HALF + 1] += amount * image
    error = np.full(n, REFERENCE_ERROR_ARCSEC)
    place_error = rng.normal(0, REFERENCE_ERROR_ARCSEC / 3600, (2, n))
    references = ReferenceStars(
        *(np.arange(n), ra + place_error[0], dec + place_error[1], error, error),
        *(ZERO_POINT * flux * (1 + rng.normal(0, 0.005, n)), ZERO_POINT * flux * 0.005),
        colour + rng.normal(0, 0.02, n),
        "flux_g - flux_i",
    )
    return SimpleNamespace(
        exposure=Exposure(
            stars.observed(light + 300, rng, sky=0.0),
            ExposureInfo(visit=12, detector=3, band="g", pointing_uncertainty=30.0),
        ),
        references=references,
        predicted=Wcs(wcs.crval + 10 / 3600, wcs.crpix, wcs.cd, shape=wcs.shape),
        **{"wcs": wcs, "x": x, "y": y, "flux": flux, "colour": colour, "change": change},
        rng=np.random.default_rng(seed),
    )
