"""Many dry runs in one process, told by JSON on the standard input: Snakemake's own command, without its start."""

import contextlib
import io
import json
import sys
from pathlib import Path

from snakemake import cli
from snakemake.api import SnakemakeApi


def dry_run(arguments):
    """What one command prints, whether it succeeds, and the params of its graph's rules, settings as they are."""
    made, original = [], SnakemakeApi.workflow

    def workflow(self, *args, **options):
        made.append(original(self, *args, **options))
        return made[-1]

    SnakemakeApi.workflow = workflow
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            cli.main(arguments)
    except SystemExit as end:
        status = end.code
    finally:
        SnakemakeApi.workflow = original
    dag = made[-1]._workflow.dag
    rules = {} if dag is None else {job.rule.name: params_of(job) for job in dag.jobs if job.rule.script}
    return {"text": printed.getvalue(), "succeeds": status == 0, "rules": rules}


def params_of(job):
    """Script of a job's rule, names of its params, and its settings."""
    script, settings = Path(job.rule.script).stem, job.params.get("settings", {})
    return {"script": script, "params": sorted(job.params.keys()), "settings": settings}


if __name__ == "__main__":
    sys.stdout.write(json.dumps([dry_run(arguments) for arguments in json.load(sys.stdin)]))
