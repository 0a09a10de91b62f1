"""Where a frame looks, from its stars alone: triangles propose, counts of matched stars decide."""

from dataclasses import dataclass, field, replace

import numpy as np

from skyloom.algorithms.matching import (
    PatternMatch,
    PatternSearch,
    Similarity,
    fit_similarity,
    log10_chance,
    refine_match,
)
from skyloom.algorithms.sky_triangles import (
    SHORTEST_SIDE,
    brightest_per_field,
    longest_side,
    stars_around,
    tangent_places,
    triangles_of_frame,
    triangles_on_sky,
    vectors_at,
)
from skyloom.core.directions import unit_vectors
from skyloom.core.wcs import tan_deproject

# Brightest sources of a round, and the longest side of their triangles over the field of view.
ROUNDS = ((10, 0.55), (20, 0.4), (40, 0.3))
# References for each source, at equal area: passbands differ, and the brightest saturate.
REFERENCES_PER_SOURCE = 2
TRIANGLES_PER_ROUND = 250
# Hypotheses that are judged at a time.
BLOCK_SIZE = 4000
FEWEST_SOURCES = 5
# Sources of the final fit.
MOST_SOURCES = 100
REFINEMENTS = 4
ARCSEC_PER_RADIAN = 648000 / np.pi


@dataclass(frozen=True, slots=True)
class PointingLimits:
    """What is known beforehand, and what makes a match sure.

    Attributes
    ----------
    side : float
        Side of the field of view, or of a square of its area [degree].
    tolerance : float
        Distance of a pair that counts as matched: distortion and centroid errors [degree].
    scale_tolerance : float
        Largest relative error of the pixel scale.
    centre : tuple of float or None
        (ra, dec) around which the field's middle lies [degree]; None for the catalogue's whole area.
    radius : float
        How far from there at most [degree].
    max_false_alarm : float
        Largest probability that chance alone gives the match, over all hypotheses tried.
    """

    side: float
    tolerance: float
    scale_tolerance: float
    centre: tuple | None = None
    radius: float = 180.0
    max_false_alarm: float = 1e-9


@dataclass(frozen=True, slots=True)
class FoundPointing:
    """Result of `find_pointing`.

    Attributes
    ----------
    ra, dec : float
        Where the origin of the sources' plane lies [degree]; NaN when no hypothesis held.
    rotation : float
        Position angle of the plane's +y [degree, East of North].
    scale : float
        True scale over the assumed one.
    is_mirrored : bool
        True when the plane's x must be flipped to fit the sky.
    match : PatternMatch
        Counts and significance.
    is_sure : bool
        Whether the match is as significant as was asked.
    """

    ra: float
    dec: float
    rotation: float
    scale: float
    is_mirrored: bool
    match: PatternMatch
    is_sure: bool


@dataclass(frozen=True, slots=True)
class ReferenceSky:
    """Stars of a catalogue, with the triangles of each round once they have been made.

    Attributes
    ----------
    ra, dec : ndarray, shape (n,), float64
        Positions [degree], brightest first.
    made : dict
        Filled by `find_pointing`.
    """

    ra: np.ndarray
    dec: np.ndarray
    made: dict = field(default_factory=dict)

    def round_of(self, limits, n_star, longest):
        """Thinned stars with their triangles (vectors, tree, triangles), and the longest side of those.

        Parameters
        ----------
        limits : PointingLimits
            Its side and tolerance of the scale count.
        n_star : int
            Stars a field.
        longest : float
            Longest side over that of the field.
        """
        from scipy.spatial import cKDTree

        key = (limits.side, limits.scale_tolerance, n_star, longest)
        if key not in self.made:
            chosen = brightest_per_field(self.ra, self.dec, limits.side, n_star)
            vectors = unit_vectors(self.ra[chosen], self.dec[chosen])
            tree = cKDTree(vectors)
            margin, side = 1 + limits.scale_tolerance, np.radians(limits.side)
            longest = longest_side(len(chosen), n_star, longest)
            sides = (SHORTEST_SIDE * side / margin, longest * side * margin)
            self.made[key] = (vectors, tree, triangles_on_sky(vectors, tree, sides), longest)
        return self.made[key]


