"""Motion of small bodies on Keplerian ellipses about the Sun, and where and how bright they are from the Earth.

Times are MJD TDB here, vectors heliocentric on the axes of the ICRS in au and au/d; no planet disturbs.
"""

import erfa
import numpy as np

GAUSSIAN_CONSTANT = 0.01720209895
"""Square root of the Sun's gravity [au^1.5/d]."""
LIGHT_TIME = 499.004783836 / 86400
"""Days that light takes for an au (IAU 2009)."""
OBLIQUITY = np.radians(84381.448 / 3600)
"""Of the ecliptic of J2000 (IAU 1976), which orbit catalogues use."""
TDB_MINUS_TAI = 32.184 / 86400
"""[d]; but for 2 ms."""
N_NEWTON = 12
N_LIGHT_TIME = 4
TO_ECLIPTIC = np.array(
    [
        [1.0, 0.0, 0.0],
        [0.0, np.cos(OBLIQUITY), np.sin(OBLIQUITY)],
        [0.0, -np.sin(OBLIQUITY), np.cos(OBLIQUITY)],
    ]
)


def earth(mjd):
    """Heliocentric place of the Earth: erfa's epv00, good to 1e-7 au.

    Parameters
    ----------
    mjd : float or ndarray, shape (...)
        Times [MJD TDB].

    Returns
    -------
    ndarray, shape (3, ...), float64
        Places [au].
    """
    return np.moveaxis(np.asarray(erfa.epv00(2400000.5, mjd)[0]["p"]), -1, 0)


def eccentric_anomaly(mean_anomaly, eccentricity):
    """Solution E of Kepler's equation ``M = E - e sin E``.

    Parameters
    ----------
    mean_anomaly : ndarray, shape (n,)
        [radian]
    eccentricity : ndarray, shape (n,)
        Below 1.

    Returns
    -------
    ndarray, shape (n,), float64
        [radian]

    Notes
    -----
    Newton's method from Danby's (1988) start ``M + 0.85 e sign(sin M)``, which always converges.
    """
    mean = (mean_anomaly + np.pi) % (2 * np.pi) - np.pi
    anomaly = mean + 0.85 * eccentricity * np.sign(np.sin(mean))
    for _ in range(N_NEWTON):
        excess = anomaly - eccentricity * np.sin(anomaly) - mean
        anomaly = anomaly - excess / (1 - eccentricity * np.cos(anomaly))
    return anomaly


def state_at(orbits, mjd):
    """Heliocentric places and velocities of bodies.

    Parameters
    ----------
    orbits : dict of str to ndarray, shape (n,)
        Columns of `catalog.ORBIT_COLUMNS`.
    mjd : float or ndarray, shape (n,)
        MJD TDB.

    Returns
    -------
    position, velocity : ndarray, shape (3, n), float64
        [au] and [au/d].

    Notes
    -----
    Murray & Dermott (1999), eq. 2.41 and 2.122.
    """
    axis, ecc = orbits["semimajor_axis"], orbits["eccentricity"]
    motion = GAUSSIAN_CONSTANT * axis**-1.5
    mean = np.radians(orbits["mean_anomaly"]) + motion * (mjd - orbits["epoch_mjd"])
    anomaly = eccentric_anomaly(mean, ecc)
    cosine, sine, minor = np.cos(anomaly), np.sin(anomaly), np.sqrt(1 - ecc**2)
    speed = axis * motion / (1 - ecc * cosine)
    along, across = _orbital_axes(orbits)
    position = axis * (cosine - ecc) * along + axis * minor * sine * across
    velocity = -speed * sine * along + speed * minor * cosine * across
    return position, velocity


def _orbital_axes(orbits):
    """Unit vectors to the perihelion and 90 deg ahead of it, each of shape (3, n), ICRS axes."""
    node, turn, tilt = (np.radians(orbits[name]) for name in ("node", "perihelion", "inclination"))
    towards = np.array([np.cos(node), np.sin(node), np.zeros_like(node)])
    beside = np.array([-np.sin(node) * np.cos(tilt), np.cos(node) * np.cos(tilt), np.sin(tilt)])
    along = np.cos(turn) * towards + np.sin(turn) * beside
    across = np.cos(turn) * beside - np.sin(turn) * towards
    return TO_ECLIPTIC.T @ along, TO_ECLIPTIC.T @ across


