"""Colour terms of a reference catalogue, and the files that bring them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skyloom.io.colour_terms import ColourTermError, colour_columns, magnitude_in_band, star_colours
from skyloom.io.reference import missing_reference_columns, read_reference_catalog
from skyloom.workflow.config import fill_defaults, load_schema, load_yaml

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "resources" / "colour_terms").glob("*.yaml"))
TERMS = {"magnitude": "G", "colour": ["BP", "RP"], "coefficients": [0.1, 0.5, -0.2], "range": [0.0, 3.0]}


def reference_settings(**changes):
    """Section reference with the schema's defaults, some of them changed."""
    return fill_defaults(load_schema(ROOT / "config" / "schema"), {})["reference"] | changes


def test_a_polynomial_of_the_colour_is_added_and_colours_out_of_range_are_unknown():
    columns = {
        "flux": np.array([15.0, 15.0, 15.0, 15.0]),
        "colour_first": np.array([16.0, 20.0, np.nan, 15.0]),
        "colour_second": np.array([15.0, 15.0, 15.0, 15.5]),
    }

    magnitude = magnitude_in_band(columns, TERMS, "mag_vega")

    assert magnitude[0] == pytest.approx(15.0 + 0.1 + 0.5 - 0.2)
    assert np.isnan(magnitude[1:]).all()


def test_fluxes_are_refused_with_what_is_needed():
    with pytest.raises(ColourTermError, match="flux_unit is nJy, .* need magnitudes .*mag_ab, mag_vega"):
        magnitude_in_band({}, TERMS, "nJy")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_file_is_a_valid_piece_of_configuration_that_reads_a_catalogue(file, tmp_path):
    piece = load_yaml(file)["reference"]
    settings = fill_defaults(load_schema(ROOT / "config" / "schema"), {"reference": piece})["reference"]
    terms = settings["colour_terms"]
    names = {name for term in terms.values() for name in (term["magnitude"], *term["colour"])}
    # A star like the Sun: the bands of these systems differ little there, Gaia's from DECam's by 0.6 mag at most.
    magnitudes = {
        "g": 16.44,
        "r": 16.0,
        "i": 15.88,
        "z": 15.85,
        "phot_bp": 16.36,
        "phot_rp": 15.54,
        "phot_g": 16.02,
    }
    columns = {"ra": [150.0], "dec": [2.0]} | {
        name: [next(value for key, value in magnitudes.items() if name.startswith(key))] for name in names
    }
    columns |= {name: [0.003] for name in settings["flux_errors"].values()}
    pq.write_table(pa.table(columns), tmp_path / "stars.parquet")
    settings["columns"] = {key: None for key in settings["columns"]} | {"ra": "ra", "dec": "dec"}

    assert missing_reference_columns(tmp_path / "stars.parquet", settings, list(terms))[0] == []
    for band in terms:
        stars = read_reference_catalog(tmp_path / "stars.parquet", settings, band, (150.0, 2.0, 0.1), 61000.0)
        assert 31.4 - 2.5 * np.log10(stars.flux[0]) == pytest.approx(magnitudes[band], abs=0.1)
        assert stars.flux_err[0] == pytest.approx(
            (0.003 / 1.0857 if settings["flux_errors"] else 0.02) * stars.flux[0], rel=1e-3
        )


def test_a_column_that_a_colour_term_needs_is_missed_by_the_key_that_names_it(tmp_path):
    pq.write_table(pa.table({"ra": [150.0], "dec": [2.0], "G": [15.0], "BP": [16.0]}), tmp_path / "s.parquet")
    settings = reference_settings(flux_unit="mag_vega", colour_terms={"r": TERMS})
    settings["columns"] = {key: None for key in settings["columns"]} | {"ra": "ra", "dec": "dec"}

    missing, available = missing_reference_columns(tmp_path / "s.parquet", settings, ["r"])

    assert missing == [("colour_terms.r.colour.1", "RP")]
    assert "BP" in available


@pytest.mark.parametrize(
    ("band", "changes", "expected"),
    [
        ("r", {}, ("flux_g", "flux_i")),
        ("g", {}, ("flux_g", "flux_r")),
        ("i", {}, ("flux_r", "flux_i")),
        ("r", {"fluxes": {"r": "rmag", "g": "gmag"}}, ("gmag", "flux_i")),
        ("r", {"colour_terms": {"r": TERMS}}, ("BP", "RP")),
        ("r", {"colour_terms": {"r": TERMS}, "colour": ["flux_r", "flux_i"]}, ("flux_r", "flux_i")),
        ("V", {}, None),
    ],
)
def test_the_colour_is_of_the_columns_that_stand_about_the_band(band, changes, expected):
    available = ["ra", "dec", "flux_g", "flux_r", "flux_i", "gmag", "rmag", "BP", "RP"]
    assert colour_columns(reference_settings(**changes), band, available) == expected


def test_a_catalogue_of_one_band_has_no_colour():
    assert colour_columns(reference_settings(), "r", ["ra", "dec", "flux_r"]) is None


def test_colours_are_of_magnitudes_and_unknown_where_one_is():
    first, second = np.array([10.0, 0.0, 10.0, np.nan]), np.array([100.0, 10.0, -1.0, 10.0])

    assert star_colours(first, second, "nJy") == pytest.approx([2.5, *3 * [np.nan]], nan_ok=True)
    assert star_colours(first, second, "mag_vega") == pytest.approx([-90, -10, 11, np.nan], nan_ok=True)


def test_colours_are_read_when_they_are_asked_for(tmp_path):
    path = tmp_path / "stars.parquet"
    columns = {"ra": [150.0, 150.01], "dec": [2.0, 2.0], "flux_g": [1.0, 1.0], "flux_r": [2.0, None]}
    columns["flux_g_error"] = [0.1, 0.1]
    pq.write_table(pa.table(columns), path)
    names = dict.fromkeys(reference_settings()["columns"]) | {"ra": "ra", "dec": "dec"}
    where = ("g", (150.0, 2.0, 0.1), 61000.0)

    stars = read_reference_catalog(path, reference_settings(columns=names), *where, with_colour=True)

    assert stars.colour_name == "flux_g - flux_r"
    assert stars.colour == pytest.approx([2.5 * np.log10(2), np.nan], nan_ok=True)
    assert stars.select(np.array([1])).colour_name == "flux_g - flux_r"
    assert len(stars.select(np.array([1])).colour) == 1
    assert read_reference_catalog(path, reference_settings(columns=names), *where).colour is None
    settings = reference_settings(columns=names, colour=["flux_g", "flux_z"])
    assert missing_reference_columns(path, settings, ["g"])[0] == [("colour.1", "flux_z")]
    only = tmp_path / "one.parquet"
    pq.write_table(pa.table({name: columns[name] for name in ("ra", "dec", "flux_g", "flux_g_error")}), only)
    assert (
        read_reference_catalog(only, reference_settings(columns=names), *where, with_colour=True).colour
        is None
    )
