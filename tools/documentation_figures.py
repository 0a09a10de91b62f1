"""Draws the pictures of the documentation: `make figures`.

Most are made from the products of the demo survey, which is there; those of real frames when ``SKYLOOM_REALDATA`` names
their folder.
"""

import os
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from astropy.io import fits
from matplotlib.figure import Figure
from PIL import Image

import skyloom
from calibration_figures import photometric_residuals, position_residuals, psf_residuals, psf_whiskers
from hatp32_figures import real_frames
from mask_figures import masks
from simulation_figures import simulation
from skyloom.core.mask_planes import NO_DATA
from skyloom.core.photo_calib import AB_ZERO_POINT
from skyloom.core.tables import column, without_sky_objects
from skyloom.io.calibs import read_calib, read_calibs
from skyloom.io.cameras import read_camera
from skyloom.io.exposures import read_exposure
from skyloom.io.raws import read_raw
from skyloom.io.tables import read_table
from skyloom.isr.assembly import assemble_frame
from skyloom.isr.pipeline import remove_instrument_signature
from skyloom.workflow.config import fill_defaults, load_schema
from skyloom.workflow.paths import product_path
from visit_sky_figure import visit_sky

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "figures"
VISIT, DETECTOR, TRACT, PATCH, BAND = 305, 0, 1, "0_0", "r"
"""What is shown of the demo: an exposure of its last night, and a patch that it meets."""
CALIBS = {"bias": "none", "dark": "none", "flat": BAND, "defects": "none"}
STYLE = {"font.size": 9, "image.origin": "lower", "image.interpolation": "nearest"}


