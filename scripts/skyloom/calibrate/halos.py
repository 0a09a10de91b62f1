"""Light of bright stars beyond their PSF: aureoles, spikes and bleeds, by the reference catalogue, masked HALO."""

import logging
from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.footprints import grow_mask
from skyloom.algorithms.regions import connected_regions
from skyloom.algorithms.robust import MEDIAN_ERROR, finite_median, mad_sigma
from skyloom.core import mask_planes
from skyloom.core.psf import FWHM_PER_SIGMA, effective_area

log = logging.getLogger(__name__)

UNUSABLE = mask_planes.bits("BAD", "SAT", "NO_DATA", "CR", "STREAK")
NOT_SKY = UNUSABLE | mask_planes.DETECTED

N_STAR = 30
"""Brightest stars that the profile is measured on."""
MIN_STARS = 3
N_ANNULUS, MIN_ANNULI = 6, 4
PROFILE_REACH = 4.0
"""The profile is measured from the edge of the PSF's image to this many times that radius."""
LEAST_PIXELS = 0.5
"""Part of an annulus, or of a direction, that must be usable."""
MIN_PROFILE_SIGMA = 3.0
"""Standard error of a median over that of a mean."""
N_ANGLE = 360
SPIKE_REACH = 8
"""Directions on either side of a spike that it lights up near the star."""
SPIKE_SIGMA = 8.0
"""A direction is a spike's when its light is this far above that of the others [sigma]."""
SPIKE_WIDTH = 1.0
"""Half-width of a spike's mask [FWHM]."""
BLEED_REACH = 3.0
"""Saturated regions this close to a catalogue star are its bleed; their mask grows as much [pixel]."""
MIN_BLEED = 9
"""Saturated regions of fewer pixels have no bleed [pixel]."""

# Every so manieth row and column tells the noise of the sky.
NOISE_STEP = 4


@dataclass(frozen=True, slots=True)
class StrayLight:
    """What a star of flux 1 sheds at a distance of 1 pixel; at r it is 1 / r^2 of that.

    Attributes
    ----------
    aureole : float
        Surface brightness in all directions [1/pixel]; 0 where none is seen.
    spikes : ndarray, shape (n,), float64
        Surface brightness of each spike above the aureole [1/pixel].
    angles : ndarray, shape (n,), float64
        Their directions from the x axis [radian].
    """

    aureole: float
    spikes: np.ndarray
    angles: np.ndarray


def mask_halos_in_place(pixels, stars, psf, settings):
    """Set HALO where bright stars shed light beyond the PSF's image.

    Parameters
    ----------
    pixels : MaskedImage
        Background subtracted. Its mask is changed.
    stars : tuple of ndarray, shape (n,), float
        x, y [pixel] and flux [unit of the image] of the catalogue's stars, on and around the image; NaN where
        it is not known.
    psf : Psf
        Its image's size is where the halo begins.
    settings : dict
        ``level``: surface brightness where a mask ends [noise of a sky pixel]; ``max_radius``: its farthest reach
        from a star [pixel].

    Notes
    -----
    Aureoles and spikes fall with the square of the distance (King 1971), so one number each, measured on this image's
    own stars, gives the radius ``sqrt(aureole x flux / (level x noise))``. What the background took is not masked.
    """
    x, y, flux = stars
    placed = np.isfinite(x) & np.isfinite(y)
    # A star whose flux the catalogue does not tell may bleed all the same.
    is_halo = _bleeds(pixels, x[placed], y[placed])
    bright = placed & np.isfinite(flux) & (flux > 0)
    x, y, flux = (values[bright] for values in (x, y, flux))
    inner = psf.size / 2.0
    noise = _sky_noise(pixels)
    light = measure_stray_light(pixels, (x, y, flux), inner)
    fwhm = _fwhm(psf, pixels.shape)
    for height, angle in ((light.aureole, None), *zip(light.spikes, light.angles, strict=True)):
        reach = np.sqrt(height * flux / (settings["level"] * noise))
        for star in np.flatnonzero(reach > inner):
            place, end = (x[star], y[star]), min(reach[star], settings["max_radius"])
            if angle is None:
                _paint_disc_in_place(is_halo, place, end)
            else:
                _paint_spike_in_place(is_halo, (*place, angle), end, SPIKE_WIDTH * fwhm)
    if light.aureole > 0 or len(light.spikes):
        log.info("aureole %.2g / r^2 of a star, %d spikes", light.aureole, len(light.spikes))
    np.bitwise_or(pixels.mask, mask_planes.HALO, out=pixels.mask, where=is_halo)


