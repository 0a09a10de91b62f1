"""Templates are built on the science pixels from whatever patches there are."""

from dataclasses import replace

import numpy as np
import pytest

from skyloom.core import mask_planes
from skyloom.core.psf import psf_moments
from skyloom.diff.template import NoTemplateCoverageError, build_template


def half_of(coadd, first, last, **info):
    """Return columns of a coadd as a patch of its own."""
    pixels = replace(
        coadd.pixels,
        **{name: getattr(coadd.pixels, name)[:, first:last] for name in ("image", "mask", "variance")},
    )
    wcs = coadd.wcs.shifted(first, 0, pixels.shape)
    return replace(
        coadd,
        pixels=pixels,
        wcs=wcs,
        psf=coadd.psf.shifted(first, 0),
        info=replace(coadd.info, **info),
    )


def inner(plane, margin):
    """Return a plane without its margin."""
    return plane[margin:-margin, margin:-margin]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_template_shows_the_stars_where_the_science_image_does(make_scene, settings, seed):
    scene = make_scene(seed, size=200, sigma=2.0, science=(4.0, 0.0), template=(4.0, 0.0))

    template = build_template([scene.coadd], scene.science, settings)

    margin = settings["template"]["margin"]
    assert template.info.origin == (-margin, -margin)
    image = inner(template.pixels.image, margin)
    x, y = scene.science.wcs.sky_to_pixel(*scene.transients[:2])
    static = np.ones(image.shape, bool)
    yy, xx = np.mgrid[:200, :200]
    for px, py in zip(x, y, strict=True):
        static &= np.hypot(xx - px, yy - py) > 20
    residual = (image - scene.science.pixels.image)[static]
    # Same PSF in both: what is left is noise and two interpolations' smoothing of the brightest stars.
    assert np.std(residual) < 0.01 * scene.science.pixels.image.max()
    assert np.median(np.abs(residual)) < 3.0


def test_patches_and_tracts_join_to_what_one_coadd_gives(make_scene, settings):
    scene = make_scene(3, size=200)
    whole = build_template([scene.coadd], scene.science, settings)
    size = scene.coadd.pixels.shape[1]
    left = half_of(scene.coadd, 0, size // 2 + 20, patch="0_0")
    right = half_of(scene.coadd, size // 2 - 20, size, patch="1_0")
    other_tract = replace(scene.coadd, info=replace(scene.coadd.info, tract=2))

    for coadds in ([left, right], [right, left], [left, right, other_tract]):
        joined = build_template(coadds, scene.science, settings)
        np.testing.assert_allclose(joined.pixels.image, whole.pixels.image, atol=0.05)
        np.testing.assert_array_equal(joined.pixels.mask, whole.pixels.mask)
        np.testing.assert_allclose(joined.pixels.variance, whole.pixels.variance, rtol=1e-3)


def test_a_partly_covered_exposure_has_no_data_beyond(make_scene, settings):
    scene = make_scene(4, size=200)
    left = half_of(scene.coadd, 0, 140)

    template = build_template([left], scene.science, settings)

    missing = (template.pixels.mask & mask_planes.NO_DATA) != 0
    assert 0.4 < missing.mean() < 0.7
    assert np.isnan(template.pixels.image[missing]).all()
    assert np.isfinite(template.pixels.image[~missing]).all()


def test_an_exposure_off_the_coadds_is_refused_with_its_numbers(make_scene, settings):
    scene = make_scene(5, size=200)
    away = replace(scene.science, wcs=replace(scene.science.wcs, crval=np.array([150.1, 2.0])))
    other_side = replace(scene.science, wcs=replace(scene.science.wcs, crval=np.array([330.0, -2.0])))
    for science in (away, other_side):
        with pytest.raises(NoTemplateCoverageError, match="1 coadds cover 0.0%.*needs 10.0%") as caught:
            build_template([scene.coadd], science, settings)
        assert (caught.value.fraction, caught.value.n_coadd) == (0.0, 1)
        assert caught.value.status == "EMPTY"
    with pytest.raises(NoTemplateCoverageError, match="0 coadds"):
        build_template([], scene.science, settings)


def test_the_template_psf_follows_the_coadds(make_scene, settings):
    scene = make_scene(6, size=200, template=(4.0, 0.0))

    template = build_template([scene.coadd], scene.science, settings)

    sigma = psf_moments(template.psf.kernel_at(120, 120))[0]
    expected = psf_moments(scene.coadd.psf.kernel_at(140, 140))[0]
    # Lanczos-3 hardly changes a well-sampled PSF.
    assert sigma == pytest.approx(expected, rel=0.01)


def test_saturation_becomes_a_plane_of_the_template_and_other_planes_are_wiped(make_scene, settings):
    scene = make_scene(7, size=200)
    mask = scene.coadd.pixels.mask.copy()
    mask[140, 140] = mask_planes.bits("SAT", "DETECTED", "CLIPPED")
    coadd = replace(scene.coadd, pixels=replace(scene.coadd.pixels, mask=mask))

    template = build_template([coadd], scene.science, settings)

    found = np.bitwise_or.reduce(template.pixels.mask, axis=None)
    assert found & mask_planes.SAT_TEMPLATE
    assert not found & mask_planes.bits("SAT", "DETECTED", "CLIPPED")


def test_a_filled_defect_of_the_coadd_makes_the_psf_inexact_and_an_unfilled_one_stays_bad(
    make_scene, settings
):
    scene = make_scene(7, size=200)
    mask = scene.coadd.pixels.mask.copy()
    mask[:, 120] = mask_planes.bits("BAD", "INTRP")
    mask[:, 160] = mask_planes.BAD
    mask[:, 200] = mask_planes.INTRP
    coadd = replace(scene.coadd, pixels=replace(scene.coadd.pixels, mask=mask))

    pixels = build_template([coadd], scene.science, settings).pixels

    is_bad, is_inexact = (pixels.is_masked(mask_planes.bits(name)) for name in ("BAD", "INEXACT_PSF"))
    for marked in (is_bad, is_inexact):
        assert 0.02 < marked.mean() < 0.05
    assert not (is_bad & is_inexact).any()
    assert not pixels.is_masked(mask_planes.bits("INTRP")).any()


def test_a_noisy_part_of_the_coadd_is_marked(make_scene, settings):
    scene = make_scene(8, size=200)
    variance = scene.coadd.pixels.variance.copy()
    variance[:, :100] *= 9
    coadd = replace(scene.coadd, pixels=replace(scene.coadd.pixels, variance=variance))

    template = build_template([coadd], scene.science, settings)

    high = (template.pixels.mask & mask_planes.HIGH_VARIANCE) != 0
    assert high[120, 5:20].all()
    assert not high[:, 150:].any()


def test_cells_without_a_psf_in_the_coadd_stay_without_in_the_template(make_scene, settings):
    scene = make_scene(9, size=200)
    images = scene.coadd.psf.images.copy()
    images[:, :2] = np.nan
    coadd = replace(scene.coadd, psf=replace(scene.coadd.psf, images=images))

    template = build_template([coadd], scene.science, settings)

    known = np.isfinite(template.psf.images).all(axis=(2, 3))
    assert known.any()
    assert not known.all()