def draw_figures(results, figures, folder=FOLDER):
    """Draw pictures.

    Parameters
    ----------
    results : Path
        Output root of the demo, or folder of the real frames.
    figures : dict of str to callable
        File name -> function of that folder that gives a matplotlib Figure, or a picture that the run drew.
    folder : Path
        Where they go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in figures.items():
        with mpl.rc_context(STYLE):
            drawn = draw(results)
        if isinstance(drawn, Figure):
            drawn.savefig(folder / name, dpi=100, metadata={"Software": None})
        else:
            drawn.save(folder / name)


def picture_of_the_run(name):
    """Maker of a picture that the run itself has drawn."""
    return lambda results: Image.open(product_path(results, "report_picture", picture=name)).convert("RGB")


def calibrations(results):
    """Bias, dark, flat and defects of one detector."""
    epoch = {"epoch": "e1", "detector": DETECTOR}
    figure, axes = panels(4)
    for panel, (kind, band) in zip(axes, CALIBS.items(), strict=True):
        calib = read_calib(product_path(results, "calib", kind=kind, band=band, **epoch), kind)
        image = calib.is_bad if kind == "defects" else calib.image
        show(panel, image, kind, percentiles=(0, 100) if kind == "defects" else (1, 99))
    return figure


def raw_and_calibrated(results):
    """Raw amplifiers as they were read, the detector after ISR, and what became of its columns."""
    figure, (left, middle, right) = panels(3)
    camera = read_camera(ROOT / "config" / "cameras" / "simcam.yaml")
    path = product_path(results, "raw", visit=VISIT, detector=DETECTOR)
    raw = read_raw(path, camera.detectors[DETECTOR], camera.raw)
    planes = list(raw.planes.values())
    half = len(planes) // 2
    show(left, np.vstack([np.hstack(planes[:half]), np.hstack(planes[half:])]), "raw, as it was read [ADU]")
    epoch = {"epoch": "e1", "detector": DETECTOR}
    calibs = read_calibs(
        {kind: product_path(results, "calib", kind=kind, band=band, **epoch) for kind, band in CALIBS.items()}
    )
    info = read_exposure(product_path(results, "calexp", visit=VISIT, detector=DETECTOR)).info
    settings = fill_defaults(load_schema(ROOT / "config" / "schema"), {})["isr"]
    exposure = remove_instrument_signature(raw, calibs, info, settings)
    show(middle, exposure.pixels.image, "after ISR [electron]")
    before = assemble_frame(raw, settings).image
    lower = np.s_[: before.shape[0] // 2]
    columns = [np.median(image[lower], axis=0) for image in (before, exposure.pixels.image)]
    for values, name in zip(columns, ("overscan and gain alone", "after ISR"), strict=True):
        right.plot(values, lw=0.6, label=name)
    low, high = np.percentile(columns, (0.5, 99.5))
    right.set(xlabel="x [pixel]", ylim=(low - 0.3 * (high - low), high + 0.5 * (high - low)))
    right.set_title("medians of columns, lower half [electron]", fontsize=9)
    right.legend(frameon=False)
    return figure


def calibrated_image(results):
    """Part of a calexp, its mask, the same with its sources, and the PSF."""
    calexp = read_exposure(product_path(results, "calexp", visit=VISIT, detector=DETECTOR))
    sources = without_sky_objects(read_table(product_path(results, "src", visit=VISIT, detector=DETECTOR)))
    x, y = column(sources, "x"), column(sources, "y")
    ny, nx = calexp.pixels.shape
    part = np.s_[ny // 2 - 150 : ny // 2 + 150, nx // 2 - 150 : nx // 2 + 150]
    figure, axes = panels(4)
    show(axes[0], calexp.pixels.image[part], "image [nJy]")
    show(axes[1], calexp.pixels.mask[part] != 0, "masked", percentiles=(0, 100))
    show(axes[2], calexp.pixels.image[part], "sources")
    axes[2].plot(x - part[1].start, y - part[0].start, "o", mfc="none", mec="tab:red", ms=6)
    axes[2].set(xlim=(0, 299), ylim=(0, 299))
    show(axes[3], np.arcsinh(calexp.psf.kernel_at(nx / 2, ny / 2) * 300), "PSF, asinh", percentiles=(0, 100))
    return figure


def warps_of_a_patch(results):
    """Visits of one band on the pixels of one patch, white where there is nothing, and their coadd."""
    paths = sorted(results.glob(f"warp/{BAND}/{TRACT}/{PATCH}/*.fits"))
    usable = [path for path in paths if fits.getheader(path)["STATUS"] == "OK"]
    coadd = read_exposure(product_path(results, "coadd", kind="deep", band=BAND, tract=TRACT, patch=PATCH))
    figure, axes = panels(len(usable) + 1)
    for panel, path in zip(axes, usable, strict=False):
        warp = read_exposure(path)
        whole = np.full(coadd.pixels.shape, np.nan, dtype=np.float32)
        x0, y0 = warp.info.origin
        ny, nx = warp.pixels.shape
        empty = warp.pixels.is_masked(NO_DATA)
        whole[y0 : y0 + ny, x0 : x0 + nx] = np.where(empty, np.nan, warp.pixels.image)
        show(panel, whole, f"warp of visit {warp.info.visit}")
    show(axes[-1], coadd.pixels.image, f"coadd in {BAND}")
    return figure


def objects(results):
    """Numbers of objects by magnitude, and their colours."""
    table = skyloom.open_product("object", root=results, tract=TRACT, patch=PATCH)
    figure, (left, right) = panels(2)
    with np.errstate(invalid="ignore"):
        magnitudes = {band: AB_ZERO_POINT - 2.5 * np.log10(table[f"{band}_psfFlux"]) for band in "gri"}
    for band, color in zip("gri", ("tab:blue", "tab:green", "tab:red"), strict=True):
        left.hist(
            magnitudes[band].dropna(), bins=np.arange(15, 26, 0.5), histtype="step", color=color, label=band
        )
    left.set(xlabel="PSF magnitude [AB]", ylabel="objects", yscale="log", title=f"{len(table)} objects")
    left.legend(frameon=False)
    star = table["refExtendedness"] < 1
    for is_chosen, label in ((~star, "extended"), (star, "point-like")):
        colours = [(magnitudes[a] - magnitudes[b])[is_chosen] for a, b in ("gr", "ri")]
        right.plot(*colours, "." if label == "extended" else "o", ms=3, alpha=0.6, label=label)
    right.set(xlabel="g - r", ylabel="r - i", xlim=(-1, 2.5), ylim=(-1, 2.5), title="colours")
    right.legend(frameon=False)
    return figure


def dia_sources(results):
    """Signal to noise of the DIA sources of all visits, by sign."""
    tables = [read_table(path) for path in sorted(results.glob("dia_source/*/*.parquet")) if has_rows(path)]
    snr = np.concatenate([np.abs(column(table, "snr")) for table in tables])
    is_negative = np.concatenate([column(table, "isNegative") for table in tables]).astype(bool)
    figure, (panel,) = panels(1)
    for chosen, label in ((~is_negative, "brighter than the template"), (is_negative, "fainter")):
        panel.hist(snr[chosen], bins=np.geomspace(4, 400, 25), histtype="step", label=label)
    panel.set(xscale="log", xlabel="signal to noise", ylabel="DIA sources", title=f"{snr.size} DIA sources")
    panel.legend(frameon=False)
    return figure


def light_curve(results):
    """Difference fluxes of the DIA object with the most sources."""
    paths = [path for path in sorted(results.glob("dia_object/*_sources.parquet")) if has_rows(path)]
    table = skyloom.open_product(max(paths, key=lambda path: read_table(path).num_rows))
    numbers = table["diaObjectId"].value_counts()
    own = table[table["diaObjectId"] == numbers.index[0]].sort_values("midpointMjdTai")
    figure, (panel,) = panels(1)
    for row in own.itertuples():
        sources = skyloom.open_product("dia_source", root=results, visit=row.visit, detector=row.detector)
        source = sources[sources["diaSourceId"] == row.diaSourceId].iloc[0]
        colour = {"g": "tab:blue", "r": "tab:green", "i": "tab:red"}[row.band]
        panel.errorbar(row.midpointMjdTai, source.psfFlux, source.psfFluxErr, fmt="o", color=colour)
        panel.annotate(
            row.band, (row.midpointMjdTai, source.psfFlux), xytext=(4, 4), textcoords="offset points"
        )
    panel.set(
        xlabel="MJD [TAI]", ylabel="flux on the difference [nJy]", title=f"DIA object {numbers.index[0]}"
    )
    return figure


def panels(number):
    """Figure and its panels in a row (Figure, list of Axes)."""
    figure = Figure(figsize=(3.1 * number + 0.6 * (number == 1) * 3, 3.1), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, number)))


def show(panel, image, title, percentiles=(2, 99)):
    """Show an image in grey between two percentiles of its finite pixels."""
    finite = image[np.isfinite(image)]
    low, high = np.percentile(finite.astype(float), percentiles)
    panel.imshow(image, cmap="gray_r", vmin=low, vmax=max(high, low + 1e-6))
    panel.set_title(title, fontsize=9)
    panel.set(xticks=[], yticks=[])


def has_rows(path):
    """Whether a table is no tombstone and not empty."""
    from skyloom.io.tables import read_table_metadata, read_table_status

    return read_table_status(path)[0] == "OK" and read_table_metadata(path)[1] > 0


FIGURES = {
    "calibrations.png": calibrations,
    "raw_and_calibrated.png": raw_and_calibrated,
    "calibrated_image.png": calibrated_image,
    "masks.png": masks,
    "psf_whiskers.png": psf_whiskers,
    "psf_residuals.png": psf_residuals,
    "position_residuals.png": position_residuals,
    "photometric_residuals.png": photometric_residuals,
    "visit_sky.png": visit_sky,
    "warps.png": warps_of_a_patch,
    "objects.png": objects,
    "dia_sources.png": dia_sources,
    "light_curve.png": light_curve,
    "colour_coadd.jpg": picture_of_the_run("colour_coadd"),
    "difference_triplets.png": picture_of_the_run("difference_triplets"),
    "astrometric_residuals.png": picture_of_the_run("astrometric_residuals"),
}
"""Every picture in docs/figures that needs no real frame, and what draws it from the demo's output root."""
FIGURES_OF_REAL_FRAMES = {"simulation.png": simulation, "real-frames.png": real_frames}
"""The others, and what draws them from the folder of the real frames."""


def main():
    """Draw all pictures that can be drawn."""
    draw_figures(ROOT / "results", FIGURES)
    realdata = os.environ.get("SKYLOOM_REALDATA")
    if realdata:
        draw_figures(Path(realdata), FIGURES_OF_REAL_FRAMES)
    else:
        left = ", ".join(FIGURES_OF_REAL_FRAMES)
        sys.stdout.write(
            f"SKYLOOM_REALDATA, the folder of the real frames, is not set: not drawn are {left}\n"
        )


if __name__ == "__main__":
    main()
