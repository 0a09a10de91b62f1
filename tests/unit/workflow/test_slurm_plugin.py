"""No trouble of Slurm's hangs a run: what the plugin does with stand-ins of Slurm and Snakemake."""

import asyncio
import subprocess
import sys
from types import SimpleNamespace

import pytest

from skyloom.workflow import slurm_plugin
from skyloom.workflow.slurm_plugin import PLUGIN, QueueWatch, TimedSubprocess, error_line, mend_slurm_plugin
from skyloom.workflow.slurm_runs import RECORD

REPLACED = (
    "run_job", "report_job_error", "get_account_arg", "additional_general_args", "check_active_jobs",
)  # fmt: skip


class Job:
    """What the plugin needs of a job."""

    name, restart_times, attempt = "images_calibrate_image", 3, 1

    def __init__(self, n_job=2, **resources):
        self.n_job, self.resources = n_job, resources

    def is_group(self):
        return self.n_job > 1

    def __len__(self):
        return self.n_job


class Logger:
    """Keeps what is said."""

    def __init__(self):
        self.said = []

    def error(self, text, **_):
        self.said.append(text)

    warning = info = debug = error


class FaultyExecutor:
    """The plugin's executor with its faults."""

    run_uuid, next_seconds_between_status_checks, plugin = "uuid", 180, None

    def __init__(self):
        self.logger, self.reported = Logger(), []

    def report_job_error(self, job_info, msg=None, **_):
        self.reported.append((job_info.external_jobid, msg))

    def _report_job_error_threadsafe(self, job_info, msg):
        self.report_job_error(job_info, msg)

    def run_job(self, job):
        try:
            raise OSError("the account is unknown")
        except OSError:
            return job.rule  # a group has none

    def get_account_arg(self, job):
        raise NotImplementedError

    def additional_general_args(self):
        return "--executor slurm-jobstep --jobs 1"

    async def check_active_jobs(self, active_jobs):
        answer, _ = await self.plugin.query_job_status("squeue", self.logger)
        for job in active_jobs if answer is not None else ():
            if answer.get(job.external_jobid) == "TIMEOUT":
                self.report_job_error(job, msg="SLURM status is: 'TIMEOUT'.", aux_logs=["slurm_logs/7.log"])
            else:
                yield job


def make_plugin():
    """Make a module like the plugin, whose executor nobody has mended."""

    async def query(command, logger):
        return plugin.answers.pop(0)

    plugin = SimpleNamespace(
        query_job_status=query, subprocess=subprocess, answers=[], _status_lookup_ids=lambda number: [number]
    )
    plugin.Executor = type("Executor", (FaultyExecutor,), {"plugin": plugin})
    return plugin


@pytest.fixture
def plugin(monkeypatch, tmp_path):
    """The plugin, mended."""
    monkeypatch.chdir(tmp_path)
    made = make_plugin()
    monkeypatch.setitem(sys.modules, PLUGIN, made)
    mend_slurm_plugin()
    return made


def info(number="7", job=None):
    """A submitted job."""
    return SimpleNamespace(external_jobid=number, job=job or Job(), aux={})


def check(executor, jobs):
    """Look once after the jobs (list of those that go on)."""

    async def collect():
        return [job async for job in executor.check_active_jobs(jobs)]

    return asyncio.run(collect())


def test_a_machine_without_the_plugin_has_nothing_to_mend(monkeypatch):
    monkeypatch.delitem(sys.modules, PLUGIN, raising=False)
    mend_slurm_plugin()


def test_mending_twice_is_mending_once(plugin):
    before = plugin.Executor.run_job
    mend_slurm_plugin()
    assert plugin.Executor.run_job is before


@pytest.mark.parametrize("name", REPLACED)
def test_the_installed_plugin_has_what_is_replaced(name):
    installed = pytest.importorskip(PLUGIN)
    assert callable(getattr(installed.Executor, name))
    assert callable(installed.query_job_status)
    assert callable(installed._status_lookup_ids)
    assert callable(installed.Executor._report_job_error_threadsafe)


