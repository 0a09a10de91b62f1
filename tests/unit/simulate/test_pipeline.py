from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from skyloom.simulate.catalog import SOURCE_COLUMNS, empty_objects, join, join_sources, to_table
from skyloom.simulate.electronics import draw_detector
from skyloom.simulate.exposing import sky_electrons, view_of
from skyloom.simulate.pipeline import simulate_calibration_frame, simulate_exposure, simulate_sky
from skyloom.simulate.refraction import sidereal_time


def flat_frame(number, level=5.0):
    return {
        "frame": number,
        "kind": "flat",
        "band": "r",
        "exposure_time": level,
        "mjd": 61353.9,
        "epoch": "e1",
    }


def electrons_of(planes, detector, truth):
    """Assemble by hand: section, level, gain, flips."""
    image = np.zeros(detector.shape)
    for amplifier in detector.amplifiers:
        x0, x1, y0, y1 = amplifier.data_section
        part = planes[amplifier.extension][y0:y1, x0:x1] - truth.bias_level[amplifier.name]
        part = part * truth.gain[amplifier.name]
        part = part[:, ::-1] if amplifier.flip_x else part
        part = part[::-1] if amplifier.flip_y else part
        x0, x1, y0, y1 = amplifier.detector_section
        image[y0:y1, x0:x1] = part
    return image


def test_the_same_seed_gives_the_same_bytes_in_any_order(simulation, visit):
    detectors = simulation.camera.detectors
    objects = simulate_sky([visit], simulation)
    first, _ = simulate_exposure(visit, detectors[0], objects, simulation)
    simulate_exposure({**visit, "visit": 9}, detectors[1], objects, simulation)
    second, _ = simulate_exposure(visit, detectors[0], objects, simulation)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_another_seed_changes_sky_camera_and_noise(simulation, visit):
    other = replace(simulation, seed=2)
    detector = simulation.camera.detectors[0]
    for make in (
        lambda s: simulate_exposure(visit, detector, simulate_sky([visit], s), s)[0],
        lambda s: simulate_calibration_frame(flat_frame(1), detector, s),
        lambda s: simulate_calibration_frame({**flat_frame(1), "kind": "bias"}, detector, s),
    ):
        first, second = make(simulation), make(other)
        assert np.mean(first["L"] == second["L"]) < 0.2


def test_visits_and_frames_have_noise_of_their_own(simulation, visit):
    detector = simulation.camera.detectors[0]
    first, second = (simulate_calibration_frame(flat_frame(n), detector, simulation) for n in (1, 2))
    assert np.mean(first["L"] == second["L"]) < 0.2


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_light_is_poissonian_and_read_noise_is_added(perfect, seed):
    simulation = replace(perfect, seed=seed)
    detector = simulation.camera.detectors[0]
    truth = draw_detector(detector, simulation)
    stack = [simulate_calibration_frame(flat_frame(n), detector, simulation) for n in (1, 2)]
    images = [electrons_of(planes, detector, truth) for planes in stack]
    # The filter's slope is common to both: scaled to one level, the difference is noise alone.
    levels = [image.mean() for image in images]
    difference = images[0] - images[1] * levels[0] / levels[1]
    quantisation = truth.gain["L"] ** 2 / 12
    noise = truth.read_noise["L"] ** 2 + quantisation
    expected = levels[0] + noise + (levels[0] / levels[1]) ** 2 * (levels[1] + noise)
    # Variance of n pixels: relative error sqrt(2 / n); levels are those of the mean.
    assert difference.var() == pytest.approx(expected, rel=4.5 * np.sqrt(2 / difference.size))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_empty_sky_has_the_stated_level_and_noise(perfect, visit, seed):
    simulation = replace(perfect, seed=seed)
    detector = simulation.camera.detectors[1]
    objects = simulate_sky([visit], simulation)
    planes, sources = simulate_exposure(visit, detector, objects, simulation, bad="empty")
    assert len(sources["id"]) == 0
    truth = draw_detector(detector, simulation)
    image = electrons_of(planes, detector, truth)
    view = view_of(visit, detector, simulation)
    expected = float(sky_electrons(view, 90.0, 3.0))
    variance = expected + truth.read_noise["L"] ** 2 + truth.gain["L"] ** 2 / 12
    # The sky's slope and the filter's tilt are odd about the middle; they add a little to the scatter.
    assert image.mean() == pytest.approx(expected, rel=0.012)
    assert image.var() == pytest.approx(variance, rel=0.05)


