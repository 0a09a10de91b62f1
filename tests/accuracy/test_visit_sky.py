"""One sky of a visit against truth: a nebula of half a detector keeps the light that detectors' own skies take."""

import numpy as np
import pytest
from bars import Bars
from pipeline_settings import settings_of
from sky_visits import CELLS, FOUR, draw_visit, nebula

from skyloom.visit_sky.pipeline import fit_visit_sky, measure_cells

EDGE = 0.02
"""Where a nebula ends, as a part of its peak."""


def sky_errors(visit, side):
    """Own and visit's sky minus the true one of each detector, freed of its factor, [own, visit] [nJy]."""
    settings = settings_of("visit_sky") | {"bin_size": side // CELLS}
    sky = fit_visit_sky([measure_cells(drawn.calexp, settings) for drawn in visit], settings)
    errors = []
    for drawn in visit:
        own = drawn.calexp.background.image()
        change = sky.detectors[drawn.calexp.info.detector].change.image()
        errors.append([own / drawn.factor - drawn.sky, (own + change) / drawn.factor - drawn.sky])
    return np.array(errors)


def parts_taken(seed, side, peak):
    """Part of the nebula's light that goes into the own and into the visit's sky, by the same visit without it."""
    without, visit = (draw_visit(seed, FOUR, nebula(p), side) for p in (0.0, peak))
    inside = np.array([drawn.nebula > EDGE * peak for drawn in visit])
    light = sum(drawn.nebula.sum() for drawn in visit)
    more = sky_errors(visit, side) - sky_errors(without, side)
    return [more[:, kind][inside].sum() / light for kind in (0, 1)]


@pytest.mark.slow
def test_a_nebula_of_half_a_detector_keeps_its_light():
    own, one = parts_taken(0, 512, 400.0)

    assert own > 0.05
    assert abs(one) < 0.02


@pytest.mark.bars
def test_nebulae_of_half_a_detector_reach_the_bars():
    bars = Bars("nebulae of 100 electrons over a sky of 800 on four detectors of 1024 x 1024")
    parts = np.array([parts_taken(seed, 1024, 100.0) for seed in range(6)])
    bars.note("own skies: part that they take [%]", 100 * parts[:, 0].mean())
    bars.check("one sky: part that it takes [%]", 100 * parts[:, 1].mean(), low=-1.0, high=1.0)
    bars.note("one sky: scatter of this [%]", 100 * parts[:, 1].std())
    bars.judge()
