"""A short survey configuration to start from, written once and then the user's."""

import math

# A tract of the map is cut into patches of this many pixels; larger surveys take the map of the whole sky.
PATCH_INNER = 2000
LARGEST_TRACT_DEG = 3.0


def survey_text(camera, paths, visits, frame_kinds):
    """Text of a survey file.

    Parameters
    ----------
    camera : Camera
        Its bands, scale and size.
    paths : dict of str to str
        survey (a name), raw_root, camera, visits, calibration_frames.
    visits : list of dict
        Rows of the visit table.
    frame_kinds : set of str
        Kinds that the table of calibration frames has; empty without one.

    Returns
    -------
    str
        YAML with comments.
    """
    found = {row["band"] for row in visits}
    bands = [band for band in camera.bands if band in found] or list(camera.bands)
    text = {name: _scalar(value) for name, value in paths.items()}
    frames = text["calibration_frames"] if frame_kinds else "null"
    lines = [
        "# Written by `skyloom visit-table` and not touched by it again: edit what you like.",
        "# All keys and their defaults: docs/configuration.md. Run it with: snakemake drp --configfile THIS_FILE",
        f"survey: {text['survey']}",
        f"output_root: {_scalar('results-' + paths['survey'])}",
        f"raw_root: {text['raw_root']}",
        f"camera: {text['camera']}",
        f"visits: {text['visits']}",
        f"calibration_frames: {frames}",
        f"bands: [{', '.join(map(_scalar, bands))}]",
        "",
        *_sky_map_lines(camera, visits),
        "",
        *_reference_lines(bands),
    ]
    if "dark" not in frame_kinds:
        lines += [
            "",
            "# There are no darks to find hot pixels in. If the field drifts over the pixels from frame to frame by",
            "# more than a star is wide (dithers, or poor tracking), the science frames show them: take the # away.",
            "# calibs: {defects_from_science: true}",
        ]
    if any(
        amplifier.overscan_section is None for d in camera.detectors.values() for amplifier in d.amplifiers
    ):
        lines += [
            "",
            "# The camera has no overscan: the level that its electronics add to every pixel [ADU].",
            "isr:",
            "  overscan: {level: 0}   # EDIT, unless bias frames take care of it",
        ]
    return "\n".join(lines) + "\n"


def _scalar(value):
    """Text of YAML for a text, in quotes where it would be a number (2024) or a structure otherwise."""
    import yaml

    return yaml.safe_dump(str(value), allow_unicode=True, width=math.inf).removesuffix("...\n").strip()


def _reference_lines(bands):
    """Section reference, to be edited."""
    fluxes = ", ".join(f"{_scalar(band)}: flux_{band}" for band in bands)
    return [
        "# EDIT: a list of stars with positions (ICRS) and fluxes or magnitudes: CSV, Parquet or FITS. Left of each",
        "# colon our name, right of it the column of your file; null for a column that it does not have.",
        "reference:",
        "  path: stars.csv",
        "  columns: {id: null, ra: ra, dec: dec, ra_error: null, dec_error: null, pmra: null, pmdec: null,",
        "            pmra_error: null, pmdec_error: null, parallax: null}",
        "  epoch: 2016.0           # of the positions",
        f"  fluxes: {{{fluxes}}}",
        "  flux_unit: mag_ab       # or mag_vega (then vega_ab_magnitudes too), nJy, uJy, mJy, Jy",
    ]


def _sky_map_lines(camera, visits):
    """Section sky_map: one tract around all visits, or the map of the whole sky when they lie far apart."""
    scale = f"{camera.pixel_scale:g}"
    span = _span(visits)
    if span is None or span[2] + _field_deg(camera) > LARGEST_TRACT_DEG:
        return [
            "# The visits lie far apart: tracts in rings around the whole sky.",
            f"sky_map: {{kind: rings, pixel_scale: {scale}}}",
        ]
    ra, dec, extent = span
    patch_deg = PATCH_INNER * camera.pixel_scale / 3600
    n_patch = max(1, math.ceil((extent + _field_deg(camera)) / patch_deg))
    return [
        "# One tract around all visits; warps and coadds have the camera's pixel scale.",
        "sky_map:",
        "  kind: grid",
        f"  pixel_scale: {scale}",
        f"  patch_inner: {PATCH_INNER}",
        "  patch_border: 50",
        f"  tracts: [{{tract: 1, ra: {ra:.5f}, dec: {dec:.5f}, patches: [{n_patch}, {n_patch}]}}]",
    ]


def _field_deg(camera):
    """Diameter of the camera's field [degree]."""
    radii = [
        math.hypot(*detector.centre) + 0.5 * math.hypot(*detector.shape)
        for detector in camera.detectors.values()
    ]
    return 2 * max(radii) * camera.pixel_scale / 3600


def _span(visits):
    """Middle (ra, dec) and largest extent of the pointings [degree]; None without any."""
    if not visits:
        return None
    first = float(visits[0]["ra"])
    offsets = [(float(row["ra"]) - first + 180) % 360 - 180 for row in visits]
    decs = [float(row["dec"]) for row in visits]
    dec = (min(decs) + max(decs)) / 2
    width = (max(offsets) - min(offsets)) * math.cos(math.radians(dec))
    ra = (first + (min(offsets) + max(offsets)) / 2) % 360
    return ra, dec, max(width, max(decs) - min(decs))
