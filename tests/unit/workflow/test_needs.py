"""Memory and time of jobs from a small survey's to the largest camera's."""

import re
from pathlib import Path

import pytest

from skyloom.workflow.needs import NEEDS, START_MINUTES, memory_mb, runtime_minutes

RULES = sorted((Path(__file__).parents[3] / "rules").glob("*.smk"))
# 4k x 4k pixels a detector, 4100 x 4100 a patch with its border.
LARGE = (16_000_000, 16_800_000)


@pytest.mark.parametrize("stage", NEEDS)
def test_needs_grow_with_pixels_and_fit_a_node(stage):
    assert memory_mb(stage, 0, 0) <= memory_mb(stage, *LARGE) < 8000
    assert START_MINUTES < runtime_minutes(stage, 0, 0) <= runtime_minutes(stage, *LARGE) < 60


@pytest.mark.parametrize("stage", [stage for stage, need in NEEDS.items() if need.counted])
def test_the_time_of_a_stage_that_counts_its_inputs_grows_with_them(stage):
    assert runtime_minutes(stage, *LARGE, n_input=1000) > runtime_minutes(stage, *LARGE, n_input=10)


def test_a_coadd_holds_its_warps():
    # Image, mask, variance and the matched image of each warp, and two planes of a byte.
    more = memory_mb("coadd", *LARGE, n_input=11) - memory_mb("coadd", *LARGE, n_input=1)
    assert more >= 10 * 16.8 * (3 * 4 + 4 + 2)


def test_every_rule_with_a_script_states_both_needs_of_a_known_stage():
    text = "".join(path.read_text(encoding="utf-8") for path in RULES)
    asked = {word: re.findall(rf'{word}\("(\w+)"', text) for word in ("memory_of", "runtime_of")}
    assert asked["memory_of"] == asked["runtime_of"]
    n_script = len(re.findall(r"^ +script:$", text, re.MULTILINE))
    for resource in ("mem_mb", "runtime"):
        assert len(re.findall(rf"^ +{resource}=", text, re.MULTILINE)) == n_script
    assert set(asked["memory_of"]) == set(NEEDS)
