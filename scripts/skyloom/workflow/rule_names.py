"""Names of the rules that the workflow makes one a night: jobs of their own, one rule to a reader."""

NIGHTS = "simulate_night"


def night_rule(night):
    """Return the name of the rule that simulates a night (str).

    Parameters
    ----------
    night : str
        The night.
    """
    return f"{NIGHTS}_{night}"


def family_of(rule):
    """Return the name that stands for a rule in provenance and reports: that of its script (str).

    Parameters
    ----------
    rule : str
        Name of a rule of the workflow.
    """
    return NIGHTS if rule.startswith(night_rule("")) else rule
