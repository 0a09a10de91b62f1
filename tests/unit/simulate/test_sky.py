from dataclasses import replace

import numpy as np
import pytest

from skyloom.simulate.catalog import (
    GALAXY,
    MOVING,
    ORBIT_COLUMNS,
    STAR,
    TRANSIENT,
    flux_name,
    from_tables,
    has_orbit,
    object_columns,
    select,
    to_table,
)
from skyloom.simulate.cells import cells_near
from skyloom.simulate.colours import NoBandColoursError
from skyloom.simulate.pipeline import field_radius, simulate_sky
from skyloom.simulate.sky import static_objects, survey_objects


@pytest.fixture
def visits(visit):
    return [{**visit, "visit": 1, "mjd": 61354.2, "use": "template"}, {**visit, "visit": 2, "mjd": 61375.2}]


def of_kind(objects, kind):
    return select(objects, objects["kind"] == kind)


@pytest.mark.parametrize("dec", [-89.99, -40.0, 0.0, 2.2, 89.0])
@pytest.mark.parametrize("ra", [0.01, 150.0])
def test_every_star_within_the_radius_lies_in_a_chosen_cell(simulation, ra, dec):
    near = static_objects(cells_near(ra, dec, 0.06), None, simulation)
    wide = static_objects(cells_near(ra, dec, 0.2), None, simulation)
    a, d = np.radians(wide["ra"] - ra), np.radians(wide["dec"])
    cosine = np.sin(d) * np.sin(np.radians(dec)) + np.cos(d) * np.cos(np.radians(dec)) * np.cos(a)
    inside = np.degrees(np.arccos(np.clip(cosine, -1, 1))) < 0.06
    assert inside.sum() > 100
    assert set(wide["id"][inside]) <= set(near["id"])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_there_are_as_many_stars_and_galaxies_as_the_densities_say(simulation, visits, seed):
    objects = survey_objects(visits, 0.1, replace(simulation, seed=seed))
    inside = (np.abs(objects["dec"] - 2.2) < 0.08) & (
        np.abs(objects["ra"] - 150.0) * np.cos(np.radians(2.2)) < 0.08
    )
    area = (0.16 * 60) ** 2
    for kind, name in ((STAR, "stars"), (GALAXY, "galaxies"), (TRANSIENT, "transients")):
        expected = simulation.settings[name]["density"] * area
        found = np.sum(inside & (objects["kind"] == kind))
        assert abs(found - expected) < 4.5 * np.sqrt(expected) + 0.05 * expected * (kind == TRANSIENT)


def test_identifiers_are_unique_and_a_sky_repeats_itself(simulation, visits):
    first, second = simulate_sky(visits, simulation), simulate_sky(visits, simulation)
    assert len(set(first["id"])) == len(first["id"])
    for name, values in first.items():
        assert np.array_equal(values, second[name])


def test_another_seed_makes_another_sky(simulation, visits):
    first, second = simulate_sky(visits, simulation), simulate_sky(visits, replace(simulation, seed=2))
    assert not set(first["ra"]) & set(second["ra"])


def test_an_object_does_not_depend_on_the_other_visits(simulation, visits, visit):
    alone = simulate_sky(visits, simulation)
    away = {**visit, "visit": 3, "ra": 150.5, "mjd": 61370.0}
    more = simulate_sky([away, *reversed(visits)], simulation)
    assert set(alone["id"]) - set(of_kind(alone, MOVING)["id"]) <= set(more["id"])
    place = {identifier: k for k, identifier in enumerate(more["id"])}
    stars = of_kind(alone, STAR)
    match = [place[identifier] for identifier in stars["id"]]
    assert np.array_equal(more["ra"][match], stars["ra"])
    assert np.array_equal(more[flux_name("r")][match], stars[flux_name("r")])


def test_one_band_more_changes_no_other(simulation, visits):
    two = simulate_sky(visits, simulation)
    three = simulate_sky(visits, replace(simulation, bands=("g", "r", "i")))
    for name, values in two.items():
        assert np.array_equal(values, three[name])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_half_of_the_transients_lie_in_galaxies_and_the_rest_anywhere(simulation, visits, seed):
    objects = simulate_sky(visits, replace(simulation, seed=seed))
    transients = of_kind(objects, TRANSIENT)
    hosted = transients["host_id"] > 0
    n = hosted.size
    assert abs(hosted.mean() - 0.5) < 4 * 0.5 / np.sqrt(n)
    place = {identifier: k for k, identifier in enumerate(objects["id"])}
    host = select(objects, [place[identifier] for identifier in transients["host_id"][hosted]])
    assert set(host["kind"]) == {GALAXY}
    assert len(set(host["id"])) == host["id"].size
    distance = np.hypot(
        (transients["ra"][hosted] - host["ra"]) * np.cos(np.radians(host["dec"])),
        transients["dec"][hosted] - host["dec"],
    )
    assert np.all(distance * 3600 <= host["half_light_radius"] * 1.001)


