"""The kernel that makes one image look as if seen through another's PSF, fitted on stamps of sources."""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from skyloom.algorithms.kernel_basis import basis_noise
from skyloom.algorithms.robust import mad_sigma
from skyloom.core.errors import DataError
from skyloom.core.kernels import MatchingKernel
from skyloom.core.photo_calib import FieldPolynomial
from skyloom.core.wcs import polynomial_terms, unit_coordinates

log = logging.getLogger(__name__)

# Directions of the fit with more noise than this in their power are left out: they would add noise to the
# kernel and, kept as they are, make its sum too small (measured with stars of S/N 15: 4 % low; so: 0.4 +- 1
# %).
MAXIMUM_NOISE_FRACTION = 0.75
# Far below what pixels tell; keeps the Cholesky factor of nearly parallel Gaussians alive.
RELATIVE_RIDGE = 1e-10


class InsufficientKernelStampsError(DataError):
    """Too few sources are left to fit the matching kernel.

    Parameters
    ----------
    n_stamp, n_needed : int
        Stamps left and needed.
    step : str
        Where they were lost.
    """

    def __init__(self, n_stamp, n_needed, step):
        super().__init__(
            f"{n_stamp} stamps for the matching kernel {step}, needs {n_needed}: is the exposure deep "
            "enough, is its WCS right and does the template cover it?"
        )
        self.n_stamp, self.n_needed = n_stamp, n_needed


@dataclass(frozen=True, slots=True)
class KernelStamps:
    """Pixels around the sources that the kernel is fitted on.

    Attributes
    ----------
    x, y : ndarray, shape (m,), int64
        Centres [pixel].
    reference : ndarray, shape (m, s + 2 half, s + 2 half), float64
        Image to be convolved, with a margin for the kernel [nJy].
    target : ndarray, shape (m, s, s), float64
        Image to match [nJy].
    weight : ndarray, shape (m, s, s), float64
        Inverse variance of `target` minus the convolved reference [nJy^-2]; 0 for a masked pixel.
    weighted_power : ndarray, shape (m,), float64
        Sum over each stamp of `weight` times the reference's noise power at zero frequency.
    """

    x: np.ndarray
    y: np.ndarray
    reference: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    weighted_power: np.ndarray


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How the kernel varies and which stamps are thrown out.

    Attributes
    ----------
    order : int
        Highest degree of the kernel's variation.
    background_order : int
        Degree of the differential background.
    stamps_per_term : int
        Stamps that each polynomial term of the kernel needs.
    minimum_stamps : int
        Fewer stamps than this are refused.
    clip_sigma : float
        Stamps whose flux or residual is off by this many standard deviations are rejected.
    clip_rounds : int
        Rounds of rejection.
    """

    order: int = 2
    background_order: int = 1
    stamps_per_term: int = 8
    minimum_stamps: int = 3
    clip_sigma: float = 4.0
    clip_rounds: int = 3


@dataclass(frozen=True, slots=True)
class KernelFit:
    """A fitted kernel with how well it fits.

    Attributes
    ----------
    kernel : MatchingKernel
        The kernel.
    is_used : ndarray, shape (m,), bool
        Stamps that were kept.
    chi2 : ndarray, shape (m,), float64
        Reduced chi-squared of each stamp.
    flux_error : ndarray, shape (m,), float64
        Relative flux that the subtraction leaves at each stamp.
    """

    kernel: MatchingKernel
    is_used: np.ndarray
    chi2: np.ndarray
    flux_error: np.ndarray


def fit_matching_kernel(stamps, basis, noise_shape, domain, settings):
    """Spatially varying kernel that turns the reference stamps into the target stamps.

    Parameters
    ----------
    stamps : KernelStamps
        The sources.
    basis : KernelBasis
        Basis whose first kernel alone has a sum.
    noise_shape : ndarray, shape (l, l), float64
        Power spectrum of the reference's noise, 1 at frequency zero.
    domain : tuple of float
        (x0, x1, y0, y1) of the image, mapped to [-1, 1].
    settings : FitSettings
        Orders and rejection.

    Returns
    -------
    KernelFit
        Its kernel's field `convolved` is left empty.

    Raises
    ------
    InsufficientKernelStampsError
        If fewer than ``minimum_stamps`` are there or survive.

    Notes
    -----
    Alard & Lupton (1998), Alard (2000). We differ in one point: the reference is noisy too, which makes the
    normal matrix too large and the kernel's sum too small. The expectation of that noise is known and taken
    out, direction by direction (Fuller 1987, Measurement Error Models, section 2.2).
    """
    n_stamp = len(stamps.x)
    if n_stamp < settings.minimum_stamps:
        raise InsufficientKernelStampsError(n_stamp, settings.minimum_stamps, "were found")
    kernels = basis.kernels()
    normal = _stamp_normal_equations(stamps, basis)
    noise = basis_noise(kernels, noise_shape)
    is_used = np.ones(n_stamp, dtype=bool)
    for iteration in range(settings.clip_rounds + 1):
        design = _SpatialDesign(stamps, is_used, len(kernels), domain, settings)
        solution = design.solve(normal, noise, stamps, is_used)
        residuals = _stamp_residuals(normal, design.local(solution))
        if iteration == settings.clip_rounds:
            break
        # All stamps are judged anew: those that a bad one had dragged out may come back.
        kept = _is_consistent(residuals, normal.n_pixel, is_used, settings.clip_sigma)
        if kept.sum() < settings.minimum_stamps:
            raise InsufficientKernelStampsError(
                int(kept.sum()), settings.minimum_stamps, "survived rejection"
            )
        if np.array_equal(kept, is_used):
            break
        is_used = kept
    log.info("matching kernel of order %d from %d of %d stamps", design.order, is_used.sum(), n_stamp)
    return KernelFit(design.kernel(solution, kernels), is_used, residuals[0], residuals[1])


@dataclass(frozen=True, slots=True)
class _NormalEquations:
    """Sums over each stamp's pixels: products of model images, with the target, and of the target."""

    matrix: np.ndarray
    vector: np.ndarray
    square: np.ndarray
    n_pixel: np.ndarray


