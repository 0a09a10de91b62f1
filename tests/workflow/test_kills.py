"""A killed run goes on by the same plain command and ends in the products of an undisturbed one."""

import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from workflow_support import TINY, Snakemake, assert_same_products, copy_run

KILLER = '''
"""Kill a script of Snakemake's at its n-th operation on a file below the output root."""
import builtins, io, os, signal, sys
count, limit = 0, int(os.environ.get("KILL_AT", "0"))
root = os.environ["KILL_ROOT"]
outside = tuple(os.path.join(root, name) for name in ("logs", "benchmarks"))

def is_product(path):
    text = os.path.abspath(os.fspath(path)) if isinstance(path, (str, os.PathLike)) else ""
    return text.startswith(root + os.sep) and not text.startswith(outside)

def step(name):
    global count
    count += 1
    with real_open(os.environ["KILL_LOG"], "a") as log:
        log.write(name + chr(10))
    if count == limit:
        os.kill(os.getpid(), signal.SIGKILL)

products = {}
real_open, real_io_open, real = builtins.open, io.open, {}

def is_open_product(descriptor):
    status = os.fstat(descriptor)
    return (status.st_dev, status.st_ino) in products

def remember(descriptor):
    status = os.fstat(descriptor)
    products[status.st_dev, status.st_ino] = True

class Killing:
    """A stream that is killed in the middle of a write."""
    def __init__(self, stream):
        self.stream = stream
    def write(self, data):
        part = memoryview(data).cast("B") if not isinstance(data, str) else data
        half = len(part) // 2
        self.stream.write(part[:half])
        self.stream.flush()
        step("write")
        self.stream.write(part[half:])
        return len(part)
    def __enter__(self):
        return self
    def __exit__(self, *error):
        self.stream.close()
    def __iter__(self):
        return iter(self.stream)
    def __getattr__(self, name):
        return getattr(self.stream, name)

def opening(original):
    def opened(path, mode="r", *args, **kwargs):
        if not (any(letter in mode for letter in "wxa+") and is_product(path)):
            return original(path, mode, *args, **kwargs)
        step("open")
        stream = original(path, mode, *args, **kwargs)
        remember(stream.fileno())
        return Killing(stream)
    return opened

def os_open(path, flags, *args, **kwargs):
    wants = bool(flags & (os.O_WRONLY | os.O_RDWR)) and is_product(path)
    if wants:
        step("open")
    descriptor = real["open"](path, flags, *args, **kwargs)
    if wants:
        remember(descriptor)
    return descriptor

def on_descriptor(name):
    def call(descriptor, *args, **kwargs):
        if is_open_product(descriptor):
            step(name)
        return real[name](descriptor, *args, **kwargs)
    return call

def writev(descriptor, parts):
    """Write half of what is to be written before the step."""
    if not is_open_product(descriptor):
        return real["writev"](descriptor, parts)
    whole = b"".join(parts)
    half = real["write"](descriptor, whole[: len(whole) // 2])
    step("write")
    return half + real["write"](descriptor, whole[half:])

def on_path(name):
    def call(path, *args, **kwargs):
        if is_product(path) or (args and is_product(args[0])):
            step(name)
        return real[name](path, *args, **kwargs)
    return call

if any(".snakemake/scripts/" in argument for argument in sys.orig_argv):
    for name in ("open", "write", "writev", "fsync", "rename", "replace", "unlink", "remove"):
        real[name] = getattr(os, name)
    os.open, os.writev = os_open, writev
    for name in ("write", "fsync"):
        setattr(os, name, on_descriptor(name))
    for name in ("rename", "replace", "unlink", "remove"):
        setattr(os, name, on_path(name))
    builtins.open = opening(real_open)
    io.open = opening(real_io_open)
'''


def kill(process, whole_group):
    """Kill Snakemake alone, or with all that it started."""
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.send_signal(signal.SIGKILL)
    process.wait()


def kill_and_go_on(start, finished, folder, moment, whole_group):
    """Kill a run once, then give the same command once more.

    Parameters
    ----------
    start, finished : Path
        The survey as the run begins, and as an undisturbed one leaves it.
    folder : Path
        Where to run.
    moment : tuple of (int, float, float)
        Cores, the part of the run's duration after which it is killed, and that duration [s]. A run that was
        faster than that tells its duration and is made again.
    whole_group : bool
        Kill Snakemake with all that it started, not alone.
    """
    cores, part, duration = moment
    copy_run(start, folder)
    run = Snakemake(folder)
    begin = time.monotonic()
    process = run.start("drp", "--cores", str(cores))
    try:
        process.wait(timeout=part * duration)
    except subprocess.TimeoutExpired:
        kill(process, whole_group)
        assert process.returncode == -signal.SIGKILL
        run.run("drp", "--cores", str(cores))
        assert_same_products(finished, folder)
    else:
        shutil.rmtree(folder)
        kill_and_go_on(start, finished, folder, (cores, part, time.monotonic() - begin), whole_group)


@pytest.fixture(scope="module")
def duration(nothing_made, tmp_path_factory):
    """Seconds of an undisturbed run from nothing, by the number of cores."""
    measured = {}

    def of(cores):
        if cores not in measured:
            folder = tmp_path_factory.mktemp("undisturbed")
            copy_run(nothing_made, folder)
            start = time.monotonic()
            Snakemake(folder).run("drp", "--cores", str(cores))
            measured[cores] = time.monotonic() - start
        return measured[cores]

    return of


