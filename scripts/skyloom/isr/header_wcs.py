"""The WCS that an observatory wrote into a header: tangent plane, alone or with SIP or TPV polynomials."""

import numpy as np

from skyloom.algorithms.plane_polynomial import wcs_from_polynomial
from skyloom.core.errors import DataError
from skyloom.core.header_values import UnreadableValueError, number_of
from skyloom.core.wcs import Wcs, tpv_powers

LARGEST_ORDER = 7
"""Of a TPV polynomial; SIP allows 9, which nobody uses."""

RADIAL_TERMS = (3, 11, 23, 39)
"""PVi_j of the distance from the tangent point, in TPV's numbering."""

ALL_TERMS = tpv_powers(LARGEST_ORDER)[0]
SYSTEMS = ("ICRS", "FK5")
"""FK5 of J2000 differs from ICRS by less than 0.03 arcsec."""


class MissingWcsError(DataError):
    """A header has no WCS, or not all of one.

    Parameters
    ----------
    missing : str
        The cards that are not there.
    """

    def __init__(self, missing):
        super().__init__(
            f"the header has no {missing}, an image whose WCS is kept or that is smaller than its detector needs a "
            "whole WCS: solve it first, or let it be fitted (calibrate.astrometry.wcs: fitted)"
        )
        self.missing = missing


class UnsupportedWcsError(DataError):
    """A header's WCS is of a kind that Skyloom does not know, or its cards make no sense.

    Parameters
    ----------
    found, needed : str
        What the header says, and what would do.
    """

    def __init__(self, found, needed):
        super().__init__(f"the header's WCS has {found}, needs {needed}")
        self.found, self.needed = found, needed


def has_wcs(cards):
    """Return whether a header claims to have a WCS (bool).

    Parameters
    ----------
    cards : dict
        Values by keyword.
    """
    return "CTYPE1" in cards and "CRVAL1" in cards


def wcs_of_cards(cards, shape):
    """WCS of an observatory's header.

    Parameters
    ----------
    cards : dict
        Values by keyword.
    shape : tuple of int
        Shape (ny, nx) of the image.

    Returns
    -------
    Wcs
        Plain TAN, or TPV: a SIP polynomial is exactly one of the same order.

    Raises
    ------
    MissingWcsError
        If there is none.
    UnsupportedWcsError
        If it is another projection, system or order of axes, has radial terms, or values that are no numbers.

    Notes
    -----
    SIP after Shupe et al. (2005, ASP 347, 491). A TAN header with PV cards of the second axis, as SCAMP wrote them, is
    meant to be TPV; one with SIP coefficients is meant to be TAN-SIP. The inverse SIP polynomial (AP, BP) is not used.
    """
    kind = _projection(cards)
    crval, crpix, cd = _linear_part(cards)
    if kind == "TAN-SIP" or "A_ORDER" in cards:
        return wcs_from_polynomial(_sip_polynomial(cards, cd), crval, crpix, shape)
    if kind == "TPV" or any(keyword.startswith("PV2_") for keyword in cards):
        return Wcs(crval, crpix, cd, *_tpv_polynomials(cards), tuple(shape))
    return Wcs(crval, crpix, cd, shape=tuple(shape))


def _projection(cards):
    """Kind of projection (str) of a header in right ascension and declination of a system that is ours."""
    if not has_wcs(cards):
        raise MissingWcsError("CTYPE1 and CRVAL1")
    kinds = []
    for axis, name in ((1, "RA--"), (2, "DEC-")):
        ctype = str(cards.get(f"CTYPE{axis}", "")).strip()
        kind = ctype[5:].strip("- ")
        if not ctype.startswith(name) or kind not in ("TAN", "TAN-SIP", "TPV"):
            needed = "RA and DEC, in this order, with TAN, TAN-SIP or TPV"
            raise UnsupportedWcsError(f"CTYPE{axis} {ctype!r}", needed)
        kinds.append(kind)
    system = str(cards.get("RADESYS", cards.get("RADECSYS", "ICRS"))).strip()
    equinox = _number(cards, "EQUINOX", 2000.0)
    if system not in SYSTEMS or (system == "FK5" and equinox != 2000):
        raise UnsupportedWcsError(f"RADESYS {system!r}, EQUINOX {equinox:g}", "ICRS, or FK5 of 2000")
    for keyword, usual in (("LONPOLE", 180.0), ("CROTA1", _number(cards, "CROTA2", 0.0))):
        if _number(cards, keyword, usual) != usual:
            raise UnsupportedWcsError(f"{keyword} {cards[keyword]}", f"{usual:g}")
    return kinds[0]


