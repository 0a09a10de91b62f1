"""Runs the demo survey: checks disk and memory, runs Snakemake, shows what came out."""

import argparse
import math
import re
import resource
import sys
import time
from pathlib import Path

import pyarrow.parquet
from rich.console import Console
from rich.table import Table

from demo_resources import CONFIGURATION, check_resources
from run_progress import format_seconds
from skyloom.core.errors import told
from skyloom.io.yaml_files import YamlFileError, load_yaml
from skyloom.workflow.failures import survival_report
from skyloom.workflow.paths import PATTERNS
from watched_run import run_snakemake

TARGETS = ("drp", "report")

PRODUCTS = {
    "calexp": "calibrated images",
    "src": "their sources",
    "visit_summary": "a row for each detector of a visit",
    "coadd": "coadds and templates",
    "object": "objects",
    "diff": "difference images",
    "dia_source": "detections on them",
    "dia_object": "variable and new objects",
}


def main():
    """Run the demo (see the module's docstring) and return its exit code."""
    arguments = parse_arguments()
    console = Console(highlight=False, markup=False, soft_wrap=True)
    try:
        configuration = load_yaml(CONFIGURATION)
    except YamlFileError as error:
        console.print(told(error))
        return 1
    output_root = Path(configuration.get("output_root", "results"))
    if not check_resources(console.print, output_root, arguments.cores):
        return 1
    started = time.monotonic()
    command = [sys.executable, "-m", "snakemake", *TARGETS, "--cores", str(arguments.cores)]
    code, progress = run_snakemake(command, console)
    if code != 0:
        console.print("The same command, make demo, goes on from here.", style="bold")
        return code
    console.print("all jobs done" if progress.total else "nothing to do: every product is up to date")
    show_products(console, output_root)
    console.print(f"\n{survival_report(output_root / PATTERNS['drp_failures'])}")
    show_metrics(console, output_root / PATTERNS["metrics"])
    show_pictures(console, output_root)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = format_seconds(time.monotonic() - started)
    cpu = usage.ru_utime + usage.ru_stime
    console.print(f"\n{progress.total} jobs, {cpu:.0f} CPU s, {wall} by the clock")
    return 0


def parse_arguments():
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=2, help="cores to use (%(default)s)")
    return parser.parse_args()


def show_products(console, output_root):
    """Print where the products are and how many there are."""
    table = Table("product", "files", "where", box=None, pad_edge=False)
    for name, what in PRODUCTS.items():
        pattern = PATTERNS[name]
        n_file = len(list(output_root.glob(re.sub(r"\{\w+\}", "*", pattern))))
        table.add_row(what, str(n_file), f"{output_root}/{pattern}")
    console.print()
    console.print(table)


def show_metrics(console, path):
    """Print the metrics of the whole survey: a line each, with its bounds and whether it is within them."""
    table = Table("metric", "band", "value", "unit", "bar", "ok", "against", box=None, pad_edge=False)
    rows = pyarrow.parquet.read_table(path).to_pylist()
    for row in [row for row in rows if row["subject"] == "survey"]:
        ok = "yes" if row["ok"] else "NO"
        bar = format_bar(row["low"], row["high"])
        value = f"{row['value']:.4g}"
        table.add_row(row["name"], row["band"], value, row["unit"], bar, ok if bar else "", row["basis"])
    console.print()
    console.print(table)


def format_bar(low, high):
    """Bounds of a metric as people write them; empty without any."""
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(low):
        return f"<= {high:g}"
    return f">= {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"


def show_pictures(console, output_root):
    """Print the paths of the pictures and of the page that shows them all."""
    console.print()
    for path in sorted(output_root.glob(re.sub(r"\{\w+\}", "*", PATTERNS["report_picture"]))):
        console.print(f"picture: {path}")
    console.print(f"open in a browser: {output_root / PATTERNS['page']}")


if __name__ == "__main__":
    sys.exit(main())
