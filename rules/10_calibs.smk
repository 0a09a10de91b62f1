"""Calibration frames -> combined bias, dark, flat and defects; science frames -> illumination; by epoch."""

ASSEMBLY = ("isr.overscan", "isr.measure_read_noise", "isr.max_noise_ratio", "isr.suspect_fraction")
CIRCUMSTANCES = ("isr.exposure_time_tolerance", "isr.time_tolerance")
COMBINATION = ("calibs.n_sigma", "calibs.n_iter", "calibs.min_frames")
DRIFT = ("calibs.drift_sigma", "calibs.drift_fraction", "calibs.drift_max_frames")


rule combine_bias:
    input:
        frames=targets.calib_frames_of("bias"),
        kernels=ancient(path("kernels")),
    output:
        bias=calib_path("bias"),
    log:
        path("log").format(job="calib/{epoch}/bias/{detector}"),
    benchmark:
        path("benchmark").format(job="calib/{epoch}/bias/{detector}")
    params:
        settings=settings(*ASSEMBLY, *COMBINATION),
        code=fingerprint("combine_bias"),
        camera=targets.epoch_camera(0),
        camera_content=targets.epoch_camera(2),
    resources:
        mem_mb=memory_of("calibs"),
        runtime=runtime_of("calibs"),
    conda:
        "../envs/science.yaml"
    script:
        "../scripts/combine_bias.py"


rule combine_dark:
    input:
        frames=targets.calib_frames_of("dark"),
        bias=targets.epoch_calib("bias", of="dark"),
        kernels=ancient(path("kernels")),
    output:
        dark=calib_path("dark"),
        defects=calib_path("defects"),
    log:
        path("log").format(job="calib/{epoch}/dark/{detector}"),
    benchmark:
        path("benchmark").format(job="calib/{epoch}/dark/{detector}")
    wildcard_constraints:
        epoch=skyloom.frame_epochs,
    params:
        settings=settings(*ASSEMBLY, *COMBINATION, *CIRCUMSTANCES, "calibs.hot_rate", "calibs.hot_sigma"),
        code=fingerprint("combine_dark"),
        frames=targets.frame_rows_of("dark"),
        camera=targets.epoch_camera(0),
        camera_content=targets.epoch_camera(2),
    resources:
        mem_mb=memory_of("calibs"),
        runtime=runtime_of("calibs"),
    conda:
        "../envs/science.yaml"
    script:
        "../scripts/combine_dark.py"


rule combine_flat:
    input:
        frames=targets.calib_frames_of("flat"),
        bias=targets.epoch_calib("bias", of="flat"),
        dark=targets.epoch_calib("dark", of="flat"),
        kernels=ancient(path("kernels")),
    output:
        flat=calib_path("flat", band="{band}"),
    log:
        path("log").format(job="calib/{epoch}/flat/{band}/{detector}"),
    benchmark:
        path("benchmark").format(job="calib/{epoch}/flat/{band}/{detector}")
    params:
        settings=settings(
            *ASSEMBLY, *COMBINATION, *CIRCUMSTANCES, "calibs.flat_min_level", "calibs.low_response"
        ),
        code=fingerprint("combine_flat"),
        frames=targets.frame_rows_of("flat"),
        camera=targets.epoch_camera(0),
        camera_content=targets.epoch_camera(2),
    resources:
        mem_mb=memory_of("calibs"),
        runtime=runtime_of("calibs"),
    conda:
        "../envs/science.yaml"
    script:
        "../scripts/combine_flat.py"


rule combine_illumination:
    input:
        frames=targets.illumination_raws,
        calibs=targets.illumination_calibs,
        kernels=ancient(path("kernels")),
    output:
        illumination=calib_path("illumination", band="{band}"),
    log:
        path("log").format(job="calib/{epoch}/illumination/{band}/{detector}"),
    benchmark:
        path("benchmark").format(job="calib/{epoch}/illumination/{band}/{detector}")
    wildcard_constraints:
        epoch=skyloom.frame_epochs,
    params:
        settings=settings("isr", "calibs.min_frames"),
        code=fingerprint("combine_illumination"),
        frames=targets.illumination_frames,
        camera=targets.epoch_camera(0),
        camera_content=targets.epoch_camera(2),
    resources:
        mem_mb=memory_of("calibs"),
        runtime=runtime_of("calibs"),
    conda:
        "../envs/science.yaml"
    script:
        "../scripts/combine_illumination.py"


rule find_defects:
    input:
        frames=targets.science_raws_of,
        kernels=ancient(path("kernels")),
    output:
        defects=calib_path("defects"),
    log:
        path("log").format(job="calib/{epoch}/defects/{detector}"),
    benchmark:
        path("benchmark").format(job="calib/{epoch}/defects/{detector}")
    wildcard_constraints:
        epoch=skyloom.science_epochs,
    params:
        settings=settings(*ASSEMBLY, "calibs.min_frames", *DRIFT),
        code=fingerprint("find_defects"),
        camera=targets.epoch_camera(0),
        camera_content=targets.epoch_camera(2),
    resources:
        mem_mb=memory_of("calibs"),
        runtime=runtime_of("calibs"),
    conda:
        "../envs/science.yaml"
    script:
        "../scripts/find_defects.py"
