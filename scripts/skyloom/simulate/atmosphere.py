"""What the air of one visit does to light from each direction and of each colour."""

from dataclasses import dataclass

import numpy as np

from skyloom.core.random import generator
from skyloom.simulate.moonlight import moonlight_ratio
from skyloom.simulate.random_field import RandomField, draw_field
from skyloom.simulate.refraction import Refraction, refraction_of

FWHM_PER_SIGMA = 2.3548200450309493
TURBULENCE_SECONDS = 30.0
"""Exposure time for which `turbulence` is stated; it averages out with the root of the time."""
MOON_STEP_DEG = 0.1
LEAST_EXPONENT_OF_MOMENTS = 2.5


@dataclass(frozen=True, slots=True)
class Air:
    """The air over the telescope in one visit; None stands for an effect that is switched off.

    Attributes
    ----------
    turbulence : RandomField or None
        Displacements over the focal plane [pixel].
    clouds : RandomField or None
        Extinction over the focal plane beyond its mean [mag].
    refraction : Refraction or None
        Lift and smear by colour.
    moon : tuple of float
        Moonlit over dark sky minus one on the axis, and its slopes along East and North [1/deg].
    """

    turbulence: RandomField | None
    clouds: RandomField | None
    refraction: Refraction | None
    moon: tuple

    def transmission(self, focal_x, focal_y):
        """Fraction of the light that patchy clouds let through, relative to the visit's mean.

        Parameters
        ----------
        focal_x, focal_y : ndarray, shape (n,), float64
            Focal-plane coordinates [pixel].

        Returns
        -------
        ndarray, shape (n,), float64
        """
        if self.clouds is None:
            return np.ones(np.shape(focal_x))
        return 10 ** (-0.4 * self.clouds.value_at(focal_x, focal_y))

    def displacement(self, focal_x, focal_y, colour_gr, axes):
        """Shift of objects on the focal plane by turbulence and refraction.

        Parameters
        ----------
        focal_x, focal_y : ndarray, shape (n,), float64
            Where they would lie in vacuum [pixel].
        colour_gr : ndarray, shape (n,), float64
            Their colours [mag].
        axes : ndarray, shape (2, 2), float64
            From (East, North) [arcsec] to the focal plane [pixel].

        Returns
        -------
        shift_x, shift_y : ndarray, shape (n,), float64
            [pixel].
        """
        shift = np.zeros((2, len(focal_x)))
        if self.turbulence is not None:
            shift += self.turbulence.gradient_like_at(focal_x, focal_y)
        if self.refraction is not None:
            mean, _ = self.refraction.moments(colour_gr)
            shift += (axes @ self.refraction.toward_zenith)[:, None] * mean
        return shift[0], shift[1]

    def smeared(self, widths, colour_gr, axes, beta):
        """Point spread functions lengthened by the refraction within the filter.

        Parameters
        ----------
        widths : tuple of ndarray, shape (n,), float64
            Geometric mean width [pixel], e1 and e2 on the focal plane.
        colour_gr : ndarray, shape (n,), float64
            Colours of the objects [mag].
        axes : ndarray, shape (2, 2), float64
            As in `displacement`.
        beta : float
            Moffat exponent.

        Returns
        -------
        fwhm, e1, e2 : ndarray, shape (n,), float64
            Of the Moffat profile with the second moments of both.

        Notes
        -----
        Below an exponent of 2.5 the second moments lie in the far wings, and from 2 on there are none. The core is
        then taken for a Gaussian of the same width, which lengthens it by five sixths of what a convolution does.
        """
        if self.refraction is None:
            return widths
        fwhm, e1, e2 = widths
        _, deviation = self.refraction.moments(colour_gr)
        direction = axes @ self.refraction.toward_zenith
        if beta < LEAST_EXPONENT_OF_MOMENTS:
            sigma2 = (fwhm / FWHM_PER_SIGMA) ** 2
        else:
            sigma2 = (fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1))) ** 2 / (2 * (beta - 2))
        norm = sigma2 / (1 - e1**2 - e2**2)
        xx = norm * ((1 + e1) ** 2 + e2**2) + (deviation * direction[0]) ** 2
        yy = norm * ((1 - e1) ** 2 + e2**2) + (deviation * direction[1]) ** 2
        xy = norm * 2 * e2 + deviation**2 * direction[0] * direction[1]
        root = np.sqrt(xx * yy - xy**2)
        trace = xx + yy + 2 * root
        return fwhm * np.sqrt(root / sigma2), (xx - yy) / trace, 2 * xy / trace


def draw_air(visit, simulation):
    """Draw the air of a visit.

    Parameters
    ----------
    visit : dict
        Row of the visit table.
    simulation : Simulation
        Its settings `atmosphere`, seed, and pixel scale.

    Returns
    -------
    Air
        Depends on nothing but the row and the simulation.
    """
    settings, scale = simulation.settings["atmosphere"], simulation.camera.pixel_scale
    number = visit["visit"]
    turbulence = clouds = refraction = None
    if settings["turbulence"] > 0:
        rms = settings["turbulence"] / 1000 / scale * np.sqrt(TURBULENCE_SECONDS / visit["exposure_time"])
        outer = settings["turbulence_scale"] * 60 / scale
        turbulence = draw_field(2 * rms**2, outer, generator(simulation.seed, "turbulence", number))
    if settings["cloud_structure"] > 0:
        outer = settings["cloud_scale"] * 60 / scale
        rng = generator(simulation.seed, "cloud structure", number)
        clouds = draw_field(settings["cloud_structure"] ** 2, outer, rng)
    if settings["refraction"]:
        refraction = refraction_of(visit, settings["site"])
    return Air(turbulence, clouds, refraction, _moon(visit, settings))


def _moon(visit, settings):
    """Moonlight on the axis, and its slopes along East and North [1/deg]."""
    if not settings["moonlight"]:
        return 0.0, 0.0, 0.0
    ra, dec, step = visit["ra"], visit["dec"], MOON_STEP_DEG
    east = step / np.cos(np.radians(dec))
    ra = np.array([ra, ra - east, ra + east, ra, ra])
    dec = np.array([dec, dec, dec, dec - step, dec + step])
    ratio = moonlight_ratio(visit, settings["site"], ra, dec)
    return float(ratio[0]), float(ratio[2] - ratio[1]) / (2 * step), float(ratio[4] - ratio[3]) / (2 * step)
