"""Warps of a visit: fluxes, positions, PSF, noise, cropping and what happens without overlap."""

from dataclasses import replace

import numpy as np
import pytest

from skyloom.algorithms.photometry import psf_photometry
from skyloom.algorithms.resampling import source_positions
from skyloom.core import mask_planes
from skyloom.core.errors import DataError
from skyloom.core.tables import column
from skyloom.warp.pipeline import NoOverlapError, warp_visit

SETTINGS = {"node_step": 32, "cell_size": 50}


def complete_stars(warp, stars, half=15):
    """Positions on the warp and indices of stars whose whole stamp has data."""
    x, y = warp.wcs.sky_to_pixel(stars.ra, stars.dec)
    kept = []
    ny, nx = warp.pixels.shape
    for index, (one_x, one_y) in enumerate(zip(x, y, strict=True)):
        column_0, row_0 = round(one_x) - half, round(one_y) - half
        if column_0 < 0 or row_0 < 0 or column_0 + 2 * half >= nx or row_0 + 2 * half >= ny:
            continue
        stamp = warp.pixels.image[row_0 : row_0 + 2 * half + 1, column_0 : column_0 + 2 * half + 1]
        if np.isfinite(stamp).all():
            kept.append(index)
    return x[kept], y[kept], np.array(kept)


def test_stars_of_two_detectors_keep_flux_and_position(patch, calexp, star_grid):
    warp = warp_visit([calexp(0, star_grid), calexp(1, star_grid)], patch, SETTINGS)
    x, y, kept = complete_stars(warp, star_grid)
    assert len(kept) > 20
    for one_x, one_y, flux in zip(x, y, star_grid.flux[kept], strict=True):
        stamp = warp.pixels.image[
            round(one_y) - 12 : round(one_y) + 13, round(one_x) - 12 : round(one_x) + 13
        ]
        assert stamp.sum(dtype=np.float64) == pytest.approx(flux, rel=1e-3)
    fit = psf_photometry(warp.pixels, warp.psf, x, y)
    np.testing.assert_allclose(fit.x, x, atol=0.01)
    np.testing.assert_allclose(fit.y, y, atol=0.01)
    # The PSF grows by 10 % over 256 pixels: +-1 % in size, hence in flux, within a cell of 50 pixels.
    np.testing.assert_allclose(fit.flux, star_grid.flux[kept], rtol=0.015)
    assert np.mean(fit.flux) == pytest.approx(1e5, rel=3e-3)


def test_a_constant_psf_would_fail_the_flux_test(patch, calexp, star_grid):
    warp = warp_visit([calexp(0, star_grid, growth=0.3), calexp(1, star_grid, growth=0.3)], patch, SETTINGS)
    x, y, kept = complete_stars(warp, star_grid)
    constant = np.repeat(warp.psf.images[2:3, 2].astype(np.float64), len(x), axis=0)
    fit = psf_photometry(warp.pixels, constant, x, y)
    assert np.ptp(fit.flux / star_grid.flux[kept]) > 0.1


def test_the_warp_is_cropped_to_its_valid_pixels_and_its_wcs_knows_where(patch, calexp):
    warp = warp_visit([calexp(0, offset=(60.0, 0.0))], patch, SETTINGS)
    has_data = (warp.pixels.mask & mask_planes.NO_DATA) == 0
    for edge in (has_data[0], has_data[-1], has_data[:, 0], has_data[:, -1]):
        assert edge.any()
    x0, y0 = warp.info.origin
    ra, dec = warp.wcs.pixel_to_sky([3.0], [4.0])
    x, y = patch.wcs.sky_to_pixel(ra, dec)
    np.testing.assert_allclose([x[0], y[0]], [x0 + 3, y0 + 4], atol=1e-6)
    assert warp.wcs.shape == warp.pixels.shape
    assert (warp.info.visit, warp.info.detector, warp.info.tract, warp.info.patch) == (7, -1, 3, "0_0")
    assert np.isnan(warp.pixels.image[~has_data]).all()


def test_cells_lie_on_the_grid_of_the_patch_and_hold_the_psf_of_their_detector(patch, calexp):
    calexps = [calexp(0, sigma=1.4, growth=0.0), calexp(1, sigma=2.1, growth=0.0)]
    warp = warp_visit(calexps, patch, SETTINGS)
    for axis in (0, 1):
        assert (warp.psf.origin[axis] + warp.info.origin[axis]) % 50 == 0
        assert -50 < warp.psf.origin[axis] <= 0
    # Detector 1 lies at larger focal-plane x, which is West and therefore at larger x of the patch.
    middle = warp.pixels.shape[0] / 2
    left, right = warp.psf.kernels_at([20.0, warp.pixels.shape[1] - 20.0], [middle, middle])
    assert left.max() > 2 * right.max()
    np.testing.assert_allclose([left.sum(), right.sum()], 1.0)