def star_grid(visit, magnitude):
    """Stars 15 arcsec apart around a boresight, without motion."""
    steps = np.arange(-5, 6) * 15 / 3600
    east, north = (grid.ravel() for grid in np.meshgrid(steps, steps))
    stars = empty_objects(east.size, ("g", "r"))
    stars["id"][:] = np.arange(1, east.size + 1)
    stars["kind"][:] = "star"
    stars["ra"][:], stars["dec"][:] = visit["ra"] + east, visit["dec"] + north
    stars["flux_r"][:] = 10 ** (0.4 * (31.4 - magnitude))
    return stars


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_star_s_electrons_are_where_and_as_many_as_the_truth_says(perfect, visit, seed):
    simulation = replace(perfect, seed=seed)
    n_checked = 0
    for detector in simulation.camera.detectors.values():
        planes, sources = simulate_exposure(visit, detector, star_grid(visit, 18.0), simulation)
        image = electrons_of(planes, detector, draw_detector(detector, simulation))
        image -= np.median(image)
        rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
        names = ("x", "y", "flux", "electrons_per_njy", "response", "sky")
        for x, y, flux, scale, response, sky in zip(*(sources[name] for name in names), strict=True):
            if min(x, y, image.shape[1] - 1 - x, image.shape[0] - 1 - y) < 26:
                continue
            distance = np.hypot(columns - x, rows - y)
            inside, core = distance < 24, distance < 6
            expected = flux * scale * response
            noise = np.sqrt(expected + inside.sum() * sky)
            # Beyond 24 pixels lies less than 0.5 % of the light; the median sky is off by up to 1 electron.
            tolerance = 0.005 * expected + 5 * noise + inside.sum()
            assert image[inside].sum() == pytest.approx(expected, abs=tolerance)
            # A window of round shape about a stretched profile: 0.05 pixels beside the photons' noise.
            assert (image * columns)[core].sum() / image[core].sum() == pytest.approx(x, abs=0.08)
            assert (image * rows)[core].sum() / image[core].sum() == pytest.approx(y, abs=0.08)
            n_checked += 1
    assert n_checked >= 3


def test_rows_of_the_truth_lie_on_the_detector_and_shine(simulation, visit):
    objects = simulate_sky([visit], simulation)
    parts = [
        simulate_exposure(visit, d, objects, simulation)[1] for d in simulation.camera.detectors.values()
    ]
    sources = join_sources(parts)
    assert np.all((sources["x"] >= -0.5) & (sources["x"] < 159.5))
    assert np.all((sources["y"] >= -0.5) & (sources["y"] < 119.5))
    assert np.all(sources["flux"] > 0)
    assert set(sources["detector"]) == {0, 1, 2}
    assert to_table(SOURCE_COLUMNS, sources).num_rows == len(sources["id"])


def test_a_frame_of_the_wrong_sky_shows_other_objects(simulation, visit):
    objects = simulate_sky([visit], simulation)
    _, right = simulate_exposure(visit, simulation.camera.detectors[0], objects, simulation)
    _, wrong = simulate_exposure(visit, simulation.camera.detectors[0], objects, simulation, bad="wrong_sky")
    assert len(wrong["id"]) > 0
    assert not set(right["id"]) & set(wrong["id"])
    assert abs(wrong["dec"].mean() - visit["dec"]) > 0.9


