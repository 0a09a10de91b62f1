"""The colour term of the PSF in a simulated visit far from the zenith, from raw frames to the visit summary."""

import numpy as np
from pipeline_settings import settings_of
from single_visit import VisitRun, read_camera, write_camera

from skyloom.core.tables import column

SIDE = 512
# Some 170 stars on each detector, nearly all bright enough for the PSF if they are alone.
SIMULATE = {
    "atmosphere": {"refraction": True},
    "stars": {"density": 60.0, "magnitude_bright": 17.0, "magnitude_faint": 21.0},
    "galaxies": {"density": 5.0},
}


def test_refraction_is_found_in_the_psf_and_told_by_the_visit_summary(tmp_path):
    write_camera(tmp_path / "camera.yaml", SIDE)
    camera = read_camera(tmp_path / "camera.yaml")
    visit = {
        **{"visit": 301, "exposure_name": "A1", "night": "n1", "mjd": 61384.2, "band": "g"},
        **{"exposure_time": 30.0, "ra": 150.0, "dec": 2.2, "rotation": 3.0, "airmass": 2.0},
        **{"pointing_uncertainty": 32.0, "camera": camera.name, "raw": "", "use": "science"},
    }
    run = VisitRun(tmp_path, camera, visit, settings_of(simulate=SIMULATE), 1)
    run.params["bands"] = ["g", "r", "i"]
    run.params["settings"]["calibrate"]["psf"]["colour_term"] = True
    run.simulate()
    for detector in run.detectors:
        run.combine(detector)

    found = run.calibrate()

    assert column(found.summary, "psfColour").tolist() == 2 * ["flux_g - flux_r"]
    # At a seeing of 0.9 arcsec the square of the smear falls by 4 % of the seeing's T a magnitude of g - r, 3 % of that
    # with the smear; a Gaussian weight sees less of it in a Moffat profile. A hundred stars leave an error of 0.3 %.
    slope = column(found.summary, "psfSizeColourSlope")
    assert np.all((slope < -0.015) & (slope > -0.04))
    for exposure in found.calexps.values():
        assert exposure.psf.colour.n_star >= 50
