"""What a coadd must know of a warp: its weight, seeing, noise and coverage."""

import numpy as np

from skyloom.algorithms.moments import kernel_moments
from skyloom.algorithms.robust import clipped_mean
from skyloom.core import mask_planes
from skyloom.core.schemas import COADD_INPUT

VARIANCE_STRIDE = 16
NOT_SKY = mask_planes.bits("BAD", "SAT", "INTRP", "CR", "SUSPECT", "NO_DATA", "DETECTED", "HALO", "STREAK")


def input_row(warp, detectors, patch):
    """Row of the table COADD_INPUT that describes a warp.

    Parameters
    ----------
    warp : Exposure
        The warp, with its PSF.
    detectors : list of int
        Detectors that it holds.
    patch : Patch
        The patch.

    Returns
    -------
    pyarrow.Table
        One row, `used` and with zero offset 0 until a coadd says otherwise.
    """
    pixels = warp.pixels
    has_data = (pixels.mask & mask_planes.NO_DATA) == 0
    is_sky = (pixels.mask & NOT_SKY) == 0
    variance = clipped_mean(pixels.variance[is_sky if is_sky.any() else has_data][::VARIANCE_STRIDE])
    kernels = warp.psf.images.reshape(-1, warp.psf.size, warp.psf.size)
    sigma = kernel_moments(kernels[np.isfinite(kernels[:, 0, 0])]).sigma
    return COADD_INPUT.table(
        {
            "visit": np.array([warp.info.visit]),
            "detectors": [" ".join(str(detector) for detector in detectors)],
            "mjd": np.array([warp.info.mjd]),
            "exposureTime": np.array([warp.info.exposure_time]),
            "weight": np.array([1.0 / variance]),
            "psfSigma": np.array([np.nanmedian(sigma)]),
            "skyNoise": np.array([np.sqrt(variance)]),
            "zeroOffset": np.array([0.0]),
            "noiseCorrelation": np.array([warp.noise_correlation]),
            "coveredFraction": np.array([has_data.sum() / np.prod(patch.shape)]),
            "used": np.array([True]),
            "reason": [""],
        }
    )
