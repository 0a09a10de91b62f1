"""Cosmic rays by astroscrappy and by ours on the same detectors: CPU seconds, what is found, what is taken by mistake.

2048 x 2048 pixels, 2,000 stars, rays of several kinds; astroscrappy at its defaults, with the gain, read noise and
saturation level that it asks for. Three detectors, each by both in turn after a warm call; the median of the times.
"""

import sys
import time
from pathlib import Path

import numpy as np

HOME = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HOME / "scripts"), str(HOME / "tests" / "accuracy")]

from drawn_detectors import FULL_WELL  # noqa: E402 (needs the path)
from peers import NOT_MEASURED, missing, verdict  # noqa: E402
from pipeline_settings import settings_of  # noqa: E402 (needs the path)
from ray_scenes import Observation, draw_scene  # noqa: E402 (needs the path)

from skyloom.algorithms.cosmic_rays import find_cosmic_rays  # noqa: E402 (needs the path)

SEEINGS = (0.6, 0.8, 1.1)
LEAST_RATIO = 30.0


def timed(find):
    """Return what a call returns and its CPU seconds."""
    start = time.process_time()
    found = find()
    return found, time.process_time() - start


def compared(seeing, seed, settings):
    """Figures of both on one detector.

    Parameters
    ----------
    seeing : float
        FWHM [arcsec].
    seed : int
        Of the scene.
    settings : dict
        Section ``calibrate.cosmic_rays``.

    Returns
    -------
    list of list of float
        For astroscrappy and ours: CPU seconds, ray pixels, those flagged, star-core pixels, those flagged.
    """
    from astroscrappy import detect_cosmics

    observation = Observation(seeing=seeing)
    scene = draw_scene(observation, seed)
    counts = scene.pixels.image + np.float32(observation.sky)

    def by_astroscrappy():
        saturated = scene.pixels.mask != 0
        return detect_cosmics(
            counts, inmask=saturated, gain=1.0, readnoise=observation.read_noise, satlevel=FULL_WELL
        )[0]

    def by_ours():
        return find_cosmic_rays(scene.pixels, scene.kernel, settings)

    hit, core = scene.hit(), scene.far_core()
    figures = []
    for find in (by_astroscrappy, by_ours):
        find()
        is_ray, cpu = timed(find)
        figures.append([cpu, hit.sum(), is_ray[hit].sum(), core.sum(), is_ray[core].sum()])
    return figures


def main():
    """Print both side by side, and return 1 when ours is not fast or not good enough, 2 without the peer."""
    if missing("astroscrappy"):
        return NOT_MEASURED
    settings = settings_of("calibrate", "cosmic_rays")
    figures = np.array([compared(seeing, 500 + k, settings) for k, seeing in enumerate(SEEINGS)])
    print("cosmic rays on 2048 x 2048 pixels, three detectors")
    medians = np.median(figures[:, :, 0], axis=0)
    for name, cpu, totals in zip(("astroscrappy", "ours"), medians, figures.sum(axis=0), strict=True):
        _, n_hit, found, n_core, false = totals
        print(
            f"  {name:13s} {cpu:7.3f} CPU s   ray pixels flagged {found / n_hit:.4f} of {n_hit:.0f}   "
            f"star-core pixels flagged {false / n_core:.1e} of {n_core:.0f}"
        )
    ratio = medians[0] / medians[1]
    is_fast = bool(ratio >= LEAST_RATIO)
    theirs, ours = figures[:, :, 1:].sum(axis=0)
    is_better = bool(ours[1] > theirs[1] and ours[3] < theirs[3])
    print(f"  faster by {ratio:.0f}   >= {LEAST_RATIO:g}   {verdict(is_fast)}")
    print(f"  more of the rays, less of the stars   {verdict(is_better)}")
    return 0 if is_fast and is_better else 1


if __name__ == "__main__":
    sys.exit(main())
