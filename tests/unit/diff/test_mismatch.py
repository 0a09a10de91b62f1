"""Cells whose PSFs the kernel cannot match are marked."""

from dataclasses import replace

import numpy as np
import pytest

from skyloom.core import mask_planes
from skyloom.core.psf import gaussian_kernel
from skyloom.diff.mismatch import psf_mismatch
from skyloom.diff.pipeline import build_template, subtract


def test_the_mismatch_of_gaussians_is_the_norm_of_their_difference():
    target = np.stack([gaussian_kernel(2.0, 41)] * 3)
    reference = np.stack([gaussian_kernel(s, 41) for s in (np.sqrt(3.0), 1.5, 1.5)])
    reference[2] = np.nan
    matching = np.broadcast_to(0.9 * gaussian_kernel(1.0, 21), (3, 21, 21))
    result = psf_mismatch(target, reference, matching)
    difference = gaussian_kernel(np.sqrt(1.5**2 + 1), 41) - target[1]
    assert result[0] < 0.01
    assert result[1] == pytest.approx(np.linalg.norm(difference) / np.linalg.norm(target[1]), rel=0.02)
    assert np.isnan(result[2])


@pytest.mark.parametrize(("science", "template"), [((4.6, 0.0), (3.8, 0.0)), ((3.8, 0.0), (4.6, 0.0))])
def test_a_cell_with_another_template_psf_is_inexact_and_the_others_are_not(
    make_scene, settings, science, template
):
    scene = make_scene(1, science=science, template=template)
    built = build_template([scene.coadd], scene.science, settings)
    images = built.psf.images.copy()
    images[2, 2] = gaussian_kernel(3.5, built.psf.size)
    images[4, 1] = np.nan
    difference = subtract(scene.science, replace(built, psf=replace(built.psf, images=images)), settings)

    inexact = difference.exposure.pixels.is_masked(mask_planes.INEXACT_PSF)

    # Cell 2 begins at template pixel 128, science pixel 108.
    assert inexact[110:170, 110:170].all()
    assert inexact[240:296, 48:104].all()
    assert not inexact[:100, 180:].any()