def test_a_southern_frame_of_the_wrong_sky_looks_north(simulation, visit):
    south = {**visit, "dec": -30.0}
    _, wrong = simulate_exposure(
        south, simulation.camera.detectors[0], join([], ("g", "r")), simulation, "wrong_sky"
    )
    assert wrong["dec"].mean() == pytest.approx(-29.0, abs=0.1)


def test_darks_show_the_dark_current_and_biases_do_not(simulation):
    detector = simulation.camera.detectors[0]
    frames = [
        {**flat_frame(1), "kind": "bias", "exposure_time": 0.0},
        {**flat_frame(2), "kind": "dark", "exposure_time": 2000.0},
    ]
    bias, dark = (simulate_calibration_frame(frame, detector, simulation) for frame in frames)
    truth = draw_detector(detector, simulation)
    step = np.median(dark["L"][:120, 4:84]) - np.median(bias["L"][:120, 4:84])
    drift = simulation.settings["detector"]["bias_drift"]
    assert step == pytest.approx(100 / truth.gain["L"], abs=4.5 * np.sqrt(2) * drift + 1)


def test_a_moving_object_leaves_a_trail_along_its_motion(perfect, visit):
    objects = simulate_sky([visit], perfect)
    mover = {name: values[:1].copy() for name, values in objects.items()}
    mover["kind"][:] = "mover"
    view = view_of(visit, perfect.camera.detectors[0], perfect)
    mover["ra"][:] = visit["ra"] + 20 / 3600
    mover["dec"][:] = visit["dec"]
    for name in ("pmra", "pmdec", "parallax", "rate_dec"):
        mover[name][:] = 0.0
    mover["rate_mjd"][:], mover["rate_ra"][:] = visit["mjd"], 10 / 3600 * 86400 / 30
    mover["flux_r"][:] = 1e6
    planes, sources = simulate_exposure({**visit, "rotation": 0.0}, view.detector, mover, perfect)
    image = electrons_of(planes, view.detector, draw_detector(view.detector, perfect))
    rows, columns = np.nonzero(image > np.median(image) + 2000)
    # Ten arcsec in the exposure are 50 pixels along x.
    assert np.ptp(columns) > 40
    assert np.ptp(rows) < 25
    assert len(sources["id"]) == 1


def with_section(simulation, section, **changes):
    settings = simulation.settings | {section: simulation.settings[section] | changes}
    return replace(simulation, settings=settings)


def test_flats_of_a_series_brighten_with_their_exposure(perfect):
    series = with_section(perfect, "detector", flat_reference_time=5.0, flat_level=10_000.0)
    detector = series.camera.detectors[0]
    truth = draw_detector(detector, series)
    levels = [
        electrons_of(simulate_calibration_frame(flat_frame(n, seconds), detector, series), detector, truth)
        for n, seconds in enumerate((2.5, 5.0, 10.0))
    ]
    # Each lamp scatters by 2 %.
    assert [level.mean() for level in levels] == pytest.approx([5e3, 1e4, 2e4], rel=0.08)
    again = simulate_calibration_frame(flat_frame(1, 10.0), detector, perfect)
    assert electrons_of(again, detector, truth).mean() == pytest.approx(30_000, rel=0.08)


def test_an_unevenly_lit_screen_is_wrong_towards_the_edge_where_the_sky_is_right(perfect, visit):
    uneven = with_section(perfect, "telescope", flat_illumination_error=0.1)
    detector = perfect.camera.detectors[2]
    truth = draw_detector(detector, perfect)
    even, lit = (
        electrons_of(simulate_calibration_frame(flat_frame(1), detector, s), detector, truth)
        for s in (perfect, uneven)
    )
    ratio = lit.mean() / even.mean()
    optics = view_of(visit, detector, perfect).optics
    expected = 1 + 0.1 * (90**2 + 200**2) / optics.field_radius**2
    assert ratio == pytest.approx(expected, rel=0.01)
    view = view_of(visit, detector, uneven)
    x, y = np.meshgrid([90.0], [200.0])
    assert sky_electrons(view, x, y) == sky_electrons(view_of(visit, detector, perfect), x, y)


