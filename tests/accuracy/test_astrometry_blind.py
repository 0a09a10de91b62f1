"""Frames 2 arcmin off, of any rotation and parity and a rough scale, are solved; those of a wrong sky refused."""

import sys
import time

import numpy as np
import pytest
from bars import Bars
from blind_fields import (
    CENTRE,
    KINDS,
    SCALE,
    SCALE_ERROR,
    SHAPE,
    SIDE,
    Kind,
    astrometry_settings,
    make_field,
)

from skyloom.algorithms.pointing_search import PointingLimits, ReferenceSky, find_pointing
from skyloom.calibrate.astrometry import AstrometryMatchError, OutsideSearchError, fit_astrometry
from skyloom.commands.frame_solving import SCALE_TOLERANCE, TOLERANCE_FIELD, separation
from skyloom.core.errors import DataError
from skyloom.core.wcs import tan_project

BLIND = {"rotation_deg": 180.0, "scale_tolerance": SCALE_ERROR, "parity": "any"}
POINTING_UNCERTAINTY = 30.0
# A frame is right within so many pixels, rms over the detector: a dozen stars do not fix the distortion of 3 pixels.
RIGHT_PIXEL = 2.0
LOST = Kind(400, bright=10.0, faint=18.5, side=1.5)


def solve(field, settings):
    """Astrometric result of a field."""
    return fit_astrometry(field.sources, field.references, field.predicted, POINTING_UNCERTAINTY, settings)


def is_right(field, result):
    """Whether the WCS is that of the truth."""
    return np.sqrt(np.mean(field.error(result.wcs) ** 2)) < RIGHT_PIXEL * SCALE


def solve_all(n_seed, first_seed=0):
    """Number of frames, those not solved or solved wrongly, and CPU seconds of each, over all kinds of catalogues."""
    settings, failed, seconds = astrometry_settings(**BLIND), [], []
    for name, kind in KINDS.items():
        for seed in range(first_seed, first_seed + n_seed):
            field = make_field(seed, kind)
            start = time.process_time()
            try:
                solved = is_right(field, solve(field, settings))
            except DataError as error:
                solved = False
                sys.stdout.write(f"  {name}, seed {seed}: {error}\n")
            seconds.append(time.process_time() - start)
            failed += [] if solved else [(name, seed)]
    return failed, np.array(seconds)


def refuse_all(n_seed, first_seed=0):
    """Frames of a wrong sky that were not refused, and the logarithm of the false-alarm probability of the others."""
    settings, accepted, chances = astrometry_settings(**BLIND), [], []
    for name, kind in KINDS.items():
        for seed in range(first_seed, first_seed + n_seed):
            try:
                solve(make_field(seed, kind, is_wrong_sky=True), settings)
            except AstrometryMatchError as error:
                chances.append(error.log10_false_alarm)
            else:
                accepted.append((name, seed))
    return accepted, np.array(chances)


@pytest.mark.slow
def test_frames_without_orientation_are_solved_on_catalogues_of_every_kind():
    failed, _ = solve_all(1)

    assert failed == []


@pytest.mark.slow
def test_frames_of_a_wrong_sky_are_refused_with_a_probability_far_from_the_limit():
    accepted, chances = refuse_all(1)

    assert accepted == []
    assert chances.min() > np.log10(astrometry_settings()["max_false_alarm"])


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_a_frame_beyond_the_default_search_is_named_with_what_would_solve_it(is_mirrored):
    settings = astrometry_settings(scale_tolerance=SCALE_ERROR)
    fields = (make_field(seed, KINDS["plain"]) for seed in range(100, 200))
    field = next(f for f in fields if f.is_mirrored == is_mirrored)

    with pytest.raises(OutsideSearchError, match="outside the search .*rotation to 1.5 deg") as caught:
        solve(field, settings)

    assert caught.value.reason == "OutsideSearch"
    assert caught.value.is_mirrored == is_mirrored
    assert ("parity in the camera file" in str(caught.value)) == is_mirrored
    up = tan_project(*field.truth.pixel_to_sky(CENTRE[0], CENTRE[1] + 1), *field.truth.crval)
    turn = np.degrees(np.arctan2(*up))
    found = -caught.value.turn if not is_mirrored else 180.0 - caught.value.turn
    assert (found - turn + 180) % 360 - 180 == pytest.approx(0.0, abs=0.2)


def check_lost(seed):
    """Whether a frame without any pointing is found in 1.5 degrees of sky, with its rotation and parity."""
    field = make_field(seed, LOST)
    bright = np.argsort(-field.sources.flux)[:100]
    order = np.argsort(-field.references.flux)
    sky = ReferenceSky(field.references.ra[order], field.references.dec[order])
    scale = SCALE / 3600
    limits = PointingLimits(
        side=SIDE * scale, tolerance=TOLERANCE_FIELD * SIDE * scale, scale_tolerance=SCALE_TOLERANCE
    )
    x, y = (getattr(field.sources, axis)[bright] - c for axis, c in zip("xy", CENTRE, strict=True))
    found = find_pointing(-x * scale, y * scale, sky, limits)
    distance = separation(found.ra, found.dec, *(float(c) for c in field.truth.pixel_to_sky(*CENTRE)))
    return found.is_sure and found.is_mirrored == field.is_mirrored and distance * 3600 < 8 * SCALE


@pytest.mark.slow
def test_a_frame_without_any_pointing_is_found_on_a_local_catalogue():
    assert check_lost(1)


@pytest.mark.bars
def test_blind_frames_reach_the_bar():
    bars = Bars(f"blind frames of {SHAPE[1]} x {SHAPE[0]} pixels, {len(KINDS)} kinds of catalogues")
    failed, seconds = solve_all(20, first_seed=1000)
    bars.check("blind frames of 100 that are solved", len(seconds) - len(failed), low=100)
    bars.note("CPU seconds of a blind frame, median", np.median(seconds))
    bars.note("CPU seconds of a blind frame, largest", seconds.max())
    accepted, chances = refuse_all(4, first_seed=1000)
    bars.check("frames of a wrong sky of 20 that are refused", len(chances), low=20)
    bars.note("log10 of their smallest false-alarm probability", chances.min())
    bars.note("largest that is accepted", np.log10(astrometry_settings()["max_false_alarm"]))
    bars.check(
        "frames without any pointing of 10 that are found", sum(map(check_lost, range(50, 60))), low=10
    )
    assert accepted == []
    bars.judge()