def measure_stray_light(pixels, stars, inner):
    """Aureole and spikes of the brightest stars of an image.

    Parameters
    ----------
    pixels : MaskedImage
        Background subtracted.
    stars : tuple of ndarray, shape (n,), float
        x, y [pixel] and flux [unit of the image].
    inner : float
        Distance from which on the PSF holds no more [pixel].

    Returns
    -------
    StrayLight
        Medians over the stars; nothing where fewer than 3 stars can be measured.
    """
    x, y, flux = stars
    ny, nx = pixels.shape
    inside = (x > 0) & (x < nx - 1) & (y > 0) & (y < ny - 1)
    chosen = np.flatnonzero(inside)
    chosen = chosen[np.argsort(-flux[chosen])][:N_STAR]
    radii = np.arange(np.ceil(inner), PROFILE_REACH * inner)
    angles = (np.arange(N_ANGLE) + 0.5) * 2 * np.pi / N_ANGLE
    maps = [_polar_map(pixels, x[k], y[k], radii, angles) for k in chosen]
    # Light times r^2 over flux: the same at all distances, for all stars.
    directions = np.array(
        [_directions(m * radii[:, None] ** 2 / flux[k]) for m, k in zip(maps, chosen, strict=True)]
    ).reshape(len(chosen), N_ANGLE)
    spikes, places = _spikes(directions, flux[chosen])
    for place in places:
        beside = np.arange(int(place) - SPIKE_REACH, int(place) + SPIKE_REACH + 1) % N_ANGLE
        for light in maps:
            light[:, beside] = np.nan
    aureoles = np.array([_aureole(light, radii) for light in maps]) / flux[chosen]
    aureole, error = _weighted_median(aureoles, flux[chosen])
    is_seen = np.isfinite(aureole) and aureole > MIN_PROFILE_SIGMA * error
    return StrayLight(aureole if is_seen else 0.0, spikes, (places + 0.5) * 2 * np.pi / N_ANGLE)


def _weighted_median(values, flux):
    """Median of the stars' values, weighted by flux squared as their noise goes, and its standard error.

    No star has more weight than the third brightest; both are NaN where fewer than 3 have a value.
    """
    known = np.isfinite(values)
    values, flux = values[known], flux[known]
    if len(values) < MIN_STARS:
        return np.nan, np.nan
    weights = np.minimum(flux, np.sort(flux)[-MIN_STARS]) ** 2
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    median = values[order][np.searchsorted(reached, 0.5)]
    error = MEDIAN_ERROR * np.sqrt(np.sum((weights * (values - median)) ** 2)) / weights.sum()
    return float(median), float(error)


def _sky_noise(pixels):
    """Noise of a pixel without objects, from a sample of them."""
    variance, mask = (plane[::NOISE_STEP, ::NOISE_STEP] for plane in (pixels.variance, pixels.mask))
    is_sky = (mask & NOT_SKY) == 0
    return float(np.sqrt(np.median(variance[is_sky] if is_sky.any() else variance)))


def _fwhm(psf, shape):
    """FWHM of the PSF at the image's middle, from its noise-equivalent area as of a Gaussian [pixel]."""
    kernel = psf.kernel_at((shape[1] - 1) / 2, (shape[0] - 1) / 2)
    return FWHM_PER_SIGMA * float(np.sqrt(effective_area(kernel) / (4 * np.pi)))


def _polar_map(pixels, x, y, radii, angles):
    """Values around a star, shape (radii, angles); NaN where a pixel cannot be used."""
    ny, nx = pixels.shape
    column = np.rint(x + radii[:, None] * np.cos(angles)).astype(np.int64)
    row = np.rint(y + radii[:, None] * np.sin(angles)).astype(np.int64)
    inside = (column >= 0) & (column < nx) & (row >= 0) & (row < ny)
    row, column = np.clip(row, 0, ny - 1), np.clip(column, 0, nx - 1)
    inside &= (pixels.mask[row, column] & UNUSABLE) == 0
    return np.where(inside, pixels.image[row, column], np.nan).astype(np.float64)


