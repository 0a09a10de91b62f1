"""What surrounds every script: its death with Snakemake, its log, its provenance, and what its failures become."""

import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from skyloom.core.errors import DataError, SkyloomError
from skyloom.workflow.process_memory import keep_freed_memory, spare_the_collector
from skyloom.workflow.rule_names import family_of

log = logging.getLogger(__name__)

HEAD_VARIABLE = "SKYLOOM_HEAD"
COMMIT_VARIABLE = "SKYLOOM_COMMIT"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
FAILURE_FOLDER = Path(".snakemake") / "skyloom" / "failures"
PACKAGES = ("numpy", "scipy", "astropy", "numba", "pyarrow")
PR_SET_PDEATHSIG = 1
PREAMBLE_END = "snakemake preamble end"


class LibraryPathError(SkyloomError):
    """The library that Python found is not the one beside the script.

    Parameters
    ----------
    found, scripts : str
        Where the library is, and where it should be.
    """

    def __init__(self, found, scripts):
        super().__init__(
            f"skyloom was imported from {found}, needs to be below {scripts}: "
            "is another Skyloom installed, or named by PYTHONPATH?"
        )
        self.found, self.scripts = found, scripts


class ThreadPinningError(SkyloomError):
    """A numerical library would use another number of threads than the job may.

    Parameters
    ----------
    variable, value : str
        The environment variable and what it holds.
    threads : int
        Threads of the job.
    """

    def __init__(self, variable, value, threads):
        super().__init__(
            f"{variable} is {value!r}, needs {threads}, the job's threads: is it set in the script's environment?"
        )
        self.variable, self.value, self.threads = variable, value, threads


@dataclass(frozen=True, slots=True)
class Job:
    """What a script's `main` receives.

    Attributes
    ----------
    rule : str
        Name of the rule.
    input, output, params, wildcards : object
        Attributes by the rule's names.
    log : str
        Path of the log file; empty in tests.
    threads : int
        Threads that it may use.
    provenance : skyloom.io.provenance.Provenance
        Where its products come from.
    """

    rule: str
    input: object
    output: object
    params: object
    wildcards: object
    log: str = ""
    threads: int = 1
    provenance: object = None


def make_job(rule="test", **parts):
    """Make a job without Snakemake, as tests of scripts call it.

    Parameters
    ----------
    rule : str
        Name of the rule.
    **parts : dict
        `input`, `output`, `params`, `wildcards`, each a dictionary of names and values; missing ones are empty.

    Returns
    -------
    Job
        With a provenance that holds the rule's name alone.
    """
    from skyloom.io.provenance import Provenance

    spaces = {
        name: SimpleNamespace(**parts.pop(name, {})) for name in ("input", "output", "params", "wildcards")
    }
    return Job(rule=rule, provenance=Provenance(rule=rule), **spaces, **parts)


def run_job(main, snakemake, schemas=None, *, has_tombstones=True):
    """Run a script's main function as one job of the workflow.

    Parameters
    ----------
    main : callable
        Takes a `Job`.
    snakemake : object
        What Snakemake gives to a script.
    schemas : dict of str to TableSchema, optional
        Schema of each Parquet output by its name, for its tombstone.
    has_tombstones : bool
        Whether a `DataError` becomes the tombstones of all outputs. Calibrations and whole surveys are no
        exposures: their scripts say False, and the job fails.

    Raises
    ------
    LibraryPathError
        If the library does not belong to the script.
    ThreadPinningError
        If a numerical library is not pinned to the job's threads.
    """
    die_with_parent()
    keep_freed_memory()
    spare_the_collector()
    with _failure_record(snakemake):
        _check_library(snakemake)
        _check_threads(snakemake)
        _start_log(snakemake)
        _remove_leftovers(snakemake.output)
        job = _job_of(snakemake)
        try:
            main(job)
        except DataError as error:
            if not has_tombstones:
                raise
            _write_tombstones(job, snakemake, error, schemas or {})
    logging.shutdown()


def die_with_parent():
    """Make the kernel kill this process when the Snakemake that started it dies; leave when it is dead already.

    Notes
    -----
    The signal of ``prctl(PR_SET_PDEATHSIG)`` comes when the direct parent dies. Where a shell stands in between
    (an environment's activation), a thread watches Snakemake itself. Outside Linux only the thread is there.
    """
    head = int(os.environ.get(HEAD_VARIABLE, "0"))
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if not head or os.getppid() == head:
        return
    if not _is_alive(head):
        os._exit(1)
    threading.Thread(target=_watch, args=(head,), daemon=True).start()


def _is_alive(pid):
    """Whether a process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return False
        return _accepts_signals(pid)
    except ProcessLookupError:
        return False
    return state != "Z"


def _accepts_signals(pid):
    """Whether a process exists, asked by the null signal."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _watch(head):
    """End this process soon after Snakemake's."""
    while _is_alive(head):
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


def _check_library(snakemake):
    """Refuse a library from elsewhere."""
    import skyloom

    scripts = Path(snakemake.scriptdir).resolve()
    found = Path(skyloom.__file__).resolve()
    if not found.is_relative_to(scripts):
        raise LibraryPathError(str(found), str(scripts))


def _check_threads(snakemake):
    """Refuse libraries that would use more threads than the job has."""
    for variable in THREAD_VARIABLES:
        value = os.environ.get(variable, "")
        if value != str(snakemake.threads):
            raise ThreadPinningError(variable, value, snakemake.threads)


