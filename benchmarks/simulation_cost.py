"""What one simulated exposure costs: CPU seconds and memory, beside the bar.

A detector of 4096 x 4096 pixels with 20,000 objects and every effect switched on, then one of 2048 x 2048 with 5,000
objects and the default effects.
"""

import resource
import sys
import time
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOME / "scripts"))

from skyloom.core.camera import camera_from_dict  # noqa: E402 (needs the path)
from skyloom.simulate.pipeline import simulate_exposure, simulate_sky  # noqa: E402
from skyloom.simulate.simulation import Simulation  # noqa: E402
from skyloom.workflow.config import fill_defaults, load_yaml  # noqa: E402

MEMORY_BAR_MB = 2000.0
# Objects on an area: 107 a square arcminute.
DENSITY = {"stars": {"density": 53.0}, "galaxies": {"density": 54.0}}
EFFECTS = DENSITY | {
    "atmosphere": {"turbulence": 10.0, "refraction": True, "cloud_structure": 0.05, "moonlight": True},
    "telescope": {"aureole_fraction": 0.01, "spike_fraction": 0.003, "ghost_fraction": 1e-4},
    "satellites": {"per_exposure": 2.0},
    "detector": {
        "bleeding": True,
        "brighter_fatter": 2.7e-6,
        "nonlinearity": 0.01,
        "crosstalk": 3e-4,
        "gain_drift": 0.005,
        "amplifier_response": 0.01,
        "fringing": {"i": 0.02},
    },
}
VISIT = {
    "visit": 7,
    "exposure_name": "B7",
    "night": "n1",
    "mjd": 61365.2,
    "band": "i",
    "exposure_time": 30.0,
    "ra": 150.0,
    "dec": 2.2,
    "rotation": 20.0,
    "airmass": 1.4,
    "use": "science",
}


def camera(side):
    """Return a camera of one detector of `side` pixels each way, read out through its four corners."""
    half = side // 2
    amplifiers = [
        {
            "name": name,
            "extension": name,
            "data_section": [8, 8 + half, 0, half],
            "overscan_section": [8 + half, 48 + half, 0, half],
            "detector_section": [x * half, (x + 1) * half, y * half, (y + 1) * half],
            "flip_x": bool(x),
            "flip_y": bool(y),
            "gain": 1.6,
            "read_noise": 6.0,
        }
        for name, x, y in (("A", 0, 0), ("B", 1, 0), ("C", 0, 1), ("D", 1, 1))
    ]
    detector = {"shape": [side, side], "centre": [0, 0], "orientation": 0, "amplifiers": amplifiers}
    return camera_from_dict(
        {
            "name": "large",
            "pixel_scale": 0.2,
            "bands": ["g", "r", "i"],
            "raw": {"format": "extensions"},
            "detectors": {0: detector},
        }
    )


def simulation_rows(side, effects, least_objects, cpu_bar_s):
    """Simulate an exposure; return rows of name, value, passed and bar.

    Parameters
    ----------
    side : int
        Pixels of the detector each way.
    effects : dict
        Settings of section ``simulate`` that differ from the defaults.
    least_objects : int
        Fewest objects on the detector that count as the case that the bar is for.
    cpu_bar_s : float
        Most CPU seconds.

    Returns
    -------
    list of tuple
    """
    settings = fill_defaults(load_yaml(HOME / "config" / "schema" / "simulate.yaml"), effects)
    simulation = Simulation(settings, ("g", "r", "i"), 1, camera(side))
    start = time.process_time()
    objects = simulate_sky([VISIT], simulation)
    _, sources = simulate_exposure(VISIT, simulation.camera.detectors[0], objects, simulation)
    cpu = time.process_time() - start
    n_object = len(sources["id"])
    return [
        ("objects on the detector", n_object, n_object >= least_objects, f">= {least_objects}"),
        ("CPU time [s]", cpu, cpu <= cpu_bar_s, f"<= {cpu_bar_s:g}"),
    ]


def print_rows(title, rows):
    """Print rows of name, value, passed and bar below a title; return whether all passed."""
    print(title)
    for name, value, passed, bar in rows:
        print(f"  {name:30s} {value:10.1f}   {bar:10s} {'pass' if passed else 'FAIL'}")
    return all(passed for _, _, passed, _ in rows)


def main():
    """Simulate both exposures, print the costs beside the bars, and return 1 when one is missed."""
    rows = simulation_rows(4096, EFFECTS, least_objects=19_000, cpu_bar_s=60.0)
    # The largest of this process so far, so that of the large exposure.
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows.append(("memory [MB]", memory, memory <= MEMORY_BAR_MB, f"<= {MEMORY_BAR_MB:g}"))
    is_large_good = print_rows("simulation of 4096 x 4096 pixels with all effects", rows)
    rows = simulation_rows(2048, DENSITY, least_objects=4_750, cpu_bar_s=15.0)
    is_small_good = print_rows("simulation of 2048 x 2048 pixels with the default effects", rows)
    return 0 if is_large_good and is_small_good else 1


if __name__ == "__main__":
    sys.exit(main())
