"""Pictures of a run: colour coadd, difference triplets, map of astrometric residuals."""

import io
from dataclasses import dataclass

import numpy as np

CUTOUT_HALF = 20
LARGEST_SIDE = 1600
COLOUR_SOFTENING = 8.0
RASTER_DPI = 100
MOST_MAP_CELLS = 12  # along the longer side of the residual map
STARS_OF_ARROW = 3  # fewer have no median worth an arrow
STARS_OF_CELL = 6  # on average, so that few cells fall short of the three
# Matplotlib's version would otherwise make equal pictures differ.
NO_METADATA = {"Software": None}
STYLE = {"font.size": 9, "image.origin": "lower", "image.interpolation": "nearest"}


@dataclass(frozen=True, slots=True)
class Triplet:
    """Cut-outs around a DIA source.

    Attributes
    ----------
    title : str
        Which source.
    science, template, difference : ndarray, shape (k, k), float32
        Pixels [nJy]; NaN off the image.
    noise : float
        Pixel noise of the difference [nJy], which sets the grey scale.
    """

    title: str
    science: np.ndarray
    template: np.ndarray
    difference: np.ndarray
    noise: float


def cutout(image, x, y, half=CUTOUT_HALF):
    """Square of pixels around a position.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        The image.
    x, y : float
        Its middle.
    half : int
        Half of the side; the side is 2 half + 1.

    Returns
    -------
    ndarray, shape (2 half + 1, 2 half + 1), float32
        NaN off the image.
    """
    side = 2 * half + 1
    square = np.full((side, side), np.nan, dtype=np.float32)
    x0, y0 = round(x) - half, round(y) - half
    rows = slice(max(y0, 0), min(y0 + side, image.shape[0]))
    columns = slice(max(x0, 0), min(x0 + side, image.shape[1]))
    if rows.start < rows.stop and columns.start < columns.stop:
        square[rows.start - y0 : rows.stop - y0, columns.start - x0 : columns.stop - x0] = image[
            rows, columns
        ]
    return square


def colour_picture(planes, noises):
    """Colour picture of three images of the same pixels.

    Parameters
    ----------
    planes : list of three ndarray, shape (ny, nx), float
        Red, green and blue [nJy]; a pixel that is NaN in some of them is grey, in all of them black.
    noises : list of three float
        Pixel noise of each, which balances the colours.

    Returns
    -------
    bytes
        PNG.

    Notes
    -----
    The asinh stretch of Lupton et al. (2004).
    """
    from astropy.visualization import make_lupton_rgb

    planes = _crop_to_common(planes)
    step = max(1, int(np.ceil(max(planes[0].shape) / LARGEST_SIDE)))
    scaled = [plane[::step, ::step] / noise for plane, noise in zip(planes, noises, strict=True)]
    rgb = make_lupton_rgb(*_grey_where_one_lacks(scaled), minimum=-1.0, stretch=20.0, Q=COLOUR_SOFTENING)
    rgb[np.isnan(scaled).all(axis=0)] = 0
    with _style():
        figure = _figure(figsize=(rgb.shape[1] / RASTER_DPI, rgb.shape[0] / RASTER_DPI))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(rgb)
        axes.set_axis_off()
        return _png(figure)


def _crop_to_common(planes):
    """Cut to the smallest rectangle that holds all pixels that every plane has; whole planes without such a pixel."""
    common = np.isfinite(np.sum(planes, axis=0))
    if not common.any():
        return planes
    rows, columns = (np.flatnonzero(common.any(axis=axis)) for axis in (1, 0))
    return [plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] for plane in planes]


def _grey_where_one_lacks(planes):
    """Planes (3, ny, nx) with the mean of the bands that are there where one lacks: no false colour."""
    planes = np.stack(planes)
    known = np.isfinite(planes)
    n_known = known.sum(axis=0)
    mean = np.where(known, planes, 0.0).sum(axis=0) / np.maximum(n_known, 1)
    return np.where(n_known == len(planes), planes, mean)


def triplet_picture(triplets):
    """Rows of science, template and difference.

    Parameters
    ----------
    triplets : list of Triplet
        At least one.

    Returns
    -------
    bytes
        PNG; white is bright, and each row has the grey scale of its difference's noise.
    """
    with _style():
        figure = _figure(figsize=(6.6, 2.25 * len(triplets)), layout="constrained")
        grid = figure.subplots(len(triplets), 3, squeeze=False)
        for row, triplet in zip(grid, triplets, strict=True):
            for axes, name in zip(row, ("science", "template", "difference"), strict=True):
                level = np.nanmedian(getattr(triplet, name)) if name != "difference" else 0.0
                limits = {"vmin": level - 3 * triplet.noise, "vmax": level + 12 * triplet.noise}
                axes.imshow(getattr(triplet, name), cmap="gray", **limits)
                axes.set_title(name if name != "science" else f"science: {triplet.title}", fontsize=7)
                axes.set_xticks([])
                axes.set_yticks([])
        return _png(figure)


