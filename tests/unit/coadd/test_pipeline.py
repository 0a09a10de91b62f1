"""Coadds: the mean and its noise, weights, masks, PSF, inputs and selection."""

from dataclasses import replace

import numpy as np
import pytest

from skyloom.coadd.pipeline import assemble_coadd
from skyloom.coadd.selection import NoInputsError
from skyloom.core import mask_planes
from skyloom.core.photo_calib import constant_field
from skyloom.core.psf import gaussian_kernel, psf_moments
from skyloom.core.tables import column

STARS = [(60.3, 70.8, 3e4), (120.0, 40.5, 8e3)]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("n_warp", [1, 2, 5])
def test_noise_of_the_coadd_is_that_of_its_variance_plane(patch, warp, settings, seed, n_warp):
    rng = np.random.default_rng(seed)
    warps = [warp(visit, variance=2.0 + visit, rng=rng) for visit in range(n_warp)]
    coadd = assemble_coadd(warps, patch, "deep", settings)
    expected = 1 / sum(1 / (2.0 + visit) for visit in range(n_warp))
    np.testing.assert_allclose(coadd.pixels.variance, expected, rtol=1e-5)
    pulls = coadd.pixels.image / np.sqrt(coadd.pixels.variance)
    assert pulls.var() == pytest.approx(1.0, abs=4 * np.sqrt(2 / pulls.size))


def test_the_mean_is_weighted_by_one_scalar_a_warp(patch, warp, settings):
    first, second = warp(1, level=10.0, variance=1.0), warp(2, level=40.0, variance=3.0)
    # A bright pixel has a larger variance, but not a smaller weight.
    second.pixels.variance[30, 30] = 300.0
    coadd = assemble_coadd([second, first], patch, "deep", settings)
    np.testing.assert_allclose(coadd.pixels.image, (10.0 + 40.0 / 3) / (4 / 3), rtol=1e-6)
    assert coadd.pixels.variance[30, 30] == pytest.approx((1 + 300 / 9) / (4 / 3) ** 2)


def test_the_noise_correlation_is_that_of_the_summed_powers(patch, warp, settings):
    warps = [warp(1, variance=1.0, correlation=1.3), warp(2, variance=4.0, correlation=1.1)]
    coadd = assemble_coadd(warps, patch, "deep", settings)
    weight = np.array([1.0, 0.25])
    power = np.sum(weight**2 * np.array([1.3 * 1.0, 1.1 * 4.0]))
    assert coadd.noise_correlation == pytest.approx(power / np.sum(weight**2 * np.array([1.0, 4.0])))


def test_the_coadd_fills_its_patch_and_says_where_nothing_is(patch, warp, settings, flagged):
    coadd = assemble_coadd(
        [warp(1, box=(0, 100, 20, 160)), warp(2, box=(10, 120, 0, 150))], patch, "deep", settings
    )
    assert coadd.pixels.shape == patch.shape
    no_data = flagged(coadd, "NO_DATA")
    covered = np.zeros(patch.shape, dtype=bool)
    covered[20:160, 0:100] = covered[0:150, 10:120] = True
    np.testing.assert_array_equal(no_data, ~covered)
    assert np.isnan(coadd.pixels.image[no_data]).all()
    assert np.isnan(coadd.pixels.variance[no_data]).all()
    assert not (coadd.pixels.mask[no_data] & ~np.uint32(mask_planes.NO_DATA)).any()


def test_the_edge_of_a_visit_inside_the_patch_is_a_sensor_edge(patch, warp, settings, flagged):
    coadd = assemble_coadd([warp(1), warp(2, box=(0, 100, 0, 160))], patch, "deep", settings)
    near_edge = flagged(coadd, "SENSOR_EDGE")
    expected = np.zeros(patch.shape, dtype=bool)
    expected[:, 92:100] = True
    np.testing.assert_array_equal(near_edge, expected)


def test_circumstances_are_means_and_the_exposure_times_add(patch, warp, settings):
    coadd = assemble_coadd([warp(1, variance=1.0), warp(2, variance=3.0)], patch, "deep", settings)
    info = coadd.info
    assert info.mjd == pytest.approx((60001 + 60002 / 3) / (4 / 3))
    assert info.exposure_time == 60.0
    assert (info.visit, info.detector, info.tract, info.patch, info.kind, info.band) == (
        -1,
        -1,
        3,
        "1_0",
        "deep",
        "r",
    )
    assert info.origin == (0, 0)


