"""Profiles say how to run: they merge key by key, so they may not share one."""

import subprocess
import sys

import yaml
from workflow_support import HOME

PROGRAM = """
import sys
from snakemake.cli import parse_args
_, args = parse_args(sys.argv[1:])
print(args.rerun_triggers, args.keep_going, args.rerun_incomplete, args.cores, args.jobs, args.executor)
"""
BARE = ("drp", "-s", "Snakefile")


def profile(name):
    """Content of a profile."""
    return yaml.safe_load((HOME / "profiles" / name / "config.yaml").read_text(encoding="utf-8"))


def parsed(*arguments):
    """What Snakemake's own parser makes of a command line at the repository's root."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *BARE, *arguments],
        cwd=HOME,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout, done.stderr


def test_the_profiles_share_no_key():
    assert set(profile("default")) & set(profile("slurm")) == set()


def test_the_default_profile_needs_no_word_and_leaves_code_to_the_fingerprints():
    out, err = parsed()
    for trigger in ("MTIME", "PARAMS", "INPUT", "SOFTWARE_ENV"):
        assert f"RerunTrigger.{trigger}:" in out, err
    assert "RerunTrigger.CODE:" not in out
    assert "True True 2 None" in out


def test_the_slurm_profile_is_found_by_its_name_at_the_root():
    assert (HOME / "slurm").resolve() == HOME / "profiles" / "slurm"
    out, err = parsed("--profile", "slurm")
    try:
        import snakemake_executor_plugin_slurm  # noqa: F401 (the extra is there or not)
    except ImportError:
        assert "slurm" in err
    else:
        assert "True True 2 200 slurm" in out, err
