from dataclasses import replace

import galsim
import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM

from skyloom.simulate.catalog import flux_name, join
from skyloom.simulate.cells import cells_near
from skyloom.simulate.colours import bulge_fractions
from skyloom.simulate.cosmology import comoving_distance, distance_modulus, kpc_per_arcsec
from skyloom.simulate.galaxies import cell_galaxies, draw_redshifts, half_light_radii
from skyloom.simulate.galaxy_spectra import BANDS, TEMPLATES, colours, k_correction
from skyloom.simulate.groups import RADIUS_DEG, group_members, offset
from skyloom.simulate.pipeline import field_radius, simulate_exposure, simulate_sky

COSMOLOGY = FlatLambdaCDM(70.0, 0.3, Tcmb0=0)


def changed(simulation, **values):
    galaxies = simulation.settings["galaxies"] | values
    return replace(simulation, settings=simulation.settings | {"galaxies": galaxies})


def galaxies_near(simulation, radius=0.1, ra=150.0, dec=2.2):
    return join([cell_galaxies(c, simulation) for c in sorted(cells_near(ra, dec, radius))], simulation.bands)


def test_distances_are_those_of_astropy():
    redshift = np.array([0.01, 0.3, 1.0, 3.0])
    assert comoving_distance(redshift) == pytest.approx(
        COSMOLOGY.comoving_distance(redshift).to_value("Mpc"), rel=1e-5
    )
    assert distance_modulus(redshift) == pytest.approx(COSMOLOGY.distmod(redshift).value, abs=1e-4)
    scale = 1 / COSMOLOGY.arcsec_per_kpc_proper(redshift).value
    assert kpc_per_arcsec(redshift) == pytest.approx(scale, rel=1e-5)


@pytest.mark.parametrize("redshift", [0.0, 0.5, 1.5])
@pytest.mark.parametrize("kind", range(len(TEMPLATES)))
def test_colours_are_those_that_galsim_integrates(kind, redshift):
    spectrum = galsim.SED(f"{TEMPLATES[kind]}.sed", "Ang", "flambda").atRedshift(redshift)
    magnitudes = {}
    for band in BANDS:
        curve = galsim.Bandpass(f"LSST_{band}.dat", "nm").withZeropoint("AB")
        magnitudes[band] = spectrum.calculateMagnitude(curve)
    found = colours(np.array([float(kind)]), np.array([redshift]))
    for band in BANDS:
        assert found[band][0] == pytest.approx(magnitudes[band] - magnitudes["r"], abs=0.01)


def test_ellipticals_are_red_and_lose_their_u_light_with_redshift():
    early = colours(np.zeros(3), np.array([0.0, 0.4, 3.5]))
    late = colours(np.full(3, 3.0), np.array([0.0, 0.4, 3.5]))
    assert np.all(early["g"][:2] > late["g"][:2] + 0.4)
    assert early["g"][1] > early["g"][0] + 0.5
    assert late["u"][2] > 2


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_redshifts_rise_with_magnitude_as_a_gamma_distribution(seed):
    n = 20000
    for magnitude in (21.0, 24.0):
        scale = 0.0417 * (magnitude - 0.4) - 0.744
        found = draw_redshifts(np.full(n, magnitude), np.random.default_rng(seed))
        # Mean 3 z0 and standard deviation sqrt(3) z0.
        assert found.mean() == pytest.approx(3 * scale, abs=4.5 * np.sqrt(3 / n) * scale)


def test_the_k_correction_is_the_ratio_of_the_fluxes_through_the_filter():
    spectrum = galsim.SED("CWW_Sbc_ext.sed", "Ang", "flambda")
    curve = galsim.Bandpass("LSST_r.dat", "nm")
    wave = np.linspace(curve.blue_limit, curve.red_limit, 20001)
    # GalSim's SED counts photons: its power a wavelength is that over the wavelength, spread by redshift.
    near, far = (
        np.sum(spectrum(wave / (1 + z)) / (wave / (1 + z)) / (1 + z) * wave * curve(wave)) for z in (0.0, 0.8)
    )
    found = k_correction(np.array([1.0]), np.array([0.8]))
    assert found[0] == pytest.approx(-2.5 * np.log10(far / near), abs=0.01)


