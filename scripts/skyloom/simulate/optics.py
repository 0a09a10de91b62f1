"""What the air and the telescope do in one visit: pointing, distortion, throughput, sky, blur."""

from dataclasses import dataclass

import numpy as np

from skyloom.core.random import generator
from skyloom.simulate.atmosphere import Air, draw_air
from skyloom.simulate.colours import AB_ZERO_POINT_NJY

ARCSEC_PER_RADIAN = 180 / np.pi * 3600
INVERSION_STEPS = 6
"""Fixed-point steps from undistorted to distorted radius; each gains a factor 3 k r^2, 0.01 at most."""


@dataclass(frozen=True, slots=True)
class Optics:
    """The telescope's own truth, the same in every visit.

    Attributes
    ----------
    pixel_scale : float
        On axis [arcsec/pixel].
    parity : int
        1: with +y North, +x is West; -1: +x is East.
    field_radius : float
        Distance of the farthest pixel from the axis [pixel].
    distortion : float
        Radial displacement at `field_radius` [pixel].
    """

    pixel_scale: float
    parity: int
    field_radius: float
    distortion: float

    def undistort(self, focal_x, focal_y):
        """Ideal gnomonic coordinates of points of the focal plane: a pure cubic.

        Parameters
        ----------
        focal_x, focal_y : ndarray
            Focal-plane coordinates of equal shape [pixel].

        Returns
        -------
        ideal_x, ideal_y : ndarray
            Shaped as `focal_x` [pixel].
        """
        squeeze = 1 - self.distortion * (focal_x**2 + focal_y**2) / self.field_radius**3
        return focal_x * squeeze, focal_y * squeeze

    def distort(self, ideal_x, ideal_y):
        """Points of the focal plane of ideal gnomonic coordinates; inverse of `undistort`.

        Parameters
        ----------
        ideal_x, ideal_y : ndarray
            Ideal coordinates of equal shape [pixel].

        Returns
        -------
        focal_x, focal_y : ndarray
            Shaped as `ideal_x` [pixel].
        """
        focal_x, focal_y = ideal_x, ideal_y
        for _ in range(INVERSION_STEPS):
            squeeze = 1 - self.distortion * (focal_x**2 + focal_y**2) / self.field_radius**3
            focal_x, focal_y = ideal_x / squeeze, ideal_y / squeeze
        return focal_x, focal_y

    def pixel_area(self, focal_x, focal_y):
        """Sky area of a pixel relative to one on the axis.

        Parameters
        ----------
        focal_x, focal_y : ndarray
            Focal-plane coordinates of equal shape [pixel].

        Returns
        -------
        ndarray
            Ratio, shaped as `focal_x`.
        """
        k = self.distortion * (focal_x**2 + focal_y**2) / self.field_radius**3
        return (1 - k) * (1 - 3 * k)


@dataclass(frozen=True, slots=True)
class VisitTruth:
    """What truly happened in a visit, against what its header says.

    Attributes
    ----------
    ra, dec, rotation : float
        True boresight and position angle of the focal plane's +y [deg].
    electrons_per_njy : float
        Electrons of the exposure per nJy, on the axis, clouds and airmass included.
    sky : float
        Electrons of the exposure in an on-axis pixel from the sky.
    sky_slope : tuple of float
        Relative change of the sky from the axis to the field's edge along x and y.
    fwhm : float
        Width of the point spread function on the axis [arcsec].
    fwhm_terms : tuple of float
        Relative change with u, v, u^2 + v^2 (focal plane over field radius).
    shear_terms : ndarray, shape (2, 3), float64
        e1 and e2 (axes of the focal plane) as a + b u + c v.
    moffat_beta : float
        Exponent of the Moffat profile.
    air : Air
        What depends on direction and colour.
    """

    ra: float
    dec: float
    rotation: float
    electrons_per_njy: float
    sky: float
    sky_slope: tuple
    fwhm: float
    fwhm_terms: tuple
    shear_terms: np.ndarray
    moffat_beta: float
    air: Air


