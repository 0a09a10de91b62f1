"""Files that people write badly: each fault is told with its line, its column, and what would be right."""

import pytest

from skyloom.io.yaml_files import YamlFileError, load_yaml, parse_yaml

GOOD = "survey: tiny\nbands: [g, r]\nsky_map:\n  kind: grid\n  pixel_scale: 0.2\n"


def faults_of(path, content):
    """Faults of a file with this content, as they are told; nothing may be read from it."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(YamlFileError) as error:
        load_yaml(path)
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "line 1, column 1: the file is empty; allowed: keys with values, such as 'survey: name'"),
        ("# nothing\n", "line 1, column 1: the file is empty"),
        ("# two\n- a\n- b\n", "line 2, column 1: a list at the top of the file; allowed: keys with values"),
        ("survey\n", "line 1, column 1: only the text 'survey' at the top of the file"),
        (
            GOOD + "survey: other\n",
            "line 6, column 1: key survey stands already in line 1; allowed: each key once",
        ),
        (GOOD + "  kind: local\n", "line 6, column 3: key kind stands already in line 4"),
        ("a: {b: 1, b: 2}\n", "line 1, column 11: key b stands already in line 1"),
        ('{\n\t"seed": 1,\n\t"seed": 2\n}', "line 3, column 2: key seed stands already in line 2"),
        ("a:\n  b: 1\n\tc: 2\n", "line 3, column 1: indentation by a tab; allowed: spaces"),
        ("a:\n\tb: 1\n", "line 2, column 1: indentation by a tab; allowed: spaces"),
        ("a:\n  - 1\n \t- 2\n", "line 3, column 2: indentation by a tab; allowed: spaces"),
        (GOOD.encode() + "# Größe\n".encode("latin-1"), "line 6, column 5: the byte 0xf6, which is no UTF-8"),
        (GOOD.encode("utf-16"), "line 1, column 1: text in UTF-16; allowed: text in UTF-8: save the file"),
        ('a: "\x07"\n', "line 1, column 5: the control character '\\x07'; allowed: text without it"),
        (
            "bands: [g, r\nseed: 2\n",
            "line 1, column 8: a bracket that is not closed; allowed: a list as [r, i]",
        ),
        ("a: 1\nb: {c: 1\nd: 2\n", "line 2, column 4: a bracket that is not closed"),
        ("a: [1,, 2]\n", "line 1, column 7: a bracket that is not closed, or two commas; allowed: a list as"),
        ("a: 1\nraw: {visit}/x\n", "line 2, column 13: text behind a value that has ended"),
        (
            "a: 1\nb: 'x\nc: 2\n",
            "line 2, column 4: a quote that is not closed; allowed: a quote at both ends",
        ),
        ("a: b: c\n", "line 1, column 5: a second ': ' in one line"),
        ("a:\n  b: 1\n   c: 1\n", "line 3, column 5: a second ': ' in one line, or a line indented more"),
        ("a:\n  b: 1\n c: 1\n", "line 3, column 2: text behind a value that has ended, or a line indented"),
        ("a: 1\nseed 2\nb: 1\n", "line 2, column 1: a line without ': '; allowed: keys with values"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: a second document behind '---'; allowed: one document"),
        ("a: *.fits\n", "line 1, column 5: a value that begins with '*' or '&'; allowed: quotes around"),
        ("a: *other\n", "line 1, column 4: '*' in front of a name that no '&' defines; allowed: quotes"),
        ("a: @home\n", "line 1, column 4: a value that begins with a reserved sign; allowed: quotes"),
        ('a: "C:\\data"\n', "line 1, column 4: a backslash in double quotes; allowed: single quotes"),
        (
            "a: !!python/name:os.system x\n",
            "line 1, column 4: a tag '!', which makes an object; allowed: numbers",
        ),
        ("[a]: 1\n", "line 1, column 1: a list or a mapping in the place of a key; allowed: a name"),
        (
            "a: 1\nnight: 2026-02-31\n",
            "line 2, column 8: 2026-02-31 looks like a number or a date and is none",
        ),
    ],
)
def test_a_fault_is_told_with_its_place_and_what_would_be_right(tmp_path, content, told):
    path = tmp_path / "survey.yaml"
    assert faults_of(path, content).startswith(f"{path}: {told}")


def test_all_doubled_keys_are_told_and_the_rest_of_the_file_is_read(tmp_path):
    path = tmp_path / "survey.yaml"
    path.write_text("a: 1\na: 2\nb: {c: 1, c: 3}\nd: 4\n", encoding="utf-8")
    content, faults = parse_yaml(path)
    assert [fault.place for fault in faults] == ["line 2, column 1", "line 3, column 11"]
    assert content == {"a": 2, "b": {"c": 3}, "d": 4}


@pytest.mark.parametrize(
    "content",
    [
        GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("survey: ", "survey:\t").encode(),
        b'{"survey": "tiny",\n\t"bands": ["g", "r"], "sky_map": {"kind": "grid", "pixel_scale": 0.2}}',
        b"base: &base {pixel_scale: 0.1}\n"
        + GOOD.replace("  pixel_scale", "  <<: *base\n  pixel_scale").encode(),
    ],
    ids=[
        "plain",
        "line ends of Windows",
        "byte order mark",
        "tab behind a key",
        "JSON",
        "merged key overridden",
    ],
)
def test_what_is_good_is_read(tmp_path, content):
    path = tmp_path / "survey.yaml"
    path.write_bytes(content)
    read = load_yaml(path)
    read.pop("base", None)
    assert read == {"survey": "tiny", "bands": ["g", "r"], "sky_map": {"kind": "grid", "pixel_scale": 0.2}}
