"""The level that an amplifier adds to every pixel, and its read noise, from the overscan."""

from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.robust import clipped_statistics
from skyloom.core.errors import ConfigError

CLIP_SIGMA = 3.0
NOISE_CLIP = 4.0
"""Clipping of the differences that the noise is measured from [sigma]: lowers it by 0.1 % only."""

MEDIAN_VARIANCE = np.pi / 2
"""Variance of the median of many normal values over that of their mean."""


class OverscanSectionError(ConfigError):
    """An amplifier's overscan does not lie beside its data.

    Parameters
    ----------
    amplifier : str
        The amplifier.
    overscan, data : tuple of int
        The sections (x0, x1, y0, y1).
    """

    def __init__(self, amplifier, overscan, data):
        super().__init__(
            f"amplifier {amplifier}: overscan_section {overscan} must cover the rows of data_section {data} "
            "and keep columns after the skipped ones: see the camera file and isr.overscan"
        )
        self.amplifier, self.overscan, self.data = amplifier, overscan, data


@dataclass(frozen=True, slots=True)
class OverscanLevel:
    """What the overscan of one amplifier says.

    Attributes
    ----------
    rows : ndarray, shape (rows of the data section,), float32
        Level of each row [ADU]; NaN where the overscan holds no number.
    error : float
        Standard error of one row's level [ADU].
    noise : float
        Read noise [ADU]; NaN where there is no overscan.
    """

    rows: np.ndarray
    error: float
    noise: float


def measure_overscan(plane, amplifier, settings):
    """Overscan level of each row of an amplifier's data section.

    Parameters
    ----------
    plane : ndarray, shape (ny, nx), float32
        Raw plane that holds the amplifier [ADU].
    amplifier : Amplifier
        With its sections.
    settings : dict
        ``method``: median_per_row, mean_per_row, constant or none; ``skip_leading``, ``skip_trailing``:
        columns left out at the two ends, which hold the trail of the last data column and read-out
        transients; ``level``: what an amplifier without overscan gets [ADU].

    Returns
    -------
    OverscanLevel
        Constant, with NaN noise, for an amplifier without overscan; 0 for the method ``none``.

    Raises
    ------
    OverscanSectionError
        If the section cannot serve the data rows.

    Notes
    -----
    The read noise is the clipped scatter of differences of neighbouring columns over sqrt(2): levels that
    drift from row to row do not enter, the noise of the quantisation does, as it does in the data.
    """
    _, _, y0, y1 = amplifier.data_section
    if amplifier.overscan_section is None or settings["method"] == "none":
        level = 0.0 if settings["method"] == "none" else settings["level"]
        return OverscanLevel(np.full(y1 - y0, level, dtype=np.float32), 0.0, float("nan"))
    left, right, bottom, top = amplifier.overscan_section
    left, right = left + settings["skip_leading"], right - settings["skip_trailing"]
    if bottom > y0 or top < y1 or right - left < 2:
        raise OverscanSectionError(amplifier.name, amplifier.overscan_section, amplifier.data_section)
    strip = plane[y0:y1, left:right].astype(np.float64)
    noise = clipped_statistics(np.diff(strip, axis=1), n_sigma=NOISE_CLIP).sigma / np.sqrt(2)
    rows, error = _row_levels(strip, noise, settings["method"])
    return OverscanLevel(rows.astype(np.float32), float(error), float(noise))


def _row_levels(strip, noise, method):
    """Level of each row of an overscan strip, and its standard error."""
    n_row, n_column = strip.shape
    readable = np.isfinite(strip).any(axis=1)
    rows = np.full(n_row, np.nan)
    medians = np.nanmedian(strip[readable], axis=1)
    if method == "median_per_row":
        rows[readable] = medians
        return rows, noise * np.sqrt(MEDIAN_VARIANCE / n_column)
    if method == "constant":
        if readable.any():
            rows[:] = np.nanmedian(strip[readable])
        return rows, noise * np.sqrt(MEDIAN_VARIANCE / strip.size)
    outlier = np.abs(strip[readable] - medians[:, None]) > CLIP_SIGMA * max(noise, 1.0)
    clipped = np.where(outlier, np.nan, strip[readable])
    # Of a damaged row, two values far apart can both be outliers of their median.
    clipped = np.where(np.isfinite(clipped).any(axis=1, keepdims=True), clipped, medians[:, None])
    rows[readable] = np.nanmean(clipped, axis=1)
    return rows, noise / np.sqrt(n_column)
