"""Rule calibrate_image: raw frame + calibrations + reference catalogue -> calexp + table of sources."""

from skyloom.calibrate.pipeline import calibrate_image, reference_region
from skyloom.core.geometry import predicted_wcs
from skyloom.core.images import ExposureInfo
from skyloom.core.random import generator
from skyloom.core.schemas import SOURCE
from skyloom.io.calibs import read_calibs
from skyloom.io.cameras import read_camera
from skyloom.io.exposures import write_exposure
from skyloom.io.raws import read_raw
from skyloom.io.reference import read_reference_catalog
from skyloom.io.tables import write_table
from skyloom.isr.circumstances import check_circumstances
from skyloom.isr.pipeline import remove_instrument_signature
from skyloom.workflow import run_job

INFO_COLUMNS = (
    *("visit", "band", "mjd", "exposure_time", "airmass"),
    *("ra", "dec", "rotation", "pointing_uncertainty", "camera"),
)
CALIB_KINDS = ("bias", "dark", "flat", "defects")


def main(job):
    visit, settings = job.params.visit, job.params.settings
    detector = int(job.wildcards.detector)
    camera = read_camera(job.params.camera)
    info = ExposureInfo(detector=detector, **{name: visit[name] for name in INFO_COLUMNS})
    raw = read_raw(job.input.raw, camera.detectors[detector], camera.raw)
    check_circumstances(raw.header, info, camera, settings["isr"])
    calibs = read_calibs({kind: getattr(job.input, kind, "") for kind in CALIB_KINDS})
    exposure = remove_instrument_signature(raw, calibs, info, settings["isr"])
    wcs = predicted_wcs(camera, detector, info.ra, info.dec, info.rotation)
    region = reference_region(wcs, info, settings["calibrate"]["astrometry"])
    references = read_reference_catalog(
        job.input.reference, settings["reference"], info.band, region, info.mjd
    )
    rng = generator(job.params.seed, "calibrate_image", info.visit, detector)
    calexp, sources = calibrate_image(exposure, references, wcs, settings["calibrate"], rng)
    write_exposure(job.output.calexp, calexp, job.provenance)
    write_table(job.output.src, sources, job.provenance)


if __name__ == "__main__":
    run_job(main, snakemake, schemas={"src": SOURCE})
