"""Rule combine_illumination: science frames + calibrations -> illumination of one detector and band."""

import logging

import numpy as np

from skyloom.calibs.illumination import combine_illumination, sky_shape
from skyloom.core.errors import DataError
from skyloom.core.images import ExposureInfo
from skyloom.io.calibs import read_calibs, write_calib
from skyloom.io.cameras import read_camera
from skyloom.io.raws import read_raw
from skyloom.isr.circumstances import check_circumstances
from skyloom.isr.pipeline import remove_instrument_signature
from skyloom.workflow import run_job

log = logging.getLogger(__name__)


def skies_of(rows, camera, detector, settings):
    """Shape of the sky in each frame, one frame in memory at a time; one that cannot be used is logged and left out.

    Parameters
    ----------
    rows : sequence of dict
        ``raw`` and ``calibs`` (path by kind) of each frame, ``visit``: fields of its `ExposureInfo`.
    camera : Camera
        Of all of them.
    detector : int
        The detector to read.
    settings : dict
        Section ``isr``.

    Yields
    ------
    ndarray, shape (my, mx), float64
        From `sky_shape`.
    """
    for row in rows:
        info = ExposureInfo(detector=detector, **row["visit"])
        try:
            raw = read_raw(row["raw"], camera.detectors[detector], camera.raw)
            check_circumstances(raw.header, info, camera, settings)
            exposure = remove_instrument_signature(raw, read_calibs(row["calibs"]), info, settings)
            yield sky_shape(exposure.pixels)
        except DataError as error:
            log.warning("%s is left out: %s: %s", row["raw"], error.reason, error)


def main(job):
    camera, detector = read_camera(job.params.camera), int(job.wildcards.detector)
    settings = job.params.settings
    skies = np.array(list(skies_of(job.params.frames, camera, detector, settings["isr"])))
    illumination = combine_illumination(skies, camera.detectors[detector].shape, settings["calibs"])
    write_calib(job.output.illumination, illumination, job.provenance)


if __name__ == "__main__":
    run_job(main, snakemake, has_tombstones=False)
