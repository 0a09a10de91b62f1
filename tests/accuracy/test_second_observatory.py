"""Frames of an observatory that shares nothing with Skyloom reach the bars by a camera file and tables alone."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from bars import Bars
from expected_noise import blank_pixels, lanczos_variance, scaled_by_cells, scatter
from second_observatory import (
    BELIEVED_READ_NOISE,
    CATALOGUE_ERROR_MAS,
    CENTRES,
    DEC,
    HEIGHT,
    RA,
    ROTATION,
    WIDTH,
    Observatory,
    noise_area,
)  # fmt: skip
from test_single_visit import check_visit, check_wcs
from workflow_support import Snakemake

from skyloom.commands.main import main
from skyloom.core import mask_planes
from skyloom.core.tables import column, without_sky_objects
from skyloom.io.exposures import read_difference, read_exposure
from skyloom.io.tables import read_table

USES = ("template", "template", "template", "science", "science")
N_BIAS = 8
GUIDED_ROOT = "results-myfield"
STAR_LIST = {
    "{id: null, ra: ra, dec: dec,": "{id: Source, ra: RAdeg, dec: DEdeg,",
    "pmra: null, pmdec: null,": "pmra: pmRA, pmdec: pmDE,",
    "{V: flux_V}": "{V: Vmag}",
}
"""What the survey file guesses of the star list, and what is true."""
EDGE_PIXEL = 12.0
MATCH_RADIUS_PIXEL = 3.0


def survey_by_the_guide(observatory):
    """Follow docs/your-data.md: check the camera, let the tables be written, name the columns of the star list."""
    folder = observatory.folder
    pairs = [
        word
        for kind, numbers in (("flat", (9, 10)), ("bias", (1, 2)))
        for word in (f"--{kind}", *(str(folder / "cal" / f"c{n}.fits") for n in numbers))
    ]
    camera = str(folder / "camera.yaml")
    assert (
        main(
            [
                "check-camera",
                camera,
                str(folder / "night/obs1.fits"),
                *pairs,
                "--output",
                str(folder / "check"),
            ]
        )
        == 0
    )
    pointing = ["--pointing", str(RA), str(DEC), "--rotation", str(ROTATION)]
    assert (
        main(["visit-table", str(folder), "--camera", camera, "--output", str(folder / "myfield"), *pointing])
        == 0
    )
    survey = folder / "myfield" / "survey.yaml"
    text = survey.read_text(encoding="utf-8")
    for old, new in STAR_LIST.items():
        assert old in text
        text = text.replace(old, new)
    survey.write_text(text, encoding="utf-8")
    return "myfield/survey.yaml"


def run_visits(folder, seed, uses, *targets):
    """Observe, let Snakemake work on the frames, and return the observatory."""
    observatory = Observatory(folder, seed, uses)
    observatory.write()
    Snakemake(folder).run(*targets, "--cores", "2", config="survey.yaml")
    return observatory


def products_of(observatory, visit, root="results"):
    """A visit's products and truth in the form of the single visits that the spine is measured on."""
    root = observatory.folder / root
    return SimpleNamespace(
        calexps={d: read_exposure(root / "calexp" / str(visit) / f"{d}.fits") for d in CENTRES},
        sources={
            d: without_sky_objects(read_table(root / "src" / str(visit) / f"{d}.parquet")) for d in CENTRES
        },
        truths={d: pa.table(observatory.truths[visit, d]) for d in CENTRES},
        area_of_fwhm=noise_area,
        read_noise=BELIEVED_READ_NOISE,
        reference_errors=lambda ra, dec: (
            np.full_like(ra, CATALOGUE_ERROR_MAS),
            np.full_like(dec, CATALOGUE_ERROR_MAS),
        ),
    )


