"""Tests of skyloom.algorithms.psf_stamps."""

import numpy as np

from skyloom.algorithms.photometry import FitSettings, psf_photometry
from skyloom.algorithms.psf_stamps import residual_stamps
from skyloom.core.images import MaskedImage
from skyloom.core.psf import PixelPsf, gaussian_kernel


def test_a_variance_below_that_of_the_photons_leaves_wings_with_noise():
    kernel = gaussian_kernel(1.5, 25)
    psf = PixelPsf(kernel[None].astype(np.float32), 0, (-0.5, 63.5, -0.5, 63.5))
    image = np.zeros((64, 64), dtype=np.float32)
    image[20:45, 20:45] = 1e5 * kernel
    # A gain taken for half of what it is.
    pixels = MaskedImage(image, np.zeros(image.shape, dtype=np.uint32), 1 + 0.5 * image)
    fit = psf_photometry(pixels, psf, [32.0], [32.0], FitSettings(photon_variance=1.0))

    _, noise, _ = residual_stamps((pixels, image), psf, fit, np.uint32(0), 1.0)

    assert noise.min() * fit.flux[0] ** 2 > 0.9
