import erfa
import numpy as np
import pytest
from scipy.optimize import brentq

from skyloom.simulate.orbits import (
    GAUSSIAN_CONSTANT,
    LIGHT_TIME,
    TDB_MINUS_TAI,
    dimming,
    earth,
    eccentric_anomaly,
    elements_of,
    ephemeris,
    state_at,
)

MJD = 61375.0
PLANETS = {"Venus": 2, "Mars": 4, "Jupiter": 5, "Saturn": 6}
DISTURBANCE = 1e-4
"""Of the planets' places after 20 days on an ellipse [au], by each other and the velocities of plan94."""


def planet(number, mjd):
    state = erfa.plan94(2400000.5, mjd, number)
    return np.asarray(state["p"])[:, None], np.asarray(state["v"])[:, None]


def orbits(n, seed):
    rng = np.random.default_rng(seed)
    return {
        "epoch_mjd": np.full(n, MJD),
        "semimajor_axis": rng.uniform(0.7, 50, n),
        "eccentricity": rng.uniform(0, 0.9, n),
        "inclination": rng.uniform(0, 170, n),
        "node": rng.uniform(0, 360, n),
        "perihelion": rng.uniform(0, 360, n),
        "mean_anomaly": rng.uniform(0, 360, n),
        "absolute_magnitude": np.full(n, 18.0),
        "slope_parameter": np.full(n, 0.15),
    }