@pytest.mark.slow
def test_the_guide_leads_from_the_second_observatorys_frames_to_the_bars_of_the_spine(tmp_path, capsys):
    observatory = Observatory(tmp_path, 1, ("both",))
    observatory.write()
    survey = survey_by_the_guide(observatory)
    assert "0 odd, 0 hints" in capsys.readouterr().out
    coadd = f"{GUIDED_ROOT}/coadd/deep/V/1/0_0.fits"
    Snakemake(tmp_path).run(coadd, "--cores", "2", config=survey)
    bars = Bars("a visit of the second observatory, seed 1")
    check_wcs(check_visit(products_of(observatory, 1, GUIDED_ROOT), bars), bars, axes=(("ra", "dec"),))
    bars.judge()
    # Half a detector's worth of pixels lies on this quarter of the tract.
    pixels = read_exposure(tmp_path / coadd).pixels
    assert np.count_nonzero(~pixels.is_masked(mask_planes.NO_DATA)) > 0.4 * WIDTH * HEIGHT


def power_of(observatory, visits):
    """Noise power of the best mean of some visits at each object, and the exposures that hold it.

    Returns a dict of identifier to (float [nJy^2], frozenset of (visit, detector)).
    """
    information, holders = {}, {}
    for (visit, detector), truth in observatory.truths.items():
        if visit not in visits:
            continue
        scale = truth["electrons_per_njy"] * truth["response"]
        variance = (truth["sky"] + BELIEVED_READ_NOISE**2 * (1 + 1 / N_BIAS)) / scale**2
        for key, value in zip(truth["id"].tolist(), variance.tolist(), strict=True):
            information[key] = information.get(key, 0.0) + 1 / value
            holders.setdefault(key, set()).add((visit, detector))
    return {key: (1 / value, frozenset(holders[key])) for key, value in information.items()}


def noise_ratios(pixels, places, power):
    """Scatter of blank pixels over the expected and over the stated noise; `places` is x, y, flux of objects."""
    x, y, flux = places
    blank = blank_pixels(pixels.shape, x, y, flux / np.sqrt([p[0] for p in power]))
    return [scatter(cells) for cells in scaled_by_cells(pixels, blank, (x, y), power)]


def check_differences(observatory, bars):
    """Noise of the differences; which transients of S/N > 10 are found, and how many sources are false."""
    root, templates = observatory.folder / "results", power_of(observatory, (1, 2, 3))
    found, n_false, n_pixel = [], 0, 0
    for visit in (4, 5):
        own = power_of(observatory, (visit,))
        for detector in CENTRES:
            truth = observatory.truths[visit, detector]
            pixels = read_difference(root / "diff" / str(visit) / f"{detector}.fits").exposure.pixels
            rows = [i for i, key in enumerate(truth["id"].tolist()) if key in templates]
            keys = truth["id"][rows].tolist()
            power = [(own[k][0] + templates[k][0], templates[k][1]) for k in keys]
            places = tuple(truth[name][rows] for name in ("x", "y", "flux"))
            for name, ratio in zip(("expected", "stated"), noise_ratios(pixels, places, power), strict=True):
                bars.check(f"noise of difference {visit}/{detector} over the {name}", ratio, 0.9, 1.1)
            table = read_table(root / "dia_source" / str(visit) / f"{detector}.parquet")
            sources = np.stack([column(table, "x"), column(table, "y")])
            is_true, good = match_transients(truth, sources, pixels)
            found.append(is_true)
            n_false += good
            n_pixel += np.count_nonzero(np.isfinite(pixels.image))
    return np.concatenate(found), n_false, n_pixel


