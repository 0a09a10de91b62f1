"""Another observatory, which shares nothing with Skyloom: frames, tables and truth from NumPy, GalSim and Astropy.

Two detectors in one file of four extensions, unequal amplifiers with prescans and two read-out flips, a mirrored focal
plane turned by -70 degrees, other keywords, no dark frames, a decentred distortion and a point spread function of two
Gaussians that varies across the field.
"""

import csv
from dataclasses import dataclass, field
from pathlib import Path

import galsim
import numpy as np
from astropy.io import fits

SCALE = 0.3
WIDTH, HEIGHT = 1100, 1000
PRESCAN, OVERSCAN = 12, 28
SPLIT = 440
CENTRES = {1: (-565.0, 8.0, 0.0), 2: (570.0, -5.0, 180.0)}
"""Where the detectors truly are: x, y [pixel] and orientation [deg]; the camera file is wrong by some pixels."""
BELIEVED_CENTRES = {1: (-563, 10, 0), 2: (572, -4, 180)}
AMPLIFIERS = {"L": (0, SPLIT, False, True), "R": (SPLIT, WIDTH, True, False)}
"""First and last column on the detector, and how the raw section is flipped along x and y."""
BELIEVED_GAIN, BELIEVED_READ_NOISE = {"L": 2.1, "R": 2.4}, 7.0
RADIUS = 1150.0
PARITY, ROTATION = -1, -70.0
RA, DEC, BAND = 83.0, -12.5, "V"
POINTING_ERROR_ARCSEC, ROTATION_ERROR_DEG = 20.0, 0.3
ELECTRONS_PER_NJY, SKY, SECONDS = 0.8, 420.0, 60.0
CORE_FRACTION, WING_RATIO, SHEAR, SIZE_CHANGE = 0.85, 2.2, 0.03, 0.15
STAMP = 24
STAR_FLUX, GALAXY_FLUX, TRANSIENT_FLUX = (400.0, 4e5), (500.0, 3e4), (4e3, 5e4)
CATALOGUE_LIMIT, CATALOGUE_ERROR_MAS = 6e3, 4.0
MAS = 1 / 3.6e6
FIRST_MJD = 60400.1
AB_NJY = 31.4


