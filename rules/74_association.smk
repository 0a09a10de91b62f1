"""DIA sources of all visits -> DIA objects of a tract, and which source belongs to which."""


rule associate_dia_sources:
    input:
        dia_sources=targets.dia_sources_of_tract,
    output:
        dia_object=path("dia_object"),
        dia_match=path("dia_match"),
    log:
        log_of("dia_object"),
    benchmark:
        benchmark_of("dia_object")
    params:
        settings=settings("association"),
        code=fingerprint("associate_dia_sources"),
        sky_map=targets.sky_map,
        bands=skyloom.survey.settings["bands"],
    resources:
        mem_mb=memory_of("association"),
        runtime=runtime_of("association"),
    conda:
        "../envs/science.yaml"
    script:
        "../scripts/associate_dia_sources.py"
