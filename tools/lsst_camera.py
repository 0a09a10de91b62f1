"""Write config/cameras/lsst.yaml from the published geometry of the LSST Camera.

Usage: python tools/lsst_camera.py [--output FILE]. The workflow never runs this: the file is committed. 21 rafts of
nine sensors; 16 amplifiers a sensor, of two makes. Gains, read noise and saturation are typical values, the same for
all sensors of a make, so the file serves planning and benchmarks; the observatory's own measurements belong in one
for real frames.

Numbers and positions of the detectors, makes of the rafts, sections and flips are those of the package obs_lsst
(github.com/lsst/obs_lsst: policy/cameraHeader.yaml, policy/lsstCam.yaml, policy/lsstCam/R*.yaml). Section sizes, the
pitch of rafts and sensors, DETSEC of Segment10 and the keywords agree with the headers of raw frames in its
tests/headers (MC_O_20250609_000578_R01_S01 and MC_O_20250415_000228_R10_S20 of ITL, MC_C_20231125_000600_R12_S10 of
e2v).
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from camera_file import write_camera_file

OUTPUT = Path(__file__).parents[1] / "config" / "cameras" / "lsst.yaml"
PIXEL_MM = 0.01
RAFT_PITCH_MM = 127.0
SENSOR_PITCH_MM = 42.25
RAFTS = [
    (row, column)
    for row in range(5)
    for column in range(5)
    if (row, column) not in {(0, 0), (0, 4), (4, 0), (4, 4)}
]
"""(row, column) of the rafts: a square of five without its corners, which hold the guiders and wavefront sensors."""
ITL_RAFTS = {(0, 1), (0, 2), (0, 3), (1, 0), (2, 0), (4, 1), (4, 2), (4, 3)}
PLANE = (576, 2048)
"""Columns and rows of each segment as it is read out."""


@dataclass(frozen=True, slots=True)
class Make:
    """Sensors of one maker.

    Attributes
    ----------
    prescan, data_columns, data_rows : int
        Size of a segment's parts [pixel].
    is_mirrored : bool
        Whether the segments C00 to C07 are read towards low x; C10 to C17 are, of both makes.
    gain, read_noise, saturation : float
        Typical values [electron/ADU], [electron], [ADU].
    """

    prescan: int
    data_columns: int
    data_rows: int
    is_mirrored: bool
    gain: float
    read_noise: float
    saturation: int


# Typical of the rafts R01 (ITL) and R34 (e2v) in obs_lsst: charge saturates at some 80,000 ADU of ITL and 150,000 of
# e2v, here rounded down, above a bias of 26,000 (AVGBIAS of MC_C_20190406_000643_R10_S00).
MAKES = {
    "itl": Make(3, 509, 2000, True, 1.63, 6.3, 100000),
    "e2v": Make(10, 512, 2002, False, 1.08, 5.3, 165000),
}

HEADER = """\
# The LSST Camera at the Vera C. Rubin Observatory: 21 rafts of nine science detectors, 16 amplifiers each, for
# planning and benchmarks. Made by tools/lsst_camera.py from the geometry of obs_lsst; gains, read noise and saturation
# are typical values, so put a raw frame through `skyloom check-camera` before you calibrate with it. ROTPA is that of
# +y from the night of 2025-04-22 on; before it was 90 degrees too large, and half of that night 180.
name: lsst
pixel_scale: 0.2  # arcsec
parity: 1
bands: [u, g, r, i, z, y]
site: {latitude: -30.24464, longitude: -70.74942, elevation: 2663}
raw:
  format: extensions
  header:
    exposure_name: OBSID
    exposure_time: EXPTIME
    image_type: IMGTYPE
    band: FILTBAND
    date_begin: DATE-BEG
    mjd_begin: MJD-BEG
    ra: RA
    dec: DEC
    rotation: ROTPA
    airmass: AMSTART
  image_types: {OBJECT: science, SKYEXP: science, ENGTEST: other, FOCUS: other, STUTTERED: other, CWFS: other}
amplifier_sets:
"""


def amplifier_line(make, row, column):
    """One amplifier as a line of YAML.

    Parameters
    ----------
    make : str
        A key of `MAKES`.
    row, column : int
        The digits of its name: row 1 is the lower, columns are counted from 0 towards high x.

    Returns
    -------
    str
        The line, indented as an item of an amplifier set.
    """
    sensor = MAKES[make]
    prescan, nx, ny = sensor.prescan, sensor.data_columns, sensor.data_rows
    data_end = prescan + nx
    x0, y0 = column * nx, (1 - row) * ny
    # The upper segments, C00 to C07, are read towards the upper edge.
    flip_x = row == 1 or sensor.is_mirrored
    flips = f"flip_x: {str(flip_x).lower()}, flip_y: {str(row == 0).lower()}"
    return (
        f"    - {{name: C{row}{column}, extension: Segment{row}{column}, "
        f"data_section: [{prescan}, {data_end}, 0, {ny}], prescan_section: [0, {prescan}, 0, {ny}],\n"
        f"       overscan_section: [{data_end}, {PLANE[0]}, 0, {ny}], "
        f"parallel_overscan_section: [{prescan}, {data_end}, {ny}, {PLANE[1]}],\n"
        f"       detector_section: [{x0}, {x0 + nx}, {y0}, {y0 + ny}], {flips}, "
        f"gain: {sensor.gain}, read_noise: {sensor.read_noise}, saturation: {sensor.saturation}}}\n"
    )


def detector_lines():
    """All detectors as lines of YAML (list of str), numbered along rows of rafts, then rows of sensors."""
    lines = []
    for raft_row, raft_column in RAFTS:
        make = "itl" if (raft_row, raft_column) in ITL_RAFTS else "e2v"
        nx, ny = MAKES[make].data_columns, MAKES[make].data_rows
        for row, column in ((r, c) for r in range(3) for c in range(3)):
            fx = (RAFT_PITCH_MM * (raft_column - 2) + SENSOR_PITCH_MM * (column - 1)) / PIXEL_MM
            fy = (RAFT_PITCH_MM * (raft_row - 2) + SENSOR_PITCH_MM * (row - 1)) / PIXEL_MM
            lines.append(
                f"  {len(lines)}: {{name: R{raft_row}{raft_column}_S{row}{column}, shape: [{2 * ny}, {8 * nx}], "
                f"centre: [{fx:.0f}, {fy:.0f}], orientation: 0, amplifiers: {make}}}\n"
            )
    return lines


def camera_content():
    """Content of the camera file, and how many detectors it has (str, int)."""
    text = HEADER
    for make in MAKES:
        text += f"  {make}:\n"
        text += "".join(amplifier_line(make, row, column) for row in (1, 0) for column in range(8))
    detectors = detector_lines()
    return text + "detectors:\n" + "".join(detectors), len(detectors)


def main(arguments=None):
    """Write the camera file.

    Parameters
    ----------
    arguments : list of str, optional
        Command line; the process's own without it.
    """
    write_camera_file(__doc__, camera_content(), OUTPUT, arguments)


if __name__ == "__main__":
    sys.exit(main())
