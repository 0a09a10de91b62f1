"""Snakemake as a user starts it, copies of runs and of the project, and things made once a session."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parents[2]
TINY = Path(__file__).resolve().parent / "tiny"
COMPARE = "import sys; from skyloom.commands.main import main; sys.exit(main())"
PROJECT = ("Snakefile", "rules", "profiles", "config", "scripts", "envs", "resources")


class Snakemake:
    """Snakemake on the tiny survey of one folder.

    Parameters
    ----------
    folder : Path
        Working folder.
    home : Path
        Folder of the Snakefile.
    """

    def __init__(self, folder, home=HOME):
        self.folder, self.home = folder, home

    def command(self, *arguments, config="tiny/survey.yaml"):
        """Return the command line (list of str); the target comes first, as users type it."""
        given = ["--configfile", config] if config else []
        return [sys.executable, "-m", "snakemake", "-s", str(self.home / "Snakefile"), *arguments, *given]

    def environment(self):
        """Return the environment of a user's shell (dict); a copied project comes before the installed one."""
        dropped = ("PYTHONPATH", "SKYLOOM_HEAD")
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        return kept if self.home == HOME else kept | {"PYTHONPATH": str(self.home / "scripts")}

    def start(self, *arguments, **options):
        """Start a run in a process group of its own (Popen)."""
        with open(self.folder / "run.log", "w", encoding="utf-8") as log:
            return subprocess.Popen(
                self.command(*arguments, **options),
                cwd=self.folder,
                env=self.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *arguments, succeeds=True, **options):
        """Run to the end and return what was printed (str)."""
        done = subprocess.run(
            self.command(*arguments, **options),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == succeeds, done.stdout[-6000:]
        return done.stdout

    def jobs(self, *arguments, **options):
        """Return the number of jobs of each rule that would run (dict of str to int)."""
        return job_table(self.run(*arguments, "-n", **options))

    def dry_runs(self, commands):
        """Make many dry runs, each a list of arguments, in one process.

        Returns a dictionary for each: what it printed as `text`, the `jobs` as of `jobs`, and of its `rules` the
        script, the names of the params and the settings.
        """
        snakefile = ["-s", str(self.home / "Snakefile")]
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("dry_runs.py"))],
            cwd=self.folder,
            env=self.environment(),
            input=json.dumps([[*snakefile, *arguments] for arguments in commands]),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        results = json.loads(done.stdout)
        for result in results:
            assert result["succeeds"], result["text"][-6000:]
        return [result | {"jobs": job_table(result["text"])} for result in results]


def job_table(text):
    """Read Snakemake's table of jobs; empty when there is nothing to be done."""
    lines = text.splitlines()
    if not any(line.startswith("Job stats:") for line in lines):
        assert "Nothing to be done" in text
        return {}
    table = {}
    for line in lines[lines.index("Job stats:") + 3 :]:
        name, _, number = line.partition(" ")
        if name in ("", "total"):
            break
        table[name] = int(number)
    return table


def copy_run(source, destination):
    """Copy a run by hard links; logs, benchmarks and Snakemake's records, which are written in place, really."""
    copied = ("logs", "benchmarks", ".snakemake", "tiny")

    def copy(old, new):
        if set(copied) & set(Path(old).relative_to(source).parts):
            shutil.copy2(old, new)
        else:
            os.link(old, new)

    shutil.copytree(source, destination, copy_function=copy, dirs_exist_ok=True)


def assert_same_products(first, second):
    """Fail unless two runs hold the same files with the same bytes, logs and benchmarks left out."""
    done = subprocess.run(
        [sys.executable, "-c", COMPARE, "compare", str(first / "results"), str(second / "results")],
        cwd=HOME,
        env={**os.environ, "PYTHONPATH": str(HOME / "scripts")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def copy_project(destination):
    """Copy what a run needs of the repository, to edit it."""
    destination.mkdir()
    for name in PROJECT:
        source = HOME / name
        if source.is_dir():
            shutil.copytree(source, destination / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, destination / name)
    return destination


def made_once(tmp_path_factory, name, make):
    """Folder that one worker of the session makes and the others find."""
    shared = (
        tmp_path_factory.getbasetemp().parent
        if "PYTEST_XDIST_WORKER" in os.environ
        else tmp_path_factory.getbasetemp()
    )
    folder = shared / f"shared-{name}"
    with open(shared / f"shared-{name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            making = shared / f"making-{name}"
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            make(making)
            making.rename(folder)
    return folder