def find_pointing(x, y, sky, limits):
    """Place, rotation, scale and parity of a frame on the sky.

    Parameters
    ----------
    x, y : ndarray, shape (n,), float64
        Sources in a plane about any origin within a few fields of view: offsets as seen on the sky with +y North
        and +x East [degree, by the assumed scale], brightest first; finite.
    sky : ReferenceSky
        The catalogue.
    limits : PointingLimits
        What is known.

    Returns
    -------
    FoundPointing
        The first hypothesis that is sure; if there is none, the best one.

    Notes
    -----
    The size of a triangle is as telling as its shape, since the scale is known to some per cent. Each triangle of
    the frame's brightest stars is laid on each alike one of the catalogue; the hypothesis counts when more of
    the frame's stars fall on stars than chance allows, given the number of hypotheses (Lang et al. 2010, section
    2.3, with Chernoff's bound in place of their model). Lists grow round by round. Triangles as invariants:
    Groth (1986).
    """
    z = np.radians(x) + 1j * np.radians(y)
    best, n_trials = _nothing(len(z)), 0
    if len(z) < FEWEST_SOURCES:
        return best
    for n_source, longest in ROUNDS:
        sources = z[:n_source]
        stars = sky.round_of(limits, REFERENCES_PER_SOURCE * n_source, longest)
        vectors, tree, triangles, longest_there = stars
        for z_corner, corner in _proposals(sources, triangles, limits, longest_there):
            n_trials += len(corner)
            similarity, planes, count = _best_hypothesis(sources, z_corner, vectors[corner], tree, limits)
            if count < FEWEST_SOURCES:
                continue
            density = len(tree.query_ball_point(planes[0][0], np.radians(limits.side))) / (
                np.pi * limits.side**2
            )
            chance = -np.expm1(-np.pi * limits.tolerance**2 * max(density, 1 / limits.side**2))
            log10_quick = log10_chance(count - 3, len(sources) - 3, chance) + np.log10(n_trials)
            if log10_quick > min(best.match.log10_false_alarm, -1.0):
                continue
            best = _refined(z, (similarity, planes), sky, limits, n_trials)
            if best.is_sure:
                return best
        if n_source >= len(z):
            break
    return best


def _nothing(n_source):
    """No hypothesis at all."""
    match = PatternMatch(None, 0, n_source, 0.0, 0.0, 0)
    return FoundPointing(np.nan, np.nan, np.nan, np.nan, False, match, False)


def _proposals(sources, triangles, limits, longest):
    """Blocks of triangles of the frame, shape (n, 3), complex, and the alike ones of the sky, shape (n, 3), int."""
    side = np.radians(limits.side)
    ours, theirs, n_waiting = [], [], 0
    for corner, (a, b, c) in triangles_of_frame(
        sources, (SHORTEST_SIDE * side, longest * side), TRIANGLES_PER_ROUND
    ):
        error = np.radians(limits.tolerance) / a
        margins = np.log1p(limits.scale_tolerance) + error, error
        alike = triangles.alike(np.log(a), b / a, c / a, margins)
        if len(alike):
            ours.append(np.broadcast_to(sources[list(corner)], (len(alike), 3)))
            theirs.append(triangles.corner[alike])
            n_waiting += len(alike)
        if n_waiting >= BLOCK_SIZE:
            yield np.concatenate(ours), np.concatenate(theirs)
            ours, theirs, n_waiting = [], [], 0
    if n_waiting:
        yield np.concatenate(ours), np.concatenate(theirs)


