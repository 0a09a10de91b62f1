"""Combined calibrations one by one: frames, age, level, scatter and bad pixels."""

import numpy as np

from skyloom.algorithms.robust import mad_sigma
from skyloom.core import mask_planes
from skyloom.report.metrics import Measurement, counted

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
        band = combination.rpartition("/")[2] if calib.kind == "flat" else "all"
        usable = ~calib.is_bad
        values = calib.image[usable]
        numbers = {
            "calib_level": float(np.median(values)) if values.size else np.nan,
            "calib_scatter": mad_sigma(values),
            "calib_bad_fraction": float(1 - usable.mean()),
        }
        if combination in ages:
            measurements.append(Measurement("calib_age", band, ages[combination], 1, 0.0, subject))
        if "n_frame" in calib.info:
            measurements.append(counted("calib_n_frame", band, calib.info["n_frame"], subject))
        for key, value in numbers.items():
            measurements.append(Measurement(key, band, value, usable.sum().item(), subject=subject))
    return measurements
