from dataclasses import replace

import numpy as np
import pytest

from skyloom.simulate.catalog import STAR, empty_objects
from skyloom.simulate.exposing import view_of
from skyloom.simulate.optics import sky_to_focal_plane
from skyloom.simulate.stray_light import (
    GHOST_MAGNIFICATION,
    GHOST_OBSTRUCTION,
    add_aureole_in_place,
    add_ghost_in_place,
    add_satellites_in_place,
    add_spikes_in_place,
    add_stray_light_in_place,
    add_trail_in_place,
    satellite_trails,
)

AUREOLE = {"aureole_fraction": 0.02, "aureole_radius": 80.0, "core": 4.0}
SPIKES = {"spike_fraction": 0.01, "spike_length": 60.0, "spike_angle": 45.0}
GHOST = {"ghost_fraction": 1e-3, "ghost_radius": 40.0}


def blank():
    return np.zeros((201, 201), np.float32)


def test_an_aureole_holds_its_part_of_the_light_and_falls_with_the_square_of_the_distance():
    image = blank()
    add_aureole_in_place(image, (100.0, 100.0), 1e6, AUREOLE, 1e-6)
    assert image.sum() == pytest.approx(2e4, rel=0.01)
    assert image[100, 140] / image[100, 160] == pytest.approx((60**2 + 16) / (40**2 + 16), rel=1e-4)
    assert image[100, 185] == 0


def test_an_aureole_ends_where_it_is_too_faint_and_reaches_in_from_outside():
    image, whole = blank(), blank()
    add_aureole_in_place(image, (100.0, 100.0), 1e6, AUREOLE, 2.0)
    add_aureole_in_place(whole, (100.0, 100.0), 1e6, AUREOLE, 1e-6)
    np.testing.assert_array_equal(image > 0, whole > 2.0)
    beside = blank()
    add_aureole_in_place(beside, (-30.0, 100.0), 1e6, AUREOLE, 1e-6)
    assert beside[100, 0] > 0
    assert beside[:, 60:].max() == 0


def test_spikes_hold_their_part_of_the_light_in_four_arms():
    image = blank()
    add_spikes_in_place(image, (100.0, 100.0), 1e6, SPIKES, 1e-6)
    # Sampled at the middle of pixels: on the diagonal the first of a steep arm may lie half a step farther out.
    assert image.sum() == pytest.approx(1e4, rel=0.1)
    quarters = [image[101:, 101:], image[101:, :100], image[:100, 101:], image[:100, :100]]
    assert [q.sum() for q in quarters] == pytest.approx([image.sum() / 4] * 4, rel=0.02)
    assert image[100, 130] == 0
    assert image[130, 130] > image[135, 135] > 0


@pytest.mark.parametrize("length", [1.5, 3.0])
def test_spikes_that_end_within_the_star_are_none(length):
    image = blank()
    add_spikes_in_place(image, (100.0, 100.0), 1e6, SPIKES | {"spike_length": length}, 1e-6)
    assert not image.any()


def test_a_ghost_is_an_even_ring_with_its_part_of_the_light():
    image = blank()
    add_ghost_in_place(image, (100.0, 100.0), 1e7, GHOST, 1e-6)
    assert image.sum() == pytest.approx(1e4, rel=0.02)
    assert image[100, 100] == 0
    values = np.unique(image)
    assert len(values) == 2
    assert image[100, 100 + int(40 * GHOST_OBSTRUCTION) + 2] == values[1]


@pytest.mark.parametrize("angle", [0.0, 0.7, 2.0])
def test_a_trail_holds_the_same_light_in_each_pixel_of_its_length(angle):
    image = blank()
    add_trail_in_place(image, (100.0, 100.0, angle), 50.0, 2.0)
    y, x = np.mgrid[:201, :201] - 100.0
    along = x * np.cos(angle) + y * np.sin(angle)
    assert image[np.abs(along) < 60].sum() == pytest.approx(50.0 * 120, rel=0.02)
    across = np.abs(y * np.cos(angle) - x * np.sin(angle))
    assert image[across > 11].max() == 0


def with_effects(simulation, section, **changes):
    settings = simulation.settings | {section: simulation.settings[section] | changes}
    return replace(simulation, settings=settings)


def star_in(simulation, visit, magnitude):
    """One star on the boresight's place, as bright as told."""
    star = empty_objects(1, simulation.bands)
    star["kind"][:] = STAR
    star["ra"][:], star["dec"][:] = visit["ra"] + 0.004, visit["dec"] + 0.002
    star["flux_r"][:] = 10 ** (0.4 * (31.4 - magnitude))
    return star


