from dataclasses import replace

import numpy as np
import pytest

from skyloom.simulate.catalog import STAR, flux_name, reference_columns, to_table
from skyloom.simulate.pipeline import simulate_sky
from skyloom.simulate.reference import reference_catalog


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
    catalog, truth = catalog_and_truth(simulation, visit)
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
