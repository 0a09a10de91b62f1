"""Write config/cameras/decam.yaml from the published geometry of the Dark Energy Camera.

Usage: python tools/decam_camera.py [--output FILE]. The workflow never runs this: the file is committed. 62 science
detectors of 2048x4096 pixels, each an extension of its own name with two amplifiers side by side.

Names, numbers, positions and saturation are those of the package obs_decam (github.com/lsst/obs_decam:
decam/chipcenters.txt, decam/segmentfile.txt); the gaps that follow, 201 and 153 pixels, and the pixel scale on the
axis are those of NOIRLab's page "DECam Characteristics". Sections, sides of the amplifiers and keywords are those of
raw headers of the detectors S1 and N1: DATASECA, BIASSECA, PRESECA, POSTSECA and the like.
"""

import sys
from pathlib import Path

from camera_file import write_camera_file

OUTPUT = Path(__file__).parents[1] / "config" / "cameras" / "decam.yaml"
PIXEL_MM = 0.015
PITCH_X_MM, PITCH_Y_MM = 33.736, 63.740
"""Least-squares fit to the measured centres, which lie within 0.07 mm of it."""
COLUMNS = (7, 6, 6, 5, 4, 3)
"""Detectors in each column of one half, from the middle outwards."""

SATURATIONS = {
    "A": """
        38652 41945 42449 42059 47929 50010 43219 43397 46442 47817 44428 47000 43172 47577 46000 44000 48000 49415
        40534 46380 47000 52795 44823 48000 40469 47435 33874 45246 47232 57491 37951 50304 44938 39748 44144 45844
        46753 40983 44177 51000 47271 45678 39602 38914 48694 38696 46559 41302 49133 46642 48450 40268 40698 50306
        46959 48147 36677 43135 41544 43295 56282 47995
    """,
    "B": """
        37531 48203 42345 42605 41000 43534 42163 48732 45402 46155 46770 43941 42871 44265 46370 44467 42982 49231
        39960 42551 43939 46334 46250 50504 42151 44650 28164 42626 42720 44346 44138 45586 42834 49000 43448 43798
        39364 42716 42492 44144 39973 46060 40252 43511 42599 37655 41908 38771 42883 40239 39981 42913 42397 41791
        43185 42401 33214 41106 42196 41383 45592 43079
    """,
}
"""ADU of the amplifiers A and B, by CCDNUM from 1."""

HEADER = """\
# The Dark Energy Camera on the Blanco telescope: 62 science detectors, one extension each, two amplifiers an extension.
# Made by tools/decam_camera.py. Each frame states its gains and read noise (GAINA, RDNOISEA, ...). +x points South and
# +y East (CD1_2 > 0 and CD2_1 < 0 in raw headers), hence the parity and a `rotation` of 90 in the visit table. RA and
# DEC are the target's, TELRA and TELDEC the telescope's. The sections are those of the common unbinned read-out:
# `skyloom check-camera` on a frame of yours tells whether they hold.
# Bad for years: detector 61 (N30, since 2012-11-07), 2 (S30, 2014 to 2016) and an amplifier of 31 (S7); take them out
# with `exclude`.
name: decam
pixel_scale: 0.2637  # arcsec; 0.2626 at the edge
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
    ra: TELRA
    dec: TELDEC
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


def amplifier_lines(number, name):
    """Both amplifiers of a detector as lines of YAML (str)."""
    # S detectors are mounted the other way round: their A lies at high x, their overscan rows at the bottom.
    is_north = name.startswith("N")
    y0 = 0 if is_north else 50
    left, right = ("A", "B") if is_north else ("B", "A")
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
            f"read_noise_keyword: RDNOISE{letter}, saturation: {SATURATIONS[letter].split()[number - 1]}}}\n"
        )
    return text


def camera_content():
    """Content of the camera file, and how many detectors it has (str, int)."""
    text = HEADER
    numbered = places()
    for number, (name, (fx, fy)) in numbered.items():
        text += f"  {number}:\n    name: {name}\n    shape: [4096, 2048]\n    centre: [{fx:.1f}, {fy:.1f}]\n"
        text += f"    amplifiers:\n{amplifier_lines(number, name)}"
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
