"""Benchmark files as Snakemake writes them."""

import math

from skyloom.io.benchmarks import read_benchmarks

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def write(path, seconds, memory, cpu):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{HEAD}{seconds}\t0:00:01\t{memory}\t1\t1\t1\t0\t0\t99\t{cpu}\n", encoding="utf-8")


def test_jobs_are_found_by_the_patterns_of_their_rules(tmp_path):
    write(tmp_path / "benchmarks/calexp/1/0.tsv", 3.5, 400.25, 4.0)
    write(tmp_path / "benchmarks/calexp/1/1.tsv", 0.2, "NA", "NA")
    write(tmp_path / "benchmarks/simulate_night/n1.tsv", 9.0, 500, 9)
    write(tmp_path / "benchmarks/other/1.tsv", 1, 1, 1)
    found = read_benchmarks(
        tmp_path,
        {
            "calibrate_image": ["benchmarks/calexp/*/*.tsv"],
            "simulate_night": ["benchmarks/simulate_night/n1.tsv", "benchmarks/simulate_night/n2.tsv"],
        },
    )
    assert [(cost.rule, cost.job) for cost in found] == [
        ("calibrate_image", "calexp/1/0"),
        ("calibrate_image", "calexp/1/1"),
        ("simulate_night", "simulate_night/n1"),
    ]
    assert (found[0].wall_s, found[0].cpu_s, found[0].peak_mb) == (3.5, 4.0, 400.25)
    assert math.isnan(found[1].cpu_s)
    assert math.isnan(found[1].peak_mb)
