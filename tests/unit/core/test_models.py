"""PSF, zero point, background, kernel, identifiers, tables, masks, settings and errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter

from skyloom.core import mask_planes
from skyloom.core.camera import camera_from_dict
from skyloom.core.camera_keys import CameraFileError
from skyloom.core.errors import DataError, ImageShapeError, UpstreamFailure
from skyloom.core.ids import IdRangeError, object_ids, source_ids
from skyloom.core.images import Background, MaskedImage
from skyloom.core.kernels import MatchingKernel
from skyloom.core.photo_calib import FieldPolynomial, constant_field
from skyloom.core.psf import CellPsf, PixelPsf, effective_area, gaussian_kernel, psf_moments, smoothed
from skyloom.core.random import generator
from skyloom.core.reference import ReferenceStars
from skyloom.core.settings import chosen_settings, settings_hash
from skyloom.core.splines import shift_kernels, spline_coefficients
from skyloom.core.tables import Column, TableColumnsError, TableSchema, column


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (31, 31)])
def test_smoothed_images_are_those_of_scipy(shape):
    image = np.random.default_rng(6).normal(size=shape)

    np.testing.assert_allclose(smoothed(image), uniform_filter(image, 3, mode="constant"), atol=1e-15)


def test_moments_of_a_gaussian_are_its_own():
    sigma, e1, e2 = psf_moments(gaussian_kernel(1.7, 31))
    assert sigma == pytest.approx(1.7, rel=1e-5)
    assert abs(e1) < 1e-12
    assert abs(e2) < 1e-12
    assert effective_area(gaussian_kernel(1.7, 31)) == pytest.approx(4 * np.pi * 1.7**2, rel=1e-6)


def test_moments_of_a_sheared_gaussian_follow_its_covariance():
    y, x = np.mgrid[:41, :41] - 20.0
    covariance = np.array([[4.0, 0.6], [0.6, 2.5]])
    inverse = np.linalg.inv(covariance)
    kernel = np.exp(-0.5 * (inverse[0, 0] * x**2 + 2 * inverse[0, 1] * x * y + inverse[1, 1] * y**2))
    sigma, e1, e2 = psf_moments(kernel)
    assert sigma == pytest.approx(np.linalg.det(covariance) ** 0.25, rel=1e-4)
    assert e1 == pytest.approx(1.5 / 6.5, rel=1e-4)
    assert e2 == pytest.approx(1.2 / 6.5, rel=1e-4)


@pytest.mark.parametrize(("dx", "dy"), [(0.3, -0.4), (-0.5, 0.5), (0.0, 0.0), (1.0, -1.0)])
def test_a_shift_moves_the_centroid_and_keeps_the_sum(dx, dy):
    shifted = shift_kernels(gaussian_kernel(1.6, 31)[None], [dx], [dy])[0]
    y, x = np.mgrid[:31, :31] - 15
    assert shifted.sum() == pytest.approx(1.0, rel=1e-12)
    assert np.sum(shifted * x) == pytest.approx(dx, abs=1e-5)
    assert np.sum(shifted * y) == pytest.approx(dy, abs=1e-5)
    assert np.sum(shifted * (x - dx) ** 2) == pytest.approx(1.6**2, abs=1e-4)


def test_a_polynomial_psf_is_normalised_everywhere_and_varies():
    base, wider = gaussian_kernel(1.5, 21), gaussian_kernel(2.0, 21)
    coefficients = np.stack([base, 0.2 * (wider - base), 0 * base]).astype(np.float32)
    psf = PixelPsf(coefficients, 1, (0.0, 100.0, 0.0, 100.0))
    left, right = psf.kernels_at([0.0, 100.0], [50.0, 50.0])
    assert left.sum() == pytest.approx(1.0)
    assert psf_moments(right)[0] > psf_moments(left)[0] * 1.05
    assert np.allclose(psf.kernel_at(100.0, 50.0), right)


def test_a_cell_psf_gives_the_image_of_the_cell_that_holds_the_point():
    images = np.stack([gaussian_kernel(s, 15) for s in (1.0, 1.5, 2.0, 2.5)]).reshape(2, 2, 15, 15)
    psf = CellPsf(images.astype(np.float32), 10)
    assert psf_moments(psf.kernel_at(9.4, 9.4))[0] == pytest.approx(1.0, rel=0.02)
    assert psf_moments(psf.kernel_at(9.6, 9.4))[0] == pytest.approx(1.5, rel=0.01)
    assert psf_moments(psf.kernel_at(500, 500))[0] == pytest.approx(2.5, rel=0.01)
    assert np.allclose(psf.shifted(10, 10).kernel_at(0, 0), psf.kernel_at(10, 10))


def test_a_background_mesh_reproduces_a_plane_up_to_the_edge():
    mesh = np.add.outer(2.0 * np.arange(5), np.arange(6)).astype(np.float32)
    image = Background(mesh, 64, (300, 350)).image()
    y, x = np.mgrid[:300, :350]
    expected = 2 * ((y + 0.5) / 64 - 0.5) + (x + 0.5) / 64 - 0.5
    assert np.allclose(image, expected, atol=1e-5)


def test_a_background_of_one_bin_is_flat():
    assert np.all(Background(np.full((1, 1), 3.0, np.float32), 64, (40, 50)).image() == 3)


def test_some_rows_of_a_background_are_those_of_its_image():
    mesh = np.random.default_rng(3).normal(800, 5, (5, 6)).astype(np.float32)
    background = Background(mesh, 64, (300, 350))
    parts = [background.rows(slice(first, min(first + 70, 300))) for first in range(0, 300, 70)]
    np.testing.assert_allclose(np.concatenate(parts), background.image(), rtol=1e-6)


def test_a_field_polynomial_evaluates_alike_at_points_and_on_the_grid():
    rng = np.random.default_rng(2)
    field = FieldPolynomial(rng.normal(size=(3, 3)), (-0.5, 49.5, -0.5, 39.5), np.eye(9) * 0.04)
    image = field.image((40, 50))
    assert field.evaluate([7.0], [31.0])[0] == pytest.approx(image[31, 7], rel=1e-5)
    assert field.error([24.5], [19.5])[0] == pytest.approx(0.4, rel=1e-6)
    assert np.isnan(constant_field(2.0, (40, 50)).error([1.0], [1.0])).all()
    assert constant_field(2.0, (40, 50), 0.1).error([1.0], [1.0])[0] == pytest.approx(0.1)


def test_a_matching_kernel_is_the_weighted_basis():
    basis = np.stack([gaussian_kernel(1.0, 11), gaussian_kernel(2.0, 11) - gaussian_kernel(1.0, 11)])
    kernel = MatchingKernel(
        basis, 1, (0.0, 10.0, 0.0, 10.0), np.array([[1.1, 0, 0], [0.5, 0.5, 0]]), "template"
    )
    assert np.allclose(kernel.kernel_at(10, 5), 1.1 * basis[0] + basis[1])
    assert kernel.sum_at([0, 10], [0, 10]) == pytest.approx([1.1, 1.1])
    assert kernel.size == 11


@given(st.integers(0, 2**31 - 1), st.integers(0, 511), st.integers(0, 50))
def test_a_source_identifier_is_31_bits_visit_9_detector_and_23_running_number(visit, detector, n):
    ids = source_ids(visit, detector, n)
    assert ids.dtype == np.int64
    assert ids.tolist() == [visit * 2**32 + detector * 2**23 + number for number in range(n)]


@given(st.integers(0, 2**20 - 1), st.integers(0, 2**14 - 1), st.integers(0, 1000))
def test_an_object_identifier_is_20_bits_tract_14_patch_and_29_running_number(tract, patch, first):
    ids = object_ids(tract, patch, 3, first)
    assert ids.dtype == np.int64
    assert ids.tolist() == [tract * 2**43 + patch * 2**29 + number for number in range(first, first + 3)]


def test_numbers_that_do_not_fit_in_an_identifier_are_refused():
    with pytest.raises(IdRangeError, match="visit 2147483648 does not fit"):
        source_ids(2**31, 0, 1)
    with pytest.raises(IdRangeError, match="detector 512"):
        source_ids(1, 512, 1)
    with pytest.raises(IdRangeError, match="tract -1"):
        object_ids(-1, 0, 1)


SCHEMA = TableSchema(
    "t",
    (Column("a", "int64", "", "A."), Column("b", "float32", "nJy", "B."), Column("c", "string", "", "C.")),
)


def test_a_table_carries_units_and_keeps_nan():
    table = SCHEMA.table({"a": np.arange(2), "b": np.array([1.0, np.nan]), "c": ["x", "y"]})
    assert table.schema.field("b").metadata[b"unit"] == b"nJy"
    assert np.isnan(column(table, "b")[1])
    assert column(table, "b").dtype == np.float32
    assert SCHEMA.empty().num_rows == 0
    assert column(SCHEMA.empty(), "a").shape == (0,)


def test_missing_and_unknown_columns_are_named():
    with pytest.raises(TableColumnsError, match=r"missing columns \['b', 'c'\], unknown columns \['d'\]"):
        SCHEMA.table({"a": [1], "d": [2]})


def test_mask_planes_are_distinct_bits_in_their_order():
    values = [int(mask_planes.bits(name)) for name in mask_planes.PLANES]
    assert values == [1 << i for i in range(len(values))]
    assert mask_planes.bits("BAD", "CR") == mask_planes.BAD | mask_planes.CR
    with pytest.raises(KeyError):
        mask_planes.bits("NONE")


def test_planes_of_different_shapes_are_refused():
    with pytest.raises(ImageShapeError, match=r"variance \(3, 4\)"):
        MaskedImage(np.zeros((3, 3)), np.zeros((3, 3), np.uint32), np.zeros((3, 4)))


def test_reference_stars_select_and_check_their_columns():
    columns = [np.arange(3)] + [np.arange(3.0)] * 6
    stars = ReferenceStars(*columns)
    assert len(stars) == 3
    assert stars.select(np.array([2, 0])).id.tolist() == [2, 0]
    with pytest.raises(ImageShapeError):
        ReferenceStars(np.arange(2), *columns[1:])


def test_random_streams_depend_on_the_data_id_alone():
    first, same = generator(1, "rule", 5, 3).random(3), generator(1, "rule", 5, 3).random(3)
    assert np.array_equal(first, same)
    assert not np.array_equal(first, generator(1, "rule", 53).random(3))
    assert not np.array_equal(first, generator(2, "rule", 5, 3).random(3))


def test_the_hash_of_settings_ignores_the_order_of_keys():
    assert settings_hash({"a": 1, "b": {"c": 2, "d": 3}}) == settings_hash({"b": {"d": 3, "c": 2}, "a": 1})
    assert settings_hash({"a": 1}) != settings_hash({"a": 2})


def test_chosen_settings_are_those_named_without_those_left_out():
    settings = {"a": {"b": {"c": 1, "d": 2}, "e": 3}, "f": 4}
    assert chosen_settings(settings, ["a.b", "f"]) == {"a": {"b": {"c": 1, "d": 2}}, "f": 4}
    assert chosen_settings(settings, ["a"], without=["a.b.d", "a.e"]) == {"a": {"b": {"c": 1}}}
    assert settings == {"a": {"b": {"c": 1, "d": 2}, "e": 3}, "f": 4}
    for names, without in ((["a.x"], []), (["a"], ["a.x"]), (["a"], ["f"])):
        with pytest.raises(KeyError):
            chosen_settings(settings, names, without)


def test_a_failure_keeps_its_first_reason_on_the_way_down():
    class SomethingWrongError(DataError):
        """A named error."""

    assert SomethingWrongError("x").reason == "SomethingWrong"
    first = UpstreamFailure("calexp/1/2.fits", "TooFewStars", "3 stars, needs 10")
    second = UpstreamFailure("warp/g/1.fits", first.reason, str(first))
    assert second.reason == "TooFewStars"
    assert str(second) == "3 stars, needs 10 [first seen in calexp/1/2.fits]"


def test_a_camera_file_gives_its_detectors_and_amplifiers(description):
    camera = camera_from_dict(description)
    assert camera.detectors[0].amplifiers[1].flip_x
    assert camera.detectors[0].amplifiers[0].overscan_section == (100, 110, 0, 80)
    assert camera.detectors[1].orientation == 90.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("bands"), "keys bands are missing"),
        (lambda d: d.update(parity=2), "parity is 2"),
        (lambda d: d["raw"].update(format="hdf5"), "raw.format is hdf5"),
        (lambda d: d["detectors"][0].update(amplifiers="none"), "no amplifier set is called none"),
        (lambda d: d["detectors"][0].update(shape=[80, 201]), "tile 99.5% of the pixels"),
        (lambda d: d["amplifier_sets"]["pair"][0].update(data_section=[0, 99, 0, 80]), "differ in size"),
        (
            lambda d: d["amplifier_sets"]["pair"][0].update(gian=2.0),
            "detector 0: amplifier A: unknown key 'gian'",
        ),
        (lambda d: d.update(bans=[]), "unknown key 'bans'; allowed: name, .*; nearest: bands"),
        (lambda d: d.update(bands="r"), "bands is 'r', needs a list"),
        (lambda d: d.update(pixel_scale="wide"), "pixel_scale is 'wide', needs a number"),
        (lambda d: d.update(detectors=[]), r"detectors is \[\], needs keys"),
        (lambda d: d.update(raw="single"), "raw is 'single', needs keys"),
        (lambda d: d["raw"].pop("format"), "raw: keys format are missing"),
        (lambda d: d["raw"].update(headers={}), "raw: unknown key 'headers'.*nearest: header"),
        (lambda d: d["detectors"].update({"first": {}}), "detectors has 'first', needs numbers"),
        (
            lambda d: d["detectors"][1].update(orientaton=90),
            "detector 1: .*'orientaton'.*nearest: orientation",
        ),
        (lambda d: d["detectors"][1].pop("shape"), "detector 1: keys shape are missing"),
        (lambda d: d["detectors"][1].update(shape=80), r"shape is 80, needs \[ny, nx\]"),
        (lambda d: d["detectors"][1].update(shape=[80.5, 200]), "shape .* needs whole numbers"),
        (lambda d: d["detectors"][1].update(centre=[1]), r"centre is \[1\], needs \[fx, fy\]"),
        (lambda d: d["detectors"][0].update(amplifiers=3), "amplifiers is 3, needs a list"),
        (lambda d: d["amplifier_sets"]["pair"][1].pop("data_section"), "amplifier B: keys data_section are"),
        (lambda d: d["amplifier_sets"]["pair"][1].update(data_section=[9, 3, 0, 80]), "needs x0 < x1"),
        (lambda d: d["detectors"][0].update(shape=[80, 199]), r"\[100, 200, 0, 80\] leaves the detector"),
        (
            lambda d: d["amplifier_sets"]["pair"][0].update(overscan_section=[100, 110, 0, 79]),
            "amplifier A: overscan_section .* must cover the rows",
        ),
        (
            lambda d: d["amplifier_sets"]["pair"][0].update(overscan_section=[99, 110, 0, 80]),
            "amplifier A: overscan_section .* overlaps data_section",
        ),
        (
            lambda d: d["amplifier_sets"]["pair"][0].update(parallel_overscan_section=[1, 100, 80, 90]),
            "parallel_overscan_section .* must cover the columns",
        ),
    ],
)
def test_a_camera_file_that_contradicts_itself_is_refused(description, change, message):
    change(description)
    with pytest.raises(CameraFileError, match=message):
        camera_from_dict(description)


def test_a_camera_file_that_is_no_mapping_is_refused():
    with pytest.raises(CameraFileError, match="the file is 'just words', needs keys"):
        camera_from_dict("just words")


def test_moments_of_an_undersampled_psf_do_not_shrink_to_its_middle_pixel():
    kernel = np.zeros((25, 25))
    kernel[11:14, 11:14] = [[0.20, 0.43, 0.13], [0.43, 1.0, 0.42], [0.15, 0.35, 0.21]]
    kernel += 0.01 * gaussian_kernel(4.0, 25) / gaussian_kernel(4.0, 25).max()

    sigma, e1, e2 = psf_moments(kernel / kernel.sum())

    assert 0.6 < sigma < 0.75
    assert abs(e1) < 0.1
    assert abs(e2) < 0.1


def test_splines_of_each_psf_are_those_of_its_images():
    sharp, wide = gaussian_kernel(1.3, 15), gaussian_kernel(2.0, 15)
    varying = PixelPsf(np.stack([sharp, wide - sharp, sharp - wide]).astype(np.float32), 1, (0, 99, 0, 99))
    cells = CellPsf(np.stack([sharp, wide, np.full((15, 15), np.nan)])[None].astype(np.float32), 40)
    x, y = np.r_[3.0, 50.0, 70.0, 70.0], np.r_[4.0, 5.0, 6.0, 7.0]
    for psf in (varying, cells):
        expected = spline_coefficients(psf.kernels_at(x, y))
        np.testing.assert_allclose(psf.splines_at(x, y), expected, atol=1e-6)
    assert np.isnan(cells.splines_at([100.0], [5.0])).all()


def test_a_table_is_made_of_rows():
    schema = TableSchema("t", (Column("n", "int64", "", "N."), Column("x", "float64", "", "X.")))
    table = schema.table_of_rows([(1, 0.5), (2, float("nan"))])
    assert column(table, "n").tolist() == [1, 2]
    assert column(table, "x") == pytest.approx([0.5, np.nan], nan_ok=True)
    assert table.column("x").null_count == 0
    assert schema.table_of_rows([]).schema.equals(schema.arrow_schema(), check_metadata=True)
    with pytest.raises(TableColumnsError, match=r"missing columns \['x'\]"):
        schema.table_of_rows([(1, 0.5), (2,)])
    with pytest.raises(TableColumnsError, match=r"unknown columns \['z'\]"):
        schema.table_of_rows([(1, 0.5, "z")])


def test_areas_of_a_psf_are_those_of_its_images():
    coefficients = np.random.default_rng(4).normal(0, 1e-3, (3, 9, 9))
    coefficients[0] += gaussian_kernel(1.4, 9)
    psf = PixelPsf(coefficients.astype(np.float32), 1, (-0.5, 99.5, -0.5, 99.5))
    x, y = np.array([0.0, 50.0, 99.0]), np.array([10.0, 50.0, 80.0])

    assert psf.areas_at(x, y) == pytest.approx(effective_area(psf.kernels_at(x, y)))
    assert psf.areas_at(np.empty(0), np.empty(0)).shape == (0,)
