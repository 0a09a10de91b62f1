"""Background, cosmic rays and detection of one detector, with a guessed PSF first and then with its own.

The planes of a large detector are what memory goes into, and making them anew is what time goes into: the passes work
on those that they are given.
"""

import logging
from dataclasses import dataclass, replace

import numpy as np

from skyloom.algorithms.background import NoSkyPixelsError, fit_background
from skyloom.algorithms.cosmic_rays import find_cosmic_rays, repair_cosmic_rays_in_place
from skyloom.algorithms.detection import Detections, DetectionSettings, detect, find_sources
from skyloom.algorithms.excess_noise import threshold_factors
from skyloom.algorithms.footprints import grow_mask
from skyloom.algorithms.interpolation import FilledPixels
from skyloom.algorithms.matched_filter import power_at, significance_image
from skyloom.algorithms.regions import connected_regions
from skyloom.calibrate.companions import add_companions
from skyloom.calibrate.object_masks import object_mask, wing_reach
from skyloom.calibrate.point_sources import SAME_PEAK, fit_point_sources
from skyloom.calibrate.streaks import mask_streaks_in_place
from skyloom.core import mask_planes
from skyloom.core.errors import DataError
from skyloom.core.images import Background, MaskedImage, has_bits, pixels_at, strips
from skyloom.core.psf import FWHM_PER_SIGMA, effective_area, gaussian_kernel, psf_moments

log = logging.getLogger(__name__)

# Half-width of a Gaussian kernel in sigma.
KERNEL_REACH = 4
# Detection takes no light from these: a trail would be a row of sources.
NO_LIGHT_OF_OBJECTS = mask_planes.bits("NO_DATA", "BAD", "CR", "STREAK")
# Side of the image of the sharpest PSF [pixel].
SHARPEST_SIZE = 15
# Where the PSF is looked at, in parts of the sides: what is no star of any of these is a ray.
PSF_PLACES = ((0.5, 0.5), (0.15, 0.15), (0.85, 0.15), (0.15, 0.85), (0.85, 0.85))
# Significance down to which the background is freed of point sources, as a part of that of a source: their light is
# on few pixels, and all of it on those that are left between the masks.
FAINT_PART = 0.8
# A cell of this side has 256 pixels on every second row and column.
LEAST_THINNED_BIN = 32
# Sweeps over the point sources that the background is freed of: their wings need no more.
N_BACKGROUND_SWEEP = 2
# Peaks this close to one saturated region are one star's [pixel].
SATURATION_REACH = 3.0


class NoSourcesError(DataError):
    """Nothing was found on an exposure.

    Parameters
    ----------
    threshold : float
        Significance that a peak needed [sigma].
    noise : float
        Median pixel noise [electron].
    """

    def __init__(self, threshold, noise):
        super().__init__(
            f"0 sources above {threshold:g} sigma (pixel noise {noise:.1f} electron), needs at least one: "
            "was the shutter closed, the sky clouded over or the telescope out of focus?"
        )
        self.threshold, self.noise = threshold, noise


@dataclass(frozen=True, slots=True)
class DetectionPass:
    """What one pass knows.

    Attributes
    ----------
    pixels : MaskedImage
        Background-subtracted pixels with cosmic rays repaired.
    background : Background
        What was subtracted.
    detections : Detections
        What was found, without labels.
    is_sky : ndarray, shape (ny, nx), bool
        Pixels that the background was measured on.
    rays : FilledPixels, optional
        Of the first pass: what the repaired pixels were, without the background.
    """

    pixels: MaskedImage
    background: Background
    detections: Detections
    is_sky: np.ndarray
    rays: FilledPixels | None = None


def first_pass(pixels, settings):
    """Bright detections with a guessed Gaussian PSF, and the background between them.

    Parameters
    ----------
    pixels : MaskedImage
        With the sky [electron], all finite. Changed in place.
    settings : dict
        Section ``calibrate``.

    Returns
    -------
    DetectionPass
        Rays sharper than any PSF are repaired in it, trails are masked STREAK.

    Raises
    ------
    NoSkyPixelsError, NoSourcesError
        If there is no background or no source.
    """
    background = _rough_background(pixels, settings["background"])
    _add_in_place(pixels, background, -1)
    # A ray is known by being sharper than the PSF: with the sharpest PSF that may occur no star is taken for
    # one.
    sharpest = gaussian_kernel(settings["psf"]["min_fwhm"] / FWHM_PER_SIGMA, SHARPEST_SIZE)
    rays = _repair_rays_in_place(pixels, sharpest[None], settings["cosmic_rays"])
    sigma = settings["psf"]["initial_fwhm"] / FWHM_PER_SIGMA
    kernel = gaussian_kernel(sigma, 2 * int(np.ceil(KERNEL_REACH * sigma)) + 1)
    detections = _detect(pixels, kernel, settings["detection"]["first_threshold"], settings["detection"])
    objects = object_mask(detections, settings["background"]["grow_sigma"] * sigma)
    _add_in_place(pixels, background, 1, rays)
    fit = fit_background(pixels, settings["background"], objects)
    _add_in_place(pixels, fit.background, -1, rays)
    if settings["streaks"]["enabled"]:
        mask_streaks_in_place(pixels, detections.labels, settings["streaks"])
    return DetectionPass(pixels, fit.background, detections.without_labels(), fit.is_sky, rays)


