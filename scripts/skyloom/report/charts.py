"""Small charts as SVG text that a page holds: values against time, and whiskers of the PSF."""

from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH, HEIGHT = 460, 150
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 22, 24
# Room that a date takes.
DATE_WIDTH = 90
# Between two nights, as a part of the whole time axis.
NIGHT_GAP = 0.03
TICKS = 4
# Colours that the colour-blind tell apart (Okabe & Ito 2008), and shapes for those who see none.
COLOURS = {"u": "#56b4e9", "g": "#009e73", "r": "#d55e00", "i": "#cc79a7", "z": "#e69f00", "y": "#0072b2"}
SHAPES = {
    "u": "M-3.5 0L0 -3.5L3.5 0L0 3.5Z",
    "g": "M-3 -3H3V3H-3Z",
    "r": "M-3.5 3L0 -3.5L3.5 3Z",
    "i": "M-3.5 -3L0 3.5L3.5 -3Z",
    "z": "M-3.5 -1H-1V-3.5H1V-1H3.5V1H1V3.5H-1V1H-3.5Z",
    "y": "M0 -4L1 -1L4 0L1 1L0 4L-1 1L-4 0L-1 -1Z",
}
OTHER_SHAPE = "M-2 -2H2V2H-2Z"
WHISKER_SIDE = 72
# Length of a whisker of |e| = 0.1 over the picture's side.
WHISKER_LENGTH = 0.3
MOST_WHISKERS = 100


@dataclass(frozen=True, slots=True)
class Points:
    """What a chart shows; all of shape (n,).

    Attributes
    ----------
    place : ndarray
        Place along the time axis, from 0 to 1.
    value : ndarray
        Values; NaN are not drawn.
    band, label : sequence of str
        Band, which chooses colour and shape, and what a pointer is told.
    """

    place: np.ndarray
    value: np.ndarray
    band: list
    label: list


def night_axis(mjd, night):
    """Places of exposures on a time axis on which nights stand side by side, however far apart they are.

    Parameters
    ----------
    mjd : ndarray, shape (n,)
        Times in order [d].
    night : ndarray, shape (n,), int
        Number of the night, from 0.

    Returns
    -------
    place : ndarray, shape (n,)
        From 0 to 1.
    nights : list of (float, float)
        First place of each night, and the MJD of its first exposure.
    """
    first = np.array([mjd[night == number][0] for number in np.unique(night)])
    length = np.array([np.ptp(mjd[night == number]) for number in np.unique(night)])
    whole = length.sum() or 1.0
    gap = min(NIGHT_GAP, 0.5 / max(len(first) - 1, 1))
    scale = (1 - gap * (len(first) - 1)) / whole
    start = np.concatenate([[0.0], np.cumsum(length * scale + gap)])[: len(first)]
    place = start[night] + (mjd - first[night]) * scale
    return place, list(zip(start.tolist(), first.tolist(), strict=True))


def nice_ticks(low, high):
    """Round numbers that divide a range.

    Parameters
    ----------
    low, high : float
        Its ends.

    Returns
    -------
    list of float
        Multiples of 1, 2 or 5 times a power of ten within the range, about four.
    """
    step = (high - low) / TICKS
    power = 10.0 ** np.floor(np.log10(step))
    step = power * next(nice for nice in (1, 2, 5, 10) if nice * power >= step * (1 - 1e-9))
    numbers = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1)
    return [float(round(number * step, 10)) for number in numbers]


def time_chart(title, points, nights, *, is_upside_down=False):
    """Values against time.

    Parameters
    ----------
    title : str
        What is drawn, with its unit.
    points : Points
        What there is.
    nights : list of (float, float)
        From `night_axis`.
    is_upside_down : bool
        Whether large values lie at the bottom.

    Returns
    -------
    str
        An SVG element.
    """
    finite = points.value[np.isfinite(points.value)]
    parts = [f'<text class="title" x="{LEFT}" y="13">{escape(title)}</text>']
    if finite.size == 0:
        return _svg(title, [*parts, f'<text x="{LEFT}" y="{HEIGHT / 2}">nothing was measured</text>'])
    low, high = _range(finite)
    bottom, top = (HEIGHT - BOTTOM, TOP) if not is_upside_down else (TOP, HEIGHT - BOTTOM)

    def height(value):
        return bottom + (value - low) / (high - low) * (top - bottom)

    for tick in nice_ticks(low, high):
        y = height(tick)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 5}" y="{y + 3.5:.1f}">{tick:g}</text>')
    parts += _night_marks(nights)
    for place, value, band, label in zip(points.place, points.value, points.band, points.label, strict=True):
        if np.isfinite(value):
            x = _across(place)
            parts.append(
                f'<path class="b-{band}" transform="translate({x:.1f} {height(value):.1f})" '
                f'd="{SHAPES.get(band, OTHER_SHAPE)}"><title>{escape(label)}</title></path>'
            )
    return _svg(title, parts)


def _range(values):
    """Ends of an axis that holds all values with some room."""
    low, high = float(values.min()), float(values.max())
    room = 0.08 * (high - low) or max(abs(low) * 0.01, 1e-6)
    return low - room, high + room


def _across(place):
    """Horizontal position of a place on the time axis."""
    return LEFT + 6 + place * (WIDTH - LEFT - RIGHT - 12)


def _night_marks(nights):
    """Beginnings of the nights, the date of each where there is room."""
    parts, last = [], -np.inf
    for place, mjd in nights:
        x = _across(place)
        parts.append(f'<path class="night" d="M{x - 6:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        if x - last > DATE_WIDTH:
            anchor = ' text-anchor="end"' if x + DATE_WIDTH > WIDTH else ""
            parts.append(f'<text x="{x - 6:.1f}" y="{HEIGHT - 8}"{anchor}>MJD {mjd:.2f}</text>')
            last = x
    return parts


def _svg(title, parts):
    """SVG element of the charts' size."""
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
    return head + "".join(parts) + "</svg>"


def whisker_picture(xi, eta, e1, e2):
    """Ellipticity of the PSF over the focal plane, North up and East left.

    Parameters
    ----------
    xi, eta : ndarray, shape (n,)
        Offsets East and North [arcmin].
    e1, e2 : ndarray, shape (n,)
        Ellipticity along East and North, and along the diagonals.

    Returns
    -------
    str
        An SVG element; empty without a shape. A line lies along the long axis and is as long as |e|.
    """
    if len(xi) == 0:
        return ""
    step = -(-len(xi) // MOST_WHISKERS)
    xi, eta, e1, e2 = (values[::step] for values in (xi, eta, e1, e2))
    size = max(np.ptp(xi), np.ptp(eta), 1e-3)
    room = 0.7 * WHISKER_SIDE
    x = WHISKER_SIDE / 2 - (xi - (xi.min() + xi.max()) / 2) / size * room
    y = WHISKER_SIDE / 2 - (eta - (eta.min() + eta.max()) / 2) / size * room
    angle = np.arctan2(e2, e1) / 2
    half = np.hypot(e1, e2) / 0.1 * WHISKER_LENGTH * WHISKER_SIDE / 2
    dx, dy = -half * np.cos(angle), -half * np.sin(angle)
    lines = zip(x - dx, y - dy, 2 * dx, 2 * dy, strict=True)
    path = "".join(f"M{a:.1f} {b:.1f}l{c:.1f} {d:.1f}" for a, b, c, d in lines)
    return (
        f'<svg class="whiskers" viewBox="0 0 {WHISKER_SIDE} {WHISKER_SIDE}" role="img" '
        f'aria-label="PSF shape"><path d="{path}"/></svg>'
    )
