"""Real reference catalogues are read by a column map alone."""

import numpy as np
import pytest

from skyloom.io.reference import read_reference_catalog
from skyloom.workflow.config import fill_defaults, load_schema

MJD = 59000.0


@pytest.fixture(scope="module")
def settings(pytestconfig):
    """Section reference with no column but what a test names."""
    section = fill_defaults(load_schema(pytestconfig.rootpath / "config" / "schema"), {})["reference"]
    return section | {"columns": dict.fromkeys(section["columns"])}


@pytest.mark.realdata
def test_shards_of_gaia_in_radians_are_read_as_one_catalogue(realdata, settings, tmp_path):
    for shard in (realdata / "refcats-ps1-gaia").glob("gaia*.fits.gz"):
        (tmp_path / shard.name).symlink_to(shard)
    columns = settings["columns"] | {"id": "id", "ra": "coord_ra", "dec": "coord_dec"}
    changes = {"columns": columns, "angle_unit": "radian", "fluxes": {"r": "phot_rp_mean_flux"}}

    stars = read_reference_catalog(tmp_path, settings | changes, "r", (320.9, -0.4, 0.8), MJD)

    assert len(stars) > 5000
    assert len(np.unique(stars.id)) == len(stars)
    assert np.isfinite(stars.flux).mean() > 0.5


@pytest.mark.realdata
def test_an_ecsv_extract_of_refcat2_with_empty_values_is_read(realdata, settings):
    path = realdata / "ey-uma-refcat2" / "all_refcat2_ey_uma.ecsv"
    columns = {
        "id": "id",
        "ra": "RA_ICRS",
        "dec": "DE_ICRS",
        "pmra": "pmRA",
        "pmdec": "pmDE",
        "parallax": "Plx",
        "parallax_error": "e_Plx",
    }
    changes = {
        "columns": settings["columns"] | columns,
        "fluxes": {"r": "rmag", "J": "Jmag"},
        "flux_errors": {"r": "e_rmag"},
        "flux_unit": "mag_ab",
    }

    stars = read_reference_catalog(path, settings | changes, "r", (135.551, 49.843, 0.3), MJD)
    infrared = read_reference_catalog(path, settings | changes, "J", (135.551, 49.843, 0.3), MJD)

    assert len(stars) > 100
    assert np.isfinite(stars.flux).all()
    assert 0 < np.isnan(infrared.flux).sum() < len(stars)
