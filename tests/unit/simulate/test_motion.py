import numpy as np
import pytest
from astropy.coordinates import get_body_barycentric
from astropy.time import Time

from skyloom.simulate.catalog import empty_objects, flux_name
from skyloom.simulate.motion import earth_position, fluxes_at, positions_at

EPOCH = 57388.5


def one(kind="star", **values):
    objects = empty_objects(1, ("r",))
    objects["kind"][:] = kind
    for name, value in ({"ra": 150.0, "dec": 60.0} | values).items():
        objects[name][:] = value
    return objects


def offset_mas(objects, mjd):
    ra, dec = positions_at(objects, mjd)
    east = (ra - objects["ra"]) * np.cos(np.radians(objects["dec"])) * 3.6e6
    return east[0], ((dec - objects["dec"]) * 3.6e6)[0]


def test_ten_years_of_proper_motion_are_ten_times_the_yearly_one():
    east, north = offset_mas(one(pmra=100.0, pmdec=-50.0), EPOCH + 3652.5)
    # The second order, (1 arcsec)^2 tan(dec), is 0.004 mas.
    assert east == pytest.approx(1000.0, abs=0.02)
    assert north == pytest.approx(-500.0, abs=0.02)


def test_at_the_epoch_a_star_without_parallax_is_where_the_table_says():
    assert offset_mas(one(pmra=100.0, pmdec=-50.0), EPOCH) == pytest.approx((0.0, 0.0), abs=1e-4)


@pytest.mark.parametrize("mjd", [61354.2, 61500.0, 61650.0])
def test_the_earth_is_where_astropy_has_it(mjd):
    position = get_body_barycentric("earth", Time(mjd, format="mjd", scale="tai"), ephemeris="builtin")
    # Heliocentric against barycentric: the Sun is up to 0.01 au from the barycentre.
    assert earth_position(mjd) == pytest.approx(position.xyz.to_value("au"), abs=0.012)


def test_parallax_moves_a_star_at_the_ecliptic_pole_in_a_circle_of_its_size():
    pole = one(ra=270.0, dec=66.56, parallax=50.0)
    radii = [np.hypot(*offset_mas(pole, EPOCH + day)) for day in range(0, 365, 30)]
    # The Earth's orbit is eccentric by 0.017.
    assert np.allclose(radii, 50.0, rtol=0.018)


def test_parallax_moves_a_star_towards_the_sun():
    days = EPOCH + np.array([0.0, 100.0, 200.0])
    for mjd in days:
        sun = -earth_position(mjd)
        east, _ = offset_mas(one(ra=150.0, dec=0.0, parallax=100.0), mjd)
        ra_axis = np.array([-np.sin(np.radians(150.0)), np.cos(np.radians(150.0)), 0.0])
        assert east == pytest.approx(100.0 * (sun @ ra_axis), abs=0.01)


def test_a_moving_object_moves_at_its_rate_from_its_own_time():
    objects = one("mover", ra=10.0, dec=0.0, rate_ra=0.24, rate_dec=-0.12, rate_mjd=61375.0)
    east, north = offset_mas(objects, 61375.0 + 1 / 24)
    assert (east, north) == pytest.approx((36000.0, -18000.0), rel=1e-6)


def test_right_ascension_stays_below_a_full_turn():
    ra, _ = positions_at(one(ra=359.9999999, dec=0.0, pmra=1000.0), EPOCH + 3652.5)
    assert 0 <= ra[0] < 0.01


@pytest.mark.parametrize("kind", ["transient", "mover"])
def test_template_visits_see_neither_transients_nor_moving_objects(kind):
    objects = one(kind, peak_mjd=61375.0, duration=10.0)
    objects[flux_name("r")][:] = 100.0
    seen = fluxes_at(objects, {"band": "r", "mjd": 61375.0, "use": "science"})
    hidden = fluxes_at(objects, {"band": "r", "mjd": 61375.0, "use": "template"})
    assert seen[0] == 100.0
    assert hidden[0] == 0.0


def test_a_transient_fades_as_a_gaussian_and_goes_out():
    objects = one("transient", peak_mjd=61375.0, duration=10.0)
    objects[flux_name("r")][:] = 100.0
    fluxes = [
        fluxes_at(objects, {"band": "r", "mjd": 61375.0 + d, "use": "both"})[0]
        for d in (0.0, 10.0, -20.0, 40.0)
    ]
    assert fluxes == pytest.approx([100.0, 100 * np.exp(-0.5), 100 * np.exp(-2.0), 0.0])


def test_stars_shine_alike_in_all_visits():
    objects = one()
    objects[flux_name("r")][:] = 5.0
    for use in ("template", "science", "both"):
        assert fluxes_at(objects, {"band": "r", "mjd": 1.0, "use": use})[0] == 5.0
