"""Jobs of damaged raw frames, each in a forked process of its own under limits of time and memory.

``python mutated_raw_jobs.py FOLDER FIRST COUNT`` simulates one good frame below FOLDER, calibrates it once in every
form, then calibrates and summarises COUNT damaged ones, seeds from FIRST, and prints a line of JSON for each.
"""

import importlib.util
import json
import os
import resource
import signal
import sys
import traceback
import warnings
from pathlib import Path
from types import SimpleNamespace

import yaml
from named import Named

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
SIDE, OVERSCAN = 256, 16
HALF = SIDE // 2
VISIT = {
    **{"exposure_name": "X1", "night": "n1", "mjd": 61354.2, "band": "r", "exposure_time": 30.0, "ra": 150.0},
    **{"dec": 2.2, "rotation": 5.0, "pointing_uncertainty": 5.0, "airmass": 1.1, "use": "science"},
    **{"camera": "extensions", "raw": "raw/{visit}/{detector}.fits"},
}
CPU_LIMIT_S = 10
WALL_LIMIT_S = 120
"""A job that sleeps uses no CPU time; the machine may be busy with others, so this one is wide."""
MEMORY_MARGIN = 500 * 1024**2
FIRST_DAMAGED = 1000
"""Visit of the frame of seed 0; the good frames come before it."""
# Never in os.environ of this process's parent: a job refuses libraries that are not pinned to its threads.
PINNED = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
}


def camera_of(layout):
    """Description of a camera of one detector that is read out through two amplifiers."""
    amplifiers = []
    for number, name in enumerate("AB"):
        start = number * (HALF + OVERSCAN) if layout == "single" else 0
        amplifiers.append(
            {
                "name": name,
                "extension": 0 if layout == "single" else name,
                "data_section": [start, start + HALF, 0, SIDE],
                "overscan_section": [start + HALF, start + HALF + OVERSCAN, 0, SIDE],
                "detector_section": [number * HALF, (number + 1) * HALF, 0, SIDE],
                **{"gain": 1.6, "read_noise": 6.0, "saturation": 52000},
            }
        )
    keywords = {
        **{"exposure_name": "OBSID", "exposure_time": "EXPTIME", "band": "FILTER", "mjd_begin": "MJD-OBS"},
        "date_begin": "DATE-OBS",
        **{"ra": "RA", "dec": "DEC", "rotation": "ROTANG", "airmass": "AIRMASS"},
    }
    return {
        **{
            "name": layout,
            "pixel_scale": 0.2,
            "bands": ["g", "r"],
            "raw": {"format": layout, "header": keywords},
        },
        "detectors": {0: {"shape": [SIDE, SIDE], "amplifiers": amplifiers}},
    }


def script(name):
    """Module of a script."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def settings_of():
    """Default settings, with a field crowded enough for a small detector."""
    from skyloom.workflow.config import fill_defaults, load_schema

    density = {
        "stars": {"density": 100, "magnitude_faint": 22.5},
        "galaxies": {"density": 15},
        "transients": {"density": 0},
    }
    given = {"simulate": density | {"telescope": {"pointing_error": 1.0}}}
    return fill_defaults(load_schema(SCRIPTS.parent / "config" / "schema"), given)


def simulate(folder, settings):
    """Write a good raw frame, its reference catalogue and the camera files; return the frame's bytes."""
    from skyloom.workflow import make_job

    for layout in ("extensions", "single"):
        (folder / f"{layout}.yaml").write_text(yaml.safe_dump(camera_of(layout)), encoding="utf-8")
    visit = VISIT | {"visit": 1}
    params = {
        **{"settings": settings, "seed": 3, "bands": ["r"], "camera": str(folder / "extensions.yaml")},
        **{"visits": [visit], "calibration_frames": []},
    }
    truth, raw = str(folder / "truth.parquet"), folder / "good.fits"
    orbit = str(folder / "orbit.parquet")
    outputs = {"truth_object": truth, "truth_orbit": orbit, "reference": str(folder / "reference.parquet")}
    outputs["raw_calib"] = []
    script("simulate_sky").main(make_job("simulate_sky", output=outputs, params=params))
    outputs = {"raw": [str(raw)], "truth_source": [str(folder / "sources.parquet")]}
    script("simulate_night").main(
        make_job(
            "simulate_night",
            input={"truth_object": truth, "truth_orbit": orbit},
            output=outputs,
            params=params,
        )
    )
    return raw.read_bytes()


