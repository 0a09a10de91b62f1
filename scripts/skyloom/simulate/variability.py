"""Variable stars: which stars vary, and how bright they are at a moment."""

import numpy as np

from skyloom.core.random import generator

SINE, RR_LYRAE, ECLIPSING, IRREGULAR = "sine", "rr_lyrae", "eclipsing", "irregular"
CLASSES = (SINE, RR_LYRAE, ECLIPSING, IRREGULAR)
SHARES = (0.3, 0.2, 0.25, 0.25)
PERIODS = ((0.1, 100.0), (0.4, 0.8), (0.4, 10.0), (5.0, 200.0))
"""Shortest and longest period of each class, uniform in its logarithm [d]; of irregular stars the damping time."""
AMPLITUDES = ((0.05, 0.6), (0.4, 1.1), (0.1, 0.9), (0.05, 0.25))
"""Range in r [mag]; of irregular stars the standard deviation."""
AMPLITUDE_RATIOS = {
    SINE: {"u": 1.5, "g": 1.3, "r": 1.0, "i": 0.8, "z": 0.75, "y": 0.7},
    RR_LYRAE: {"u": 1.35, "g": 1.33, "r": 1.0, "i": 0.8, "z": 0.75, "y": 0.72},
    ECLIPSING: dict.fromkeys("ugrizy", 1.0),
    IRREGULAR: {"u": 1.29, "g": 1.13, "r": 1.0, "i": 0.91, "z": 0.85, "y": 0.81},
}
"""Amplitude in a band over that in r. RR Lyrae stars: Sesar et al. (2010), section 4; irregular ones as quasars,
wavelength to the power -0.48 (MacLeod et al. 2010, eq. 7); eclipses of like stars are grey."""
RISE = 0.15
"""Part of an RR Lyrae star's period in which it brightens."""
ECLIPSE_WIDTH = 0.08
"""Half the duration of an eclipse over the period."""
SECONDARY_DEPTH = 0.5
N_PHASE = 256
N_MODE = 64


def add_variability_in_place(stars, fraction, epoch, rng):
    """Make a fraction of the stars variable.

    Parameters
    ----------
    stars : dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`; those of the light curve are changed, the fluxes stay means.
    fraction : float
        How many vary; 0 leaves all as they are.
    epoch : float
        Time near which the phases are counted [MJD TAI].
    rng : numpy.random.Generator
        Source of randomness, of a stream that nothing else draws from.
    """
    n = len(stars["id"])
    if fraction == 0:
        return
    is_variable = rng.uniform(0, 1, n) < fraction
    kind = rng.choice(len(CLASSES), n, p=SHARES)
    u, v, w = rng.uniform(0, 1, (3, n))
    seeds = rng.integers(1, 1 << 52, n)
    shortest, longest = np.array(PERIODS)[kind].T
    least, most = np.array(AMPLITUDES)[kind].T
    period = shortest * (longest / shortest) ** u
    is_irregular = kind == CLASSES.index(IRREGULAR)
    values = {
        "variability": np.array(CLASSES)[kind],
        "period": period,
        "amplitude": least + v * (most - least),
        "phase_mjd": np.where(is_irregular, 0.0, epoch + w * period),
        "light_seed": np.where(is_irregular, seeds, 0),
    }
    for name, value in values.items():
        stars[name][is_variable] = value[is_variable]


def variation(objects, band, mjd):
    """Flux of objects over their mean flux.

    Parameters
    ----------
    objects : dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`.
    band : str
        One of `ugrizy`.
    mjd : float
        Time [MJD TAI].

    Returns
    -------
    ndarray, shape (n,), float64
        1 for what does not vary. Its mean over time is 1.

    Notes
    -----
    Irregular stars are damped random walks in magnitude (Kelly, Bechtold & Siemiginowska 2009): see `walk`.
    """
    factor = np.ones(len(objects["id"]))
    for name in CLASSES:
        rows = np.flatnonzero(objects["variability"] == name)
        if rows.size == 0:
            continue
        amplitude = objects["amplitude"][rows] * AMPLITUDE_RATIOS[name][band]
        if name == IRREGULAR:
            steps = [
                walk(seed, mjd / time)
                for seed, time in zip(objects["light_seed"][rows], objects["period"][rows], strict=True)
            ]
            # The mean of a lognormal flux is above that of its mean magnitude.
            factor[rows] = 10 ** (-0.4 * amplitude * steps) / np.exp(
                0.5 * (0.4 * np.log(10) * amplitude) ** 2
            )
        else:
            phase = ((mjd - objects["phase_mjd"][rows]) / objects["period"][rows]) % 1
            factor[rows] = _periodic(SHAPES[name], phase, amplitude)
    return factor


def walk(seed, time):
    """Value of a damped random walk of unit variance at a time in damping times.

    Parameters
    ----------
    seed : int
        Names the walk.
    time : float
        Any time over the damping time.

    Returns
    -------
    float
        Of mean 0; over many seeds its covariance at two times is exp(-|difference|).

    Notes
    -----
    A sum of waves whose frequencies follow Cauchy's distribution, the walk's power spectrum: Rahimi & Recht
    (2007), theorem 1, for the exponential kernel. So it can be had at any time without those before.
    """
    rng = generator(seed, "walk")
    frequency, phase = rng.standard_cauchy(N_MODE), rng.uniform(0, 2 * np.pi, N_MODE)
    return np.sqrt(2 / N_MODE) * np.cos(frequency * time + phase).sum()


def _periodic(shape, phase, amplitude):
    """Flux over its mean over the period, of a light curve of a shape in magnitudes."""
    all_phases = (np.arange(N_PHASE) + 0.5) / N_PHASE
    mean = np.mean(10 ** (-0.4 * np.outer(amplitude, shape(all_phases))), axis=1)
    return 10 ** (-0.4 * amplitude * shape(phase)) / mean


def _sine(phase):
    """From 0 at maximum to 1 at minimum, half a period later."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * phase)


def _sawtooth(phase):
    """From 0 at maximum a slow fall to 1 and a fast rise."""
    return np.where(phase < 1 - RISE, phase / (1 - RISE), (1 - phase) / RISE)


def _eclipses(phase):
    """1 in the middle of the primary eclipse at phase 0, less in the secondary half a period later."""
    primary, secondary = np.minimum(phase, 1 - phase), np.abs(phase - 0.5)
    return _dip(primary) + SECONDARY_DEPTH * _dip(secondary)


def _dip(distance):
    """Smooth dip of depth 1 within `ECLIPSE_WIDTH` of its middle."""
    return np.where(distance < ECLIPSE_WIDTH, np.cos(0.5 * np.pi * distance / ECLIPSE_WIDTH) ** 2, 0.0)


SHAPES = {SINE: _sine, RR_LYRAE: _sawtooth, ECLIPSING: _eclipses}
"""Magnitudes below maximum light by phase, for a range of 1."""
