import numpy as np
import pytest

from skyloom.simulate.silicon import overflow, repel, repulsion_kernel

STRENGTH = 2.7e-6


def laplacian(kernel):
    """Sum of the four neighbours minus four times the middle, the border left out."""
    middle = kernel[1:-1, 1:-1]
    return kernel[2:, 1:-1] + kernel[:-2, 1:-1] + kernel[1:-1, 2:] + kernel[1:-1, :-2] - 4 * middle


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_flats_have_the_covariances_of_the_potential(seed):
    level, size = 40_000.0, 1024
    flat = np.random.default_rng(seed).poisson(level, (size, size)).astype(np.float32)
    moved = repel(flat, STRENGTH).astype(np.float64)[16:-16, 16:-16]
    moved -= moved.mean()
    expected = level**2 * laplacian(repulsion_kernel(STRENGTH))
    centre = expected.shape[0] // 2
    error = 4 * level / moved.shape[0]
    # The second order of the charge's own change is (40,000 * 1.2 * 2.7e-6)^2, 2 % of the level.
    assert moved.var() == pytest.approx(
        level + expected[centre, centre], abs=error * np.sqrt(2) + 0.02 * level
    )
    for dy, dx in ((0, 1), (1, 0), (1, 1), (0, 2)):
        product = moved[: moved.shape[0] - dy, : moved.shape[1] - dx] * moved[dy:, dx:]
        assert product.mean() == pytest.approx(
            expected[centre + dy, centre + dx], abs=error + 0.1 * abs(expected[centre + dy, centre + dx])
        )


def test_bright_stars_grow_and_faint_ones_keep_their_size_with_the_same_charge():
    y, x = np.mgrid[-20:21, -20:21]
    profile = np.exp(-0.5 * (x**2 + y**2) / 2.0**2) / (2 * np.pi * 2.0**2)

    def size_of(flux):
        image = repel((flux * profile).astype(np.float32), STRENGTH).astype(np.float64)
        assert image.sum() == pytest.approx(flux, rel=1e-5)
        return np.sum(image * x**2) / image.sum()

    faint, bright = size_of(1e2), size_of(1e6)
    assert faint == pytest.approx(4.0, rel=1e-3)
    assert bright > 1.01 * faint
    assert size_of(2e6) - faint == pytest.approx(2 * (bright - faint), rel=0.05)


def test_without_strength_nothing_moves():
    image = np.ones((4, 4), np.float32)
    assert repel(image, 0.0) is image


def test_a_saturated_star_bleeds_along_its_column_and_keeps_its_charge():
    image = np.full((200, 9), 10.0, np.float32)
    image[98:103, 4] = 50_000.0
    held = overflow(image, 10_000.0, bleeds=True)
    assert held.sum() == pytest.approx(image.sum(), rel=1e-6)
    assert held.max() == 10_000
    np.testing.assert_array_equal(np.delete(held, 4, axis=1), np.delete(image, 4, axis=1))
    full = np.flatnonzero(held[:, 4] == 10_000)
    assert len(full) == pytest.approx(25, abs=1)
    assert full[0] + full[-1] == pytest.approx(200, abs=2)
    assert np.all(np.diff(full) == 1)


def test_trails_that_meet_fill_together_and_what_leaves_the_detector_is_lost():
    image = np.zeros((60, 2), np.float32)
    image[[20, 30], 0] = 120_000.0
    image[0, 1] = 900_000.0
    held = overflow(image, 10_000.0, bleeds=True)
    assert held[:, 0].sum() == pytest.approx(240_000)
    assert np.count_nonzero(held[:, 0]) == pytest.approx(24, abs=2)
    assert held[:, 1].sum() == pytest.approx(600_000)
    assert (held[:, 1] == 10_000).all()


def test_without_bleeding_the_surplus_is_lost_where_it_is():
    image = np.array([[5.0, 20.0], [8.0, 3.0]], np.float32)
    np.testing.assert_array_equal(overflow(image, 10.0, bleeds=False), [[5, 10], [8, 3]])
