import gzip

import erfa
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.time import Time

from skyloom.core.errors import CorruptProductError
from skyloom.core.tables import Column, TableSchema
from skyloom.io.provenance import Provenance
from skyloom.io.reference import missing_reference_columns, read_reference_catalog
from skyloom.io.reference_files import (
    ReferenceCatalogMissingError,
    ReferenceColumnError,
    ReferenceKindError,
    ReferenceUnreadableError,
    ReferenceValueError,
)
from skyloom.io.reference_quantities import ReferenceBandError, likely_parallaxes
from skyloom.io.tables import write_table

MJD = 61000.0
REGION = (150.0, 2.2, 0.5)
COLUMNS = (
    *("id", "ra", "dec", "ra_error", "dec_error", "epoch"),
    *("pmra", "pmdec", "pmra_error", "pmdec_error", "parallax", "parallax_error"),
)


def make_settings(**changes):
    """Section reference with the schema's defaults, some of them changed."""
    return {
        "columns": {name: name for name in COLUMNS} | {"epoch": None},
        "angle_unit": "degree",
        "epoch": 2016.0,
        "fluxes": {},
        "flux_errors": {},
        "flux_unit": "nJy",
        "vega_ab_magnitudes": {},
        "colour_terms": {},
        "colour": None,
        "default_position_error": 20.0,
        "default_flux_error": 0.02,
    } | changes


def make_catalogue(seed=1, n=50):
    """Columns of a small catalogue around the region, by their default names."""
    rng = np.random.default_rng(seed)
    columns = {
        "id": np.arange(100, 100 + n),
        "ra": 150.0 + rng.uniform(-0.3, 0.3, n),
        "dec": 2.2 + rng.uniform(-0.3, 0.3, n),
        "flux_r": 10 ** rng.uniform(3, 6, n),
    }
    columns["flux_r_error"] = 0.01 * columns["flux_r"]
    for name, size in (("pmra", 50.0), ("pmdec", 50.0), ("parallax", 10.0)):
        columns[name] = rng.normal(0, size, n)
    for name in ("ra_error", "dec_error", "pmra_error", "pmdec_error"):
        columns[name] = np.full(n, 2.0)
    columns["parallax_error"] = np.full(n, 1e-3)
    return columns


def write_parquet(path, columns):
    pq.write_table(pa.table(columns), path)


def write_fits(path, columns):
    hdu = fits.BinTableHDU.from_columns(
        [fits.Column(name, "K" if v.dtype.kind == "i" else "D", array=v) for name, v in columns.items()]
    )
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)


def write_csv(path, columns):
    rows = zip(*columns.values(), strict=True)
    lines = ["# a comment", ",".join(columns), *(",".join(repr(v.item()) for v in row) for row in rows)]
    path.write_text("\n".join(lines))


def write_ecsv(path, columns):
    rows = zip(*columns.values(), strict=True)
    lines = ["# %ECSV 1.0", " ".join(columns), *(" ".join(repr(v.item()) for v in row) for row in rows)]
    path.write_text("\n".join(lines))


