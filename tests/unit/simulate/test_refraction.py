import erfa
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from skyloom.simulate.refraction import (
    BAND_EDGES_NM,
    parallactic_angle,
    refraction_of,
    refractivity,
    sidereal_time,
)

SITE = {"latitude": -30.2446, "longitude": -70.7494, "pressure": 741.0, "temperature": 8.0}
ARCSEC = 180 / np.pi * 3600


def visit_of(band, airmass=1.4):
    return {"ra": 150.0, "dec": -20.0, "mjd": 61354.2, "airmass": airmass, "band": band}


def test_the_refractive_index_is_that_of_filippenkos_table():
    # Filippenko (1982), table 1: at 2 km (600 mm Hg, 7 deg C), airmass 2, 400 nm lies 1.10 arcsec beyond 500 nm.
    tangent = np.sqrt(3.0)
    difference = refractivity(400.0, 800.0, 7.0) - refractivity(500.0, 800.0, 7.0)
    assert difference * tangent * ARCSEC == pytest.approx(1.10, abs=0.03)


@pytest.mark.parametrize("wavelength", [450.0, 620.0, 900.0])
def test_the_refraction_agrees_with_erfas_dry_air(wavelength):
    a, _ = erfa.refco(741.0, 8.0, 0.0, wavelength / 1000)
    assert refractivity(wavelength, 741.0, 8.0) == pytest.approx(a, rel=5e-3)


@pytest.mark.parametrize("hour", [-4.0, -1.0, 2.5, 5.0])
def test_the_parallactic_angle_points_to_the_zenith_of_erfas_sidereal_time(hour):
    mjd = 61354.2 + hour / 24
    greenwich = np.degrees(erfa.gmst82(2400000.5, mjd))
    sidereal = (greenwich + SITE["longitude"]) % 360
    assert sidereal_time(mjd, SITE["longitude"]) == pytest.approx(sidereal, abs=0.01)
    zenith = SkyCoord(sidereal * u.deg, SITE["latitude"] * u.deg)
    target = SkyCoord((sidereal - 15 * hour) * u.deg, -20 * u.deg)
    expected = target.position_angle(zenith).wrap_at(180 * u.deg).deg
    assert parallactic_angle(target.ra.deg, -20.0, mjd, SITE) == pytest.approx(expected, abs=0.02)


def test_blue_objects_are_lifted_more_the_more_so_in_blue_bands_and_not_at_all_at_the_zenith():
    colours = np.array([-0.3, 0.6, 1.6])
    lifts = {band: refraction_of(visit_of(band), SITE).moments(colours) for band in BAND_EDGES_NM}
    for mean, deviation in lifts.values():
        assert (np.diff(mean) < 0).all()
        assert (deviation > 0).all()
    spread = {band: np.ptp(mean) for band, (mean, _) in lifts.items()}
    assert spread["g"] > spread["r"] > spread["i"] > spread["z"]
    # A flat spectrum in a box: the deviation is the width over the root of 12 times the slope.
    blue, red = BAND_EDGES_NM["i"]
    edge = refractivity(np.array([blue, red]), 741.0, 8.0) * np.sqrt(1.4**2 - 1) * ARCSEC
    assert lifts["i"][1][1] == pytest.approx(-np.diff(edge)[0] / np.sqrt(12), rel=0.1)
    mean, deviation = refraction_of(visit_of("g", airmass=1.0), SITE).moments(colours)
    assert np.abs(mean).max() == 0
    assert np.abs(deviation).max() == 0