@dataclass
class Observatory:
    """A survey of some visits of one field.

    Parameters
    ----------
    folder : Path
        For all files.
    seed : int
        Of everything.
    uses : tuple of str
        `use` of each visit.
    counts : tuple of int
        Stars, galaxies and transients in the field.
    """

    folder: Path
    seed: int
    uses: tuple = ("both",)
    counts: tuple = (1300, 350, 60)
    objects: dict = field(init=False)
    truths: dict = field(init=False, default_factory=dict)

    def __post_init__(self):
        """Draw the objects and the camera's own truth."""
        rng = np.random.default_rng([self.seed, 0])
        self.objects = draw_objects(rng, self.counts)
        self.response = {d: 1 + 0.012 * rng.standard_normal((HEIGHT, WIDTH)) for d in CENTRES}
        self.gain = {
            (d, a): g * (1 + 0.01 * rng.standard_normal()) for d in CENTRES for a, g in BELIEVED_GAIN.items()
        }
        self.bias = {key: rng.uniform(600, 900) for key in self.gain}
        self.columns = {key: rng.normal(0, 2, WIDTH) for key in self.gain}

    def write(self):
        """Write frames, tables, the camera and the survey file."""
        for name in ("night", "cal"):
            (self.folder / name).mkdir(parents=True)
        for number in range(len(self.uses)):
            self._expose(number + 1)
        self._calibrate()
        write_catalogue(self.folder / "stars.csv", self.objects, np.random.default_rng([self.seed, 1]))
        (self.folder / "camera.yaml").write_text(camera_text(), encoding="utf-8")
        (self.folder / "survey.yaml").write_text(survey_text(self.seed), encoding="utf-8")

    def visit_row(self, visit):
        """What the observatory believes of a visit (dict)."""
        dither = np.random.default_rng([self.seed, 2, visit]).uniform(-25, 25, 2) / 3600
        return {
            "visit": visit, "exposure_name": f"OBS{visit:04d}", "night": f"n{visit}", "mjd": FIRST_MJD + visit,
            "band": BAND, "exposure_time": SECONDS, "ra": RA + dither[0], "dec": DEC + dither[1],
            "rotation": ROTATION, "pointing_uncertainty": 25, "airmass": 1.15, "camera": "second",
            "raw": "night/obs{visit}.fits", "use": self.uses[visit - 1],
        }  # fmt: skip

    def _expose(self, visit):
        """Expose both detectors and write their file."""
        row, rng = self.visit_row(visit), np.random.default_rng([self.seed, 3, visit])
        _append_row(self.folder / "visits.csv", row)
        angle, sigma = rng.uniform(0, 2 * np.pi), rng.uniform(1.35, 1.7)
        pointing = (
            row["ra"] + POINTING_ERROR_ARCSEC / 3600 * np.cos(angle) / np.cos(np.radians(row["dec"])),
            row["dec"] + POINTING_ERROR_ARCSEC / 3600 * np.sin(angle),
            ROTATION + ROTATION_ERROR_DEG,
        )
        clouds = rng.uniform(0.85, 1.0)
        planes = {}
        for detector in CENTRES:
            image, truth = self._image(detector, row, (pointing, sigma, clouds))
            self.truths[visit, detector] = truth
            planes |= self._read_out(rng.poisson(image).astype(float), detector, rng)
        cards = {
            "OBJECT": "field A",
            "OBSTYPE": "LIGHT",
            "FILT": BAND,
            "EXPOSURE": SECONDS,
            "JD": row["mjd"] + 2400000.5,
        }
        write_file(self.folder / "night" / f"obs{visit}.fits", planes, cards)

    def _image(self, detector, row, circumstances):
        """Expected electrons of a detector, and the truth of what lies on it."""
        pointing, sigma, clouds = circumstances
        ra, dec = positions_at(self.objects, row["mjd"])
        focal = distort(*tangent_plane(ra, dec, pointing))
        x, y = to_detector(detector, *focal)
        is_lit = (self.objects["kind"] != "transient") | (row["use"] == "science")
        near = (
            (np.abs(x - WIDTH / 2) < WIDTH / 2 + STAMP)
            & (np.abs(y - HEIGHT / 2) < HEIGHT / 2 + STAMP)
            & is_lit
        )
        index = np.flatnonzero(near)
        vignetting = illumination(*to_focal(detector, *pixel_grid()))
        image = np.full((HEIGHT, WIDTH), SKY)
        for k in index:
            stamp = self._stamp(k, (x[k], y[k]), (focal[0][k], focal[1][k]), (detector, sigma))
            add_stamp(image, stamp * self.objects["flux"][k] * ELECTRONS_PER_NJY * clouds, x[k], y[k])
        on = index[
            (x[index] > -0.5) & (x[index] < WIDTH - 0.5) & (y[index] > -0.5) & (y[index] < HEIGHT - 0.5)
        ]
        response = illumination(focal[0][on], focal[1][on])
        truth = {
            "id": on, "kind": self.objects["kind"][on], "x": x[on], "y": y[on], "ra": ra[on], "dec": dec[on],
            "flux": self.objects["flux"][on], "electrons_per_njy": np.full(len(on), ELECTRONS_PER_NJY * clouds),
            "response": response, "sky": SKY * response, "psf_fwhm": psf_sigma(sigma, focal[0][on], focal[1][on]),
        }  # fmt: skip
        return image * vignetting * self.response[detector], truth

    def _stamp(self, k, place, focal, seeing):
        """Light of one object of flux 1 on pixels about its own."""
        detector, sigma = seeing
        offset = place[0] - round(place[0]), place[1] - round(place[1])
        profile = point_spread(psf_sigma(sigma, *focal), focal, CENTRES[detector][2])
        if self.objects["kind"][k] == "galaxy":
            disc = galsim.Exponential(half_light_radius=self.objects["radius"][k])
            disc = disc.shear(g1=self.objects["g1"][k], g2=self.objects["g2"][k])
            profile = galsim.Convolve(profile, disc)
        size = 2 * STAMP + 1
        return profile.drawImage(nx=size, ny=size, scale=1.0, offset=offset).array.astype(float)

    def _read_out(self, electrons, detector, rng):
        """Planes of a detector's two amplifiers."""
        planes = {}
        for name, (first, last, flip_x, flip_y) in AMPLIFIERS.items():
            key = detector, name
            part = np.minimum(electrons[:, first:last], 110_000)
            part = part[:, ::-1] if flip_x else part
            part = part[::-1] if flip_y else part
            width = PRESCAN + last - first + OVERSCAN
            plane = rng.normal(
                self.bias[key] + rng.normal(0, 2), BELIEVED_READ_NOISE / self.gain[key], (HEIGHT, width)
            )
            plane[:, PRESCAN : PRESCAN + last - first] += (
                part / self.gain[key] + self.columns[key][: last - first]
            )
            planes[f"C{detector}{name}"] = np.clip(np.rint(plane), 0, 65535).astype(np.uint16)
        return planes

    def _calibrate(self):
        """Take bias and flat frames."""
        rng = np.random.default_rng([self.seed, 4])
        for number in range(1, 15):
            is_flat = number > 8
            planes = {}
            for detector in CENTRES:
                light = np.zeros((HEIGHT, WIDTH))
                if is_flat:
                    light = (
                        25_000 * illumination(*to_focal(detector, *pixel_grid())) * self.response[detector]
                    )
                    light = light * pixel_area(*to_focal(detector, *pixel_grid()))
                planes |= self._read_out(rng.poisson(light).astype(float), detector, rng)
            kind, seconds = ("flat", 4.0) if is_flat else ("bias", 0.0)
            row = {
                "frame": number, "kind": kind, "band": BAND if is_flat else "none", "exposure_time": seconds,
                "mjd": FIRST_MJD + 0.01 * number, "epoch": "a", "valid_from": 60000, "valid_until": 61000,
                "camera": "second", "raw": "cal/c{frame}.fits",
            }  # fmt: skip
            _append_row(self.folder / "calibration_frames.csv", row)
            cards = {"OBSTYPE": kind.upper(), "FILT": BAND, "EXPOSURE": seconds, "JD": row["mjd"] + 2400000.5}
            write_file(self.folder / "cal" / f"c{number}.fits", planes, cards)


