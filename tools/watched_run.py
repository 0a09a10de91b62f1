"""Runs Snakemake, reads what it prints, and shows its progress and its bad exposures as they happen."""

import queue
import subprocess
import threading
import time

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from run_progress import RunProgress, format_seconds

SECONDS_BETWEEN_LINES = 10  # of progress, where there is no terminal to draw on
SECONDS_BETWEEN_LOOKS = 0.5


class LinesDisplay:
    """Progress as a line every few seconds, for logs and pipes."""

    def __init__(self, console):
        """Write to `console`, a rich Console."""
        self._console = console
        self._next = time.monotonic() + SECONDS_BETWEEN_LINES

    def __enter__(self):
        """Nothing is held."""
        return self

    def __exit__(self, *_):
        """Nothing to undo."""

    def update(self, progress, now):
        """Write a line when one is due at the time `now` [s] of the monotonic clock."""
        if progress.total and now >= self._next:
            self._next = now + SECONDS_BETWEEN_LINES
            self._console.print(
                f"{progress.done}/{progress.total} jobs, {60 * progress.rate(now):.0f} a minute, "
                f"{format_seconds(progress.seconds_left(now))} left ({progress.current})"
            )


class TerminalDisplay:
    """Progress as bars, one for each rule in the order of the flow and one for all jobs."""

    def __init__(self, console):
        """Draw on `console`, a rich Console on a terminal."""
        self._bars = Progress(
            TextColumn("{task.description:20}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self._tasks = {}
        self._all = self._bars.add_task("all jobs", total=None, note="")

    def __enter__(self):
        """Start drawing."""
        self._bars.start()
        return self

    def __exit__(self, *_):
        """Stop drawing; the last state stays on the terminal."""
        self._bars.stop()

    def update(self, progress, now):
        """Draw the state at the time `now` [s] of the monotonic clock."""
        for rule, (finished, n_job) in progress.rules.items():
            if rule not in self._tasks:
                self._tasks[rule] = self._bars.add_task(rule, note="")
            self._bars.update(self._tasks[rule], completed=finished, total=n_job or None)
        if progress.total:
            left = format_seconds(progress.seconds_left(now))
            note = f"{60 * progress.rate(now):.0f} a minute, {left} left"
            self._bars.update(self._all, completed=progress.done, total=progress.total, note=note)


def run_snakemake(command, console):
    """Run Snakemake, showing its progress and its bad exposures.

    Parameters
    ----------
    command : list of str
        The command; what it prints is read, not shown.
    console : rich.console.Console
        Where to show progress, without markup; on a failure also the last messages of the run.

    Returns
    -------
    code : int
        The command's exit code; 130 when a person interrupted it.
    progress : RunProgress
        The final state.
    """
    progress = RunProgress(time.monotonic())
    display = TerminalDisplay(console) if console.is_terminal else LinesDisplay(console)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", bufsize=1
    ) as process:
        lines = read_in_background(process.stdout)
        try:
            with display:
                for line in iter_until_end(lines):
                    now = time.monotonic()
                    if line is not None and (message := progress.read_line(line, now)):
                        console.print(message, style="yellow")
                    display.update(progress, now)
        except KeyboardInterrupt:
            console.print("interrupted: waiting for the running jobs to stop")
            process.wait()
            return 130, progress
    if process.returncode != 0:
        console.print("\n".join(progress.messages))
    if progress.n_inherited:
        console.print(f"{progress.n_inherited} products were left out because an input of theirs was bad")
    return process.returncode, progress


def read_in_background(stream):
    """Queue of the lines of a stream, filled by a thread; None after the last one."""
    lines = queue.Queue()

    def fill():
        for line in stream:
            lines.put(line.rstrip("\n"))
        lines.put(None)

    threading.Thread(target=fill, daemon=True).start()
    return lines


def iter_until_end(lines):
    """Yield the lines of such a queue, and None whenever none has come for a while."""
    while True:
        try:
            line = lines.get(timeout=SECONDS_BETWEEN_LOOKS)
        except queue.Empty:
            yield None
            continue
        if line is None:
            return
        yield line