@pytest.mark.parametrize("eccentricity", [0.0, 0.3, 0.9, 0.99])
def test_keplers_equation_is_solved_everywhere(eccentricity):
    mean = np.linspace(-10, 10, 2001)
    anomaly = eccentric_anomaly(mean, np.full(mean.size, eccentricity))
    back = anomaly - eccentricity * np.sin(anomaly)
    assert np.exp(1j * back) == pytest.approx(np.exp(1j * mean), abs=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_elements_come_back_from_places_and_velocities(seed):
    first = orbits(200, seed)
    again = elements_of(*state_at(first, MJD + 100.0), MJD + 100.0) | {
        name: first[name] for name in ("absolute_magnitude", "slope_parameter")
    }
    for name in ("semimajor_axis", "eccentricity", "inclination"):
        assert again[name] == pytest.approx(first[name], rel=1e-7)
    for place, other in zip(state_at(first, MJD + 900.0), state_at(again, MJD + 900.0), strict=True):
        assert place == pytest.approx(other, abs=1e-6)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_energy_and_angular_momentum_are_conserved_and_the_period_is_keplers(seed):
    bodies = orbits(100, seed)
    expected = -0.5 * GAUSSIAN_CONSTANT**2 / bodies["semimajor_axis"]
    start = state_at(bodies, MJD)
    momentum = np.cross(*start, axis=0)
    for days in (0.0, 30.0, 4000.0):
        place, velocity = state_at(bodies, MJD + days)
        energy = 0.5 * (velocity**2).sum(axis=0) - GAUSSIAN_CONSTANT**2 / np.linalg.norm(place, axis=0)
        assert energy == pytest.approx(expected, rel=1e-9)
        assert np.cross(place, velocity, axis=0) == pytest.approx(momentum, rel=1e-9, abs=1e-12)
    period = 2 * np.pi / GAUSSIAN_CONSTANT * bodies["semimajor_axis"] ** 1.5
    assert state_at(bodies, MJD + period)[0] == pytest.approx(start[0], abs=1e-6)


@pytest.mark.parametrize("name", PLANETS)
def test_planets_move_as_erfa_has_them(name):
    position, velocity = planet(PLANETS[name], MJD)
    elements = elements_of(position, velocity, MJD)
    for days in (-20.0, 20.0):
        found, _ = state_at(elements, MJD + days)
        assert found == pytest.approx(planet(PLANETS[name], MJD + days)[0], abs=DISTURBANCE)


def test_elements_of_jupiter_are_the_textbooks():
    elements = elements_of(*planet(5, 51544.5), 51544.5)
    # JPL's mean elements of J2000; the osculating ones differ by Saturn's pull.
    assert elements["semimajor_axis"][0] == pytest.approx(5.203, abs=0.01)
    assert elements["eccentricity"][0] == pytest.approx(0.0484, abs=0.002)
    assert elements["inclination"][0] == pytest.approx(1.304, abs=0.01)
    assert elements["node"][0] == pytest.approx(100.47, abs=0.3)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_light_arrives_when_it_is_observed(seed):
    bodies = orbits(20, seed)
    now = MJD + 40.0 + TDB_MINUS_TAI
    observer = np.asarray(erfa.epv00(2400000.5, now)[0]["p"])
    ra, dec, _ = ephemeris(bodies, MJD + 40.0)
    for k in range(20):
        one = {name: values[k : k + 1] for name, values in bodies.items()}

        def late(delay, one=one):
            return delay - LIGHT_TIME * np.linalg.norm(state_at(one, now - delay)[0][:, 0] - observer)

        sight = state_at(one, now - brentq(late, 0.0, 1.0, xtol=1e-14))[0][:, 0] - observer
        expected = np.degrees(erfa.c2s(sight))
        assert (ra[k] - expected[0] + 180) % 360 - 180 == pytest.approx(0.0, abs=1e-7)
        assert dec[k] == pytest.approx(expected[1], abs=1e-7)


@pytest.mark.parametrize("name", PLANETS)
def test_a_planet_is_seen_where_it_was_when_its_light_left(name):
    mjd_tai = MJD + 5.0
    elements = elements_of(*planet(PLANETS[name], MJD), MJD)
    elements |= {"absolute_magnitude": np.zeros(1), "slope_parameter": np.zeros(1)}
    ra, dec, _ = ephemeris(elements, mjd_tai)
    now = mjd_tai + TDB_MINUS_TAI
    observer = np.asarray(erfa.epv00(2400000.5, now)[0]["p"])
    delay = 0.0
    for _ in range(5):
        sight = planet(PLANETS[name], now - delay)[0][:, 0] - observer
        delay = LIGHT_TIME * np.linalg.norm(sight)
    expected = np.degrees(erfa.c2s(sight))
    # Five days of disturbance are below an arcsecond; light time moves them by v / c, 6 arcsec and more.
    assert np.hypot((ra[0] - expected[0] % 360) * np.cos(np.radians(dec[0])), dec[0] - expected[1]) < 1 / 3600


def test_the_earth_is_an_astronomical_unit_from_the_sun():
    assert np.linalg.norm(earth(np.array([MJD, MJD + 180.0])), axis=0) == pytest.approx([1, 1], abs=0.017)


def test_a_body_in_full_light_at_one_unit_has_its_absolute_magnitude():
    unit = np.array([[1.0], [0.0], [0.0]])
    assert dimming(unit, unit, np.array([0.15])) == pytest.approx([0.0])
    assert dimming(2 * unit, unit, np.array([0.15])) == pytest.approx([5 * np.log10(2)])


def test_the_phase_dims_as_bowell_and_others_say():
    # G = 0.15 at 20 deg: exp(-3.33 tan(10 deg)^0.63) = 0.3275, exp(-1.87 tan(10 deg)^1.22) = 0.7996.
    place = np.array([[1.0], [0.0], [0.0]])
    sight = np.array([[np.cos(np.radians(20))], [np.sin(np.radians(20))], [0.0]])
    expected = -2.5 * np.log10(0.85 * 0.3275 + 0.15 * 0.7996)
    assert dimming(place, sight, np.array([0.15])) == pytest.approx([expected], abs=2e-3)


def test_an_unbound_body_has_no_positive_axis():
    elements = elements_of(np.array([[1.0], [0], [0]]), np.array([[0.0], [0.03], [0]]), MJD)
    assert elements["semimajor_axis"][0] < 0
    assert np.isnan(elements["mean_anomaly"][0])
