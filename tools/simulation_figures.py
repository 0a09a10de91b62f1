"""Picture of a simulated frame beside a real one of the same depth, seeing and pixels.

The real one is a corrected frame of SDSS (fpC, r band), which is public. Its sky, seeing and zero point are given to
the simulator; objects and noise are its own.
"""

from pathlib import Path

import numpy as np
from astropy.io import fits

from skyloom.algorithms.robust import MAD_TO_SIGMA
from skyloom.core.camera import camera_from_dict
from skyloom.simulate.pipeline import simulate_exposure, simulate_sky
from skyloom.simulate.simulation import Simulation
from skyloom.workflow.config import fill_defaults, load_yaml

HOME = Path(__file__).parents[1]
FRAME = Path("sdss-stripe82-frame") / "fpC-005754-r3-0280.fit.gz"
SEED = 1
SHAPE, SCALE, GAIN, READ_NOISE = (1489, 2048), 0.396, 4.72, 5.4
SOFT_BIAS, SECONDS, SEEING = 1000, 53.907, 1.55
ZERO_POINT, SKY_MAGNITUDE = 25.60, 19.77
CUT = np.s_[500:860, 600:1100]


def simulated_frame(seed):
    """Sky-subtracted counts of a simulated SDSS-like frame [DN].

    Parameters
    ----------
    seed : int
        Of the simulation.

    Returns
    -------
    ndarray, shape (ny, nx), float64
    """
    ny, nx = SHAPE
    amplifier = {
        "name": "A", "extension": "A", "data_section": [0, nx, 0, ny], "detector_section": [0, nx, 0, ny],
        "gain": GAIN, "read_noise": READ_NOISE,
    }  # fmt: skip
    detector = {"shape": [ny, nx], "centre": [0, 0], "orientation": 0, "amplifiers": [amplifier]}
    camera = camera_from_dict(
        {
            "name": "sdss",
            "pixel_scale": SCALE,
            "bands": ["r"],
            "raw": {"format": "extensions"},
            "detectors": {0: detector},
        }
    )
    quiet = {"bias_structure": 0.0, "pixel_response": 0.0, "vignetting": 0.0, "hot_pixel_fraction": 0.0,
             "cosmic_ray_rate": 0.0, "bad_columns": 0, "dead_pixel_fraction": 0.0, "gain_error": 0.0}  # fmt: skip
    # Counts at 50 degrees of galactic latitude; corrected frames have no rays, defects nor vignetting.
    given = {
        "stars": {"density": 4.0, "magnitude_bright": 9.0, "magnitude_faint": 24.0, "count_slope": 0.15},
        "galaxies": {"density": 20.0, "magnitude_bright": 16.0, "magnitude_faint": 24.5, "count_slope": 0.37,
                     "half_light_radius": 0.6},
        "transients": {"density": 0.0},
        "moving_objects": {"per_night": 0},
        "atmosphere": {"seeing": [SEEING, SEEING], "sky_magnitude": {"r": SKY_MAGNITUDE}, "sky_variation": 0.0,
                       "cloud_extinction": 0.0, "extinction": {"r": 0.0}, "sky_gradient": 0.0},
        "telescope": {"zero_point": {"r": ZERO_POINT}, "aureole_fraction": 0.015, "aureole_radius": 40.0,
                      "spike_fraction": 0.006, "spike_length": 60.0, "spike_angle": 15.0},
        "detector": quiet | {"bleeding": True, "full_well": 300_000.0},
    }  # fmt: skip
    settings = fill_defaults(load_yaml(HOME / "config" / "schema" / "simulate.yaml"), given)
    simulation = Simulation(settings, ("r",), seed, camera)
    visit = {
        "visit": 1, "exposure_name": "S1", "night": "n", "mjd": 53664.0, "band": "r", "exposure_time": SECONDS,
        "ra": 343.6, "dec": -0.3, "rotation": 0.0, "airmass": 1.28, "use": "science",
    }  # fmt: skip
    planes, _ = simulate_exposure(visit, camera.detectors[0], simulate_sky([visit], simulation), simulation)
    image = planes["A"].astype(float)
    return image - np.median(image)


def real_frame(path):
    """Sky-subtracted counts of an SDSS corrected frame [DN].

    Parameters
    ----------
    path : str or Path
        The fpC file.

    Returns
    -------
    ndarray, shape (ny, nx), float64
    """
    image = fits.getdata(path).astype(float) - SOFT_BIAS
    return image - np.median(image)


def radial_power(image):
    """Mean power spectrum by wave number.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float64
        Counts.

    Returns
    -------
    frequency, power : ndarray, shape (n,), float64
        [cycle/pixel] and [DN^2/pixel]; the brightest pixels are cut at 30 sigma, so that one star does not rule.
    """
    sigma = MAD_TO_SIGMA * np.median(np.abs(image))
    clipped = np.clip(image, -30 * sigma, 30 * sigma)
    power = np.abs(np.fft.rfft2(clipped)) ** 2 / clipped.size
    k = np.hypot(np.fft.fftfreq(image.shape[0])[:, None], np.fft.rfftfreq(image.shape[1])[None, :])
    edges = np.geomspace(2e-3, 0.5, 50)
    number = np.digitize(k.ravel(), edges)
    total = np.bincount(number, power.ravel(), len(edges) + 1)
    count = np.bincount(number, minlength=len(edges) + 1)
    return np.sqrt(edges[1:] * edges[:-1]), total[1:-1] / np.maximum(count[1:-1], 1)


def draw(frames):
    """Draw both frames, their histograms and their power spectra.

    Parameters
    ----------
    frames : dict of str to ndarray, shape (ny, nx), float64
        Counts by name.

    Returns
    -------
    Figure
        Four panels.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8.5), layout="constrained")
    axes = figure.subplots(2, 2)
    for axis, (name, image) in zip(axes[0], frames.items(), strict=True):
        sigma = MAD_TO_SIGMA * np.median(np.abs(image))
        axis.imshow(np.arcsinh(image[CUT] / sigma / 2), origin="lower", cmap="gray", vmin=-1, vmax=4)
        axis.set_title(f"{name}: noise {sigma:.2f} DN")
        axis.set_axis_off()
        counts, edges = np.histogram(
            image / sigma, np.concatenate([np.linspace(-6, 6, 61), np.geomspace(6.2, 1e3, 60)])
        )
        axes[1, 0].step(
            (edges[1:] + edges[:-1]) / 2, counts / np.diff(edges) / image.size, where="mid", label=name
        )
        axes[1, 1].loglog(*radial_power(image), label=name)
    axes[1, 0].set(xscale="symlog", yscale="log", xlabel="counts over the noise", ylabel="pixels [1/noise]")
    axes[1, 1].set(xlabel="wave number [cycle/pixel]", ylabel="power [DN$^2$]")
    for axis in axes[1]:
        axis.legend()
    return figure


def simulation(realdata):
    """A real frame beside a simulated one.

    Parameters
    ----------
    realdata : Path
        Folder of the real frames.

    Returns
    -------
    Figure
        Both, their histograms and their power spectra.
    """
    return draw({"SDSS": real_frame(realdata / FRAME), "simulated": simulated_frame(SEED)})
