"""Tests of skyloom.calibs.pipeline and skyloom.calibs.defects."""

import numpy as np
import pytest

from skyloom.calibs.defects import TooFewDriftingFramesError, find_defects
from skyloom.calibs.pipeline import TooFewFramesError, combine_bias, combine_dark, combine_flat

SHAPE = (60, 70)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]
SETTINGS = {
    "n_sigma": 4,
    "n_iter": 3,
    "min_frames": 3,
    "flat_min_level": 1_000,
    "low_response": 0.5,
    "hot_rate": 2,
    "hot_sigma": 7,
    "drift_sigma": 5,
    "drift_fraction": 0.6,
}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_bias_is_the_structure_without_cosmic_rays_and_its_variance_that_of_a_mean(seed):
    rng = np.random.default_rng(seed)
    structure = 3.0 + np.sin(X / 9)
    frames = (structure + rng.normal(0, 5, (9, *SHAPE))).astype(np.float32)
    frames[4, 20, 30:40] += 5_000

    bias = combine_bias(frames, SETTINGS)

    n = structure.size
    residual = bias.image - structure
    assert bias.kind == "bias"
    assert residual.mean() == pytest.approx(0, abs=4 * 5 / np.sqrt(9 * n))
    assert residual.var() == pytest.approx(25 / 9, rel=4 * np.sqrt(2 / n))
    # Noise per frame from about 8 rows of 69 differences.
    assert bias.variance.mean() == pytest.approx(25 / 9, rel=4 * np.sqrt(3 / (9 * 8 * 69)) + 0.01)
    assert np.abs(residual[20, 30:40]).max() < 5 * 5 / np.sqrt(8)
    assert not bias.is_bad.any()
    assert bias.info["n_frame"] == 9


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_dark_is_a_rate_and_its_hot_pixels_are_defects(seed):
    rng = np.random.default_rng(seed)
    rate = np.full(SHAPE, 0.1)
    rate[10, 10], rate[30, 40] = 25.0, 8.0
    times = [100.0, 100.0, 200.0, 300.0]
    frames = np.stack([rng.poisson(rate * t) + rng.normal(0, 5, SHAPE) for t in times]).astype(np.float32)
    frames[:, 0, 0] = np.nan
    bias = combine_bias(rng.normal(0, 5, (5, *SHAPE)).astype(np.float32), SETTINGS)

    dark, defects = combine_dark(frames, times, bias, SETTINGS)

    cold = rate < 1
    error = np.sqrt(sum((25 + 0.1 * t) / t**2 for t in times) / 16)
    assert np.median(dark.image[cold]) == pytest.approx(0.1, abs=5 * error / np.sqrt(cold.sum()))
    assert dark.image[10, 10] == pytest.approx(25, rel=0.1)
    assert (dark.image[0, 0], dark.is_bad[0, 0]) == (0, True)
    assert set(zip(*np.nonzero(defects.is_bad), strict=True)) == {(0, 0), (10, 10), (30, 40)}
    assert defects.image[30, 40] == pytest.approx(7.9, rel=0.15)
    assert defects.info["n_bad"] == 3
    assert (defects.kind, dark.kind) == ("defects", "dark")
    assert np.isfinite(dark.variance).all()


def test_a_dark_without_bias_has_the_variance_of_its_frames_alone():
    frames = np.random.default_rng(4).normal(0, 5, (4, *SHAPE)).astype(np.float32)

    dark, _ = combine_dark(frames, [10.0] * 4, None, SETTINGS)

    assert dark.variance.mean() == pytest.approx(25 / 4 / 100, rel=0.1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_flat_is_the_relative_response_whatever_the_lamp_does(seed):
    rng = np.random.default_rng(seed)
    response = 1 - 0.3 * ((X - 35) / 35.0) ** 2
    response[:, 35:] *= 1.02
    response /= np.median(response)
    dead = np.array(response)
    dead[12, 13], dead[40, 41] = 0.05, 3.0
    frames = np.stack([rng.poisson(level * dead) for level in (20_000, 25_000, 15_000, 30_000, 200)])
    frames = (frames + rng.normal(0, 5, frames.shape)).astype(np.float32)
    frames[1, 5, 5] = np.nan

    flat = combine_flat(frames, 5.0, SETTINGS)

    good = ~flat.is_bad
    assert set(zip(*np.nonzero(~good), strict=True)) == {(12, 13), (40, 41)}
    assert (flat.image[12, 13], flat.image[40, 41]) == (1, 1)
    assert flat.info["n_frame"] == 4
    pulls = (flat.image / response - 1)[good] / np.sqrt(flat.variance[good])
    # Noise swaps some 50 pixels about the median response, which moves it by about 0.1 sigma of a pixel.
    assert pulls.mean() == pytest.approx(0, abs=0.4)
    # The variance is that of the mean response: the edges, at 0.7, have more noise.
    assert pulls.std() == pytest.approx(1 / np.sqrt(response.mean()), rel=0.1)
    assert flat.image[5, 5] == pytest.approx(response[5, 5], rel=5 / np.sqrt(15_000))


def test_too_few_frames_fail_loudly_with_their_number():
    frames = np.ones((2, *SHAPE), np.float32)
    with pytest.raises(TooFewFramesError, match="2 usable frames for the bias, needs 3"):
        combine_bias(frames, SETTINGS)
    with pytest.raises(TooFewFramesError, match="for the dark"):
        combine_dark(frames, [1.0, 1.0], None, SETTINGS)
    dim = np.full((5, *SHAPE), 100, np.float32)
    dim[0] = np.nan
    with pytest.raises(TooFewFramesError, match="0 usable frames for the flat"):
        combine_flat(dim, 5.0, SETTINGS)


def drifting(rng, *, n_frame, step, hot):
    """Frames of stars that drift, with pixels that do not."""
    for index in range(n_frame):
        frame = rng.normal(300, 3, SHAPE)
        for star in range(12):
            x, y = (7 * star + step * index) % 70, (11 * star + 0.4 * step * index) % 60
            frame += 2_000 * np.exp(-((X - x) ** 2 + (Y - y) ** 2) / 4)
        for (row, column), excess in hot.items():
            frame[row, column] += excess
        yield np.round(frame).astype(np.float32)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_stands_still_while_the_field_drifts_is_a_defect(seed):
    hot = {(5, 5): 200, (30, 31): 40, (50, 60): -60, (0, 0): 500, (59, 69): 100}

    defects = find_defects(drifting(np.random.default_rng(seed), n_frame=12, step=3.3, hot=hot), SETTINGS)

    assert set(zip(*np.nonzero(defects.is_bad), strict=True)) == set(hot)
    assert defects.image[5, 5] > defects.image[30, 31] > 5
    assert defects.image[50, 60] < -5
    assert defects.info == {"n_frame": 12, "n_bad": 5}


def test_a_pixel_without_a_number_is_a_defect():
    frames = list(drifting(np.random.default_rng(4), n_frame=12, step=3.3, hot={}))
    for frame in frames:
        frame[20, 20] = np.nan

    assert np.argwhere(find_defects(frames, SETTINGS).is_bad).tolist() == [[20, 20]]


def test_a_handful_of_frames_is_not_enough_to_tell_defects_from_stars():
    with pytest.raises(TooFewDriftingFramesError, match="2 science frames for finding defects, needs 3"):
        find_defects(drifting(np.random.default_rng(5), n_frame=2, step=3, hot={}), SETTINGS)
    with pytest.raises(TooFewDriftingFramesError, match="0 science frames"):
        find_defects(iter([]), SETTINGS)
