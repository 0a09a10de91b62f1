"""Mask bits below sources."""

import numpy as np
import pytest

from skyloom.algorithms.mask_flags import bits_in_boxes, box_flags, mark_discs_in_place


def test_bits_are_those_of_the_box_about_the_nearest_pixel():
    mask = np.zeros((20, 30), np.uint32)
    mask[10, 12], mask[13, 10] = 1, 4
    bits, is_cut = bits_in_boxes(mask, np.array([10.4, 10.4, 14.6]), np.array([10.0, 11.0, 10.0]), 2)
    assert bits.tolist() == [1, 5, 0]
    assert not is_cut.any()


def test_boxes_over_the_edge_are_told():
    mask = np.zeros((20, 30), np.uint32)
    x, y = np.array([1.0, 28.0, 15.0, 15.0, 2.0]), np.array([10.0, 10.0, 1.0, 18.4, 2.0])
    assert bits_in_boxes(mask, x, y, 2)[1].tolist() == [True, True, True, True, False]


def test_flags_tell_of_the_box_and_some_of_them_of_the_central_pixels_too():
    mask = np.zeros((20, 30), np.uint32)
    mask[10, 12], mask[13, 10] = 1, 4
    position = np.array([12.0, 10.0, 0.0]), np.array([10.0, 11.0, 5.0])
    planes = {"bad": np.uint32(1), "cr": np.uint32(4), "edge": np.uint32(8)}

    flags = box_flags(mask, position, 1.2, planes, ["bad"])

    assert {name: values.tolist() for name, values in flags.items()} == {
        "pixelFlags_bad": [True, True, False],
        "pixelFlags_cr": [False, True, False],
        "pixelFlags_edge": [False, False, True],
        "pixelFlags_badCenter": [True, False, False],
    }


@pytest.mark.kernels
def test_discs_are_marked_once_and_only_where_the_bit_was_not():
    mask = np.zeros((12, 14), np.uint32)
    mask[5, 6], mask[0, 0] = 4 | 1, 4

    marked = mark_discs_in_place(mask, np.array([5, 5, 0]), np.array([6, 7, 0]), 1.0, np.uint32(4))

    expected = {(4, 6), (4, 7), (5, 5), (5, 7), (5, 8), (6, 6), (6, 7), (0, 1), (1, 0)}
    assert set(zip(*np.divmod(marked, 14), strict=True)) == expected
    assert len(marked) == len(expected)
    assert set(zip(*np.nonzero(mask & 4), strict=True)) == expected | {(5, 6), (0, 0)}
    assert mask[5, 6] == 5
