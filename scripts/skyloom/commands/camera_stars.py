"""A camera file against the stars of one frame: parity, pixel scale, and where and how turned each detector lies."""

import math
from dataclasses import dataclass, replace

import numpy as np

from skyloom.commands.camera_checks import HINT, ODD, Finding
from skyloom.commands.frame_solving import SCALE_TOLERANCE, separation, solve_image
from skyloom.core.wcs import tan_project

SCALE_STEP = 1 + 1.8 * SCALE_TOLERANCE
"""Of the scales that are tried: what is right within the tolerance of one is reached by it or the next."""
SCALE_STEPS = (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5)
"""Powers: from 0.44 to 2.3 times the camera file's, so that a binning of two, forgotten or invented, is seen."""
SCALE_MARGIN = 0.015
"""Relative error of the pixel scale that the astrometric match takes up (calibrate.astrometry.search)."""
TURN_MARGIN_DEG = 1.5
CENTRE_MARGIN_PIXEL = 20.0
CENTRE_MARGIN = 0.02
"""Of the distance from the boresight: distortion, which a camera file leaves out, moves detectors by so much."""
POINTING_MARGIN_DEG = 0.1


@dataclass(frozen=True, slots=True)
class SolvedDetector:
    """What the stars say of one detector.

    Attributes
    ----------
    detector : Detector
        As the camera file describes it.
    found : FoundPointing
        Of the boresight, if this detector lay as the file says.
    scale : float
        True pixel scale over the file's.
    """

    detector: object
    found: object
    scale: float


def solve_detectors(images, solver):
    """Solve each detector by itself, at any scale, rotation and parity.

    Parameters
    ----------
    images : list of (Detector, ndarray)
        Assembled frames.
    solver : Solver
        Camera and stars.

    Returns
    -------
    list of SolvedDetector
        Those whose stars were found.
    """
    solved, steps = [], SCALE_STEPS
    for detector, image in images:
        for step in steps:
            factor = SCALE_STEP**step
            camera = replace(solver.camera, pixel_scale=solver.camera.pixel_scale * factor)
            found = solve_image(image, detector, replace(solver, camera=camera))
            if found.is_sure:
                solved.append(SolvedDetector(detector, found, found.scale * factor))
                steps = (step,)  # all detectors have the same scale
                break
    return solved


def star_findings(solved, camera, n_detector, header):
    """Compare what the stars say with the camera file.

    Parameters
    ----------
    solved : list of SolvedDetector
        From `solve_detectors`.
    camera : Camera
        The file's content.
    n_detector : int
        Detectors that were looked at.
    header : dict
        ``pointing`` (ra, dec) and ``rotation`` [degree] by the frame's header; None where it does not tell.

    Returns
    -------
    lines : list of str
        What the stars say, for a person to read.
    findings : list of Finding
        What contradicts the file.
    """
    if not solved:
        text = (
            "its stars are not found in the star list, at no scale from "
            f"{SCALE_STEP ** min(SCALE_STEPS):.2g} to {SCALE_STEP ** max(SCALE_STEPS):.2g} times pixel_scale: does "
            "the list hold the field, as deep as the frame? Are amplifiers flipped?"
        )
        return ["stars: none of the detectors was solved"], [Finding(HINT, min(camera.detectors), "", text)]
    scale = float(np.median([one.scale for one in solved]))
    findings = _parity_findings(solved, camera) + _scale_findings(solved[0].detector.id, scale, camera)
    is_mirrored = _is_mostly_mirrored(solved)
    alike = [one for one in solved if one.found.is_mirrored == is_mirrored]
    parity = -camera.parity if is_mirrored else camera.parity
    rotation = _middle_angle([one.found.rotation for one in alike])
    straight, turned = [], []
    for one in alike:
        (straight if abs(_turn(one.found.rotation, rotation)) <= TURN_MARGIN_DEG else turned).append(one)
    findings += [_orientation_finding(one, parity * _turn(one.found.rotation, rotation)) for one in turned]
    middle = _middle_place([(one.found.ra, one.found.dec) for one in straight])
    if len(straight) > 2:
        findings += _centre_findings(straight, (middle, rotation), (camera.pixel_scale * scale, parity))
    findings += _header_findings(solved[0].detector.id, (middle, rotation), header)
    counts = ", ".join(
        f"{one.detector.id}: {one.found.match.n_matched} of {one.found.match.n_tested}" for one in solved
    )
    lines = [
        f"stars: {len(solved)} of {n_detector} detectors solved; boresight at ra {middle[0]:.4f}, dec {middle[1]:.4f}, "
        f"rotation {rotation:.2f} degrees, {camera.pixel_scale * scale:.4g} arcsec a pixel, parity {parity}",
        f"stars matched by detector: {counts}",
    ]
    return lines, findings


