"""The tool that writes the star list of the colour frames."""

import numpy as np

import panoptes_stars


def test_the_stars_of_the_field_are_taken_out_of_the_catalogue(tmp_path):
    stars = np.zeros(3, panoptes_stars.STAR)
    stars["id"], stars["ra"], stars["dec"] = [2**60, 2, 3], [303.0, 303.0, 10.0], [46.0, -46.0, 46.0]
    stars["mag"], stars["pmra"] = 9.5, -3.25
    (tmp_path / "gaia.bin").write_bytes(b"GDR3" + bytes(12) + stars.tobytes())
    panoptes_stars.main([str(tmp_path), "--catalogue", str(tmp_path / "gaia.bin")])
    assert (tmp_path / "stars.csv").read_text() == (
        "id,ra,dec,mag,pmra,pmdec\n1152921504606846976,303.00000000,46.00000000,9.500,-3.250,0.000\n"
    )
