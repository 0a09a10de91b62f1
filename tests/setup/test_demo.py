"""What `make demo` says beside Snakemake's progress: resources before, products and metrics after."""

import dataclasses
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from rich.console import Console

import demo
import demo_resources
import free_resources
from run_progress import RunProgress

GB = 1_000_000_000
TOOLS = Path(demo.__file__).parent


@pytest.fixture
def console():
    return Console(file=io.StringIO(), markup=False, highlight=False, width=200)


def printed(console):
    return console.file.getvalue()


def test_needed_and_free_are_named_and_what_to_do_where_there_is_too_little():
    lines = free_resources.resource_lines(
        {"disk": 2 * GB, "memory": 3 * GB}, {"disk": 79 * GB, "memory": GB // 2}
    )

    assert lines[0] == "disk: 2.0 GB needed, 79.0 GB free"
    assert lines[1].startswith("memory: 3.0 GB needed, 0.5 GB free: TOO LITTLE, close other programs")


@pytest.fixture
def resources(monkeypatch):
    """A machine with 100 GB of everything, and a demo that needs 3000 bytes for its products."""
    monkeypatch.setattr(demo_resources, "DISK_BYTES", 3000)
    monkeypatch.setattr(demo_resources, "ENVIRONMENT_BYTES", 2000)
    for name in ("free_disk_bytes", "free_memory_bytes"):
        monkeypatch.setattr(demo_resources, name, lambda *_: 100 * GB)
    return monkeypatch


@pytest.mark.parametrize("name", ["disk", "memory"])
def test_the_demo_does_not_start_with_too_little(name, resources, tmp_path):
    resources.setattr(demo_resources, f"free_{name}_bytes", lambda *_: 1000)
    lines = []

    assert not demo_resources.check_resources(lines.append, tmp_path / "results", 2)
    assert [line.split(":")[0] for line in lines if "TOO LITTLE" in line] == [name]


def test_what_an_earlier_run_has_written_is_not_needed_again(resources, tmp_path):
    resources.setattr(demo_resources, "free_disk_bytes", lambda _: 1500)
    (tmp_path / "calexp").mkdir()

    assert not demo_resources.check_resources(str, tmp_path, 1)
    (tmp_path / "calexp/1.fits").write_bytes(bytes(2000))
    assert demo_resources.check_resources(str, tmp_path, 1)


@pytest.mark.parametrize(("free", "is_enough"), [(4999, False), (5000, True)])
def test_an_environment_that_is_still_to_come_is_needed_too(resources, tmp_path, free, is_enough):
    resources.setattr(demo_resources, "free_disk_bytes", lambda _: free)

    assert demo_resources.check_resources(str, tmp_path / "out", 1, tmp_path / ".venv") == is_enough
    assert demo_resources.check_resources(str, tmp_path / "out", 1)


def test_an_environment_on_another_disk_has_a_line_of_its_own(resources, tmp_path):
    free = {"out": 3000, ".venv": 1999}
    resources.setattr(demo_resources, "free_disk_bytes", lambda folder: free[folder.name])
    resources.setattr(demo_resources, "is_same_disk", lambda *_: False)
    lines = []

    assert not demo_resources.check_resources(lines.append, tmp_path / "out", 1, tmp_path / ".venv")
    assert [line.split(":")[0] for line in lines if "TOO LITTLE" in line] == ["disk of .venv"]


@pytest.mark.parametrize(
    "text", ["output_root: out\n", 'seed: 1\noutput_root: "out"  # here\n', "output_root: out # here\n"]
)
def test_a_python_without_packages_finds_the_output_root(text):
    assert demo_resources.configured_output_root(text) == Path("out")
    assert demo_resources.configured_output_root("seed: 1\n") == Path("results")


def test_the_check_before_the_installation_needs_no_package():
    """Python's -I -S leaves out every folder but the standard library's."""
    program = f"import sys; sys.path[:0] = [{str(TOOLS)!r}]; import demo_resources; print('imported')"

    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True)

    assert done.stdout == "imported\n", done.stderr


def test_the_readme_names_the_disk_and_the_memory_that_are_checked():
    text = (TOOLS.parent / "README.md").read_text().replace("\n", " ")
    memory, disk = re.search(r"on 2 cores, (\d+) GB of memory and (\d+) GB of disk", text).groups()

    assert int(disk) * GB == demo_resources.DISK_BYTES + demo_resources.ENVIRONMENT_BYTES
    assert int(memory) * GB == demo_resources.MEMORY_BYTES + 2 * demo_resources.MEMORY_BYTES_PER_CORE


def test_free_disk_is_that_below_which_the_folder_will_be(tmp_path):
    assert free_resources.free_disk_bytes(tmp_path / "not/yet/there") > 0


CGROUP_V2, CGROUP_V1 = free_resources.CGROUPS


def give_cgroup(monkeypatch, cgroup, folder, **texts):
    """Files of a control group in a folder of the test's."""
    for name, text in texts.items():
        (folder / getattr(cgroup, name, "memory.stat")).write_text(text)
    monkeypatch.setattr(free_resources, "CGROUPS", [dataclasses.replace(cgroup, folder=folder)])


@pytest.mark.parametrize(
    ("cgroup", "stat", "free"),
    [
        (CGROUP_V2, "anon 200\nfile 150\ninactive_file 70\nslab_reclaimable 30\n", 700),
        (CGROUP_V1, "inactive_file 5\ntotal_rss 200\ntotal_inactive_file 70\n", 670),
    ],
    ids=["v2", "v1"],
)
def test_the_limit_of_a_container_counts_and_its_page_cache_is_free(
    tmp_path, monkeypatch, cgroup, stat, free
):
    give_cgroup(monkeypatch, cgroup, tmp_path, limit="1000\n", used="400\n", stat=stat)

    assert free_resources.free_memory_bytes() == free


