"""Entry of the command `skyloom`: its subcommands and their arguments."""

import argparse
import sys

from skyloom.commands import check_camera, check_config, visit_table
from skyloom.commands.compare import compare_roots
from skyloom.commands.report_compare import compare_reports
from skyloom.commands.show import describe_product
from skyloom.core.errors import SkyloomError, told


def main(arguments=None):
    """Run one subcommand.

    Parameters
    ----------
    arguments : list of str, optional
        Command line without the program's name; that of the process by default.

    Returns
    -------
    int
        Exit code: 0 when all is well, 1 when the answer is no, 2 for a file that cannot be read.
    """
    options = command_parser().parse_args(arguments)
    try:
        return options.run(options)
    except (SkyloomError, OSError) as error:
        print(f"skyloom: {told(error)}", file=sys.stderr)
        return 2


def command_parser():
    """Command line of all subcommands (argparse.ArgumentParser)."""
    parser = argparse.ArgumentParser(prog="skyloom", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, compare, what in (
        ("compare", compare_roots, "compare the products of two runs byte for byte, headers included"),
        (
            "report-compare",
            compare_reports,
            "say which numbers of two runs' reports differ beyond their noise",
        ),
    ):
        comparison = commands.add_parser(name, help=what)
        comparison.add_argument("first", help="output root of one run")
        comparison.add_argument("second", help="output root of the other run")
        comparison.set_defaults(run=_compare, compare=compare)
    show = commands.add_parser("show", help="tell what a product is, where it comes from, or why it failed")
    show.add_argument("product", help="a FITS or Parquet file that Skyloom wrote")
    show.set_defaults(run=_show)
    table = commands.add_parser(
        "visit-table", help="write the visit table, the calibration frames and a survey file from raw headers"
    )
    visit_table.add_arguments(table)
    table.set_defaults(run=visit_table.run)
    check = commands.add_parser(
        "check-config", help="say what is wrong with a survey file, with line and column where it is no YAML"
    )
    check_config.add_arguments(check)
    check.set_defaults(run=check_config.run)
    check = commands.add_parser(
        "check-camera",
        help="draw a camera file and say where frames contradict it: overscan, gain, noise, flips",
    )
    check_camera.add_arguments(check)
    check.set_defaults(run=check_camera.run)
    return parser


def _compare(options):
    """Print what differs between two output roots."""
    comparison = options.compare(options.first, options.second)
    for line in comparison.lines():
        print(line)
    return 0 if comparison.is_alike else 1


def _show(options):
    """Print the description of a product."""
    for line in describe_product(options.product):
        print(line)
    return 0
