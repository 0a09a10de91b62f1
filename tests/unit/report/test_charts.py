"""Charts place what they are given, with round ticks."""

import re

import numpy as np
import pytest

from skyloom.report.charts import MOST_WHISKERS, Points, nice_ticks, night_axis, time_chart, whisker_picture


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0.0, 4.0, [0, 1, 2, 3, 4]), (0.61, 0.99, [0.7, 0.8, 0.9]), (-30.0, 170.0, [0, 50, 100, 150]),
     (23.95, 24.06, [23.95, 24.0, 24.05])],
)  # fmt: skip
def test_ticks_are_round(low, high, ticks):
    assert nice_ticks(low, high) == pytest.approx(ticks)


def test_nights_stand_side_by_side_in_proportion_to_their_length():
    mjd = np.array([100.0, 100.1, 200.0, 200.3])
    place, nights = night_axis(mjd, np.array([0, 0, 1, 1]))
    # 0.97 of the axis for 0.4 d, of which the first night has a quarter, and 0.03 between.
    assert place == pytest.approx([0, 0.2425, 0.2725, 1.0])
    assert np.array(nights) == pytest.approx(np.array([(0, 100.0), (0.2725, 200.0)]))


def test_a_night_of_one_exposure_and_many_nights_stay_on_the_axis():
    place, _ = night_axis(np.array([5.0]), np.array([0]))
    assert place.tolist() == [0.0]
    place, _ = night_axis(np.arange(300.0), np.arange(300))
    assert (np.diff(place) > 0).all()
    assert 0 <= place.min() <= place.max() <= 1


def heights(svg):
    return [float(y) for y in re.findall(r"translate\([\d.]+ ([\d.]+)\)", svg)]


def points(values):
    n = len(values)
    return Points(np.linspace(0, 1, n), np.array(values), ["r"] * n, [f"visit <{k}>" for k in range(n)])


def test_large_values_are_at_the_top_or_at_the_bottom():
    low, high = heights(time_chart("seeing", points([1.0, 2.0]), [(0.0, 61000.0)]))
    assert high < low
    low, high = heights(time_chart("sky", points([1.0, 2.0]), [(0.0, 61000.0)], is_upside_down=True))
    assert high > low


def test_what_was_not_measured_is_not_drawn_and_labels_are_text():
    svg = time_chart("seeing", points([1.0, np.nan, 2.0]), [(0.0, 61000.0)])
    assert len(heights(svg)) == 2
    assert "visit &lt;0&gt;" in svg
    assert "nothing was measured" in time_chart("seeing", points([np.nan]), [])
    assert len(heights(time_chart("seeing", points([3.0]), []))) == 1


def test_dates_are_left_out_where_there_is_no_room():
    svg = time_chart("seeing", points([1.0, 2.0]), [(k / 50, 61000.0 + k) for k in range(50)])
    assert svg.count('class="night"') == 50
    assert 2 <= svg.count("MJD") <= 5


def line_of(e1, e2):
    (step,) = re.findall(
        r'd="M[^l]*l(\S+) ([^"]+)"', whisker_picture(*(np.array([v]) for v in (0.0, 0.0, e1, e2)))
    )
    return tuple(float(value) for value in step)


def test_a_whisker_lies_along_the_long_axis():
    # East is left and North is up; 0.1 is 0.3 of 72 units.
    assert line_of(0.1, 0.0) == pytest.approx((-21.6, 0), abs=0.1)
    assert line_of(-0.1, 0.0) == pytest.approx((0, -21.6), abs=0.1)
    along = line_of(0.0, 0.1)
    assert along[0] == pytest.approx(along[1], abs=0.1)
    assert along[0] < 0


def test_many_whiskers_are_thinned_and_none_is_nothing():
    xi = np.arange(1000.0)
    assert whisker_picture(xi, xi, xi * 0, xi * 0 + 0.1).count("M") == MOST_WHISKERS
    assert whisker_picture(*[np.empty(0)] * 4) == ""
