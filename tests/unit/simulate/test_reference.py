from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from skyloom.io.provenance import Provenance
from skyloom.io.reference import read_reference_catalog
from skyloom.io.tables import write_table
from skyloom.simulate.catalog import STAR, flux_name, reference_columns, to_table
from skyloom.simulate.pipeline import simulate_sky
from skyloom.simulate.reference import reference_catalog
from skyloom.workflow.config import fill_defaults, load_yaml

CONFIG = Path(__file__).parents[3] / "config"


def catalog_and_truth(simulation, visit):
    objects = simulate_sky([visit], simulation)
    catalog = reference_catalog(objects, simulation)
    place = {identifier: k for k, identifier in enumerate(objects["id"])}
    index = np.array([place[identifier] for identifier in catalog["id"]])
    return catalog, {name: values[index] for name, values in objects.items()}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_value_is_off_by_its_stated_error(simulation, visit, seed):
    catalog, truth = catalog_and_truth(replace(simulation, seed=seed), visit)
    cosine = np.cos(np.radians(truth["dec"]))
    pulls = {
        "ra": (catalog["ra"] - truth["ra"]) * cosine * 3.6e6 / catalog["ra_error"],
        "dec": (catalog["dec"] - truth["dec"]) * 3.6e6 / catalog["dec_error"],
    }
    for name in ("pmra", "pmdec", "parallax", flux_name("g"), flux_name("r")):
        pulls[name] = (catalog[name] - truth[name]) / catalog[f"{name}_error"]
    n = len(catalog["id"])
    assert n > 200
    for pull in pulls.values():
        assert abs(pull.mean()) < 4.5 / np.sqrt(n)
        assert pull.std() == pytest.approx(1.0, abs=4.5 / np.sqrt(2 * n))


def test_only_stars_above_the_limit_are_listed(simulation, visit):
    _, truth = catalog_and_truth(simulation, visit)
    limit = 10 ** (0.4 * (31.4 - simulation.settings["reference"]["magnitude_limit"]))
    assert set(truth["kind"]) == {STAR}
    assert truth[flux_name("r")].min() > limit


def test_errors_are_of_the_configured_size(simulation, visit):
    catalog, _ = catalog_and_truth(simulation, visit)
    assert 0.3 <= catalog["ra_error"].min() < catalog["ra_error"].max() <= 3.0
    relative = catalog[f"{flux_name('r')}_error"] / catalog[flux_name("r")]
    # Magnitudes of 5 to 10 mmag, times 0.921; the measured flux in the denominator is off by 4 % at most.
    assert relative.min() > 0.004
    assert relative.max() < 0.0105


def test_an_entry_does_not_depend_on_the_other_stars(simulation, visit):
    objects = simulate_sky([visit], simulation)
    whole = reference_catalog(objects, simulation)
    half = {name: values[::2] for name, values in objects.items()}
    part = reference_catalog(half, simulation)
    match = np.isin(whole["id"], part["id"])
    assert np.array_equal(whole["ra"][match], part["ra"])


def test_the_limit_holds_in_a_band_that_the_survey_has(simulation, visit):
    only_g = replace(simulation, bands=("g",))
    catalog = reference_catalog(simulate_sky([visit], only_g), only_g)
    limit = 10 ** (0.4 * (31.4 - 21.5))
    assert catalog[flux_name("g")].min() > limit * 0.95


def test_a_sky_without_stars_gives_an_empty_catalogue(simulation, visit):
    stars = simulation.settings["stars"] | {"density": 0.0}
    bare = replace(simulation, settings=simulation.settings | {"stars": stars})
    catalog = reference_catalog(simulate_sky([visit], bare), bare)
    table = to_table(reference_columns(bare.bands), catalog)
    assert table.num_rows == 0


def changed(simulation, **values):
    reference = simulation.settings["reference"] | values
    return replace(simulation, settings=simulation.settings | {"reference": reference})


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_fraction_of_the_fluxes_is_missing_and_the_rest_as_it_was(simulation, visit, seed):
    simulation = replace(simulation, seed=seed)
    objects = simulate_sky([visit], simulation)
    whole = reference_catalog(objects, simulation)
    holes = reference_catalog(objects, changed(simulation, missing_flux_fraction=0.2))
    is_missing = np.isnan(holes["flux_g"])
    n = is_missing.size
    assert abs(is_missing.mean() - 0.2) < 4.5 * np.sqrt(0.16 / n)
    assert np.array_equal(is_missing, np.isnan(holes["flux_g_error"]))
    for name in whole:
        same = ~is_missing if name.startswith("flux_g") else np.ones(n, bool)
        assert np.array_equal(holes[name][same], whole[name][same])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_false_entries_follow_the_true_ones_and_lie_near_no_star_of_their_name(simulation, visit, seed):
    simulation = replace(simulation, seed=seed)
    objects = simulate_sky([visit], simulation)
    whole = reference_catalog(objects, simulation)
    n = len(whole["id"])
    more = reference_catalog(objects, changed(simulation, false_fraction=0.1))
    for name, values in whole.items():
        assert np.array_equal(more[name][:n], values)
    false = {name: values[n:] for name, values in more.items()}
    assert abs(len(false["id"]) - 0.1 * n) < 4.5 * np.sqrt(0.09 * n)
    assert not set(false["id"].tolist()) & set(objects["id"].tolist())
    true = SkyCoord(whole["ra"], whole["dec"], unit="deg")
    _, distance, _ = SkyCoord(false["ra"], false["dec"], unit="deg").match_to_catalog_sky(true)
    assert distance.max() <= 60.001 * u.arcsec
    assert np.mean(distance > 1 * u.arcsec) > 0.9


def test_stars_beside_brighter_ones_are_missing(simulation, visit):
    objects = simulate_sky([visit], simulation)
    whole = reference_catalog(objects, simulation)
    kept = reference_catalog(objects, changed(simulation, close_pair=3.0))
    stars = {name: values[objects["kind"] == STAR] for name, values in objects.items()}
    places = SkyCoord(stars["ra"], stars["dec"], unit="deg")
    first, second, _, _ = places.search_around_sky(places, 3 * u.arcsec)
    beaten = first[stars[flux_name("r")][first] < stars[flux_name("r")][second]]
    expected = set(whole["id"].tolist()) - set(stars["id"][beaten].tolist())
    assert set(kept["id"].tolist()) == expected
    assert len(expected) < len(whole["id"])


def test_stars_beyond_the_bright_limit_are_missing(simulation, visit):
    catalog, truth = catalog_and_truth(changed(simulation, magnitude_bright=18.0), visit)
    assert truth[flux_name("r")].max() < 10 ** (0.4 * (31.4 - 18.0))
    assert len(catalog["id"]) > 100


def test_a_catalogue_of_gaps_comes_back_from_the_reader(simulation, visit, tmp_path):
    gaps = changed(simulation, missing_flux_fraction=0.3, false_fraction=0.1)
    catalog = reference_catalog(simulate_sky([visit], gaps), gaps)
    path = tmp_path / "reference.parquet"
    write_table(
        path,
        to_table(reference_columns(gaps.bands), catalog),
        Provenance("rule", {}, "0", "c", "h", "f", (), {}),
    )
    settings = fill_defaults(load_yaml(CONFIG / "schema" / "reference.yaml"), {})
    stars = read_reference_catalog(path, settings, "g", (150.0, 2.2, 1.0), 57388.5)
    assert len(stars) == len(catalog["id"])
    assert np.isnan(stars.flux).mean() == pytest.approx(np.isnan(catalog["flux_g"]).mean())
