"""Settings with the schema's defaults, and the pipeline's passes from pixels with sky to its own PSF and sky."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skyloom.calibrate.detection_passes import final_pass, first_pass, second_pass
from skyloom.calibrate.psf_stars import fit_psf_to_stars, refine_psf_of_stars
from skyloom.workflow.config import fill_defaults, load_schema

ROOT = Path(__file__).parents[2]


def settings_of(*sections, **given):
    """Settings of a section, or of a part of one, or of all.

    Parameters
    ----------
    *sections : str
        Names from the outside in, like ``calibrate``, ``psf``.
    **given : dict
        Sections of the configuration as a user gives them; the defaults fill them up.

    Returns
    -------
    dict
    """
    settings = fill_defaults(load_schema(ROOT / "config" / "schema"), given)
    for name in sections:
        settings = settings[name]
    return settings


@dataclass(frozen=True)
class Passes:
    """What the passes of `calibrate_image` leave.

    Attributes
    ----------
    pixels : MaskedImage
        Sky subtracted, rays repaired, DETECTED where the final detections are.
    sky : tuple
        Where the sky was measured (ndarray of bool), peaks that it was freed of, and the final detections.
    stars : PsfStars
        The PSF and its stars.
    background : Background
        The sky.
    """

    pixels: object
    sky: tuple
    stars: object
    background: object


def run_passes(raw, section, seed):
    """Run the passes over a detector, as `calibrate_image` does.

    Parameters
    ----------
    raw : MaskedImage
        Sky in, finite [electron]; worked on in place.
    section : dict
        Section ``calibrate``.
    seed : int
        Chooses the reserved stars.

    Returns
    -------
    Passes
    """
    first = first_pass(raw, section)
    stars = fit_psf_to_stars(first.pixels, first.detections, section["psf"], np.random.default_rng(seed))
    second, points = second_pass(first, stars.fit.psf, section)
    stars = refine_psf_of_stars(stars, second.pixels, second.detections, points, section["psf"])
    detections, *_ = final_pass(second.pixels, stars.fit.psf, points.peaks, section)
    return Passes(
        second.pixels, (second.is_sky, (points.peaks.x, points.peaks.y), detections), stars, second.background
    )
