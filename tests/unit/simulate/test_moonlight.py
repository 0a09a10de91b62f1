import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import get_body
from astropy.time import Time

from skyloom.simulate.moonlight import moon_place, moonlight_ratio

SITE = {"latitude": -30.2446, "longitude": -70.7494}
FULL_MOON = 61367.63
"""2026-11-24 15 h UT."""


@pytest.mark.parametrize("mjd", [61354.2, 61360.0, 61367.1])
def test_the_moon_is_where_astropy_has_it(mjd):
    direction, phase_angle = moon_place(mjd)
    time = Time(mjd, format="mjd", scale="tai")
    moon, sun = (get_body(name, time).cartesian.xyz.to_value(u.km) for name in ("moon", "sun"))
    separation = np.degrees(np.arccos(direction @ moon / np.linalg.norm(moon)))
    expected = np.degrees(np.arccos((sun - moon) @ -moon / np.linalg.norm(sun - moon) / np.linalg.norm(moon)))
    assert separation < 0.02
    assert phase_angle == pytest.approx(expected, abs=0.1)


def brightest_of_a_night(mjd, band="r"):
    """Largest ratio over a night, 60 degrees from the Moon."""
    ratios = []
    for hour in np.arange(0, 24):
        visit = {"mjd": mjd + hour / 24, "band": band, "airmass": 1.2}
        moon = moon_place(visit["mjd"])[0]
        ra = np.degrees(np.arctan2(moon[1], moon[0])) + 60
        ratios.append(moonlight_ratio(visit, SITE, np.array([ra]), np.array([0.0]))[0])
    return max(ratios), min(ratios)


def test_a_full_moon_brightens_the_sky_by_magnitudes_and_a_set_one_not_at_all():
    full, below = brightest_of_a_night(np.floor(FULL_MOON))
    assert below == 0
    # Krisciunas & Schaefer (1991), table 2: about 3 magnitudes in V at 60 degrees from a full Moon.
    assert 2.0 < 2.5 * np.log10(1 + brightest_of_a_night(np.floor(FULL_MOON), "g")[0]) < 3.8
    half, _ = brightest_of_a_night(np.floor(FULL_MOON) - 7)
    assert 5 < full / half < 15
    assert brightest_of_a_night(np.floor(FULL_MOON), "y")[0] < 0.5 * full


def test_the_sky_is_brighter_nearer_to_the_moon():
    mjd = np.floor(FULL_MOON) + 5 / 24
    moon = moon_place(mjd)[0]
    ra, dec = np.degrees(np.arctan2(moon[1], moon[0])), np.degrees(np.arcsin(moon[2]))
    visit = {"mjd": mjd, "band": "r", "airmass": 1.2}
    ratio = moonlight_ratio(visit, SITE, np.array([ra + 10, ra + 30, ra + 60]), np.array([dec] * 3))
    assert (np.diff(ratio) < 0).all()
