"""Tests of skyloom.core.psf_colour, and of a PSF that has a colour."""

from dataclasses import replace

import numpy as np
import pytest

from skyloom.core.psf import PixelPsf, effective_area, gaussian_kernel, psf_moments
from skyloom.core.psf_colour import ColouredPsf, PsfColour, in_colours, no_colour

PLACES = (np.array([10.0, 80.0, 50.0]), np.array([20.0, 30.0, 90.0]))


def make_psf(*, with_colour=True):
    """PSF that is wider to the right; red stars have the sharper one."""
    base, wider = gaussian_kernel(1.5, 21), gaussian_kernel(2.0, 21)
    images = np.stack([base, 0.2 * (wider - base), 0 * base]).astype(np.float32)
    change = (-0.1 * (wider - base)).astype(np.float32)
    colour = PsfColour("g - i", change if with_colour else None, 0.8, (0.0, 2.0), 50)
    return PixelPsf(images, 1, (0.0, 100.0, 0.0, 100.0), colour=colour)


def test_a_colour_changes_the_psf_in_proportion_and_keeps_its_sum():
    psf = make_psf()
    kernels = [psf.kernels_at(*PLACES, np.full(3, colour)) for colour in (0.3, 0.8, 1.3)]

    assert np.sum(kernels, axis=(2, 3)) == pytest.approx(1.0, abs=1e-6)
    assert psf_moments(kernels[0][0])[0] > psf_moments(kernels[1][0])[0] > psf_moments(kernels[2][0])[0]
    assert kernels[0] - kernels[1] == pytest.approx(kernels[1] - kernels[2], abs=1e-8)
    assert psf.areas_at(*PLACES, [0.3, 0.8, 1.3]) == pytest.approx(
        effective_area(np.stack([kernels[k][k] for k in range(3)]))
    )


def test_unknown_colours_are_the_reference_and_others_end_at_the_limits():
    psf = make_psf()
    plain = replace(psf, colour=None)

    assert np.array_equal(psf.kernels_at(*PLACES), plain.kernels_at(*PLACES))
    assert np.array_equal(psf.splines_at(*PLACES), plain.splines_at(*PLACES))
    unknown = psf.kernels_at(*PLACES, np.full(3, np.nan))
    assert unknown == pytest.approx(plain.kernels_at(*PLACES), abs=1e-15)
    assert psf.colour.offsets([np.nan, 0.8, 9.0, -9.0, np.inf]) == pytest.approx([0, 0, 1.2, -0.8, 0])


def test_the_psf_of_sources_has_each_in_its_own_colour():
    psf, colours = make_psf(), np.array([0.1, np.nan, 1.9])
    own = in_colours(psf, colours)

    assert isinstance(own, ColouredPsf)
    assert own.size == psf.size
    for k, colour in enumerate(colours):
        alone = (PLACES[0][k : k + 1], PLACES[1][k : k + 1], [colour])
        assert own.kernels_at(*PLACES)[k] == pytest.approx(psf.kernels_at(*alone)[0], abs=1e-15)
        assert own.splines_at(*PLACES)[k] == pytest.approx(psf.splines_at(*alone)[0], abs=1e-7)
        assert own.areas_at(*PLACES)[k] == pytest.approx(psf.areas_at(*alone)[0])
    assert own.splines_at(*PLACES).dtype == np.float32
    assert np.array_equal(own.kernel_at(10.0, 20.0), psf.kernel_at(10.0, 20.0))


def test_without_colours_or_without_a_term_it_is_the_same_psf():
    psf = make_psf()
    assert in_colours(psf, None) is psf
    for grey in (make_psf(with_colour=False), replace(psf, colour=None)):
        assert in_colours(grey, np.zeros(3)) is grey
        assert np.array_equal(grey.kernels_at(*PLACES, np.zeros(3)), psf.kernels_at(*PLACES))
    assert no_colour("clouds").remark == "clouds"
