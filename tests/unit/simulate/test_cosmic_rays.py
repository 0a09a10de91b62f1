import numpy as np
import pytest

from skyloom.simulate.cosmic_rays import ELECTRONS_PER_PIXEL, MEAN_LENGTH, add_cosmic_rays_in_place


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rays_are_as_many_and_as_bright_as_expected(seed):
    image = np.zeros((1000, 1000))
    number = add_cosmic_rays_in_place(image, 400, np.random.default_rng(seed))
    assert abs(number - 400) < 5 * 20
    # A log-normal charge of scatter 0.5 has mean e^(1/8); a few tracks leave the image.
    expected = number * (1 + MEAN_LENGTH) * ELECTRONS_PER_PIXEL * np.exp(0.125)
    assert image.sum() == pytest.approx(expected, rel=4 / np.sqrt(number) + 0.01)


def test_a_ray_is_a_narrow_track():
    image = np.zeros((300, 300))
    seed = 0
    while add_cosmic_rays_in_place(image, 1, np.random.default_rng(seed)) != 1:
        seed += 1
        image[:] = 0
    rows, columns = np.nonzero(image)
    axes = np.linalg.svd(np.array([rows - rows.mean(), columns - columns.mean()]), compute_uv=False)
    assert axes[1] / np.sqrt(rows.size) < 1.0


def test_no_rays_leave_the_charge_alone():
    image = np.zeros((30, 30))
    assert add_cosmic_rays_in_place(image, 0.0, np.random.default_rng(1)) == 0
    assert not image.any()
