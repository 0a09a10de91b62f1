from dataclasses import replace

import numpy as np
import pytest

from skyloom.simulate.catalog import empty_objects, flux_name, select
from skyloom.simulate.motion import fluxes_at
from skyloom.simulate.pipeline import simulate_sky
from skyloom.simulate.variability import CLASSES, variation, walk


def variable_sky(simulation, visit, fraction=0.5):
    stars = simulation.settings["stars"] | {"variable_fraction": fraction}
    return simulate_sky([visit], replace(simulation, settings=simulation.settings | {"stars": stars}))


def one(name, **values):
    objects = empty_objects(1, ("g", "r"))
    objects["kind"][:] = "star"
    objects["variability"][:] = name
    for key, value in ({"period": 2.0, "phase_mjd": 61000.0, "amplitude": 0.5} | values).items():
        objects[key][:] = value
    return objects


def magnitudes(objects, band, times):
    return -2.5 * np.log10([variation(objects, band, time)[0] for time in times])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_as_many_stars_vary_as_the_setting_says_and_nothing_else_does(simulation, visit, seed):
    objects = variable_sky(replace(simulation, seed=seed), visit, 0.3)
    varies = np.isin(objects["variability"], CLASSES)
    is_star = objects["kind"] == "star"
    assert abs(varies[is_star].mean() - 0.3) < 4 * np.sqrt(0.21 / is_star.sum())
    assert set(objects["kind"][varies]) == {"star"}
    assert set(objects["variability"][varies]) == set(CLASSES)


def test_variability_leaves_all_else_of_the_sky_alone(simulation, visit):
    calm, lively = simulate_sky([visit], simulation), variable_sky(simulation, visit)
    changed = {name for name in calm if not np.array_equal(calm[name], lively[name])}
    assert changed == {"variability", "period", "phase_mjd", "amplitude", "light_seed"}


@pytest.mark.parametrize("name", ["sine", "rr_lyrae", "eclipsing"])
def test_a_periodic_star_repeats_itself_with_its_range_about_its_mean(name):
    star = one(name)
    times = 61000.0 + np.linspace(0, 2, 4001)
    curve = magnitudes(star, "r", times)
    assert np.ptp(curve) == pytest.approx(0.5, abs=2e-3)
    assert magnitudes(star, "r", times + 200.0) == pytest.approx(curve, abs=1e-6)
    assert np.mean(10 ** (-0.4 * curve[:-1])) == pytest.approx(1.0, abs=1e-3)


def test_an_rr_lyrae_star_rises_fast_and_varies_more_in_the_blue():
    star = one("rr_lyrae")
    times = 61000.0 + np.linspace(0, 2, 401)
    curve = magnitudes(star, "r", times)
    assert curve.argmin() == 0
    assert np.sum(np.diff(curve) < 0) == pytest.approx(0.15 * 400, abs=1)
    assert np.ptp(magnitudes(star, "g", times)) == pytest.approx(1.33 * np.ptp(curve), rel=1e-2)


def test_an_eclipsing_star_is_grey_and_at_its_faintest_at_its_own_time():
    star = one("eclipsing")
    times = 61000.0 + np.linspace(-0.5, 1.5, 401)
    curve = magnitudes(star, "r", times)
    assert times[curve.argmax()] == pytest.approx(61000.0, abs=0.01)
    assert magnitudes(star, "g", times) == pytest.approx(curve)
    assert np.median(curve) == pytest.approx(curve.min())


@pytest.mark.parametrize("first", [1, 20001, 40001])
def test_an_irregular_star_forgets_at_its_damping_time(first):
    n, lags = 4000, np.array([0.0, 0.3, 1.0, 3.0])
    walks = np.array([[walk(seed, 12.0 + lag) for lag in lags] for seed in range(first, first + n)])
    # Products of unit Gaussians scatter by sqrt(1 + covariance^2), below sqrt(2).
    covariance = (walks[:, :1] * walks).mean(axis=0)
    assert covariance == pytest.approx(np.exp(-lags), abs=4.5 * np.sqrt(2 / n))
    assert walks.mean() == pytest.approx(0.0, abs=4.5 / np.sqrt(n))


def test_irregular_stars_have_the_stated_scatter_and_mean():
    n = 4000
    stars = {name: np.repeat(values, n) for name, values in one("irregular", amplitude=0.2).items()}
    stars["light_seed"] = np.arange(1, n + 1)
    factor = variation(stars, "r", 61375.0)
    assert np.std(-2.5 * np.log10(factor)) == pytest.approx(0.2, rel=4 / np.sqrt(2 * n))
    assert factor.mean() == pytest.approx(1.0, abs=4 * 0.2 / np.sqrt(n))


def test_a_visit_sees_the_flux_of_its_moment(simulation, visit):
    objects = variable_sky(simulation, visit, 1.0)
    stars = select(objects, objects["kind"] == "star")
    flux = fluxes_at(stars, visit)
    assert flux == pytest.approx(stars[flux_name("r")] * variation(stars, "r", visit["mjd"]))
    assert np.mean(flux != stars[flux_name("r")]) > 0.99
