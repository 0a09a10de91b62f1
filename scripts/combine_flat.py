"""Rule combine_flat: flat frames + bias + dark -> combined flat of one detector and band."""

from pathlib import Path

import numpy as np

from skyloom.calibs.pipeline import combine_flat
from skyloom.io.calibs import frame_stack, read_calibs, write_calib
from skyloom.io.cameras import read_camera
from skyloom.io.raws import read_raw
from skyloom.isr.assembly import assemble_frame
from skyloom.isr.circumstances import check_calibration_frame
from skyloom.isr.correction import usable_light
from skyloom.workflow import run_job


def main(job):
    camera = read_camera(job.params.camera)
    detector = camera.detectors[int(job.wildcards.detector)]
    settings = job.params.settings
    calibs = read_calibs({"bias": job.input.bias, "dark": job.input.dark})
    read_noises = []
    with frame_stack(len(job.input.frames), detector.shape, Path(job.output.flat).parent) as stack:
        for index, path in enumerate(job.input.frames):
            raw = read_raw(path, detector, camera.raw)
            check_calibration_frame(raw.header, job.params.frames[index], camera, settings["isr"])
            frame = assemble_frame(raw, settings["isr"])
            stack[index] = usable_light(frame, calibs, job.params.frames[index]["exposure_time"])
            read_noises.append(frame.read_noise)
        flat = combine_flat(stack, float(np.mean(read_noises)), settings["calibs"])
    write_calib(job.output.flat, flat, job.provenance)


if __name__ == "__main__":
    run_job(main, snakemake, has_tombstones=False)
