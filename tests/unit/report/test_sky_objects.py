"""Tests of skyloom.report.sky_objects."""

import numpy as np
import pytest
from report_parts import filled

from skyloom.core.schemas import SOURCE
from skyloom.report.metrics import metrics_table
from skyloom.report.sky_objects import SkyObjectCollector


def sources_with(pulls, n_source=20, halo=0):
    """Return bright sources, sky objects of some fluxes over their errors, and bright ones in a halo."""
    n = n_source + len(pulls) + halo
    flux = np.concatenate([np.full(n_source, 500.0), 2 * np.asarray(pulls), np.full(halo, 90.0)])
    return filled(
        SOURCE, n, psfFlux=flux, psfFluxErr=np.full(n, 2.0), sky_source=np.arange(n) >= n_source,
        pixelFlags_halo=np.arange(n) >= n - halo,
    )  # fmt: skip


def rows_of(collector, bands, band_of):
    rows = metrics_table(collector.measurements(bands, band_of)).to_pylist()
    return {(row["subject"], row["name"], row["band"]): row for row in rows}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_passes_and_a_sky_that_is_too_low_does_not(seed):
    rng = np.random.default_rng(seed)
    collector = SkyObjectCollector()
    collector.add(sources_with(rng.normal(0, 1, 200), halo=5), 1, "r")
    collector.add(sources_with(rng.normal(0, 1, 200)), 1, "r")
    collector.add(sources_with(rng.normal(0.5, 1.3, 200)), 2, "i")

    rows = rows_of(collector, ["r", "i"], {1: "r", 2: "i", 3: "i"})

    for subject in ("survey", "visit 1"):
        assert rows[subject, "sky_flux", "r"]["n"] == 400
        assert abs(rows[subject, "sky_flux", "r"]["value"]) < 4
        assert rows[subject, "sky_chi2", "r"]["value"] == pytest.approx(1.0, abs=4 * np.sqrt(2 / 400))
    low = rows["visit 2", "sky_flux", "i"]
    assert low["value"] > 3
    assert not low["ok"]
    assert not rows["visit 2", "sky_chi2", "i"]["ok"]
    assert np.isnan(rows["visit 3", "sky_flux", "i"]["value"])


def test_few_sky_objects_tell_nothing():
    collector = SkyObjectCollector()
    collector.add(sources_with([0.1, -0.2]), 1, "r")

    rows = rows_of(collector, ["r", "g"], {1: "r"})

    assert all(np.isnan(row["value"]) and not row["ok"] for row in rows.values())
    assert rows["visit 1", "sky_chi2", "r"]["n"] == 2