def match_transients(truth, sources, pixels):
    """Whether each transient of S/N > 10 within the difference has a source; and how many sources have none."""
    x, y = truth["x"], truth["y"]
    ny, nx = pixels.shape
    electrons = truth["flux"] * truth["electrons_per_njy"] * truth["response"]
    area = noise_area(truth["psf_fwhm"])
    is_transient = truth["kind"] == "transient"
    # The template's three visits make the difference noisier than the exposure by the root of 4 / 3.
    background = 4 / 3 * area * (truth["sky"] + BELIEVED_READ_NOISE**2)
    signal = electrons / np.sqrt(electrons + background)
    inside = (np.minimum(x, nx - 1 - x) > EDGE_PIXEL) & (np.minimum(y, ny - 1 - y) > EDGE_PIXEL)
    has_data = np.zeros(len(x), bool)
    rows, columns = np.rint(y[inside]).astype(int), np.rint(x[inside]).astype(int)
    has_data[inside] = np.isfinite(pixels.image[rows, columns])
    wanted = np.flatnonzero(is_transient & has_data & (signal > 10))
    any_transient = np.flatnonzero(is_transient)

    def distances(indices):
        offsets = np.stack([x[indices], y[indices]])[:, :, None] - sources[:, None, :]
        return np.hypot(*offsets)

    near = distances(wanted).min(axis=1, initial=np.inf) < MATCH_RADIUS_PIXEL
    n_false = np.count_nonzero(distances(any_transient).min(axis=0, initial=np.inf) > 2 * MATCH_RADIUS_PIXEL)
    return near, n_false


def check_coadds(observatory, bars):
    """Noise of the deep coadds, all blank cells together."""
    power, factor, cells = power_of(observatory, (1, 2, 3, 4, 5)), lanczos_variance(), ([], [])
    places = {}
    for truth in observatory.truths.values():
        static = truth["kind"] != "transient"
        names = ("ra", "dec", "flux")
        places |= dict(
            zip(
                truth["id"][static].tolist(),
                zip(*(truth[n][static].tolist() for n in names), strict=True),
                strict=True,
            )
        )
    keys = list(places)
    ra, dec, flux = np.array([places[key] for key in keys]).T
    for path in sorted((observatory.folder / "results" / "coadd" / "deep").rglob("*.fits")):
        coadd = read_exposure(path)
        x, y = coadd.wcs.sky_to_pixel(ra, dec)
        on = (x > 0) & (y > 0) & (x < coadd.pixels.shape[1] - 1) & (y < coadd.pixels.shape[0] - 1)
        chosen = [(power[k][0] * factor, power[k][1]) for k, is_on in zip(keys, on, strict=True) if is_on]
        blank = blank_pixels(coadd.pixels.shape, x[on], y[on], flux[on] / np.sqrt([p[0] for p in chosen]))
        for pooled, own in zip(
            cells, scaled_by_cells(coadd.pixels, blank, (x[on], y[on]), chosen), strict=True
        ):
            pooled += own
    bars.note("blank cells of coadds", len(cells[0]))
    for name, pooled in zip(("expected", "stated"), cells, strict=True):
        bars.check(f"noise of coadds over the {name}", scatter(pooled), 0.95, 1.05)


@pytest.mark.bars
def test_three_surveys_of_the_second_observatory_reach_the_bars_of_the_spine(tmp_path):
    bars, found, n_false, n_pixel = Bars("the second observatory, three seeds"), [], 0, 0
    detectors = []
    for seed in (11, 12, 13):
        folder = tmp_path / str(seed)
        observatory = run_visits(folder, seed, USES, "drp")
        bars.note("seed", seed)
        for visit in range(1, 6):
            detectors += check_visit(products_of(observatory, visit), bars)
        check_coadds(observatory, bars)
        outcome = check_differences(observatory, bars)
        found.append(outcome[0])
        n_false, n_pixel = n_false + outcome[1], n_pixel + outcome[2]
    check_wcs(detectors, bars)
    found = np.concatenate(found)
    bars.check("transients of S/N > 10", len(found), low=60)
    bars.check("transients of S/N > 10 found", found.mean(), low=0.9)
    bars.check("false DIA sources per 2048 x 2048", n_false * 2048**2 / n_pixel, high=15)
    bars.judge()
