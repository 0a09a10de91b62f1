"""What one simulated exposure costs with every effect switched on: CPU seconds and memory, beside the bar.

A detector of 4096 x 4096 pixels with 20,000 objects.
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

SIDE = 4096
CPU_BAR_S, MEMORY_BAR_MB, LEAST_OBJECTS = 60.0, 2000.0, 19_000
EFFECTS = {
    "stars": {"density": 53.0},
    "galaxies": {"density": 54.0},
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


def camera():
    """Return a camera of one detector, read out through its four corners."""
    half = SIDE // 2
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
    detector = {"shape": [SIDE, SIDE], "centre": [0, 0], "orientation": 0, "amplifiers": amplifiers}
    return camera_from_dict(
        {
            "name": "large",
            "pixel_scale": 0.2,
            "bands": ["g", "r", "i"],
            "raw": {"format": "extensions"},
            "detectors": {0: detector},
        }
    )


def main():
    """Simulate the exposure, print the costs beside the bars, and return 1 when one is missed."""
    settings = fill_defaults(load_yaml(HOME / "config" / "schema" / "simulate.yaml"), EFFECTS)
    simulation = Simulation(settings, ("g", "r", "i"), 1, camera())
    start = time.process_time()
    objects = simulate_sky([VISIT], simulation)
    _, sources = simulate_exposure(VISIT, simulation.camera.detectors[0], objects, simulation)
    cpu = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    n_object = len(sources["id"])
    rows = (
        ("objects on the detector", n_object, n_object >= LEAST_OBJECTS, f">= {LEAST_OBJECTS}"),
        ("CPU time [s]", cpu, cpu <= CPU_BAR_S, f"<= {CPU_BAR_S:g}"),
        ("memory [MB]", memory, memory <= MEMORY_BAR_MB, f"<= {MEMORY_BAR_MB:g}"),
    )
    print(f"simulation of {SIDE} x {SIDE} pixels with all effects")
    for name, value, passed, bar in rows:
        print(f"  {name:30s} {value:10.1f}   {bar:10s} {'pass' if passed else 'FAIL'}")
    return 0 if all(passed for _, _, passed, _ in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