def test_a_large_spiral_at_a_redshift_of_a_tenth_has_its_size_in_arcsec():
    # At the knee: 10^(0.4 * 0.26 * 20.91 - 1.71) * 2^0.25 kpc, 3.5 kpc.
    redshift = np.array([0.1])
    radius = half_light_radii(np.array([-20.91]), redshift, np.array([False]), np.zeros(1))
    expected = 10 ** (0.4 * 0.26 * 20.91 - 1.71) * 2**0.25 * 1.1**-0.75
    assert radius[0] == pytest.approx(expected / kpc_per_arcsec(0.1), rel=1e-6)
    assert 1.5 < radius[0] < 2.5


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_redshifts_change_colours_and_sizes_and_nothing_else(simulation, seed):
    simulation = replace(simulation, seed=seed)
    simple, deep = galaxies_near(simulation), galaxies_near(changed(simulation, model="redshift"))
    for name in ("id", "ra", "dec", "axis_ratio", "position_angle"):
        assert np.array_equal(simple[name], deep[name])
    assert deep[flux_name("r")] == pytest.approx(simple[flux_name("r")])
    assert not simple["redshift"].any()
    assert deep["redshift"].min() > 0
    assert 0.05 <= deep["half_light_radius"].min() < deep["half_light_radius"].max() <= 4.0
    faint = deep[flux_name("r")] < 10 ** (0.4 * (31.4 - 24))
    assert 0.1 < np.median(deep["half_light_radius"][faint]) < 0.6


def test_bulges_redder_than_discs_take_more_of_the_red_light(simulation):
    plain, own = galaxies_near(simulation), galaxies_near(changed(simulation, bulge_colours=True))
    assert all(np.array_equal(plain[name], own[name]) for name in plain if name != "bulge_colour")
    assert np.array_equal(bulge_fractions(plain, "g"), plain["bulge_fraction"])
    mixed = (own["bulge_fraction"] > 0) & (own["bulge_fraction"] < 1)
    assert np.array_equal(bulge_fractions(own, "r")[mixed], own["bulge_fraction"][mixed])

    # g - r of bulge minus disc: the ratio of ratios, in magnitudes.
    def ratio(band):
        fraction = bulge_fractions(own, band)[mixed]
        return fraction / (1 - fraction)

    assert -2.5 * np.log10(ratio("g") / ratio("r")) == pytest.approx(own["bulge_colour"][mixed], abs=1e-9)
    assert np.all(bulge_fractions(own, "g")[~mixed] == own["bulge_fraction"][~mixed])


def test_an_offset_is_as_long_and_points_where_it_says():
    ra, dec = np.array([10.0, 200.0]), np.array([0.0, 60.0])
    radius, angle = np.array([0.05, 0.02]), np.radians([90.0, 30.0])
    new_ra, new_dec = offset(ra, dec, radius, angle)
    start, end = (
        [galsim.CelestialCoord(a * galsim.degrees, d * galsim.degrees) for a, d in zip(*p, strict=True)]
        for p in ((ra, dec), (new_ra, new_dec))
    )
    found = [s.distanceTo(e) / galsim.degrees for s, e in zip(start, end, strict=True)]
    assert found == pytest.approx(radius, rel=1e-6)
    assert new_dec - dec == pytest.approx(radius * np.cos(angle), abs=1e-4)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_groups_hold_their_fraction_of_the_galaxies(simulation, seed):
    grouped = changed(replace(simulation, seed=seed), clustering=0.4, group_members=20.0)
    cells = sorted(cells_near(150.0, 2.2, 0.4))
    n = sum(group_members(cell, grouped)[2].size for cell in cells)
    expected = 0.4 * 35.0 * 9.0 * len(cells)
    # A group of 20 counts as one event of 20: variance 21 times Poisson's.
    assert n == pytest.approx(expected, abs=4.5 * np.sqrt(21 * expected))
    total = len(galaxies_near(grouped, 0.4)["id"])
    assert total == pytest.approx(35.0 * 9.0 * len(cells), abs=4.5 * np.sqrt(9 * 35.0 * 9.0 * len(cells)))


