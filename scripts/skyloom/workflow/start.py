"""What the Snakefile asks for first and last: check, lock, environment, tables for the rules, closing words."""

import gc
import inspect
import re
import sys
from pathlib import Path

from skyloom.core.errors import ConfigError, told
from skyloom.io.yaml_files import parse_yaml
from skyloom.workflow.calib_epochs import science_epoch
from skyloom.workflow.config import COMMAND_LINE, InvalidConfigurationError, text_problems
from skyloom.workflow.environment import set_environment
from skyloom.workflow.extras import check_extras, with_piff
from skyloom.workflow.failures import failure_report, forget_failures, read_failures, survival_report
from skyloom.workflow.fingerprint import Fingerprints
from skyloom.workflow.kernel_cache import refill_kernel_cache
from skyloom.workflow.lock import is_only_looking, take_lock
from skyloom.workflow.needs import CLUSTER_MB, NEEDS, memory_mb, runtime_minutes
from skyloom.workflow.paths import product_path
from skyloom.workflow.rule_names import family_of
from skyloom.workflow.scheduler_timers import keep_one_timer
from skyloom.workflow.slurm_plugin import mend_slurm_plugin
from skyloom.workflow.slurm_runs import cancel_remembered_runs
from skyloom.workflow.survey import load_survey, locate
from skyloom.workflow.targets import Targets

NEVER = "(?!)"
# A wildcard in a pattern, with the constraint that Snakemake writes into it, whose quantifiers have braces too.
WILDCARD = re.compile(r"\{\w+(?:,(?:[^{}]|\{[^{}]*\})*)?\}")
# Objects between two passes of the garbage collector: the graph grows by millions that all stay.
GC_THRESHOLD = 200_000


