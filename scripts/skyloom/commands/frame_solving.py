"""Where raw frames look, by their stars: the pointing of visits whose headers have none, or a bad one."""

import math
from dataclasses import dataclass, replace

import numpy as np

from skyloom.algorithms.pointing_search import PointingLimits, find_pointing
from skyloom.commands.frame_stars import brightest_stars, frame_image
from skyloom.core.directions import unit_vectors
from skyloom.core.errors import DataError
from skyloom.core.geometry import focal_plane_position

ARCSEC = 1 / 3600
TOLERANCE_PIXEL = 3.0
TOLERANCE_FIELD = 0.004
"""Distance of a matched pair over the side of the detector: what lenses distort without being described."""
SCALE_TOLERANCE = 0.1
SCALE_WORTH_A_WORD = 0.01
DETECTORS_TRIED = 3


@dataclass(frozen=True, slots=True)
class Solver:
    """All that solves a frame of one camera.

    Attributes
    ----------
    camera : Camera
        Scale, parity, detectors.
    sky : ReferenceSky
        The star list.
    radius : float or None
        How far the pointing of the header may be off [degree]; None searches the whole list.
    scale_tolerance : float
        Largest relative error of the camera file's pixel scale.
    """

    camera: object
    sky: object
    radius: float | None = None
    scale_tolerance: float = SCALE_TOLERANCE

    def tolerance(self, detector):
        """Return the distance within which a star counts as matched [degree] (float).

        Parameters
        ----------
        detector : Detector
            Its size counts.
        """
        side = math.sqrt(detector.shape[0] * detector.shape[1])
        return max(TOLERANCE_PIXEL, TOLERANCE_FIELD * side) * self.camera.pixel_scale * ARCSEC


def solve_image(image, detector, solver, centre=None):
    """Boresight and rotation of a visit from one detector's frame.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float32
        The frame, assembled.
    detector : Detector
        Where it lies.
    solver : Solver
        Camera and stars.
    centre : tuple of float or None
        (ra, dec) of the boresight by the header [degree]; counts when the solver has a radius.

    Returns
    -------
    FoundPointing
        Of the boresight; `is_mirrored` means that the camera file's parity is the other one.
    """
    camera = solver.camera
    x, y = brightest_stars(image)
    fx, fy = focal_plane_position(detector, x, y)
    scale = camera.pixel_scale * ARCSEC
    limits = PointingLimits(
        side=math.sqrt(detector.shape[0] * detector.shape[1]) * scale,
        tolerance=solver.tolerance(detector),
        scale_tolerance=solver.scale_tolerance,
    )
    if solver.radius is not None and centre is not None:
        lever = math.hypot(*detector.centre) * scale + limits.side
        limits = replace(limits, centre=centre, radius=min(solver.radius + lever, 180.0))
    return find_pointing(-camera.parity * fx * scale, fy * scale, solver.sky, limits)


def solve_exposures(exposures, folder, solver):
    """Science exposures with the pointing that their stars show.

    Parameters
    ----------
    exposures : sequence of FrameFacts
        One an exposure.
    folder : Path
        Of the raw frames.
    solver : Solver
        Camera and stars.

    Returns
    -------
    solved : list of FrameFacts
        Those with a pointing: by the stars, or the header's where the stars did not tell.
    refused : list of FrameFacts
        Those without any, with the problem.
    """
    solved, refused = [], []
    for frame in exposures:
        pointing, problem = _solve(frame, folder, solver)
        if pointing is not None:
            print(f"{frame.path}: {_line(frame, pointing, solver.camera)}")
            frame = replace(frame, ra=pointing.ra, dec=pointing.dec, rotation=pointing.rotation)
        elif frame.ra is not None:
            print(f"LOOK: {frame.path}: not solved, the header's pointing stays: {problem}")
        if frame.ra is None:
            refused.append(replace(frame, problem=f"no pointing: {problem}"))
        else:
            solved.append(frame)
    return solved, refused


def _solve(frame, folder, solver):
    """Pointing of an exposure, or None and why not."""
    from skyloom.io.raws import read_raw
    from skyloom.workflow.visits import raw_path

    camera, problem = solver.camera, "none of its files is there"
    centre = None if frame.ra is None else (frame.ra, frame.dec)
    for detector in _from_the_middle(camera)[:DETECTORS_TRIED]:
        path = folder / raw_path({"raw": frame.path}, detector.id)
        if not path.is_file():
            continue
        try:
            raw = read_raw(path, detector, camera.raw)
        except DataError as error:
            problem = str(error)
            continue
        found = solve_image(frame_image(raw, {}), detector, solver, centre)
        if found.is_sure and found.is_mirrored:
            return None, (
                f"its stars are those at ra {found.ra:.4f}, dec {found.dec:.4f}, but mirrored: parity is "
                f"{camera.parity} in the camera file, make it {-camera.parity}"
            )
        if found.is_sure:
            return found, ""
        problem = unsolved_text(found.match)
    return None, problem


def _from_the_middle(camera):
    """Detectors, those nearest to the boresight first."""
    return sorted(camera.detectors.values(), key=lambda detector: (math.hypot(*detector.centre), detector.id))


def unsolved_text(match):
    """Why a frame was not solved.

    Parameters
    ----------
    match : PatternMatch
        The best one.

    Returns
    -------
    str
        What was found, and what to look at.
    """
    return (
        f"the best of {match.n_trials} places matches {match.n_matched} of {match.n_tested} stars, no better than "
        "chance: look at the star list's area and depth, pixel_scale in the camera file (right within "
        f"{SCALE_TOLERANCE:.0%}?) and --search-radius"
    )


def _line(frame, pointing, camera):
    """What the stars say of one exposure."""
    match = pointing.match
    text = (
        f"solved at ra {pointing.ra:.4f}, dec {pointing.dec:.4f}, rotation {pointing.rotation:.2f} "
        f"({match.n_matched} of {match.n_tested} stars, chance gives {match.chance:.1f})"
    )
    if frame.ra is not None:
        text += f", {separation(pointing.ra, pointing.dec, frame.ra, frame.dec):.2f} degrees from its header"
    if abs(pointing.scale - 1) > SCALE_WORTH_A_WORD:
        text += f"; pixel_scale is {camera.pixel_scale * pointing.scale:.4g} arcsec by the stars"
    return text


def separation(ra1, dec1, ra2, dec2):
    """Angle between two directions, all in degrees (float).

    Parameters
    ----------
    ra1, dec1, ra2, dec2 : float
        The directions.
    """
    one, other = unit_vectors(np.array([ra1, ra2]), np.array([dec1, dec2]))
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(one, other)), one @ other)))