def optics_of(camera, telescope):
    """Optics of a camera behind the simulated telescope.

    Parameters
    ----------
    camera : Camera
        Layout: `pixel_scale`, `parity`, `detectors` with `shape`, `centre`.
    telescope : dict
        Section `simulate.telescope`.

    Returns
    -------
    Optics
    """
    radius = 0.0
    for detector in camera.detectors.values():
        ny, nx = detector.shape
        x, y = np.array([-0.5, nx - 0.5, -0.5, nx - 0.5]), np.array([-0.5, -0.5, ny - 0.5, ny - 0.5])
        radius = max(radius, np.hypot(*detector_to_focal_plane(detector, x, y)).max())
    return Optics(camera.pixel_scale, camera.parity, float(radius), telescope["distortion"])


def detector_to_focal_plane(detector, x, y):
    """Focal-plane coordinates of detector pixels.

    Parameters
    ----------
    detector : Detector
        Its shape, centre and orientation.
    x, y : ndarray
        Pixel positions; their shapes need only broadcast.

    Returns
    -------
    focal_x, focal_y : ndarray
        Coordinates [pixel from the boresight].
    """
    ny, nx = detector.shape
    angle = np.radians(detector.orientation)
    dx, dy = x - 0.5 * (nx - 1), y - 0.5 * (ny - 1)
    return (
        detector.centre[0] + np.cos(angle) * dx - np.sin(angle) * dy,
        detector.centre[1] + np.sin(angle) * dx + np.cos(angle) * dy,
    )


def focal_plane_to_detector(detector, focal_x, focal_y):
    """Detector pixels of focal-plane coordinates; inverse of `detector_to_focal_plane`.

    Parameters
    ----------
    detector : Detector
        Its shape, centre and orientation.
    focal_x, focal_y : ndarray
        Coordinates [pixel from the boresight]; their shapes need only broadcast.

    Returns
    -------
    x, y : ndarray
        Pixel positions; may lie outside the detector.
    """
    ny, nx = detector.shape
    angle = np.radians(detector.orientation)
    dx, dy = focal_x - detector.centre[0], focal_y - detector.centre[1]
    return (
        0.5 * (nx - 1) + np.cos(angle) * dx + np.sin(angle) * dy,
        0.5 * (ny - 1) - np.sin(angle) * dx + np.cos(angle) * dy,
    )


def draw_visit(visit, simulation):
    """Draw what truly happens in a visit.

    Parameters
    ----------
    visit : dict
        Row of the visit table: `visit`, `band`, `ra`, `dec`, `rotation`, `exposure_time`, `airmass`.
    simulation : Simulation
        Its settings `telescope` and `atmosphere`, its seed and its camera's pixel scale.

    Returns
    -------
    VisitTruth
        Depends on nothing but the row and the simulation.
    """
    rng = generator(simulation.seed, "visit", visit["visit"])
    telescope, atmosphere = simulation.settings["telescope"], simulation.settings["atmosphere"]
    band = visit["band"]
    ra, dec, rotation = _true_pointing(visit, telescope, rng)
    clouds = rng.uniform(0, atmosphere["cloud_extinction"])
    extinction = clouds + atmosphere["extinction"][band] * (visit["airmass"] - 1)
    zero_point = telescope["zero_point"][band]
    sky_magnitude = atmosphere["sky_magnitude"][band] + rng.uniform(-1, 1) * atmosphere["sky_variation"]
    sky_rate = 10 ** (0.4 * (zero_point - sky_magnitude)) * simulation.camera.pixel_scale**2
    slope_angle, size_angle = rng.uniform(0, 2 * np.pi, 2)
    slope, size = atmosphere["sky_gradient"], atmosphere["psf_size_variation"]
    shear = rng.normal(0, atmosphere["psf_ellipticity"], (2, 3))
    return VisitTruth(
        ra=ra,
        dec=dec,
        rotation=rotation,
        electrons_per_njy=visit["exposure_time"]
        * 10 ** (0.4 * (zero_point - extinction - AB_ZERO_POINT_NJY)),
        sky=sky_rate * visit["exposure_time"],
        sky_slope=(slope * np.cos(slope_angle), slope * np.sin(slope_angle)),
        fwhm=rng.uniform(*atmosphere["seeing"]),
        fwhm_terms=(0.5 * size * np.cos(size_angle), 0.5 * size * np.sin(size_angle), size),
        shear_terms=shear * np.array([0.5, 1.0, 1.0]),
        moffat_beta=atmosphere["moffat_beta"],
        air=draw_air(visit, simulation),
    )


