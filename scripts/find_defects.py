"""Rule find_defects: science frames of a drifting field -> defects of one detector."""

import logging

import numpy as np

from skyloom.calibs.defects import find_defects
from skyloom.core.errors import DataError
from skyloom.io.calibs import write_calib
from skyloom.io.cameras import read_camera
from skyloom.io.raws import read_raw
from skyloom.isr.assembly import assemble_frame
from skyloom.workflow import run_job

log = logging.getLogger(__name__)


def usable_frames(paths, detector, layout, settings):
    """Assembled frames, one at a time; a frame that cannot be used is logged and left out.

    Parameters
    ----------
    paths : sequence of str
        Raw files.
    detector : Detector
        The detector to read.
    layout : RawLayout
        How the camera's raw files are laid out.
    settings : dict
        Section ``isr``.

    Yields
    ------
    ndarray, shape (ny, nx), float32
        Overscan subtracted [electron].
    """
    for path in paths:
        try:
            yield assemble_frame(read_raw(path, detector, layout), settings).image
        except DataError as error:
            log.warning("%s is left out: %s: %s", path, error.reason, error)


def main(job):
    camera = read_camera(job.params.camera)
    detector = camera.detectors[int(job.wildcards.detector)]
    settings = job.params.settings
    raws = np.array(job.input.frames)
    n_used = min(len(raws), settings["calibs"]["drift_max_frames"])
    chosen = raws[np.linspace(0, len(raws) - 1, n_used).round().astype(int)]
    frames = usable_frames(chosen, detector, camera.raw, settings["isr"])
    write_calib(job.output.defects, find_defects(frames, settings["calibs"]), job.provenance)


if __name__ == "__main__":
    run_job(main, snakemake, has_tombstones=False)
