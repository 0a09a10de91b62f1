"""Raw frame + calibrations + reference catalogue -> calexp and src of each detector, a summary of each visit."""


rule calibrate_image:
    input:
        raw=targets.raw_of,
        bias=targets.calib_of("bias"),
        dark=targets.calib_of("dark"),
        flat=targets.calib_of("flat"),
        defects=targets.calib_of("defects"),
        reference=targets.reference,
        kernels=ancient(path("kernels")),
    output:
        calexp=path("calexp"),
        src=path("src"),
    log:
        log_of("calexp"),
    benchmark:
        benchmark_of("calexp")
    params:
        settings=settings("isr", "calibrate", "reference", without=("reference.path",)),
        code=fingerprint("calibrate_image"),
        visit=targets.observation_of,
        camera=targets.camera_of,
        camera_content=targets.camera_content_of,
        seed=skyloom.survey.settings["seed"],
    resources:
        mem_mb=memory_of("calibrate"),
        runtime="20m",
    conda:
        "../envs/science.yaml"
    script:
        "../scripts/calibrate_image.py"


rule summarize_visit:
    input:
        calexps=targets.of_visit("calexp"),
        srcs=targets.of_visit("src"),
    output:
        visit_summary=path("visit_summary"),
    log:
        log_of("visit_summary"),
    benchmark:
        benchmark_of("visit_summary")
    params:
        code=fingerprint("summarize_visit"),
        visit=targets.observation_of,
    resources:
        mem_mb=memory_of("summary"),
        runtime="10m",
    conda:
        "../envs/science.yaml"
    script:
        "../scripts/summarize_visit.py"
