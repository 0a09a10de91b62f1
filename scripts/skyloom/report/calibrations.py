"""Combined calibrations one by one: frames, age, level, scatter and bad pixels."""

from dataclasses import replace

import numpy as np

from skyloom.algorithms.robust import mad_sigma
from skyloom.core import mask_planes
from skyloom.core.calib_images import KINDS_OF_A_BAND
from skyloom.report.metrics import MEDIAN_ERROR, SCATTER_ERROR, Measurement, counted, fraction_of

BAD = mask_planes.bits("BAD")


def gather_calibrations(run, ages):
    """Metrics of each combined calibration that the run's visits take.

    Parameters
    ----------
    run : RunReader
        The run.
    ages : dict of str to float
        Longest time between the frames of ``epoch/kind/band`` and a visit that takes them [d].

    Returns
    -------
    list of Measurement
        Subjects are ``calib epoch/kind/band/detector``.
    """
    measurements = []
    for name, calib in run.calibs():
        subject = f"calib {name}"
        combination, _, _ = name.rpartition("/")
        band = combination.rpartition("/")[2] if calib.kind in KINDS_OF_A_BAND else "all"
        usable = ~calib.is_bad
        values = calib.image[usable]
        n, scatter = values.size, mad_sigma(values)
        level = float(np.median(values)) if n else np.nan
        of_a_pixel = scatter / np.sqrt(n) if n else np.nan
        measurements += [
            Measurement("calib_level", band, level, n, MEDIAN_ERROR * of_a_pixel, subject),
            Measurement("calib_scatter", band, scatter, n, SCATTER_ERROR * of_a_pixel, subject),
            replace(fraction_of("calib_bad_fraction", band, usable.size - n, usable.size), subject=subject),
        ]
        if combination in ages:
            measurements.append(Measurement("calib_age", band, ages[combination], 1, 0.0, subject))
        if "n_frame" in calib.info:
            measurements.append(counted("calib_n_frame", band, calib.info["n_frame"], subject))
    return measurements
