"""What a dead run left in Slurm is cancelled before the next one starts; Slurm's commands are stand-ins here."""

import pytest

from skyloom.workflow import slurm_runs
from skyloom.workflow.slurm_runs import RECORD, SlurmRunsError, cancel_remembered_runs, remember_run


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Give squeue and scancel some bodies, in a folder that is alone on PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(programs))

    def give(**bodies):
        for name, body in bodies.items():
            (programs / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
            (programs / name).chmod(0o755)

    return give


# Jobs 7 and 8 are there until scancel is told their numbers.
QUEUE = '[ "$*" = "--noheader --format=%i --name first,second" ] || exit 3\n[ -e cancelled ] || echo "7\n8"'
CANCEL = 'echo "$*" >cancelled'


def test_a_folder_without_slurm_asks_nobody(tmp_path, slurm):
    assert cancel_remembered_runs() == 0


def test_the_jobs_of_all_remembered_runs_are_cancelled_once(tmp_path, slurm, capsys):
    slurm(squeue=QUEUE, scancel=CANCEL)
    for name in ("first", "second", "first"):
        remember_run(name)

    assert cancel_remembered_runs() == 2

    assert (tmp_path / "cancelled").read_text(encoding="utf-8") == "7 8\n"
    assert "cancelling 2 Slurm job(s) of a dead run: 7 8" in capsys.readouterr().err
    assert not RECORD.exists()
    assert cancel_remembered_runs() == 0


def test_a_run_that_left_nothing_is_forgotten(slurm):
    slurm(squeue="exit 0")
    remember_run("first")
    assert cancel_remembered_runs() == 0
    assert not RECORD.exists()


@pytest.mark.parametrize(
    ("squeue", "message"),
    [
        (None, "there is no squeue on this machine"),
        ("echo 'Unable to contact slurm controller' >&2; exit 1", "squeue says: Unable to contact slurm controller"),
        ("while :; do :; done", "squeue gives no answer within 0.2 s"),
        ("echo 7", "job\\(s\\) 7 have not ended 0 s after scancel"),
    ],
)  # fmt: skip
def test_what_cannot_be_cancelled_stops_the_run_with_the_command_to_look(slurm, monkeypatch, squeue, message):
    monkeypatch.setattr(slurm_runs, "ANSWER_S", 0.2 if "while" in (squeue or "") else 20)
    monkeypatch.setattr(slurm_runs, "END_S", 0)
    slurm(scancel="exit 0")
    if squeue is not None:
        slurm(squeue=squeue)
    remember_run("first")
    with pytest.raises(SlurmRunsError, match=message) as raised:
        cancel_remembered_runs()
    assert "squeue --name first" in str(raised.value)
    assert RECORD.is_file()
