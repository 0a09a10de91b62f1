"""PA1, PF1, AM1 and AF1 of stars that are off by known amounts."""

import numpy as np
import pytest
from report_parts import filled

from skyloom.core.directions import unit_vectors
from skyloom.core.schemas import SOURCE, object_schema
from skyloom.report.repeatability import (
    SightingCollector,
    Sightings,
    astrometric_repeatability,
    isolated_stars,
    photometric_repeatability,
    scaled_residuals,
    separation_residuals,
)

MAD = 1.4826022185056018
MAS = 1 / 3.6e6


def sightings(star, visit, ra, dec, magnitude, snr=500.0):
    n = len(star)
    arrays = (np.asarray(values, dtype=np.float64) for values in (ra, dec, magnitude))
    return Sightings(np.array(star), np.array(visit), *arrays, np.full(n, snr))


def test_residuals_of_two_values_scatter_like_the_values():
    # Mean 1: -1 and 1, times the root of 2; a value alone has no residual.
    assert scaled_residuals(np.array([5, 5, 9]), np.array([0.0, 2.0, 7.0])) == pytest.approx(
        [-np.sqrt(2), np.sqrt(2)]
    )


@pytest.mark.parametrize("n_visit", [2, 3, 10])
def test_the_scatter_of_few_visits_is_not_biased(n_visit):
    rng = np.random.default_rng(n_visit)
    group = np.repeat(np.arange(4000), n_visit)
    residuals = scaled_residuals(group, rng.normal(5.0, 0.01, group.size))
    assert MAD * np.median(np.abs(residuals)) == pytest.approx(0.01, rel=0.05)


def test_pa1_and_pf1_of_known_magnitudes():
    # Two stars seen twice: 4 and 40 mmag apart, so residuals of 2 root 2 and 20 root 2 mmag; PA2 is 15.
    seen = sightings([0, 0, 1, 1], [1, 2, 1, 2], [0] * 4, [0] * 4, [18.0, 18.004, 19.0, 19.040])
    pa1, pf1 = photometric_repeatability(seen, "r")
    assert pa1.value == pytest.approx(MAD * 11 * np.sqrt(2))
    assert pf1.value == pytest.approx(50.0)
    assert (pa1.n, pf1.n) == (4, 4)
    # In u the limit is 22.5 mmag.
    assert (
        photometric_repeatability(sightings([0, 0], [1, 2], [0] * 2, [0] * 2, [18, 18.03]), "u")[1].value == 0
    )
    assert (
        photometric_repeatability(sightings([0, 0], [1, 2], [0] * 2, [0] * 2, [18, 18.03]), "r")[1].value
        == 100
    )


def test_faint_stars_do_not_count():
    seen = sightings([0, 0], [1, 2], [0] * 2, [0] * 2, [18.0, 18.1], snr=150.0)
    assert np.isnan(photometric_repeatability(seen, "r")[0].value)


def pair_of_stars(apart_arcmin, shift_mas):
    """Two stars in two visits, the second star moved along right ascension in the second visit."""
    ra = [10.0, 10.0 + apart_arcmin / 60, 10.0, 10.0 + apart_arcmin / 60 + shift_mas * MAS]
    return sightings([3, 8, 3, 8], [1, 1, 2, 2], ra, [0.0] * 4, [18.0] * 4)


@pytest.mark.parametrize(("shift", "outliers"), [(6.0, 0.0), (60.0, 100.0)])
def test_am1_and_af1_of_a_pair_that_moves(shift, outliers):
    am1, af1 = astrometric_repeatability(pair_of_stars(5.0, shift), "r")
    # Residuals of half the shift, times the root of 2; AD1 is 20 mas.
    assert am1.value == pytest.approx(MAD * shift / 2 * np.sqrt(2), rel=1e-4)
    assert af1.value == outliers


@pytest.mark.parametrize("apart", [3.9, 6.1])
def test_pairs_of_other_separations_do_not_count(apart):
    assert separation_residuals(pair_of_stars(apart, 6.0)).size == 0


def test_a_shift_of_a_whole_visit_changes_no_separation():
    ra = np.array([10.0, 10.0 + 5 / 60, 10.0, 10.0 + 5 / 60])
    ra[2:] += 1000 * MAS
    seen = sightings([3, 8, 3, 8], [1, 1, 2, 2], ra, [0.0] * 4, [18.0] * 4)
    assert separation_residuals(seen) == pytest.approx(0, abs=1e-2)


def test_many_pairs_are_thinned():
    rng = np.random.default_rng(3)
    n = 700
    ra, dec = rng.uniform(0, 0.1, n), rng.uniform(0, 0.1, n)
    one = sightings(np.arange(n), np.ones(n, int), ra, dec, np.full(n, 18.0))
    both = Sightings(*(np.concatenate([getattr(one, name)] * 2) for name in one.__slots__))
    both.visit[n:] = 2
    residuals = separation_residuals(both)
    assert 20_000 < residuals.size <= 40_000
    assert residuals == pytest.approx(0, abs=1e-3)


def test_sources_are_matched_with_isolated_stars_within_an_arcsecond():
    objects = filled(
        object_schema(["r"]),
        3,
        coord_ra=np.array([10.0, 10.1, 10.2]),
        coord_dec=np.zeros(3),
        refExtendedness=np.array([0.0, 1.0, 0.0]),
        detect_isIsolated=np.array([True, True, False]),
    )
    stars = isolated_stars([objects])
    assert stars == pytest.approx(unit_vectors(np.array([10.0]), np.array([0.0])))
    collector = SightingCollector(stars)
    src = filled(
        SOURCE,
        4,
        ra=np.array([10.0 + 0.5 / 3600, 10.0 + 1.5 / 3600, 10.0, 10.0]),
        dec=np.zeros(4),
        psfFlux=np.array([1e6, 1e6, 1e6, 1e6]),
        psfFluxErr=np.array([1e3, 1e3, 2e4, 1e3]),
        pixelFlags_saturatedCenter=np.array([False, False, False, True]),
    )
    collector.add(src, 7, "r")
    seen = collector.sightings("r")
    assert (seen.star.tolist(), seen.visit.tolist()) == ([0], [7])
    assert seen.magnitude == pytest.approx([31.4 - 15.0])
    assert seen.snr == pytest.approx([1000.0])
    assert collector.sightings("g").star.size == 0


def test_a_survey_without_stars_measures_nothing():
    collector = SightingCollector(isolated_stars([]))
    collector.add(filled(SOURCE, 1, psfFlux=np.ones(1), psfFluxErr=np.full(1, 1e-3)), 1, "r")
    seen = collector.sightings("r")
    for measured in photometric_repeatability(seen, "r") + astrometric_repeatability(seen, "r"):
        assert np.isnan(measured.value)
