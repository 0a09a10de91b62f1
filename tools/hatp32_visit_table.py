"""Write config/surveys/hatp32_visits.csv from the headers of the real frames.

Usage: python tools/hatp32_visit_table.py FOLDER, where FOLDER/frames holds the 71 files. The workflow never
runs this: the table is committed. DATE-OBS and MJD-OBS of these frames are not to be trusted, UT-OBS is; RA
and DEC are the mount's, the same in every frame, while the field drifts by 23 arcmin through the night.
"""

import argparse
import csv
import gzip
import math
import sys
from datetime import datetime
from pathlib import Path

from skyloom.io.fits_layout import scan_fits

MJD_EPOCH = datetime(1858, 11, 17)
TAI_MINUS_UTC = 37.0  # s, since 2017-01-01
ROTATION = 179.5  # degree, matched with Tycho-2: the header does not tell
POINTING_UNCERTAINTY = 1800  # arcsec
NIGHT = "20171219"
TABLE = Path(__file__).parents[1] / "config" / "surveys" / "hatp32_visits.csv"
COLUMNS = (
    *("visit", "exposure_name", "night", "mjd", "band", "exposure_time", "ra", "dec", "rotation"),
    *("pointing_uncertainty", "airmass", "camera", "raw", "use"),
)


def visit_row(number, path):
    """One row of the visit table.

    Parameters
    ----------
    number : int
        The visit.
    path : Path
        Its raw frame.

    Returns
    -------
    dict
        Values by column; mjd is TAI at mid-exposure.
    """
    header = scan_fits(gzip.decompress(path.read_bytes()))[0].cards
    begin = datetime.strptime(header["UT-OBS"].partition("-0000")[0], "%Y-%m-%dT%H:%M:%S.%f")
    seconds = (begin - MJD_EPOCH).total_seconds() + 0.5 * header["EXPTIME"] + TAI_MINUS_UTC
    return {
        "visit": number,
        "exposure_name": path.name.partition(".")[0],
        "night": NIGHT,
        "mjd": f"{seconds / 86400:.7f}",
        "band": "clear",
        "exposure_time": f"{header['EXPTIME']:g}",
        "ra": header["RA"],
        "dec": header["DEC"],
        "rotation": ROTATION,
        "pointing_uncertainty": POINTING_UNCERTAINTY,
        "airmass": f"{1 / math.sin(math.radians(header['TELALT'])):.3f}",
        "camera": "microobservatory",
        "raw": "frames/{exposure_name}.FITS.gz",
        "use": "both",
    }


def main(arguments=None):
    """Write the table.

    Parameters
    ----------
    arguments : list of str, optional
        Command line; the process's own without it.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder that holds frames/")
    parser.add_argument("--output", type=Path, default=TABLE, help="the table to write")
    options = parser.parse_args(arguments)
    paths = sorted((options.folder / "frames").glob("*.FITS.gz"))
    if not paths:
        parser.error(f"no frame matches {options.folder}/frames/*.FITS.gz")
    with open(options.output, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(visit_row(number, path) for number, path in enumerate(paths, start=1))
    print(f"{len(paths)} visits in {options.output}")


if __name__ == "__main__":
    sys.exit(main())