def _linear_part(cards):
    """Tangent point [degree], reference pixel from 0, and CD matrix [degree/pixel] of a header."""
    needed = [f"{name}{axis}" for name in ("CRVAL", "CRPIX") for axis in (1, 2)]
    missing = [keyword for keyword in needed if keyword not in cards]
    if missing:
        raise MissingWcsError(", ".join(missing))
    crval = np.array([_number(cards, f"CRVAL{axis}") for axis in (1, 2)])
    crpix = np.array([_number(cards, f"CRPIX{axis}") for axis in (1, 2)]) - 1.0
    cd = _cd_matrix(cards)
    if not abs(np.linalg.det(cd)) > 0:
        raise UnsupportedWcsError(f"the CD matrix {cd.tolist()}", "one that has an inverse")
    return crval, crpix, cd


def _cd_matrix(cards):
    """CD matrix, by CDi_j, or CDELTi with PCi_j or CROTA2."""
    pairs = [(i, j) for i in (1, 2) for j in (1, 2)]
    if any(f"CD{i}_{j}" in cards for i, j in pairs):
        return np.array([_number(cards, f"CD{i}_{j}", 0.0) for i, j in pairs]).reshape(2, 2)
    if "CDELT1" not in cards or "CDELT2" not in cards:
        raise MissingWcsError("CDi_j, and no CDELT1 and CDELT2")
    step = np.array([[_number(cards, "CDELT1")], [_number(cards, "CDELT2")]])
    if any(f"PC{i}_{j}" in cards for i, j in pairs):
        turn = np.array([_number(cards, f"PC{i}_{j}", float(i == j)) for i, j in pairs]).reshape(2, 2)
        return step * turn
    angle = np.radians(_number(cards, "CROTA2", 0.0))
    # Calabretta & Greisen (2002), eq. 189: the angle turns after the steps.
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ np.diag(step[:, 0])


def _sip_polynomial(cards, cd):
    """Polynomials of xi and eta (ndarray, shape (2, n)) in the pixel offset that CD and SIP coefficients make."""
    orders = [_order(cards, f"{name}_ORDER") for name in ("A", "B")]
    powers = tpv_powers(max(*orders, 1))[1]
    offsets = np.zeros((2, len(powers)))
    offsets[0, 1] = offsets[1, 2] = 1.0
    for row, (name, order) in enumerate(zip("AB", orders, strict=True)):
        for k, (p, q) in enumerate(powers):
            if p + q <= order:
                offsets[row, k] += _number(cards, f"{name}_{p}_{q}", 0.0)
    return cd @ offsets


def _order(cards, keyword):
    """Order (int) of a SIP polynomial."""
    order = _number(cards, keyword, 0.0)
    if order not in range(LARGEST_ORDER + 1):
        raise UnsupportedWcsError(f"{keyword} {order:g}", f"a whole number up to {LARGEST_ORDER}")
    return int(order)


def _tpv_polynomials(cards):
    """Coefficients (two ndarrays of equal length) of a TPV header in the order of `core.wcs.tpv_powers`."""
    given = {}
    for axis in (1, 2):
        radial = [n for n in RADIAL_TERMS if _number(cards, f"PV{axis}_{n}", 0.0) != 0]
        if radial:
            raise UnsupportedWcsError(
                f"PV{axis}_{radial[0]}, a radial term", "a polynomial without radial terms"
            )
        given[axis] = {n: _number(cards, f"PV{axis}_{n}") for n in ALL_TERMS if f"PV{axis}_{n}" in cards}
    highest = max((n for values in given.values() for n in values), default=1)
    numbers = tpv_powers(next(o for o in range(1, LARGEST_ORDER + 1) if tpv_powers(o)[0][-1] >= highest))[0]
    return tuple(np.array([given[axis].get(n, float(n == 1)) for n in numbers]) for axis in (1, 2))


def _number(cards, keyword, default=None):
    """Card as a number (float)."""
    try:
        return number_of(cards.get(keyword, default))
    except UnreadableValueError as error:
        raise UnsupportedWcsError(f"{keyword} {cards.get(keyword)!r}", "a number") from error