def _stamp_normal_equations(stamps, basis):
    """Normal equations of each stamp for the local kernel weights and a constant background."""
    n_stamp = len(stamps.x)
    models = basis.convolve(stamps.reference).transpose(1, 0, 2, 3).reshape(n_stamp, len(basis.pairs), -1)
    models = np.concatenate([models, np.ones((n_stamp, 1, models.shape[2]))], axis=1)
    weight = stamps.weight.reshape(n_stamp, 1, -1)
    target = stamps.target.reshape(n_stamp, -1)
    weighted = models * weight
    return _NormalEquations(
        matrix=weighted @ models.transpose(0, 2, 1),
        vector=(weighted @ target[:, :, None])[:, :, 0],
        square=np.sum(weight[:, 0] * target**2, axis=1),
        n_pixel=np.count_nonzero(weight[:, 0], axis=1),
    )


class _SpatialDesign:
    """How the global parameters make up the local weights at each stamp."""

    def __init__(self, stamps, is_used, n_basis, domain, settings):
        self.domain = domain
        self.n_basis = n_basis
        self.background_order = (
            settings.background_order if is_used.sum() > 3 * settings.stamps_per_term else 0
        )
        self.order = _affordable_order(int(is_used.sum()), settings)
        u, v = unit_coordinates(stamps.x, stamps.y, domain)
        terms = polynomial_terms(u, v, self.order).T
        self.n_term = terms.shape[1]
        sky = _background_terms(u, v, self.background_order)
        # Parameters: the flux-carrying kernel once, the others once a polynomial term, the background.
        self.local_index = np.concatenate(
            [[0], np.repeat(np.arange(1, n_basis), self.n_term), np.full(sky.shape[1], n_basis)]
        )
        varying = np.tile(terms, (1, n_basis - 1))
        self.factors = np.concatenate([np.ones((len(u), 1)), varying, sky], axis=1)

    def solve(self, normal, noise, stamps, is_used):
        """Global parameters from the stamps in use.

        Parameters
        ----------
        normal : _NormalEquations
            Of all m stamps.
        noise : ndarray, shape (n_basis, n_basis), float64
            From `basis_noise`.
        stamps : KernelStamps
            The stamps.
        is_used : ndarray, shape (m,), bool
            Stamps to take.

        Returns
        -------
        ndarray, shape (n_parameter,), float64
            The flux-carrying kernel's weight, the other kernels' polynomial terms, the background's terms.
        """
        n = len(self.local_index)
        matrix, vector, noise_matrix = np.zeros((n, n)), np.zeros(n), np.zeros((n, n))
        padded_noise = np.zeros((self.n_basis + 1, self.n_basis + 1))
        padded_noise[:-1, :-1] = noise
        rows, columns = self.local_index[:, None], self.local_index[None, :]
        for s in np.flatnonzero(is_used):
            factors = np.outer(self.factors[s], self.factors[s])
            matrix += factors * normal.matrix[s][rows, columns]
            noise_matrix += factors * stamps.weighted_power[s]
            vector += self.factors[s] * normal.vector[s][self.local_index]
        return _solve_with_noisy_model(matrix, vector, noise_matrix * padded_noise[rows, columns])

    def local(self, solution):
        """Weights of kernels and background at each stamp.

        Parameters
        ----------
        solution : ndarray, shape (n_parameter,), float64
            From `solve`.

        Returns
        -------
        ndarray, shape (m, n_basis + 1), float64
            The background comes last.
        """
        local = np.zeros((len(self.factors), self.n_basis + 1))
        np.add.at(local.T, self.local_index, (self.factors * solution).T)
        return local

    def kernel(self, solution, kernels):
        """Matching kernel of the global parameters.

        Parameters
        ----------
        solution : ndarray, shape (n_parameter,), float64
            From `solve`.
        kernels : ndarray, shape (n_basis, k, k), float64
            Images of the basis.

        Returns
        -------
        MatchingKernel
            With its background; which image it convolves is not said yet.
        """
        coefficients = np.zeros((self.n_basis, self.n_term))
        coefficients[0, 0] = solution[0]
        end = 1 + (self.n_basis - 1) * self.n_term
        coefficients[1:] = solution[1:end].reshape(self.n_basis - 1, self.n_term)
        n = self.background_order + 1
        sky = np.zeros((n, n))
        sky[_triangle(self.background_order)] = solution[end:]
        background = FieldPolynomial(sky, self.domain)
        return MatchingKernel(kernels, self.order, self.domain, coefficients, "", background)


