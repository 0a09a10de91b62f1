"""Rule simulate_sky: tables -> truth/object, truth/orbit, reference catalogue, raw calibration frames.

The job needs
    job.output.truth_object, job.output.truth_orbit, job.output.reference   one file each
    job.output.raw_calib    a list: row by row of calibration_frames, detectors ascending
    job.params.settings["simulate"], job.params.seed, job.params.bands, job.params.camera (the camera's file)
    job.params.visits, job.params.calibration_frames   rows (dicts) of that camera
"""

from skyloom.io.cameras import read_camera
from skyloom.io.raws import write_raw
from skyloom.io.tables import write_table
from skyloom.simulate.catalog import (
    ORBIT_COLUMNS,
    has_orbit,
    object_columns,
    reference_columns,
    select,
    to_table,
)
from skyloom.simulate.headers import calibration_headers, named_planes
from skyloom.simulate.pipeline import simulate_calibration_frame, simulate_sky
from skyloom.simulate.reference import reference_catalog
from skyloom.simulate.simulation import Simulation
from skyloom.workflow import run_job


def main(job):
    camera, bands = read_camera(job.params.camera), tuple(job.params.bands)
    simulation = Simulation(job.params.settings["simulate"], bands, job.params.seed, camera)
    objects = simulate_sky(job.params.visits, simulation)
    write_table(job.output.truth_object, to_table(object_columns(bands), objects), job.provenance)
    orbits = to_table(ORBIT_COLUMNS, select(objects, has_orbit(objects)))
    write_table(job.output.truth_orbit, orbits, job.provenance)
    reference = to_table(reference_columns(bands), reference_catalog(objects, simulation))
    write_table(job.output.reference, reference, job.provenance)
    detectors = [camera.detectors[number] for number in sorted(camera.detectors)]
    frames = [(frame, detector) for frame in job.params.calibration_frames for detector in detectors]
    for path, (frame, detector) in zip(job.output.raw_calib, frames, strict=True):
        planes = simulate_calibration_frame(frame, detector, simulation)
        write_raw(path, named_planes(planes, camera), calibration_headers(frame, detector, camera))


if __name__ == "__main__":
    run_job(main, snakemake, has_tombstones=False)
