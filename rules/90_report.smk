"""Status of all products -> failures by reason; products (+ truth of a simulated survey) -> metrics and pictures -> page."""


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
        calibs=targets.all_calibs(),
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
        **{
            name: report(
                path("report_picture").format(picture=name),
                caption=f"../resources/report/{name}.rst",
                category=category,
            )
            for name, category in PICTURES.items()
        },
        metrics=path("metrics"),
        metrics_text=path("metrics_text"),
        psf_shapes=path("psf_shapes"),
        methods=report(path("methods"), caption="../resources/report/methods.rst", category="Run"),
        citations=path("citations"),
    log:
        log_of("metrics"),
    benchmark:
        benchmark_of("metrics")
    params:
        settings=settings("report"),
        code=fingerprint("write_report"),
        bands=skyloom.survey.settings["bands"],
        template_visits=targets.template_visits(),
        calib_ages=targets.calib_ages(),
    resources:
        mem_mb=memory_of("report"),
        runtime=runtime_of("report"),
    conda:
        "../envs/report.yaml"
    script:
        "../scripts/write_report.py"


rule write_page:
    input:
        **{name: path("report_picture").format(picture=name) for name in PICTURES},
        metrics=path("metrics"),
        psf_shapes=path("psf_shapes"),
        failures=path("drp_failures"),
        methods=path("methods"),
    output:
        page=report(path("page"), caption="../resources/report/page.rst", category="Run"),
        machine=path("machine"),
    log:
        log_of("page"),
    benchmark:
        benchmark_of("page")
    params:
        code=fingerprint("write_page"),
        survey=skyloom.survey.settings["survey"],
        benchmarks=skyloom.benchmarks_of(workflow.rules),
    resources:
        mem_mb=memory_of("page"),
        runtime=runtime_of("page"),
    conda:
        "../envs/report.yaml"
    script:
        "../scripts/write_page.py"
