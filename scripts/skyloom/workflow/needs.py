"""How much memory and time the jobs of a stage ask for, from the pixels and the number of what they read."""

import math
from dataclasses import dataclass

BYTES = 4
MEGABYTE = 1e6
MEGAPIXEL = 1e6
# A cluster's core may be old and its disk busy: so many times the CPU seconds that were measured.
SLOWNESS = 4
# Start of the job's Snakemake and of the script's libraries from a cold disk [minutes].
START_MINUTES = 4
# A Snakemake stands around the scripts of a job that a cluster runs: 170 MB were measured.
CLUSTER_MB = 250


@dataclass(frozen=True, slots=True)
class Need:
    """What a stage's job needs; measured on surveys of 0.16 and 1.05 million pixels a detector, with a margin.

    Attributes
    ----------
    base_mb : float
        Interpreter, libraries and what does not grow [MB].
    detector_arrays, patch_arrays : float
        Arrays of 4 bytes held at once for each pixel of a detector, and of a patch.
    counted : str
        Name of the input whose files are counted; empty for a job of one.
    input_mb, input_patch_arrays : float
        For each such file: memory [MB], and arrays of 4 bytes for each pixel of a patch.
    base_s, input_s : float
        CPU time of a job and of each counted file [s].
    detector_s, patch_s : float
        CPU time of each counted file for a million pixels of a detector, and of a patch [s].
    """

    base_mb: float
    detector_arrays: float = 0
    patch_arrays: float = 0
    counted: str = ""
    input_mb: float = 0
    input_patch_arrays: float = 0
    base_s: float = 2
    input_s: float = 0
    detector_s: float = 0
    patch_s: float = 0


NEEDS = {
    "kernels": Need(600, base_s=60),
    "simulate": Need(350, detector_arrays=14, counted="frames", base_s=10, input_s=1, detector_s=2),
    "calibs": Need(330, detector_arrays=20, counted="frames", detector_s=0.3),
    "calibrate": Need(400, detector_arrays=24, base_s=4, detector_s=4),
    # Piff holds the derivatives by all of its nodes of the pixels of all stars: 13 MB a star.
    "piff": Need(6200, detector_arrays=24, base_s=200, detector_s=4),
    "summary": Need(360, detector_arrays=10, counted="calexps", detector_s=0.3),
    "survival": Need(250, counted="visit_summaries", input_mb=0.1, input_s=0.02),
    "visit_sky": Need(
        400, detector_arrays=10, counted="calexps", input_mb=1, base_s=4, input_s=0.3, detector_s=0.3
    ),
    "warp": Need(400, detector_arrays=8, patch_arrays=10, counted="calexps", base_s=3, detector_s=1),
    "coadd": Need(400, patch_arrays=12, counted="warps", input_patch_arrays=5, base_s=3, patch_s=2),
    "objects": Need(400, patch_arrays=12, counted="coadds", input_patch_arrays=5, base_s=4, patch_s=3),
    "diff": Need(420, detector_arrays=40, base_s=4, detector_s=6),
    "association": Need(280, counted="dia_sources", input_mb=0.2, input_s=0.05),
    "page": Need(300, base_s=10),
    "report": Need(600, patch_arrays=15, counted="calexps", input_mb=1, base_s=30, detector_s=0.5),
}


def memory_mb(stage, detector_pixels, patch_pixels, n_input=1):
    """Return the memory of a stage's job, as its script alone needs it.

    Parameters
    ----------
    stage : str
        A key of `NEEDS`.
    detector_pixels, patch_pixels : int
        Pixels of the largest detector and of a patch with its border.
    n_input : int
        Counted files that the job reads.

    Returns
    -------
    int
        [MB].
    """
    need = NEEDS[stage]
    patch_arrays = need.patch_arrays + need.input_patch_arrays * n_input
    pixels = need.detector_arrays * detector_pixels + patch_arrays * patch_pixels
    return math.ceil(need.base_mb + need.input_mb * n_input + BYTES * pixels / MEGABYTE)


def runtime_minutes(stage, detector_pixels, patch_pixels, n_input=1):
    """Return the time limit of a stage's job.

    Parameters
    ----------
    stage : str
        A key of `NEEDS`.
    detector_pixels, patch_pixels : int
        Pixels of the largest detector and of a patch with its border.
    n_input : int
        Counted files that the job reads.

    Returns
    -------
    int
        [minutes].
    """
    need = NEEDS[stage]
    pixels_s = need.detector_s * detector_pixels / MEGAPIXEL + need.patch_s * patch_pixels / MEGAPIXEL
    seconds = need.base_s + n_input * (need.input_s + pixels_s)
    return START_MINUTES + math.ceil(SLOWNESS * seconds / 60)
