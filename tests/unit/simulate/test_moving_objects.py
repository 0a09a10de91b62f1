from dataclasses import replace

import numpy as np
import pytest

from skyloom.simulate.catalog import flux_name, select
from skyloom.simulate.motion import fluxes_at, positions_at
from skyloom.simulate.moving_objects import POPULATIONS, night_moving_objects
from skyloom.simulate.orbits import ephemeris
from skyloom.simulate.pipeline import simulate_sky


def orbiting(simulation, **values):
    moving = simulation.settings["moving_objects"] | {"model": "keplerian", "per_night": 60} | values
    return replace(simulation, settings=simulation.settings | {"moving_objects": moving})


@pytest.fixture
def visits(visit):
    """Two science visits of a night, some fields apart, near opposition on the ecliptic."""
    return [
        {**visit, "mjd": 61375.2, "ra": 61.0, "dec": 20.5},
        {**visit, "visit": 8, "mjd": 61375.3, "ra": 62.0, "dec": 20.8},
    ]


def separation(ra, dec, row):
    return np.hypot((ra - row["ra"]) * np.cos(np.radians(dec)), dec - row["dec"])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_object_crosses_the_field_of_a_visit(simulation, visits, seed):
    moving = night_moving_objects(61375, visits, orbiting(replace(simulation, seed=seed)))
    assert len(moving["id"]) > 50
    for row in visits:
        seen = np.flatnonzero(moving["rate_mjd"] == row["mjd"])
        assert seen.size > 10
        ra, dec = positions_at(select(moving, seen), row["mjd"])
        assert separation(ra, dec, row).max() < 1.01 * np.sqrt(2) * 90 / 3600
        assert ra == pytest.approx(moving["ra"][seen], abs=1e-7)
        assert dec == pytest.approx(moving["dec"][seen], abs=1e-7)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_populations_are_mixed_as_set_and_have_their_orbits(simulation, visits, seed):
    chosen = orbiting(replace(simulation, seed=seed), near_earth_fraction=0.3, trans_neptunian_fraction=0.3)
    moving = night_moving_objects(61375, visits, chosen)
    for population, share in zip(POPULATIONS, (0.4, 0.3, 0.3), strict=True):
        rows = select(moving, moving["population"] == population.name)
        assert abs(len(rows["id"]) / 60 - share) < 4.5 * np.sqrt(share * (1 - share) / 60)
        assert np.all(population.holds(rows))
    speed = np.hypot(moving["rate_ra"], moving["rate_dec"]) * 3600 / 24
    belt, far = (moving["population"] == name for name in ("main_belt", "tno"))
    # At opposition the belt moves by 25 to 50 arcsec an hour, the objects beyond Neptune by 2 to 5.
    assert 20 < np.median(speed[belt]) < 50
    assert 1.5 < np.median(speed[far]) < 5.5


def test_rates_are_those_of_the_track(simulation, visits):
    moving = night_moving_objects(61375, visits, orbiting(simulation))
    start, end = (positions_at(moving, visits[0]["mjd"] + d) for d in (0.0, 0.01))
    slow = select(moving, moving["rate_mjd"] == visits[0]["mjd"])
    here = moving["rate_mjd"] == visits[0]["mjd"]
    assert (end[1] - start[1])[here] / 0.01 == pytest.approx(slow["rate_dec"], abs=2e-3)


def test_magnitudes_follow_distance_and_phase(simulation, visits):
    moving = night_moving_objects(61375, visits, orbiting(simulation))
    magnitude = 31.4 - 2.5 * np.log10(moving[flux_name("r")])
    assert ephemeris(moving, moving["rate_mjd"])[2] == pytest.approx(magnitude, abs=1e-9)
    later = {**visits[0], "mjd": 61405.2}
    seen = 31.4 - 2.5 * np.log10(fluxes_at(moving, later))
    assert seen == pytest.approx(ephemeris(moving, 61405.2)[2], abs=1e-9)
    assert np.median(seen - magnitude) > 0.1
    assert not fluxes_at(moving, {**later, "use": "template"}).any()


def test_the_same_object_comes_back_in_other_nights_at_its_ephemeris(simulation, visits):
    tomorrow = {**visits[0], "visit": 9, "mjd": 61376.2}
    objects = simulate_sky([*visits, tomorrow], orbiting(simulation))
    moving = select(objects, objects["kind"] == "mover")
    assert len(set(moving["id"].tolist())) == len(moving["id"]) > 100
    first = select(moving, moving["rate_mjd"] < 61376)
    ra, dec = positions_at(first, 61376.2)
    # A belt's 10 arcmin a day: they are still about the field.
    belt = first["population"] == "main_belt"
    assert np.median(np.hypot(ra - first["ra"], dec - first["dec"])[belt]) == pytest.approx(0.23, abs=0.12)


def test_no_main_belt_near_the_pole_of_the_ecliptic(simulation, visit):
    pole = [{**visit, "ra": 270.0, "dec": 66.5}]
    moving = night_moving_objects(61354, pole, orbiting(simulation))
    assert "main_belt" not in set(moving["population"])


def test_straight_movers_have_no_orbit(simulation, visits):
    moving = night_moving_objects(61375, visits, simulation)
    assert not moving["semimajor_axis"].any()
    assert set(moving["population"]) == {""}
