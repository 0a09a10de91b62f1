"""Products (+ truth of a simulated survey) -> metrics and pictures; status of all products -> failures by reason."""


rule check_survival:
    input:
        visit_summaries=targets.visit_summaries(),
        dia_sources=targets.dia_sources(),
        objects=targets.objects(),
        dia_objects=targets.dia_objects(),
    output:
        failures=path("drp_failures"),
    log:
        log_of("drp_failures"),
    benchmark:
        benchmark_of("drp_failures")
    params:
        settings=settings("min_good_fraction"),
        code=fingerprint("check_survival"),
        dia_ids=targets.science_pairs(),
    resources:
        mem_mb=memory_of("survival"),
        runtime=runtime_of("survival"),
    conda:
        "../envs/science.yaml"
    script:
        "../scripts/check_survival.py"


use rule check_survival as ap_check_survival with:
    input:
        visit_summaries=[path("visit_summary")],
        dia_sources=targets.ap_dia_sources,
    output:
        failures=path("ap_failures"),
    log:
        log_of("ap_failures"),
    benchmark:
        benchmark_of("ap_failures")
    params:
        settings=settings("min_good_fraction"),
        code=fingerprint("check_survival"),
        dia_ids=targets.ap_pairs,


rule write_report:
    input:
        visit_summaries=targets.visit_summaries(),
        calexps=targets.catalogues("calexp"),
        srcs=targets.catalogues("src"),
        coadds=targets.deep_coadds(),
        objects=targets.objects(),
        diffs=targets.diffs(),
        dia_sources=targets.dia_sources(),
        dia_objects=targets.dia_objects(),
        truth_object=skyloom.truth_object(),
        truth_sources=skyloom.truth_sources_of(targets.survey.detectors),
        failures=path("drp_failures"),
    output:
        metrics=path("metrics"),
        colour_coadd=path("report_picture").format(picture="colour_coadd"),
        difference_triplets=path("report_picture").format(picture="difference_triplets"),
        astrometric_residuals=path("report_picture").format(picture="astrometric_residuals"),
    log:
        log_of("metrics"),
    benchmark:
        benchmark_of("metrics")
    params:
        settings=settings("report"),
        code=fingerprint("write_report"),
        bands=skyloom.survey.settings["bands"],
        template_visits=targets.template_visits(),
    resources:
        mem_mb=memory_of("report"),
        runtime=runtime_of("report"),
    conda:
        "../envs/report.yaml"
    script:
        "../scripts/write_report.py"
