"""What Snakemake's Slurm plugin 2.8 leaves open, mended in the head process: no trouble of Slurm's may hang a run.

- When ``squeue`` fails, the plugin drops all jobs and waits forever; here they are kept, and the user is told.
- A job that Slurm has forgotten is waited for forever; here it fails after a while, and is submitted again.
- What ``sbatch`` says of a refused group is not printed, and an exception on the way to it is swallowed.
- Accounts are guessed and checked by ``sacct``, ``sacctmgr`` and ``sshare`` even with ``slurm-no-account``, without a
  limit of time; ``sbatch`` checks them anyway.
- The time between looks grows to 3 minutes.
- A Slurm job starts a Snakemake that starts, by ``srun``, another one for each job of a group, one after the other
  (5 CPU s each); here the first one runs the scripts itself, as many at once as the group has cores.
"""

import os
import re
import shlex
import subprocess
import sys
import time

from skyloom.workflow.slurm_runs import remember_run

PLUGIN = "snakemake_executor_plugin_slurm"
LONGEST_LOOK_S = 30
ACCOUNTING_S = 30
FORGOTTEN_S = 300
REMINDER_S = 600


def mend_slurm_plugin():
    """Replace what is listed above; does nothing where the plugin is not installed.

    Raises
    ------
    AttributeError
        If the plugin lacks one of the replaced functions: then look whether its fault is still there.
    """
    plugin = sys.modules.get(PLUGIN)
    if plugin is None or getattr(plugin, "is_mended", False):
        return
    executor, watch = plugin.Executor, QueueWatch(plugin)
    executor.run_job = telling_submission(executor.run_job)
    executor.report_job_error = telling_error(executor.report_job_error)
    executor.get_account_arg = account_argument
    executor.additional_general_args = run_scripts_itself
    executor.check_active_jobs = watch.keeping_jobs(executor.check_active_jobs)
    plugin.query_job_status = watch.remembering(plugin.query_job_status)
    plugin.subprocess = TimedSubprocess(plugin.subprocess)
    plugin.is_mended = True


def account_argument(executor, job):  # noqa: ARG001 (the plugin's signature)
    """Yield sbatch's words for a job's account, none when it has none; sbatch refuses a wrong one.

    Parameters
    ----------
    executor : snakemake_executor_plugin_slurm.Executor
        The executor.
    job : snakemake.jobs.AbstractJob
        Job or group.
    """
    account = job.resources.get("slurm_account")
    yield f" -A {shlex.quote(str(account))}" if account else ""


def run_scripts_itself(executor):  # noqa: ARG001 (the plugin's signature)
    """Return the words that let the Snakemake of a Slurm job run its scripts like one on a laptop (str).

    Parameters
    ----------
    executor : snakemake_executor_plugin_slurm.Executor
        The executor.
    """
    return "--executor local"


def telling_submission(run_job):
    """Return a submission (callable) that leaves a trace for the next run, and whose exceptions fail the job.

    Parameters
    ----------
    run_job : callable
        The executor's method.
    """

    def run(executor, job):
        remember_run(executor.run_uuid)
        try:
            run_job(executor, job)
        except Exception as error:  # noqa: BLE001 (whatever it is, the job was not submitted)
            from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

            # The plugin's own handler fails on a group; what it wanted to handle is the context.
            message = f"was not submitted: {error.__context__ or error}"
            executor._report_job_error_threadsafe(SubmittedJobInfo(job), message)

    return run


def telling_error(report_job_error):
    """Return a report (callable) of a failed job that says what Slurm said, also of a group, and what comes next.

    Parameters
    ----------
    report_job_error : callable
        The executor's method.
    """

    def report(executor, job_info, msg=None, **options):
        executor.logger.error(error_line(job_info, msg, options.get("aux_logs")))
        report_job_error(executor, job_info, msg=msg, **options)

    return report


