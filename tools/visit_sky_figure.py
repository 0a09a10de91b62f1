"""Picture of a nebula on four drawn detectors above their own backgrounds and above one sky of the visit.

The visit is that of tests/accuracy/test_visit_sky.py.
"""

import sys
from pathlib import Path

import numpy as np

HOME = Path(__file__).parents[1]
sys.path[:0] = [str(HOME / "scripts"), str(HOME / "tests" / "accuracy")]

from pipeline_settings import settings_of  # noqa: E402 (needs the path)
from sky_visits import CELLS, FOUR, draw_visit, nebula  # noqa: E402 (needs the path)

from skyloom.visit_sky.pipeline import fit_visit_sky, measure_cells  # noqa: E402 (needs the path)

SEED, SIDE, PEAK = 0, 1024, 100.0
SHOWN = 64
"""Side of the squares whose medians are shown [pixel]."""
RANGE = (-6.0, 10.0)
"""Of the colours [nJy]: the nebula's rim, and what backgrounds that eat it leave beside it."""


def visit_sky(_):
    """Nebula as it is, above the detectors' own backgrounds, and above one sky.

    Parameters
    ----------
    _ : Path
        Output root of the demo, which has no such visit.

    Returns
    -------
    Figure
        Three panels.
    """
    import matplotlib.pyplot as plt

    visit = draw_visit(SEED, FOUR, nebula(PEAK), SIDE)
    settings = settings_of("visit_sky") | {"bin_size": SIDE // CELLS}
    sky = fit_visit_sky([measure_cells(drawn.calexp, settings) for drawn in visit], settings)
    changes = [sky.detectors[drawn.calexp.info.detector].change.image() for drawn in visit]
    planes = {
        "truth": [drawn.nebula for drawn in visit],
        "own backgrounds": [drawn.calexp.pixels.image for drawn in visit],
        "one sky of the visit": [d.calexp.pixels.image - c for d, c in zip(visit, changes, strict=True)],
    }
    figure, axes = plt.subplots(1, len(planes), figsize=(9, 3.2), layout="constrained")
    for axis, (title, images) in zip(axes, planes.items(), strict=True):
        for place, image in zip(FOUR, images, strict=True):
            x, y = (1.024 * c - 0.5 for c in place)
            drawn = axis.imshow(
                _medians(image), origin="lower", extent=(x, x + 1, y, y + 1), vmin=RANGE[0], vmax=RANGE[1]
            )
        axis.set(xlim=(-1.02, 1.02), ylim=(-1.02, 1.02), title=title, xticks=[], yticks=[])
    figure.colorbar(drawn, ax=axes, label=f"median of {SHOWN}x{SHOWN} pixels [nJy]")
    return figure


def _medians(image):
    """Medians of the squares of an image."""
    n = len(image) // SHOWN
    squares = image.reshape(n, SHOWN, n, SHOWN).swapaxes(1, 2).reshape(n, n, -1)
    return np.median(squares, axis=2)