def elements_of(position, velocity, mjd):
    """Elements of the orbits through places with velocities.

    Parameters
    ----------
    position, velocity : ndarray, shape (3, n)
        [au] and [au/d].
    mjd : float or ndarray, shape (n,)
        MJD TDB, the epoch of the elements.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Elements of `catalog.ORBIT_COLUMNS`; NaN in those that an unbound body has not (semimajor axis below 0).

    Notes
    -----
    Murray & Dermott (1999), section 2.8.
    """
    place, speed = TO_ECLIPTIC @ position, TO_ECLIPTIC @ velocity
    distance = np.linalg.norm(place, axis=0)
    gravity = GAUSSIAN_CONSTANT**2
    axis = 1 / (2 / distance - (speed**2).sum(axis=0) / gravity)
    momentum = np.cross(place, speed, axis=0)
    eccentric = np.cross(speed, momentum, axis=0) / gravity - place / distance
    ecc = np.linalg.norm(eccentric, axis=0)
    node = np.arctan2(momentum[0], -momentum[1])
    towards = np.array([np.cos(node), np.sin(node), np.zeros_like(node)])
    beside = np.cross(momentum / np.linalg.norm(momentum, axis=0), towards, axis=0)
    turn = np.arctan2((eccentric * beside).sum(axis=0), (eccentric * towards).sum(axis=0))
    with np.errstate(invalid="ignore"):
        sine = (place * speed).sum(axis=0) / np.sqrt(gravity * axis)
        anomaly = np.arctan2(sine, 1 - distance / axis)
    return {
        "epoch_mjd": np.broadcast_to(mjd, distance.shape).astype(np.float64),
        "semimajor_axis": axis,
        "eccentricity": ecc,
        "inclination": np.degrees(np.arccos(momentum[2] / np.linalg.norm(momentum, axis=0))),
        "node": np.degrees(node) % 360,
        "perihelion": np.degrees(turn) % 360,
        "mean_anomaly": np.degrees(anomaly - sine) % 360,
    }


def ephemeris(orbits, mjd_tai):
    """Where bodies are seen from the Earth's centre, by light that left them earlier.

    Parameters
    ----------
    orbits : dict of str to ndarray, shape (n,)
        Columns of `catalog.ORBIT_COLUMNS`.
    mjd_tai : float or ndarray, shape (n,)
        Time of observation [MJD TAI].

    Returns
    -------
    ra, dec : ndarray, shape (n,), float64
        ICRS, without aberration [deg]; `ra` in [0, 360).
    magnitude : ndarray, shape (n,), float64
        AB in r.
    """
    mjd = np.broadcast_to(mjd_tai, orbits["semimajor_axis"].shape) + TDB_MINUS_TAI
    observer = earth(mjd)
    delay = np.zeros(mjd.shape)
    for _ in range(N_LIGHT_TIME):
        place, _ = state_at(orbits, mjd - delay)
        sight = place - observer
        delay = LIGHT_TIME * np.linalg.norm(sight, axis=0)
    ra, dec = np.arctan2(sight[1], sight[0]), np.arctan2(sight[2], np.hypot(sight[0], sight[1]))
    magnitude = orbits["absolute_magnitude"] + dimming(place, sight, orbits["slope_parameter"])
    return np.degrees(ra) % 360, np.degrees(dec), magnitude


def dimming(place, sight, slope):
    """Apparent minus absolute magnitude.

    Parameters
    ----------
    place, sight : ndarray, shape (3, n)
        From the Sun and from the Earth to the body [au].
    slope : ndarray, shape (n,)
        Slope parameter G.

    Returns
    -------
    ndarray, shape (n,), float64
        [mag]

    Notes
    -----
    The H, G system: Bowell et al. (1989), eq. A4 and A5 in the simple form of their functions.
    """
    distance, range_ = np.linalg.norm(place, axis=0), np.linalg.norm(sight, axis=0)
    cosine = np.clip((place * sight).sum(axis=0) / (distance * range_), -1, 1)
    tangent = np.tan(0.5 * np.arccos(cosine))
    first, second = np.exp(-3.33 * tangent**0.63), np.exp(-1.87 * tangent**1.22)
    return 5 * np.log10(distance * range_) - 2.5 * np.log10((1 - slope) * first + slope * second)
