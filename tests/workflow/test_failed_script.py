"""A bug in a script: the run fails, and its last screen is enough to go on."""

from workflow_support import Snakemake, copy_project

LAST_SCREEN = 25


def plant(home, line):
    """Begin a script of a copied project, of rule combine_bias, with a line more; returns its path."""
    script = home / "scripts" / "combine_bias.py"
    text = script.read_text(encoding="utf-8")
    assert "def main(job):\n" in text
    script.write_text(text.replace("def main(job):\n", f"def main(job):\n    {line}\n"), encoding="utf-8")
    return script


def test_the_last_screen_of_a_failed_run_has_all_that_is_needed(simulated_run, tmp_path_factory):
    home = copy_project(tmp_path_factory.mktemp("project") / "skyloom")
    script = plant(home, '{}["fwhm_pixel"]')
    broken = Snakemake(simulated_run.folder, home)
    screen = broken.run("drp", "--cores", "1", succeeds=False).splitlines()[-LAST_SCREEN:]
    told = "\n".join(screen)
    for part in (
        "rule:      combine_bias",
        "wildcards: epoch=e1, detector=",
        "inputs:    results/raw_calib/1/",
        "exception: KeyError: 'fwhm_pixel'",
        "log:       results/logs/calib/e1/bias/",
        "scripts/combine_bias.py:",
    ):
        assert part in told, told
    command = next(line for line in screen if "rerun it:" in line).split("rerun it:")[1].split()
    assert command[:2] == ["snakemake", "--cores"]
    jobs = simulated_run.jobs(command[-1])
    assert jobs == {"combine_bias": 1}
    line = next(line for line in screen if "scripts/combine_bias.py:" in line)
    number = int(line.split("combine_bias.py:")[1].split()[0])
    assert "fwhm_pixel" in script.read_text(encoding="utf-8").splitlines()[number - 1]


def test_a_warning_fails_a_job_that_the_tests_start(simulated_run, tmp_path_factory):
    home = copy_project(tmp_path_factory.mktemp("project") / "skyloom")
    plant(home, '__import__("warnings").warn("planted")')
    run = Snakemake(simulated_run.folder, home)
    text = run.run("results/calib/e1/bias/none/0.fits", "--cores", "1", succeeds=False)
    assert "exception: UserWarning: planted" in text
