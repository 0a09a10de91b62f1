"""Differences are white, as noisy as photons say, and keep the flux of what changed."""

from dataclasses import replace

import numpy as np
import pytest

from skyloom.algorithms.kernel_matching import InsufficientKernelStampsError
from skyloom.core import mask_planes
from skyloom.diff.pipeline import PoorSubtractionError, TemplateIsScienceError, build_template, subtract

BORDER = 16


def difference_of(scene, settings):
    """Return the difference of a scene."""
    return subtract(scene.science, build_template([scene.coadd], scene.science, settings), settings)


def blank_pixels(scene, difference):
    """Return normalised blank pixels away from the edges, NaN elsewhere."""
    pixels = difference.exposure.pixels
    normal = pixels.image / np.sqrt(pixels.variance)
    inside = np.zeros(normal.shape, bool)
    inside[BORDER:-BORDER, BORDER:-BORDER] = True
    return np.where(scene.blank & inside & (pixels.mask == 0), normal, np.nan)


# Science sharper, template sharper, and both alike: each way of convolving.
SEEINGS = [((4.6, 0.06), (3.8, -0.06)), ((3.8, 0.06), (4.6, -0.06)), ((4.2, 0.05), (4.2, -0.05))]


@pytest.mark.parametrize(("science", "template"), SEEINGS)
def test_noise_is_white_and_that_of_the_variance_plane(make_scene, settings, science, template):
    values, products = [], []
    for seed in (1, 2):
        scene = make_scene(seed, science=science, template=template)
        normal = blank_pixels(scene, difference_of(scene, settings))
        values.append(normal[np.isfinite(normal)])
        for pair in (normal[:, 1:] * normal[:, :-1], normal[1:] * normal[:-1], normal[2:] * normal[:-2]):
            products.append(pair[np.isfinite(pair)].mean())
    everything = np.concatenate(values)
    # 1e5 pixels: the scatter is known to 0.2 %; the noise model takes the template's phases as mixed (1 %).
    assert everything.std() == pytest.approx(1.0, abs=0.02)
    assert abs(everything.mean()) < 0.03
    assert np.abs(products).max() < 0.03


def test_a_template_taken_as_white_leaves_correlated_noise(make_scene, settings):
    # The test above has teeth: with the coadd's correlation forgotten, it fails.
    scene = make_scene(1, science=SEEINGS[1][0], template=SEEINGS[1][1])
    template = replace(build_template([scene.coadd], scene.science, settings), noise_correlation=1.0)
    normal = blank_pixels(scene, subtract(scene.science, template, settings))
    assert abs(np.nanmean(normal[:, 1:] * normal[:, :-1])) > 0.03


ALIKE = {"science": (4.2, 0.05), "template": (4.2, 0.05)}


def test_a_visit_in_its_own_template_has_white_noise_of_the_variance_plane_too(make_scene, settings):
    values, products = [], []
    for seed in (1, 2):
        scene = make_scene(seed, **ALIKE, in_template=True)
        difference = difference_of(scene, settings)
        # Of two visits alike: v + v/2 - 2 v/2.
        power = np.nanmedian(difference.exposure.pixels.variance)
        assert power == pytest.approx(0.5 * scene.science.pixels.variance[0, 0], rel=0.1)
        normal = blank_pixels(scene, difference)
        values.append(normal[np.isfinite(normal)])
        for pair in (normal[:, 1:] * normal[:, :-1], normal[1:] * normal[:-1], normal[2:] * normal[:-2]):
            products.append(pair[np.isfinite(pair)].mean())
    # The transfer function of one interpolation stands for that of the phase at hand: 5 %.
    assert np.concatenate(values).std() == pytest.approx(1.0, abs=0.05)
    assert np.abs(products).max() < 0.06


def test_without_the_common_noise_a_visit_in_its_template_has_correlated_noise(make_scene, settings):
    scene = make_scene(1, **ALIKE, in_template=True)
    template = build_template([scene.coadd], scene.science, settings)
    assert template.holds_science.any()
    forgotten = replace(template, holds_science=np.zeros_like(template.holds_science))
    normal = blank_pixels(scene, subtract(scene.science, forgotten, settings))
    assert np.nanmean(normal[:, 1:] * normal[:, :-1]) < -0.06


