"""Fingerprints: comments and docstrings do not matter, what is imported does, and only that."""

import pytest

from skyloom.workflow.fingerprint import Fingerprints

FILES = {
    "warp.py": '"""Warp."""\nfrom skyloom.stage.pipeline import run\nfrom skyloom.io import read\n\nrun(read)\n',
    "skyloom/__init__.py": '"""Top."""\n',
    "skyloom/stage/__init__.py": "",
    "skyloom/stage/pipeline.py": (
        '"""Doc."""\nfrom skyloom.core import numbers as n\n\n\n'
        'def run(x):\n    """Run."""\n    return x + n.ONE\n'
    ),
    "skyloom/core/__init__.py": "",
    "skyloom/core/numbers.py": "ONE = 1\n",
    "skyloom/core/unused.py": "TWO = 2\n",
    "skyloom/io/__init__.py": (
        "from skyloom.io.reading import read\nfrom skyloom.io.writing import write\n\n"
        '__all__ = ["read", "write"]\n'
    ),
    "skyloom/io/reading.py": "def read():\n    from .lazy import table\n    return table\n",
    "skyloom/io/lazy.py": "table = 1\n",
    "skyloom/io/writing.py": "def write():\n    return 2\n",
    "skyloom/algorithms/__init__.py": "",
    "skyloom/algorithms/loop.py": "def compile_kernels():\n    return 0\n",
}


@pytest.fixture
def scripts(tmp_path):
    """Folder of one script and a small library."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def fingerprint(scripts, cache=None):
    """Fingerprint of the script."""
    return Fingerprints(scripts, cache).rule("warp")


def edit(scripts, name, old, new):
    """Change one file."""
    path = scripts / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("warp.py", "run(read)", "run(read)  # a comment"),
        ("warp.py", '"""Warp."""', '"""Another docstring."""'),
        ("skyloom/stage/pipeline.py", '"""Run."""', '"""Walk."""'),
        ("skyloom/stage/pipeline.py", "return x + n.ONE", "return (x +\n            n.ONE)"),
        ("skyloom/core/unused.py", "TWO = 2", "TWO = 3"),
        ("skyloom/io/writing.py", "return 2", "return 3"),
        ("skyloom/io/__init__.py", "from skyloom.io.writing import write\n", ""),
        ("skyloom/algorithms/loop.py", "return 0", "return 1"),
    ],
)
def test_what_the_script_does_not_use_changes_nothing(scripts, name, old, new):
    before = fingerprint(scripts)
    edit(scripts, name, old, new)
    assert fingerprint(scripts) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("warp.py", "run(read)", "run(read, 1)"),
        ("skyloom/stage/pipeline.py", "x + n.ONE", "x - n.ONE"),
        ("skyloom/core/numbers.py", "ONE = 1", "ONE = 2"),
        ("skyloom/io/reading.py", "return table", "return [table]"),
        ("skyloom/io/lazy.py", "table = 1", "table = 2"),
        ("skyloom/__init__.py", '"""Top."""', "VERSION = 2"),
    ],
)
def test_what_the_script_uses_changes_it(scripts, name, old, new):
    before = fingerprint(scripts)
    edit(scripts, name, old, new)
    assert fingerprint(scripts) != before


def test_modules_of_a_rule_are_the_import_closure_through_the_packages(scripts):
    assert Fingerprints(scripts, None).modules_of("warp") == [
        "skyloom",
        "skyloom.core",
        "skyloom.core.numbers",
        "skyloom.io",
        "skyloom.io.lazy",
        "skyloom.io.reading",
        "skyloom.stage",
        "skyloom.stage.pipeline",
    ]


def test_modules_with_kernels_are_found_and_have_a_fingerprint_of_their_own(scripts):
    fingerprints = Fingerprints(scripts, None)
    assert fingerprints.kernel_modules() == ["skyloom.algorithms.loop"]
    before = fingerprints.kernels()
    edit(scripts, "skyloom/algorithms/loop.py", "return 0", "return 1")
    assert Fingerprints(scripts, None).kernels() != before


def test_the_cache_gives_the_same_answer_and_sees_an_edit(scripts, tmp_path):
    cache = tmp_path / "cache" / "trees.json"
    first = Fingerprints(scripts, cache)
    before = first.rule("warp")
    first.save()
    first.save()
    assert cache.is_file()
    assert fingerprint(scripts, cache) == before
    edit(scripts, "skyloom/core/numbers.py", "ONE = 1", "ONE = 2")
    assert fingerprint(scripts, cache) == fingerprint(scripts) != before
