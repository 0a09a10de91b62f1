"""Matches point lists: nearest neighbours, and star patterns under an unknown shift, rotation and scale."""

from dataclasses import dataclass, replace

import numpy as np

from skyloom.algorithms.occupancy_map import OccupancyMap

# Source pairs tried in a round before the next, longer lists are taken.
PAIRS_PER_ROUND = 300
# Lengths of the lists of brightest sources, round by round.
ROUNDS = (30, 60, 120)
# References taken for each source of a round, at equal area: the two lists never have the same depth.
REFERENCES_PER_SOURCE = 2.0
# More references than this make hypotheses without end and add no information.
MAX_PATTERN_REFERENCES = 900
# A pair, and one star that may confirm it.
FEWEST = 3
# The shortest pair that fixes a rotation, over the size of the source list.
SHORTEST_PAIR = 0.25


@dataclass(frozen=True, slots=True)
class Similarity:
    """Shift, rotation, scale, mirror: ``z -> factor * z + offset`` of ``z = x + iy``, conjugated if mirrored.

    Attributes
    ----------
    factor : complex
        Scale times ``exp(i * rotation)``.
    offset : complex
        Where the origin goes.
    mirrored : bool
        True if y is flipped first.
    """

    factor: complex
    offset: complex
    mirrored: bool = False

    def apply(self, x, y):
        """Transformed points.

        Parameters
        ----------
        x, y : ndarray, shape (n,), float64
            Points in the frame of the sources.

        Returns
        -------
        tuple of ndarray, shape (n,), float64
            The points in the frame of the references.
        """
        z = self.factor * _oriented(x + 1j * y, self.mirrored) + self.offset
        return z.real, z.imag


@dataclass(frozen=True, slots=True)
class PatternSearch:
    """How far the sources may be from their predicted places, and what makes a match sure.

    Attributes
    ----------
    offset : float
        Largest shift of the frame's centre, in the unit of the coordinates.
    rotation : float
        Largest rotation about the centre [deg]; 180 for any.
    scale_tolerance : float
        Largest relative error of the scale.
    any_parity : bool
        True if mirrored patterns are tried too.
    tolerance : float
        Distance of a pair that counts as matched: distortion and centroid errors, same unit.
    max_false_alarm : float
        Largest probability that chance alone gives the match, over all hypotheses tried.
    """

    offset: float
    rotation: float
    scale_tolerance: float
    any_parity: bool
    tolerance: float
    max_false_alarm: float = 1e-6


@dataclass(frozen=True, slots=True)
class PatternMatch:
    """The best hypothesis of `match_pattern`.

    Attributes
    ----------
    similarity : Similarity or None
        Takes sources to references; None if no hypothesis met the search limits.
    n_matched, n_tested : int
        Sources with a reference within the tolerance, and sources looked at.
    chance : float
        Number of matches expected from chance.
    log10_false_alarm : float
        Decimal logarithm of the probability that chance reaches `n_matched` in one of the hypotheses tried.
    n_trials : int
        Hypotheses tried.
    """

    similarity: Similarity | None
    n_matched: int
    n_tested: int
    chance: float
    log10_false_alarm: float
    n_trials: int


def _oriented(z, mirrored):
    """The points, with y flipped if mirrored."""
    return np.conj(z) if mirrored else z


def match_nearest(x, y, reference_x, reference_y, radius):
    """Pairs of points that are each other's nearest neighbour within a radius.

    Parameters
    ----------
    x, y : ndarray, shape (n,), float64
        First list; finite.
    reference_x, reference_y : ndarray, shape (m,), float64
        Second list; finite.
    radius : float
        Largest distance, in the unit of the coordinates.

    Returns
    -------
    index, reference_index : ndarray, shape (k,), int64
        Matched rows of the two lists, in the order of the first; each row occurs at most once.
    distance : ndarray, shape (k,), float64
        Their distances.
    """
    from scipy.spatial import cKDTree

    if len(x) == 0 or len(reference_x) == 0:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty.copy(), np.zeros(0)
    points = np.column_stack([x, y])
    references = np.column_stack([reference_x, reference_y])
    distance, nearest = cKDTree(references).query(points, distance_upper_bound=radius)
    _, nearest_back = cKDTree(points).query(references, distance_upper_bound=radius)
    candidate = np.flatnonzero(np.isfinite(distance))
    mutual = candidate[nearest_back[nearest[candidate]] == candidate]
    return mutual, nearest[mutual].astype(np.int64), distance[mutual]