def test_a_template_that_is_the_exposure_itself_is_refused(make_scene, settings):
    scene = make_scene(1, **ALIKE, in_template=True)
    template = build_template([scene.coadd], scene.science, settings)
    pixels = replace(template.pixels, variance=template.pixels.variance * np.float32(2))
    with pytest.raises(TemplateIsScienceError, match="visit 7 makes up nearly all of its own template"):
        subtract(scene.science, replace(template, pixels=pixels), settings)


@pytest.mark.parametrize(("science", "template"), SEEINGS)
def test_fluxes_of_transients_are_those_of_the_science_image(make_scene, settings, science, template):
    pulls, ratios = [], []
    for seed in (3, 4, 5):
        scene = make_scene(seed, science=science, template=template, scale=1.02)
        difference = difference_of(scene, settings)
        pixels, psf = difference.exposure.pixels, difference.exposure.psf
        ra, dec, flux = scene.transients
        x, y = scene.science.wcs.sky_to_pixel(ra, dec)
        for i in range(len(x)):
            column, row = int(round(x[i])), int(round(y[i]))
            half = psf.size // 2
            near = np.hypot(x - x[i], y - y[i]) < 40
            if not half < min(column, row) or not max(column, row) < pixels.shape[0] - half or near.sum() > 1:
                continue
            window = slice(row - half, row + half + 1), slice(column - half, column + half + 1)
            r = np.arange(-half, half + 1)
            kernel = shifted(psf.kernel_at(x[i], y[i]), x[i] - column, y[i] - row, r)
            norm = np.sum(kernel**2)
            measured = np.sum(kernel * pixels.image[window]) / norm
            error = np.sqrt(np.sum(kernel**2 * pixels.variance[window])) / norm
            pulls.append((measured - 1.02 * flux[i]) / error)
            ratios.append(measured / flux[i] / 1.02)
    assert len(pulls) > 8
    # S/N is about 20 to 60: n of them pin the mean to 3 % / sqrt(n).
    assert np.mean(ratios) == pytest.approx(1.0, abs=4 * np.std(ratios) / np.sqrt(len(ratios)) + 0.01)
    # Robust, since some lie on bright stars, whose photon noise this scene's variance plane does not know.
    assert 1.48 * np.median(np.abs(pulls)) < 1.6


def shifted(kernel, dx, dy, r):
    """Return a kernel moved by a fraction of a pixel through its transform."""
    frequency = np.fft.fftfreq(len(r))
    phase = np.exp(-2j * np.pi * (frequency[:, None] * dy + frequency[None, :] * dx))
    return np.fft.ifft2(np.fft.fft2(kernel) * phase).real


def test_the_convolved_image_is_the_sharper_one_unless_told_otherwise(make_scene, settings):
    sharp_template = make_scene(6, science=(4.6, 0.0), template=(3.8, 0.0))
    sharp_science = make_scene(6, science=(3.8, 0.0), template=(4.6, 0.0))
    assert difference_of(sharp_template, settings).kernel.convolved == "template"
    assert difference_of(sharp_science, settings).kernel.convolved == "science"
    settings["kernel"]["direction"] = "template"
    forced = difference_of(sharp_science, settings)
    assert forced.kernel.convolved == "template"


def test_the_psf_of_the_difference_has_sum_one_everywhere(make_scene, settings):
    difference = difference_of(make_scene(7), settings)
    images = difference.exposure.psf.images
    np.testing.assert_allclose(images.sum(axis=(2, 3)), 1.0, atol=1e-5)
    assert difference.exposure.noise_correlation == 1.0
    assert difference.template.shape == difference.exposure.pixels.shape