def _start_log(snakemake):
    """Send the log, and warnings, to the rule's log file; errors to the terminal too."""
    handlers = []
    if len(snakemake.log):
        Path(snakemake.log[0]).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(snakemake.log[0], mode="w", encoding="utf-8"))
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, handlers=handlers, force=True)
    logging.captureWarnings(True)


def _remove_leftovers(outputs):
    """Remove temporary files of these outputs that a killed job left; no other job writes them."""
    names = {}
    for path in map(Path, outputs):
        names.setdefault(path.parent, set()).add(path.name)
    for folder, members in names.items():
        for path in folder.glob(".*.part"):
            if path.name[1:].rsplit(".", 2)[0] in members:
                path.unlink()


def _job_of(snakemake):
    """Job with its provenance."""
    return Job(
        rule=snakemake.rule,
        input=snakemake.input,
        output=snakemake.output,
        params=snakemake.params,
        wildcards=snakemake.wildcards,
        log=str(snakemake.log[0]) if len(snakemake.log) else "",
        threads=snakemake.threads,
        provenance=provenance_of(snakemake),
    )


def provenance_of(snakemake):
    """Say where a job's products come from.

    Parameters
    ----------
    snakemake : object
        What Snakemake gives to a script; its configuration holds the roots.

    Returns
    -------
    skyloom.io.provenance.Provenance
        Versions, git commit, rule, hash of the rule's own settings, fingerprint of its code and its inputs
        relative to the output root. No time of day, no host, no user: the same job gives the same bytes.
    """
    from importlib import metadata

    from skyloom import __version__
    from skyloom.core.settings import settings_hash
    from skyloom.io.provenance import Provenance

    versions = {name: _version(metadata, name) for name in PACKAGES}
    python = ".".join(str(part) for part in sys.version_info[:3])
    return Provenance(
        rule=family_of(snakemake.rule),
        wildcards={name: str(value) for name, value in snakemake.wildcards.items()},
        version=__version__,
        commit=os.environ.get(COMMIT_VARIABLE, ""),
        settings_hash=settings_hash(snakemake.params.get("settings", {})),
        code=str(snakemake.params.get("code", "")),
        inputs=tuple(_relative(str(path), snakemake.config) for path in snakemake.input),
        packages={"python": python, **{name: version for name, version in versions.items() if version}},
    )


def _version(metadata, name):
    """Version of an installed package, empty when it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _relative(path, config):
    """Path below one of the survey's roots; the bare name of a file elsewhere."""
    template = config.get("template") or {}
    for root in (config.get("output_root"), template.get("root"), config.get("raw_root")):
        if root and Path(path).is_relative_to(root):
            return str(Path(path).relative_to(root))
    return Path(path).name


def _write_tombstones(job, snakemake, error, schemas):
    """Write every declared output as a tombstone and say so in the log and on the terminal."""
    from skyloom.io.fits_files import write_fits_tombstone
    from skyloom.io.tables import write_table_tombstone

    names = {str(path): name for name, path in snakemake.output.items() if isinstance(path, str)}
    for path in map(str, snakemake.output):
        if path.endswith(".parquet"):
            write_table_tombstone(path, schemas[names[path]], error, job.provenance)
        else:
            write_fits_tombstone(path, error, job.provenance)
        word = "empty" if error.status == "EMPTY" else "tombstone"
        line = f"skyloom: {word} {path}: {error.reason}: {error} (see {error.link})"
        log.warning(line)
        sys.stderr.write(line + "\n")


class _failure_record:  # noqa: N801 (used like a function)
    """Context that leaves a record of an exception for the end of the run, and lets it pass."""

    def __init__(self, snakemake):
        self._snakemake = snakemake

    def __enter__(self):
        _record_path(self._snakemake).unlink(missing_ok=True)

    def __exit__(self, kind, error, trace):
        if error is None or not isinstance(error, Exception):
            return
        logging.getLogger("skyloom").error("the job failed", exc_info=(kind, error, trace))
        snakemake = self._snakemake
        frames = traceback.extract_tb(trace)
        record = {
            "rule": snakemake.rule,
            "wildcards": {name: str(value) for name, value in snakemake.wildcards.items()},
            "input": [str(path) for path in snakemake.input],
            "output": [str(path) for path in snakemake.output],
            "log": str(snakemake.log[0]) if len(snakemake.log) else "",
            "exception": f"{type(error).__name__}: {error}",
            "see": getattr(error, "link", ""),
            "where": _where(frames[-1], snakemake.scriptdir),
        }
        path = _record_path(snakemake)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record), encoding="utf-8")


def _where(frame, scripts):
    """File, line and function of a traceback's last frame; Snakemake's copy of the script as the script itself."""
    file, line = Path(frame.filename), frame.lineno
    if file.parent.parts[-2:] == (".snakemake", "scripts"):
        lines = file.read_text(encoding="utf-8").splitlines()
        line -= next((n for n, text in enumerate(lines, start=1) if PREAMBLE_END in text), 0)
        file = Path(scripts) / ".".join(file.name.split(".")[1:])
    file = file.resolve()
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return f"{shown}:{line} in {frame.name}"


def _record_path(snakemake):
    """File of a job's failure record."""
    import hashlib

    digest = hashlib.sha256("\n".join(str(path) for path in snakemake.output).encode()).hexdigest()[:16]
    return FAILURE_FOLDER / f"{snakemake.rule}-{digest}.json"