def _true_pointing(visit, telescope, rng):
    """True boresight and rotation: the header's, off by the stated errors in a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    error = telescope["pointing_error"] / 3600
    sign = 1 if rng.uniform() < 0.5 else -1
    dec = visit["dec"] + error * np.sin(angle)
    ra = visit["ra"] + error * np.cos(angle) / np.cos(np.radians(dec))
    return ra % 360, dec, visit["rotation"] + sign * telescope["rotation_error"]


def sky_to_focal_plane(truth, optics, ra, dec):
    """Focal-plane coordinates of sky positions.

    Parameters
    ----------
    truth : VisitTruth
        Its `ra`, `dec`, `rotation` are the true ones.
    optics : Optics
        Scale, parity and distortion.
    ra, dec : ndarray, shape (n,)
        ICRS [deg].

    Returns
    -------
    focal_x, focal_y : ndarray, shape (n,), float64
        [pixel]; NaN for positions more than 80 deg from the boresight.
    """
    a0, d0 = np.radians(truth.ra), np.radians(truth.dec)
    a, d = np.radians(ra), np.radians(dec)
    depth = np.sin(d0) * np.sin(d) + np.cos(d0) * np.cos(d) * np.cos(a - a0)
    depth = np.where(depth > np.cos(np.radians(80.0)), depth, np.nan)
    scale = ARCSEC_PER_RADIAN / optics.pixel_scale
    east = scale * np.cos(d) * np.sin(a - a0) / depth
    north = scale * (np.cos(d0) * np.sin(d) - np.sin(d0) * np.cos(d) * np.cos(a - a0)) / depth
    turn = np.radians(truth.rotation)
    up = east * np.sin(turn) + north * np.cos(turn)
    right = -optics.parity * (east * np.cos(turn) - north * np.sin(turn))
    return optics.distort(right, up)


def sky_axes(truth, optics):
    """Matrix from offsets (East, North) [arcsec] to focal-plane offsets [pixel], on the axis.

    Parameters
    ----------
    truth : VisitTruth
        Its true rotation.
    optics : Optics
        Scale and parity.

    Returns
    -------
    ndarray, shape (2, 2), float64
        Its determinant is negative for parity 1: East is left.
    """
    turn = np.radians(truth.rotation)
    cosine, sine = np.cos(turn), np.sin(turn)
    p = optics.parity
    return np.array([[-p * cosine, p * sine], [sine, cosine]]) / optics.pixel_scale


def psf_at(truth, optics, focal_x, focal_y):
    """Width and shear of the point spread function on the focal plane.

    Parameters
    ----------
    truth : VisitTruth
        Its width and shear terms.
    optics : Optics
        Pixel scale and field radius.
    focal_x, focal_y : ndarray, shape (n,)
        Focal-plane coordinates [pixel].

    Returns
    -------
    fwhm : ndarray, shape (n,), float64
        Geometric mean of the widths [pixel].
    e1, e2 : ndarray, shape (n,), float64
        Stretch along x and along the diagonal, in the axes of the focal plane.
    """
    u, v = focal_x / optics.field_radius, focal_y / optics.field_radius
    a, b, c = truth.fwhm_terms
    fwhm = truth.fwhm * (1 + a * u + b * v + c * (u**2 + v**2)) / optics.pixel_scale
    e1, e2 = (row[0] + row[1] * u + row[2] * v for row in truth.shear_terms)
    return fwhm, e1, e2
