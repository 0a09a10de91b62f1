"""Snakemake's scheduler has one pending timer at a time."""

import threading
import time

import pytest
from snakemake.scheduling.job_scheduler import JobScheduler

from skyloom.workflow.scheduler_timers import keep_one_timer


class Scheduler:
    """What the timer needs of a scheduler."""

    def __init__(self):
        self._open_jobs = threading.Semaphore(0)


@pytest.fixture
def original(monkeypatch):
    """Restore Snakemake's own method afterwards."""
    monkeypatch.setattr(JobScheduler, "_schedule_reevalutation", JobScheduler._schedule_reevalutation)


def test_many_requests_give_one_pass_and_the_next_is_possible_after_it(original):
    keep_one_timer()
    keep_one_timer()
    scheduler = Scheduler()
    for _ in range(20):
        JobScheduler._schedule_reevalutation(scheduler, 0.05)
    assert scheduler._open_jobs.acquire(timeout=5)
    time.sleep(0.2)
    assert not scheduler._open_jobs.acquire(blocking=False)
    JobScheduler._schedule_reevalutation(scheduler, 0.01)
    assert scheduler._open_jobs.acquire(timeout=5)


def test_another_snakemake_without_the_method_is_noticed(original, monkeypatch):
    monkeypatch.delattr(JobScheduler, "_schedule_reevalutation")
    with pytest.raises(AttributeError, match="_schedule_reevalutation"):
        keep_one_timer()
