"""The kernels are compiled once, before the jobs that use them."""

from skyloom.core.jit import NOT_COMPILED_BEFORE


def test_no_job_of_a_run_compiles_a_kernel(finished):
    logs = list((finished / "results" / "logs").rglob("*.log"))
    assert len(logs) > 20
    said = [line for path in logs for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line for line in said if NOT_COMPILED_BEFORE in line] == []