@pytest.fixture(scope="module")
def nothing_made(tmp_path_factory):
    """The tiny survey's tables and nothing else."""
    folder = tmp_path_factory.mktemp("nothing")
    shutil.copytree(TINY, folder / "tiny")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [False, True])
def test_a_killed_run_goes_on_to_the_same_bytes(simulated, finished, tmp_path, whole_group):
    # Of the run from the raw frames; make bars kills it from nothing.
    duration = float((finished / "tiny" / "duration").read_text(encoding="utf-8"))
    part = np.random.default_rng(int(whole_group)).uniform(0.2, 0.9)
    kill_and_go_on(simulated, finished, tmp_path / "run", (2, part, duration), whole_group)


@pytest.mark.bars
@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("number", range(10))
def test_ten_kills_on_one_and_two_cores(nothing_made, finished, tmp_path, duration, cores, number):
    moment = (cores, np.random.default_rng([cores, number]).random(), duration(cores))
    kill_and_go_on(nothing_made, finished, tmp_path / "run", moment, number % 2 == 0)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(100))
def test_a_hundred_kills(nothing_made, finished, tmp_path, duration, number):
    cores = 1 + number % 2
    moment = (cores, np.random.default_rng([3, number]).random(), duration(cores))
    kill_and_go_on(nothing_made, finished, tmp_path / "run", moment, number % 4 < 2)


@pytest.mark.slow
def test_beside_a_living_run_another_is_refused_by_process_and_host(simulated_run):
    process = simulated_run.start("drp", "--cores", "1")
    try:
        lock = simulated_run.folder / ".snakemake" / "skyloom.lock"
        owner = f'"pid": {process.pid}'
        deadline = time.monotonic() + 120
        while not (lock.is_file() and owner in lock.read_text(encoding="utf-8")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        text = simulated_run.run("drp", "--cores", "1", succeeds=False)
        assert (
            f"another run works in this folder: process {process.pid} on host {os.uname().nodename}" in text
        )
        assert "measure_objects" in simulated_run.jobs("drp")
        assert process.poll() is None
    finally:
        kill(process, whole_group=True)


@pytest.mark.slow
def test_a_calibration_killed_at_a_file_operation_leaves_nothing_half_made(finished, tmp_path):
    def first_write_and_last_of_each_kind(operations):
        numbers = {name: number for number, name in enumerate(operations, start=1)}
        return {1 + operations.index("write"), *numbers.values()}

    kill_calibration_at(first_write_and_last_of_each_kind, finished, tmp_path)


@pytest.mark.soak
def test_a_calibration_killed_at_any_file_operation_leaves_nothing_half_made(finished, tmp_path):
    kill_calibration_at(lambda operations: range(1, len(operations) + 1), finished, tmp_path)


def kill_calibration_at(chosen, finished, folder):
    """Kill a calibration at some of its operations on products, and go on each time.

    Parameters
    ----------
    chosen : callable
        Numbers of the operations, counted from 1, by their names.
    finished : Path
        A survey that an undisturbed run left.
    folder : Path
        Where to run.
    """
    target = "results/calexp/11/0.fits"
    copy_run(finished, folder)
    root = folder / "results"
    shim = folder / "shim"
    shim.mkdir()
    (shim / "sitecustomize.py").write_text(KILLER, encoding="utf-8")
    products = (root / "calexp" / "11" / "0.fits", root / "src" / "11" / "0.parquet")
    whole = [path.read_bytes() for path in products]
    run = KilledScript(Snakemake(folder), shim, folder / "operations.log", root)
    operations = run.count(target)
    assert set(operations) >= {"open", "write", "fsync", "replace"}
    for number in sorted(chosen(operations)):
        run.kill_at(number, target)
        for path, content in zip(products, whole, strict=True):
            assert not path.exists() or path.read_bytes() == content, (
                f"{path} is half made after operation {number}"
            )
        run.snakemake.run(target, "--cores", "1")
        assert [path.read_bytes() for path in products] == whole
        assert [path.name for path in root.rglob("*.part")] == []


class KilledScript:
    """Snakemake whose script kills itself at its n-th operation on a product."""

    def __init__(self, snakemake, shim, log, root):
        self.snakemake, self.log = snakemake, log
        self.variables = {"PYTHONPATH": str(shim), "KILL_ROOT": str(root), "KILL_LOG": str(log)}

    def _run(self, number, target):
        """Run the target again, however complete, with the killer in the script's interpreter alone."""
        environment = {**self.snakemake.environment(), **self.variables, "KILL_AT": str(number)}
        self.log.unlink(missing_ok=True)
        return subprocess.run(
            self.snakemake.command(target, "--cores", "1", "--force"),
            cwd=self.snakemake.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def count(self, target):
        """Operations (list of str) of an undisturbed job."""
        done = self._run(0, target)
        assert done.returncode == 0, done.stdout[-3000:]
        return self.log.read_text(encoding="utf-8").splitlines()

    def kill_at(self, number, target):
        """Run until the n-th operation."""
        assert self._run(number, target).returncode != 0


def test_compare_refuses_one_flipped_bit(finished, tmp_path):
    copy_run(finished, tmp_path)
    path = tmp_path / "results" / "calexp" / "11" / "0.fits"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)
    with pytest.raises(AssertionError, match="calexp"):
        assert_same_products(finished, tmp_path)
