"""Resampling: positions, fluxes, noise, masks and PSF kernels, against analytic stars and reproject."""

import numpy as np
import pytest
from astropy import wcs as astropy_wcs_module
from reproject import reproject_interp

from skyloom.algorithms.resampling import (
    dilate_mask,
    lanczos_table,
    lanczos_transfer,
    map_jacobian,
    pixel_map,
    resample,
    resample_kernels,
    source_positions,
)
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage
from skyloom.core.psf import gaussian_kernel
from skyloom.core.wcs import Wcs, tpv_powers

SCALE = 0.2 / 3600


def tangent_wcs(shape, rotation=0.0, offset=(0.0, 0.0), distortion_pixel=0.0, scale=SCALE):
    """Plain or radially distorted TAN; the distortion is that at the corner of 512 pixels."""
    cosine, sine = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    cd = scale * np.array([[-cosine, sine], [sine, cosine]])
    centre = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2]) + offset
    pv = None
    if distortion_pixel:
        powers = tpv_powers(3)[1]
        pv = np.zeros(len(powers))
        pv[1] = 1.0
        for power in ((3, 0), (1, 2)):
            pv[powers.index(power)] = distortion_pixel / 362.0**3 / scale**2
    return Wcs(np.array([150.0, 2.2]), centre, cd, pv, pv, shape)


def blank(shape, value=0.0, variance=1.0):
    return MaskedImage(
        np.full(shape, value, np.float32), np.zeros(shape, np.uint32), np.full(shape, variance, np.float32)
    )


def star_image(shape, x, y, flux, sigma):
    image = np.zeros(shape)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    for one_x, one_y in zip(x, y, strict=True):
        image += (
            flux
            / (2 * np.pi * sigma**2)
            * np.exp(-((columns - one_x) ** 2 + (rows - one_y) ** 2) / (2 * sigma**2))
        )
    return MaskedImage(image.astype(np.float32), np.zeros(shape, np.uint32), np.ones(shape, np.float32))


def weighted_centroid(stamp, sigma):
    """Gaussian-weighted centroid of a stamp, from its middle."""
    half = stamp.shape[0] // 2
    rows, columns = np.mgrid[-half : half + 1, -half : half + 1]
    x = y = 0.0
    for _ in range(60):
        weighted = stamp * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
        x += 2 * ((weighted * columns).sum() / weighted.sum() - x)
        y += 2 * ((weighted * rows).sum() / weighted.sum() - y)
    return x, y


def test_the_weights_interpolate_cubics_exactly():
    table = lanczos_table().astype(np.float64)
    distance = np.arange(-2, 4)[None, :] - np.linspace(0, 1, len(table))[:, None]
    moments = [(table * distance**power).sum(axis=1) for power in range(4)]
    np.testing.assert_allclose(moments[0], 1, atol=1e-6)
    for moment in moments[1:]:
        np.testing.assert_allclose(moment, 0, atol=1e-5)


def test_a_pixel_phase_of_zero_copies_the_pixel():
    table = lanczos_table()
    np.testing.assert_allclose(table[0], [0, 0, 1, 0, 0, 0], atol=1e-7)
    np.testing.assert_allclose(table[-1], [0, 0, 0, 1, 0, 0], atol=1e-7)


def test_the_transfer_is_one_at_low_frequency_and_a_half_at_the_nyquist_frequency():
    transfer = lanczos_transfer(np.array([0.0, 0.1, 0.5]))
    np.testing.assert_allclose(transfer, [1.0, 1.0, 0.5], atol=1e-2)


@pytest.mark.parametrize("step", [16, 32])
def test_the_map_between_the_nodes_is_right_to_a_thousandth_of_a_pixel(step):
    shape = (300, 280)
    target, source = tangent_wcs(shape), tangent_wcs((512, 512), rotation=3.0, distortion_pixel=3.0)
    grid_x, grid_y = np.meshgrid(np.arange(shape[1], dtype=np.float64), np.arange(shape[0], dtype=np.float64))
    x, y = source_positions(target, source, grid_x, grid_y)
    mapping = pixel_map(target, source, shape, step=step)
    # An image whose value is its own column or row tells where each pixel was read.
    columns = np.broadcast_to(np.arange(512, dtype=np.float32), (512, 512))
    for plane, expected in ((columns, x), (columns.T, y)):
        warped = resample(
            MaskedImage(plane.copy(), np.zeros((512, 512), np.uint32), np.ones((512, 512), np.float32)),
            mapping,
        )
        area = np.abs(np.linalg.det(map_jacobian(target, source, grid_x.ravel(), grid_y.ravel()))).reshape(
            shape
        )
        read = warped.pixels.image / area
        inside = np.isfinite(read)
        # The table of weights has 1024 steps a pixel.
        assert np.abs(read - expected)[inside].max() < 0.5 / 1024 + 1e-3
        assert inside.mean() > 0.9