def draw_objects(rng, counts):
    """Stars, galaxies and transients of the field: kind, place at J2016, motion, flux and shape."""
    n_star, n_galaxy, n_transient = counts
    n = sum(counts)
    kind = np.repeat(["star", "galaxy", "transient"], counts)
    limits = {"star": STAR_FLUX, "galaxy": GALAXY_FLUX, "transient": TRANSIENT_FLUX}
    low, high = (np.log10([limits[k][i] for k in kind]) for i in (0, 1))
    half = 1.15 * RADIUS * SCALE / 3600
    is_star = kind == "star"
    return {
        "kind": kind,
        "ra": RA + rng.uniform(-half, half, n) / np.cos(np.radians(DEC)),
        "dec": DEC + rng.uniform(-half, half, n),
        "pmra": np.where(is_star, rng.normal(0, 8, n), 0),
        "pmdec": np.where(is_star, rng.normal(0, 8, n), 0),
        "flux": 10 ** (low + (high - low) * rng.uniform(0, 1, n) ** 1.4),
        "radius": rng.uniform(1.0, 4.0, n),
        "g1": rng.uniform(-0.3, 0.3, n),
        "g2": rng.uniform(-0.3, 0.3, n),
    }


def positions_at(objects, mjd):
    """Right ascension and declination at a time [deg]; motions along the axes are straight enough here."""
    years = (mjd - 57388.5) / 365.25
    dec = objects["dec"] + objects["pmdec"] * years * MAS
    return objects["ra"] + objects["pmra"] * years * MAS / np.cos(np.radians(objects["dec"])), dec


