from dataclasses import replace

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM

from skyloom.simulate.catalog import flux_name, select
from skyloom.simulate.motion import fluxes_at
from skyloom.simulate.pipeline import simulate_sky
from skyloom.simulate.supernovae import SUPERNOVA, fading, peak_magnitudes


def exploding(simulation, **galaxies):
    transients = simulation.settings["transients"] | {"model": SUPERNOVA}
    galaxies = simulation.settings["galaxies"] | galaxies
    return replace(
        simulation, settings=simulation.settings | {"transients": transients, "galaxies": galaxies}
    )


def curve(band, days, redshift=0.1, stretch=1.0):
    n = len(days)
    return -2.5 * np.log10(fading(np.full(n, redshift), np.full(n, stretch), np.asarray(days), band))


def test_a_supernova_is_as_bright_as_its_distance_says():
    redshift = np.array([0.1])
    # r sees 622.3 / 1.1 = 566 nm: between V of -19.30 and R of -19.04.
    expected = -19.30 + 0.26 * (622.3 / 1.1 - 550) / 100
    expected += FlatLambdaCDM(70.0, 0.3, Tcmb0=0).distmod(0.1).value - 2.5 * np.log10(1.1)
    assert peak_magnitudes(redshift, np.zeros(1))["r"][0] == pytest.approx(expected, abs=1e-3)


def test_blue_light_fades_faster_than_red():
    g, i = curve("g", [0.0, 16.5, 33.0]), curve("i", [0.0, 16.5, 33.0])
    assert g[0] == i[0] == 0.0
    assert np.all(g[1:] > i[1:] + 0.3)
    # At redshift 0.1, g is B: 1.0 mag in 15 days of its own time.
    assert g[1] == pytest.approx(1.0, abs=0.05)


def test_near_infrared_light_has_a_second_maximum():
    late = curve("z", 1.1 * np.arange(5.0, 40.0))
    assert late[:15].max() > late[10:25].min() + 0.1
    assert late[-1] > late[10:25].min() + 0.3


def test_a_rise_is_shorter_than_a_decline_and_begins_with_the_explosion():
    assert fading(np.array([0.1]), np.array([1.0]), np.array([-20.0]), "r")[0] == 0.0
    days = np.linspace(-19.0, 100.0, 2000)
    half = days[curve("r", days) < 0.7526]
    assert -half[0] < half[-1]


def test_time_runs_slower_at_high_redshift_and_stretch():
    slow = fading(np.array([0.1]), np.array([1.2]), np.array([12.0]), "r")
    assert slow == pytest.approx(fading(np.array([0.1]), np.array([1.0]), np.array([10.0]), "r"))
    # The band that sees the same rest wavelength, a factor 1.5 further, takes 1.5 times as long.
    near = fading(np.array([0.0]), np.array([1.0]), np.array([10.0]), "g")
    redshift = 754.6 / 482.7 - 1
    far = fading(np.array([redshift]), np.array([1.0]), np.array([10.0 * (1 + redshift)]), "i")
    assert far == pytest.approx(near)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_supernovae_have_the_redshift_of_their_hosts(simulation, visit, seed):
    objects = simulate_sky([visit], exploding(replace(simulation, seed=seed), model="redshift"))
    supernovae = select(objects, objects["variability"] == SUPERNOVA)
    assert set(supernovae["kind"]) == {"transient"}
    place = {identifier: k for k, identifier in enumerate(objects["id"])}
    hosted = supernovae["host_id"] > 0
    assert abs(hosted.mean() - 0.5) < 4 * 0.5 / np.sqrt(hosted.size)
    hosts = [place[identifier] for identifier in supernovae["host_id"][hosted]]
    assert np.array_equal(objects["redshift"][hosts], supernovae["redshift"][hosted])
    assert 0.05 <= supernovae["redshift"].min() < supernovae["redshift"].max() <= 0.7
    # On empty sky redshifts fill the volume: the mean of z^3 is its middle, with a scatter of 1 / sqrt(12).
    cubes = supernovae["redshift"][~hosted] ** 3 / (0.7**3 - 0.05**3)
    assert cubes.mean() == pytest.approx(0.5, abs=4.5 / np.sqrt(12 * cubes.size))


def test_galaxies_without_redshifts_host_supernovae_too(simulation, visit):
    objects = simulate_sky([visit], exploding(simulation))
    supernovae = select(objects, objects["variability"] == SUPERNOVA)
    assert np.any(supernovae["host_id"] > 0)
    assert supernovae["redshift"].min() >= 0.05


def test_a_visit_sees_a_supernova_at_its_phase(simulation, visit):
    objects = simulate_sky([visit], exploding(simulation))
    supernovae = select(objects, objects["kind"] == "transient")
    at_peak = {key: values[:1] for key, values in supernovae.items()}
    flux = fluxes_at(at_peak, {**visit, "mjd": at_peak["peak_mjd"][0]})
    assert flux == pytest.approx(at_peak[flux_name("r")])
    assert fluxes_at(at_peak, {**visit, "mjd": at_peak["peak_mjd"][0] - 60.0})[0] == 0.0


def test_other_kinds_are_the_same_beside_supernovae(simulation, visit):
    calm, violent = simulate_sky([visit], simulation), simulate_sky([visit], exploding(simulation))
    for kind in ("star", "galaxy", "mover"):
        first, second = (select(o, o["kind"] == kind) for o in (calm, violent))
        assert all(np.array_equal(first[name], second[name]) for name in first)
