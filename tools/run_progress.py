"""Reads what Snakemake prints and keeps count: jobs done, their rate, the time left, bad exposures."""

import collections
import re

STEPS = re.compile(r"^(\d+) of (\d+) steps")
JOB_COUNT = re.compile(r"^(\w+)\s+(\d+)$")
STARTED = re.compile(r"^(?:local)?rule (\w+):$")
FINISHED = re.compile(r"^Finished jobid: \d+ \(Rule: (\w+)\)")
EMPTY = "skyloom: empty "  # a product that holds nothing because there is nothing: no bad exposure
TOMBSTONE = re.compile(r"^skyloom: tombstone (?P<output>.+?): (?P<reason>\w+): (?P<message>.*)$")
ROUTINE = re.compile(r"^(\[\w{3} \w{3} .*\]|Select jobs to execute.*|Execute \d+ jobs.*|)$")
INHERITED = "[first seen in "  # in the message of a product that only inherits a bad input

# The rate is that of the last jobs, because the first ones (simulation, compilation) are the long ones.
JOBS_OF_RATE = 30
LINES_OF_MESSAGES = 40


class RunProgress:
    """The state of one Snakemake run, brought up to date line by line.

    Attributes
    ----------
    done, total : int
        Jobs finished and jobs in all; total is 0 until Snakemake has counted them.
    rules : dict of str to list of int
        For each rule [finished, all], in the order in which the rules started.
    current : str
        The rule whose job started last; empty before the first.
    n_inherited : int
        Products that could not be made because an input of theirs was bad.
    messages : deque of str
        The last lines that are not the routine of jobs that start and finish: after a failure, its story.
    """

    def __init__(self, now):
        """Start counting at the time `now` [s]."""
        self.done = 0
        self.total = 0
        self.rules = {}
        self.current = ""
        self.n_inherited = 0
        self.messages = collections.deque(maxlen=LINES_OF_MESSAGES)
        self._is_in_job = False
        self._shown = set()
        self._counts = {}
        self._finish_times = collections.deque([now], maxlen=JOBS_OF_RATE + 1)

    def read_line(self, line, now):
        """Take in one line of Snakemake's output.

        Parameters
        ----------
        line : str
            The line, without its end.
        now : float
            Time at which it came [s], of the clock that the constructor was given.

        Returns
        -------
        str
            What a person must see at once (a bad exposure and its reason); empty for nothing.
        """
        if match := TOMBSTONE.match(line):
            return self._read_tombstone(match)
        if match := STEPS.match(line):
            self.done, self.total = int(match[1]), int(match[2])
            self._finish_times.append(now)
        elif match := FINISHED.match(line):
            self._rule(match[1])[0] += 1
        elif match := STARTED.match(line):
            if not self.rules:
                self.messages.clear()  # what Snakemake says of itself before the first job
            self.current = match[1]
            self._rule(match[1])
            self._is_in_job = True
        elif not self.rules and (match := JOB_COUNT.match(line)):
            self._counts[match[1]] = int(match[2])
            self.total = self._counts.get("total", 0)
        elif not line.startswith(EMPTY):
            self._keep_message(line)
        return ""

    def rate(self, now):
        """Jobs a second over the last jobs; 0 before the first has finished."""
        elapsed = now - self._finish_times[0]
        return (len(self._finish_times) - 1) / elapsed if elapsed > 0 else 0.0

    def seconds_left(self, now):
        """Time until the last job ends [s] at the present rate; None while no job has finished."""
        rate = self.rate(now)
        return (self.total - self.done) / rate if rate > 0 else None

    def _rule(self, name):
        return self.rules.setdefault(name, [0, self._counts.get(name, 0)])

    def _keep_message(self, line):
        """Keep the line unless it belongs to the description of a job that starts."""
        self._is_in_job = self._is_in_job and line.startswith("    ")
        if not self._is_in_job and not ROUTINE.match(line):
            self.messages.append(line)

    def _read_tombstone(self, match):
        """What to show of a bad exposure: its first product; of those that inherit it only the number."""
        if INHERITED in match["message"]:
            self.n_inherited += 1
            return ""
        cause = (match["reason"], match["message"])
        if cause in self._shown:
            return ""
        self._shown.add(cause)
        return f"bad exposure: {match['output']}: {match['reason']}: {match['message']}"


def format_seconds(seconds):
    """A duration [s] as people say it: ``45 s``, ``3 min 05 s``, ``2 h 10 min``; ``?`` for None."""
    if seconds is None:
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
