"""Skyloom: raw survey images -> calibrated images, coadds, object tables, difference images and DIA sources.

Everything is decided here from the configuration, the tables, the cameras and the sky map; the rules follow
the flow of data, top to bottom. Targets: drp (the default), ap, calibs, report, or any product by its path.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from skyloom.workflow.start import default_configuration, end_of_flow, report_failures, start

if "survey" not in config:

    configfile: default_configuration(workflow.basedir)


skyloom = start(workflow, config)
targets = skyloom.targets


include: "rules/common.smk"


localrules:
    drp,
    ap,
    calibs,
    report,


rule drp:
    """Everything of a data release: calexps, coadds, objects, difference images, DIA objects."""
    input:
        targets.visit_summaries(),
        targets.deep_coadds(),
        targets.objects(),
        targets.dia_objects(),
        check=path("drp_failures"),


rule ap:
    """The prompt flow of one visit against a finished template: --config visit=N, and template.root."""
    input:
        skyloom.ap_products,


rule calibs:
    """All combined calibrations that the survey's visits take."""
    input:
        targets.all_calibs(),


rule report:
    """The data release with its metrics, pictures and the page that shows them."""
    input:
        rules.drp.input,
        path("page"),


include: "rules/00_simulate.smk"
include: "rules/05_kernels.smk"
include: "rules/10_calibs.smk"
include: "rules/20_visit.smk"
include: "rules/30_visit_sky.smk"
include: "rules/40_warp.smk"
include: "rules/50_coadd.smk"
include: "rules/60_objects.smk"
include: "rules/70_diff.smk"
include: "rules/74_association.smk"
include: "rules/90_report.smk"


skyloom.finish_parsing()


onsuccess:
    end_of_flow(skyloom)


onerror:
    report_failures(skyloom, log)