def second_pass(first, psf, settings):
    """Detections with the image's own PSF, and the background below them without the light of point sources.

    Parameters
    ----------
    first : DetectionPass
        From `first_pass`. Its pixels are changed in place.
    psf : PixelPsf
        The image's PSF.
    settings : dict
        Section ``calibrate``.

    Returns
    -------
    DetectionPass
        Rays are found anew, repaired and masked CR.
    PointSources
        The detections fitted as points.

    Raises
    ------
    NoSkyPixelsError, NoSourcesError
        If there is no background or no source.

    Notes
    -----
    Wings beyond any mask lift a sky level: with 2,700 stars on 2048 x 2048 pixels by 0.35 of 800 electrons, 1 %
    of the flux of a star of S/N 10.
    """
    pixels, background = first.pixels, first.background
    first.rays.restore(pixels, mask_planes.STREAK)
    kernels = _kernels_over(psf, pixels.shape)
    sigma = psf_moments(kernels[0])[0]
    _repair_rays_in_place(pixels, kernels, settings["cosmic_rays"])
    threshold = settings["detection"]["threshold"]
    detections = _detect(pixels, psf, FAINT_PART * threshold, settings["detection"])
    points, light = fit_point_sources(pixels, psf, detections, sigma, N_BACKGROUND_SWEEP)
    wings = wing_reach(kernels[0], float(np.sqrt(np.median(pixels.variance[::8, ::8]))))
    grow = settings["background"]["grow_sigma"] * sigma
    objects = object_mask(detections, grow, points, wings, threshold)
    _add_in_place(pixels, background, 1)
    np.subtract(pixels.image, light, out=pixels.image)
    fit = fit_background(pixels, settings["background"], objects)
    np.add(pixels.image, light, out=pixels.image)
    _add_in_place(pixels, fit.background, -1)
    return DetectionPass(pixels, fit.background, detections.without_labels(), fit.is_sky), points


def final_pass(pixels, psf, known, settings):
    """Detections at the final threshold with the image's final PSF.

    Parameters
    ----------
    pixels : MaskedImage
        From the second pass. DETECTED is set in place, on footprints grown by the PSF.
    psf : PixelPsf
        The image's PSF.
    known : FittedPeaks
        Fits of the second pass.
    settings : dict
        Section ``calibrate``.

    Returns
    -------
    Detections
        What was found.
    tuple of ndarray, shape (n,)
        What is known of the detections' fits: x, y [pixel] and flux [electron], NaN where it is not known.
    float
        Significance by the variance that a source needed, mean over the image [sigma].

    Raises
    ------
    NoSourcesError
        If there is no source.
    """
    detection = settings["detection"]
    kernel = _kernels_over(psf, pixels.shape)[0]
    sigma = psf_moments(kernel)[0]
    detections, limits = _detect_above_noise(pixels, psf, float(effective_area(kernel)), detection)
    search = (detection["threshold"], limits)
    detections, points = add_companions(pixels, psf, detections, sigma, search, known)
    detected = detections.detected_mask(detection["grow_sigma"] * sigma)
    detections = one_peak_per_saturated_region(without_border_peaks(detections), pixels.mask)
    detections = _by_the_variance(detections, limits.noise_correlation)
    np.bitwise_or(pixels.mask, mask_planes.DETECTED, out=pixels.mask, where=detected)
    threshold = detection["threshold"] * float(np.mean(np.sqrt(limits.noise_correlation)))
    return detections, points.peaks.start(detections, SAME_PEAK)[:3], threshold


