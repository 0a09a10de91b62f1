"""Path patterns: one recipe a path, and wildcards that a file name cannot break out of."""

import re

import pytest

from skyloom.workflow.paths import PATTERNS, WILDCARD_CONSTRAINTS, pattern, product_path

SAMPLE = {
    "visit": "102",
    "detector": "1",
    "tract": "3",
    "patch": "0_1",
    "band": "g",
    "frame": "7",
    "epoch": "e1",
    "kind": "deep",
    "picture": "triplets",
}
PRODUCTS = sorted(set(PATTERNS) - {"log", "benchmark"})


def as_regex(text):
    """Regular expression of a pattern with the workflow's constraints."""
    parts = re.split(r"\{(\w+)\}", text)
    names = parts[1::2]
    literal = [re.escape(part) for part in parts[::2]]
    seen, out = set(), literal[0]
    for name, rest in zip(names, literal[1:], strict=True):
        out += f"(?P={name})" if name in seen else f"(?P<{name}>{WILDCARD_CONSTRAINTS[name]})"
        seen.add(name)
        out += rest
    return re.compile(out)


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_path_is_matched_by_its_own_pattern_alone(name):
    path = product_path("results", name, **SAMPLE)
    matching = [other for other in PRODUCTS if as_regex(pattern("results", other)).fullmatch(path)]
    assert matching == [name]


@pytest.mark.parametrize("name", PRODUCTS)
def test_every_wildcard_has_a_constraint(name):
    assert set(re.findall(r"\{(\w+)\}", PATTERNS[name])) <= set(WILDCARD_CONSTRAINTS)


@pytest.mark.parametrize("value", ["..", "a/b", "-x", "", "a b", "a.b", "1\n"])
def test_no_wildcard_takes_a_value_that_leaves_its_place(value):
    for name, constraint in WILDCARD_CONSTRAINTS.items():
        assert not re.compile(constraint).fullmatch(value), name


def test_product_path_fills_the_pattern_below_the_root():
    assert product_path("out", "calexp", visit=102, detector=1) == "out/calexp/102/1.fits"