def _aureole(light, radii):
    """Aureole of a star at a distance of 1 pixel, above an even light of other things; NaN where little is known."""
    places, medians, weights = [], [], []
    for part in np.array_split(np.arange(len(radii)), N_ANNULUS):
        values = light[part][np.isfinite(light[part])]
        if values.size > LEAST_PIXELS * light[part].size:
            places.append(np.mean(radii[part]) ** -2.0)
            medians.append(np.median(values))
            # Pixels that the annulus has: its median's inverse variance.
            weights.append(np.mean(radii[part]))
    if len(places) < MIN_ANNULI:
        return np.nan
    return np.polyfit(places, medians, 1, w=np.sqrt(weights))[0]


def _directions(light):
    """Median over the distances of what each direction has above the others; NaN where too little is known."""
    above = np.full(light.shape, np.nan)
    for number, ring in enumerate(light):
        known = np.isfinite(ring)
        if np.count_nonzero(known) > LEAST_PIXELS * len(ring):
            above[number] = ring - np.median(ring[known])
    return finite_median(above, least=int(LEAST_PIXELS * len(above)) + 1)


def _spikes(directions, flux):
    """Height and place [bins of the angle] of the peaks of the stars' directions that stand out, one a peak."""
    profile = np.nan_to_num([_weighted_median(values, flux)[0] for values in directions.T])
    limit = SPIKE_SIGMA * mad_sigma(profile)
    heights, places = [], []
    left = profile.copy()
    while limit > 0 and left.max() > limit:
        place = int(np.argmax(left))
        beside = np.arange(place - SPIKE_REACH, place + SPIKE_REACH + 1)
        light = np.maximum(left[beside % N_ANGLE], 0)
        heights.append(profile[place])
        places.append(np.sum(light * beside) / light.sum())
        left[beside % N_ANGLE] = 0.0
    return np.array(heights), np.array(places)


def _bleeds(pixels, x, y):
    """Saturated regions of catalogue stars, grown."""
    ny, nx = pixels.shape
    regions = connected_regions(pixels.is_masked(mask_planes.SAT))
    is_bleeding = np.zeros(pixels.shape, dtype=bool)
    if regions.n == 0:
        return is_bleeding
    inside = (x > -0.5) & (x < nx - 0.5) & (y > -0.5) & (y < ny - 0.5)
    is_star = np.zeros(pixels.shape, dtype=bool)
    is_star[np.rint(y[inside]).astype(np.int64), np.rint(x[inside]).astype(np.int64)] = True
    of_star = np.zeros(regions.n, dtype=bool)
    of_star[regions.region[grow_mask(is_star, BLEED_REACH).flat[regions.places]]] = True
    of_star &= regions.sizes >= MIN_BLEED
    is_bleeding.flat[regions.places[of_star[regions.region]]] = True
    return grow_mask(is_bleeding, BLEED_REACH)


def _paint_disc_in_place(is_halo, centre, radius):
    """Set the pixels within a radius."""
    x, y = centre
    window = _window(is_halo.shape, centre, radius)
    rows, columns = np.ogrid[window]
    is_halo[window] |= (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def _paint_spike_in_place(is_halo, line, length, half_width):
    """Set the pixels of a spike: x, y of its star and its angle."""
    x, y, angle = line
    window = _window(is_halo.shape, (x, y), length)
    rows, columns = np.ogrid[window]
    along = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
    across = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
    is_halo[window] |= (along >= 0) & (along <= length) & (np.abs(across) <= half_width)


def _window(shape, centre, reach):
    """Part of an image within a square about a point; empty where they do not meet."""
    return tuple(
        slice(min(max(int(np.floor(c - reach)), 0), n), min(max(int(np.ceil(c + reach)) + 1, 0), n))
        for c, n in zip(centre[::-1], shape, strict=True)
    )
