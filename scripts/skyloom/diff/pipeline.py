"""Image differencing: science minus matched template, with white noise and a known PSF."""

import logging
from dataclasses import replace

import numpy as np

from skyloom.algorithms.convolution import convolve, convolve_polynomial, convolve_tiles, tile_centres
from skyloom.algorithms.interpolation import interpolate_pixels
from skyloom.algorithms.kernel_basis import basis_noise, basis_sigmas, gaussian_basis, kernel_half_size
from skyloom.algorithms.kernel_matching import FitSettings, fit_matching_kernel
from skyloom.core import mask_planes
from skyloom.core.errors import DataError
from skyloom.core.images import Background, DifferenceImage, MaskedImage
from skyloom.core.psf import gaussian_kernel, psf_moments
from skyloom.diff.decorrelation import decorrelation_kernels, difference_psf
from skyloom.diff.mismatch import mismatch_mask
from skyloom.diff.noise import noise_shape, tile_medians
from skyloom.diff.stamps import MatchingPair, select_stamps
from skyloom.diff.template import build_template

__all__ = ["build_template", "subtract"]

log = logging.getLogger(__name__)

# What a science pixel's mask says that stays true of the difference.
SCIENCE_PLANES = ~mask_planes.bits("DETECTED", "DETECTED_NEGATIVE")
# Values of such pixels say nothing of the sky.
WORTHLESS_PLANES = mask_planes.bits("BAD", "SAT", "CR", "INTRP", "NO_DATA", "SAT_TEMPLATE")
# Of these, what is saturated has no neighbours that could stand for it.
# Regions with no neighbours to be filled in from.
LARGE_PLANES = mask_planes.bits("SAT", "SAT_TEMPLATE", "NO_DATA")
# Part of the kernel's weight that may fall on pixels without data, saturated, or with another PSF.
LOST_WEIGHT = 0.01
# A saturated pixel lacks many times what the noise of a pixel is.
LOST_WEIGHT_OF_SATURATED = 0.001
# Defects of a science image that is to be convolved, unless they were interpolated before, are filled in.
FILLED_PLANES = mask_planes.bits("BAD", "CR")
FILLING_SIGMA = 1.5
# Part of the noise power of science and template that must be left where they hold the same photons: two visits
# alike leave 0.33, one alone nothing but what the fit scatters.
LEAST_INDEPENDENT_POWER = 0.15
# Grid of the transforms that the decorrelation kernels come from.
SPECTRUM_SIZE = 64
# A template went through two interpolations (warp and template), a calexp through none.
N_TEMPLATE_RESAMPLING = 2


class PoorSubtractionError(DataError):
    """The kernel leaves too much of the sources that it was fitted on.

    Parameters
    ----------
    residual, allowed : float
        Root mean square of the relative flux left at the kernel's sources, and the most that is accepted.
    n_stamp : int
        Number of these sources.
    """

    def __init__(self, residual, allowed, n_stamp):
        super().__init__(
            f"the matching kernel leaves {residual:.1%} of the flux of its {n_stamp} sources, needs below "
            f"{allowed:.1%}: look at the exposure's PSF, WCS and zero point"
        )
        self.residual, self.allowed, self.n_stamp = residual, allowed, n_stamp


class TemplateIsScienceError(DataError):
    """The template holds little but the exposure itself: normal where no other visit of its band reaches.

    Parameters
    ----------
    visit : int
        The exposure's visit.
    """

    status = "EMPTY"

    def __init__(self, visit):
        super().__init__(
            f"visit {visit} makes up nearly all of its own template: more visits of this band are needed, or "
            "`use: template` for it in the visit table"
        )
        self.visit = visit