def test_without_an_answer_all_jobs_are_kept_and_the_user_is_told_once(plugin):
    executor, jobs = plugin.Executor(), [info("7"), info("8")]
    plugin.answers = [(None, None), (None, None), ({"7": "RUNNING", "8": "RUNNING"}, 0.1), (None, None)]
    for _ in range(2):
        assert check(executor, jobs) == jobs
    assert len(executor.logger.said) == 1
    assert "scontrol ping" in executor.logger.said[0]
    assert "its 2 job(s) are kept" in executor.logger.said[0]
    assert executor.next_seconds_between_status_checks == slurm_plugin.LONGEST_LOOK_S
    assert check(executor, jobs) == jobs
    check(executor, jobs)
    assert len(executor.logger.said) == 2


def test_a_job_that_slurm_has_forgotten_fails_and_can_be_tried_again(plugin, monkeypatch):
    executor, jobs = plugin.Executor(), [info("7"), info("8")]
    now = [0.0]
    monkeypatch.setattr(slurm_plugin.time, "monotonic", lambda: now[0])
    plugin.answers = [({"8": "RUNNING"}, 0.1)] * 3
    assert check(executor, jobs) == jobs
    now[0] = slurm_plugin.FORGOTTEN_S - 1
    assert check(executor, jobs) == jobs
    now[0] = slurm_plugin.FORGOTTEN_S + 1
    assert check(executor, jobs) == jobs[1:]
    assert executor.reported == [("7", "Slurm has not known it for 300 s")]


def test_a_failure_of_a_group_is_told_with_slurms_words_its_log_and_what_comes_next(plugin):
    executor = plugin.Executor()
    plugin.answers = [({"7": "TIMEOUT"}, 0.1)]
    assert check(executor, [info("7")]) == []
    assert executor.logger.said == [
        "skyloom: Slurm job 7, images_calibrate_image (2 jobs): SLURM status is: 'TIMEOUT'; "
        "its log: slurm_logs/7.log; attempt 1 of 4: it is submitted again"
    ]


def test_the_last_attempt_says_so_and_a_refusal_is_told_without_the_whole_command():
    job = Job(n_job=1)
    job.attempt = 4
    refused = "SLURM sbatch failed. The error message was 'Invalid partition'.\n    sbatch call:\n  sbatch --wrap=..."
    assert error_line(info(None, job), refused, None) == (
        "skyloom: Slurm job, images_calibrate_image: SLURM sbatch failed. The error message was 'Invalid partition'; "
        "attempt 4 of 4: no attempt is left"
    )


def test_an_exception_on_the_way_to_sbatch_fails_the_group_and_the_run_is_remembered(plugin):
    executor = plugin.Executor()
    executor.run_job(Job())
    assert executor.reported == [(None, "was not submitted: the account is unknown")]
    assert RECORD.read_text(encoding="utf-8") == "uuid\n"


@pytest.mark.parametrize(
    ("resources", "words"),
    [({}, ""), ({"slurm_account": "astro"}, " -A astro"), ({"slurm_account": 12}, " -A 12")],
)
def test_accounts_go_to_sbatch_and_nobody_else_is_asked(plugin, resources, words):
    assert list(plugin.Executor().get_account_arg(Job(**resources))) == [words]


def test_one_snakemake_runs_all_scripts_of_a_slurm_job(plugin):
    assert plugin.Executor().additional_general_args() == "--executor local"


def test_a_question_to_the_accounting_ends(monkeypatch):
    monkeypatch.setattr(slurm_plugin, "ACCOUNTING_S", 0.1)
    timed = TimedSubprocess(subprocess)
    with pytest.raises(subprocess.CalledProcessError) as raised:
        timed.check_output([sys.executable, "-c", "import time; time.sleep(30)"], stderr=subprocess.PIPE)
    assert raised.value.stderr == "no answer within 0.1 s"
    assert timed.PIPE is subprocess.PIPE


def test_a_queue_watch_forgets_what_slurm_knows_again():
    watch = QueueWatch(SimpleNamespace(_status_lookup_ids=lambda number: [number]))
    watch._answer = {}
    assert not watch._is_forgotten(info("7"))
    watch._answer = {"7": "RUNNING"}
    assert not watch._is_forgotten(info("7"))
    assert watch._missing_since == {}
