"""Calexps of a visit -> one sky of all its detectors, where `visit_sky.enabled` asks for it."""

if skyloom.with_visit_sky:

    rule fit_visit_sky:
        input:
            calexps=targets.of_visit("calexp"),
            kernels=ancient(path("kernels")),
        output:
            visit_sky=path("visit_sky"),
        log:
            log_of("visit_sky"),
        benchmark:
            benchmark_of("visit_sky")
        params:
            settings=settings("visit_sky", without=("visit_sky.enabled",)),
            code=fingerprint("fit_visit_sky"),
        resources:
            mem_mb=memory_of("visit_sky"),
            runtime=runtime_of("visit_sky"),
        conda:
            "../envs/science.yaml"
        script:
            "../scripts/fit_visit_sky.py"
