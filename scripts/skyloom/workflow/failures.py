"""What a run says at its end: failed jobs with their command, and bad exposures by reason."""

import json
import re
import shlex
import shutil
from pathlib import Path

from skyloom.core.errors import error_link
from skyloom.workflow.job import FAILURE_FOLDER

SHOWN_INPUTS = 3
SHOWN_OTHERS = 4
SHOWN_LINES = 8
LINE_LENGTH = 400
# Lines of Snakemake's log that say which job failed, and of what.
SAID = re.compile(
    r"skyloom: Slurm job|Error in (rule|group) |output: |log: |Command .* (died|returned)|\w+(Error|Exception): "
)


def forget_failures():
    """Remove the failure records of an earlier run; only the holder of the lock may."""
    shutil.rmtree(FAILURE_FOLDER, ignore_errors=True)


def read_failures():
    """Return the records that failed jobs of this run left (list of dict, oldest first)."""
    if not FAILURE_FOLDER.is_dir():
        return []
    paths = sorted(FAILURE_FOLDER.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def failure_report(records, configfiles=(), config_arguments=(), snakemake_log=""):
    """Describe failed jobs so that the last screen is enough to go on.

    Parameters
    ----------
    records : sequence of dict
        From `read_failures`.
    configfiles, config_arguments : sequence of str
        What was given as ``--configfile`` and ``--config``, repeated in the command.
    snakemake_log : str
        Snakemake's own log file, named when no script left a record.

    Returns
    -------
    str
        At most 18 lines: the first failure in full, the others by name.
    """
    if not records:
        return _silent_failure(snakemake_log)
    first = records[0]
    wildcards = ", ".join(f"{name}={value}" for name, value in first["wildcards"].items()) or "none"
    inputs = first["input"][:SHOWN_INPUTS]
    more = f" and {len(first['input']) - SHOWN_INPUTS} more" if len(first["input"]) > SHOWN_INPUTS else ""
    lines = [
        f"skyloom: {len(records)} failed job(s); the first:",
        f"  rule:      {first['rule']}",
        f"  wildcards: {wildcards}",
        f"  inputs:    {' '.join(inputs)}{more}",
        f"  exception: {_short(first['exception'])}",
        *([f"  see:       {first['see']}"] if first["see"] else []),
        f"  at:        {first['where']}",
        f"  log:       {first['log']}",
        f"  rerun it:  {rerun_command(first['output'][0], configfiles, config_arguments)}",
    ]
    others = records[1:]
    lines += [
        f"  also {r['rule']} {r['output'][0]}: {_short(r['exception'], 120)} {r['see']}".rstrip()
        for r in others[:SHOWN_OTHERS]
    ]
    if len(others) > SHOWN_OTHERS:
        lines.append(f"  and {len(others) - SHOWN_OTHERS} more, see {FAILURE_FOLDER}")
    return "\n".join(lines)


def _silent_failure(snakemake_log):
    """What Snakemake's log says of a job whose script left no record: killed, out of memory, or a broken import."""
    lines = ["skyloom: a job failed before or outside its main function; Snakemake says:"]
    if Path(snakemake_log).is_file():
        text = Path(snakemake_log).read_text(encoding="utf-8", errors="replace").splitlines()
        said = [line.strip() for line in text if SAID.match(line.strip())]
        lines += [f"  {_short(line, 200)}" for line in said[:SHOWN_LINES]]
    return "\n".join([*lines, f"  see {snakemake_log}; the same command goes on where this run ended"])


def rerun_command(output, configfiles=(), config_arguments=()):
    """Return the command that makes one product again, and only that when its inputs are there (str).

    Parameters
    ----------
    output : str
        The product.
    configfiles, config_arguments : sequence of str
        What was given as ``--configfile`` and ``--config``.
    """
    words = ["snakemake", "--cores", "1"]
    if configfiles:
        words += ["--configfile", *(str(path) for path in configfiles)]
    if config_arguments:
        words += ["--config", *config_arguments]
    return shlex.join([*words, "--", output])


def _short(text, length=LINE_LENGTH):
    """One line of a message."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 3] + "..."


def survival_report(path):
    """Describe bad exposures by reason, from the table that the last job of a flow wrote.

    Parameters
    ----------
    path : str or Path
        Parquet file with the columns of `skyloom.workflow.survival.FAILURES`.

    Returns
    -------
    str
        A table; one line when nothing failed, empty when there is no file.
    """
    if not Path(path).is_file():
        return ""
    from skyloom.io.tables import read_table, read_table_metadata
    from skyloom.workflow.survival import COUNTS_KEY

    table = read_table(path)
    counts = json.loads(read_table_metadata(path)[2][COUNTS_KEY.encode()])
    head = f"skyloom: {counts['survived']} of {counts['total']} detectors survived"
    if counts["without_template"]:
        head += f", {counts['without_template']} of them where there is no template to subtract"
    rows = table.to_pylist()
    if not rows:
        return f"{head}; no bad exposure"
    groups = {}
    for row in rows:
        groups.setdefault((row["step"], row["reason"]), []).append(row)
    lines = [f"{head}; bad ones by reason:", f"  {'step':<20} {'reason':<28} {'number':>6}  example"]
    for (step, reason), members in sorted(groups.items()):
        example = members[0]
        where = f"visit {example['visit']}, detector {example['detector']}: {_short(example['message'], 100)}"
        where += f" (see {error_link(reason)})"
        lines.append(f"  {step:<20} {reason:<28} {len(members):>6}  {where}")
    return "\n".join(lines)