WRITERS = {
    "stars.parquet": write_parquet,
    "stars.fits": write_fits,
    "stars.fits.gz": write_fits,
    "stars.csv": write_csv,
    "stars.ecsv": write_ecsv,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_stars(tmp_path, name):
    columns = make_catalogue()
    WRITERS[name](tmp_path / name, columns)
    write_parquet(tmp_path / "plain.parquet", columns)

    stars = read_reference_catalog(tmp_path / name, make_settings(), "r", REGION, MJD)

    plain = read_reference_catalog(tmp_path / "plain.parquet", make_settings(), "r", REGION, MJD)
    for field in stars.__slots__:
        assert np.array_equal(getattr(stars, field), getattr(plain, field))
    assert stars.id.tolist() == columns["id"].tolist()
    assert stars.flux == pytest.approx(columns["flux_r"])


def test_a_folder_is_read_shard_by_shard_and_cut_to_the_region(tmp_path):
    first, second, far = make_catalogue(1), make_catalogue(2), make_catalogue(3)
    far["ra"] = far["ra"] + 90.0
    write_parquet(tmp_path / "b.parquet", second)
    write_fits(tmp_path / "a.fits", first)
    write_csv(tmp_path / "c.csv", far)
    (tmp_path / "README.md").write_text("no catalogue")

    stars = read_reference_catalog(tmp_path, make_settings(), "r", REGION, MJD)

    assert stars.flux == pytest.approx(np.concatenate([first["flux_r"], second["flux_r"]]))


@pytest.mark.parametrize("axis", ["ra", "dec"])
def test_of_a_large_parquet_file_only_the_row_groups_around_the_region_are_read(tmp_path, axis):
    columns = make_catalogue(n=1000)
    order = np.argsort(columns[axis])
    columns = {name: values[order] for name, values in columns.items()}
    path = tmp_path / "sorted.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=100)
    region = (150.0, 2.2, 0.05)
    whole = read_reference_catalog(path, make_settings(), "r", region, MJD)
    # The first rows lie far west or south of the region: what stands there now is no Parquet page.
    data = bytearray(path.read_bytes())
    data[4:400] = b"X" * 396
    path.write_bytes(data)

    again = read_reference_catalog(path, make_settings(), "r", region, MJD)

    assert len(whole) > 10
    np.testing.assert_array_equal(again.id, whole.id)
    with pytest.raises(
        ReferenceUnreadableError, match="sorted.parquet: the reference catalogue cannot be read"
    ):
        read_reference_catalog(path, make_settings(), "r", (149.75, 1.95, 0.05), MJD)


@pytest.mark.parametrize("lines_of_a_block", [1, 7, 1000])
def test_a_csv_file_is_read_in_blocks_with_comments_and_blank_lines_anywhere(
    tmp_path, monkeypatch, lines_of_a_block
):
    columns = make_catalogue(n=300)
    write_csv(tmp_path / "plain.csv", columns)
    whole = read_reference_catalog(tmp_path / "plain.csv", make_settings(), "r", REGION, MJD)
    lines = (tmp_path / "plain.csv").read_text().splitlines()
    lines[40:40] = ["# in the middle", ""]
    (tmp_path / "stars.csv").write_bytes("\r\n".join([*lines, "# the end", ""]).encode("utf-8-sig"))
    monkeypatch.setattr("skyloom.io.reference_files.CSV_BLOCK_BYTES", lines_of_a_block * len(lines[5]))

    stars = read_reference_catalog(tmp_path / "stars.csv", make_settings(), "r", REGION, MJD)

    assert len(whole) == 300
    for field in stars.__slots__:
        np.testing.assert_array_equal(getattr(stars, field), getattr(whole, field))


def test_a_region_over_the_meridian_and_the_pole_is_cut_right(tmp_path):
    columns = make_catalogue(n=3)
    columns["ra"] = np.array([359.9, 0.1, 180.0])
    columns["dec"] = np.array([0.0, 0.0, 0.0])
    write_parquet(tmp_path / "a.parquet", columns)
    columns["dec"] = np.array([89.9, 89.9, 89.9])
    write_parquet(tmp_path / "pole.parquet", columns)

    stars = read_reference_catalog(tmp_path / "a.parquet", make_settings(), "r", (0.0, 0.0, 0.5), MJD)
    polar = read_reference_catalog(tmp_path / "pole.parquet", make_settings(), "r", (90.0, 89.8, 0.5), MJD)

    assert stars.id.tolist() == [100, 101]
    assert len(polar) == 3


def test_positions_agree_with_astropy_after_proper_motion_and_parallax(tmp_path):
    columns = make_catalogue()
    columns["parallax"] = np.abs(columns["parallax"]) + 1.0
    write_parquet(tmp_path / "a.parquet", columns)

    stars = read_reference_catalog(tmp_path / "a.parquet", make_settings(), "r", REGION, MJD)

    coordinates = SkyCoord(
        columns["ra"] * units.deg,
        columns["dec"] * units.deg,
        pm_ra_cosdec=columns["pmra"] * units.mas / units.yr,
        pm_dec=columns["pmdec"] * units.mas / units.yr,
        distance=(1000 / columns["parallax"]) * units.pc,
        obstime=Time(2016.0, format="jyear", scale="tcb"),
    )
    moved = coordinates.apply_space_motion(new_obstime=Time(MJD, format="mjd", scale="tai"))
    earth = erfa.epv00(2400000.5, MJD)[1]["p"]
    vectors = moved.cartesian.xyz.to_value(units.au).T - earth
    expected_ra = np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0])) % 360
    expected_dec = np.degrees(np.arctan2(vectors[:, 2], np.hypot(vectors[:, 0], vectors[:, 1])))
    assert np.abs(stars.ra - expected_ra).max() * 3.6e6 < 0.01
    assert np.abs(stars.dec - expected_dec).max() * 3.6e6 < 0.01


