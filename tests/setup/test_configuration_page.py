"""The page of the documentation that is made from the schema."""

from configuration_page import PAGE, SCHEMA, configuration_page, flat_keys
from skyloom.workflow.config import load_schema


def test_the_committed_page_is_that_of_the_schema():
    assert PAGE.read_text(encoding="utf-8") == configuration_page(load_schema(SCHEMA)), "run `make docs`"


def test_every_key_has_a_description_a_default_and_a_unit_or_an_enumeration():
    """A list's items have no default: the list has."""
    keys = list(flat_keys(load_schema(SCHEMA)["properties"]))

    assert len(keys) > 50
    assert [key for key, part in keys if not part["description"].strip()] == []
    assert [key for key, part in keys if "default" not in part and "[]." not in key] == []
    assert [key for key, part in keys if not {"unit", "enum"} & set(part)] == []


def test_nested_keys_lists_and_bars_are_written_as_a_reader_looks_for_them():
    schema = {
        "properties": {
            "bands": {"type": "array", "default": ["r"], "unit": "name", "description": "a | b"},
            "isr": {
                "description": "Raw frames.",
                "properties": {
                    "overscan": {
                        "properties": {"order": {"type": "integer", "default": 1, "description": "o"}}
                    },
                    "rows": {
                        "type": "array",
                        "default": [],
                        "description": "r",
                        "items": {
                            "properties": {"tract": {"type": "integer", "unit": "", "description": "t"}}
                        },
                    },
                },
            },
        }
    }

    page = configuration_page(schema)

    assert '| `bands` | `["r"]` | name | array | a \\| b |' in page
    assert "## isr" in page
    assert "| `overscan.order` | `1` |  | integer | o |" in page
    assert "| `rows[].tract` | - |  | integer | t |" in page
