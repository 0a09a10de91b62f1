"""Where the detectors of a visit lie: from their pixels to the focal plane and the sky, by the commanded pointing.

Nothing but NumPy is imported, because Snakemake asks these questions whenever it builds its graph.
"""

import numpy as np

from skyloom.core.wcs import Wcs, tan_deproject

ARCSEC = 1.0 / 3600.0


def focal_plane_position(detector, x, y):
    """Focal-plane position of a detector's pixels (fx, fy, shaped as `x`, pixel from the boresight).

    Parameters
    ----------
    detector : Detector
        The detector.
    x, y : array_like
        Pixel positions.
    """
    ny, nx = detector.shape
    angle = np.radians(detector.orientation)
    dx = np.asarray(x, dtype=np.float64) - (nx - 1) / 2
    dy = np.asarray(y, dtype=np.float64) - (ny - 1) / 2
    fx = detector.centre[0] + np.cos(angle) * dx - np.sin(angle) * dy
    fy = detector.centre[1] + np.sin(angle) * dx + np.cos(angle) * dy
    return fx, fy


def focal_plane_to_sky_matrix(camera, rotation):
    """Matrix from focal-plane pixels to tangent-plane degrees (ndarray, shape (2, 2): rows xi, eta).

    Parameters
    ----------
    camera : Camera
        Its scale and parity.
    rotation : float
        Position angle of the focal plane's +y axis [degree, East of North].
    """
    step, angle, parity = camera.pixel_scale * ARCSEC, np.radians(rotation), camera.parity
    return step * np.array(
        [[-parity * np.cos(angle), np.sin(angle)], [parity * np.sin(angle), np.cos(angle)]]
    )


def predicted_wcs(camera, detector_id, ra, dec, rotation):
    """WCS of a detector from the commanded pointing alone.

    Parameters
    ----------
    camera : Camera
        The camera.
    detector_id : int
        Which detector.
    ra, dec : float
        Boresight [degree].
    rotation : float
        Position angle of the focal plane's +y axis [degree, East of North].

    Returns
    -------
    Wcs
        Plain TAN about the boresight.
    """
    detector = camera.detectors[int(detector_id)]
    ny, nx = detector.shape
    angle = np.radians(detector.orientation)
    to_focal_plane = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    cd = focal_plane_to_sky_matrix(camera, rotation) @ to_focal_plane
    boresight = -np.linalg.solve(to_focal_plane, np.array(detector.centre))
    crpix = boresight + np.array([(nx - 1) / 2, (ny - 1) / 2])
    return Wcs(np.array([ra, dec], dtype=np.float64), crpix, cd, shape=detector.shape)


def detector_corners(camera, detector_id, ra, dec, rotation):
    """Sky positions of a detector's corners in many visits.

    Parameters
    ----------
    camera : Camera
        The camera.
    detector_id : int
        Which detector.
    ra, dec, rotation : ndarray, shape (n,)
        Boresights and rotations [degree].

    Returns
    -------
    ra, dec : ndarray, shape (n, 4), float64
        Corners in order around the detector [degree].
    """
    detector = camera.detectors[int(detector_id)]
    ny, nx = detector.shape
    fx, fy = focal_plane_position(
        detector, np.array([-0.5, nx - 0.5, nx - 0.5, -0.5]), np.array([-0.5, -0.5, ny - 0.5, ny - 0.5])
    )
    rotation = np.radians(np.asarray(rotation, dtype=np.float64))[:, None]
    step, parity = camera.pixel_scale * ARCSEC, camera.parity
    xi = step * (-parity * fx * np.cos(rotation) + fy * np.sin(rotation))
    eta = step * (parity * fx * np.sin(rotation) + fy * np.cos(rotation))
    ra0 = np.asarray(ra, dtype=np.float64)[:, None]
    dec0 = np.asarray(dec, dtype=np.float64)[:, None]
    return tan_deproject(xi, eta, ra0, dec0)
