"""How much memory the jobs of a stage ask for."""

# Base [MB] of interpreter and libraries, and arrays of 4 bytes held at once for each pixel of a detector and of a
# patch: counted in the stages' code and rounded up. A coadd also holds arrays of each of its warps: image, mask,
# variance, the matched image and two planes of a byte.
NEEDS = {
    "kernels": (900, 0, 0),
    "summary": (400, 0, 0),
    "simulate": (900, 40, 0),
    "calibs": (500, 40, 0),
    "calibrate": (700, 30, 0),
    "warp": (600, 12, 15),
    "coadd": (600, 0, 45),
    "objects": (600, 0, 60),
    "diff": (700, 50, 0),
    "association": (800, 0, 0),
    "report": (1200, 0, 30),
}
WARP_ARRAYS = {"coadd": 5}
BYTES = 4
MEGABYTE = 1e6


def memory_mb(stage, detector_pixels, patch_pixels, n_warp=0):
    """Return the memory of a stage's job.

    Parameters
    ----------
    stage : str
        A key of `NEEDS`.
    detector_pixels, patch_pixels : int
        Pixels of the largest detector and of a patch with its border.
    n_warp : int
        Warps that the job reads.

    Returns
    -------
    int
        [MB].
    """
    base, detector_arrays, patch_arrays = NEEDS[stage]
    patch_arrays += WARP_ARRAYS.get(stage, 0) * n_warp
    pixels = detector_arrays * detector_pixels + patch_arrays * patch_pixels
    return int(base + BYTES * pixels / MEGABYTE)
