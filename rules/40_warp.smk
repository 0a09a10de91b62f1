"""Calexps of one visit -> their pixels on those of a patch."""


rule warp_visit:
    input:
        calexps=targets.calexps_of_warp,
        visit_calib=targets.visit_calib_of,
        visit_sky=targets.visit_sky_of,
        kernels=ancient(path("kernels")),
    output:
        warp=path("warp"),
    log:
        log_of("warp"),
    benchmark:
        benchmark_of("warp")
    params:
        settings=settings("warp"),
        code=fingerprint("warp_visit"),
        sky_map=targets.sky_map_of_tract,
    resources:
        mem_mb=memory_of("warp"),
        runtime=runtime_of("warp"),
    conda:
        "../envs/science.yaml"
    script:
        "../scripts/warp_visit.py"
