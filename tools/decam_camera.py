"""Write config/cameras/decam.yaml from the published geometry of the Dark Energy Camera.

Usage: python tools/decam_camera.py [--output FILE]. The workflow never runs this: the file is committed. 62 science
detectors of 2048x4096 pixels, each an extension of its own name with two amplifiers side by side.
"""

import sys
from pathlib import Path

from camera_file import write_camera_file

OUTPUT = Path(__file__).parents[1] / "config" / "cameras" / "decam.yaml"
PIXEL_MM = 0.015
PITCH_X_MM, PITCH_Y_MM = 33.816, 63.890
COLUMNS = (7, 6, 6, 5, 4, 3)
"""Detectors in each column of one half, from the middle outwards."""

HEADER = """\
# The Dark Energy Camera on the Blanco telescope: 62 science detectors, one extension each, two amplifiers an extension.
# Made by tools/decam_camera.py. Each frame states its gains and read noise (GAINA, RDNOISEA, ...). +x points South and
# +y East at the nominal rotator angle, hence the parity and a `rotation` of 90 in the visit table. The sections are
# those of the common unbinned read-out: `skyloom check-camera` on a frame of yours tells whether they hold.
# Detectors 2 (S30), 31 (S7, one amplifier) and 61 (N30) were bad for years: take them out with `exclude`.
name: decam
pixel_scale: 0.2626  # arcsec
parity: -1
bands: [u, g, r, i, z, Y, VR]
site: {latitude: -30.16606, longitude: -70.81489, elevation: 2215}
raw:
  format: extensions
  header:
    exposure_name: EXPNUM
    exposure_time: EXPTIME
    image_type: OBSTYPE
    band: FILTER
    mjd_begin: MJD-OBS
    date_begin: DATE-OBS
    ra: RA
    dec: DEC
    airmass: AIRMASS
  filters:
    u DECam c0006 3500.0 1000.0: u
    g DECam SDSS c0001 4720.0 1520.0: g
    r DECam SDSS c0002 6415.0 1480.0: r
    i DECam SDSS c0003 7835.0 1470.0: i
    z DECam SDSS c0004 9260.0 1520.0: z
    Y DECam c0005 10095.0 1130.0: Y
    VR DECam c0007 6300.0 2600.0: VR
  image_types: {zero: bias, dome flat: flat, sky flat: flat, object: science, standard: science, pointing: other}
detectors:
"""


def places():
    """Name and centre (fx, fy) [pixel] of each science detector by its number, CCDNUM (dict)."""
    numbered, names = {}, {"S": [], "N": []}
    for half, sign in (("S", -1), ("N", 1)):
        for column, count in enumerate(COLUMNS):
            for place in range(count):
                fx = sign * (column + 0.5) * PITCH_X_MM / PIXEL_MM
                fy = (place - (count - 1) / 2) * PITCH_Y_MM / PIXEL_MM
                names[half].append((column, f"{half}{len(names[half]) + 1}", (fx, fy)))
    # CCDNUM runs from S29 on the edge through the middle to N31: names rise within a column.
    order = sorted(names["S"], key=lambda entry: -entry[0]) + names["N"]
    for number, (_, name, centre) in enumerate(order, start=1):
        numbered[number] = (name, centre)
    return numbered


def amplifier_lines(name):
    """Both amplifiers of a detector as lines of YAML (str)."""
    # N detectors are mounted the other way round: their A lies at high x, their overscan rows at the top.
    is_north = name.startswith("N")
    y0 = 0 if is_north else 50
    left, right = ("B", "A") if is_north else ("A", "B")
    text = ""
    rows = f"{y0}, {y0 + 4096}"
    beyond = "4096, 4146" if is_north else "0, 50"
    for letter, data_x0, overscan_x0, prescan_x0, x0 in (
        (left, 56, 6, 0, 0),
        (right, 1080, 2104, 2154, 1024),
    ):
        columns = f"{data_x0}, {data_x0 + 1024}"
        text += (
            f"      - {{name: {letter}, extension: {name}, data_section: [{columns}, {rows}], "
            f"overscan_section: [{overscan_x0}, {overscan_x0 + 50}, {rows}],\n"
            f"         prescan_section: [{prescan_x0}, {prescan_x0 + 6}, {rows}], "
            f"parallel_overscan_section: [{columns}, {beyond}],\n"
            f"         detector_section: [{x0}, {x0 + 1024}, 0, 4096], gain_keyword: GAIN{letter}, "
            f"read_noise_keyword: RDNOISE{letter}, saturation: 42000}}\n"
        )
    return text


def camera_content():
    """Content of the camera file, and how many detectors it has (str, int)."""
    text = HEADER
    numbered = places()
    for number, (name, (fx, fy)) in numbered.items():
        text += f"  {number}:\n    name: {name}\n    shape: [4096, 2048]\n    centre: [{fx:.1f}, {fy:.1f}]\n"
        text += f"    amplifiers:\n{amplifier_lines(name)}"
    return text, len(numbered)


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