def test_a_pixel_comes_from_one_detector_where_two_overlap(patch, calexp):
    first, second = calexp(0), calexp(1, offset=(30.0, 0.0))
    first = replace(first, pixels=replace(first.pixels, image=first.pixels.image + np.float32(1)))
    second = replace(second, pixels=replace(second.pixels, image=second.pixels.image + np.float32(2)))
    warp = warp_visit([second, first], patch, SETTINGS)
    rows, columns = np.mgrid[: warp.pixels.shape[0], : warp.pixels.shape[1]]
    x0, y0 = warp.info.origin
    own_x, own_y = source_positions(patch.wcs, first.wcs, (columns + x0).ravel(), (rows + y0).ravel())
    inside = ((own_x > 3) & (own_x < 252) & (own_y > 3) & (own_y < 252)).reshape(rows.shape)
    np.testing.assert_allclose(warp.pixels.image[inside], 1.0, atol=0.03)
    assert np.nanmedian(warp.pixels.image[~inside]) == pytest.approx(2.0, abs=0.06)


@pytest.mark.parametrize("seed", [1, 2])
def test_blank_pixels_scatter_as_the_variance_says(patch, calexp, seed):
    rng = np.random.default_rng(seed)
    warp = warp_visit([calexp(0, rng=rng), calexp(1, rng=rng)], patch, SETTINGS)
    has_data = (warp.pixels.mask & mask_planes.NO_DATA) == 0
    pulls = warp.pixels.image[has_data] / np.sqrt(warp.pixels.variance[has_data])
    assert pulls.var() == pytest.approx(1.0, abs=4 * np.sqrt(4 / pulls.size))


def test_the_row_for_the_coadd_tells_weight_seeing_and_coverage(patch, calexp):
    warp = warp_visit([calexp(1), calexp(0)], patch, SETTINGS)
    row = {name: column(warp.inputs, name)[0] for name in warp.inputs.column_names}
    # Lanczos-3 averages the noise: the pixel variance is 1 / 1.26 of the detector's.
    assert row["weight"] == pytest.approx(warp.noise_correlation / 100.0, rel=0.02)
    assert row["skyNoise"] == pytest.approx(row["weight"] ** -0.5)
    assert row["psfSigma"] == pytest.approx(1.7, rel=0.01)
    assert row["detectors"] == "0 1"
    has_data = (warp.pixels.mask & mask_planes.NO_DATA) == 0
    assert row["coveredFraction"] == pytest.approx(has_data.sum() / (360 * 400))
    assert (row["visit"], row["used"], row["reason"], row["zeroOffset"]) == (7, True, "", 0.0)


def test_stars_and_masked_pixels_do_not_lower_the_weight(patch, calexp):
    clean, dirty = calexp(0), calexp(0)
    dirty.pixels.variance[::4] *= 100
    dirty.pixels.mask[::4] |= mask_planes.SAT
    dirty.pixels.mask[:] |= mask_planes.SAT
    weights = [column(warp_visit([c], patch, SETTINGS).inputs, "weight")[0] for c in (clean, dirty)]
    assert 0 < weights[1] < weights[0]


def test_the_aperture_correction_follows_the_detectors(patch, calexp):
    warp = warp_visit([calexp(0), calexp(1)], patch, SETTINGS)
    assert warp.ap_corr.evaluate(100.0, 100.0) == pytest.approx(1.02, abs=0.012)
    without = [replace(calexp(0), ap_corr=None), calexp(1)]
    assert warp_visit(without, patch, SETTINGS).ap_corr is None


@pytest.mark.parametrize("offset", [(2000.0, 0.0), (0.0, 340.0), (5e6, 0.0)])
def test_a_visit_beside_the_patch_is_named_as_no_overlap(patch, calexp, offset):
    with pytest.raises(
        NoOverlapError, match="none of its 2 detectors has a pixel on tract 3 patch 0_0"
    ) as caught:
        warp_visit([calexp(0, offset=offset), calexp(1, offset=offset)], patch, SETTINGS)
    assert isinstance(caught.value, DataError)
    assert caught.value.reason == "NoOverlap"
    assert (caught.value.visit, caught.value.n_detector) == (7, 2)


def test_a_detector_of_nan_is_no_overlap(patch, calexp):
    bad = calexp(0)
    bad.pixels.image[:] = np.nan
    with pytest.raises(NoOverlapError, match="none of its 1 detectors"):
        warp_visit([bad], patch, SETTINGS)


def test_a_detector_on_the_far_side_of_the_sky_is_no_overlap(patch, calexp):
    far = calexp(0)
    far = replace(far, wcs=replace(far.wcs, crval=np.array([330.0, -2.2])))
    with pytest.raises(NoOverlapError, match="none of its 1 detectors"):
        warp_visit([far], patch, SETTINGS)