@pytest.mark.parametrize(("sigma", "flux_tolerance"), [(1.2, 5e-4), (1.7, 2e-4)])
@pytest.mark.parametrize("seed", [1, 2])
def test_stars_keep_flux_and_position_on_a_rotated_distorted_detector(seed, sigma, flux_tolerance):
    rng = np.random.default_rng(seed)
    shape, flux = (300, 300), 1e5
    x, y = (grid.ravel() for grid in np.meshgrid(np.arange(40, 290, 44.0), np.arange(40, 290, 44.0)))
    x, y = x + rng.uniform(-0.5, 0.5, x.size), y + rng.uniform(-0.5, 0.5, y.size)
    source, target = (
        tangent_wcs(shape, 4.0, distortion_pixel=3.0),
        tangent_wcs((320, 320), offset=(0.3, -0.2)),
    )
    warped = resample(star_image(shape, x, y, flux, sigma), pixel_map(target, source, (320, 320)))
    target_x, target_y = target.sky_to_pixel(*source.pixel_to_sky(x, y))
    n_checked = 0
    for one_x, one_y in zip(target_x, target_y, strict=True):
        column, row = round(one_x), round(one_y)
        stamp = warped.pixels.image[row - 14 : row + 15, column - 14 : column + 15].astype(np.float64)
        if stamp.shape != (29, 29) or not np.isfinite(stamp).all():
            continue
        dx, dy = weighted_centroid(stamp, sigma)
        assert stamp.sum() == pytest.approx(flux, rel=flux_tolerance)
        assert np.hypot(dx - (one_x - column), dy - (one_y - row)) < 0.004
        n_checked += 1
    assert n_checked >= 25


def test_a_global_area_factor_would_fail_the_flux_test():
    target, source = tangent_wcs((300, 300)), tangent_wcs((300, 300), distortion_pixel=3.0)
    area = pixel_map(target, source, (300, 300)).area
    assert np.ptp(area) > 0.01


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_variance_is_that_of_the_pixels_and_the_correlation_that_of_large_sums(seed):
    rng = np.random.default_rng(seed)
    shape = (512, 512)
    source = MaskedImage(
        rng.normal(0, 3.0, shape).astype(np.float32),
        np.zeros(shape, np.uint32),
        np.full(shape, 9.0, np.float32),
    )
    warped = resample(source, pixel_map(tangent_wcs(shape), tangent_wcs(shape, 2.5), shape))
    image = warped.pixels.image[40:472, 40:472]
    variance = warped.pixels.variance[40:472, 40:472]
    pulls = image / np.sqrt(variance)
    # Neighbours are correlated: about half of the pixels are independent.
    assert pulls.var() == pytest.approx(1.0, abs=4 * np.sqrt(2 / (pulls.size / 2)))
    blocks = image.reshape(36, 12, 36, 12).sum(axis=(1, 3)) / 12
    # A block of 12 pixels is not quite frequency zero; its edges lose (6 / 12) x 1 % of the power at most.
    power = blocks.var() / variance.mean()
    assert power == pytest.approx(warped.noise_correlation, rel=4 * np.sqrt(2 / blocks.size) + 0.03)
    assert 1.2 < warped.noise_correlation < 1.32


def test_an_identical_grid_changes_nothing():
    rng = np.random.default_rng(1)
    shape = (60, 70)
    source = MaskedImage(
        rng.normal(size=shape).astype(np.float32),
        np.zeros(shape, np.uint32),
        rng.uniform(1, 2, shape).astype(np.float32),
    )
    warped = resample(source, pixel_map(tangent_wcs(shape), tangent_wcs(shape), shape))
    inner = np.s_[4:-4, 4:-4]
    np.testing.assert_allclose(warped.pixels.image[inner], source.image[inner], atol=2e-3)
    np.testing.assert_allclose(warped.pixels.variance[inner], source.variance[inner], rtol=2e-3)
    assert warped.noise_correlation == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("rotation", [0.0, 30.0])
def test_reproject_gives_the_same_smooth_image(rotation):
    rng = np.random.default_rng(5)
    shape = (120, 120)
    source_wcs, target_wcs = tangent_wcs(shape, rotation, (0.4, 0.1)), tangent_wcs(shape)
    source = star_image(shape, rng.uniform(30, 90, 8), rng.uniform(30, 90, 8), 1000.0, 2.5)
    ours = resample(source, pixel_map(target_wcs, source_wcs, shape)).pixels.image
    theirs, _ = reproject_interp(
        (source.image, astropy_wcs(source_wcs)), astropy_wcs(target_wcs), shape_out=shape, order="bicubic"
    )
    both = np.isfinite(ours) & np.isfinite(theirs)
    assert both.mean() > 0.5
    # Both interpolators are exact to a few 1e-3 of the peak at sigma 2.5; equal areas.
    assert np.abs(ours - theirs)[both].max() < 4e-3 * source.image.max()


def astropy_wcs(wcs):
    """The same plain TAN in astropy."""
    other = astropy_wcs_module.WCS(naxis=2)
    other.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    other.wcs.crval = wcs.crval
    other.wcs.crpix = wcs.crpix + 1
    other.wcs.cd = wcs.cd
    return other