def tangent_plane(ra, dec, pointing):
    """Undistorted focal-plane coordinates [pixel]: gnomonic, turned, mirrored."""
    a, d, a0, d0 = (np.radians(v) for v in (ra, dec, pointing[0], pointing[1]))
    depth = np.sin(d0) * np.sin(d) + np.cos(d0) * np.cos(d) * np.cos(a - a0)
    east = np.degrees(np.cos(d) * np.sin(a - a0) / depth) * 3600 / SCALE
    north = (
        np.degrees((np.cos(d0) * np.sin(d) - np.sin(d0) * np.cos(d) * np.cos(a - a0)) / depth) * 3600 / SCALE
    )
    turn = np.radians(pointing[2])
    right = -PARITY * (east * np.cos(turn) - north * np.sin(turn))
    return right, east * np.sin(turn) + north * np.cos(turn)


def distort(u, v):
    """Focal-plane coordinates of undistorted ones: decentred barrel with a quadratic tilt."""
    p, q = (u - 150) / RADIUS, (v + 90) / RADIUS
    r2 = p * p + q * q
    return u + 5.0 * p * r2 + 1.5 * p * q, v + 5.0 * q * r2 + 1.2 * p * p


def pixel_area(u, v):
    """Sky area of a pixel relative to the plane's, by differences."""
    step = 1.0
    right, left, up, down = (distort(u + a, v + b) for a, b in ((step, 0), (-step, 0), (0, step), (0, -step)))
    j = [(right[i] - left[i]) / (2 * step) for i in (0, 1)] + [(up[i] - down[i]) / (2 * step) for i in (0, 1)]
    return 1 / (j[0] * j[3] - j[1] * j[2])


def pixel_grid():
    """Columns and rows of a detector's pixels."""
    return np.meshgrid(np.arange(WIDTH, dtype=float), np.arange(HEIGHT, dtype=float))


def to_focal(detector, x, y):
    """Focal-plane coordinates of detector pixels."""
    cx, cy, orientation = CENTRES[detector]
    turn = np.radians(orientation)
    dx, dy = x - (WIDTH - 1) / 2, y - (HEIGHT - 1) / 2
    return cx + dx * np.cos(turn) - dy * np.sin(turn), cy + dx * np.sin(turn) + dy * np.cos(turn)


def to_detector(detector, u, v):
    """Detector pixels of focal-plane coordinates."""
    cx, cy, orientation = CENTRES[detector]
    turn = np.radians(orientation)
    du, dv = u - cx, v - cy
    return (
        (WIDTH - 1) / 2 + du * np.cos(turn) + dv * np.sin(turn),
        (HEIGHT - 1) / 2 - du * np.sin(turn) + dv * np.cos(turn),
    )


def illumination(u, v):
    """Vignetting: 8 % at the edge, off the axis."""
    return 1 - 0.08 * (((u + 100) / RADIUS) ** 2 + (v / RADIUS) ** 2)


def psf_sigma(sigma, u, v):
    """Width of the core across the field [pixel]."""
    return sigma * (1 + SIZE_CHANGE * ((u - 200) / RADIUS) ** 2 + 0.05 * v / RADIUS)


def point_spread(sigma, focal, orientation):
    """Two Gaussians, sheared more towards the edge; detector axes."""
    u, v = focal[0] / RADIUS, focal[1] / RADIUS
    core = galsim.Gaussian(sigma=sigma, flux=CORE_FRACTION)
    profile = core + galsim.Gaussian(sigma=WING_RATIO * sigma, flux=1 - CORE_FRACTION)
    return profile.shear(g1=SHEAR * (u + 0.3), g2=SHEAR * v).rotate(-orientation * galsim.degrees)


def noise_area(sigma):
    """Noise-equivalent area of a star by the width of its core [pixel^2]."""
    widths = np.linspace(1.2, 2.3, 8)
    areas = []
    for width in widths:
        stamp = point_spread(width, (0.0, 0.0), 0.0).drawImage(nx=61, ny=61, scale=1.0).array.astype(float)
        areas.append(stamp.sum() ** 2 / np.sum(stamp**2))
    return np.interp(sigma, widths, areas)


def add_stamp(image, stamp, x, y):
    """Add a stamp about a place to an image, in place."""
    column, row = round(x) - STAMP, round(y) - STAMP
    size = 2 * STAMP + 1
    x0, x1, y0, y1 = max(column, 0), min(column + size, WIDTH), max(row, 0), min(row + size, HEIGHT)
    if x0 < x1 and y0 < y1:
        image[y0:y1, x0:x1] += stamp[y0 - row : y1 - row, x0 - column : x1 - column]