def pair_density(x, y, edges):
    """Pairs by separation over those of a uniform density of the same number in a unit square, sum of both ways."""
    found = [
        np.histogram(np.hypot(x[i + 1 :] - x[i], y[i + 1 :] - y[i]), edges)[0] for i in range(len(x) - 1)
    ]
    return np.sum(found, axis=0) / (0.5 * np.pi * np.diff(edges**2))


def test_the_profile_of_groups_gives_a_correlation_of_slope_minus_four_fifths():
    rng = np.random.default_rng(1)
    radius, angle = rng.uniform(0, 1, (2, 2000000)) * [[1.0], [2 * np.pi]]
    radius = radius ** (1 / 0.6)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    edges = np.array([0.002, 0.004, 0.016, 0.032])
    count = np.histogram(np.hypot(x[1:] - x[:-1], y[1:] - y[:-1]), edges)[0][[0, 2]]
    density = count / np.diff(edges**2)[[0, 2]]
    slope = np.log(density[1] / density[0]) / np.log(8)
    # The group's edge steepens it by about 0.05 at a hundredth of its radius; the counts are good to 3 %.
    assert slope == pytest.approx(-0.8, abs=0.1)


@pytest.mark.parametrize("seed", [1, 2])
def test_galaxies_in_groups_cluster_as_much_as_neyman_and_scott_say(simulation, seed):
    members, density = 10.0, 4.0
    grouped = changed(replace(simulation, seed=seed), clustering=1.0, group_members=members, density=density)
    galaxies = galaxies_near(grouped, 0.5, dec=0.0)
    x, y = (galaxies["ra"] - 150.0) * 60, galaxies["dec"] * 60
    inside = (np.abs(x) < 24) & (np.abs(y) < 24)
    edges = np.array([0.05, 0.2, 0.5])
    n = inside.sum()
    found = pair_density(x[inside], y[inside], edges) * 48**2 / (n * (n - 1.0)) * 2 / 2
    rng = np.random.default_rng(3)
    radius, angle = rng.uniform(0, 1, (2, 1000000)) * [[1.0], [2 * np.pi]]
    radius = 60 * RADIUS_DEG * radius ** (1 / 0.6)
    px, py = radius * np.cos(angle), radius * np.sin(angle)
    count = np.histogram(np.hypot(px[1:] - px[:-1], py[1:] - py[:-1]), edges)[0]
    profile = count / len(px) / (np.pi * np.diff(edges**2))
    expected = 1 + members * profile / density
    # Some 900 groups of a number of pairs that scatters by half about its mean, and the field's mean: 10 %.
    assert found == pytest.approx(expected, rel=0.15)


def test_members_of_a_group_share_their_redshift(simulation):
    grouped = changed(simulation, model="redshift", clustering=1.0)
    (cell, *_) = sorted(cells_near(150.0, 2.2, 0.01))
    galaxies = cell_galaxies(cell, grouped)
    group = group_members(cell, grouped)[2]
    assert len(set(group.tolist())) > 3
    for number in np.unique(group):
        assert len(set(galaxies["redshift"][group == number].tolist())) == 1


def test_the_field_is_filled_with_the_groups_of_the_cells_about_it(simulation, visit):
    grouped = changed(simulation, clustering=0.5)
    assert field_radius(grouped) == pytest.approx(field_radius(simulation) + RADIUS_DEG)
    objects = simulate_sky([visit], grouped)
    assert len(set(objects["id"].tolist())) == len(objects["id"])


def test_an_exposure_sees_the_colours_of_bulges_in_all_bands_but_r(perfect, visit):
    plain, own = perfect, changed(perfect, bulge_colours=True)
    detector = perfect.camera.detectors[0]
    for band, is_same in (("r", True), ("g", False)):
        frames = [
            simulate_exposure({**visit, "band": band}, detector, simulate_sky([visit], s), s)[0]["L"]
            for s in (plain, own)
        ]
        assert np.array_equal(*frames) == is_same