def error_line(job_info, message, logs):
    """Describe a failed Slurm job (str).

    Parameters
    ----------
    job_info : snakemake_interface_executor_plugins.executors.base.SubmittedJobInfo
        The job; its number in Slurm is None when it was not submitted.
    message : str or None
        What is known.
    logs : sequence of str or None
        Slurm's log of it.
    """
    job = job_info.job
    what = f"{job.name} ({len(job)} jobs)" if job.is_group() else job.name
    number = f" {job_info.external_jobid}" if job_info.external_jobid else ""
    log = f"; its log: {os.path.relpath(logs[0])}" if logs and logs[0] else ""
    tries = job.restart_times + 1
    end = "it is submitted again" if job.attempt < tries else "no attempt is left"
    # Without the whole command, and without advice that is ours to give.
    said = re.split(r"sbatch call:|Failed nodes will be|Detailed failure reason", message or "it failed")[0]
    said = " ".join(said.split()).rstrip(".")
    return f"skyloom: Slurm job{number}, {what}: {said}{log}; attempt {job.attempt} of {tries}: {end}"


class QueueWatch:
    """Looks after the jobs between two answers of Slurm's.

    Parameters
    ----------
    plugin : module
        The plugin; gives the names under which Slurm may know a job.
    """

    def __init__(self, plugin):
        self._names_of = plugin._status_lookup_ids
        self._answer = None
        self._missing_since = {}
        self._told_at = None

    def remembering(self, query):
        """Return a query (coroutine function) whose last answer is kept.

        Parameters
        ----------
        query : callable
            The plugin's coroutine function: (command, logger) to (dict of str to str, seconds), or two None.
        """

        async def ask(command, logger):
            answer = await query(command, logger)
            self._answer = answer[0]
            return answer

        return ask

    def keeping_jobs(self, check_active_jobs):
        """Return a check (callable) that keeps all jobs without an answer, and gives up those that Slurm has forgotten.

        Parameters
        ----------
        check_active_jobs : callable
            The executor's asynchronous generator method.
        """

        async def check(executor, active_jobs):
            self._answer = None
            waiting = [job async for job in check_active_jobs(executor, active_jobs)]
            executor.next_seconds_between_status_checks = min(
                executor.next_seconds_between_status_checks, LONGEST_LOOK_S
            )
            if active_jobs and self._answer is None:
                self._tell(executor.logger, len(active_jobs))
                waiting = active_jobs
            else:
                self._told_at = None
            for job in waiting:
                if self._is_forgotten(job):
                    executor.report_job_error(job, msg=f"Slurm has not known it for {FORGOTTEN_S} s")
                else:
                    yield job

        return check

    def _tell(self, logger, n_job):
        """Say now and then that Slurm does not answer."""
        now = time.monotonic()
        if self._told_at is None or now - self._told_at > REMINDER_S:
            self._told_at = now
            logger.warning(
                f"skyloom: Slurm does not say how its jobs are: is its controller up (scontrol ping)? This run waits, "
                f"asks every {LONGEST_LOOK_S} s and goes on when Slurm answers; its {n_job} job(s) are kept"
            )

    def _is_forgotten(self, job_info):
        """Whether Slurm answers and has not known a job for long."""
        number = job_info.external_jobid
        if self._answer is None:
            return False
        if any(name in self._answer for name in self._names_of(number)):
            self._missing_since.pop(number, None)
            return False
        now = time.monotonic()
        return now - self._missing_since.setdefault(number, now) > FORGOTTEN_S


class TimedSubprocess:
    """The plugin's `subprocess`, whose questions to the accounting end: their absence is no failure there.

    Parameters
    ----------
    original : module
        The standard library's `subprocess`.
    """

    def __init__(self, original):
        self._original = original

    def __getattr__(self, name):
        return getattr(self._original, name)

    def check_output(self, command, **options):
        """Return a command's output (str or bytes), with a limit of time when none is given.

        Parameters
        ----------
        command : str or list of str
            The command.
        **options : dict
            Those of `subprocess.check_output`.

        Raises
        ------
        subprocess.CalledProcessError
            When the command fails or gives no answer in time.
        """
        try:
            return self._original.check_output(command, **{"timeout": ACCOUNTING_S, **options})
        except subprocess.TimeoutExpired:
            message = f"no answer within {ACCOUNTING_S} s"
            raise subprocess.CalledProcessError(1, command, stderr=message) from None