def log10_chance(n_matched, n_tested, probability):
    """Decimal logarithm of the probability that chance matches at least `n_matched` of `n_tested` points.

    Parameters
    ----------
    n_matched, n_tested : int or ndarray
        Matches found, and points tested.
    probability : float
        Probability that one point has a neighbour by chance.

    Returns
    -------
    float or ndarray
        An upper limit, 0 or less; 0 where the count is no more than chance gives.

    Notes
    -----
    The bound of Chernoff (1952) on the binomial tail: ``exp(-n D(k/n || p))`` with the Kullback-Leibler
    divergence D. It is above the exact tail, by about ``sqrt(2 pi n f (1 - f))``: it errs on the safe side.
    """
    n = np.maximum(n_tested, 1)
    p = np.clip(probability, 1e-12, 1 - 1e-12)
    fraction = np.clip(n_matched / n, 0, 1)
    safe = np.clip(fraction, 1e-12, 1 - 1e-12)
    divergence = fraction * np.log(safe / p) + (1 - fraction) * np.log((1 - safe) / (1 - p))
    return np.where(fraction > p, -n * divergence / np.log(10), 0.0)[()]


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Ordered pairs of complex points, sorted by the logarithm of their length."""

    start: np.ndarray
    step: np.ndarray
    log_length: np.ndarray

    @classmethod
    def of(cls, z, shortest, longest):
        """All ordered pairs of points with a length within limits.

        Parameters
        ----------
        z : ndarray, shape (n,), complex128
            Positions ``x + i y`` [pixel].
        shortest, longest : float
            The limits [pixel].

        Returns
        -------
        _Pairs
            Each pair in both orders.
        """
        separation = np.abs(z[:, None] - z[None, :])
        first, second = np.nonzero((separation >= shortest) & (separation <= longest))
        log_length = np.log(separation[first, second])
        order = np.argsort(log_length, kind="stable")
        first, second = first[order], second[order]
        return cls(z[first], z[second] - z[first], log_length[order])


def match_pattern(x, y, reference_x, reference_y, search):
    """Similarity that lays the brightest sources on references, found among all pairs of stars.

    Parameters
    ----------
    x, y : ndarray, shape (n,), float64
        Predicted places of the sources about the frame's centre (0, 0), brightest first; finite.
    reference_x, reference_y : ndarray, shape (m,), float64
        Places of the references in the same plane and unit, brightest first; finite.
    search : PatternSearch
        Limits of the search and the significance wanted.

    Returns
    -------
    PatternMatch
        The first significant hypothesis, refined; if there is none, the best one. The caller compares
        `log10_false_alarm` with what it wants.

    Notes
    -----
    Pairs of bright sources are laid on every pair of bright references of the same length (within the
    scale's tolerance, and at an angle and shift that the search allows). Each such hypothesis is judged by
    the number of sources that then have a reference near them, against the number that chance gives; the
    pair itself does not count. The trials are counted (Bonferroni), so the probability is that of any mis-
    match in the whole search. Lists grow round by round, because the brightest of one list may be saturated
    in, or missing from, the other. Matching by pairs and triangles goes back to Groth (1986); hypotheses
    that are verified by counts follow Lang et al. (2010).
    """
    sources = np.asarray(x, float) + 1j * np.asarray(y, float)
    references = np.asarray(reference_x, float) + 1j * np.asarray(reference_y, float)
    best = PatternMatch(None, 0, len(sources), 0.0, 0.0, 0)
    previous = (0, 0)
    for n_source in ROUNDS:
        n_source = min(n_source, len(sources))
        if n_source < FEWEST:
            break
        n_reference = min(_reference_count(sources, n_source, search), len(references))
        if n_reference < FEWEST or (n_source, n_reference) == previous:
            break
        previous = (n_source, n_reference)
        found = _search_round(sources[:n_source], references[:n_reference], search, best.n_trials)
        if best.similarity is None or found.log10_false_alarm < best.log10_false_alarm:
            best = found
        if _is_sure(best, search):
            break
        best = replace(best, n_trials=found.n_trials)
    return best


def _is_sure(match, search):
    """True if chance is a less likely cause of the match than the search allows."""
    return match.similarity is not None and match.log10_false_alarm <= np.log10(search.max_false_alarm)


def _reference_count(sources, n_source, search):
    """References for a list of sources: a multiple of their density, over the area in reach."""
    width, height = np.ptp(sources.real) + search.tolerance, np.ptp(sources.imag) + search.tolerance
    reach = np.hypot(width, height) + 2 * search.offset
    wanted = REFERENCES_PER_SOURCE * n_source * reach**2 / (width * height)
    return int(min(wanted, MAX_PATTERN_REFERENCES))


def _search_round(sources, references, search, n_trials):
    """The best hypothesis of one round; `n_trials` hypotheses were tried before."""
    size = np.hypot(np.ptp(sources.real), np.ptp(sources.imag))
    margin = 1 + search.scale_tolerance
    shortest = max(SHORTEST_PAIR * size, 4 * search.tolerance)
    pairs = _Pairs.of(references, shortest / margin, size * margin)
    occupancy = OccupancyMap.of(references, search.tolerance)
    best, largest_count = PatternMatch(None, 0, len(sources), 0.0, 0.0, n_trials), 0
    for first, second in _source_pairs(sources, shortest):
        for mirrored in (False, True) if search.any_parity else (False,):
            factor, offset = _hypotheses(_oriented(sources, mirrored)[[first, second]], pairs, search)
            if len(factor) == 0:
                continue
            n_trials += len(factor)
            number, count = occupancy.best_transformation(
                _oriented(sources, mirrored), factor, offset, max(largest_count, FEWEST)
            )
            if number < 0:
                continue
            largest_count = count
            hypothesis = Similarity(complex(factor[number]), complex(offset[number]), mirrored)
            candidate = refine_match(sources, references, hypothesis, search, n_trials)
            if best.similarity is None or candidate.log10_false_alarm < best.log10_false_alarm:
                best = candidate
        if _is_sure(best, search):
            break
    return replace(best, n_trials=n_trials)


def _source_pairs(sources, shortest):
    """Pairs of sources to try: neighbours in brightness first, so that few pairs hold every star."""
    second, first = np.tril_indices(len(sources), -1)
    long_enough = np.abs(sources[second] - sources[first]) >= shortest
    first, second = first[long_enough], second[long_enough]
    order = np.lexsort([first, second - first])[:PAIRS_PER_ROUND]
    return list(zip(first[order], second[order], strict=True))


def _hypotheses(source_pair, pairs, search):
    """Factors and offsets that lay one source pair on each reference pair of its length, within limits."""
    step = source_pair[1] - source_pair[0]
    # Each of the four points may be off by a part of the tolerance.
    margin = np.log1p(search.scale_tolerance) + search.tolerance / abs(step)
    low, high = np.searchsorted(pairs.log_length, np.log(abs(step)) + np.array([-margin, margin]))
    factor = pairs.step[low:high] / step
    offset = pairs.start[low:high] - factor * source_pair[0]
    allowed = (np.abs(offset) <= search.offset) & (np.abs(np.degrees(np.angle(factor))) <= search.rotation)
    return factor[allowed], offset[allowed]


def refine_match(sources, references, similarity, search, n_trials):
    """A hypothesis fitted to all its one-to-one matches, with its significance.

    Parameters
    ----------
    sources, references : ndarray, shape (n,) and (m,), complex128
        Places ``x + i y`` in one plane and unit.
    similarity : Similarity
        The hypothesis; two of its pairs are taken for given.
    search : PatternSearch
        Limits and tolerance.
    n_trials : int
        Hypotheses tried so far.

    Returns
    -------
    PatternMatch
        Of significance 0 when the fit has left the limits.
    """
    for _ in range(3):
        index, reference_index = _matches(sources, references, similarity, search.tolerance)
        if len(index) < FEWEST:
            break
        similarity = fit_similarity(sources[index], references[reference_index], similarity.mirrored)
    index, _ = _matches(sources, references, similarity, search.tolerance)
    probability = _chance_probability(sources, references, similarity, search.tolerance)
    log10_one = log10_chance(max(len(index) - 2, 0), len(sources) - 2, probability)
    within = (
        abs(similarity.offset) <= 1.1 * search.offset + search.tolerance
        and abs(abs(similarity.factor) - 1) <= 1.5 * search.scale_tolerance + 0.002
        and abs(np.degrees(np.angle(similarity.factor))) <= 1.1 * search.rotation + 0.1
    )
    log10_any = min(float(log10_one + np.log10(n_trials)), 0.0) if within else 0.0
    return PatternMatch(similarity, len(index), len(sources), probability * len(sources), log10_any, n_trials)


def _matches(sources, references, similarity, tolerance):
    """One-to-one matches of the transformed sources with the references."""
    x, y = similarity.apply(sources.real, sources.imag)
    index, reference_index, _ = match_nearest(x, y, references.real, references.imag, tolerance)
    return index, reference_index


def fit_similarity(sources, references, mirrored):
    """Least-squares similarity of matched points.

    Parameters
    ----------
    sources, references : ndarray, shape (n,), complex128
        Pairs of places ``x + i y``.
    mirrored : bool
        Whether y of the sources is flipped first.

    Returns
    -------
    Similarity
        Takes sources to references.
    """
    oriented = _oriented(sources, mirrored)
    centre, target = oriented.mean(), references.mean()
    offsets = oriented - centre
    factor = complex(np.vdot(offsets, references - target) / np.vdot(offsets, offsets).real)
    return Similarity(factor, complex(target - factor * centre), mirrored)


def _chance_probability(sources, references, similarity, tolerance):
    """Probability that chance puts a reference near a source: from the density in the frame."""
    x, y = similarity.apply(sources.real, sources.imag)
    width, height = np.ptp(x) + 2 * tolerance, np.ptp(y) + 2 * tolerance
    inside = (
        (references.real >= x.min() - tolerance)
        & (references.real <= x.max() + tolerance)
        & (references.imag >= y.min() - tolerance)
        & (references.imag <= y.max() + tolerance)
    )
    mean = max(inside.sum(), 1) * np.pi * tolerance**2 / (width * height)
    return float(-np.expm1(-mean))