def test_the_psf_of_a_cell_is_the_weighted_mean_of_its_warps(patch, warp, settings):
    warps = [warp(1, sigma=1.4, variance=1.0), warp(2, sigma=2.2, variance=3.0, psf_size=25)]
    coadd = assemble_coadd(warps, patch, "deep", settings)
    expected = (3 * np.pad(gaussian_kernel(1.4, 21), 2) + gaussian_kernel(2.2, 25)) / 4
    assert coadd.psf.images.shape == (4, 5, 25, 25)
    np.testing.assert_allclose(coadd.psf.kernel_at(90.0, 80.0), expected, atol=1e-7)


def test_the_psf_is_that_of_the_majority_and_the_rest_is_inexact(patch, warp, settings, flagged):
    # The edge at x = 150 cuts the last full cell (120 to 159) with 30 of its 40 columns inside.
    warps = [warp(1, sigma=1.4), warp(2, sigma=2.2, box=(0, 150, 0, 160))]
    coadd = assemble_coadd(warps, patch, "deep", settings)
    sigma = [psf_moments(coadd.psf.kernel_at(x, 80.0))[0] for x in (100.0, 130.0, 170.0)]
    assert sigma[0] == pytest.approx(sigma[1])
    assert sigma[2] == pytest.approx(1.4, abs=0.01)
    inexact = np.zeros(patch.shape, dtype=bool)
    inexact[:, 150:160] = True
    np.testing.assert_array_equal(flagged(coadd, "INEXACT_PSF"), inexact)


def test_empty_cells_have_no_psf(patch, warp, settings):
    coadd = assemble_coadd([warp(1, box=(0, 80, 0, 160))], patch, "deep", settings)
    assert np.isfinite(coadd.psf.images[:, :2]).all()
    assert np.isnan(coadd.psf.images[:, 2:]).all()


def test_a_masked_pixel_is_left_out_where_another_visit_is_clean(patch, warp, settings, flagged):
    first, second = warp(1, level=1.0), warp(2, level=3.0)
    first.pixels.image[50:53, 60:63] = 1e6
    first.pixels.mask[50:53, 60:63] |= mask_planes.CR
    coadd = assemble_coadd([first, second], patch, "deep", settings)
    hit = np.s_[50:53, 60:63]
    np.testing.assert_allclose(coadd.pixels.image[hit], 3.0)
    np.testing.assert_allclose(coadd.pixels.variance[hit], 4.0)
    assert flagged(coadd, "REJECTED")[hit].all()
    assert flagged(coadd, "REJECTED").sum() == 9
    np.testing.assert_array_equal(flagged(coadd, "INEXACT_PSF"), flagged(coadd, "REJECTED"))
    assert not flagged(coadd, "CR").any()


def test_a_pixel_that_no_visit_has_clean_is_kept_and_flagged(patch, warp, settings, flagged):
    warps = [warp(1, level=1.0), warp(2, level=3.0)]
    for each in warps:
        each.pixels.mask[50:53, 60:63] |= mask_planes.SAT | mask_planes.INTRP
    coadd = assemble_coadd(warps, patch, "deep", settings)
    np.testing.assert_allclose(coadd.pixels.image, 2.0)
    assert flagged(coadd, "SAT").sum() == 9
    assert flagged(coadd, "INTRP").sum() == 9
    assert not flagged(coadd, "REJECTED").any()
    assert not flagged(coadd, "INEXACT_PSF").any()


@pytest.mark.parametrize(("variance", "is_saturated"), [(4.0, True), (4000.0, False)])
def test_saturation_is_told_above_a_tenth_of_the_weight(
    patch, warp, settings, flagged, variance, is_saturated
):
    first, second = warp(1), warp(2, variance=variance)
    second.pixels.mask[50, 60] |= mask_planes.SAT
    coadd = assemble_coadd([first, second], patch, "deep", settings)
    assert flagged(coadd, "SAT")[50, 60] == is_saturated
    assert flagged(coadd, "REJECTED")[50, 60]


def test_detections_of_single_visits_are_not_inherited(patch, warp, settings):
    one = warp(1)
    one.pixels.mask[:] |= mask_planes.DETECTED | mask_planes.EDGE
    assert not assemble_coadd([one], patch, "deep", settings).pixels.mask.any()


