"""Tests of skyloom.calibs.illumination."""

import numpy as np
import pytest

from skyloom.calibs.illumination import combine_illumination, sky_shape
from skyloom.calibs.pipeline import TooFewFramesError
from skyloom.core.images import MaskedImage
from skyloom.core.psf import gaussian_kernel

SHAPE = (512, 640)
MESH = (8, 10)
SETTINGS = {"min_frames": 3}
# Centres of the cells and all pixels, from -1 to 1.
CELL_V, CELL_U = ((2 * (np.indices(MESH)[k] + 0.5) / MESH[k]) - 1 for k in (0, 1))
V, U = ((2 * (np.indices(SHAPE)[k] + 0.5) / SHAPE[k]) - 1 for k in (0, 1))


def lamp(u, v):
    """Sky over the flat of a lamp that is 3 % brighter in one corner."""
    return 1 - 0.015 * (u**2 + v**2) - 0.01 * u * v + 0.005 * u**3


def skies_of(rng, n_frame, slope=0.01):
    """Skies of frames, each with a slope of its own."""
    slopes = rng.normal(0, slope, (2, n_frame, 1, 1))
    skies = lamp(CELL_U, CELL_V) * (1 + slopes[0] * CELL_U + slopes[1] * CELL_V)
    skies = skies + rng.normal(0, 3e-4, skies.shape)
    return skies / np.median(skies, axis=(1, 2), keepdims=True)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_sky_of_a_frame_is_seen_between_stars_and_beside_a_galaxy(seed):
    rng = np.random.default_rng(seed)
    light = 1_000 * lamp(U, V)
    star = gaussian_kernel(1.7, 25)
    for flux in 10 ** rng.uniform(2.5, 5.5, 150):
        y, x = (rng.integers(0, side - 25) for side in SHAPE)
        light[y : y + 25, x : x + 25] += flux * star
    light += 2_000 * np.exp(-np.hypot(320 * (U - 0.3), 256 * (V + 0.2)) / 10)
    image = rng.poisson(light).astype(np.float32)
    mask = np.zeros(SHAPE, dtype=np.uint32)

    sky = sky_shape(MaskedImage(image, mask, light.astype(np.float32)))

    truth = lamp(CELL_U, CELL_V)
    error = sky / (truth / np.median(truth)) - 1
    # The noise of a cell of 64 pixels squared is 0.0005, and the galaxy's rim beyond its mask is 8 electrons a pixel.
    assert np.sqrt(np.mean(error**2)) < 1.2e-3
    assert np.sqrt(np.mean((sky - 1) ** 2)) > 5e-3


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_slopes_of_single_skies_do_not_enter_beyond_the_stated_error(seed):
    skies = skies_of(np.random.default_rng(seed), 24)

    found = combine_illumination(skies, SHAPE, SETTINGS)

    truth = lamp(U, V) / np.median(lamp(U, V))
    assert found.kind == "illumination"
    assert not found.is_bad.any()
    assert np.median(found.image) == pytest.approx(1, abs=1e-6)
    pulls = ((found.image - truth) / np.sqrt(found.variance))[::16, ::16]
    # Six freedoms or so decide all pixels: their mean square scatters by half of itself.
    assert np.mean(pulls**2) < 3.5
    error = np.sqrt(np.mean((found.image - truth) ** 2))
    assert error < 0.6 * np.std(truth)
    assert found.info["n_frame"] == 24
    assert found.info["rms_after"] < found.info["rms_before"]


def test_errors_fall_with_the_number_of_frames():
    rng = np.random.default_rng(5)
    few, many = (
        np.mean([combine_illumination(skies_of(rng, n), SHAPE, SETTINGS).variance.mean() for _ in range(6)])
        for n in (5, 40)
    )
    assert few / many == pytest.approx(40 / 5, rel=0.6)


def test_a_map_that_flattens_no_other_frame_is_remarked(caplog):
    skies = 1 + 0.01 * np.array([1, -1, 1, -1, 1, -1])[:, None, None] * CELL_U

    found = combine_illumination(skies, SHAPE, SETTINGS)

    assert found.info["rms_after"] == pytest.approx(2 * found.info["rms_before"], rel=0.05)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_small_detector_gets_fewer_terms():
    found = combine_illumination(np.full((4, 1, 1), 1.0), (64, 48), SETTINGS)
    assert np.ptp(found.image) == 0


@pytest.mark.parametrize(("n_frame", "least", "needed"), [(2, 3, 3), (1, 1, 2)])
def test_too_few_skies_are_refused(n_frame, least, needed):
    with pytest.raises(
        TooFewFramesError, match=f"{n_frame} usable frames for the illumination, needs {needed}"
    ):
        combine_illumination(np.ones((n_frame, *MESH)), SHAPE, {"min_frames": least})