@pytest.mark.kernels
def test_a_pixel_whose_window_leaves_the_source_has_no_data():
    shape = (24, 24)
    warped = resample(
        blank(shape, 5.0), pixel_map(tangent_wcs(shape), tangent_wcs(shape, offset=(0.5, 0.0)), shape)
    )
    has_data = (warped.pixels.mask & mask_planes.NO_DATA) == 0
    # Target column x reads x + 0.5, hence columns x - 2 ... x + 3; rows have phase 0 within rounding.
    columns = np.flatnonzero(has_data[12])
    assert (columns[0], columns[-1]) == (2, 20)
    assert np.isnan(warped.pixels.image[~has_data]).all()
    assert np.isnan(warped.pixels.variance[~has_data]).all()
    assert warped.n_valid == has_data.sum()
    np.testing.assert_allclose(warped.pixels.image[has_data], 5.0, rtol=1e-5)


@pytest.mark.kernels
def test_a_nan_reaches_exactly_the_pixels_that_read_it():
    shape = (24, 24)
    source = blank(shape)
    source.image[12, 12] = np.nan
    warped = resample(source, pixel_map(tangent_wcs(shape), tangent_wcs(shape, offset=(0.5, 0.5)), shape))
    lost = (warped.pixels.mask[4:19, 4:19] & mask_planes.NO_DATA) != 0
    rows, columns = np.nonzero(lost)
    assert (rows.min() + 4, rows.max() + 4, columns.min() + 4, columns.max() + 4) == (9, 14, 9, 14)
    assert lost.sum() == 36


@pytest.mark.kernels
def test_a_mask_bit_reaches_exactly_the_pixels_that_read_it():
    shape = (24, 24)
    source = blank(shape)
    source.mask[12, 12] = mask_planes.CR
    warped = resample(source, pixel_map(tangent_wcs(shape), tangent_wcs(shape, offset=(0.5, 0.5)), shape))
    rows, columns = np.nonzero(warped.pixels.mask & mask_planes.CR)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (9, 14, 9, 14)


def test_an_image_that_meets_nothing_is_all_no_data():
    shape = (30, 30)
    warped = resample(
        blank(shape), pixel_map(tangent_wcs(shape), tangent_wcs(shape, offset=(500.0, 0.0)), shape)
    )
    assert warped.n_valid == 0
    assert np.isnan(warped.noise_correlation)


@pytest.mark.kernels
def test_dilation_is_the_or_over_the_window_cut_at_the_edge():
    mask = np.zeros((8, 9), np.uint32)
    mask[0, 4], mask[6, 8] = 1, 2
    dilated = dilate_mask(mask, 2, 3)
    expected = np.zeros_like(mask)
    for y in range(8):
        for x in range(9):
            window = mask[max(y - 2, 0) : y + 4, max(x - 2, 0) : x + 4]
            expected[y, x] = np.bitwise_or.reduce(window.ravel())
    np.testing.assert_array_equal(dilated, expected)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_resampled_kernel_is_the_mean_star_of_the_warp(seed):
    rng = np.random.default_rng(seed)
    shape, sigma, size = (260, 260), 1.4, 25
    x, y = (grid.ravel() for grid in np.meshgrid(np.arange(30, 240, 33.0), np.arange(30, 240, 33.0)))
    x, y = x + rng.uniform(-0.5, 0.5, x.size), y + rng.uniform(-0.5, 0.5, y.size)
    source, target = tangent_wcs(shape, 20.0, scale=SCALE * 1.1), tangent_wcs(shape)
    warped = resample(star_image(shape, x, y, 1.0, sigma), pixel_map(target, source, shape)).pixels.image
    target_x, target_y = target.sky_to_pixel(*source.pixel_to_sky(x, y))
    half = size // 2
    second_moments = []
    for one_x, one_y in zip(target_x, target_y, strict=True):
        column, row = round(one_x), round(one_y)
        stamp = warped[row - half : row + half + 1, column - half : column + half + 1]
        if stamp.shape != (size, size) or not np.isfinite(stamp).all():
            continue
        rows, columns = np.mgrid[-half : half + 1, -half : half + 1]
        weight = np.exp(-((columns - one_x + column) ** 2 + (rows - one_y + row) ** 2) / (2 * sigma**2))
        second_moments.append((weight * stamp).sum() / stamp.sum())
    jacobian = map_jacobian(target, source, np.array([130.0]), np.array([130.0]))
    kernel = resample_kernels(gaussian_kernel(sigma, size)[None], jacobian, size)[0]
    rows, columns = np.mgrid[-half : half + 1, -half : half + 1]
    expected = (np.exp(-(columns**2 + rows**2) / (2 * sigma**2)) * kernel).sum()
    assert kernel.sum() == pytest.approx(1.0)
    assert len(second_moments) > 15
    assert np.mean(second_moments) == pytest.approx(expected, rel=2e-3)


def test_a_kernel_on_an_identical_grid_without_smoothing_stays():
    kernel = gaussian_kernel(1.5, 21)
    same = resample_kernels(kernel[None], np.eye(2)[None], 21, smooth=False)[0]
    np.testing.assert_allclose(same, kernel, atol=1e-6)
