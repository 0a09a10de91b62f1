"""The circle that is wanted of a catalogue: its stars, and the boxes of positions that cannot hold one."""

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord

from skyloom.io.sky_circle import SkyCircle

CIRCLES = [(150.0, 2.2, 0.5), (0.1, -30.0, 0.4), (359.9, 60.0, 0.4), (20.0, 89.8, 0.5), (300.0, -89.0, 0.9)]


def positions_around(circle, seed, n=4000):
    """Positions on the sky about a circle, out to three radii and more in right ascension."""
    rng = np.random.default_rng(seed)
    ra, dec, radius = circle
    dec = np.clip(dec + rng.uniform(-3, 3, n) * radius, -90, 90)
    spread = min(3 * radius / max(np.cos(np.radians(circle[1])), 0.01), 180.0)
    return (ra + rng.uniform(-1, 1, n) * spread) % 360, dec


@pytest.mark.parametrize("circle", CIRCLES)
@pytest.mark.parametrize("unit", [1.0, np.degrees(1.0)], ids=["degree", "radian"])
def test_its_stars_are_those_of_astropy(circle, unit):
    ra, dec = positions_around(circle, 1)
    separation = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(*circle[:2], unit="deg"))

    inside = SkyCircle(*circle, unit).contains(ra / unit, dec / unit)

    assert inside.tolist() == (separation <= circle[2] * units.deg).tolist()
    assert inside.sum() > 20
    assert not SkyCircle(*circle).contains(np.array([np.nan, circle[0]]), np.array([circle[1], np.nan])).any()


@pytest.mark.parametrize("circle", CIRCLES)
@pytest.mark.parametrize("first", [0.0, -180.0], ids=["0 to 360", "-180 to 180"])
def test_no_box_with_a_star_is_left_out_and_most_others_are(circle, first):
    ra, dec = positions_around(circle, 2)
    ra = (ra - first) % 360 + first
    wanted = SkyCircle(*circle)
    inside = wanted.contains(ra, dec)
    order = np.lexsort((ra, np.floor(dec / circle[2] * 4)))
    boxes = order.reshape(-1, 10)
    meets = [
        wanted.may_meet((ra[box].min(), ra[box].max()), (dec[box].min(), dec[box].max())) for box in boxes
    ]

    assert not inside[boxes[~np.array(meets)]].any()
    # About the pole only the declination tells.
    assert np.mean(meets) < (0.6 if abs(circle[1]) + circle[2] < 90 else 0.8)
    assert wanted.may_meet(None, None)
    assert not wanted.may_meet(None, (circle[1] - 3.0, circle[1] - 2.0))