def test_without_science_visits_nothing_changes_in_the_sky(simulation, visits):
    objects = simulate_sky(visits[:1], simulation)
    assert set(objects["kind"]) == {STAR, GALAXY}


def test_each_science_night_has_its_moving_objects(simulation, visits):
    tomorrow = {**visits[1], "visit": 3, "mjd": 61376.2}
    moving = of_kind(simulate_sky([*visits, tomorrow], simulation), MOVING)
    assert len(set(moving["id"])) == 2 * simulation.settings["moving_objects"]["per_night"]
    speed = np.hypot(moving["rate_ra"], moving["rate_dec"]) * 3600 / 24
    low, high = simulation.settings["moving_objects"]["speed"]
    assert np.all((speed >= low) & (speed <= high))


def test_transients_without_galaxies_have_no_host(simulation, visits):
    galaxies = simulation.settings["galaxies"] | {"density": 0.0}
    bare = replace(simulation, settings=simulation.settings | {"galaxies": galaxies})
    transients = of_kind(simulate_sky(visits, bare), TRANSIENT)
    assert transients["id"].size > 50
    assert not transients["host_id"].any()


def test_a_band_without_colours_is_named(simulation, visits):
    with pytest.raises(NoBandColoursError, match="no colours for band 'H'"):
        simulate_sky(visits, replace(simulation, bands=("r", "H")))


def test_the_sky_reaches_as_far_as_a_visit_may_look(simulation):
    # Farthest pixel 339 from the axis at 0.2 arcsec, 3 pixels of distortion, 30 arcsec of pointing error.
    assert field_radius(simulation) * 3600 > 0.2 * 339 + 0.6 + 30


def test_objects_come_back_from_their_table(simulation, visits):
    objects = simulate_sky(visits, simulation)
    table = to_table(object_columns(simulation.bands), objects)
    back = from_tables(table, to_table(ORBIT_COLUMNS, select(objects, has_orbit(objects))))
    for name, values in objects.items():
        assert np.array_equal(back[name], values)
    for field in table.schema:
        assert field.metadata[b"description"]


EVERYTHING = {
    "stars": {"model": "galactic", "variable_fraction": 0.1},
    "galaxies": {"model": "redshift", "clustering": 0.4, "bulge_colours": True},
    "transients": {"model": "supernova_ia"},
    "moving_objects": {"model": "keplerian"},
    "dust": {"reddening": 0.02},
}


@pytest.fixture
def full(simulation):
    """A simulation whose sky has every effect."""
    changed = {name: simulation.settings[name] | values for name, values in EVERYTHING.items()}
    return replace(simulation, settings=simulation.settings | changed)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_full_sky_repeats_itself_and_changes_with_the_seed(full, visits, seed):
    full = replace(full, seed=seed)
    first, second = simulate_sky(visits, full), simulate_sky(visits, full)
    assert all(np.array_equal(values, second[name]) for name, values in first.items())
    assert len(set(first["id"].tolist())) == len(first["id"])
    assert first["id"].max() < 1 << 53
    other = simulate_sky(visits, replace(full, seed=seed + 10))
    for name in (
        "ra",
        "ebv",
        "redshift",
        "period",
        "light_seed",
        "peak_mjd",
        "semimajor_axis",
        "bulge_colour",
    ):
        assert np.count_nonzero(first[name]) > 0
        assert not set(first[name][first[name] != 0].tolist()) & set(other[name].tolist())


def test_an_object_of_the_full_sky_does_not_depend_on_other_visits_or_bands(full, visits, visit):
    alone = simulate_sky(visits, full)
    # Transients know the first and last night, and nothing else of the visits.
    away = {**visit, "visit": 3, "ra": 150.3, "mjd": 61375.2}
    more = simulate_sky([away, *reversed(visits)], replace(full, bands=("u", "g", "r")))
    match = np.searchsorted(more["id"], alone["id"][alone["kind"] != MOVING])
    fixed = select(alone, alone["kind"] != MOVING)
    for name, values in fixed.items():
        assert np.array_equal(more[name][match], values), name


def test_each_effect_is_switched_off_by_itself(simulation, full, visits):
    for name in EVERYTHING:
        settings = full.settings | {name: simulation.settings[name]}
        objects = simulate_sky(visits, replace(full, settings=settings))
        has = {
            "stars": np.isin(objects["variability"], ("sine", "rr_lyrae", "eclipsing", "irregular")).any(),
            "galaxies": objects["bulge_colour"].any(),
            "transients": (objects["variability"] == "supernova_ia").any(),
            "moving_objects": objects["semimajor_axis"].any(),
            "dust": objects["ebv"].any(),
        }
        assert [effect for effect, present in has.items() if not present] == [name]