class Skyloom:
    """The survey of one Snakemake process, as the rules files see it.

    Parameters
    ----------
    survey : Survey
        The survey.
    home : Path
        Folder of the Snakefile.
    configfiles, config_arguments : list of str
        What the command line gave, for the command of a failed job.

    Attributes
    ----------
    on_cluster : callable
        Whether a cluster runs the jobs (bool); known only after the Snakefile was read.
    """

    def __init__(self, survey, home, configfiles=(), config_arguments=()):
        self.survey = survey
        self.home = home
        self.configfiles, self.config_arguments = list(configfiles), list(config_arguments)
        self.on_cluster = bool
        settings = survey.settings
        self.is_simulated = settings.get("simulate") is not None
        self.targets = Targets(survey)
        self.has_finished_template = settings["template"]["root"] is not None
        self.with_piff = with_piff(settings)
        self.with_visit_sky = settings["visit_sky"]["enabled"]
        self.fingerprints = Fingerprints(home / "scripts")
        self.kernel_fingerprint = self.fingerprints.kernels()
        self.frame_epochs = "|".join(sorted({row["epoch"] for row in survey.frames.values()})) or NEVER
        self.science_epochs = "|".join(science_epoch(name) for name in survey.cameras)
        self._pixels = max(
            d.shape[0] * d.shape[1]
            for known in survey.cameras.values()
            for d in known.camera.detectors.values()
        )

    def memory_of(self, stage):
        """Return the resource function of a stage's memory [MB], which grows with its inputs and with each attempt.

        Parameters
        ----------
        stage : str
            A key of `skyloom.workflow.needs.NEEDS`.

        Returns
        -------
        function
            Of wildcards, input and attempt, as Snakemake calls it; gives an int [MB].
        """

        def memory(wildcards, input, attempt):  # noqa: ARG001 (Snakemake's signature)
            around = CLUSTER_MB if self.on_cluster() else 0
            return memory_mb(stage, *self._needed_pixels(), _count(stage, input)) * attempt + around

        memory.__signature__ = inspect.signature(memory)
        return memory

    def runtime_of(self, stage, n_frame=0):
        """Return the resource function of a stage's time limit [minutes], which grows like its memory.

        Parameters
        ----------
        stage : str
            A key of `skyloom.workflow.needs.NEEDS`.
        n_frame : int
            What the job counts where no input does: simulated frames.

        Returns
        -------
        function
            Of wildcards, input and attempt, as Snakemake calls it; gives an int [minutes].
        """

        def runtime(wildcards, input, attempt):  # noqa: ARG001 (Snakemake's signature)
            number = n_frame or _count(stage, input)
            return runtime_minutes(stage, *self._needed_pixels(), number) * attempt

        runtime.__signature__ = inspect.signature(runtime)
        return runtime

    def _needed_pixels(self):
        """Pixels of the largest detector and of a patch with its border."""
        sky_map = self.survey.settings["sky_map"]
        return self._pixels, (sky_map["patch_inner"] + 2 * sky_map["patch_border"]) ** 2

    def ap_products(self, wildcards):
        """Return what target ap makes (list of str).

        Parameters
        ----------
        wildcards : snakemake.io.Wildcards
            Of target ap, which has none.

        Raises
        ------
        ConfigError
            When the visit or the template's root is not given.
        """
        visit = self.survey.settings["visit"]
        if visit is None:
            raise ConfigError("target ap needs a visit: snakemake ap --config visit=N")
        if not self.has_finished_template:
            raise ConfigError("target ap needs template.root, the output root of a finished data release")
        root = self.survey.root
        detectors = self.survey.detectors.get(visit, ())
        sources = [product_path(root, "ap_dia_source", visit=visit, detector=d) for d in detectors]
        return [*sources, product_path(root, "ap_failures", visit=visit)]

    def simulated_nights(self):
        """Return the visits of each night of a simulated survey (dict of str to list of int)."""
        nights = {}
        if self.is_simulated:
            for visit, row in self.survey.visits.items():
                nights.setdefault(row["night"], []).append(visit)
        return nights

    def visit_rows(self, visits):
        """Return rows of the visit table (list of dict).

        Parameters
        ----------
        visits : iterable of int
            Visits.
        """
        return [self.survey.visits[visit] for visit in visits]

    def raws_of(self, visits):
        """Return the raw files of simulated visits, each detector in turn, excluded ones too (list of str).

        Parameters
        ----------
        visits : iterable of int
            Visits of the simulated camera.
        """
        detectors = sorted(self.simulated_camera[1].detectors)
        return [self.survey.raw_file(visit, detector) for visit in visits for detector in detectors]

    def truth_sources_of(self, visits):
        """Return the truth tables of some visits; none when the survey is not simulated (list of str).

        Parameters
        ----------
        visits : iterable of int
            Visits.
        """
        if not self.is_simulated:
            return []
        return [product_path(self.survey.root, "truth_source", visit=visit) for visit in visits]

    def truth_object(self):
        """Return the truth table of objects, none when the survey is not simulated (list of str)."""
        return [product_path(self.survey.root, "truth_object")] if self.is_simulated else []

    def benchmarks_of(self, rules):
        """Return the patterns of the benchmark files that the rules of a data release leave, by rule.

        Parameters
        ----------
        rules : iterable of snakemake.rules.Rule
            The workflow's rules so far.

        Returns
        -------
        dict of str to list of str
            Relative to the output root, with ``*`` for each wildcard; the rules of the nights are one. Without those of
            the prompt flow, which are there or not with `template.root`.
        """
        found = {}
        for rule in rules:
            if rule.benchmark and not rule.name.startswith("ap_"):
                pattern = Path(str(rule.benchmark)).relative_to(self.survey.root)
                found.setdefault(family_of(rule.name), []).append(WILDCARD.sub("*", str(pattern)))
        return found

    def all_frame_raws(self):
        """Return the raw files of all simulated calibration frames, each detector in turn (list of str)."""
        detectors = sorted(self.simulated_camera[1].detectors)
        return [
            self.survey.frame_file(frame, detector) for frame in self.survey.frames for detector in detectors
        ]

    @property
    def simulated_camera(self):
        """The one camera of a simulated survey (CameraFile)."""
        return next(iter(self.survey.cameras.values()))

    def finish_parsing(self):
        """Keep what was parsed, and spare the graph's building the garbage collector's passes over it."""
        self.fingerprints.save()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)


def _count(stage, files):
    """Number of the input files that a stage's needs grow with."""
    found = files.get(NEEDS[stage].counted, ())
    return 1 if isinstance(found, str) else len(found)


