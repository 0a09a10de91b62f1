"""Gains and read noise of the frame's own cards."""

import numpy as np
import pytest

from skyloom.core.camera import camera_from_dict
from skyloom.io.amplifier_cards import AmplifierCardError
from skyloom.io.fits_layout import read_hdus
from skyloom.io.raws import read_raw, write_raw
from skyloom.isr.assembly import assemble_frame

ISR = {
    "overscan": {"method": "constant", "skip_leading": 0, "skip_trailing": 0, "level": 100},
    "suspect_fraction": 0.95,
    "measure_read_noise": False,
    "max_noise_ratio": 5,
}


def camera(**keys):
    amplifiers = [
        {
            "name": name,
            "extension": name,
            "data_section": [0, 8, 0, 6],
            "detector_section": [column, column + 8, 0, 6],
            **keys,
        }
        for name, column in (("A", 0), ("B", 8))
    ]
    return camera_from_dict(
        {
            "name": "cards",
            "pixel_scale": 1,
            "bands": ["r"],
            "raw": {"format": "extensions"},
            "detectors": {0: {"shape": [6, 16], "amplifiers": amplifiers}},
        }
    )


def write(path, cards_a, cards_b, primary=None):
    plane = np.arange(100, 148, dtype=np.uint16).reshape(6, 8)
    write_raw(path, {"A": plane, "B": plane}, {"A": cards_a, "B": cards_b, "PRIMARY": primary or {}})
    return path


def test_each_amplifier_takes_the_gain_of_its_own_card(tmp_path):
    described = camera(gain_keyword="GAIN", read_noise_keyword="RDNOISE")
    path = write(tmp_path / "x.fits", {"GAIN": 2.0, "RDNOISE": 3}, {"GAIN": "4.5", "RDNOISE": 6.0})
    raw = read_raw(path, described.detectors[0], described.raw)
    assert [(a.gain, a.read_noise) for a in raw.detector.amplifiers] == [(2.0, 3.0), (4.5, 6.0)]
    image = assemble_frame(raw, ISR).image
    np.testing.assert_allclose(image[:, 8:], image[:, :8] * 4.5 / 2, rtol=1e-6)


def test_a_card_of_the_primary_header_serves_all_amplifiers(tmp_path):
    described = camera(gain_keyword="EGAIN")
    path = write(tmp_path / "x.fits", {}, {}, {"EGAIN": 1.4})
    raw = read_raw(path, described.detectors[0], described.raw)
    assert [a.gain for a in raw.detector.amplifiers] == [1.4, 1.4]


@pytest.mark.parametrize(("value", "found"), [(None, "is missing"), (0.0, "is 0.0"), ("n/a", "is 'n/a'")])
def test_a_frame_without_a_usable_card_is_refused_with_the_card(tmp_path, value, found):
    described = camera(gain_keyword="GAIN")
    cards = {} if value is None else {"GAIN": value}
    path = write(tmp_path / "x.fits", {"GAIN": 2.0}, cards)
    with pytest.raises(AmplifierCardError, match=f"card GAIN of amplifier B {found}.*gain_keyword"):
        read_raw(path, described.detectors[0], described.raw)


def test_without_keywords_the_camera_file_counts(tmp_path):
    described = camera(gain=1.7)
    path = write(tmp_path / "x.fits", {"GAIN": 2.0}, {"GAIN": 3.0})
    assert read_raw(path, described.detectors[0], described.raw).detector == described.detectors[0]


def test_headers_are_read_without_the_pixels_plain_and_gzipped(tmp_path):
    import gzip

    path = write(tmp_path / "x.fits", {"GAIN": 2.0}, {"GAIN": 3.0}, {"OBJECT": "M 1"})
    packed = tmp_path / "x.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for name in (path, packed):
        hdus = read_hdus(name)
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "A", "B"]
        assert hdus[0].cards["OBJECT"] == "M 1"
        assert hdus[2].cards["GAIN"] == 3.0
