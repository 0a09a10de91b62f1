"""A pair of science exposure and template coadd, drawn here in plain NumPy without the library's algorithms."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from skyloom.core.images import Exposure, ExposureInfo, MaskedImage
from skyloom.core.psf import CellPsf, PixelPsf
from skyloom.core.schemas import COADD_INPUT
from skyloom.core.wcs import Wcs, polynomial_terms

SCALE_DEGREE = 0.2 / 3600
PSF_SIZE = 31
PSF_CELL = 64
REACH = 30
SCHEMA = Path(__file__).parents[3] / "config" / "schema"


def defaults_of(name):
    """Return the default settings of a section, read from its schema."""
    schema = yaml.safe_load((SCHEMA / f"{name}.yaml").read_text(encoding="utf-8"))

    def walk(node):
        if "default" in node:
            return node["default"]
        return {key: walk(child) for key, child in node["properties"].items()}

    return walk(schema)


@pytest.fixture
def settings():
    """Return the default settings of differencing."""
    return defaults_of("diff")


def tan_wcs(size, rotation=0.0, dx=0.0, dy=0.0):
    """Return a plain tangent WCS around (150, 2) with North up for no rotation."""
    angle = np.radians(rotation)
    cd = SCALE_DEGREE * np.array([[-np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (size - 1) / 2
    return Wcs(np.array([150.0, 2.0]), np.array([middle + dx, middle + dy]), cd, shape=(size, size))


@dataclass(frozen=True)
class Seeing:
    """Moffat PSF whose width changes along the plane's first axis."""

    fwhm: float
    slope: float = 0.0

    def profile(self, dx, dy, u, beta=4.0):
        """Return the profile at offsets for a source at field coordinate u in [-1, 1]."""
        fwhm = self.fwhm * (1 + self.slope * u)
        radius = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
        return (beta - 1) / (np.pi * radius**2) * (1 + (dx**2 + dy**2) / radius**2) ** -beta


def field_coordinate(wcs, x, y, half_degree):
    """Return the field coordinate u of pixels."""
    return wcs.pixel_to_plane(np.asarray(x), np.asarray(y))[0] / half_degree


def psf_model(wcs, seeing, half_degree):
    """Return the PSF as a pixel basis of second order, fitted to the analytic one."""
    ny, nx = wcs.shape
    x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(0, nx - 1, 5), np.linspace(0, ny - 1, 5)))
    r = np.arange(PSF_SIZE) - PSF_SIZE // 2
    fields = field_coordinate(wcs, x, y, half_degree)
    images = np.array([seeing.profile(r[None, :], r[:, None], u) for u in fields])
    images /= images.sum(axis=(1, 2), keepdims=True)
    terms = polynomial_terms((2 * x - nx + 1) / nx, (2 * y - ny + 1) / ny, 2).T
    coefficients = np.linalg.lstsq(terms, images.reshape(len(x), -1), rcond=None)[0]
    domain = (-0.5, nx - 0.5, -0.5, ny - 0.5)
    return PixelPsf(coefficients.reshape(-1, PSF_SIZE, PSF_SIZE).astype(np.float32), 2, domain)


def draw(wcs, stars, seeing, half_degree):
    """Return the noiseless image of point sources (ra, dec, flux)."""
    image = np.zeros(wcs.shape)
    x, y = wcs.sky_to_pixel(stars[0], stars[1])
    fields = field_coordinate(wcs, x, y, half_degree)
    for star_x, star_y, flux, u in zip(x, y, stars[2], fields, strict=True):
        x0, y0 = int(round(star_x)) - REACH, int(round(star_y)) - REACH
        rows = slice(max(y0, 0), min(y0 + 2 * REACH + 1, wcs.shape[0]))
        columns = slice(max(x0, 0), min(x0 + 2 * REACH + 1, wcs.shape[1]))
        if rows.start < rows.stop and columns.start < columns.stop:
            dy = np.arange(rows.start, rows.stop)[:, None] - star_y
            dx = np.arange(columns.start, columns.stop)[None, :] - star_x
            image[rows, columns] += flux * seeing.profile(dx, dy, u)
    return image


def lanczos(image, x, y, order=3):
    """Return an image interpolated at points by Lanczos-3, and the sum of the squared weights."""
    taps = np.arange(1 - order, order + 1)

    def weights(position):
        distance = position - np.floor(position) - taps[:, None, None]
        values = np.sinc(distance) * np.sinc(distance / order)
        return values / values.sum(axis=0)

    weight_x, weight_y = weights(x), weights(y)
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    out = np.zeros(x.shape)
    for j, tap_y in enumerate(taps):
        for i, tap_x in enumerate(taps):
            rows = np.clip(row + tap_y, 0, image.shape[0] - 1)
            out += weight_y[j] * weight_x[i] * image[rows, np.clip(column + tap_x, 0, image.shape[1] - 1)]
    return out, (weight_x**2).sum(axis=0) * (weight_y**2).sum(axis=0)


