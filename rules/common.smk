"""What all rules share: paths, settings, logs, memory, time, fingerprints, and what wildcards may hold. No rule."""

from skyloom.core.settings import chosen_settings
from skyloom.workflow.paths import NO_BAND, PATTERNS, PICTURES, WILDCARD_CONSTRAINTS, pattern
from skyloom.workflow.rule_names import night_rule


wildcard_constraints:
    **WILDCARD_CONSTRAINTS,


def path(name):
    """Pattern of a product below the output root."""
    return pattern(skyloom.survey.root, name)


def calib_path(kind, band=NO_BAND):
    """Pattern of a combined calibration of one kind, epoch and detector left open."""
    return path("calib").format(epoch="{epoch}", kind=kind, band=band, detector="{detector}")


def settings(*names, without=()):
    """The settings that a rule's script uses, and no others: changing the rest reruns nothing."""
    return chosen_settings(skyloom.survey.settings, names, without)


def log_of(name):
    """Log file of the rule that makes a product."""
    return path("log").format(job=PATTERNS[name].rpartition(".")[0])


def benchmark_of(name):
    """Benchmark file of the rule that makes a product."""
    return path("benchmark").format(job=PATTERNS[name].rpartition(".")[0])


def fingerprint(rule_name):
    """Hash of what the rule's script does."""
    return skyloom.fingerprints.rule(rule_name)


def memory_of(stage):
    """Memory of a stage's jobs [MB], more at each attempt."""
    return skyloom.memory_of(stage)


def runtime_of(stage, n_frame=0):
    """Time limit of a stage's jobs [minutes], more at each attempt."""
    return skyloom.runtime_of(stage, n_frame)
