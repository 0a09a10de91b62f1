"""Where the sources of a detector lie on the reference catalogue: search within the limits, and why it failed."""

import logging
from dataclasses import replace

import numpy as np

from skyloom.algorithms.matching import PatternSearch, match_pattern
from skyloom.core.errors import DataError
from skyloom.core.wcs import tan_project

log = logging.getLogger(__name__)

ARCSEC = 3600.0
# Errors of the rotation [degree] and of the scale that are worth a word.
TURN_WORTH_A_WORD = 1.0
SCALE_WORTH_A_WORD = 0.01


class AstrometryMatchError(DataError):
    """No place of the sources on the reference catalogue is better than chance.

    Parameters
    ----------
    match : PatternMatch
        The best one, with its numbers.
    needed : float
        Decimal logarithm of the largest probability of a false alarm that is accepted.
    search : str
        The limits of the search, for the message.
    """

    def __init__(self, match, needed, search):
        super().__init__(
            f"best of all positions matches {match.n_matched} of {match.n_tested} sources where chance "
            f"gives {match.chance:.1f}: log10 of the false-alarm probability is "
            f"{match.log10_false_alarm:.1f}, needs {needed:.1f} or less ({search}): look at the pointing in "
            "the visit table, at the camera's parity and orientation and at calibrate.astrometry.search"
        )
        self.n_matched, self.n_tested, self.chance = match.n_matched, match.n_tested, match.chance
        self.log10_false_alarm, self.needed = match.log10_false_alarm, needed


class OutsideSearchError(DataError):
    """The stars lie elsewhere than camera and visit table say, by more than the search allows.

    Parameters
    ----------
    match : PatternMatch
        The significant match beyond the limits.
    search : str
        The limits, for the message.
    """

    def __init__(self, match, search):
        similarity = match.similarity
        turn, scale = _turn(similarity), float(abs(similarity.factor))
        mirror = "mirrored, " if similarity.mirrored else ""
        remedy, permission = (
            "rotation in the visit table or orientation in the camera file",
            "rotation_deg: 180",
        )
        if similarity.mirrored:
            remedy = "parity in the camera file: give it the other sign, then look at the rotation again"
            permission = "parity: any"
        super().__init__(
            f"{match.n_matched} of {match.n_tested} sources match the catalogue {mirror}turned by {turn:.1f} deg, at "
            f"{scale:.3f} times the camera file's pixel scale (log10 of the false-alarm probability "
            f"{match.log10_false_alarm:.0f}), which is outside the search ({search}): look at {remedy}; "
            f"calibrate.astrometry.search can allow it ({permission})"
        )
        self.is_mirrored, self.turn, self.scale = similarity.mirrored, turn, scale


def find_similarity(field, settings):
    """Similarity that takes the predicted places of the sources to their references.

    Parameters
    ----------
    field : StarField
        Sources and references.
    settings : dict
        Section ``calibrate.astrometry``.

    Returns
    -------
    PatternMatch
        Its similarity is in arcsec about the field's centre; it is significant.

    Raises
    ------
    OutsideSearchError
        If the stars match with another parity or rotation than the search allows.
    AstrometryMatchError
        If they match nowhere.

    Notes
    -----
    The wide search of a frame that the configured limits do not solve only explains: it does not calibrate the
    frame, since a camera that turned over is an error of its description, to be corrected there.
    """
    search = search_of(field, settings)
    match = _match(field, search)
    needed = float(np.log10(search.max_false_alarm))
    if not _is_sure(match, needed):
        tried = f"offset to {field.reach:.0f} arcsec, rotation to {search.rotation:g} deg"
        tried += ", either parity" if search.any_parity else ", the camera's parity"
        wide = replace(search, rotation=180.0, any_parity=True)
        if wide != search:
            elsewhere = _match(field, wide)
            if _is_sure(elsewhere, needed):
                raise OutsideSearchError(elsewhere, tried)
        raise AstrometryMatchError(match, needed, tried)
    _tell(match)
    return match


def search_of(field, settings):
    """Return the limits of the search as the matching wants them (PatternSearch).

    Parameters
    ----------
    field : StarField
        Its scale and reach count.
    settings : dict
        Section ``calibrate.astrometry``.
    """
    limits = settings["search"]
    return PatternSearch(
        offset=field.reach,
        rotation=limits["rotation_deg"],
        scale_tolerance=limits["scale_tolerance"],
        any_parity=limits["parity"] == "any",
        tolerance=settings["tolerance_pixel"] * field.scale,
        max_false_alarm=settings["max_false_alarm"],
    )


def _match(field, search):
    """Best pattern match of a field."""
    xi, eta = tan_project(field.references.ra, field.references.dec, *field.centre)
    brightness = np.where(np.isfinite(field.references.flux), field.references.flux, -np.inf)
    order = np.argsort(-brightness, kind="stable")
    return match_pattern(*field.predicted, xi[order] * ARCSEC, eta[order] * ARCSEC, search)


def _is_sure(match, needed):
    """Whether a match is as significant as is needed."""
    return match.similarity is not None and match.log10_false_alarm <= needed


def _turn(similarity):
    """Angle by which a similarity turns [degree]."""
    return float(np.degrees(np.angle(similarity.factor)))


def _tell(match):
    """Log a match; a mirrored or turned frame, or one of another scale, is worth a look at the camera file."""
    similarity = match.similarity
    turn, scale = _turn(similarity), abs(similarity.factor)
    log.info(
        "pattern: %d of %d sources match (chance %.1f, log10 false alarm %.1f), moved %.1f arcsec, %.3f deg",
        match.n_matched, match.n_tested, match.chance, match.log10_false_alarm, abs(similarity.offset), turn,
    )  # fmt: skip
    if similarity.mirrored or abs(turn) > TURN_WORTH_A_WORD or abs(scale - 1) > SCALE_WORTH_A_WORD:
        log.warning(
            "the frame is %s, turned by %.2f deg, at %.4f times the pixel scale of the camera file",
            "mirrored" if similarity.mirrored else "not mirrored", turn, scale,
        )  # fmt: skip
