"""Smooth random fields over the focal plane, as sums of plane waves: turbulence, patchy clouds."""

from dataclasses import dataclass

import numpy as np

N_WAVE = 400
POINTS_AT_ONCE = 4096
LARGEST_WAVE_NUMBER = 200.0
"""In units of the outer scale's: what lies beyond carries 1e-4 of the variance."""


@dataclass(frozen=True, slots=True)
class RandomField:
    """A field of zero mean with the spectrum of von Karman's turbulence.

    Attributes
    ----------
    wave_x, wave_y : ndarray, shape (n,), float64
        Wave vectors [radian/pixel].
    phase : ndarray, shape (n,), float64
        Phases [radian].
    amplitude : float
        Of each wave.
    """

    wave_x: np.ndarray
    wave_y: np.ndarray
    phase: np.ndarray
    amplitude: float

    def value_at(self, x, y):
        """Field at points [amplitude's unit].

        Parameters
        ----------
        x, y : ndarray, shape (m,), float64
            Points [pixel].

        Returns
        -------
        ndarray, shape (m,), float64
        """
        ones = np.ones((len(self.phase), 1))
        return self._summed(x, y, ones)[:, 0]

    def gradient_like_at(self, x, y):
        """Vector field without curl whose waves point along their wave vectors [amplitude's unit].

        Parameters
        ----------
        x, y : ndarray, shape (m,), float64
            Points [pixel].

        Returns
        -------
        along_x, along_y : ndarray, shape (m,), float64
        """
        directions = np.stack([self.wave_x, self.wave_y], axis=1)
        directions /= np.hypot(self.wave_x, self.wave_y)[:, None]
        return tuple(self._summed(x, y, directions).T)

    def waves_below(self, wave_number):
        """Field of the longer waves alone.

        Parameters
        ----------
        wave_number : float
            Shorter waves than this are left out [radian/pixel].

        Returns
        -------
        RandomField
        """
        keep = np.hypot(self.wave_x, self.wave_y) < wave_number
        return RandomField(self.wave_x[keep], self.wave_y[keep], self.phase[keep], self.amplitude)

    def plane(self, x, y):
        """Field on all crossings of columns and rows [amplitude's unit].

        Parameters
        ----------
        x, y : ndarray, shapes (nx,) and (ny,), float64
            Columns and rows [pixel].

        Returns
        -------
        ndarray, shape (ny, nx), float32
        """
        column = np.outer(self.wave_x, x)
        row = np.outer(self.wave_y, y) + self.phase[:, None]
        across = np.concatenate([np.cos(column), -np.sin(column)]).astype(np.float32)
        down = np.concatenate([np.cos(row), np.sin(row)]).astype(np.float32)
        return np.float32(self.amplitude) * (down.T @ across)

    def _summed(self, x, y, factors):
        """Sums over the waves times factors (n, k) at points, shape (m, k)."""
        sums = np.empty((len(x), factors.shape[1]))
        for first in range(0, len(x), POINTS_AT_ONCE):
            part = slice(first, first + POINTS_AT_ONCE)
            phase = np.outer(x[part], self.wave_x) + np.outer(y[part], self.wave_y) + self.phase
            sums[part] = self.amplitude * np.cos(phase) @ factors
        return sums


def draw_field(variance, outer_scale, rng):
    """Draw a field whose power falls as ``(k^2 + k0^2)^(-11/6)``.

    Parameters
    ----------
    variance : float
        Mean square of the field.
    outer_scale : float
        ``2 pi / k0`` [pixel].
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    RandomField

    Notes
    -----
    Von Karman (1948). The cumulative power in two dimensions is ``1 - (1 + k^2 / k0^2)^(-5/6)``, from which wave
    numbers are drawn: each wave has the same amplitude.
    """
    power = rng.uniform(0, 1 - (1 + LARGEST_WAVE_NUMBER**2) ** (-5 / 6), N_WAVE)
    number = 2 * np.pi / outer_scale * np.sqrt((1 - power) ** (-6 / 5) - 1)
    angle, phase = rng.uniform(0, 2 * np.pi, (2, N_WAVE))
    amplitude = float(np.sqrt(2 * variance / N_WAVE))
    return RandomField(number * np.cos(angle), number * np.sin(angle), phase, amplitude)
