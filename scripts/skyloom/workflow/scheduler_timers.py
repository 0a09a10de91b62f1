"""One pending timer for Snakemake's scheduler instead of one for each job that ever ended.

While jobs wait for cores, Snakemake 9.27 arms a timer of a second at each pass of its scheduling loop, and each timer
that fires starts a pass: after n jobs there are n passes a second, forever. Measured on 71 detectors: 240 CPU s of the
head process in half an hour, a quarter of what the jobs themselves took.
"""

import threading


def keep_one_timer():
    """Make Snakemake's scheduler arm a timer only when none is pending.

    Raises
    ------
    AttributeError
        If this Snakemake's scheduler has no such method: then look whether the fault is still there.
    """
    from snakemake.scheduling.job_scheduler import JobScheduler

    original = JobScheduler._schedule_reevalutation
    if getattr(original, "keeps_one_timer", False):
        return
    pending = threading.Event()

    def schedule_reevaluation(scheduler, delay):
        if pending.is_set():
            return
        pending.set()
        timer = threading.Timer(delay, _fire, (scheduler, pending))
        # Snakemake need not wait for it when it ends.
        timer.daemon = True
        timer.start()

    schedule_reevaluation.keeps_one_timer = True
    JobScheduler._schedule_reevalutation = schedule_reevaluation


def _fire(scheduler, pending):
    """Let the scheduler's loop pass once, after which it may arm the next timer."""
    pending.clear()
    scheduler._open_jobs.release()