@dataclass(frozen=True)
class Scene:
    """A science exposure, its template coadd and the truth."""

    science: Exposure
    coadd: Exposure
    transients: tuple
    blank: np.ndarray


@pytest.fixture
def make_scene():
    """Return a function that draws a pair; the coadd is the mean of two visits resampled by Lanczos-3."""
    return scene_of


def scene_of(
    seed,
    size=320,
    science=(4.5, 0.06),
    template=(3.8, -0.06),
    sigma=60.0,
    n_star=90,
    scale=1.0,
    in_template=False,
):
    """Return a scene; `scale` multiplies the science image (a zero point error)."""
    rng = np.random.default_rng(seed)
    half = size / 2 * SCALE_DEGREE * 1.05
    science_seeing, template_seeing = Seeing(*science), Seeing(*template)
    n_transient = 12
    position = rng.uniform(-half, half, (2, n_star + n_transient))
    stars = (150 - position[0] / np.cos(np.radians(2)), 2 + position[1])
    flux = np.concatenate([10 ** rng.uniform(3.3, 5.3, n_star), rng.uniform(8e3, 3e4, n_transient)])
    everything = (*stars, flux)
    static = tuple(values[:n_star] for values in everything)

    wcs = tan_wcs(size, 3.0, 1.3, -0.7)
    clean = scale * draw(wcs, everything, science_seeing, half)
    info = ExposureInfo(visit=7, detector=1, band="r", mjd=60000.0, exposure_time=30.0)
    pixels = MaskedImage(
        (clean + rng.normal(0, sigma, clean.shape)).astype(np.float32),
        np.zeros(clean.shape, np.uint32),
        np.full(clean.shape, sigma**2, np.float32),
    )
    exposure = Exposure(pixels, info, wcs, psf_model(wcs, science_seeing, half))
    visits = _template_visits(rng, size + 100, static, template_seeing, (half, sigma))
    if in_template:
        visits[0] = (wcs, exposure.pixels.image)
    coadd = _coadd_of(visits, size + 80, template_seeing, (half, sigma))
    coadd = replace(coadd, inputs=inputs_of([7 if in_template else 3, 4]))
    return Scene(exposure, coadd, tuple(v[n_star:] for v in everything), clean < 0.1 * sigma)


def inputs_of(visits):
    """Return a coadd's table of inputs, all of them used."""
    kinds = {"bool": True, "string": "", "int64": 0, "float64": 1.0}
    values = {c.name: [kinds[c.type]] * len(visits) for c in COADD_INPUT.columns}
    return COADD_INPUT.table(values | {"visit": visits})


def _template_visits(rng, size, stars, seeing, half_and_sigma):
    """Return the WCS and the noisy image of two visits."""
    half, sigma = half_and_sigma
    visits = []
    for _ in range(2):
        wcs = tan_wcs(size, *rng.uniform(-4, 4, 3))
        visits.append((wcs, draw(wcs, stars, seeing, half) + rng.normal(0, sigma, wcs.shape)))
    return visits


def _coadd_of(visits, size, seeing, half_and_sigma):
    """Return the mean of two resampled visits."""
    half, sigma = half_and_sigma
    wcs = tan_wcs(size)
    grid_y, grid_x = np.mgrid[:size, :size].astype(float)
    ra, dec = wcs.pixel_to_sky(grid_x.ravel(), grid_y.ravel())
    image, variance, squares = np.zeros((size, size)), np.zeros((size, size)), []
    for visit, drawn in visits:
        x, y = visit.sky_to_pixel(ra, dec)
        warped, square = lanczos(drawn, x.reshape(size, size), y.reshape(size, size))
        image += warped / 2
        variance += sigma**2 * square / 4
        squares.append(square.mean())
    psf = psf_model(wcs, seeing, half)
    centre = (np.arange(-(-size // PSF_CELL)) + 0.5) * PSF_CELL
    cell_x, cell_y = np.meshgrid(centre, centre)
    images = psf.kernels_at(cell_x.ravel(), cell_y.ravel()).reshape(*cell_x.shape, PSF_SIZE, PSF_SIZE)
    pixels = MaskedImage(
        image.astype(np.float32), np.zeros(image.shape, np.uint32), variance.astype(np.float32)
    )
    info = ExposureInfo(band="r", tract=1, patch="0_0", kind="good_seeing")
    return Exposure(
        pixels,
        info,
        wcs,
        CellPsf(images.astype(np.float32), PSF_CELL),
        noise_correlation=float(1 / np.mean(squares)),
    )
