"""Demo tables + seed -> raw frames, calibration frames, reference catalogue, truth. Only with section simulate."""

# What is added to the light of an exposure, and what calibration frames and the reference catalogue are made from.
OF_EXPOSURES = (
    "simulate.bad_frames",
    "simulate.detector.fringing",
    "simulate.satellites",
    *(f"simulate.telescope.aureole_{name}" for name in ("fraction", "radius")),
    *(f"simulate.telescope.spike_{name}" for name in ("fraction", "length", "angle")),
    *(f"simulate.telescope.ghost_{name}" for name in ("fraction", "radius")),
)
OF_THE_SKY = (
    "simulate.moving_objects",
    "simulate.reference",
    "simulate.detector.flat_level",
    "simulate.detector.flat_reference_time",
    "simulate.telescope.flat_illumination_error",
    "simulate.telescope.twilight_epochs",
    "simulate.telescope.twilight_gradient",
)

if skyloom.is_simulated:

    rule simulate_sky:
        output:
            truth_object=path("truth_object"),
            truth_orbit=path("truth_orbit"),
            reference=path("reference"),
            raw_calib=skyloom.all_frame_raws(),
        log:
            log_of("truth_object"),
        benchmark:
            benchmark_of("truth_object")
        params:
            settings=settings("simulate", without=OF_EXPOSURES),
            code=fingerprint("simulate_sky"),
            seed=skyloom.survey.settings["seed"],
            bands=skyloom.survey.settings["bands"],
            camera=skyloom.simulated_camera[0],
            camera_content=skyloom.simulated_camera[2],
            visits=list(skyloom.survey.visits.values()),
            calibration_frames=list(skyloom.survey.frames.values()),
        resources:
            mem_mb=memory_of("simulate"),
            runtime=runtime_of("simulate", n_frame=len(skyloom.all_frame_raws())),
        conda:
            "../envs/simulate.yaml"
        script:
            "../scripts/simulate_sky.py"


for night, night_visits in skyloom.simulated_nights().items():

    rule:
        name:
            night_rule(night)
        input:
            truth_object=path("truth_object"),
            truth_orbit=path("truth_orbit"),
        output:
            raw=skyloom.raws_of(night_visits),
            truth_source=skyloom.truth_sources_of(night_visits),
        log:
            path("log").format(job=f"simulate_night/{night}"),
        benchmark:
            path("benchmark").format(job=f"simulate_night/{night}")
        params:
            settings=settings("simulate", without=OF_THE_SKY),
            code=fingerprint("simulate_night"),
            seed=skyloom.survey.settings["seed"],
            bands=skyloom.survey.settings["bands"],
            camera=skyloom.simulated_camera[0],
            camera_content=skyloom.simulated_camera[2],
            visits=skyloom.visit_rows(night_visits),
        resources:
            mem_mb=memory_of("simulate"),
            runtime=runtime_of("simulate", n_frame=len(skyloom.raws_of(night_visits))),
        conda:
            "../envs/simulate.yaml"
        script:
            "../scripts/simulate_night.py"
