"""Gaussians times polynomials, of which a matching kernel is a sum."""

from dataclasses import dataclass

import numpy as np

# Below this width a Gaussian is narrower than a pixel can carry (Alard & Lupton 1998 use 0.7 too).
MINIMUM_SIGMA = 0.7
# Widths relative to the Gaussian that matches the two PSFs (Israel et al. 2007; HOTPANTS' advice).
SIGMA_FACTORS = (0.5, 1.0, 2.0)
# A kernel is cut where its broadest Gaussian has fallen to exp(-4).
HALF_SIZE_IN_SIGMA = 2.8
HALF_SIZE_RANGE = (7, 17)


@dataclass(frozen=True, slots=True)
class KernelBasis:
    """Gaussians times polynomials, each a product of a function of x and one of y.

    Attributes
    ----------
    profiles : ndarray, shape (p, k), float64
        One-dimensional functions, centred on pixel k // 2.
    pairs : ndarray, shape (n, 2), int
        Profile in x and in y of each product.
    is_even : ndarray, shape (n,), bool
        Products with a sum; the first kernel is subtracted from the later ones, so that only it carries flux.
    """

    profiles: np.ndarray
    pairs: np.ndarray
    is_even: np.ndarray

    @property
    def half(self):
        """Half-width of the kernels [pixel]."""
        return self.profiles.shape[1] // 2

    def kernels(self):
        """Kernels (ndarray, shape (n, k, k), float64), the first of sum 1, the others of sum 0."""
        products = self.profiles[self.pairs[:, 1], :, None] * self.profiles[self.pairs[:, 0], None, :]
        return self._remove_sums(products)

    def _remove_sums(self, products):
        """Subtract the first plane from the other even ones, along axis 0."""
        later = self.is_even.copy()
        later[0] = False
        products[later] -= products[0]
        return products

    def convolve(self, stamps):
        """Convolve stamps with every kernel.

        Parameters
        ----------
        stamps : ndarray, shape (m, w, w), float64
            Stamps with a margin of `half` on each side.

        Returns
        -------
        ndarray, shape (n, m, w - 2 half, w - 2 half), float64
            Convolved stamps without the margin.
        """
        inner = stamps.shape[-1] - 2 * self.half
        matrices = np.zeros((len(self.profiles), stamps.shape[-1], inner))
        column = np.arange(inner)
        for offset in range(self.profiles.shape[1]):
            matrices[:, column + offset, column] = self.profiles[:, -1 - offset, None]
        in_x = [stamps @ matrix for matrix in matrices]
        products = np.stack([matrices[py].T @ in_x[px] for px, py in self.pairs])
        return self._remove_sums(products)


def basis_sigmas(sigma_reference, sigma_target):
    """Widths of the basis Gaussians for two PSFs.

    Parameters
    ----------
    sigma_reference, sigma_target : float
        Widths of the PSF that is convolved and of the one to match [pixel].

    Returns
    -------
    tuple of float
        Standard deviations [pixel]; continuous where the PSFs are equal.
    """
    match = np.sqrt(max(sigma_target**2 - sigma_reference**2, 0.0))
    smallest = max(SIGMA_FACTORS[0] * match, MINIMUM_SIGMA)
    return tuple(float(smallest * factor / SIGMA_FACTORS[0]) for factor in SIGMA_FACTORS)


def kernel_half_size(sigmas):
    """Half-width of the matching kernel [pixel] for given basis Gaussians (int).

    Parameters
    ----------
    sigmas : tuple of float
        Standard deviations of the basis [pixel].
    """
    return int(np.clip(np.ceil(HALF_SIZE_IN_SIGMA * max(sigmas)), *HALF_SIZE_RANGE))


def gaussian_basis(sigmas, degrees, half):
    """Gaussian basis of Alard and Lupton.

    Parameters
    ----------
    sigmas : sequence of float
        Standard deviations [pixel].
    degrees : sequence of int
        Total degree of the polynomial that multiplies each Gaussian.
    half : int
        Half-width of the kernels [pixel].

    Returns
    -------
    KernelBasis
        Its first kernel is the first Gaussian of sum 1.

    Notes
    -----
    Alard & Lupton (1998), equation 4; the subtraction that makes the flux ratio a single number is that of
    Alard (2000), section 3. Profiles without a sum are normalised by their absolute sum.
    """
    u = np.arange(-half, half + 1.0)
    profiles, pairs, is_even = [], [], []
    for sigma, degree in zip(sigmas, degrees, strict=True):
        first = len(profiles)
        for power in range(degree + 1):
            profile = (u / sigma) ** power * np.exp(-0.5 * (u / sigma) ** 2)
            profiles.append(profile / (profile.sum() if power % 2 == 0 else np.abs(profile).sum()))
        for total in range(degree + 1):
            for power_y in range(total + 1):
                power_x = total - power_y
                pairs.append((first + power_x, first + power_y))
                is_even.append(power_x % 2 == 0 and power_y % 2 == 0)
    return KernelBasis(np.array(profiles), np.array(pairs), np.array(is_even))


def basis_noise(kernels, noise_shape):
    """Covariance of one noise image convolved with each basis kernel, for unit power at zero frequency.

    Parameters
    ----------
    kernels : ndarray, shape (n, k, k), float64
        Basis kernels.
    noise_shape : ndarray, shape (l, l), float64
        Power spectrum of the noise on an fft2 grid with l >= k, 1 at frequency zero.

    Returns
    -------
    ndarray, shape (n, n), float64
        Covariances of the convolved images at one pixel.
    """
    size = noise_shape.shape[0]
    transforms = np.fft.fft2(kernels, s=(size, size)).reshape(len(kernels), -1)
    return ((transforms * noise_shape.ravel()) @ transforms.conj().T).real / size**2
