"""The command check-config: what Snakemake cannot tell of a survey file, and nothing of a good one."""

from pathlib import Path

import pytest

from skyloom.commands.main import main

ROOT = Path(__file__).parents[3]


@pytest.fixture
def survey(tmp_path, monkeypatch):
    """Return the survey file of the real frames, to break it, below the working folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.yaml"
    path.write_bytes((ROOT / "config" / "surveys" / "hatp32.yaml").read_bytes())
    return path


def test_a_good_survey_needs_neither_frames_nor_catalogue(survey, capsys):
    assert main(["check-config", survey.name]) == 0
    assert capsys.readouterr().out.startswith(
        "nothing is wrong with mine.yaml: survey hatp32, 71 visits, clear; "
    )


def test_a_file_that_is_merged_over_the_demo_is_checked_with_it(survey, capsys):
    survey.write_text("seed: 2\nbands: [g, q]\n", encoding="utf-8")
    assert main(["check-config", survey.name]) == 1
    assert "mine.yaml: bands: 'q' has no filter in any camera" in capsys.readouterr().out


def test_a_broken_file_is_told_alone(survey, capsys):
    (survey.parent / "list.yaml").write_text("- 1\n", encoding="utf-8")
    survey.write_text(survey.read_text(encoding="utf-8") + "diff:\n\tx: 1\n", encoding="utf-8")
    n_line = len(survey.read_text(encoding="utf-8").splitlines())
    assert main(["check-config", survey.name, "list.yaml"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "2 problems in the configuration, no job was started:",
        f"  1. mine.yaml: line {n_line}, column 1: indentation by a tab; allowed: spaces",
        "  2. list.yaml: line 1, column 1: a list at the top of the file; "
        "allowed: keys with values, such as 'survey: name'",
        "See docs/errors.md#invalidconfiguration",
    ]


def test_doubled_and_misspelt_keys_are_told_together(survey, capsys):
    survey.write_text(survey.read_text(encoding="utf-8") + "survey: x\nsede: 2\n", encoding="utf-8")
    assert main(["check-config", survey.name]) == 1
    out = capsys.readouterr().out
    assert "key survey stands already in line" in out
    assert "mine.yaml: sede: is no key of the schema" in out
    assert "nearest: seed" in out


def test_a_file_that_is_not_there_is_named(survey, capsys):
    assert main(["check-config", "mien.yaml"]) == 2
    assert "mien.yaml" in capsys.readouterr().err
