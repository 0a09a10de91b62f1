"""Flips and relative gains of amplifiers from light that must go on smoothly, and stars that must go on, across them.

The amplifiers of a detector are laid together as the camera file says, and once more with one of them turned; the
arrangement in which the light fits one smooth surface, and the edges fit each other, is the right one.
"""

from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.robust import MAD_TO_SIGMA

TURNS = ((True, False), (False, True), (True, True))
"""Ways in which an amplifier may lie wrong: flipped in x, in y, in both."""
BLOCKS_ACROSS = 12
MIN_BLOCK = 8
DEGREE = 3
CLIP_SIGMA = 4.0
N_CLIP = 4
MIN_RATIO = 1.15
"""A turn must lower the scatter about the smooth surface, within the turned amplifier, by this factor (variance)."""
SURE_RATIO = 1.5
"""Below this, structure of the sky may make a turn by chance: a hint only."""
MIN_GAIN_IN_CHI2 = 100.0
EDGE_WIDTH = 2
EDGE_SMOOTHING = 25
EDGE_CLIP = 4.0
"""Lest one bright star that meets another by chance makes a turn."""
MIN_EDGE_SIGMA = 6.0
SURE_EDGE_SIGMA = 9.0
LEVEL_TOLERANCE = 0.10


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How the amplifiers of a detector lie best.

    Attributes
    ----------
    turns : dict of str to tuple of bool
        (flip in x, flip in y) beyond what the camera file says, for amplifiers that need it.
    because : dict of str to str
        What tells so, by amplifier.
    sure : frozenset of str
        Amplifiers whose turn cannot be chance.
    factors : dict of str to float
        Level of each amplifier in electrons over that of the detector's median amplifier, at the same place; NaN
        for those that were left out.
    """

    turns: dict
    because: dict
    sure: frozenset
    factors: dict


def arrange(detector, lights, stars):
    """Find the turns of the amplifiers and their relative levels.

    Parameters
    ----------
    detector : Detector
        As the camera file describes it.
    lights : dict of str to ndarray
        Smooth light (a flat, or the sky) [electron] of each amplifier's data, turned as the file says; amplifiers
        that are not to be judged are missing.
    stars : dict of str to ndarray
        A frame with stars in the same form; may be empty.

    Returns
    -------
    Arrangement
        Without any turn when the file is right, or nothing can be told (one amplifier, no gradient and no star).
    """
    blocks = {a.name: _blocks(lights[a.name], a) for a in detector.amplifiers if a.name in lights}
    blocks = {name: found for name, found in blocks.items() if np.isfinite(found[2]).any()}
    amplifiers = {a.name: a for a in detector.amplifiers if a.name in blocks}
    if len(amplifiers) < 2:
        return Arrangement({}, {}, frozenset(), dict.fromkeys(amplifiers, 1.0))
    turns, because, sure = {}, {}, set()
    for _ in amplifiers:
        best = _best_turn_by_light(blocks, turns) or _best_turn_by_stars(amplifiers, stars, turns)
        if best is None:
            break
        name, turn, reason, is_sure = best
        turns[name], because[name] = turn, reason
        sure |= {name} if is_sure else set()
    _, offsets, _ = _fit(blocks, turns)
    middle = np.median(list(offsets.values()))
    factors = {name: float(np.exp(offset - middle)) for name, offset in offsets.items()}
    return Arrangement(turns, because, frozenset(sure), factors)


def turned(pixels, turn):
    """Pixels flipped as a turn says.

    Parameters
    ----------
    pixels : ndarray, shape (ny, nx)
        The pixels.
    turn : tuple of bool
        Whether to flip in x, and in y.

    Returns
    -------
    ndarray, shape (ny, nx)
        A view.
    """
    return pixels[:: -1 if turn[1] else 1, :: -1 if turn[0] else 1]


def turn_text(turn):
    """Words for a turn.

    Parameters
    ----------
    turn : tuple of bool
        Whether it flips in x, and in y.

    Returns
    -------
    str
        Keys of the camera file, such as ``flip_x and flip_y``.
    """
    return " and ".join(name for name, is_turned in zip(("flip_x", "flip_y"), turn, strict=True) if is_turned)


def _blocks(light, amplifier):
    """Log of block medians of an amplifier's light, and the blocks' places on the detector (x, y, values)."""
    ny, nx = light.shape
    size = max(MIN_BLOCK, min(ny, nx) // BLOCKS_ACROSS)
    rows, columns = max(ny // size, 1), max(nx // size, 1)
    edges_y, edges_x = np.linspace(0, ny, rows + 1).astype(int), np.linspace(0, nx, columns + 1).astype(int)
    values = np.empty((rows, columns))
    for row in range(rows):
        for column in range(columns):
            part = light[edges_y[row] : edges_y[row + 1], edges_x[column] : edges_x[column + 1]]
            values[row, column] = np.nanmedian(part)
    x0, _, y0, _ = amplifier.detector_section
    x = x0 + (edges_x[:-1] + edges_x[1:] - 1) / 2
    y = y0 + (edges_y[:-1] + edges_y[1:] - 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return x, y, np.where(values > 0, np.log(values), np.nan)


def _fit(blocks, turns):
    """Fit one smooth surface and an offset for each amplifier.

    Returns the mean square residual of each amplifier, the offsets, both dicts by name, and the number of blocks.
    """
    names = list(blocks)
    x, y, value, which = [], [], [], []
    for place, name in enumerate(names):
        bx, by, values = blocks[name]
        grid_x, grid_y = np.meshgrid(bx, by)
        x.append(grid_x.ravel())
        y.append(grid_y.ravel())
        value.append(turned(values, turns.get(name, (False, False))).ravel())
        which.append(np.full(values.size, place))
    x, y, value, which = (np.concatenate(part) for part in (x, y, value, which))
    u, v = (2 * (axis - axis.min()) / max(np.ptp(axis), 1) - 1 for axis in (x, y))
    powers = [(i, j) for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i) if i + j > 0]
    design = np.column_stack(
        [*(u**i * v**j for i, j in powers), *(which == place for place in range(len(names)))]
    )
    good = np.isfinite(value)
    for _ in range(N_CLIP):
        solution, *_ = np.linalg.lstsq(design[good], value[good], rcond=None)
        residual = value - design @ solution
        scale = MAD_TO_SIGMA * np.median(np.abs(residual[good]))
        good = np.isfinite(value) & (np.abs(residual) <= CLIP_SIGMA * max(scale, 1e-9))
    # Clipped blocks count as the limit, so that a wrong turn cannot hide its own misfit.
    limited = np.minimum(np.abs(np.where(np.isfinite(residual), residual, 0)), CLIP_SIGMA * max(scale, 1e-9))
    squares = {name: float(np.mean(limited[which == place] ** 2)) for place, name in enumerate(names)}
    offsets = dict(zip(names, solution[len(powers) :], strict=True))
    return squares, offsets, int(good.sum())


def _best_turn_by_light(blocks, turns):
    """Turn of one more amplifier that makes the light smoothest: (name, turn, reason, is_sure), or None."""
    squares, _, n_block = _fit(blocks, turns)
    before, best = sum(squares.values()), None
    for name in blocks:
        if name in turns:
            continue
        for turn in TURNS:
            trial, _, _ = _fit(blocks, turns | {name: turn})
            after = sum(trial.values())
            if best is None or after < best[0]:
                best = (after, name, turn)
    if best is None:
        return None
    after, name, turn = best
    significance = n_block * (before / after - 1)
    if before / after < MIN_RATIO or significance < MIN_GAIN_IN_CHI2:
        return None
    rms = np.sqrt(before / len(blocks)), np.sqrt(after / len(blocks))
    reason = f"the light goes on smoothly then (scatter {rms[1]:.2%}, now {rms[0]:.2%})"
    return name, turn, reason, before / after > SURE_RATIO


def _best_turn_by_stars(amplifiers, stars, turns):
    """Turn of one more amplifier with which the stars on its edges go on: (name, turn, reason, is_sure), or None."""
    if not set(amplifiers) <= set(stars):
        return None
    laid = {name: turned(stars[name], turns.get(name, (False, False))) for name in amplifiers}
    best = None
    for name in amplifiers:
        if name in turns:
            continue
        now = _edge_agreement(amplifiers, laid, name)
        for turn in TURNS:
            then = _edge_agreement(amplifiers, laid | {name: turned(laid[name], turn)}, name)
            if (
                then > MIN_EDGE_SIGMA
                and then - now > MIN_EDGE_SIGMA
                and (best is None or then - now > best[0])
            ):
                best = (then - now, name, turn, now, then)
    if best is None:
        return None
    _, name, turn, now, then = best
    return (
        name,
        turn,
        f"stars go on across its edges then ({then:.0f} sigma, now {now:.0f})",
        then > SURE_EDGE_SIGMA,
    )


def _edge_agreement(amplifiers, laid, name):
    """Correlation of an amplifier's edges with its neighbours' [sigma], over all edges."""
    scores = []
    for other in amplifiers:
        if other == name:
            continue
        pair = _facing_edges(amplifiers[name], laid[name], amplifiers[other], laid[other])
        if pair is None:
            continue
        first, second = (_contrast(edge) for edge in pair)
        norm = np.sqrt(np.sum(first**2) * np.sum(second**2))
        if norm > 0:
            correlation = np.clip(np.sum(first * second) / norm, -0.999, 0.999)
            scores.append(np.arctanh(correlation) * np.sqrt(first.size - 3))
    return float(np.sum(scores) / np.sqrt(len(scores))) if scores else 0.0


def _facing_edges(one, pixels, other, others_pixels):
    """Profiles along the edge that two amplifiers share, or None."""
    (a0, a1, b0, b1), (c0, c1, d0, d1) = one.detector_section, other.detector_section
    if a1 == c0 or c1 == a0:
        low, high = max(b0, d0), min(b1, d1)
        if high - low > EDGE_SMOOTHING:
            own = pixels[low - b0 : high - b0]
            theirs = others_pixels[low - d0 : high - d0]
            first, second = (own[:, -EDGE_WIDTH:], theirs[:, :EDGE_WIDTH])
            if c1 == a0:
                first, second = (own[:, :EDGE_WIDTH], theirs[:, -EDGE_WIDTH:])
            return first.mean(axis=1), second.mean(axis=1)
    if b1 == d0 or d1 == b0:
        low, high = max(a0, c0), min(a1, c1)
        if high - low > EDGE_SMOOTHING:
            own = pixels[:, low - a0 : high - a0]
            theirs = others_pixels[:, low - c0 : high - c0]
            first, second = (own[-EDGE_WIDTH:], theirs[:EDGE_WIDTH])
            if d1 == b0:
                first, second = (own[:EDGE_WIDTH], theirs[-EDGE_WIDTH:])
            return first.mean(axis=0), second.mean(axis=0)
    return None


def _contrast(edge):
    """An edge's profile without its smooth part, in units of its noise, clipped."""
    from scipy.ndimage import median_filter

    finite = np.where(np.isfinite(edge), edge, np.nanmedian(edge))
    profile = finite - median_filter(finite, EDGE_SMOOTHING, mode="nearest")
    scale = MAD_TO_SIGMA * np.median(np.abs(profile))
    clipped = np.clip(profile / max(scale, 1e-9), -EDGE_CLIP, EDGE_CLIP)
    return clipped - clipped.mean()