def test_the_error_of_the_motion_grows_with_time_and_an_unknown_motion_counts(tmp_path):
    columns = make_catalogue(n=3)
    columns["pmra"][1] = np.nan
    columns["ra_error"][2] = np.nan
    write_parquet(tmp_path / "a.parquet", columns)

    stars = read_reference_catalog(tmp_path / "a.parquet", make_settings(), "r", REGION, MJD)

    years = 2000 + (MJD - 51544.5) / 365.25 - 2016.0
    expected = np.hypot([2.0, 2.0, 20.0], np.array([2.0, 5.0, 2.0]) * years) / 1000
    assert stars.ra_err == pytest.approx(expected)
    assert stars.dec_err == pytest.approx(np.full(3, np.hypot(2.0, 2.0 * years) / 1000))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noisy_parallaxes_do_not_move_stars_by_their_noise(seed):
    rng = np.random.default_rng(seed)
    true = np.r_[rng.exponential(0.6, 1000), 100.0]
    error = np.r_[rng.uniform(0.1, 3.0, 1000), 0.1]
    measured = true + rng.normal(0, error)
    measured[7] = np.nan

    parallax, stated = likely_parallaxes(measured, error)

    off = parallax - true
    assert abs(off[-1]) < 0.5
    assert np.std(off[:-1]) < 0.7
    # All stars together are off by the error of the typical parallax alone, known by 500 that differ by 1.1 mas.
    assert abs(np.mean(off[:-1])) < 3 * 1.1 / np.sqrt(500)
    # An exponential law has a longer tail than the normal one that is assumed.
    assert 1.4826 * np.median(np.abs(off / stated)) == pytest.approx(1.0, abs=0.15)
    assert np.std(off / stated) < 1.3
    assert parallax[7] == pytest.approx(0.6, abs=0.3)


def test_the_error_of_the_parallax_is_seen_as_far_as_the_earth_is_off(tmp_path):
    columns = make_catalogue(n=3)
    columns["parallax_error"] = np.array([1e-3, 30.0, np.nan])
    write_parquet(tmp_path / "a.parquet", columns)

    stars = read_reference_catalog(tmp_path / "a.parquet", make_settings(), "r", REGION, MJD)

    ra, dec = np.radians(columns["ra"][1]), np.radians(columns["dec"][1])
    earth = erfa.epv00(2400000.5, MJD)[1]["p"]
    east = -earth[0] * np.sin(ra) + earth[1] * np.cos(ra)
    north = earth[2] * np.cos(dec) - np.sin(dec) * (earth[0] * np.cos(ra) + earth[1] * np.sin(ra))
    assert stars.ra_err[1] == pytest.approx(np.hypot(stars.ra_err[0], 0.03 * east), rel=1e-6)
    assert stars.dec_err[1] == pytest.approx(np.hypot(stars.dec_err[0], 0.03 * north), rel=1e-6)
    assert stars.ra_err[2] == pytest.approx(stars.ra_err[0], rel=1e-6)