def write_file(path, planes, cards):
    """Write extensions behind an empty primary unit with the observatory's own keywords."""
    primary = fits.PrimaryHDU()
    primary.header.update(cards | {"TELESCOP": "second"})
    fits.HDUList([primary, *(fits.ImageHDU(p, name=n) for n, p in planes.items())]).writeto(path)


def write_catalogue(path, objects, rng):
    """Write the brighter stars as a CSV file of other column names, AB magnitudes, with errors."""
    stars = np.flatnonzero((objects["kind"] == "star") & (objects["flux"] > CATALOGUE_LIMIT))
    for number, k in enumerate(stars):
        dra, ddec, dmag = rng.normal(0, 1, 3)
        row = {
            "Source": 1000 + number,
            "RAdeg": objects["ra"][k] + CATALOGUE_ERROR_MAS * MAS * dra / np.cos(np.radians(DEC)),
            "DEdeg": objects["dec"][k] + CATALOGUE_ERROR_MAS * MAS * ddec,
            "pmRA": objects["pmra"][k],
            "pmDE": objects["pmdec"][k],
            "Vmag": AB_NJY - 2.5 * np.log10(objects["flux"][k]) + 0.01 * dmag,
        }
        _append_row(path, row)


def _append_row(path, row):
    """Append a row to a CSV file, which gets a header first."""
    is_new = not path.exists()
    with open(path, "a", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, row)
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def camera_text():
    """The camera file that a user would write."""
    lines = [
        "name: second", f"pixel_scale: {SCALE}", f"parity: {PARITY}", f"bands: [{BAND}]", "raw:",
        "  format: extensions", "  header: {exposure_time: EXPOSURE, band: FILT, jd_mid: JD}", "amplifier_sets:",
    ]  # fmt: skip
    for detector in CENTRES:
        lines.append(f"  of{detector}:")
        for name, (first, last, flip_x, flip_y) in AMPLIFIERS.items():
            end = PRESCAN + last - first
            lines += [
                f"    - name: {name}", f"      extension: C{detector}{name}",
                f"      prescan_section: [0, {PRESCAN}, 0, {HEIGHT}]",
                f"      data_section: [{PRESCAN}, {end}, 0, {HEIGHT}]",
                f"      overscan_section: [{end}, {end + OVERSCAN}, 0, {HEIGHT}]",
                f"      detector_section: [{first}, {last}, 0, {HEIGHT}]",
                f"      flip_x: {str(flip_x).lower()}", f"      flip_y: {str(flip_y).lower()}",
                f"      gain: {BELIEVED_GAIN[name]}", f"      read_noise: {BELIEVED_READ_NOISE}",
                "      saturation: 44000",
            ]  # fmt: skip
    lines.append("detectors:")
    for detector, (x, y, orientation) in BELIEVED_CENTRES.items():
        lines.append(
            f"  {detector}: {{shape: [{HEIGHT}, {WIDTH}], centre: [{x}, {y}], orientation: {orientation}, "
            f"amplifiers: of{detector}}}"
        )
    return "\n".join(lines) + "\n"


def survey_text(seed):
    """The survey file that a user would write."""
    return f"""survey: second
seed: {seed}
camera: camera.yaml
visits: visits.csv
calibration_frames: calibration_frames.csv
bands: [{BAND}]
reference:
  path: stars.csv
  epoch: 2016.0
  columns: {{id: Source, ra: RAdeg, dec: DEdeg, pmra: pmRA, pmdec: pmDE, ra_error: null, dec_error: null,
    pmra_error: null, pmdec_error: null, parallax: null}}
  fluxes: {{{BAND}: Vmag}}
  flux_unit: mag_ab
  default_position_error: {CATALOGUE_ERROR_MAS}
  default_flux_error: 0.01
sky_map:
  kind: grid
  pixel_scale: {SCALE}
  patch_inner: 1500
  patch_border: 50
  tracts:
    - {{tract: 1, ra: {RA}, dec: {DEC}, patches: [2, 2]}}
"""