def default_configuration(home):
    """Find the configuration of runs that name none that stands alone.

    Parameters
    ----------
    home : str or Path
        Folder of the Snakefile.

    Returns
    -------
    str
        ``config/config.yaml`` of the working folder, or else Skyloom's own.

    Raises
    ------
    SystemExit
        After it was printed why the file cannot be read: Snakemake would tell neither line nor column.
    """
    path = locate("config/config.yaml", home)
    content, faults = parse_yaml(path)
    if faults and not content:
        sys.stderr.write(f"{told(InvalidConfigurationError(text_problems(path, faults)))}\n")
        sys.exit(1)
    return path


def start(workflow, config):
    """Check everything, become the folder's one run if jobs will run, and set the jobs' environment.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        The workflow that is being parsed.
    config : dict
        Its configuration; filled with all defaults in place, so that jobs see the whole.

    Returns
    -------
    Skyloom
        What the rules need.

    Raises
    ------
    SystemExit
        After every problem of the configuration, or the owner of the lock, was printed: neither needs a traceback.
    """
    home = Path(workflow.basedir)
    is_head = workflow.exec_mode == type(workflow.exec_mode).DEFAULT
    runs_jobs = not workflow.output_settings.dryrun and not is_only_looking(sys.argv[1:])
    in_conda = "CONDA" in {method.name for method in workflow.deployment_settings.deployment_method}
    try:
        files, doubles = _files(workflow)
        survey = load_survey(config, files, home, check_files=is_head, known_problems=doubles)
        if is_head and not in_conda:
            check_extras(survey.settings, files)
        if is_head and runs_jobs:
            workflow.skyloom_lock = take_lock()
            forget_failures()
            cancel_remembered_runs()
            mend_slurm_plugin()
        arguments = list(workflow.config_settings.config_args or [])
        skyloom = Skyloom(
            survey, home, [str(path) for path in workflow.overwrite_configfiles or []], arguments
        )
    except ConfigError as error:
        sys.stderr.write(f"{told(error)}\n")
        sys.exit(1)
    skyloom.on_cluster = lambda: workflow.non_local_exec
    config.update(survey.settings)
    set_environment(home, skyloom.kernel_fingerprint, in_conda=in_conda)
    if runs_jobs:
        keep_one_timer()
        refill_kernel_cache(product_path(survey.root, "kernels"), in_conda=in_conda)
    return skyloom


def _files(workflow):
    """Name and content of each configuration file in the order of merging, the command line last; keys given twice."""
    names = []
    for path in [*workflow.configfiles, *(workflow.overwrite_configfiles or [])]:
        name = str(path)
        relative = Path(name).resolve()
        short = str(relative.relative_to(Path.cwd())) if relative.is_relative_to(Path.cwd()) else name
        if short not in names:
            names.append(short)
    parsed = {name: parse_yaml(name) for name in names}
    files = [(name, content) for name, (content, _) in parsed.items()]
    given = dict(workflow.config_settings.config or {})
    problems = [problem for name, (_, faults) in parsed.items() for problem in text_problems(name, faults)]
    return [*files, (COMMAND_LINE, given)], problems


def end_of_flow(skyloom):
    """Print the failures of the flows that ended, by reason.

    Parameters
    ----------
    skyloom : Skyloom
        The survey.
    """
    for text in _survival_reports(skyloom):
        sys.stderr.write(text + "\n")


def _survival_reports(skyloom):
    """Reports of the flows that have ended."""
    root, visit = skyloom.survey.root, skyloom.survey.settings["visit"]
    flow = "drp_failures" if visit is None else "ap_failures"
    return [text for text in [survival_report(product_path(root, flow, visit=visit))] if text]


def report_failures(skyloom, snakemake_log):
    """Print what a failed run's user needs to go on, within the last lines.

    Parameters
    ----------
    skyloom : Skyloom
        The survey.
    snakemake_log : sequence of str
        Snakemake's own log files.
    """
    log = str(snakemake_log[0]) if snakemake_log else ""
    text = failure_report(read_failures(), skyloom.configfiles, skyloom.config_arguments, log)
    sys.stderr.write(text + "\n")