def residual_picture(x, y, residual_x, residual_y, basis):
    """Map of astrometric residuals over the detector.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Where the stars are [pixel].
    residual_x, residual_y : ndarray, shape (n,)
        Residuals East and North [mas].
    basis : str
        What the sources were compared with.

    Returns
    -------
    bytes
        PNG: an arrow for the median of each cell's stars, three at least, and the two histograms.
    """
    with _style():
        figure = _figure(figsize=(10, 5), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        _draw_arrows(left, x, y, residual_x, residual_y)
        left.set(xlabel="x [pixel]", ylabel="y [pixel]", aspect="equal")
        left.set_title(f"source minus {basis}, median of each cell", loc="left")
        limit = 6 * max(float(np.median(np.hypot(residual_x, residual_y))), 1e-3)
        bins = np.linspace(-limit, limit, 41)
        for values, name in ((residual_x, "East"), (residual_y, "North")):
            spread = np.median(np.abs(values))
            label = f"{name}: median {np.median(values):+.1f}, median distance {spread:.1f} mas"
            right.hist(np.clip(values, -limit, limit), bins, histtype="step", label=label)
        right.set(xlabel="residual [mas]", ylabel="stars", ylim=(0, 1.25 * right.get_ylim()[1]))
        right.legend(frameon=False)
        return _png(figure)


def _draw_arrows(axes, x, y, residual_x, residual_y):
    """Draw the median residual of each cell as an arrow, with a key of its length."""
    side = _cell_side(x, y)
    cells = cell_medians(x, y, residual_x, residual_y, side)
    if cells.shape[1] == 0:
        axes.text(0.5, 0.5, f"no cell with {STARS_OF_ARROW} stars", ha="center", transform=axes.transAxes)
        return
    typical = max(float(np.median(np.hypot(cells[2], cells[3]))), 1e-3)
    arrows = axes.quiver(*cells, angles="xy", scale_units="xy", scale=2 * typical / side, width=0.003)
    axes.quiverkey(arrows, 0.85, 1.03, 2 * typical, f"{2 * typical:.1f} mas", labelpos="E")


def _cell_side(x, y):
    """Side of the residual map's cells [pixel]: larger where stars are few."""
    n_cell = int(np.clip(np.sqrt(len(x) / STARS_OF_CELL), 1, MOST_MAP_CELLS))
    return max(np.ptp(x), np.ptp(y), 1.0) * (1 + 1e-9) / n_cell


def cell_medians(x, y, residual_x, residual_y, side):
    """Medians of the stars in square cells that hold three at least.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Where the stars are [pixel].
    residual_x, residual_y : ndarray, shape (n,)
        Residuals [mas].
    side : float
        Side of a cell [pixel].

    Returns
    -------
    ndarray, shape (4, n_cell), float64
        Median x, y [pixel] and residuals [mas] of each cell.
    """
    cell = np.stack([(v - v.min()) // side for v in (x, y)], axis=1)
    _, number, n_star = np.unique(cell, axis=0, return_inverse=True, return_counts=True)
    rows = [
        [np.median(v[number == chosen]) for v in (x, y, residual_x, residual_y)]
        for chosen in np.flatnonzero(n_star >= STARS_OF_ARROW)
    ]
    return np.array(rows).reshape(-1, 4).T


def empty_picture(message):
    """Picture that says why there is none.

    Parameters
    ----------
    message : str
        The reason.

    Returns
    -------
    bytes
        PNG.
    """
    with _style():
        figure = _figure(figsize=(6, 1))
        figure.text(0.5, 0.5, message, ha="center", va="center")
        return _png(figure)


def _style():
    """Context in which Matplotlib draws in the report's style."""
    import matplotlib as mpl

    return mpl.rc_context(STYLE)


def _figure(**options):
    """Figure at the report's resolution."""
    from matplotlib.figure import Figure

    return Figure(dpi=RASTER_DPI, **options)


def _png(figure):
    """Bytes of a figure, the same for the same figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata=NO_METADATA)
    return stream.getvalue()