def test_the_table_of_inputs_tells_offsets_of_the_background(patch, warp, settings):
    rng = np.random.default_rng(3)
    warps = [warp(visit, stars=STARS, level=level, rng=rng) for visit, level in ((5, -0.5), (2, 0.5))]
    coadd = assemble_coadd(warps, patch, "deep", settings)
    assert column(coadd.inputs, "visit").tolist() == [2, 5]
    # 1,800 pixels of noise sqrt(4 - 2): the median is good to 0.04.
    np.testing.assert_allclose(column(coadd.inputs, "zeroOffset"), [0.5, -0.5], atol=0.17)
    assert column(coadd.inputs, "used").all()


def test_offsets_are_measured_where_visits_overlap(patch, warp, settings):
    warps = [warp(1, level=0.5), warp(2, level=-0.5, box=(0, 60, 0, 160))]
    offsets = column(assemble_coadd(warps, patch, "deep", settings).inputs, "zeroOffset")
    np.testing.assert_allclose(offsets, [0.5, -0.5], atol=1e-5)
    alone = assemble_coadd([warp(1)], patch, "deep", settings)
    assert np.isnan(column(alone.inputs, "zeroOffset")).all()


def test_the_template_takes_the_sharpest_visits_and_says_why_not_the_others(patch, warp, settings):
    settings["good_seeing"] = {"fraction": 0.5, "minimum": 2}
    warps = [warp(visit, sigma=sigma) for visit, sigma in ((1, 2.0), (2, 1.5), (3, 1.9), (4, 1.6))]
    coadd = assemble_coadd(warps, patch, "good_seeing", settings)
    assert column(coadd.inputs, "used").tolist() == [False, True, False, True]
    reasons = column(coadd.inputs, "reason").tolist()
    assert reasons == ["PSF sigma 2.000 pixel above 1.600", "", "PSF sigma 1.900 pixel above 1.600", ""]
    assert coadd.info.exposure_time == 60.0


@pytest.mark.parametrize(("n_warp", "n_used"), [(2, 2), (3, 3), (8, 4)])
def test_the_template_takes_at_least_the_minimum(patch, warp, settings, n_warp, n_used):
    settings["good_seeing"] = {"fraction": 0.5, "minimum": 3}
    warps = [warp(visit, sigma=1.5 + 0.1 * visit, box=(0, 40, 0, 40)) for visit in range(n_warp)]
    assert column(assemble_coadd(warps, patch, "good_seeing", settings).inputs, "used").sum() == n_used


def test_the_order_of_the_warps_does_not_matter(patch, warp, settings):
    rng = np.random.default_rng(4)
    warps = [warp(visit, stars=STARS, variance=1.0 + visit, rng=rng) for visit in (3, 1, 2)]
    one, other = (assemble_coadd(list(order), patch, "deep", settings) for order in (warps, warps[::-1]))
    for plane in ("image", "mask", "variance"):
        np.testing.assert_array_equal(getattr(one.pixels, plane), getattr(other.pixels, plane))


def test_the_aperture_correction_is_the_weighted_mean(patch, warp, settings):
    corrections = [(1, 1.0, 1.02), (2, 3.0, 1.06)]
    warps = [replace(warp(v, variance=s), ap_corr=constant_field(a, (160, 180))) for v, s, a in corrections]
    coadd = assemble_coadd(warps, patch, "deep", settings)
    assert coadd.ap_corr.evaluate(10.0, 150.0) == pytest.approx((1.02 + 1.06 / 3) / (4 / 3))
    assert assemble_coadd([warp(1)], patch, "deep", settings).ap_corr is None


def test_no_warp_is_named_with_the_patch(patch, settings):
    with pytest.raises(NoInputsError, match="good_seeing coadd of tract 3 patch 1_0: 0 warps") as caught:
        assemble_coadd([], patch, "good_seeing", settings)
    assert caught.value.reason == "NoInputs"


def test_a_warp_of_nan_gives_no_data_and_no_offset(patch, warp, settings, flagged):
    bad = warp(1)
    bad.pixels.image[:] = np.nan
    coadd = assemble_coadd([bad, warp(2)], patch, "deep", settings)
    np.testing.assert_allclose(coadd.pixels.image, 0.0)
    assert not flagged(coadd, "NO_DATA").any()
    offsets = column(assemble_coadd([bad], patch, "deep", settings).inputs, "zeroOffset")
    assert np.isnan(offsets).all()