def _affordable_order(n_stamp, settings):
    """Highest order whose terms have enough stamps each."""
    order = settings.order
    while order > 0 and n_stamp < settings.stamps_per_term * (order + 1) * (order + 2) // 2:
        order -= 1
    return order


def _triangle(order):
    """Row and column indices of the Chebyshev terms up to a total degree."""
    rows, columns = np.meshgrid(np.arange(order + 1), np.arange(order + 1), indexing="ij")
    inside = rows + columns <= order
    return rows[inside], columns[inside]


def _background_terms(u, v, order):
    """Chebyshev terms T_i(v) T_j(u) up to a total degree, shape (m, n)."""
    rows, columns = _triangle(order)
    return chebyshev.chebvander(v, order)[:, rows] * chebyshev.chebvander(u, order)[:, columns]


def _solve_with_noisy_model(matrix, vector, noise):
    """Solve (matrix - noise) x = vector without the directions in which there is little but noise."""
    from scipy import linalg

    scale = 1 / np.sqrt(np.diag(matrix))
    scaling = np.outer(scale, scale)
    ridge = RELATIVE_RIDGE * np.eye(len(vector))
    # The part of each direction's power that is noise; directions are orthonormal in the metric of the
    # matrix.
    fraction, directions = linalg.eigh(noise * scaling, matrix * scaling + ridge)
    is_known = fraction < MAXIMUM_NOISE_FRACTION
    gain = np.where(is_known, 1 / (1 - np.where(is_known, np.maximum(fraction, 0.0), 0.0)), 0.0)
    return scale * (directions @ (gain * (directions.T @ (scale * vector))))


def _stamp_residuals(normal, local):
    """Reduced chi-squared, relative flux left, and that flux's error at each stamp."""
    model = (normal.matrix @ local[:, :, None])[:, :, 0]
    chi2 = normal.square - 2 * np.sum(local * normal.vector, axis=1) + np.sum(local * model, axis=1)
    kernel_only = local.copy()
    kernel_only[:, -1] = 0
    power = np.sum(kernel_only * (normal.matrix @ kernel_only[:, :, None])[:, :, 0], axis=1)
    residual = np.sum(kernel_only * (normal.vector - model), axis=1)
    power = np.maximum(power, np.finfo(np.float64).tiny)
    return chi2 / np.maximum(normal.n_pixel, 1), residual / power, 1 / np.sqrt(power)


def _is_consistent(residuals, n_pixel, is_used, clip_sigma):
    """Return stamps whose residual and flux agree with the others' within scatter and noise."""
    chi2, flux_error, flux_sigma = residuals
    flux_offset, flux_scatter = _offset_and_scatter(flux_error, is_used)
    good_flux = np.abs(flux_offset) < clip_sigma * np.hypot(flux_scatter, flux_sigma)
    # A PSF that the model misses by a given fraction costs chi-squared in proportion to (S/N)^2: judge the
    # excess over noise by that fraction, never by its absolute size, or every bright star goes.
    excess, scatter = _offset_and_scatter((chi2 - 1) * flux_sigma**2, is_used)
    noise = np.sqrt(2 / np.maximum(n_pixel, 1)) * flux_sigma**2
    return good_flux & (excess < clip_sigma * np.hypot(scatter, noise))


def _offset_and_scatter(values, is_used):
    """Distance of the values from the median of those in use, and their robust scatter."""
    offset = values - np.median(values[is_used])
    return offset, mad_sigma(values[is_used])
