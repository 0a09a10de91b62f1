"""Artifacts are clipped, stars, variable seeing and repeated outliers are not."""

import numpy as np
import pytest

from skyloom.coadd import combine
from skyloom.coadd.artifacts import epoch_limit, local_range, stack_median
from skyloom.coadd.combine import warp_signatures
from skyloom.coadd.pipeline import assemble_coadd

SEEING = (1.4, 1.7, 2.2, 1.5)


def add_trail(warp, peak, width=1.8):
    """A satellite's trail across a warp (where it is brighter than a fifth of its peak is returned)."""
    rows, columns = np.mgrid[: warp.pixels.shape[0], : warp.pixels.shape[1]]
    distance = (rows - 30 - 0.6 * columns) / np.hypot(1, 0.6)
    profile = np.exp(-(distance**2) / (2 * width**2))
    warp.pixels.image[:] += (peak * profile).astype(np.float32)
    return profile > 0.2


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("n_warp", [3, 4])
def test_a_trail_on_one_visit_is_clipped(patch, warp, settings, flagged, seed, n_warp):
    rng = np.random.default_rng(seed)
    warps = [warp(visit, sigma=SEEING[visit], rng=rng) for visit in range(n_warp)]
    on_trail = add_trail(warps[1], peak=20.0)
    coadd = assemble_coadd(warps, patch, "deep", settings)
    assert flagged(coadd, "CLIPPED")[on_trail].mean() > 0.97
    pulls = coadd.pixels.image / np.sqrt(coadd.pixels.variance)
    # What is left of the trail lowers no part of the sky by more than its noise.
    assert abs(pulls[on_trail].mean()) < 0.25
    assert pulls.std() == pytest.approx(1.0, abs=0.03)
    assert flagged(coadd, "CLIPPED").mean() < 0.25


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_stars_under_changing_seeing_are_not_clipped(patch, warp, settings, flagged, seed):
    rng = np.random.default_rng(seed)
    flux = 10 ** rng.uniform(2.5, 6, 12)
    x, y = (g.ravel() for g in np.meshgrid(np.arange(25, 170, 42.0), np.arange(25, 150, 50.0)))
    x, y = x + rng.uniform(-3, 3, 12), y + rng.uniform(-3, 3, 12)
    stars = list(zip(x, y, flux, strict=True))
    warps = [warp(visit, stars=stars, sigma=sigma, rng=rng) for visit, sigma in enumerate(SEEING)]
    coadd = assemble_coadd(warps, patch, "deep", settings)
    clipped = flagged(coadd, "CLIPPED")
    assert not clipped[np.rint(y).astype(int), np.rint(x).astype(int)].any()
    assert clipped.mean() < 2e-3


def test_two_visits_cannot_tell_which_of_them_is_wrong(patch, warp, settings, flagged):
    rng = np.random.default_rng(1)
    warps = [warp(visit, rng=rng) for visit in range(2)]
    add_trail(warps[0], peak=50.0)
    assert not flagged(assemble_coadd(warps, patch, "deep", settings), "CLIPPED").any()


def test_pixels_with_two_visits_of_three_are_never_clipped(patch, warp, settings, flagged):
    rng = np.random.default_rng(1)
    warps = [warp(0, rng=rng), warp(1, rng=rng), warp(2, box=(0, 90, 0, 160), rng=rng)]
    add_trail(warps[0], peak=50.0)
    clipped = flagged(assemble_coadd(warps, patch, "deep", settings), "CLIPPED")
    assert clipped[:, :90].any()
    assert not clipped[:, 90:].any()


def test_a_source_that_is_there_in_half_of_the_visits_is_kept(patch, warp, settings, flagged):
    rng = np.random.default_rng(2)
    star = [(90.0, 80.0, 5e3)]
    warps = [warp(visit, stars=star if visit % 2 else (), rng=rng) for visit in range(4)]
    coadd = assemble_coadd(warps, patch, "deep", settings)
    assert not flagged(coadd, "CLIPPED")[80, 90]
    assert coadd.pixels.image[76:85, 86:95].sum() == pytest.approx(2.5e3, rel=0.1)


def test_a_transient_of_one_visit_is_clipped_without_leaving_a_hole(patch, warp, settings, flagged):
    rng = np.random.default_rng(2)
    warps = [warp(visit, stars=[(90.0, 80.0, 5e3)] if visit == 1 else (), rng=rng) for visit in range(3)]
    coadd = assemble_coadd(warps, patch, "deep", settings)
    assert flagged(coadd, "CLIPPED")[80, 90]
    assert not flagged(coadd, "NO_DATA").any()
    assert abs(coadd.pixels.image[80, 90]) < 5 * np.sqrt(coadd.pixels.variance[80, 90])
    assert coadd.pixels.variance[80, 90] == pytest.approx(2.0)


@pytest.mark.kernels
def test_the_median_leaves_nan_out():
    stack = np.array([[[1.0, np.nan, 5.0]], [[4.0, np.nan, np.nan]], [[2.0, np.nan, 1.0]]], dtype=np.float32)
    median, n_used = stack_median(stack)
    np.testing.assert_array_equal(n_used, [[3, 0, 2]])
    np.testing.assert_array_equal(median, [[2.0, np.nan, 3.0]])


def test_the_local_range_sees_five_pixels_and_takes_nan_as_zero():
    image = np.zeros((9, 9), dtype=np.float32)
    image[4, 4], image[0, 0] = 7.0, np.nan
    expected = np.zeros((9, 9))
    expected[2:7, 2:7] = 7.0
    np.testing.assert_array_equal(local_range(image), expected)


def test_the_number_of_visits_that_may_be_clipped_is_that_of_compare_warp():
    np.testing.assert_allclose(epoch_limit(np.array([1, 2, 3, 4, 5, 6, 100])), [0, 0, 1, 1, 2, 2.18, 5])


@pytest.mark.parametrize("n", [3, 63, 200])
def test_signatures_of_warps_differ(n):
    numbers = warp_signatures(n)
    assert len(np.unique(numbers)) == n
    assert (numbers > 0).all()


@pytest.mark.kernels
def test_a_warp_adds_to_clean_and_spare_sums_by_role():
    shape = (1, 4)
    planes = (
        np.array([[1.0, 2.0, 3.0, np.nan]], dtype=np.float32),
        np.ones(shape, dtype=np.float32),
        np.array([[0, combine.SAT, 0, combine.NO_DATA]], dtype=np.uint32),
        np.array([[combine.CLEAN, combine.SPARE, combine.UNUSED, combine.UNUSED]], dtype=np.uint8),
        np.array([[False, False, True, False]]),
    )
    kinds = ((6, np.float32), (2, np.float32), (2, np.uint32), (2, np.uint64))
    sums, totals, masks, signatures = (np.zeros((n, *shape), kind) for n, kind in kinds)
    combine._add_warp(planes, np.float32(2), np.uint64(8), (sums, totals, masks, signatures))
    np.testing.assert_array_equal(
        sums[:, 0], [[2, 0, 0, 0], [4, 0, 0, 0], [2, 0, 0, 0], [2, 4, 0, 0], [4, 4, 0, 0], [2, 2, 0, 0]]
    )
    np.testing.assert_array_equal(totals[:, 0], [[2, 2, 2, 0], [0, 2, 0, 0]])
    np.testing.assert_array_equal(masks[0, 0], [0, 0, combine.CLIPPED, 0])
    np.testing.assert_array_equal(signatures[:, 0], [[8, 0, 0, 0], [8, 8, 0, 0]])
