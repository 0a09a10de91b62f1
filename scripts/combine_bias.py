"""Rule combine_bias: bias frames -> combined bias of one detector."""

from pathlib import Path

from skyloom.calibs.pipeline import combine_bias
from skyloom.io.calibs import frame_stack, write_calib
from skyloom.io.cameras import read_camera
from skyloom.io.raws import read_raw
from skyloom.isr.assembly import assemble_frame
from skyloom.workflow import run_job


def main(job):
    camera = read_camera(job.params.camera)
    detector = camera.detectors[int(job.wildcards.detector)]
    settings = job.params.settings
    with frame_stack(len(job.input.frames), detector.shape, Path(job.output.bias).parent) as stack:
        for index, path in enumerate(job.input.frames):
            stack[index] = assemble_frame(read_raw(path, detector, camera.raw), settings["isr"]).image
        bias = combine_bias(stack, settings["calibs"])
    write_calib(job.output.bias, bias, job.provenance)


if __name__ == "__main__":
    run_job(main, snakemake, has_tombstones=False)