def _is_mostly_mirrored(solved):
    """Whether more than half of the detectors are mirrored against the file."""
    return 2 * sum(one.found.is_mirrored for one in solved) > len(solved)


def _parity_findings(solved, camera):
    """The camera's parity, and detectors that are mirrored against the others."""
    is_mirrored = _is_mostly_mirrored(solved)
    findings = []
    if is_mirrored:
        text = f"parity is {camera.parity} in the file, but the stars are mirrored: make it {-camera.parity}"
        findings.append(Finding(ODD, solved[0].detector.id, "", text))
    for one in solved:
        if one.found.is_mirrored != is_mirrored:
            text = (
                "its stars are mirrored against those of the other detectors: turn flip_x of all its amplifiers "
                "round, and mirror their detector_sections in x"
            )
            findings.append(Finding(ODD, one.detector.id, "", text))
    return findings


def _scale_findings(number, scale, camera):
    """The camera's pixel scale."""
    if abs(scale - 1) <= SCALE_MARGIN:
        return []
    text = f"pixel_scale is {camera.pixel_scale:g} in the file, {camera.pixel_scale * scale:.4g} arcsec by the stars"
    return [Finding(ODD, number, "", text)]


def _orientation_finding(one, turn):
    """A detector that is turned against the others."""
    by_stars = (one.detector.orientation + turn + 180) % 360 - 180
    nearest = 90 * round(by_stars / 90)
    if abs(by_stars - nearest) < TURN_MARGIN_DEG:
        by_stars = nearest
    text = (
        f"orientation is {one.detector.orientation:g} in the file, {by_stars:.4g} degrees by the stars, "
        "if the other detectors are right"
    )
    return Finding(ODD, one.detector.id, "", text)


def _centre_findings(solved, pointing, geometry):
    """Detectors whose place on the focal plane is another one."""
    (middle, rotation), (pixel_scale, parity) = pointing, geometry
    findings = []
    for one in solved:
        xi, eta = tan_project(np.array([one.found.ra]), np.array([one.found.dec]), *middle)
        z = complex(xi[0], eta[0]) * np.exp(1j * np.radians(rotation)) * 3600 / pixel_scale
        shift = -parity * z.real, z.imag
        margin = max(CENTRE_MARGIN_PIXEL, CENTRE_MARGIN * math.hypot(*one.detector.centre))
        if math.hypot(*shift) > margin:
            by_stars = [round(c + s) for c, s in zip(one.detector.centre, shift, strict=True)]
            text = f"centre is {list(one.detector.centre)} in the file, about {by_stars} by the stars"
            findings.append(Finding(ODD, one.detector.id, "", text))
    return findings


def _header_findings(number, pointing, header):
    """What the header says of pointing and rotation."""
    (middle, rotation), findings = pointing, []
    if header["pointing"] is not None:
        off = separation(*middle, *header["pointing"])
        if off > POINTING_MARGIN_DEG:
            text = (
                f"the header points {off:.2f} degrees from where the stars are: write the visit table with --solve, "
                f"or --pointing-uncertainty {math.ceil(off * 36) * 100}"
            )
            findings.append(Finding(HINT, number, "", text))
    stated = header["rotation"]
    if stated is None and abs(_turn(rotation, 0)) > TURN_MARGIN_DEG:
        text = (
            f"no card holds the rotation, which is {_turn(rotation, 0):.2f} degrees: write the visit table with "
            f"--rotation {_turn(rotation, 0):.1f} or --solve"
        )
        findings.append(Finding(HINT, number, "", text))
    elif stated is not None and abs(_turn(rotation, stated)) > TURN_MARGIN_DEG:
        turn = _turn(rotation, stated)
        text = (
            f"the header's rotation is {stated:g} degrees, by the stars {rotation:.2f}: if the card means the position "
            f"angle of +y, the orientation of every detector is off by {abs(turn):.4g} degrees; else do not map it"
        )
        findings.append(Finding(ODD, number, "", text))
    return findings


def _turn(angle, other):
    """Difference of two angles [degree], from -180 to 180."""
    return (angle - other + 180) % 360 - 180


def _middle_angle(angles):
    """The angle [degree] that has the smallest sum of differences from the others."""
    return min(angles, key=lambda angle: (sum(abs(_turn(angle, other)) for other in angles), angle))


def _middle_place(places):
    """The place (ra, dec) that has the smallest sum of distances from the others."""
    return min(places, key=lambda place: (sum(separation(*place, *other) for other in places), place))
