"""Profiles say how to run: they merge key by key, later over earlier, and Snakemake understands what they mean."""

import json
import re
import subprocess
import sys

import pytest
import yaml
from workflow_support import HOME

PROGRAM = """
import json, sys
from snakemake.cli import parse_args
_, args = parse_args(sys.argv[1:])
names = ("keep_going", "rerun_incomplete", "cores", "jobs", "executor", "retries", "latency_wait", "groups",
    "group_components", "slurm_status_command", "slurm_status_attempts", "slurm_no_requeue", "slurm_qos",
    "slurm_logdir", "targets")
values = {name: getattr(args, name, None) for name in names}
values["rerun_triggers"] = sorted(trigger.name for trigger in args.rerun_triggers)
given = args.default_resources.args if args.default_resources else []
values["default_resources"] = [word for word in given if word.startswith(("slurm_", "constraint"))]
print(json.dumps(values, default=str))
"""
BARE = ("drp", "-s", "Snakefile")


def profile(name):
    """Content of a profile."""
    return yaml.safe_load((HOME / "profiles" / name / "config.yaml").read_text(encoding="utf-8"))


def parsed(*arguments):
    """What Snakemake's own parser makes of a command line at the repository's root (dict)."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *BARE, *arguments],
        cwd=HOME,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def site():
    """The file of a user's own cluster, as the page on clusters shows it."""
    page = (HOME / "docs" / "cluster.md").read_text(encoding="utf-8")
    return re.search(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)[1]


def test_the_profiles_share_no_key():
    assert set(profile("default")) & set(profile("slurm")) == set()


def test_the_default_profile_needs_no_word_and_leaves_code_to_the_fingerprints():
    arguments = parsed()
    assert arguments["rerun_triggers"] == ["INPUT", "MTIME", "PARAMS", "SOFTWARE_ENV"]
    assert arguments["keep_going"] is arguments["rerun_incomplete"] is True
    assert arguments["cores"] == 2
    assert arguments["executor"] is None
    assert arguments["groups"] == {}


def test_the_slurm_profile_is_found_by_its_name_at_the_root_and_merged_with_the_default():
    pytest.importorskip("snakemake_executor_plugin_slurm")
    assert (HOME / "slurm").resolve() == HOME / "profiles" / "slurm"
    arguments, written = parsed("--profile", "slurm"), profile("slurm")
    assert arguments["keep_going"] is arguments["rerun_incomplete"] is True
    assert arguments["cores"] == 2
    assert arguments["executor"] == "slurm"
    assert (arguments["jobs"], arguments["retries"], arguments["latency_wait"]) == (200, 3, 60)
    assert arguments["slurm_status_command"] == "squeue"
    assert arguments["slurm_status_attempts"] == 1
    assert arguments["slurm_no_requeue"] is True
    assert arguments["slurm_logdir"] == "slurm_logs"
    assert arguments["groups"] == written["groups"]
    assert arguments["group_components"] == written["group-components"]
    assert arguments["default_resources"] == []
    assert arguments["targets"] == ["drp"]


def test_a_users_cluster_is_a_file_of_ten_lines_that_changes_nothing_else(site, tmp_path):
    pytest.importorskip("snakemake_executor_plugin_slurm")
    assert len(site.splitlines()) <= 10
    (tmp_path / "mycluster.yaml").write_text(site, encoding="utf-8")
    before = parsed("--profile", "slurm")
    after = parsed("--profile", "slurm", "--profile", str(tmp_path / "mycluster.yaml"))
    changed = {name: value for name, value in after.items() if value != before[name]}
    assert changed == {
        "default_resources": ["slurm_partition=astro", "slurm_account=survey", "constraint=genoa"],
        "jobs": 500,
        "latency_wait": 120,
        "slurm_qos": "normal",
    }


def test_every_group_has_its_size_and_every_grouped_rule_exists():
    written = profile("slurm")
    rules = "".join(path.read_text(encoding="utf-8") for path in (HOME / "rules").glob("*.smk"))
    names = set(re.findall(r"^ *(?:rule (\w+):|use rule \w+ as (\w+) with:)", rules, re.MULTILINE))
    assert set(written["groups"].values()) == set(written["group-components"])
    assert set(written["groups"]) <= {first or second for first, second in names}