def subtract(science, template, settings):
    """Difference between an exposure and its template.

    Parameters
    ----------
    science : Exposure
        Calibrated exposure [nJy].
    template : Template
        Template of `build_template`, on the same pixels with a margin.
    settings : dict
        Section ``diff``.

    Returns
    -------
    DifferenceImage
        White difference on the science image's flux scale; NaN and NO_DATA where there is no template.

    Raises
    ------
    InsufficientKernelStampsError
        If there are too few sources to fit the kernel on.
    PoorSubtractionError
        If the kernel does not fit its own sources.
    TemplateIsScienceError
        If too little is left where the template holds other visits than this one.

    Notes
    -----
    Alard & Lupton (1998) with the sharper image convolved, then decorrelated (see `decorrelation_kernels`).
    The difference is linear in both images, and no noise is rescaled to what is measured. Where the exposure
    is part of its template, both have noise in common: an inverse-variance mean has with each of its inputs
    the covariance of its own variance.
    """
    pair, convolved = _match_pair(science, template, settings["kernel"]["direction"])
    shapes = _noise_shapes(science, template, convolved)
    fit = _fit_kernel(pair, shapes[1], settings)
    kernel = replace(fit.kernel, convolved=convolved)
    scale = 1.0 if convolved == "template" else float(kernel.sum_at([0.0], [0.0])[0])
    raw = _raw_difference(pair, kernel) * np.float32(1.0 if convolved == "template" else -1 / scale)
    mask = _difference_mask(science, template, pair, kernel)
    mask |= mismatch_mask(science, template, kernel, settings["maximum_psf_mismatch"])
    raw -= _residual_background(raw, mask, settings["background_bin"])
    common = _common_power(template, pair_margin(science, template))
    power = _difference_power(pair, kernel, common) / np.float32(scale**2)
    raw = MaskedImage(raw, mask, power)
    if template.holds_science.any() and _is_worthy(raw).mean() < settings["template"]["minimum_coverage"]:
        raise TemplateIsScienceError(science.info.visit)
    matching, filters = _tile_filters(raw, (pair, common), kernel, shapes, settings["decorrelation"])
    tile = settings["decorrelation"]["tile"]
    pixels = _decorrelate(raw, filters, tile)
    before_matching = matching if convolved == "science" else None
    psf = difference_psf(science.psf, before_matching, filters, raw.shape, tile)
    exposure = replace(
        science,
        pixels=pixels,
        psf=psf,
        background=None,
        inputs=None,
        noise_correlation=1.0,
        detection_threshold=float("nan"),
    )
    return DifferenceImage(exposure, _crop(template.pixels.image, pair_margin(science, template)), kernel)


def pair_margin(science, template):
    """Pixels that the template has beyond the science image on each side (int).

    Parameters
    ----------
    science : Exposure
        The science image.
    template : Template
        Its template, larger by the same margin on all sides.
    """
    return (template.pixels.shape[0] - science.pixels.shape[0]) // 2


def _crop(plane, margin):
    """Plane without its margin."""
    ny, nx = plane.shape
    return plane[margin : ny - margin, margin : nx - margin]


def _match_pair(science, template, direction):
    """Both images as reference and target, and the name of the one to convolve."""
    margin = pair_margin(science, template)
    ny, nx = science.pixels.shape
    centre = ((nx - 1) / 2, (ny - 1) / 2)
    sigma_science = psf_moments(science.psf.kernel_at(*centre))[0]
    sigma_template = _template_sigma(template)
    if direction == "auto":
        direction = "template" if sigma_template <= sigma_science else "science"
    log.info(
        "psf sigma: science %.3f, template %.3f pixel; %s convolved", sigma_science, sigma_template, direction
    )
    science_pixels = replace(
        science.pixels, variance=science.pixels.variance * np.float32(science.noise_correlation)
    )
    template_pixels = replace(
        template.pixels, variance=template.pixels.variance * np.float32(template.noise_correlation)
    )
    if direction == "template":
        return MatchingPair(template_pixels, science_pixels, margin, sigma_template, sigma_science), direction
    cropped = MaskedImage(
        *(_crop(getattr(template_pixels, name), margin) for name in ("image", "mask", "variance"))
    )
    return MatchingPair(_filled(science_pixels), cropped, 0, sigma_science, sigma_template), direction


def _filled(pixels):
    """Pixels whose defects hold a Gaussian mean of their neighbours, so that convolving does not spread them."""
    spoiled = (pixels.is_masked(FILLED_PLANES) & ~pixels.is_masked(mask_planes.INTRP)) | ~np.isfinite(
        pixels.image
    )
    if not spoiled.any():
        return pixels
    weights = gaussian_kernel(FILLING_SIGMA, 4 * int(np.ceil(FILLING_SIGMA)) + 1)
    weight = convolve((~spoiled).astype(np.float32), weights)
    mean = convolve(np.where(spoiled, np.float32(0), pixels.image), weights) / np.maximum(weight, LOST_WEIGHT)
    return replace(pixels, image=np.where(spoiled, mean, pixels.image))


