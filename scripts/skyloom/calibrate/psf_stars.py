"""The PSF of one detector from the stars that the first pass found."""

from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from skyloom.algorithms.colour_term import fit_colour_term
from skyloom.algorithms.mask_flags import mark_discs_in_place
from skyloom.algorithms.moments import adaptive_moments
from skyloom.algorithms.photometry import point_source_image, typical_noise
from skyloom.algorithms.psf_model import (
    PsfFit,
    PsfFitSettings,
    TooFewPsfStarsError,
    fit_psf,
    refine_psf,
    refit_stars,
)
from skyloom.algorithms.psf_oversampling import MAX_SIZE, fit_oversampled_psf, refine_oversampled_psf
from skyloom.calibrate.piff_psf import fit_piff_psf
from skyloom.calibrate.sources import pixel_flags
from skyloom.calibrate.stars import StarCandidates, reserve_stars, select_stars, stellar_size
from skyloom.core import mask_planes
from skyloom.core.images import pixels_at
from skyloom.core.psf import FWHM_PER_SIGMA, WELL_SAMPLED_FWHM, equivalent_sigma, psf_moments

# A star is clean when nothing is masked within this many sigma of the PSF.
CLEAN_RADIUS_SIGMA = 3.0
# Light of other sources is masked this far out, in FWHM.
NEIGHBOUR_RADIUS_FWHM = 1.5
# A PSF star of the fit and a source of the table are the same within this distance [pixel].
SAME_STAR_RADIUS = 1.0
DIRT = ("bad", "saturated", "nodata", "edge", "streak", "suspect", "crCenter", "interpolatedCenter")


@dataclass(frozen=True, slots=True)
class PsfStars:
    """A fitted PSF with its stars.

    Attributes
    ----------
    fit : PsfFit
        The model and the stars given to it.
    reserved : ndarray, shape (n,), bool
        Stars of `fit` that were kept out.
    others : tuple of ndarray, shape (m,)
        Positions (x, y) of the sources that are none of these stars [pixel].
    """

    fit: PsfFit
    reserved: np.ndarray
    others: tuple

    def flags(self, x, y):
        """Flags of the sources that are PSF stars.

        Parameters
        ----------
        x, y : ndarray, shape (m,), float64
            Positions of the sources [pixel].

        Returns
        -------
        dict of str to ndarray of bool, shape (m,)
            ``calib_psf_candidate``, ``calib_psf_used``, ``calib_psf_reserved``.
        """
        from scipy.spatial import cKDTree

        known = np.isfinite(self.fit.x) & np.isfinite(self.fit.y)
        distance, index = cKDTree(np.column_stack([x, y])).query(
            np.column_stack([self.fit.x, self.fit.y])[known]
        )
        is_same = distance < SAME_STAR_RADIUS
        flags = {}
        for name, values in (
            ("candidate", np.ones(known.sum(), dtype=bool)),
            ("used", self.fit.used[known]),
            ("reserved", self.reserved[known]),
        ):
            flag = np.zeros(len(x), dtype=bool)
            flag[index[is_same & values]] = True
            flags[f"calib_psf_{name}"] = flag
        return flags


def fit_psf_to_stars(pixels, detections, settings, rng):
    """PSF from the stars among the detections.

    Parameters
    ----------
    pixels : MaskedImage
        Background-subtracted pixels [electron].
    detections : Detections
        All bright detections.
    settings : dict
        Section ``calibrate.psf``.
    rng : numpy.random.Generator
        Chooses the reserved stars.

    Returns
    -------
    PsfStars
        The PSF and its stars.

    Raises
    ------
    TooFewPsfStarsError, PsfFitFailedError
        If no PSF can be had.
    """
    candidates = _measured(pixels, detections, settings["initial_fwhm"] / FWHM_PER_SIGMA)
    sigma = stellar_size(candidates, settings["min_signal_to_noise"])
    if not np.isfinite(sigma):
        raise TooFewPsfStarsError(0, settings["min_stars"])
    candidates = replace(candidates, is_clean=_is_clean(pixels, detections, sigma))
    chosen = select_stars(candidates, pixels.image.shape, settings)
    if chosen.sum() < settings["min_stars"]:
        raise TooFewPsfStarsError(int(chosen.sum()), settings["min_stars"])
    reserved = reserve_stars(chosen, settings["reserved_fraction"], 2 * settings["min_stars"], rng)[chosen]
    stars = (candidates.x[chosen], candidates.y[chosen], reserved)
    others = (candidates.x[~chosen], candidates.y[~chosen])
    fit_settings = _fit_settings(sigma, settings, _sampling(sigma, settings))
    fit = fit_psf if fit_settings.sampling == 1 else fit_oversampled_psf
    with _others_masked(pixels.mask, others, NEIGHBOUR_RADIUS_FWHM * FWHM_PER_SIGMA * sigma):
        return PsfStars(fit(pixels, stars, sigma, fit_settings), reserved, others)


