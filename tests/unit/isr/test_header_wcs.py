"""The WCS of observatories' headers, compared with astropy's."""

import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from skyloom.isr.header_wcs import MissingWcsError, UnsupportedWcsError, has_wcs, wcs_of_cards

SHAPE = (400, 500)
SCALE = 0.4 / 3600
BASE = {"CRVAL1": 150.1, "CRVAL2": 2.2, "CRPIX1": 251.5, "CRPIX2": 199.0, "RADESYS": "ICRS"}
TAN = BASE | {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}
CD = {"CD1_1": -SCALE * 0.8, "CD1_2": SCALE * 0.6, "CD2_1": SCALE * 0.6, "CD2_2": SCALE * 0.8}
TPV = TAN | CD | {"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV"}
PV = {"PV1_0": 1e-5, "PV1_1": 1.001, "PV1_2": 2e-4, "PV1_4": 0.3, "PV1_7": -5.0, "PV1_10": 4.0}
PV |= {"PV2_1": 0.999, "PV2_2": -3e-4, "PV2_5": 0.2, "PV2_8": 7.0}
SIP = {"A_ORDER": 3, "B_ORDER": 2, "A_2_0": 3e-6, "A_1_1": -2e-6, "A_0_3": 4e-9, "A_2_1": 3e-9}
SIP |= {"B_2_0": -2e-6, "B_0_2": 5e-6, "B_1_1": 1e-6}

HEADERS = {
    "CD": TAN | CD,
    "CDELT and CROTA2": TAN | {"CDELT1": -SCALE, "CDELT2": 1.1 * SCALE, "CROTA2": 25.0},
    "CDELT and PC": TAN
    | {"CDELT1": -SCALE, "CDELT2": SCALE}
    | {"PC1_1": 0.8, "PC1_2": -0.6, "PC2_1": 0.6, "PC2_2": 0.8},
    "CDELT alone": TAN | {"CDELT1": -SCALE, "CDELT2": SCALE},
    "axes turned by 90 degrees": TAN | {"CD1_1": 0.0, "CD1_2": SCALE, "CD2_1": SCALE, "CD2_2": 0.0},
    "SIP": TAN | CD | SIP | {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP"},
    "TPV": TPV | PV,
}


@pytest.mark.parametrize("name", HEADERS)
def test_positions_are_those_of_astropy(name):
    wcs = wcs_of_cards(HEADERS[name], SHAPE)
    y, x = (grid.ravel() for grid in np.mgrid[0:400:57, 0:500:71].astype(float))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ra, dec = WCS(fits.Header(list(HEADERS[name].items()))).all_pix2world(x, y, 0)
    found_ra, found_dec = wcs.pixel_to_sky(x, y)
    # A microarcsecond: float64 in degrees holds 1e-13 of 150.
    np.testing.assert_allclose(found_ra, ra, atol=3e-10, rtol=0)
    np.testing.assert_allclose(found_dec, dec, atol=3e-10, rtol=0)
    assert wcs.shape == SHAPE
    back = wcs.sky_to_pixel(ra, dec)
    np.testing.assert_allclose(back, (x, y), atol=1e-5)


def test_a_tan_header_with_scamp_s_polynomials_is_tpv():
    scamp = wcs_of_cards(TAN | CD | PV, SHAPE)
    meant = wcs_of_cards(TPV | PV, SHAPE)
    np.testing.assert_array_equal(scamp.pv1, meant.pv1)
    np.testing.assert_array_equal(scamp.pv2, meant.pv2)


def test_pvi_1_is_1_by_default_as_the_registered_convention_says():
    """Wcslib takes 0, which would put all pixels on a line."""
    wcs = wcs_of_cards(TPV | {"PV1_4": 0.3}, SHAPE)
    assert (wcs.pv1[1], wcs.pv2[1]) == (1.0, 1.0)


def test_a_radial_term_of_0_is_none():
    plain = wcs_of_cards(TPV | PV, SHAPE)
    with_zero = wcs_of_cards(TPV | PV | {"PV1_3": 0.0, "PV2_39": 0.0}, SHAPE)
    np.testing.assert_array_equal(with_zero.pv1, plain.pv1)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({}, "the header has no CTYPE1 and CRVAL1"),
        ({**TAN, **CD, "CRPIX2": None}, "the header has no CRPIX2"),
        (TAN, "no CDi_j, and no CDELT1 and CDELT2"),
    ],
)
def test_a_wcs_that_is_not_whole_is_named(header, told):
    with pytest.raises(MissingWcsError, match=told):
        wcs_of_cards({key: value for key, value in header.items() if value is not None}, SHAPE)


@pytest.mark.parametrize(
    ("cards", "told"),
    [
        ({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"}, "CTYPE1 'RA---SIN', needs RA and DEC, in this order"),
        ({"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN"}, "CTYPE1 'DEC--TAN', needs RA and DEC, in this order"),
        ({"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"}, "CTYPE1 'GLON-TAN'"),
        ({"RADESYS": "FK4"}, "RADESYS 'FK4', EQUINOX 2000, needs ICRS, or FK5 of 2000"),
        ({"RADESYS": "FK5", "EQUINOX": 1950.0}, "RADESYS 'FK5', EQUINOX 1950"),
        ({"LONPOLE": 90.0}, "LONPOLE 90.0, needs 180"),
        ({"CRVAL1": "12:00:00"}, "CRVAL1 '12:00:00', needs a number"),
        ({"CD1_1": 0.0, "CD1_2": 0.0}, "needs one that has an inverse"),
        ({"A_ORDER": 9, "B_ORDER": 2}, "A_ORDER 9, needs a whole number up to 7"),
        ({"PV2_3": 1e-3}, "PV2_3, a radial term, needs a polynomial without radial terms"),
    ],
)
def test_a_wcs_of_another_kind_is_named(cards, told):
    with pytest.raises(UnsupportedWcsError, match=told):
        wcs_of_cards(TAN | CD | cards, SHAPE)


def test_a_header_without_a_wcs_says_so():
    assert has_wcs(TAN | CD)
    assert not has_wcs({"CRVAL1": 3.0})
