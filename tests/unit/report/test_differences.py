"""Which DIA sources are shown."""

import numpy as np

from skyloom.report.differences import CANDIDATE, choose_candidates


def candidate(snr, misfit, visit):
    return np.array([(snr, misfit, visit, 0, 1.0, 2.0)], CANDIDATE)


CANDIDATES = np.concatenate([candidate(snr, 1.0, snr) for snr in range(5, 105)])


def numbers(chosen):
    return {name: sources["visit"].tolist() for name, sources in chosen.items()}


def test_the_best_reach_from_the_brightest_to_the_faintest_significant_one():
    best = numbers(choose_candidates(CANDIDATES, 4))["best"]
    assert (best[0], best[-1], len(best)) == (104, 11, 4)


def test_random_ones_are_the_same_in_each_run_and_spread_over_all():
    chosen = numbers(choose_candidates(CANDIDATES, 10))["random"]
    assert chosen == numbers(choose_candidates(CANDIDATES[::-1], 10))["random"]
    assert len(set(chosen)) == 10
    assert max(np.diff(sorted([5, *chosen, 104]))) < 25


def test_the_worst_are_those_that_the_psf_fits_worst():
    odd, lost = candidate(7.0, 50.0, 200), candidate(6.0, np.inf, 201)
    assert numbers(choose_candidates(np.concatenate([CANDIDATES, odd, lost]), 2))["worst"] == [201, 200]


def test_fewer_than_wanted_are_all_shown_once():
    chosen = numbers(choose_candidates(CANDIDATES[-2:], 6))
    assert sorted(chosen["best"]) == sorted(chosen["random"]) == sorted(chosen["worst"]) == [103, 104]
    assert numbers(choose_candidates(CANDIDATES[:0], 6)) == {"best": [], "random": [], "worst": []}
