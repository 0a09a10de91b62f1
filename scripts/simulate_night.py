"""Rule simulate_night: truth/object, truth/orbit -> the night's raw frames and truth/source.

The job needs
    job.input.truth_object, job.input.truth_orbit
    job.output.raw            a list: row by row of visits, detectors ascending
    job.output.truth_source   a list: one file a visit, in the same order
    job.params.settings["simulate"], job.params.seed, job.params.bands, job.params.camera (the camera's file)
    job.params.visits         rows (dicts) of the visits of this night and camera
"""

from skyloom.io.cameras import read_camera
from skyloom.io.raws import write_raw
from skyloom.io.tables import read_table, write_table
from skyloom.simulate.bad_frames import TRUNCATED, bad_kind, spoil_planes, truncate_file
from skyloom.simulate.catalog import SOURCE_COLUMNS, from_tables, join_sources, to_table
from skyloom.simulate.headers import named_planes, sky_headers
from skyloom.simulate.pipeline import simulate_exposure
from skyloom.simulate.simulation import Simulation
from skyloom.workflow import run_job


def main(job):
    camera, settings = read_camera(job.params.camera), job.params.settings["simulate"]
    simulation = Simulation(settings, tuple(job.params.bands), job.params.seed, camera)
    objects = from_tables(read_table(job.input.truth_object), read_table(job.input.truth_orbit))
    detectors = [camera.detectors[number] for number in sorted(camera.detectors)]
    paths = iter(job.output.raw)
    for visit, truth_path in zip(job.params.visits, job.output.truth_source, strict=True):
        sources = []
        for detector in detectors:
            bad = bad_kind(settings["bad_frames"], visit["visit"], detector.id)
            planes, rows = simulate_exposure(visit, detector, objects, simulation, bad)
            sources.append(rows)
            path = next(paths)
            planes = spoil_planes(named_planes(planes, camera), bad)
            write_raw(path, planes, sky_headers(visit, detector, camera))
            if bad == TRUNCATED:
                truncate_file(path)
        write_table(truth_path, to_table(SOURCE_COLUMNS, join_sources(sources)), job.provenance)


if __name__ == "__main__":
    run_job(main, snakemake, has_tombstones=False)
