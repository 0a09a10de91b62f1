"""Tests of skyloom.visit_sky: one sky for all detectors of a visit."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_cells import FACTOR_ERROR, NOISE, SETTINGS, SKY, draw_cells

from skyloom.visit_sky.pipeline import MixedVisitsError, NoVisitSkyError, fit_visit_sky

SEEDS = [1, 2, 3]


def half_a_detector(x, y):
    """A nebula that is seen over half a detector, at the corner of four."""
    return 200 * np.exp(-0.5 * ((x - 0.1) ** 2 + (y + 0.2) ** 2) / 0.15**2)


def relative_factors(visit, sky):
    """Factors over the true ones and over their mean, which the sky takes."""
    found = np.array([sky.detectors[cells.detector].factor for cells in visit.cells]) / visit.factors
    return found / found.mean()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("columns", "rows"), [(2, 1), (2, 2), (5, 5)])
def test_a_tilt_a_bowl_and_factors_are_found_to_the_noise(seed, columns, rows):
    visit = draw_cells(seed, columns, rows)

    sky = fit_visit_sky(visit.cells, SETTINGS)

    errors = np.concatenate([error.ravel() for error in visit.errors(sky)])
    assert np.std(errors) < 0.5 * NOISE
    # The lift is a median of all cells.
    assert abs(errors.mean()) < 4 * 1.25 * NOISE / np.sqrt(errors.size)
    # Ten times better than they scatter; the steps to the neighbours tell them.
    assert np.std(relative_factors(visit, sky)) < 0.2 * FACTOR_ERROR
    assert sum(found.n_sky for found in sky.detectors.values()) > 0.97 * errors.size
    assert sky.detectors[0].rms == pytest.approx(NOISE, rel=0.25)


@pytest.mark.parametrize("seed", SEEDS)
def test_detectors_agree_at_their_edges(seed):
    visit = draw_cells(seed, 2, 1, half_a_detector)

    sky = fit_visit_sky(visit.cells, SETTINGS)

    left, right = visit.errors(sky)
    # The nebula, 60 times as bright on the edge, is on both sides; factors of 1 would leave some 2 nJy.
    assert np.abs(right[:, 0] - left[:, -1]).max() < 3 * NOISE


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("columns", "rows"), [(2, 2), (3, 3)])
def test_a_nebula_of_half_a_detector_keeps_its_flux(seed, columns, rows):
    visit = draw_cells(seed, columns, rows, half_a_detector)

    sky = fit_visit_sky(visit.cells, SETTINGS)

    taken = sum(error.sum() for error in visit.errors(sky))
    assert abs(taken) < 0.01 * sum(light.sum() for light in visit.nebulae)
    assert np.std(relative_factors(visit, sky)) < 0.2 * FACTOR_ERROR


def test_a_nebula_as_large_as_a_detector_is_not_taken_for_its_factor():
    visit = draw_cells(4, 5, 5, lambda x, y: 10 * np.exp(-0.5 * (x**2 + y**2) / 0.4**2))

    sky = fit_visit_sky(visit.cells, SETTINGS)

    # A ratio of levels would be 1 % too high in the middle.
    assert relative_factors(visit, sky)[12] == pytest.approx(1, abs=4e-4)
    assert visit.errors(sky)[12].mean() < 0.1 * visit.nebulae[12].mean()


def test_one_detector_has_a_stiff_background():
    visit = draw_cells(5, 1, 1, lambda x, y: 0.5 * np.sin(2 * np.pi * x / 0.3))

    sky = fit_visit_sky(visit.cells, SETTINGS)

    found = sky.detectors[0]
    assert found.factor == pytest.approx(1, abs=1e-6)
    assert found.factor_error == pytest.approx(FACTOR_ERROR, rel=0.01)
    assert np.std(visit.errors(sky)[0]) < 0.5 * NOISE


def test_a_detector_without_cells_has_the_sky_of_its_neighbours():
    visit = draw_cells(6, 3, 1)
    hidden = visit.cells[1]
    zeros = np.zeros_like(hidden.weight)
    visit.cells[1] = replace(hidden, level=zeros, left=zeros, weight=zeros)

    sky = fit_visit_sky(visit.cells, SETTINGS)

    found = sky.detectors[1]
    assert (found.n_cell, found.n_sky, found.factor) == (0, 0, pytest.approx(1))
    assert found.factor_error == pytest.approx(FACTOR_ERROR, rel=0.01)
    assert np.isnan(found.rms)
    expected = visit.skies[1] / visit.factors[1]
    assert np.abs(hidden.own.mesh + found.change.mesh - expected).max() < 4 * FACTOR_ERROR * SKY


def test_light_beyond_the_masks_is_not_part_of_the_sky():
    visit = draw_cells(7, 2, 2)
    lifted = [replace(c, level=c.level + 0.7, left=c.left + 0.7) for c in visit.cells]

    skies = [fit_visit_sky(cells, SETTINGS) for cells in (visit.cells, lifted)]

    for number in range(4):
        plain, other = (sky.detectors[number].change.mesh for sky in skies)
        assert np.abs(plain - other).max() < 0.01


def test_a_factor_that_nothing_explains_is_a_warning(caplog):
    visit = draw_cells(8, 3, 3)
    odd = visit.cells[4]
    visit.cells[4] = replace(odd, level=1.03 * odd.level)

    fit_visit_sky(visit.cells, SETTINGS)

    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert warnings[0].startswith("detector 4: factor 1.0")


def test_cells_that_are_not_of_one_visit_are_refused():
    cells = draw_cells(9, 2, 1).cells
    with pytest.raises(MixedVisitsError, match="visit/detector 1/0, 2/1, needs each detector once"):
        fit_visit_sky([cells[0], replace(cells[1], visit=2)], SETTINGS)
    with pytest.raises(MixedVisitsError, match="1/0, 1/0"):
        fit_visit_sky([cells[0], cells[0]], SETTINGS)


def test_a_visit_without_sky_is_refused():
    cells = draw_cells(10, 2, 1).cells
    empty = [replace(c, weight=np.zeros_like(c.weight)) for c in cells]
    with pytest.raises(NoVisitSkyError, match=r"visit 1: no cell of detectors \[0, 1\] has sky"):
        fit_visit_sky(empty, SETTINGS)
