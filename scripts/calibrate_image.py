"""Rule calibrate_image: raw frame + calibrations, or calibrated image; + reference catalogue -> calexp + sources."""

from dataclasses import replace

from skyloom.calibrate.pipeline import calibrate_image, reference_region
from skyloom.core.calib_images import KINDS
from skyloom.core.geometry import predicted_wcs
from skyloom.core.images import VISIT_FIELDS, ExposureInfo
from skyloom.core.random import generator
from skyloom.core.schemas import SOURCE
from skyloom.io.calibrated import read_calibrated
from skyloom.io.calibs import read_calibs
from skyloom.io.cameras import read_camera
from skyloom.io.exposures import write_exposure
from skyloom.io.psf_models import read_psfex
from skyloom.io.raws import read_raw
from skyloom.io.reference import read_reference_catalog
from skyloom.io.tables import write_table
from skyloom.isr.calibrated import exposure_of_calibrated
from skyloom.isr.circumstances import check_circumstances
from skyloom.isr.pipeline import remove_instrument_signature
from skyloom.workflow import run_job


def main(job):
    visit, settings = job.params.visit, job.params.settings
    detector = int(job.wildcards.detector)
    camera = read_camera(job.params.camera)
    info = ExposureInfo(detector=detector, **{name: visit[name] for name in VISIT_FIELDS})
    exposure = (exposure_of_raw if camera.calibrated is None else calibrated_exposure)(job, camera, info)
    wcs = exposure.wcs or predicted_wcs(camera, detector, info.ra, info.dec, info.rotation)
    references = None
    if job.input.reference:
        region = reference_region(wcs, info, settings["calibrate"]["astrometry"])
        references = read_reference_catalog(
            *(job.input.reference, settings["reference"], info.band, region, info.mjd),
            with_colour=settings["calibrate"]["psf"]["colour_term"],
        )
    rng = generator(job.params.seed, "calibrate_image", info.visit, detector)
    calexp, sources = calibrate_image(exposure, references, wcs, settings["calibrate"], rng)
    write_exposure(job.output.calexp, calexp, job.provenance)
    write_table(job.output.src, sources, job.provenance)


def exposure_of_raw(job, camera, info):
    """Exposure in electrons of a raw frame."""
    settings = job.params.settings["isr"]
    raw = read_raw(job.input.raw, camera.detectors[info.detector], camera.raw)
    check_circumstances(raw.header, info, camera, settings)
    calibs = read_calibs({kind: getattr(job.input, kind, "") for kind in KINDS})
    return remove_instrument_signature(raw, calibs, info, settings)


def calibrated_exposure(job, camera, info):
    """Exposure in electrons of a calibrated image, with the WCS, zero point and PSF that come with it."""
    settings, detector = job.params.settings["isr"], camera.detectors[info.detector]
    companions = {kind: getattr(job.input, kind, "") for kind in ("mask", "variance")}
    frame = read_calibrated(job.input.raw, companions, detector, camera)
    check_circumstances(frame.header, info, camera, settings)
    is_kept = job.params.settings["calibrate"]["astrometry"]["wcs"] == "given"
    needs_wcs = is_kept or frame.image.shape != detector.shape
    zero_point = job.params.visit["zero_point"]
    exposure = exposure_of_calibrated(frame, info, zero_point, settings, needs_wcs=needs_wcs)
    return replace(exposure, psf=read_psfex(job.input.psf)) if job.input.psf else exposure


if __name__ == "__main__":
    run_job(main, snakemake, schemas={"src": SOURCE})