def test_a_bright_star_beyond_the_detector_sheds_light_on_it_and_a_faint_one_none(perfect, visit):
    effects = {"aureole_fraction": 0.02, "spike_fraction": 0.005, "ghost_fraction": 1e-3, "ghost_radius": 6.0}
    simulation = with_effects(perfect, "telescope", **effects)
    image = {}
    for magnitude in (10.0, 24.0):
        view = view_of(visit, simulation.camera.detectors[0], simulation)
        image[magnitude] = np.zeros((120, 160), np.float32)
        n = add_stray_light_in_place(image[magnitude], view, star_in(simulation, visit, magnitude))
        assert n == (magnitude == 10.0)
    assert image[24.0].max() == 0
    assert image[10.0].sum() > 0
    quiet = np.zeros((120, 160), np.float32)
    view = view_of(visit, perfect.camera.detectors[0], perfect)
    assert add_stray_light_in_place(quiet, view, star_in(perfect, visit, 10.0)) == 0
    assert quiet.max() == 0


def test_clouds_before_a_star_dim_what_it_sheds_as_they_dim_the_star(perfect, visit):
    clear = with_effects(perfect, "telescope", aureole_fraction=0.02)
    cloudy = with_effects(clear, "atmosphere", cloud_structure=0.3, cloud_scale=0.5)
    star = star_in(clear, visit, 9.0)
    shed, shone = {}, {}
    for name, simulation in (("clear", clear), ("cloudy", cloudy)):
        view = view_of(visit, simulation.camera.detectors[0], simulation)
        focal = sky_to_focal_plane(view.truth, view.optics, star["ra"], star["dec"])
        shone[name] = view.truth.electrons_per_njy * view.truth.air.transmission(*focal)[0]
        image = np.zeros((120, 160), np.float32)
        add_stray_light_in_place(image, view, star)
        shed[name] = image.max()
    assert abs(shone["cloudy"] / shone["clear"] - 1) > 0.01
    assert shed["cloudy"] / shed["clear"] == pytest.approx(shone["cloudy"] / shone["clear"], rel=1e-5)


def test_a_ghost_lies_across_the_axis_from_its_star(perfect, visit):
    simulation = with_effects(perfect, "telescope", ghost_fraction=0.01, ghost_radius=3.0)
    star = star_in(simulation, visit, 9.0)
    star["ra"][:], star["dec"][:] = visit["ra"] + 80 * 0.2 / 3600, visit["dec"]
    turned = {**visit, "rotation": 0.0}
    lit = {}
    for number in (0, 1):
        image = np.zeros((120, 160), np.float32)
        add_stray_light_in_place(
            image, view_of(turned, simulation.camera.detectors[number], simulation), star
        )
        lit[number] = image
    # East is left, detector 0 is on the left: the ghost is on detector 1, which is turned by 180 degrees.
    assert lit[0].max() == 0
    y, x = (np.average(grid, weights=lit[1]) for grid in np.mgrid[:120, :160])
    assert x == pytest.approx(79.5 - (-GHOST_MAGNIFICATION * 80 - 90), abs=0.5)
    assert y == pytest.approx(59.5 + 3, abs=0.5)


def test_satellites_cross_all_detectors_on_one_line(perfect, visit):
    simulation = with_effects(perfect, "satellites", per_exposure=3.0)
    numbers = []
    for n in range(40):
        view = view_of({**visit, "visit": n}, simulation.camera.detectors[0], simulation)
        numbers.append(len(satellite_trails(view)))
    assert np.mean(numbers) == pytest.approx(3.0, abs=4 * np.sqrt(3 / 40))
    trails = {
        number: satellite_trails(view_of(visit, detector, simulation))
        for number, detector in simulation.camera.detectors.items()
    }
    for one, other in zip(trails[0], trails[1], strict=True):
        assert one[1] == other[1]
        # Both detectors' points lie on one line of the focal plane; detector 1 is turned by 180 degrees.
        (x0, y0, angle), (x1, y1, turned) = one[0], other[0]
        focal = x0 - 79.5 - 90, y0 - 59.5
        again = 90 - (x1 - 79.5), 3 - (y1 - 59.5)
        assert focal == pytest.approx(again, abs=1e-6)
        assert turned == pytest.approx(angle - np.pi)
    image = np.zeros((120, 160), np.float32)
    n = add_satellites_in_place(image, view_of(visit, simulation.camera.detectors[0], simulation))
    assert n == len(trails[0])
    assert (image.max() > 0) == (n > 0)
