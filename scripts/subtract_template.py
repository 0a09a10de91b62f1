"""Rule subtract_template: calexp + template coadds -> difference image and DIA sources."""

import logging

from skyloom.core.errors import UpstreamFailure, worst_of
from skyloom.core.schemas import DIA_SOURCE
from skyloom.dia.pipeline import detect_dia_sources
from skyloom.diff.pipeline import build_template, subtract
from skyloom.diff.template import NoTemplateCoverageError
from skyloom.io.exposures import read_exposure, write_difference
from skyloom.io.tables import write_table
from skyloom.io.visit_sky import read_visit_sky
from skyloom.workflow import run_job

log = logging.getLogger(__name__)


def main(job):
    visit_sky = read_visit_sky(job.input.visit_sky) if job.input.visit_sky else None
    science = read_exposure(job.input.calexp, visit_sky)
    coadds, failures = [], []
    for path in job.input.template:
        try:
            coadds.append(read_exposure(path))
        except UpstreamFailure as failure:
            log.warning("skipped %s", failure)
            failures.append(failure)
    try:
        template = build_template(coadds, science, job.params.settings["diff"])
    except NoTemplateCoverageError as empty:
        # No template is there by the survey's design, unless one of them failed.
        raise worst_of([empty, *failures]) from None
    difference = subtract(science, template, job.params.settings["diff"])
    sources = detect_dia_sources(difference, science, job.params.settings["dia"])
    cards = {"INTEMPL": (bool(template.holds_science.any()), "this visit is part of its own template")}
    write_difference(job.output.difference, difference, job.provenance, cards)
    write_table(job.output.dia_source, sources, job.provenance)


if __name__ == "__main__":
    run_job(main, snakemake, schemas={"dia_source": DIA_SOURCE})