def test_a_column_of_epochs_is_used(tmp_path):
    columns = make_catalogue(n=2)
    columns["epoch"] = np.array([2000.0, 2000 + (MJD - 51544.5) / 365.25])
    settings = make_settings()
    settings["columns"] |= {"epoch": "epoch", "parallax": None}
    write_parquet(tmp_path / "a.parquet", columns)

    stars = read_reference_catalog(tmp_path / "a.parquet", settings, "r", REGION, MJD)

    assert stars.dec[1] == pytest.approx(columns["dec"][1], abs=1e-12)
    moved = (stars.dec[0] - columns["dec"][0]) * 3.6e6
    assert moved == pytest.approx(columns["pmdec"][0] * (columns["epoch"][1] - 2000.0), rel=1e-4)


def test_a_catalogue_of_positions_and_magnitudes_alone_is_enough(tmp_path):
    (tmp_path / "tycho.csv").write_text("ra_deg,dec_deg,mag_vt\n150.0,2.2,10.0\n150.1,2.2,\n")
    settings = make_settings(
        columns=dict.fromkeys(COLUMNS) | {"ra": "ra_deg", "dec": "dec_deg"},
        fluxes={"V": "mag_vt"},
        flux_unit="mag_vega",
        vega_ab_magnitudes={"V": 0.02},
        epoch=2000.0,
    )

    stars = read_reference_catalog(tmp_path / "tycho.csv", settings, "V", REGION, MJD)

    assert stars.id.tolist() == [0, 1]
    assert stars.flux[0] == pytest.approx(10 ** (0.4 * (31.4 - 10.02)))
    assert stars.flux_err[0] == pytest.approx(0.02 * stars.flux[0])
    assert np.isnan(stars.flux[1])
    assert np.isnan(stars.flux_err[1])
    assert stars.ra == pytest.approx([150.0, 150.1])


@pytest.mark.parametrize(
    ("unit", "value", "error"), [("Jy", 1e-5, 1e-7), ("uJy", 10.0, 0.1), ("mag_ab", 21.4, 0.010857)]
)
def test_units_of_flux_are_converted(tmp_path, unit, value, error):
    columns = make_catalogue(n=1) | {"m": np.array([value]), "e": np.array([error])}
    write_parquet(tmp_path / "a.parquet", columns)
    settings = make_settings(fluxes={"r": "m"}, flux_errors={"r": "e"}, flux_unit=unit)

    stars = read_reference_catalog(tmp_path / "a.parquet", settings, "r", REGION, MJD)

    assert stars.flux[0] == pytest.approx(1e4, rel=1e-6)
    assert stars.flux_err[0] == pytest.approx(100.0, rel=1e-3)


def test_radians_and_names_for_identities_are_read(tmp_path):
    columns = make_catalogue(n=2)
    columns |= {"ra": np.radians(columns["ra"]), "dec": np.radians(columns["dec"])}
    table = pa.table(columns | {"id": ["TYC 1", "TYC 2"]})
    pq.write_table(table, tmp_path / "a.parquet")

    stars = read_reference_catalog(
        tmp_path / "a.parquet", make_settings(angle_unit="radian"), "r", REGION, MJD
    )

    assert stars.id.tolist() == [0, 1]
    assert stars.dec == pytest.approx(np.degrees(columns["dec"]), abs=1e-3)


def test_a_region_without_stars_gives_none(tmp_path):
    write_parquet(tmp_path / "a.parquet", make_catalogue())

    assert (
        len(read_reference_catalog(tmp_path / "a.parquet", make_settings(), "r", (10.0, -60.0, 1.0), MJD))
        == 0
    )


@pytest.mark.parametrize("name", WRITERS)
def test_a_missing_column_is_named_with_its_key_and_what_there_is(tmp_path, name):
    WRITERS[name](tmp_path / name, make_catalogue())

    with pytest.raises(ReferenceColumnError, match="no column 'flux_z' for flux; the file has .*flux_r"):
        read_reference_catalog(tmp_path / name, make_settings(), "z", REGION, MJD)


def test_an_empty_csv_file_has_no_column(tmp_path):
    (tmp_path / "a.csv").write_text("")

    with pytest.raises(ReferenceColumnError, match="no column 'id'"):
        read_reference_catalog(tmp_path / "a.csv", make_settings(), "r", REGION, MJD)


