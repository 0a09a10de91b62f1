"""Fit of two point sources of opposite sign: what a static source leaves where it is slightly misplaced."""

from dataclasses import dataclass

import numpy as np

from skyloom.core.splines import shift_kernels

N_STEP = 12
# Farthest that a lobe moves from its peak [pixel].
MAX_SHIFT = 1.0
STEP = 0.05


@dataclass(frozen=True, slots=True)
class DipoleFit:
    """A positive and a negative point source.

    Attributes
    ----------
    positive_flux, negative_flux : float
        Fluxes [nJy]; the second is negative for a real dipole.
    positive_x, positive_y, negative_x, negative_y : float
        Positions [pixel].
    flux_error : float
        Error of one lobe's flux with the other one free [nJy].
    chi2 : float
        Sum of squared residuals over their variance.
    n_pixel : int
        Pixels that were fitted.
    """

    positive_flux: float
    negative_flux: float
    positive_x: float
    positive_y: float
    negative_x: float
    negative_y: float
    flux_error: float
    chi2: float
    n_pixel: int

    @property
    def lobe_fraction(self):
        """Part of the total absolute flux in the stronger lobe; 1 when both have the same sign."""
        positive, negative = self.positive_flux, -self.negative_flux
        if positive <= 0 or negative <= 0:
            return 1.0
        return max(positive, negative) / (positive + negative)

    @property
    def snr(self):
        """Quadratic sum of both lobes' signal to noise."""
        return float(np.hypot(self.positive_flux, self.negative_flux) / self.flux_error)


def fit_dipole(image, weight, psf, positive, negative):
    """Two point sources fitted to a stamp of a difference.

    Parameters
    ----------
    image : ndarray, shape (s, s), float64
        Stamp [nJy].
    weight : ndarray, shape (s, s), float64
        Inverse variance; 0 on masked pixels.
    psf : ndarray, shape (k, k), float64
        PSF, sum 1; k at least s.
    positive, negative : tuple of float
        First guess of the lobes' positions (x, y) from the stamp's middle pixel.

    Returns
    -------
    DipoleFit
        Positions are relative to the stamp's middle pixel.

    Notes
    -----
    DMTN-007 (Reiss 2016) without the pre-subtraction images. Gauss-Newton steps for the positions with the
    fluxes solved at each of them. For lobes closer than the PSF's size flux and separation are degenerate,
    but their ratio is not.
    """
    start = np.array([*positive, *negative], dtype=np.float64)
    position = start.copy()
    root = np.sqrt(weight).ravel()
    data = image.ravel() * root
    for _ in range(N_STEP):
        models, slopes = _lobes(psf, position, image.shape[0], root)
        flux = _fluxes(models, data)
        residual = data - flux @ models
        gradient = flux[[0, 0, 1, 1], None] * slopes
        design = np.concatenate([models, gradient])
        normal = design @ design.T
        normal[np.diag_indices(6)] *= 1.01
        step = np.linalg.lstsq(normal, design @ residual, rcond=1e-10)[0][2:]
        position = np.clip(position + np.clip(step, -0.5, 0.5), start - MAX_SHIFT, start + MAX_SHIFT)
        if np.abs(step).max() < 1e-3:
            break
    models, _ = _lobes(psf, position, image.shape[0], root)
    flux = _fluxes(models, data)
    covariance = np.linalg.pinv(models @ models.T)
    chi2 = float(np.sum((data - flux @ models) ** 2))
    error = float(np.sqrt(max(covariance[0, 0], np.finfo(np.float64).tiny)))
    return DipoleFit(
        float(flux[0]), float(flux[1]), *map(float, position), error, chi2, int(np.count_nonzero(root))
    )


def _fluxes(models, data):
    """Least-squares fluxes of the two lobes."""
    return np.linalg.lstsq(models.T, data, rcond=1e-10)[0]


def _lobes(psf, position, size, root):
    """Weighted images of both lobes, (2, s s), and derivatives by their four coordinates, (4, s s)."""
    x = position[[0, 2]]
    y = position[[1, 3]]
    h = STEP
    offsets_x = np.concatenate([x, x + h, x - h, x, x])
    offsets_y = np.concatenate([y, y, y, y + h, y - h])
    images = [_placed(psf, dx, dy, size) for dx, dy in zip(offsets_x, offsets_y, strict=True)]
    images = np.array(images).reshape(5, 2, -1) * root
    by_x = (images[1] - images[2]) / (2 * h)
    by_y = (images[3] - images[4]) / (2 * h)
    slopes = np.stack([by_x[0], by_y[0], by_x[1], by_y[1]])
    return images[0], slopes


def _placed(psf, dx, dy, size):
    """PSF at an offset from the middle of a stamp of the given size, zero beyond its own frame."""
    whole_x, whole_y = int(np.rint(dx)), int(np.rint(dy))
    moved = shift_kernels(psf[None], [dx - whole_x], [dy - whole_y])[0]
    reach = size // 2 + max(abs(whole_x), abs(whole_y))
    padded = np.pad(moved, max(reach - psf.shape[0] // 2, 0))
    middle = padded.shape[0] // 2
    rows = slice(middle - whole_y - size // 2, middle - whole_y + size // 2 + 1)
    columns = slice(middle - whole_x - size // 2, middle - whole_x + size // 2 + 1)
    return padded[rows, columns]
