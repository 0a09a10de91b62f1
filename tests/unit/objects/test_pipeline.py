"""The object table: found once, placed once, measured in every band, with honest errors."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from skyloom.core import mask_planes
from skyloom.core.ids import object_ids
from skyloom.core.photo_calib import constant_field
from skyloom.core.schemas import object_schema
from skyloom.core.tables import column
from skyloom.objects.pipeline import NoCoaddsError, measure_objects

BANDS = ["g", "r", "i"]
COLOURS = {"g": 0.6, "r": 1.0, "i": 1.3}


def make_coadds(coadd, patch, ra, dec, flux, rng, bands=BANDS, **options):
    return {band: coadd(patch, ra, dec, flux * COLOURS[band], rng, band=band, **options) for band in bands}


def match(table, ra, dec):
    """Distance [arcsec] to and row of the nearest object of each position."""
    scale = np.array([np.cos(np.radians(2.2)), 1.0]) * 3600
    tree = cKDTree(np.column_stack([column(table, "coord_ra"), column(table, "coord_dec")]) * scale)
    return tree.query(np.column_stack([ra, dec]) * scale)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_stars_are_found_and_their_pulls_have_unit_width_in_every_band(
    patch, coadd, positions, sky_map, settings, seed
):
    rng = np.random.default_rng(seed)
    ra, dec = positions(rng)
    # S/N 10 in r is 2 sigma_pixel sqrt(4 pi) 1.6 x 10 = 113 nJy.
    # Below 2,500 nJy the 0.1 % by which Lanczos-5 sharpens the shifted PSF is below a quarter of the noise.
    flux = 10 ** rng.uniform(2.3, 3.4, len(ra))
    table = measure_objects(make_coadds(coadd, patch, ra, dec, flux, rng), patch, sky_map, BANDS, settings)
    x, y = patch.wcs.sky_to_pixel(ra, dec)
    inner = (x > 42) & (x < 237) & (y > 42) & (y < 237)
    distance, row = match(table, ra, dec)
    assert (distance[inner] < 0.4).mean() > 0.97
    assert table.num_rows <= ((x > 38) & (x < 241) & (y > 38) & (y < 241)).sum() + 1
    found = inner & (distance < 0.4)
    for band in BANDS:
        measured, error = (column(table, f"{band}_psfFlux{end}")[row[found]] for end in ("", "Err"))
        pulls = (measured - COLOURS[band] * flux[found]) / error
        n = len(pulls)
        assert abs(np.mean(pulls)) < 4 / np.sqrt(n)
        assert np.std(pulls) == pytest.approx(1.0, abs=4 / np.sqrt(2 * n))
    for name, truth in (("x", x), ("y", y)):
        pulls = (column(table, name)[row[found]] - truth[found]) / column(table, f"{name}Err")[row[found]]
        assert np.std(pulls) == pytest.approx(1.0, abs=4 / np.sqrt(2 * len(pulls)))
    assert np.nanmean(column(table, "refExtendedness")) < 0.05


@pytest.mark.parametrize("seed", [1, 2])
def test_correlated_noise_widens_the_errors_as_it_widens_the_scatter(
    patch, coadd, positions, sky_map, settings, seed
):
    from scipy.ndimage import uniform_filter

    rng = np.random.default_rng(seed)
    ra, dec = positions(rng)
    flux = np.full(len(ra), 3000.0)
    image = coadd(patch, ra, dec, flux, rng, variance=0.0)
    # The mean of 2x2 neighbours: zero-frequency power 4 x variance, and a known one.
    noise = 2 * uniform_filter(rng.normal(0, 2.0, patch.shape), 2)
    pixels = replace(
        image.pixels,
        image=image.pixels.image + noise.astype(np.float32),
        variance=np.full(patch.shape, 4.0, np.float32),
    )
    # At sigma 1.6 the PSF sees 0.84 of the power at frequency 0: (1 + exp(-1 / (4 sigma^2)))^2.
    seen = (1 + np.exp(-1 / (4 * 1.6**2))) ** 2
    table = measure_objects(
        {"r": replace(image, pixels=pixels, noise_correlation=seen)}, patch, sky_map, ["r"], settings
    )
    pulls = (column(table, "r_psfFlux") - 3000.0) / column(table, "r_psfFluxErr")
    assert len(pulls) > 45
    assert np.std(pulls) == pytest.approx(1.0, abs=4 / np.sqrt(2 * len(pulls)))
    white = measure_objects({"r": replace(image, pixels=pixels)}, patch, sky_map, ["r"], settings)
    ratio = np.median(column(table, "r_ap06FluxErr")) / np.median(column(white, "r_ap06FluxErr"))
    assert ratio == pytest.approx(np.sqrt(seen), rel=1e-3)


def test_bright_stars_have_their_flux_to_a_fifth_of_a_per_cent(patch, coadd, positions, sky_map, settings):
    rng = np.random.default_rng(4)
    ra, dec = positions(rng)
    flux = np.full(len(ra), 1e5)
    table = measure_objects(
        make_coadds(coadd, patch, ra, dec, flux, rng, ["r"]), patch, sky_map, ["r"], settings
    )
    distance, row = match(table, ra, dec)
    np.testing.assert_allclose(column(table, "r_psfFlux")[row[distance < 0.1]], 1e5, rtol=2e-3)


def test_every_object_belongs_to_exactly_one_patch(sky_map, coadd, positions, settings):
    rng = np.random.default_rng(5)
    ra, dec = positions(rng)
    flux = np.full(len(ra), 2e4)
    tables = []
    for name in ("0_0", "1_0"):
        patch = sky_map.patch(4, name)
        tables.append(
            measure_objects(
                make_coadds(coadd, patch, ra, dec, flux, rng, ["r"]), patch, sky_map, ["r"], settings
            )
        )
    x, y = sky_map.tract(4).wcs().sky_to_pixel(ra, dec)
    covered = (x > 1) & (x < 398) & (y > 1) & (y < 198)
    counts = np.zeros(len(ra), dtype=int)
    for table in tables:
        counts += match(table, ra, dec)[0] < 0.4
    assert (counts[covered] == 1).all()
    ids = np.concatenate([column(table, "objectId") for table in tables])
    assert len(np.unique(ids)) == len(ids)
    expected = object_ids(4, 1, tables[1].num_rows)
    np.testing.assert_array_equal(column(tables[1], "objectId"), expected)
    assert all(column(table, "detect_isPrimary").all() for table in tables)


def test_galaxies_are_extended_and_stars_are_not(patch, coadd, positions, sky_map, settings):
    rng = np.random.default_rng(6)
    ra, dec = positions(rng, step=40.0)
    is_galaxy = np.arange(len(ra)) % 2 == 0
    sizes = np.where(is_galaxy, 2.6, 1.6)
    coadds = {"r": coadd(patch, ra, dec, np.full(len(ra), 5000.0), rng, object_sigma=sizes)}
    table = measure_objects(coadds, patch, sky_map, ["r"], settings)
    distance, row = match(table, ra, dec)
    found = distance < 0.6
    assert found.sum() > 15
    np.testing.assert_array_equal(column(table, "refExtendedness")[row[found]], is_galaxy[found])
    np.testing.assert_allclose(column(table, "shape_xx")[row[found]], sizes[found] ** 2, rtol=0.25)


def test_a_missing_band_is_nan_and_flagged(patch, coadd, positions, sky_map, settings):
    rng = np.random.default_rng(7)
    ra, dec = positions(rng)
    coadds = make_coadds(coadd, patch, ra, dec, np.full(len(ra), 1e4), rng, ["r"])
    table = measure_objects(coadds, patch, sky_map, BANDS, settings)
    assert table.schema.names == [c.name for c in object_schema(BANDS).columns]
    assert np.isnan(column(table, "g_psfFlux")).all()
    assert column(table, "g_psfFlux_flag").all()
    assert column(table, "g_pixelFlags_nodata").all()
    assert not column(table, "g_pixelFlags_saturated").any()
    assert (column(table, "refBand") == "r").all()
    assert np.isfinite(column(table, "r_psfFlux")).all()


def test_a_band_that_covers_half_of_the_patch_is_nan_in_the_other_half(
    patch, coadd, positions, sky_map, settings
):
    rng = np.random.default_rng(8)
    ra, dec = positions(rng)
    coadds = make_coadds(coadd, patch, ra, dec, np.full(len(ra), 1e4), rng, ["r", "i"])
    half = coadds["i"]
    for plane in (half.pixels.image, half.pixels.variance):
        plane[:, 150:] = np.nan
    half.pixels.mask[:, 150:] |= mask_planes.NO_DATA
    half.psf.images[:, 3:] = np.nan
    table = measure_objects(coadds, patch, sky_map, ["r", "i"], settings)
    x = column(table, "x")
    beyond, before = x > 160, x < 130
    assert beyond.any()
    assert np.isnan(column(table, "i_psfFlux")[beyond]).all()
    assert column(table, "i_psfFlux_flag")[beyond].all()
    assert column(table, "i_pixelFlags_nodata")[beyond].all()
    assert (column(table, "refBand")[beyond] == "r").all()
    assert (column(table, "refBand")[before] == "i").all()
    assert np.isfinite(column(table, "r_psfFlux")).all()


def test_a_red_object_is_found_in_one_band_and_forced_in_the_others(patch, coadd, sky_map, settings):
    rng = np.random.default_rng(9)
    ra, dec = patch.wcs.pixel_to_sky([100.0, 150.0], [100.0, 160.0])
    coadds = {
        "g": coadd(patch, ra, dec, np.array([0.0, 5000.0]), rng, band="g"),
        "i": coadd(patch, ra, dec, np.array([5000.0, 0.0]), rng, band="i"),
    }
    table = measure_objects(coadds, patch, sky_map, ["g", "i"], settings)
    assert table.num_rows == 2
    assert sorted(column(table, "refBand")) == ["g", "i"]
    red = column(table, "refBand") == "i"
    assert abs(column(table, "g_psfFlux")[red][0]) < 4 * column(table, "g_psfFluxErr")[red][0]


def test_mask_planes_below_an_object_become_flags(patch, coadd, sky_map, settings):
    rng = np.random.default_rng(10)
    ra, dec = patch.wcs.pixel_to_sky([100.0, 160.0], [100.0, 160.0])
    coadds = {"r": coadd(patch, ra, dec, np.array([1e4, 1e4]), rng)}
    coadds["r"].pixels.mask[100, 103] |= mask_planes.CLIPPED | mask_planes.INEXACT_PSF
    coadds["r"].pixels.mask[160, 160] |= mask_planes.SENSOR_EDGE
    table = measure_objects(coadds, patch, sky_map, ["r"], settings)
    first, second = np.argsort(column(table, "x"))
    flags = {
        name: column(table, f"r_pixelFlags_{name}") for name in ("clipped", "clippedCenter", "inexact_psf")
    }
    assert (flags["clipped"][first], flags["clippedCenter"][first], flags["inexact_psf"][first]) == (
        True,
        False,
        True,
    )
    assert not flags["clipped"][second]
    assert column(table, "r_pixelFlags_sensor_edgeCenter")[second]


def test_psf_fluxes_are_aperture_corrected(patch, coadd, sky_map, settings):
    rng = np.random.default_rng(11)
    ra, dec = patch.wcs.pixel_to_sky([100.0], [100.0])
    plain = coadd(patch, ra, dec, np.array([1e5]), rng)
    corrected = replace(plain, ap_corr=constant_field(1.1, patch.shape))
    tables = [measure_objects({"r": image}, patch, sky_map, ["r"], settings) for image in (plain, corrected)]
    for name, ratio in (("psfFlux", 1.1), ("psfFluxErr", 1.1), ("ap12Flux", 1.0)):
        values = [column(table, f"r_{name}")[0] for table in tables]
        assert values[1] == pytest.approx(ratio * values[0])


def test_errors_on_the_sky_are_those_of_the_pixels(patch, coadd, sky_map, settings):
    rng = np.random.default_rng(12)
    ra, dec = patch.wcs.pixel_to_sky([100.0], [120.0])
    table = measure_objects(
        {"r": coadd(patch, ra, dec, np.array([1e4]), rng)}, patch, sky_map, ["r"], settings
    )
    assert column(table, "coord_raErr")[0] * 3600 == pytest.approx(0.2 * column(table, "xErr")[0], rel=1e-4)
    assert column(table, "coord_decErr")[0] * 3600 == pytest.approx(0.2 * column(table, "yErr")[0], rel=1e-4)


def test_empty_sky_gives_an_empty_table(patch, coadd, sky_map, settings):
    rng = np.random.default_rng(13)
    settings["detection"]["threshold"] = 8.0
    table = measure_objects({"r": coadd(patch, [], [], [], rng)}, patch, sky_map, BANDS, settings)
    assert table.num_rows == 0
    assert table.schema.names == [c.name for c in object_schema(BANDS).columns]


def test_a_patch_without_any_coadd_is_named(patch, sky_map, settings):
    with pytest.raises(NoCoaddsError, match="tract 4 patch 0_0: 0 deep coadds") as caught:
        measure_objects({}, patch, sky_map, BANDS, settings)
    assert caught.value.reason == "NoCoadds"
