"""Pages of made-up surveys of any size."""

import numpy as np
from report_parts import summary_of

from skyloom.report.ellipticity import PSF_SHAPE
from skyloom.report.machine import machine_table
from skyloom.report.metrics import Measurement, counted, fraction_of, median_of, metrics_table
from skyloom.report.page import PageParts
from skyloom.report.pictures import empty_picture
from skyloom.report.sky_objects import sky_measurements
from skyloom.report.visits import gather_losses, gather_visits
from skyloom.workflow.paths import PICTURES
from skyloom.workflow.survival import FAILURES

BANDS = ["g", "r", "i"]
CELLS = 4


def made_up_parts(n_visit, n_detector, costs=()):
    """Return the parts of a page of some visits of which the last lost its first detector."""
    rng = np.random.default_rng(n_visit)
    n = n_visit * n_detector
    visit = np.repeat(np.arange(1, n_visit + 1), n_detector)
    lost = n - n_detector
    status = ["OK"] * n
    status[lost] = "FAILED"
    noise = rng.normal(0, 0.05, n)
    summary = summary_of(
        visit=visit, detector=np.tile(np.arange(n_detector), n_visit), band=[BANDS[v % 3] for v in visit],
        status=status, expMidptMJD=61000 + visit // 100 + visit % 100 * 0.0005, expTime=np.full(n, 30.0),
        airmass=np.full(n, 1.2), seeing=0.8 + noise, magLim=24 + noise, zeroPoint=28 + noise,
        zeroPointErr=np.full(n, 0.01), skyBg=400 + noise, pixelScale=np.full(n, 0.2),
        astromRmsRa=np.full(n, 0.01), astromRmsDec=np.full(n, 0.01),
    )  # fmt: skip
    shapes = whiskers(rng, n_visit, n_detector)
    failures = FAILURES.table(
        {"step": ["calibrate_image"], "visit": [n_visit], "detector": [0], "reason": ["TruncatedRaw"],
         "message": ["raw/1/0.fits has <2> blocks & needs 9"]}
    )  # fmt: skip
    measurements = gather_losses(failures, {"survived": n - 1}) + gather_visits(summary, BANDS, shapes)
    for number in range(1, n_visit + 1):
        measurements += sky_measurements([rng.normal(0, 1, 20)], BANDS[number % 3], f"visit {number}")
    for band in BANDS:
        measurements += [
            Measurement("PA1", band, {"g": 4.0, "r": 6.0, "i": 9.0}[band], 100, 0.5),
            Measurement("TE2", band, np.nan, 0),
            fraction_of("star_completeness", band, 90, 100),
            median_of("coadd_depth", band, [25.1, 25.3]),
            Measurement("coadd_depth", band, 25.123, 1, subject=f"coadd {band}/1/0_0"),
            Measurement("coadd_noise_ratio", band, 1.02, 1, subject=f"coadd {band}/1/0_0"),
        ]
    measurements.append(counted("calib_n_frame", "all", 12, "calib e1/bias/none/0"))
    return PageParts(
        "made-up",
        metrics_table(measurements),
        shapes,
        failures,
        machine_table(list(costs)),
        "# What this run used\n\n## Methods\n\n- All by hand.\n",
        {name: empty_picture(name) for name in PICTURES},
    )


def whiskers(rng, n_visit, n_detector):
    """Return the shapes of the PSF in the cells of all detectors."""
    n = n_visit * n_detector * CELLS
    side = int(np.ceil(np.sqrt(n_detector * CELLS)))
    cell = np.tile(np.arange(n_detector * CELLS), n_visit)
    return PSF_SHAPE.table({
        "visit": np.repeat(np.arange(1, n_visit + 1), n_detector * CELLS),
        "detector": cell // CELLS, "xi": cell % side, "eta": cell // side,
        "e1": rng.normal(0, 0.05, n), "e2": rng.normal(0, 0.05, n),
    })  # fmt: skip