def _best_hypothesis(sources, z_corner, corners, tree, limits):
    """Hypothesis with the most sources near references: its similarity, its tangent plane, and the count."""
    centres = corners.mean(axis=1)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    places, east, north = tangent_places(centres, corners)
    mirrored = _handedness(z_corner) != _handedness(places)
    oriented = np.where(mirrored[:, None], np.conj(z_corner), z_corner)
    middle, target = oriented.mean(axis=1, keepdims=True), places.mean(axis=1, keepdims=True)
    arms = oriented - middle
    factor = (np.conj(arms) * (places - target)).sum(axis=1) / (np.abs(arms) ** 2).sum(axis=1)
    offset = target[:, 0] - factor * middle[:, 0]
    stars = np.where(mirrored[:, None], np.conj(sources)[None], sources[None])
    vectors = vectors_at(factor[:, None] * stars + offset[:, None], (centres, east, north))
    distance, _ = tree.query(vectors, distance_upper_bound=np.radians(limits.tolerance))
    count = np.isfinite(distance).sum(axis=1)
    count[~_is_within(vectors, np.abs(factor), limits)] = 0
    best = int(np.argmax(count))
    similarity = Similarity(complex(factor[best]), complex(offset[best]), bool(mirrored[best]))
    plane = tuple(axis[best : best + 1] for axis in (centres, east, north))
    return similarity, plane, int(count[best])


def _handedness(z):
    """Sign of the area of triangles, shape (n, 3), complex."""
    return np.sign((np.conj(z[:, 1] - z[:, 0]) * (z[:, 2] - z[:, 0])).imag)


def _is_within(vectors, scale, limits):
    """Hypotheses whose scale and place on the sky are within the limits."""
    within = np.abs(np.log(scale)) <= np.log1p(limits.scale_tolerance)
    if limits.centre is None:
        return within
    towards = unit_vectors(np.array([limits.centre[0]]), np.array([limits.centre[1]]))[0]
    return within & (vectors.mean(axis=1) @ towards >= np.cos(np.radians(limits.radius)))


def _refined(z, hypothesis, sky, limits, n_trials):
    """Pointing fitted to all pairs of a longer list, in the tangent plane about the origin of the frame's plane."""
    sources = z[:MOST_SOURCES]
    similarity, (ra, dec) = _about_origin(sources, *hypothesis)
    chosen = brightest_per_field(sky.ra, sky.dec, limits.side, REFERENCES_PER_SOURCE * len(sources))
    search = PatternSearch(
        offset=np.inf,
        rotation=180.0,
        scale_tolerance=limits.scale_tolerance,
        any_parity=True,
        tolerance=limits.tolerance * 3600,
        max_false_alarm=limits.max_false_alarm,
    )
    radius = np.degrees(float(np.abs(sources).max())) * (1 + limits.scale_tolerance) + 2 * limits.tolerance
    for _ in range(REFINEMENTS):
        xi, eta = stars_around(sky.ra[chosen], sky.dec[chosen], (ra, dec), radius)
        match = refine_match(
            sources * ARCSEC_PER_RADIAN, 3600 * (xi + 1j * eta), similarity, search, n_trials
        )
        step = match.similarity.offset / 3600
        ra, dec = (float(value) for value in tan_deproject(step.real, step.imag, ra, dec))
        similarity = replace(match.similarity, offset=0j)
    return _found((ra, dec), match, limits)


def _about_origin(sources, similarity, plane):
    """Return the same hypothesis in the tangent plane about the frame's origin, offset [arcsec]; that (ra, dec)."""
    oriented = np.conj(sources) if similarity.mirrored else sources
    vectors = vectors_at((similarity.factor * oriented + similarity.offset)[None], plane)
    origin = vectors_at(np.array([[similarity.offset]]), plane)[0, 0]
    places, _, _ = tangent_places(origin[None], vectors)
    moved = fit_similarity(sources, places[0], similarity.mirrored)
    ra, dec = np.degrees(np.arctan2(origin[1], origin[0])) % 360, np.degrees(np.arcsin(origin[2]))
    return replace(moved, offset=moved.offset * ARCSEC_PER_RADIAN), (float(ra), float(dec))


def _found(place, match, limits):
    """Pointing of a refined match."""
    similarity = match.similarity
    # A mirrored frame has y flipped before it is turned.
    rotation = (180.0 if similarity.mirrored else 0.0) - float(np.degrees(np.angle(similarity.factor)))
    return FoundPointing(
        ra=place[0] % 360,
        dec=place[1],
        rotation=(rotation + 180) % 360 - 180,
        scale=float(abs(similarity.factor)),
        is_mirrored=similarity.mirrored,
        match=match,
        is_sure=bool(match.log10_false_alarm <= np.log10(limits.max_false_alarm)),
    )
