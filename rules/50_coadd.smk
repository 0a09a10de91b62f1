"""Warps -> coadd of a patch: kind deep takes all visits, good_seeing (the template) the best of those for templates."""


rule assemble_coadd:
    input:
        warps=targets.warps_of_coadd,
        kernels=ancient(path("kernels")),
    output:
        coadd=path("coadd"),
    log:
        log_of("coadd"),
    benchmark:
        benchmark_of("coadd")
    params:
        settings=settings("coadd"),
        code=fingerprint("assemble_coadd"),
        sky_map=targets.sky_map_of_tract,
    resources:
        mem_mb=memory_of("coadd"),
        runtime=runtime_of("coadd"),
    conda:
        "../envs/science.yaml"
    script:
        "../scripts/assemble_coadd.py"