def _template_sigma(template):
    """Median size of the template's PSF over its cells [pixel]."""
    images = template.psf.images.reshape(-1, template.psf.size, template.psf.size)
    known = images[np.isfinite(images).all(axis=(1, 2))].astype(np.float64)
    return float(np.median([psf_moments(image)[0] for image in known[:: max(len(known) // 9, 1)]]))


def _noise_shapes(science, template, convolved):
    """Noise shapes of target and reference on the spectrum's grid."""
    shape_science = noise_shape(science.noise_correlation, SPECTRUM_SIZE, 1)
    shape_template = noise_shape(template.noise_correlation, SPECTRUM_SIZE, N_TEMPLATE_RESAMPLING)
    return (shape_science, shape_template) if convolved == "template" else (shape_template, shape_science)


def _fit_kernel(pair, reference_shape, settings):
    """Fit the matching kernel and refuse one that does not fit."""
    options = settings["kernel"]
    sigmas = basis_sigmas(pair.reference_sigma, pair.target_sigma)
    half = kernel_half_size(sigmas)
    basis = gaussian_basis(sigmas, options["degrees"], half)
    noise_gain = float(basis_noise(basis.kernels()[:1], reference_shape)[0, 0])
    stamps = select_stamps(pair, half, noise_gain, options)
    ny, nx = pair.target.shape
    fit_settings = FitSettings(
        order=options["order"],
        background_order=options["background_order"],
        stamps_per_term=options["stamps_per_term"],
        minimum_stamps=options["minimum_stamps"],
        clip_sigma=options["clip_sigma"],
        clip_rounds=options["clip_rounds"],
    )
    domain = (-0.5, nx - 0.5, -0.5, ny - 0.5)
    fit = fit_matching_kernel(stamps, basis, reference_shape, domain, fit_settings)
    residual = float(np.sqrt(np.mean(fit.flux_error[fit.is_used] ** 2)))
    log.info("kernel sum %.4f, relative flux left %.4f", fit.kernel.sum_at([0.0], [0.0])[0], residual)
    if not residual <= settings["maximum_residual"]:
        raise PoorSubtractionError(residual, settings["maximum_residual"], int(fit.is_used.sum()))
    return fit


def _raw_difference(pair, kernel):
    """Target minus convolved reference minus background, float32; NaN where the target has none."""
    x0, x1, y0, y1 = (edge + pair.margin for edge in kernel.domain)
    terms = np.tensordot(kernel.coefficients.T, kernel.basis, axes=1)
    model = convolve_polynomial(np.nan_to_num(pair.reference.image), terms, kernel.order, (x0, x1, y0, y1))
    return pair.target.image - _crop(model, pair.margin) - kernel.background.image(pair.target.shape)


def _residual_background(raw, mask, bin_size):
    """Background that the polynomial at the kernel's sources leaves, float32: medians of bins, interpolated.

    A difference has too few sources to bend a median; a constant of 0.03 sigma a pixel would bias fluxes at
    S/N 10 by 2 %.
    """
    good = ((mask & WORTHLESS_PLANES) == 0) & np.isfinite(raw)
    mesh = tile_medians(raw, good, bin_size).astype(np.float32)
    return Background(mesh, bin_size, raw.shape).image()


def _central_kernel(kernel):
    """Matching kernel at the middle of its domain."""
    x0, x1, y0, y1 = kernel.domain
    return kernel.kernel_at((x0 + x1) / 2, (y0 + y1) / 2)


def _common_power(template, margin):
    """Covariance of science image and template as power at zero frequency [nJy^2], float32, without the margin."""
    power = template.pixels.variance * np.float32(template.noise_correlation)
    return _crop(np.where(template.holds_science, power, np.float32(0)), margin)


def _difference_power(pair, kernel, common):
    """Noise power of the difference in the target's unit, float32; NaN where either image has none.

    NaN also where nearly nothing is left, because science image and template hold the same photons.
    """
    central = _central_kernel(kernel)
    power = pair.reference.variance
    known = np.isfinite(power)
    filled = np.where(known, power, np.median(power[known]))
    padded = np.pad(filled, kernel.size // 2, mode="edge")
    # A source's photon noise is spread as the square of the kernel spreads it.
    spread = _crop(convolve(padded, central**2), kernel.size // 2 + pair.margin)
    total = np.float32(central.sum())
    independent = pair.target.variance + total**2 / np.float32(np.sum(central**2)) * spread
    power = independent - 2 * total * common
    is_known = _crop(known, pair.margin) & (power > LEAST_INDEPENDENT_POWER * independent)
    return np.where(is_known, power, np.float32(np.nan))


def _difference_mask(science, template, pair, kernel):
    """Merge the masks of both images; what the kernel reads of these planes is spread by it."""
    template_mask = _crop(template.pixels.mask, pair_margin(science, template))
    mask = (science.pixels.mask & SCIENCE_PLANES) | template_mask
    weight = np.abs(_central_kernel(kernel))
    for name in ("NO_DATA", "SAT", "SAT_TEMPLATE", "INEXACT_PSF", "SENSOR_EDGE"):
        plane = mask_planes.bits(name)
        lost = pair.reference.is_masked(plane)
        if lost.any():
            limit = LOST_WEIGHT_OF_SATURATED if name in ("SAT", "SAT_TEMPLATE") else LOST_WEIGHT
            reached = convolve(lost.astype(np.float32), weight / weight.sum()) > limit
            mask |= np.where(_crop(reached, pair.margin), plane, np.uint32(0))
    return mask | _edge(mask.shape, max(kernel.size // 2 - pair.margin, 0))


def _edge(shape, width):
    """EDGE within `width` of the image's edge, uint32."""
    edge = np.full(shape, mask_planes.EDGE, dtype=np.uint32)
    edge[width : shape[0] - width, width : shape[1] - width] = 0
    return edge


def _tile_filters(raw, images, kernel, shapes, options):
    """Matching and decorrelation kernels of each tile, shapes (m, k, k) and (m, d, d)."""
    pair, common = images
    tile = options["tile"]
    good = _is_worthy(raw)
    powers = [
        tile_medians(plane, good, tile).ravel()
        for plane in (pair.target.variance, _crop(pair.reference.variance, pair.margin), common)
    ]
    x, y = tile_centres(raw.shape, tile)
    matching = np.tensordot(kernel.weights_at(x.ravel(), y.ravel()), kernel.basis, axes=1)
    return matching, decorrelation_kernels(matching, powers, shapes, options["half_size"], options["floor"])


def _is_worthy(pixels):
    """Pixels whose value tells something of the sky."""
    worthless = (pixels.mask & WORTHLESS_PLANES) != 0
    return ~worthless & np.isfinite(pixels.image) & np.isfinite(pixels.variance)


def _decorrelate(raw, filters, tile):
    """White difference; NaN and NO_DATA where either image has none."""
    x, _ = tile_centres(raw.shape, tile)
    image = convolve_tiles(_without_defects(raw), filters.reshape(*x.shape, *filters.shape[1:]), tile)
    has_data = ((raw.mask & mask_planes.NO_DATA) == 0) & np.isfinite(raw.variance)
    return MaskedImage(
        image=np.where(has_data, image, np.float32(np.nan)),
        mask=np.where(has_data, raw.mask, raw.mask | mask_planes.NO_DATA),
        variance=np.where(has_data, raw.variance, np.float32(np.nan)),
    )


def _without_defects(raw):
    """Image of a difference whose worthless pixels spread nothing, float32.

    A defect is filled in from its neighbours on the difference: there what is static is gone already, and the hole
    in a transient would be spread over it. What is saturated or without data is zero, a difference's expectation.
    """
    is_worthy = _is_worthy(raw)
    image = np.where(is_worthy, raw.image, np.float32(0))
    variance = np.where(is_worthy, raw.variance, np.float32(1))
    is_defect = ~is_worthy & ~raw.is_masked(LARGE_PLANES)
    return interpolate_pixels(MaskedImage(image, raw.mask, variance), is_defect, FILLING_SIGMA).image
