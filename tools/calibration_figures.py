"""Pictures of what the calibration of single visits leaves, the visits of a run stacked on their detectors."""

import numpy as np
from matplotlib.figure import Figure

from skyloom.algorithms.robust import mad_sigma
from stacked_visits import psf_stars, reference_pairs

CELLS = 5
"""Cells along a detector's side."""
FEWEST_IN_CELL = 5
ZOOM = 10
"""Whiskers of residuals are drawn this many times as long as those of stars."""
ASINH_LEVEL = 300.0
MEDIAN_ERROR = 1.2533
"""Standard error of a median over that of a mean."""
DARK = 0.6
"""Cells beyond this part of the colours' range are too dark for black figures."""
MAGNITUDE_STEP = 0.5
WIDTHS = 8
"""Half of the range of residuals that is shown [robust standard deviation]."""


def psf_whiskers(results):
    """Ellipticity of stars over the detectors, and what the PSF leaves of it.

    Parameters
    ----------
    results : Path
        Output root of the demo.

    Returns
    -------
    Figure
        A row of stars and a row of residuals, a column a detector.
    """
    stars = psf_stars(results)
    detectors = np.unique(stars.detector)
    figure = Figure(figsize=(3.7 * len(detectors), 7.4), layout="constrained")
    residuals = stars.star - stars.psf
    error = _error_of_cell(residuals.real, len(detectors))
    unit = np.median(np.abs(stars.star))
    rows = figure.subplots(2, len(detectors), squeeze=False)
    parts = zip(rows.T, detectors, _by_detector(stars, stars.star, residuals), strict=True)
    for (above, below), detector, (x, y, whole, rest) in parts:
        _draw_whiskers(above, (x, y), whole, unit)
        _draw_whiskers(below, (x, y), rest, unit / ZOOM)
        above.set_title(f"detector {detector}: stars", loc="left", fontsize=9)
        below.set_title(f"stars minus PSF, each ± {error:.4f}", loc="left", fontsize=9)
    return figure


def psf_residuals(results):
    """Median star, what the PSF leaves of it, and how the size of stars differs from the PSF's over the detectors.

    Parameters
    ----------
    results : Path
        Output root of the demo.

    Returns
    -------
    Figure
        Two images, then a map a detector.
    """
    stars = psf_stars(results)
    figure, (image, rest, *maps) = _row_of_panels(stars, [1, 1])
    median = np.median(stars.stamps, axis=0)
    image.imshow(np.arcsinh(ASINH_LEVEL * median), cmap="gray_r")
    image.set_title(f"median of {len(stars.x)} stars, asinh", fontsize=9)
    _draw_colours(figure, rest, 100 * np.median(stars.residuals, axis=0) / median.max())
    rest.set_title("stars minus PSF [% of the peak]", fontsize=9)
    _draw_maps(maps, stars, 100 * stars.size, "dT / T [%]")
    for panel in (image, rest):
        panel.set(xticks=[], yticks=[])
    return figure


def photometric_residuals(results):
    """Magnitudes of reference stars minus those of sources, against magnitude and over the detectors.

    Parameters
    ----------
    results : Path
        Output root of the demo.

    Returns
    -------
    Figure
        A scatter plot, then a map a detector.
    """
    pairs = reference_pairs(results)
    figure, (scatter, *maps) = _row_of_panels(pairs, [1.7])
    _draw_against_magnitude(scatter, pairs.magnitude, {"reference minus source": pairs.flux})
    scatter.set(ylabel="residual [mmag]")
    _draw_maps(maps, pairs, pairs.flux, "residual [mmag]")
    return figure


def position_residuals(results):
    """Positions of sources minus those of reference stars, against magnitude and over the detectors.

    Parameters
    ----------
    results : Path
        Output root of the demo.

    Returns
    -------
    Figure
        A scatter plot, then arrows a detector.
    """
    pairs = reference_pairs(results)
    figure, (scatter, *maps) = _row_of_panels(pairs, [1.7])
    residuals = {"along x": pairs.along_x, "along y": pairs.along_y}
    _draw_against_magnitude(scatter, pairs.magnitude, residuals)
    scatter.set(ylabel="source minus reference star [mas]")
    detectors = np.unique(pairs.detector)
    error = _error_of_cell(np.concatenate([pairs.along_x, pairs.along_y]), 2 * len(detectors))
    parts = zip(maps, detectors, _by_detector(pairs, pairs.along_x, pairs.along_y), strict=True)
    for panel, detector, (x, y, along_x, along_y) in parts:
        vectors = [cell_medians(x, y, values) for values in (along_x, along_y)]
        _draw_vectors(panel, (x, y), vectors, (2 * error, " mas"), has_head=True)
        panel.set_title(f"detector {detector}: medians", loc="left", fontsize=9)
    return figure


def cell_medians(x, y, values):
    """Medians in square cells of what was measured over a detector.

    Parameters
    ----------
    x, y : ndarray, shape (n,), float64
        Where the values are [pixel].
    values : ndarray, shape (n,), float64
        What to take medians of.

    Returns
    -------
    ndarray, shape (CELLS, CELLS), float64
        ``[y, x]``; NaN where a cell holds fewer than `FEWEST_IN_CELL` values.
    """
    row, column = (np.minimum(CELLS * place / _side(x, y), CELLS - 1).astype(int) for place in (y, x))
    medians = np.full((CELLS, CELLS), np.nan)
    for cell in np.ndindex(CELLS, CELLS):
        inside = (row == cell[0]) & (column == cell[1])
        if inside.sum() >= FEWEST_IN_CELL:
            medians[cell] = np.median(values[inside])
    return medians