def test_a_missing_catalogue_is_named(tmp_path):
    with pytest.raises(ReferenceCatalogMissingError, match="nowhere: no reference catalogue there"):
        read_reference_catalog(tmp_path / "nowhere", make_settings(), "r", REGION, MJD)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReferenceCatalogMissingError, match="empty"):
        read_reference_catalog(tmp_path / "empty", make_settings(), "r", REGION, MJD)


def test_vega_magnitudes_without_a_zero_point_are_refused(tmp_path):
    write_parquet(tmp_path / "a.parquet", make_catalogue())

    with pytest.raises(ReferenceBandError, match="no AB magnitude of Vega for band 'r'"):
        read_reference_catalog(tmp_path / "a.parquet", make_settings(flux_unit="mag_vega"), "r", REGION, MJD)


def test_a_flipped_bit_in_our_own_catalogue_is_refused(tmp_path):
    columns = make_catalogue()
    types = {"i": "int64", "f": "float64"}
    schema = TableSchema(
        "reference", tuple(Column(n, types[v.dtype.kind], "", n) for n, v in columns.items())
    )
    path = tmp_path / "own.parquet"
    write_table(path, schema.table(columns), Provenance("rule", {}, "0", "c", "h", "f", (), {}))
    assert len(read_reference_catalog(path, make_settings(), "r", REGION, MJD)) == 50
    data = bytearray(path.read_bytes())
    for position in (200, len(data) // 2, len(data) - 100):
        damaged = bytearray(data)
        damaged[position] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(CorruptProductError):
            read_reference_catalog(path, make_settings(), "r", REGION, MJD)


@pytest.mark.parametrize("name", ["stars.parquet", "stars.csv"])
def test_text_in_a_column_of_numbers_is_named(tmp_path, name):
    columns = make_catalogue()
    columns["pmra"] = np.array(["1.5", "unknown", *["2"] * 48])
    WRITERS[name](tmp_path / name, columns)
    if name == "stars.csv":
        text = (tmp_path / name).read_text(encoding="utf-8").replace("'", "")
        (tmp_path / name).write_text(text, encoding="utf-8")

    with pytest.raises(ReferenceValueError, match="column 'pmra' for pmra holds 'unknown', needs numbers"):
        read_reference_catalog(tmp_path / name, make_settings(), "r", REGION, MJD)


def test_a_name_in_capitals_is_read_and_one_of_another_kind_refused(tmp_path):
    write_fits(tmp_path / "STARS.FITS", make_catalogue())
    assert len(read_reference_catalog(tmp_path / "STARS.FITS", make_settings(), "r", REGION, MJD)) == 50
    (tmp_path / "stars.txt").write_text("1 2 3")
    with pytest.raises(
        ReferenceKindError, match="stars.txt: a reference catalogue's name must end in .parquet"
    ):
        read_reference_catalog(tmp_path / "stars.txt", make_settings(), "r", REGION, MJD)


def test_columns_that_a_fits_catalogue_lacks_are_found_and_a_damaged_one_named(tmp_path):
    path = tmp_path / "stars.fits"
    write_fits(path, make_catalogue())
    settings = make_settings(fluxes={"r": "flux_rr"}, flux_errors={"r": "flux_r_error"})
    missing, available = missing_reference_columns(path, settings, ["r"])
    assert missing == [("fluxes.r", "flux_rr")]
    assert "flux_r" in available
    packed = tmp_path / "stars.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert missing_reference_columns(packed, settings, ["r"])[0] == missing
    path.write_bytes(b"no FITS file at all")
    with pytest.raises(ReferenceUnreadableError, match="stars.fits: the reference catalogue cannot be read"):
        missing_reference_columns(path, settings, ["r"])


@pytest.mark.parametrize("name", ["stars.parquet", "stars.csv", "stars.ecsv"])
def test_missing_columns_are_found_from_the_header_alone(tmp_path, name):
    WRITERS[name](tmp_path / name, make_catalogue())

    missing, available = missing_reference_columns(tmp_path, make_settings(), ["r", "z"])
    assert missing == [("fluxes.z", "flux_z"), ("flux_errors.z", "flux_z_error")]
    assert set(make_catalogue()) == set(available)
