"""Raw frame + calibrations, or calibrated image; + reference catalogue -> calexp and src, a summary of each visit."""


rule calibrate_image:
    input:
        raw=targets.raw_of,
        mask=targets.companion_of("mask"),
        variance=targets.companion_of("variance"),
        psf=targets.companion_of("psf"),
        bias=targets.calib_of("bias"),
        dark=targets.calib_of("dark"),
        flat=targets.calib_of("flat"),
        defects=targets.calib_of("defects"),
        illumination=targets.calib_of("illumination"),
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
        mem_mb=memory_of("piff") if skyloom.with_piff else memory_of("calibrate"),
        runtime=runtime_of("piff") if skyloom.with_piff else runtime_of("calibrate"),
    conda:
        "../envs/piff.yaml" if skyloom.with_piff else "../envs/science.yaml"
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
        runtime=runtime_of("summary"),
    conda:
        "../envs/science.yaml"
    script:
        "../scripts/summarize_visit.py"