def _side(x, y):
    """Side of the square that the detector's sources fill [pixel]."""
    return max(x.max(), y.max())


def _row_of_panels(measured, first):
    """Figure with panels of relative widths, then one a detector."""
    n = len(np.unique(measured.detector))
    widths = [*first, *[1] * n]
    figure = Figure(figsize=(3.2 * sum(widths), 3.3), layout="constrained")
    return figure, figure.subplots(1, len(widths), width_ratios=widths)


def _draw_maps(panels, measured, values, name):
    """Draw medians of cells as colours, a panel a detector, all with one scale and with the error of a median."""
    maps = [cell_medians(*parts) for parts in _by_detector(measured, values)]
    limit = np.nanmax(np.abs(maps))
    error = _error_of_cell(values, len(maps))
    for panel, detector, cells in zip(panels, np.unique(measured.detector), maps, strict=True):
        panel.imshow(cells, cmap="RdBu_r", vmin=-limit, vmax=limit)
        for (row, column), value in np.ndenumerate(cells):
            if np.isfinite(value):
                colour = "white" if abs(value) > DARK * limit else "black"
                panel.text(column, row, f"{value:+.2f}", ha="center", va="center", fontsize=7, color=colour)
        panel.set_title(f"detector {detector}: {name}, each ± {error:.2f}", loc="left", fontsize=9)
        panel.set(xticks=[], yticks=[])


def _by_detector(measured, *values):
    """x, y and values of the stars of each detector (list of list of ndarray)."""
    return [
        [plane[measured.detector == detector] for plane in (measured.x, measured.y, *values)]
        for detector in np.unique(measured.detector)
    ]


def _error_of_cell(values, n_detector):
    """Standard error of the median of a cell that holds as many values as the mean one."""
    return MEDIAN_ERROR * mad_sigma(values) / np.sqrt(len(values) / (n_detector * CELLS**2))


def _draw_against_magnitude(panel, magnitude, residuals):
    """Draw each residual against magnitude, with the median and robust scatter of bins of half a magnitude."""
    edges = np.arange(np.floor(magnitude.min()), np.ceil(magnitude.max()) + MAGNITUDE_STEP, MAGNITUDE_STEP)
    number = np.digitize(magnitude, edges)
    for shift, (name, values) in enumerate(residuals.items()):
        colour = f"C{shift}"
        panel.plot(magnitude, values, ".", ms=2, alpha=0.4, color=colour)
        bins = [number == k for k in np.unique(number) if (number == k).sum() >= FEWEST_IN_CELL]
        panel.errorbar(
            [np.median(magnitude[inside]) + 0.05 * shift for inside in bins],
            [np.median(values[inside]) for inside in bins],
            [mad_sigma(values[inside]) for inside in bins],
            fmt="o", color=colour, mec="black", ms=4, capsize=2, zorder=3,
            label=f"{name}: median {np.median(values):+.2f}, robust scatter {mad_sigma(values):.1f}",
        )  # fmt: skip
    limit = WIDTHS * max(mad_sigma(values) for values in residuals.values())
    panel.axhline(0, color="grey", lw=0.5)
    panel.set(xlabel="magnitude of the reference star [AB]", ylim=(-limit, limit))
    panel.legend(frameon=False, loc="upper left")


def _draw_colours(figure, panel, image):
    """Draw an image of both signs with its scale."""
    limit = np.abs(image).max()
    drawn = panel.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.colorbar(drawn, ax=panel, shrink=0.8)


def _draw_whiskers(panel, place, ellipticities, unit):
    """Draw the median ellipticity of each cell as a line along its axis, as long as half a cell for `unit`."""
    e1, e2 = (cell_medians(*place, part) for part in (ellipticities.real, ellipticities.imag))
    size, angle = np.hypot(e1, e2), np.arctan2(e2, e1) / 2
    _draw_vectors(panel, place, (size * np.cos(angle), size * np.sin(angle)), (unit, ""), has_head=False)


def _draw_vectors(panel, place, vectors, unit, *, has_head):
    """Draw a vector at the middle of each cell, half a cell long for a unit, with a key."""
    side = _side(*place)
    middles = (np.arange(CELLS) + 0.5) * side / CELLS
    length, name = unit
    head = {} if has_head else {"headwidth": 0, "headlength": 0, "headaxislength": 0}
    drawn = panel.quiver(
        *np.meshgrid(middles, middles), *vectors, angles="xy", scale_units="xy",
        scale=length / (side / CELLS / 2), width=0.006, pivot="mid", **head,
    )  # fmt: skip
    panel.quiverkey(
        drawn, 0.84, 1.04, length, f"{length:.2g}{name}", labelpos="E", fontproperties={"size": 8}
    )
    panel.set(xlim=(0, side), ylim=(0, side), aspect="equal", xticks=[], yticks=[])
