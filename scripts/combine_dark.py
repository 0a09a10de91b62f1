"""Rule combine_dark: dark frames + bias -> combined dark and hot pixels of one detector."""

from pathlib import Path

from skyloom.calibs.pipeline import combine_dark
from skyloom.io.calibs import frame_stack, read_calibs, write_calib
from skyloom.io.cameras import read_camera
from skyloom.io.raws import read_raw
from skyloom.isr.assembly import assemble_frame
from skyloom.isr.circumstances import check_calibration_frame
from skyloom.isr.correction import subtract_bias_and_dark
from skyloom.workflow import run_job


def main(job):
    camera = read_camera(job.params.camera)
    detector = camera.detectors[int(job.wildcards.detector)]
    settings = job.params.settings
    calibs = read_calibs({"bias": job.input.bias})
    exposure_times = [row["exposure_time"] for row in job.params.frames]
    with frame_stack(len(job.input.frames), detector.shape, Path(job.output.dark).parent) as stack:
        for index, path in enumerate(job.input.frames):
            raw = read_raw(path, detector, camera.raw)
            check_calibration_frame(raw.header, job.params.frames[index], camera, settings["isr"])
            frame = assemble_frame(raw, settings["isr"])
            stack[index] = subtract_bias_and_dark(frame, calibs, exposure_times[index])
        dark, defects = combine_dark(stack, exposure_times, calibs.bias, settings["calibs"])
    write_calib(job.output.dark, dark, job.provenance)
    write_calib(job.output.defects, defects, job.provenance)


if __name__ == "__main__":
    run_job(main, snakemake, has_tombstones=False)