@pytest.mark.parametrize(
    ("cgroup", "limit"), [(CGROUP_V2, "max\n"), (CGROUP_V1, "9223372036854771712\n")], ids=["v2", "v1"]
)
def test_a_container_without_a_limit_has_the_memory_of_the_machine(tmp_path, monkeypatch, cgroup, limit):
    give_cgroup(monkeypatch, cgroup, tmp_path, limit=limit, used="400\n", stat="anon 400\n")
    monkeypatch.setattr(free_resources, "machine_free_bytes", lambda: 5 * GB)

    assert free_resources.free_memory_bytes() == 5 * GB


def test_a_machine_without_control_groups_has_its_memory(tmp_path, monkeypatch):
    give_cgroup(monkeypatch, CGROUP_V2, tmp_path)
    monkeypatch.setattr(free_resources, "machine_free_bytes", lambda: 5 * GB)

    assert free_resources.free_memory_bytes() == 5 * GB


def test_a_python_without_psutil_asks_the_machine_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(free_resources, "psutil", None)
    monkeypatch.setattr(free_resources, "MEMINFO", tmp_path / "meminfo")
    assert free_resources.machine_free_bytes() > 100_000_000

    (tmp_path / "meminfo").write_text("MemTotal: 900 kB\nMemAvailable: 300 kB\nHugePages_Total: 0\n")
    assert free_resources.machine_free_bytes() == 300 * 1024


def test_products_are_counted_where_they_are(console, tmp_path):
    for name in ("calexp/1/0.fits", "calexp/1/1.fits", "coadd/deep/r/1/0_0.fits"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    demo.show_products(console, tmp_path)

    lines = {line.split("  ")[0]: line for line in printed(console).splitlines()}
    assert f" 2 {tmp_path}/calexp/{{visit}}/{{detector}}.fits" in " ".join(lines["calibrated images"].split())
    assert " 0 " in " ".join(lines["objects"].split())


METRICS = {
    "subject": ["survey", "survey", "survey", "survey", "visit 101"],
    "name": ["seeing", "star_completeness", "false_dia_sources", "coadd_noise_ratio", "seeing"],
    "band": ["r", "r", "all", "r", "r"],
    "value": [0.81234, 0.9, 8.5, 1.0, 0.7],
    "unit": ["arcsec", "", "", "", "arcsec"],
    "low": [-np.inf, 0.95, -np.inf, 0.95, -np.inf],
    "high": [np.inf, np.inf, 15.0, 1.05, np.inf],
    "ok": [True, False, True, True, True],
    "basis": ["products", "truth", "truth", "products", "products"],
}


def test_the_metrics_are_printed_with_their_verdict(console, tmp_path):
    pyarrow.parquet.write_table(pa.table(METRICS), tmp_path / "metrics.parquet")

    demo.show_metrics(console, tmp_path / "metrics.parquet")

    lines = [" ".join(line.split()) for line in printed(console).splitlines() if line.strip()]
    assert lines == [
        "metric band value unit bar ok against",
        "seeing r 0.8123 arcsec products",
        "star_completeness r 0.9 >= 0.95 NO truth",
        "false_dia_sources all 8.5 <= 15 yes truth",
        "coadd_noise_ratio r 1 0.95 to 1.05 yes products",
    ]


def test_the_pictures_are_listed(console, tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report/coadd.png").touch()

    demo.show_pictures(console, tmp_path)

    assert f"picture: {tmp_path}/report/coadd.png" in printed(console)
    assert f"open in a browser: {tmp_path}/report/index.html" in printed(console)


@pytest.fixture
def small_world(console, resources, monkeypatch, tmp_path):
    """The demo in an empty folder, with a Snakemake that only notes how it was called."""
    calls = []
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text("output_root: out\n")
    (tmp_path / "out/report").mkdir(parents=True)
    pyarrow.parquet.write_table(pa.table(METRICS), tmp_path / "out/report/metrics.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["demo.py", "--cores", "1"])
    monkeypatch.setattr(demo, "Console", lambda **_: console)

    def run(code, n_job):
        progress = RunProgress(0.0)
        progress.total = n_job
        monkeypatch.setattr(
            demo, "run_snakemake", lambda command, _: calls.append(command) or (code, progress)
        )
        return demo.main(), calls

    return run


def test_a_demo_that_succeeds_shows_what_came_out(small_world, console):
    code, calls = small_world(0, 128)

    assert code == 0
    assert calls[0][1:] == ["-m", "snakemake", "drp", "report", "--cores", "1"]
    for text in ("all jobs done", "out/calexp", "seeing", "128 jobs, "):
        assert text in printed(console)


def test_a_demo_with_a_broken_configuration_says_where_and_starts_nothing(small_world, console, tmp_path):
    (tmp_path / "config/config.yaml").write_text("output_root: out\nsimulate:\n\tseed: 1\n")

    code, calls = small_world(0, 0)

    assert (code, calls) == (1, [])
    assert "config/config.yaml: line 3, column 1: indentation by a tab; allowed: spaces" in printed(console)


def test_a_second_demo_says_that_there_was_nothing_to_do(small_world, console):
    assert small_world(0, 0)[0] == 0
    assert "nothing to do: every product is up to date" in printed(console)


def test_a_demo_that_fails_says_how_to_go_on_and_shows_no_products(small_world, console):
    assert small_world(1, 128)[0] == 1
    assert "The same command, make demo, goes on from here." in printed(console)
    assert "out/calexp" not in printed(console)


def test_a_demo_without_memory_starts_nothing(small_world, monkeypatch):
    monkeypatch.setattr(demo_resources, "free_memory_bytes", lambda: 10)

    assert small_world(0, 128) == (1, [])