def test_twilight_is_brighter_towards_the_sun_and_stars_shine_through_it(perfect):
    dusk = with_section(
        perfect, "telescope", twilight_epochs=["dusk"], twilight_gradient=1.0, flat_illumination_error=0.1
    )
    detector = dusk.camera.detectors[0]
    truth = draw_detector(detector, dusk)
    frame = flat_frame(1) | {"mjd": 61384.0, "epoch": "dusk"}
    twilight, dome = (
        electrons_of(simulate_calibration_frame(frame | {"epoch": epoch}, detector, s), detector, truth)
        for epoch, s in (("dusk", dusk), ("e1", perfect))
    )
    ratio = twilight / dome
    rows, columns = np.indices(ratio.shape)
    is_sky = np.abs(ratio / np.median(ratio) - 1) < 0.05
    design = np.column_stack([np.ones(is_sky.sum()), columns[is_sky], rows[is_sky]])
    _, slope_x, slope_y = np.linalg.lstsq(design, ratio[is_sky], rcond=None)[0]
    # On 2026-12-09 the Sun is at right ascension 256 deg, declination -23 deg; the zenith is the site's latitude.
    site = dusk.settings["atmosphere"]["site"]
    zenith = sidereal_time(61384.0, site["longitude"]), site["latitude"]
    east = np.cos(np.radians(-22.8)) * np.sin(np.radians(256.0 - zenith[0]))
    north = np.sin(np.radians(-22.8)) * np.cos(np.radians(zenith[1])) - np.cos(np.radians(-22.8)) * np.sin(
        np.radians(zenith[1])
    ) * np.cos(np.radians(256.0 - zenith[0]))
    expected = dusk.camera.pixel_scale / 3600 * np.array([-east, north]) / np.hypot(east, north)
    assert np.hypot(slope_x - expected[0], slope_y - expected[1]) < 0.1 * np.hypot(*expected)
    star = ndimage.uniform_filter(ratio, 5).max()
    assert star > 1.01


EFFECTS = {
    "turbulence": ("atmosphere", {"turbulence": 50.0}),
    "refraction": ("atmosphere", {"refraction": True}),
    "clouds": ("atmosphere", {"cloud_structure": 0.3}),
    "aureole": ("telescope", {"aureole_fraction": 0.3}),
    "spikes": ("telescope", {"spike_fraction": 0.3}),
    "ghosts": ("telescope", {"ghost_fraction": 0.1, "ghost_radius": 3.0}),
    "satellites": ("satellites", {"per_exposure": 30.0}),
    "brighter_fatter": ("detector", {"brighter_fatter": 1e-5}),
    "nonlinearity": ("detector", {"nonlinearity": 0.1}),
    "crosstalk": ("detector", {"crosstalk": 0.01}),
    "gain drift": ("detector", {"gain_drift": 0.1}),
    "amplifier response": ("detector", {"amplifier_response": 0.1}),
    "dead amplifier": ("detector", {"dead_amplifiers": [{"detector": 0, "amplifier": "L"}]}),
}


@pytest.mark.parametrize("name", EFFECTS)
def test_each_effect_alone_changes_a_frame_and_nothing_of_the_sky_behind_it(simulation, visit, name):
    section, changes = EFFECTS[name]
    changed = with_section(simulation, section, **changes)
    detector, low = simulation.camera.detectors[0], {**visit, "airmass": 1.8}
    objects = simulate_sky([low], simulation)
    again = simulate_sky([low], changed)
    assert all(np.array_equal(objects[column], again[column]) for column in objects)
    before, _ = simulate_exposure(low, detector, objects, simulation)
    after, _ = simulate_exposure(low, detector, objects, changed)
    assert any(not np.array_equal(before[plane], after[plane]) for plane in before)
