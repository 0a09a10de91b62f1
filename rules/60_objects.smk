"""Deep coadds of all bands -> one table of objects of a patch, measured at the same positions in every band."""


rule measure_objects:
    input:
        coadds=targets.coadds_of_objects,
        kernels=ancient(path("kernels")),
    output:
        object=path("object"),
    log:
        log_of("object"),
    benchmark:
        benchmark_of("object")
    params:
        settings=settings("objects"),
        code=fingerprint("measure_objects"),
        sky_map=targets.sky_map,
        bands=skyloom.survey.settings["bands"],
        coadd_bands=targets.bands_of_patch,
    resources:
        mem_mb=memory_of("objects"),
        runtime=runtime_of("objects"),
    conda:
        "../envs/science.yaml"
    script:
        "../scripts/measure_objects.py"
