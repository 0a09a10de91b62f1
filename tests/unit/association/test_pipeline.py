"""DIA objects of a tract: right means, stable identifiers, every source in exactly one tract."""

import numpy as np
import pytest

from skyloom.association.dia_objects import mean_positions
from skyloom.association.pipeline import DIA_PATCH_INDEX, UnknownBandError, associate_dia_sources
from skyloom.core.ids import object_ids, source_ids
from skyloom.core.schemas import DIA_MATCH, DIA_SOURCE, dia_object_schema
from skyloom.core.sky_map import sky_map_from_settings
from skyloom.core.tables import column

ARCSEC = 1 / 3600
SETTINGS = {"radius_arcsec": 1.0}
BANDS = ["g", "r"]
ERROR = 0.05 * ARCSEC


@pytest.fixture
def sky_map():
    """Return two tracts side by side that overlap by 40 arcsec."""
    tract = {"dec": 2.0, "patches": [1, 1]}
    settings = {
        "kind": "grid",
        "pixel_scale": 0.2,
        "patch_inner": 1000,
        "patch_border": 50,
        "tracts": [{"tract": 1, "ra": 150.0, **tract}, {"tract": 2, "ra": 150.0 + 160 * ARCSEC, **tract}],
    }
    return sky_map_from_settings(settings)


def table_of(visit, band, ra, dec, flux=1000.0, flux_err=50.0, mjd=None):
    """Return the DIA sources of one visit."""
    n = len(ra)
    kinds = {"bool": False, "string": band, "int32": 0, "int64": 0, "float32": 1.0, "float64": 1.0}
    values = {
        c.name: np.full(n, kinds[c.type]) if c.type != "string" else [band] * n for c in DIA_SOURCE.columns
    }
    cosine = np.cos(np.radians(np.asarray(dec)))
    values |= {
        "diaSourceId": source_ids(visit, 1, n),
        "visit": np.full(n, visit),
        "detector": np.full(n, 1),
        "midpointMjdTai": np.full(n, 60000.0 + visit if mjd is None else mjd),
        "ra": np.asarray(ra, float),
        "dec": np.asarray(dec, float),
        "raErr": ERROR / cosine,
        "decErr": np.full(n, ERROR),
        "psfFlux": np.broadcast_to(np.asarray(flux, float), n).copy(),
        "psfFluxErr": np.full(n, flux_err),
        "scienceFlux": np.full(n, 5000.0),
        "scienceFluxErr": np.full(n, 60.0),
    }
    return DIA_SOURCE.table(values)


def night(seed, n_object=30, n_visit=6):
    """Return tables of visits of the same objects over both tracts, and their true positions."""
    rng = np.random.default_rng(seed)
    ra = 150.0 + rng.uniform(-90, 250, n_object) * ARCSEC
    dec = 2.0 + rng.uniform(-90, 90, n_object) * ARCSEC
    tables = []
    for visit in range(1, n_visit + 1):
        noise = rng.normal(0, ERROR, (2, n_object))
        seen_ra, seen_dec = ra + noise[0] / np.cos(np.radians(dec)), dec + noise[1]
        tables.append(table_of(visit, BANDS[visit % 2], seen_ra, seen_dec, 1000.0 + 10 * visit))
    return tables, ra, dec


@pytest.mark.parametrize("seed", [1, 2])
def test_every_source_belongs_to_one_object_of_one_tract(sky_map, seed):
    tables, ra, _ = night(seed)
    parts = [associate_dia_sources(tables, tract, sky_map, BANDS, SETTINGS) for tract in (1, 2)]
    sources = np.concatenate([column(matches, "diaSourceId") for _, matches in parts])
    everything = np.concatenate([column(table, "diaSourceId") for table in tables])
    np.testing.assert_array_equal(np.sort(sources), np.sort(everything))
    assert sum(objects.num_rows for objects, _ in parts) == len(ra)
    for tract, (objects, matches) in zip((1, 2), parts, strict=True):
        expected = object_ids(tract, DIA_PATCH_INDEX, objects.num_rows)
        np.testing.assert_array_equal(column(objects, "diaObjectId"), expected)
        assert set(column(matches, "diaObjectId")) == set(column(objects, "diaObjectId"))
        assert column(matches, "separation").max() < 0.3
        assert (np.diff(column(objects, "dec")) > 0).all()