def _rough_background(pixels, settings):
    """Background of every second row and column of an image: what is found above it replaces it."""
    if settings["bin_size"] < LEAST_THINNED_BIN:
        return fit_background(pixels, settings).background
    thin = MaskedImage(*(plane[::2, ::2] for plane in (pixels.image, pixels.mask, pixels.variance)))
    halved = {name: settings[name] // 2 for name in ("bin_size", "shortest_wave")}
    try:
        mesh = fit_background(thin, settings | halved).background.mesh
    except NoSkyPixelsError:
        # With all pixels there may be some sky; and if not, the numbers of the error are those of the frame.
        return fit_background(pixels, settings).background
    return Background(mesh, 2 * halved["bin_size"], pixels.shape)


def _add_in_place(pixels, background, sign, rays=None):
    """Give the background back to the image, or take it away: also from what repaired pixels were."""
    for part in strips(pixels.shape[0]):
        level = background.rows(part)
        level *= np.float32(sign)
        pixels.image[part] += level
        if rays is not None:
            rays.add_in_place(part, level)


def without_border_peaks(detections):
    """Detections without the peaks on the image's outermost pixels: their maximum lies beyond.

    Parameters
    ----------
    detections : Detections
        All peaks.

    Returns
    -------
    Detections
        The others.
    """
    ny, nx = detections.labels.shape
    x, y = detections.x, detections.y
    return detections.select((x > 0.5) & (y > 0.5) & (x < nx - 1.5) & (y < ny - 1.5))


def one_peak_per_saturated_region(detections, mask):
    """Detections with only the brightest peak at each saturated region: bleeds and flat tops have many.

    Parameters
    ----------
    detections : Detections
        Brightest first.
    mask : ndarray, shape (ny, nx), uint32
        Mask planes.

    Returns
    -------
    Detections
        Without the others; the number of peaks of each footprint is counted anew.
    """
    saturated = has_bits(mask, mask_planes.SAT)
    if not saturated.any() or len(detections) == 0:
        return detections
    regions = connected_regions(grow_mask(saturated, SATURATION_REACH))
    region = regions.at(detections.x, detections.y)
    keep = region < 0
    _, brightest = np.unique(region, return_index=True)
    keep[brightest] = True
    kept = detections.select(keep)
    counts = np.bincount(kept.footprint, minlength=1)
    return replace(kept, n_peak=counts[kept.footprint].astype(np.int32))


def _kernels_over(psf, shape):
    """PSF images at the middle and near the four corners."""
    ny, nx = shape
    x, y = np.array(PSF_PLACES).T * [[nx - 1], [ny - 1]]
    return psf.kernels_at(x, y)


def _repair_rays_in_place(pixels, kernels, settings):
    """Interpolate over cosmic rays and mask them; the first kernel guides the interpolation."""
    is_ray = find_cosmic_rays(pixels, kernels, settings, is_subtracted=True)
    return repair_cosmic_rays_in_place(pixels, is_ray, kernels[0])


def _detect(pixels, psf, threshold, settings):
    """Detections above a threshold, at least one."""
    return _at_least_one(detect(pixels, psf, threshold, settings=_limits(settings)), pixels, threshold)


def _at_least_one(detections, pixels, threshold):
    """Return the same detections, if there are any."""
    if len(detections) == 0:
        raise NoSourcesError(threshold, float(np.sqrt(np.median(pixels.variance))))
    log.info("%d peaks above %g sigma", len(detections), threshold)
    return detections


def _detect_above_noise(pixels, psf, area, settings):
    """Detections above the threshold, raised where noise would pass it, and the settings that have it raised."""
    threshold, limits = settings["threshold"], _limits(settings)
    significance = significance_image(pixels, psf, limits.excluded)
    detections = find_sources(significance, threshold, limits)
    factors = threshold_factors(significance, detections, threshold, area, settings["max_threshold_factor"])
    if factors.max() > 1:
        log.info("noise above the variance: threshold raised by up to %.3f", factors.max())
        del significance, detections
        limits = replace(limits, noise_correlation=factors**2)
        detections = detect(pixels, psf, threshold, settings=limits)
    return _at_least_one(detections, pixels, threshold), limits


def _by_the_variance(detections, noise_correlation):
    """Detections whose significance is that by the variance, as the threshold on record is, the brightest first."""
    shape = detections.labels.shape
    powers = power_at(noise_correlation, shape, *pixels_at(detections.x, detections.y, shape))
    significance = detections.significance * np.sqrt(powers)
    return replace(detections, significance=significance).select(np.argsort(-significance, kind="stable"))


def _limits(settings):
    """Settings of `detect` from the configuration."""
    return DetectionSettings(
        min_prominence=settings["min_prominence"],
        relative_prominence=settings["relative_prominence"],
        excluded=int(NO_LIGHT_OF_OBJECTS),
    )
