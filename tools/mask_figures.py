"""Picture of a simulated detector with rays, a satellite and bright stars, and of what is masked on it.

Stars, rays and their scene are those of tests/accuracy/ray_scenes.py.
"""

import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import galsim
import numpy as np

HOME = Path(__file__).parents[1]
sys.path[:0] = [str(HOME / "scripts"), str(HOME / "tests" / "accuracy")]

from drawn_detectors import FULL_WELL, SCALE  # noqa: E402 (needs the path)
from ray_scenes import Observation, draw_scene, psf_at  # noqa: E402 (needs the path)

from skyloom.calibrate.detection_passes import first_pass, second_pass  # noqa: E402 (needs the path)
from skyloom.calibrate.halos import mask_halos_in_place  # noqa: E402 (needs the path)
from skyloom.core import mask_planes  # noqa: E402 (needs the path)
from skyloom.core.psf import PixelPsf  # noqa: E402 (needs the path)
from skyloom.simulate import stray_light  # noqa: E402 (needs the path)
from skyloom.workflow.config import fill_defaults, load_schema  # noqa: E402 (needs the path)

SEED = 3
OBSERVATION = Observation(seeing=0.8, side=768, n_star=280)
TRAIL, TRAIL_BRIGHTNESS, TRAIL_WIDTH = (420.0, 300.0, 0.6), 250.0, 4.0
BRIGHT = np.array([[150.0, 560.0, 3e6], [610.0, 590.0, 6e6], [330.0, 130.0, 2e6], [640.0, 180.0, 1.5e6]]).T
LIGHT = {
    "aureole_fraction": 0.02, "aureole_radius": 300.0, "core": 4.0,
    "spike_fraction": 0.04, "spike_length": 200.0, "spike_angle": 45.0,
}  # fmt: skip
COLOURS = {"CR": "#d62728", "STREAK": "#1f77b4", "HALO": "#ff9f1c"}


def frame(seed):
    """Pixels with the sky, and the PSF at their middle.

    Parameters
    ----------
    seed : int
        Of the scene.

    Returns
    -------
    MaskedImage, PixelPsf
    """
    scene, side = draw_scene(OBSERVATION, seed), OBSERVATION.side
    extra = np.zeros((side, side), np.float32)
    for x, y, flux in BRIGHT.T:
        stray_light.add_aureole_in_place(extra, (x, y), flux, LIGHT, 0.01)
        stray_light.add_spikes_in_place(extra, (x, y), flux, LIGHT, 0.01)
        stamp = galsim.ImageF(side, side, scale=SCALE, xmin=0, ymin=0)
        psf_at(OBSERVATION, 0, 0).withFlux(flux).drawImage(stamp, center=galsim.PositionD(x, y))
        extra += np.maximum(stamp.array, 0)
    stray_light.add_trail_in_place(extra, TRAIL, TRAIL_BRIGHTNESS * scene.noise.min(), TRAIL_WIDTH)
    light = scene.pixels.image + OBSERVATION.sky + np.random.default_rng(seed).poisson(extra)
    mask = np.where(light > FULL_WELL, mask_planes.SAT, scene.pixels.mask).astype(np.uint32)
    image = np.minimum(light, FULL_WELL).astype(np.float32)
    variance = np.maximum(image, OBSERVATION.sky) + np.float32(OBSERVATION.read_noise**2)
    kernel = scene.kernel[8:33, 8:33]
    edge = side - 1.0
    psf = PixelPsf((kernel / kernel.sum())[None].astype(np.float32), 0, (0.0, edge, 0.0, edge))
    return replace(scene.pixels, image=image, mask=mask, variance=variance), psf


def masked(raw, psf):
    """Pixels as the pipeline masks them.

    Parameters
    ----------
    raw : MaskedImage
        With the sky; worked on in place.
    psf : PixelPsf
        Its PSF.

    Returns
    -------
    MaskedImage
    """
    settings = fill_defaults(load_schema(HOME / "config" / "schema"), {})["calibrate"]
    first = first_pass(raw, settings)
    second, _ = second_pass(first, psf, settings)
    mask_halos_in_place(second.pixels, tuple(BRIGHT), psf, settings["halos"])
    return second.pixels


def masks(_):
    """Frame and, beside it, its masks.

    Parameters
    ----------
    _ : Path
        Output root of the demo, which has no such frame.

    Returns
    -------
    Figure
        Two panels.
    """
    raw, psf = frame(SEED)
    return draw(raw, masked(deepcopy(raw), psf))


def draw(raw, pixels):
    """Draw a frame and, beside it, its masks.

    Parameters
    ----------
    raw, pixels : MaskedImage
        Before and after.

    Returns
    -------
    Figure
        Two panels.
    """
    from matplotlib.colors import to_rgba
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axes = figure.subplots(1, 2)
    noise = np.sqrt(np.median(raw.variance))
    shown = np.arcsinh((raw.image - np.median(raw.image)) / noise / 2)
    for axis in axes:
        axis.imshow(shown, origin="lower", cmap="gray_r", vmin=-1, vmax=4, interpolation="antialiased")
        axis.set_axis_off()
    for name in ("HALO", "STREAK", "CR"):
        layer = np.zeros((*raw.shape, 4))
        layer[(pixels.mask & mask_planes.bits(name)) != 0] = to_rgba(COLOURS[name], 0.55)
        axes[1].imshow(layer, origin="lower", interpolation="nearest")
    axes[0].set_title("before")
    axes[1].legend(
        handles=[Patch(color=colour, label=name) for name, colour in COLOURS.items()],
        loc="upper left",
        title="masked",
    )
    return figure