def test_masks_of_both_images_reach_the_difference(make_scene, settings):
    scene = make_scene(8)
    mask = scene.science.pixels.mask.copy()
    mask[100, 100] = mask_planes.bits("CR", "DETECTED")
    image = scene.science.pixels.image.copy()
    image[100, 100] = 1e6
    science = replace(scene.science, pixels=replace(scene.science.pixels, image=image, mask=mask))
    coadd_mask = scene.coadd.pixels.mask.copy()
    coadd_image = scene.coadd.pixels.image.copy()
    coadd_image[:, 300:] = np.nan
    coadd_mask[:, 300:] = mask_planes.NO_DATA
    coadd_mask[200, 200] = mask_planes.SAT
    pixels = replace(scene.coadd.pixels, mask=coadd_mask, image=coadd_image)
    scene = replace(scene, science=science, coadd=replace(scene.coadd, pixels=pixels))

    pixels = difference_of(scene, settings).exposure.pixels

    assert pixels.mask[100, 100] & mask_planes.CR
    assert not np.bitwise_or.reduce(pixels.mask, axis=None) & mask_planes.DETECTED
    assert pixels.is_masked(mask_planes.SAT_TEMPLATE).any()
    missing = pixels.is_masked(mask_planes.NO_DATA)
    assert 0.1 < missing.mean() < 0.4
    assert np.isnan(pixels.image[missing]).all()
    assert np.isfinite(pixels.image[~missing]).all()
    # The ray's million did not spread: its neighbours are noise.
    around = pixels.image[95:106, 95:106] / np.sqrt(pixels.variance[95:106, 95:106])
    assert np.abs(around).max() < 6


@pytest.mark.parametrize(("science", "template"), SEEINGS[:2])
def test_a_hot_column_does_not_spread_whichever_image_is_convolved(make_scene, settings, science, template):
    scene = make_scene(11, science=science, template=template)
    mask, image = scene.science.pixels.mask.copy(), scene.science.pixels.image.copy()
    mask[:, 150] = mask_planes.BAD
    image[:, 150] += 1e5
    pixels = replace(scene.science.pixels, image=image, mask=mask)
    scene = replace(scene, science=replace(scene.science, pixels=pixels))
    normal = blank_pixels(scene, difference_of(scene, settings))
    beside = normal[:, [146, 147, 148, 149, 151, 152, 153, 154]]
    # About 200 blank pixels a column.
    assert np.abs(np.nanmean(beside, axis=0)).max() < 0.4
    assert np.nanstd(beside) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(("science", "template"), SEEINGS[:2])
def test_a_defect_in_a_transient_takes_nothing_from_its_neighbours(make_scene, settings, science, template):
    scene = make_scene(12, science=science, template=template)
    ra, dec, _ = scene.transients
    x, y = (np.rint(c).astype(int) for c in scene.science.wcs.sky_to_pixel(ra, dec))
    ny, nx = scene.science.pixels.shape
    inside = (x > 2 * BORDER) & (x < nx - 2 * BORDER) & (y > 2 * BORDER) & (y < ny - 2 * BORDER)
    x, y = x[inside], y[inside]
    mask, image = scene.science.pixels.mask.copy(), scene.science.pixels.image.copy()
    mask[y, x] = mask_planes.bits("BAD", "INTRP")
    # As instrument signature removal fills it in, some per cent off.
    image[y, x] *= 0.9
    pixels = replace(scene.science.pixels, image=image, mask=mask)
    spoilt = replace(scene, science=replace(scene.science, pixels=pixels))

    whole, with_holes = (difference_of(s, settings).exposure.pixels for s in (scene, spoilt))

    changes = [
        (with_holes.image - whole.image)[y + dy, x + dx] / np.sqrt(whole.variance[y + dy, x + dx])
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))
    ]
    assert len(x) > 3
    # With zeros in the holes it was 3.5.
    assert np.sqrt(np.mean(np.square(changes))) < 0.5
    assert (with_holes.mask[y, x] & mask_planes.BAD != 0).all()


def test_a_field_without_stars_is_refused(make_scene, settings):
    scene = make_scene(9, n_star=1)
    with pytest.raises(InsufficientKernelStampsError, match="needs 3") as caught:
        difference_of(scene, settings)
    assert caught.value.n_stamp < 3


def test_a_kernel_that_does_not_fit_is_refused(make_scene, settings):
    scene = make_scene(10)
    rng = np.random.default_rng(0)
    # Every star of the template at a flux of its own: no kernel turns one image into the other.
    pixels = scene.coadd.pixels
    blocks = np.kron(rng.uniform(0.2, 3.0, (40, 40)), np.ones((10, 10)))
    spoiled = replace(
        pixels, image=(pixels.image * blocks[: pixels.shape[0], : pixels.shape[1]]).astype("f4")
    )
    settings["kernel"]["clip_rounds"] = 0
    settings["maximum_residual"] = 0.1
    with pytest.raises(PoorSubtractionError, match="leaves .*needs below 10.0%"):
        difference_of(replace(scene, coadd=replace(scene.coadd, pixels=spoiled)), settings)
