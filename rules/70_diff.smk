"""calexp + template coadds -> difference image and DIA sources; the prompt flow has paths and templates of its own."""


rule subtract_template:
    input:
        calexp=path("calexp"),
        visit_calib=targets.visit_calib_of,
        visit_sky=targets.visit_sky_of,
        template=targets.templates_of,
        kernels=ancient(path("kernels")),
    output:
        difference=path("diff"),
        dia_source=path("dia_source"),
    log:
        log_of("diff"),
    benchmark:
        benchmark_of("diff")
    params:
        settings=settings("diff", "dia"),
        code=fingerprint("subtract_template"),
    resources:
        mem_mb=memory_of("diff"),
        runtime=runtime_of("diff"),
    conda:
        "../envs/science.yaml"
    script:
        "../scripts/subtract_template.py"


if skyloom.has_finished_template:

    use rule subtract_template as ap_subtract_template with:
        input:
            calexp=path("calexp"),
            visit_sky=targets.visit_sky_of,
            template=targets.finished_templates_of,
            kernels=ancient(path("kernels")),
        output:
            difference=path("ap_diff"),
            dia_source=path("ap_dia_source"),
        log:
            log_of("ap_diff"),
        benchmark:
            benchmark_of("ap_diff")
