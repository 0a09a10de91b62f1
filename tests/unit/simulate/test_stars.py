from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import CartesianDifferential, Galactic, SkyCoord
from scipy.integrate import quad

from skyloom.simulate.catalog import flux_name, join
from skyloom.simulate.cells import cells_near
from skyloom.simulate.milky_way import (
    ABSOLUTE_V,
    LUMINOSITY,
    MODULI,
    POPULATIONS,
    TO_GALACTIC,
    directions,
    expected_numbers,
    proper_motions,
    velocities,
)
from skyloom.simulate.stars import cell_stars

POLE = (192.85948, 27.12825)


def galactic(simulation, **values):
    stars = simulation.settings["stars"] | {"model": "galactic"} | values
    return replace(simulation, settings=simulation.settings | {"stars": stars})


def stars_near(simulation, ra, dec, radius=0.2):
    cells = sorted(cells_near(ra, dec, radius))
    return join([cell_stars(cell, simulation) for cell in cells], simulation.bands), len(cells)


def test_axes_of_the_galaxy_are_those_of_astropy():
    ra, dec = np.array([10.0, 200.0, 300.0]), np.array([-60.0, 0.0, 45.0])
    theirs = SkyCoord(ra, dec, unit="deg").galactic.cartesian.xyz.value
    assert directions(ra, dec) == pytest.approx(theirs, abs=1e-6)
    assert pytest.approx(np.eye(3), abs=1e-9) == TO_GALACTIC @ TO_GALACTIC.T


def test_a_velocity_becomes_the_proper_motion_that_astropy_has():
    ra, dec, distance = np.array([10.0, 200.0]), np.array([-60.0, 20.0]), np.array([0.5, 3.0])
    velocity = np.array([[10.0, -200.0], [-30.0, 50.0], [7.0, 90.0]])
    place = SkyCoord(ra * u.deg, dec * u.deg, distance * u.kpc).galactic.cartesian
    speed = CartesianDifferential(velocity * u.km / u.s)
    theirs = SkyCoord(Galactic(place.with_differentials(speed), representation_type="cartesian")).icrs
    pmra, pmdec = proper_motions(ra, dec, distance, velocity)
    assert pmra == pytest.approx(theirs.pm_ra_cosdec.to_value("mas/yr"), rel=1e-5)
    assert pmdec == pytest.approx(theirs.pm_dec.to_value("mas/yr"), rel=1e-5)


@pytest.mark.parametrize("longitude", [20.0, 100.0, 250.0])
def test_nearby_disc_stars_rotate_as_oorts_constants_say(longitude):
    # A flat curve has A = -B = V / (2 R), of the disc's mean rotation V = 220 - 10 km/s.
    n, distance = 400000, 0.1
    angle = np.radians(longitude)
    position = distance * np.array([np.cos(angle), np.sin(angle), 0.0])[:, None] * np.ones(n)
    found = velocities(position, np.zeros(n, int), np.random.default_rng(1)).mean(axis=1)
    sun = velocities(np.zeros((3, n)), np.zeros(n, int), np.random.default_rng(1)).mean(axis=1)
    along_l = (found - sun) @ [-np.sin(angle), np.cos(angle), 0.0]
    oort = 210 / (2 * 8.0)
    # The same random numbers cancel but for the turn of the axes over 0.1 kpc, 0.7 deg of 35 km/s / sqrt(n); the
    # lag of 10 km/s adds its part, and the second order in d / R is 2 %.
    assert along_l == pytest.approx((oort * np.cos(2 * angle) - oort) * distance, abs=0.08)


def test_expected_numbers_are_the_integral_of_density_and_luminosity():
    direction, area = np.array([0.0, 0.0, 1.0]), 3600.0
    numbers = expected_numbers(direction, area, 99.0)
    bright = ABSOLUTE_V == 5.0

    def shell(modulus):
        parsec = 10 ** (0.2 * modulus + 1)
        decay = np.exp(-parsec / 1000 / 0.3)
        return decay * parsec**3 * 0.2 * np.log(10)

    total, _ = quad(shell, MODULI[0] - 0.05, MODULI[-1] + 0.05, epsrel=1e-8)
    expected = total * np.radians(1.0) ** 2 * LUMINOSITY[bright]
    assert numbers[0][:, bright].sum() == pytest.approx(expected, rel=2e-3)


def test_counts_at_the_pole_are_those_of_the_sky(simulation):
    # Counts of several surveys at the poles: 2,000 to 2,500 a square degree to r = 20; models scatter by a third.
    stars, n_cell = stars_near(galactic(simulation, magnitude_bright=0.0, magnitude_faint=20.0), *POLE, 0.5)
    density = len(stars["id"]) / (n_cell * 0.0025)
    assert 1600 < density < 3200


@pytest.mark.parametrize("seed", [1, 2])
def test_a_field_in_the_plane_is_crowded_and_its_identifiers_stay_unique(simulation, seed):
    plane = galactic(replace(simulation, seed=seed), magnitude_faint=26.0)
    stars, n_cell = stars_near(plane, 266.4, -28.9, 0.01)
    assert len(stars["id"]) > 5000 * n_cell
    assert len(set(stars["id"].tolist())) == len(stars["id"])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_stars_keep_to_the_magnitudes_and_parallaxes_say_how_far(simulation, seed):
    chosen = galactic(replace(simulation, seed=seed), magnitude_bright=17.0, magnitude_faint=22.0)
    stars, _ = stars_near(chosen, *POLE)
    magnitude = 31.4 - 2.5 * np.log10(stars[flux_name("r")])
    assert 17.0 <= magnitude.min() < magnitude.max() < 22.0
    blue = stars["colour_gr"] < 0.4
    # Blue faint stars are turn-off stars of the halo, red ones dwarfs of the disc.
    assert np.median(stars["parallax"][blue]) < 0.5 * np.median(stars["parallax"][~blue])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_halo_lags_and_is_hotter_than_the_disc(seed):
    n = 20000
    thin, halo = (velocities(np.zeros((3, n)), np.full(n, k), np.random.default_rng(seed)) for k in (0, 2))
    assert thin[1].mean() == pytest.approx(-15 - 12.24, abs=4 * 20 / np.sqrt(n))
    assert halo[1].mean() == pytest.approx(-220 - 12.24, abs=4 * 106 / np.sqrt(n))
    assert halo[2].std() == pytest.approx(POPULATIONS[2].dispersion[2], rel=4 / np.sqrt(2 * n))
    assert thin[0].std() == pytest.approx(35.0, rel=4 / np.sqrt(2 * n))


def test_dust_takes_faint_stars_away(simulation):
    clear = galactic(simulation)
    dust = simulation.settings["dust"] | {"reddening": 0.05, "structure": 0.0}
    dim = replace(clear, settings=clear.settings | {"dust": dust})
    few, many = (stars_near(s, 280.0, -10.0, 0.01)[0] for s in (dim, clear))
    assert len(few["id"]) < 0.9 * len(many["id"])


def test_one_band_more_changes_no_star_of_the_galaxy(simulation):
    two, _ = stars_near(galactic(simulation), *POLE)
    three, _ = stars_near(galactic(replace(simulation, bands=("g", "r", "z"))), *POLE)
    assert all(np.array_equal(two[name], three[name]) for name in two)