def refine_psf_of_stars(stars, pixels, detections, points, settings, colours=None):  # noqa: PLR0913 (results of the passes)
    """PSF from the same stars again, with the background known better and their neighbours subtracted.

    Parameters
    ----------
    stars : PsfStars
        From `fit_psf_to_stars`.
    pixels : MaskedImage
        Background-subtracted pixels [electron].
    detections : Detections
        All detections on them.
    points : PointSources
        The detections fitted as points.
    settings : dict
        Section ``calibrate.psf``.
    colours : StarColours, optional
        Of the stars, if the PSF may change with them.

    Returns
    -------
    PsfStars
        The PSF and its stars.

    Raises
    ------
    TooFewPsfStarsError, PsfFitFailedError
        If no PSF can be had.
    """
    known = np.isfinite(stars.fit.flux)
    x, y, reserved = stars.fit.x[known], stars.fit.y[known], stars.reserved[known]
    is_other = _nearest_distance((detections.x, detections.y), (x, y)) > SAME_STAR_RADIUS
    neighbours = np.where(is_other, points.flux, np.nan)
    places, noise = (points.fit.x, points.fit.y), typical_noise(pixels.variance)
    model = point_source_image(pixels.shape, stars.fit.psf, *places, neighbours, noise)
    alone = replace(pixels, image=np.subtract(pixels.image, model, out=model))
    sigma = equivalent_sigma(stars.fit.psf.images[0])
    others = _not_subtracted(stars.others, detections, points, is_other)
    fit_settings = _fit_settings(sigma, settings, stars.fit.psf.sampling)
    refine = refine_psf if fit_settings.sampling == 1 else refine_oversampled_psf
    with _others_masked(alone.mask, others, NEIGHBOUR_RADIUS_FWHM * FWHM_PER_SIGMA * sigma):
        fit = refine(alone, (x, y, reserved), stars.fit.psf, fit_settings)
        if settings["model"] == "piff":
            fit = refit_stars(alone, fit, fit_piff_psf(alone, fit, fit_settings), fit_settings)
        if colours is not None and not colours.remark:
            known = (colours.name, colours.at(fit.x, fit.y))
            fit = fit_colour_term(alone, fit, reserved, known, fit_settings)
    return PsfStars(fit, reserved, others)


def _not_subtracted(others, detections, points, is_other):
    """Positions of the sources that are no PSF stars and still shine.

    A sharper kernel than the PSF, that of the first pass, also finds companions on the slopes of bright stars.
    """
    gone = (detections.x[points.is_subtracted], detections.y[points.is_subtracted])
    shines = _nearest_distance(others, gone) > SAME_STAR_RADIUS
    extended = is_other & ~points.is_subtracted
    return tuple(
        np.r_[first[shines], second[extended]]
        for first, second in zip(others, (detections.x, detections.y), strict=True)
    )


def _nearest_distance(positions, others):
    """Distance of each position (x, y) to the nearest of others [pixel], shape (n,); infinite without any."""
    from scipy.spatial import cKDTree

    if len(others[0]) == 0:
        return np.full(len(positions[0]), np.inf)
    return cKDTree(np.column_stack(others)).query(np.column_stack(positions))[0]


def stars_of_given_psf(pixels, detections, psf, settings):
    """A PSF that somebody else fitted, with the stars of this image that would do for a fit: they test it.

    Parameters
    ----------
    pixels : MaskedImage
        Background-subtracted pixels [electron].
    detections : Detections
        All bright detections.
    psf : PixelPsf
        The image's PSF.
    settings : dict
        Section ``calibrate.psf``.

    Returns
    -------
    PsfStars
        No star is `used`, all are candidates: the aperture correction takes them. There may be none.
    """
    ny, nx = pixels.image.shape
    sigma, _, _ = psf_moments(psf.kernel_at((nx - 1) / 2, (ny - 1) / 2))
    candidates = _measured(pixels, detections, sigma)
    chosen = select_stars(candidates, pixels.image.shape, settings)
    n_star = int(chosen.sum())
    unknown, none = np.full(n_star, np.nan), np.zeros(n_star, dtype=bool)
    fit = PsfFit(psf, candidates.x[chosen], candidates.y[chosen], unknown, none, unknown)
    return PsfStars(fit, none, (candidates.x[~chosen], candidates.y[~chosen]))


def _measured(pixels, detections, sigma):
    """First measurements of the detections, for the choice of stars."""
    moments = adaptive_moments(pixels.image, detections.x, detections.y, sigma)
    is_clean = _is_clean(pixels, detections, sigma)
    return StarCandidates(detections.x, detections.y, detections.significance, moments.sigma, is_clean)


def _is_clean(pixels, detections, sigma):
    """Detections without dirt within a radius that grows with the size of stars (ndarray of bool)."""
    flags = pixel_flags(pixels.mask, detections.x, detections.y, CLEAN_RADIUS_SIGMA * sigma)
    return ~np.logical_or.reduce([flags[f"pixelFlags_{name}"] for name in DIRT])


def _sampling(sigma, settings):
    """Samples of the PSF a pixel: as wanted, or by the size of the stars."""
    if settings["sampling"] != "auto":
        return int(settings["sampling"])
    return 1 if FWHM_PER_SIGMA * sigma >= WELL_SAMPLED_FWHM else 2


def _fit_settings(sigma, settings, sampling):
    """Settings of the fit; the image's side is a number of FWHM, odd, within limits."""
    half = int(np.ceil(settings["size_fwhm"] * FWHM_PER_SIGMA * sigma / 2))
    size = 2 * int(np.clip(half, settings["min_size"] // 2, settings["max_size"] // 2)) + 1
    return PsfFitSettings(
        size=size if sampling == 1 else min(size, MAX_SIZE),
        sampling=sampling,
        max_order=settings["max_order"],
        mode_order=settings["mode_order"],
        model_floor=settings["model_floor"],
        variation=settings["variation"],
        outlier_sigma=settings["outlier_sigma"],
        min_stars=settings["min_stars"],
    )


@contextmanager
def _others_masked(mask, others, radius):
    """Mask discs around other sources SUSPECT for as long as the block lasts: another mask would be a plane more."""
    marked = mark_discs_in_place(mask, *pixels_at(*others, mask.shape), radius, mask_planes.SUSPECT)
    try:
        yield
    finally:
        mask.flat[marked] &= ~mask_planes.SUSPECT
