"""The folder of compiled kernels: its name, its filling, and what happens when it is gone."""

import os
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from skyloom.workflow import kernel_cache
from skyloom.workflow.kernel_cache import (
    compile_library,
    fill_kernel_cache,
    kernel_cache_folder,
    refill_kernel_cache,
    write_marker,
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Folder that the jobs would look into; there are no kernels to compile."""
    monkeypatch.setenv(kernel_cache.VARIABLE, str(tmp_path / "cache" / "abc"))
    monkeypatch.setattr(kernel_cache.Fingerprints, "kernel_modules", lambda self: [])
    monkeypatch.setattr(kernel_cache.Fingerprints, "kernels", lambda self: "abc")
    return tmp_path / "cache" / "abc"


def test_the_name_holds_what_decides_the_machine_code(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = kernel_cache_folder("abc")
    assert folder.parent == tmp_path / "skyloom"
    assert folder.name.startswith("abc-")
    assert folder == kernel_cache_folder("abc") != kernel_cache_folder("abd")


def test_jobs_in_a_conda_environment_have_a_folder_of_its_yaml(monkeypatch, tmp_path):
    """Snakemake's own environment need not have Numba there."""
    monkeypatch.setattr(kernel_cache.metadata, "version", lambda name: pytest.fail(f"looked for {name}"))
    environment = tmp_path / "science.yaml"
    names = []
    for version in ("0.68.1", "0.68.1", "0.69.0"):
        environment.write_text(f"dependencies: [numba ={version}]\n", encoding="utf-8")
        names.append(kernel_cache_folder("abc", environment).name)

    assert names[0] == names[1] != names[2]
    assert names[0].startswith("abc-conda-")


def test_modules_are_compiled_beside_themselves(tmp_path):
    module = tmp_path / "library" / "module.py"
    module.parent.mkdir()
    module.write_text("value = 1\n", encoding="utf-8")
    compile_library(tmp_path / "library")
    assert Path(cache_from_source(str(module))).is_file()


def test_a_module_that_cannot_be_compiled_is_told(tmp_path, caplog):
    (tmp_path / "module.py").write_text("value = (\n", encoding="utf-8")
    with caplog.at_level("INFO"):
        compile_library(tmp_path)
    assert "no bytecode can be kept" in caplog.text


def test_filling_leaves_the_whole_folder_and_nothing_beside_it(folder):
    assert fill_kernel_cache() == "abc"
    assert [path.name for path in folder.parent.iterdir()] == ["abc"]


def test_a_folder_that_is_there_is_left_alone(folder, monkeypatch):
    folder.mkdir(parents=True)
    (folder / "kernel").write_text("code", encoding="utf-8")
    monkeypatch.setattr(kernel_cache.Fingerprints, "kernel_modules", lambda self: ["no.such.module"])
    fill_kernel_cache()
    assert (folder / "kernel").read_text(encoding="utf-8") == "code"


def test_a_run_that_was_faster_wins(folder, monkeypatch):
    def other_run_finishes(self):
        folder.mkdir()
        (folder / "kernel").write_text("code", encoding="utf-8")
        return []

    monkeypatch.setattr(kernel_cache.Fingerprints, "kernel_modules", other_run_finishes)
    fill_kernel_cache()
    assert [path.name for path in folder.parent.iterdir()] == ["abc"]
    assert (folder / "kernel").is_file()


def test_kernels_are_refilled_only_when_the_rule_has_run_and_the_folder_is_gone(
    folder, monkeypatch, tmp_path
):
    commands = []
    monkeypatch.setattr(kernel_cache.subprocess, "run", lambda command, **_: commands.append(command))
    marker = tmp_path / "kernels.done"
    assert not refill_kernel_cache(marker)
    write_marker(marker, "old")
    assert refill_kernel_cache(marker)
    folder.mkdir(parents=True)
    assert not refill_kernel_cache(marker)
    assert len(commands) == 1


def test_changed_kernels_of_a_conda_environment_are_told_with_the_command_that_compiles_them(
    folder, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(kernel_cache.subprocess, "run", lambda *_, **__: pytest.fail("compiled by Snakemake"))
    marker = tmp_path / "kernels.done"
    write_marker(marker, "old")

    assert not refill_kernel_cache(marker, in_conda=True)
    assert f"--forcerun compile_kernels -- {marker}" in capsys.readouterr().err


def test_the_scripts_folder_is_that_of_the_library():
    assert (kernel_cache.SCRIPTS / "skyloom" / "workflow").is_dir()
    assert os.path.samefile(kernel_cache.SCRIPTS, Path(kernel_cache.__file__).parents[2])
