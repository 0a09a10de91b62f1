"""A survey's configuration, checked without Snakemake, which names neither file nor line of broken YAML."""

from pathlib import Path

from skyloom.core.errors import told

HOME = Path(__file__).resolve().parents[3]


def add_arguments(parser):
    """Declare the command line.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the subcommand.
    """
    parser.add_argument("files", nargs="+", metavar="FILE", help="what snakemake gets as --configfile")


def run(options):
    """Check the text of the files, then the configuration, the cameras and the tables that they name.

    Parameters
    ----------
    options : argparse.Namespace
        Of `add_arguments`.

    Returns
    -------
    int
        0 when nothing is wrong, else 1.
    """
    from skyloom.workflow.config import InvalidConfigurationError

    try:
        survey = _survey_of(options.files)
    except InvalidConfigurationError as error:
        print(told(error))
        return 1
    print(
        f"nothing is wrong with {', '.join(options.files)}: survey {survey.settings['survey']}, "
        f"{len(survey.visits)} visits, {', '.join(survey.settings['bands'])}; "
        "raw frames and reference catalogue are looked for by snakemake -n"
    )
    return 0


def _survey_of(names):
    """Survey of files that are merged as Snakemake merges them; their text must be whole first."""
    from snakemake.utils import update_config

    from skyloom.io.yaml_files import parse_yaml
    from skyloom.workflow.config import InvalidConfigurationError, text_problems
    from skyloom.workflow.extras import check_extras
    from skyloom.workflow.survey import load_survey, locate

    parsed = {name: parse_yaml(name) for name in names}
    if not any("survey" in content for content, _ in parsed.values()):
        default = locate("config/config.yaml", HOME)
        parsed = {default: parse_yaml(default)} | parsed
    problems = [problem for name, (_, faults) in parsed.items() for problem in text_problems(name, faults)]
    if any(faults and not content for content, faults in parsed.values()):
        raise InvalidConfigurationError(problems)
    given = {}
    for content, _ in parsed.values():
        update_config(given, content)
    files = [(name, content) for name, (content, _) in parsed.items()]
    survey = load_survey(given, files, HOME, check_files=False, known_problems=problems)
    check_extras(survey.settings, files)
    return survey
