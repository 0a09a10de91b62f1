"""The configuration: fragments, all problems at once, the file that each stands in, defaults."""

from pathlib import Path

import pytest
import yaml

from skyloom.io.yaml_files import YamlFileError
from skyloom.workflow.config import (
    InvalidConfigurationError,
    Problem,
    file_of,
    fill_defaults,
    load_schema,
    load_yaml,
    schema_problems,
)

SCHEMA_FOLDER = Path(__file__).resolve().parents[3] / "config" / "schema"


@pytest.fixture
def schema(tmp_path):
    """A small schema of a top level, a section and a section of two parts."""
    fragments = {
        "top_level": {
            "required": ["survey"],
            "properties": {
                "survey": {"type": "string"},
                "seed": {"type": "integer", "minimum": 0, "default": 1},
                "mode": {"enum": ["error", "skip"], "default": "error"},
            },
        },
        "warp": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"kernel": {"enum": ["lanczos3", "lanczos5"], "default": "lanczos3"}},
        },
        "calibrate_psf": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"order": {"type": "integer", "maximum": 4, "default": 2, "unit": "1"}},
        },
        "simulate": {"type": "object", "properties": {"density": {"type": "number", "default": 3.0}}},
    }
    for name, fragment in fragments.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(fragment), encoding="utf-8")
    return load_schema(tmp_path)


def problems_of(schema, given):
    """Problems as text, by key."""
    found = schema_problems(schema, given, [("a.yaml", given), ("--config", {})])
    return {problem.key: str(problem) for problem in found}


def test_defaults_are_filled_in_on_every_level(schema):
    filled = fill_defaults(schema, {"survey": "x", "calibrate": {"psf": {}}})
    assert filled == {
        "survey": "x",
        "seed": 1,
        "mode": "error",
        "warp": {"kernel": "lanczos3"},
        "calibrate": {"psf": {"order": 2}},
    }


def test_the_simulation_stays_away_unless_it_is_asked_for(schema):
    assert "simulate" not in fill_defaults(schema, {"survey": "x"})
    assert fill_defaults(schema, {"survey": "x", "simulate": {}})["simulate"] == {"density": 3.0}


def test_filling_defaults_changes_neither_the_given_configuration_nor_the_schema(schema):
    given = {"survey": "x", "warp": {}}
    filled = fill_defaults(schema, given)
    filled["warp"]["kernel"] = "other"
    assert given == {"survey": "x", "warp": {}}
    assert fill_defaults(schema, given)["warp"]["kernel"] == "lanczos3"


def test_a_misspelt_key_is_named_with_the_nearest_valid_one(schema):
    found = problems_of(schema, {"survey": "x", "warp": {"kernal": "lanczos3"}})
    assert "a.yaml: warp.kernal: is no key of the schema" in found["warp.kernal"]
    assert found["warp.kernal"].endswith("nearest: warp.kernel")


def test_a_key_in_the_wrong_section_is_sought_everywhere(schema):
    found = problems_of(schema, {"survey": "x", "warp": {"order": 3}})
    assert found["warp.order"].endswith("nearest: calibrate.psf.order")


def test_a_value_out_of_range_is_told_with_what_is_allowed(schema):
    found = problems_of(schema, {"survey": "x", "seed": -1, "calibrate": {"psf": {"order": 9}}})
    assert "seed: is -1; allowed: integer >= 0" in found["seed"]
    assert "calibrate.psf.order: is 9; allowed: integer <= 4 [1]" in found["calibrate.psf.order"]


def test_a_wrong_choice_is_told_with_the_choices_and_the_nearest(schema):
    found = problems_of(schema, {"survey": "x", "mode": "skp"})
    assert found["mode"] == "a.yaml: mode: is 'skp'; allowed: error, skip; nearest: skip"


def test_a_missing_required_key_is_named(schema):
    assert "survey: is missing" in problems_of(schema, {"seed": 2})["survey"]


def test_a_problem_names_the_last_file_that_sets_the_key():
    files = [("base.yaml", {"a": {"b": 1}}), ("tweak.yaml", {"a": {"b": 2}}), ("--config", {"c": 1})]
    assert file_of(["a", "b"], files) == "tweak.yaml"
    assert file_of(["c"], files) == "--config"
    assert file_of(["missing"], files) == "--config"


def test_the_error_lists_every_problem_with_a_number():
    problems = [Problem("f", "k", "is 1", "2"), Problem("f", "l", "is 3", "4", "m")]
    text = str(InvalidConfigurationError(problems))
    assert text.startswith("2 problems in the configuration, no job was started:")
    assert "  1. f: k: is 1; allowed: 2\n  2. f: l: is 3; allowed: 4; nearest: m" in text


def test_yaml_with_python_objects_is_refused(tmp_path):
    path = tmp_path / "evil.yaml"
    path.write_text("a: !!python/object/apply:os.getcwd []\n", encoding="utf-8")
    with pytest.raises(YamlFileError, match="line 1, column 4: a tag '!', which makes an object"):
        load_yaml(path)


def leaf_keys(schema, prefix=""):
    """Every key that holds a value, with its schema."""
    for key, part in schema.get("properties", {}).items():
        if "properties" in part:
            yield from leaf_keys(part, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", part


def test_every_key_of_the_real_schema_has_description_default_and_unit_or_choices():
    lacking = [
        key
        for key, part in leaf_keys(load_schema(SCHEMA_FOLDER))
        if not part.get("description") or "default" not in part or not ("unit" in part or "enum" in part)
    ]
    assert lacking == []


def test_the_defaults_of_the_real_schema_are_valid_themselves():
    schema = load_schema(SCHEMA_FOLDER)
    filled = fill_defaults(schema, {"survey": "x", "simulate": {}})
    assert schema_problems(schema, filled, [("defaults", filled)]) == []