class Jobs:
    """Jobs of single frames, as Snakemake starts them.

    Parameters
    ----------
    folder : Path
        Working folder, with the camera files and the reference catalogue.
    settings : dict
        The survey's.
    """

    def __init__(self, folder, settings):
        from skyloom.core.schemas import SOURCE

        self.folder, self.settings, self.memory_limit = folder, settings, None
        self.calibrate, self.summarize = (script(n).main for n in ("calibrate_image", "summarize_visit"))
        self.schemas = {"src": SOURCE}

    def snakemake(self, rule, number, inputs, outputs):
        """What Snakemake gives to a script of one frame."""
        return SimpleNamespace(
            **{"rule": rule, "scriptdir": str(SCRIPTS), "input": Named(**inputs), "output": Named(**outputs)},
            **{"wildcards": Named(visit=str(number), detector="0"), "threads": 1},
            log=[f"results/logs/{rule}/{number}.log"],
            params=Named(
                visit=VISIT | {"visit": number},
                settings={name: self.settings[name] for name in ("isr", "calibrate", "reference")},
                camera=inputs.get("camera", ""),
                seed=1,
            ),
            config={"output_root": "results", "raw_root": "."},
        )

    def run(self, number, layout, content):
        """Calibrate and summarise one frame in this process."""
        from skyloom.workflow import run_job

        raw = self.folder / "raw" / str(number) / "0.fits"
        raw.parent.mkdir(parents=True, exist_ok=True)
        raw.write_bytes(content)
        paths = {"calexp": f"results/calexp/{number}/0.fits", "src": f"results/src/{number}/0.parquet"}
        summary = f"results/visit_summary/{number}.parquet"
        for path in (*paths.values(), summary):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        inputs = {"raw": str(raw), "reference": "reference.parquet", "camera": f"{layout}.yaml"}
        run_job(self.calibrate, self.snakemake("calibrate_image", number, inputs, paths), self.schemas)
        inputs = {"calexps": [paths["calexp"]], "srcs": [paths["src"]]}
        outputs = {"visit_summary": summary}
        run_job(self.summarize, self.snakemake("summarize_visit", number, inputs, outputs))

    def forked(self, number, layout, content):
        """Run one frame in a forked process.

        Returns
        -------
        dict
            ``end`` (empty, or how the process died and its last words), ``cpu_s``, and ``peak_bytes`` of
            address space.
        """
        (self.folder / "stderr").write_text("", encoding="utf-8")
        child = os.fork()
        if child == 0:
            self._end_as_child(number, layout, content)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _, status = os.waitpid(child, 0)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        words = (self.folder / "stderr").read_text(encoding="utf-8", errors="replace")
        died = f"signal {signal.Signals(os.WTERMSIG(status)).name}" if os.WIFSIGNALED(status) else ""
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            died = f"exit {os.WEXITSTATUS(status)}"
        peak = [int(line.split()[1]) for line in words.splitlines() if line.startswith("VmPeak:")]
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {
            "end": f"{died}: {words[-3000:]}" if died else "",
            "cpu_s": cpu,
            "peak_bytes": 1024 * peak[-1] if peak else 0,
        }

    def _end_as_child(self, number, layout, content):
        """Run one frame under the limits, and end this process without the parent's farewells."""
        status = 1
        sys.stderr = open(self.folder / "stderr", "w", encoding="utf-8", errors="replace")  # noqa: SIM115
        os.dup2(sys.stderr.fileno(), 2)
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.alarm(WALL_LIMIT_S)
            if self.memory_limit:
                resource.setrlimit(resource.RLIMIT_AS, (self.memory_limit, self.memory_limit))
            self.run(number, layout, content)
            status = 0
        except BaseException:  # the parent reports whatever it was
            traceback.print_exc()
        finally:
            lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
            sys.stderr.write(next(line for line in lines if line.startswith("VmPeak:")) + "\n")
            sys.stderr.flush()
            os._exit(status)


def tell(number, story, outcome):
    """Print a line of one frame."""
    sys.stdout.write(json.dumps({"number": number, "story": story} | outcome) + "\n")
    sys.stdout.flush()


def main(folder, first, count):
    """Calibrate the good frames, then the damaged ones."""
    from mutated_raws import mutated, variants

    os.chdir(folder)
    # The processes that are forked here have the threads of no library but those that they start themselves.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    settings = settings_of()
    good = variants(simulate(folder, settings))
    jobs = Jobs(folder, settings)
    jobs.run(0, *good["extensions"])  # compiles or loads the kernels, imports what is imported late
    jobs.run(0, *good["RICE_1"])
    normal = 0
    for number, (name, (layout, content)) in enumerate(good.items(), start=1):
        outcome = jobs.forked(number, layout, content)
        normal = max(normal, outcome["peak_bytes"])
        tell(number, name, outcome)
    jobs.memory_limit = normal + MEMORY_MARGIN
    for seed in range(first, first + count):
        layout, content, story = mutated(good, seed)
        outcome = jobs.forked(FIRST_DAMAGED + seed, layout, content)
        tell(FIRST_DAMAGED + seed, story, outcome)


if __name__ == "__main__":
    os.environ |= PINNED
    sys.path[:0] = [str(SCRIPTS)]
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3]))
