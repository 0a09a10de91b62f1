"""Background, cosmic rays and detection of one detector, with a guessed PSF first and then with its own."""

from dataclasses import dataclass, replace

import numpy as np

from skyloom.algorithms.background import fit_background
from skyloom.algorithms.cosmic_rays import find_cosmic_rays, repair_cosmic_rays
from skyloom.algorithms.detection import Detections, DetectionSettings, detect
from skyloom.algorithms.footprints import grow_mask
from skyloom.calibrate.companions import add_companions
from skyloom.calibrate.object_masks import object_mask, wing_reach
from skyloom.calibrate.point_sources import SAME_PEAK, fit_point_sources
from skyloom.calibrate.streaks import mask_streaks
from skyloom.core import mask_planes
from skyloom.core.errors import DataError
from skyloom.core.images import Background, MaskedImage, pixels_at
from skyloom.core.psf import FWHM_PER_SIGMA, gaussian_kernel, psf_moments

# Half-width of a Gaussian kernel in sigma.
KERNEL_REACH = 4
# Detection takes no light from these: a trail would be a row of sources.
NO_LIGHT_OF_OBJECTS = mask_planes.bits("NO_DATA", "BAD", "CR", "STREAK")
# Side of the image of the sharpest PSF [pixel].
SHARPEST_SIZE = 15
# Where the PSF is looked at, in parts of the sides: what is no star of any of these is a ray.
PSF_PLACES = ((0.5, 0.5), (0.15, 0.15), (0.85, 0.15), (0.15, 0.85), (0.85, 0.85))
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
        What was found.
    is_sky : ndarray, shape (ny, nx), bool
        Pixels that the background was measured on.
    """

    pixels: MaskedImage
    background: Background
    detections: Detections
    is_sky: np.ndarray


def first_pass(raw, settings):
    """Bright detections with a guessed Gaussian PSF, and the background between them.

    Parameters
    ----------
    raw : MaskedImage
        Pixels with the sky [electron], all finite.
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
    background = fit_background(raw, settings["background"]).background
    # A ray is known by being sharper than the PSF: with the sharpest PSF that may occur no star is taken for
    # one.
    sharpest = gaussian_kernel(settings["psf"]["min_fwhm"] / FWHM_PER_SIGMA, SHARPEST_SIZE)
    clean = _without_rays(subtract_background(raw, background), sharpest[None], settings["cosmic_rays"])
    sigma = settings["psf"]["initial_fwhm"] / FWHM_PER_SIGMA
    kernel = gaussian_kernel(sigma, 2 * int(np.ceil(KERNEL_REACH * sigma)) + 1)
    detections = _detect(clean, kernel, settings["detection"]["first_threshold"], settings["detection"])
    objects = object_mask(detections, settings["background"]["grow_sigma"] * sigma)
    restored = _with_background(clean, background)
    fit = fit_background(restored, settings["background"], objects)
    pixels = subtract_background(restored, fit.background)
    if settings["streaks"]["enabled"]:
        pixels = mask_streaks(pixels, detections.labels, settings["streaks"])
    return DetectionPass(pixels, fit.background, detections, fit.is_sky)


def second_pass(raw, background, psf, settings):
    """Detections with the image's own PSF, and the background below them without the light of point sources.

    Parameters
    ----------
    raw : MaskedImage
        Pixels with the sky [electron], all finite.
    background : Background
        From the first pass.
    psf : PixelPsf
        The image's PSF.
    settings : dict
        Section ``calibrate``.

    Returns
    -------
    DetectionPass
        Rays are repaired and masked CR.
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
    kernels = _kernels_over(psf, raw.shape)
    sigma = psf_moments(kernels[0])[0]
    clean = _without_rays(subtract_background(raw, background), kernels, settings["cosmic_rays"])
    detections = _detect(clean, psf, settings["detection"]["threshold"], settings["detection"])
    points = fit_point_sources(clean, psf, detections, sigma, N_BACKGROUND_SWEEP)
    wings = wing_reach(kernels[0], float(np.sqrt(np.median(clean.variance[::8, ::8]))))
    objects = object_mask(detections, settings["background"]["grow_sigma"] * sigma, points, wings)
    restored = _with_background(clean, background)
    restored.image[:] -= points.model
    fit = fit_background(restored, settings["background"], objects)
    restored.image[:] += points.model
    pixels = subtract_background(restored, fit.background)
    return DetectionPass(pixels, fit.background, detections, fit.is_sky), points


def final_pass(pixels, psf, known, settings):
    """Detections at the final threshold with the image's final PSF.

    Parameters
    ----------
    pixels : MaskedImage
        From the second pass.
    psf : PixelPsf
        The image's PSF.
    known : FittedPeaks
        Fits of the second pass.
    settings : dict
        Section ``calibrate``.

    Returns
    -------
    MaskedImage
        DETECTED is set on footprints grown by the PSF.
    Detections
        What was found.
    tuple of ndarray, shape (n,)
        What is known of the detections' fits: x, y [pixel] and flux [electron], NaN where it is not known.

    Raises
    ------
    NoSourcesError
        If there is no source.
    """
    detection = settings["detection"]
    sigma = psf_moments(_kernels_over(psf, pixels.shape)[0])[0]
    detections = _detect(pixels, psf, detection["threshold"], detection)
    limits = (detection["threshold"], _limits(detection))
    detections, points = add_companions(pixels, psf, detections, sigma, limits, known)
    detected = detections.detected_mask(detection["grow_sigma"] * sigma)
    detections = one_peak_per_saturated_region(without_border_peaks(detections), pixels.mask)
    pixels = pixels.with_bits(detected, mask_planes.DETECTED)
    return pixels, detections, points.peaks.start(detections, SAME_PEAK)[:3]


def subtract_background(pixels, background):
    """Pixels without the background.

    Parameters
    ----------
    pixels : MaskedImage
        Any pixels.
    background : Background
        Of the same shape and unit.

    Returns
    -------
    MaskedImage
        Mask and variance are shared.
    """
    # Planes are large: this one is made once and worked on in place.
    image = background.image()
    np.subtract(pixels.image, image, out=image)
    return replace(pixels, image=image)


def _with_background(pixels, background):
    """Pixels with the background."""
    image = background.image()
    image += pixels.image
    return replace(pixels, image=image)


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
    from scipy.ndimage import label

    saturated = (mask & mask_planes.SAT) != 0
    if not saturated.any() or len(detections) == 0:
        return detections
    regions, _ = label(grow_mask(saturated, SATURATION_REACH), structure=np.ones((3, 3), dtype=int))
    region = regions[pixels_at(detections.x, detections.y, mask.shape)]
    keep = region == 0
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


def _without_rays(pixels, kernels, settings):
    """Pixels with cosmic rays interpolated and masked; the first kernel guides the interpolation."""
    return repair_cosmic_rays(pixels, find_cosmic_rays(pixels, kernels, settings), kernels[0])


def _detect(pixels, psf, threshold, settings):
    """Detections above a threshold, at least one."""
    detections = detect(pixels, psf, threshold, settings=_limits(settings))
    if len(detections) == 0:
        raise NoSourcesError(threshold, float(np.sqrt(np.median(pixels.variance))))
    return detections


def _limits(settings):
    """Settings of `detect` from the configuration."""
    return DetectionSettings(
        min_prominence=settings["min_prominence"],
        relative_prominence=settings["relative_prominence"],
        excluded=int(NO_LIGHT_OF_OBJECTS),
    )