def test_the_result_does_not_depend_on_the_order_of_visits(sky_map):
    tables, _, _ = night(3)
    first = associate_dia_sources(tables, 1, sky_map, BANDS, SETTINGS)
    second = associate_dia_sources(tables[::-1], 1, sky_map, BANDS, SETTINGS)
    assert first[0].equals(second[0])
    assert first[1].equals(second[1])


def test_summary_columns_are_weighted_means_of_the_sources(sky_map):
    fluxes, errors = [100.0, 130.0, 500.0], [10.0, 20.0, 30.0]
    tables = [
        table_of(visit, band, [150.0], [2.0], flux, error)
        for visit, band, flux, error in zip((1, 2, 3), ("g", "g", "r"), fluxes, errors, strict=True)
    ]
    objects, matches = associate_dia_sources(tables, 1, sky_map, BANDS, SETTINGS)
    row = objects.to_pylist()[0]
    assert objects.num_rows == 1
    assert (row["nDiaSources"], row["g_psfFluxNdata"], row["r_psfFluxNdata"]) == (3, 2, 1)
    assert (row["firstDiaSourceMjdTai"], row["lastDiaSourceMjdTai"]) == (60001.0, 60003.0)
    assert row["g_psfFluxMean"] == pytest.approx((100 / 100 + 130 / 400) / (1 / 100 + 1 / 400))
    assert row["g_psfFluxMeanErr"] == pytest.approx(1 / np.sqrt(1 / 100 + 1 / 400))
    assert row["g_psfFluxSigma"] == pytest.approx(np.std([100, 130], ddof=1))
    assert (row["g_psfFluxMin"], row["g_psfFluxMax"], row["g_psfFluxErrMean"]) == (100, 130, 15)
    assert np.isnan(row["r_psfFluxSigma"])
    assert row["r_scienceFluxMean"] == pytest.approx(5000)
    assert row["decErr"] == pytest.approx(ERROR / np.sqrt(3))
    assert row["raErr"] == pytest.approx(ERROR / np.sqrt(3))
    assert column(matches, "midpointMjdTai").tolist() == [60001.0, 60002.0, 60003.0]


def test_a_band_without_sources_is_nan(sky_map):
    objects, _ = associate_dia_sources([table_of(1, "g", [150.0], [2.0])], 1, sky_map, BANDS, SETTINGS)
    row = objects.to_pylist()[0]
    assert row["r_psfFluxNdata"] == 0
    assert all(
        np.isnan(row[f"r_psfFlux{name}"]) for name in ("Mean", "MeanErr", "Sigma", "Min", "Max", "ErrMean")
    )


@pytest.mark.parametrize("tables", [[], [DIA_SOURCE.empty()], [table_of(1, "g", [10.0], [2.0])]])
def test_no_source_in_the_tract_gives_empty_tables(sky_map, tables):
    objects, matches = associate_dia_sources(tables, 1, sky_map, BANDS, SETTINGS)
    assert objects.num_rows == matches.num_rows == 0
    assert objects.schema.equals(dia_object_schema(BANDS).arrow_schema())
    assert matches.schema.equals(DIA_MATCH.arrow_schema())


def test_sources_without_a_position_are_left_out(sky_map):
    table = table_of(1, "g", [150.0, np.nan], [2.0, 2.0])
    objects, matches = associate_dia_sources([table], 1, sky_map, BANDS, SETTINGS)
    assert objects.num_rows == matches.num_rows == 1


def test_a_band_that_the_survey_does_not_have_is_refused(sky_map):
    with pytest.raises(UnknownBandError, match=r"bands \['z'\], the survey has \['g', 'r'\]") as caught:
        associate_dia_sources([table_of(1, "z", [150.0], [2.0])], 1, sky_map, BANDS, SETTINGS)
    assert caught.value.unknown == ["z"]


def test_mean_positions_cross_right_ascension_zero_and_survive_lacking_errors():
    sources = {
        "ra": np.array([359.9999, 0.0001, 0.0003]),
        "dec": np.array([0.0, 0.0, 0.0]),
        "raErr": np.array([1e-5, 1e-5, np.nan]),
        "decErr": np.array([np.nan, np.nan, np.nan]),
    }
    means = mean_positions(sources, np.array([0, 0, 1]), 2)
    np.testing.assert_allclose(means["ra"] % 360, [0.0, 0.0003], atol=1e-9)
    assert np.isfinite(means["decErr"]).all()
