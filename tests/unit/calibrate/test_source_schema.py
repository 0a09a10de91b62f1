"""The source table carries Rubin's names, units and kinds wherever Rubin publishes the column, or says why not."""

from pathlib import Path

import pytest
import yaml

from skyloom.core.schemas import SOURCE

# Rubin's type, and ours that hold its values.
KINDS = {
    "long": {"int64"},
    "int": {"int32"},
    "float": {"float32", "float64"},
    "double": {"float64"},
    "boolean": {"bool"},
    "char": {"string"},
}
OWN = {
    *("xyCov", "xWin", "yWin", "xWinErr", "yWinErr", "xyWinCov", "centroidWin_flag"),
    *("psfFlux_chi2", "psfFlux_npix", "uniformPsfFlux", "uniformPsfFluxErr", "uniformPsfFlux_flag"),
    *("kronFlux", "kronFluxErr", "kronFlux_flag", "kronRad", "i_flag"),
    *("deblend_nPeaks", "deblend_fluxFraction", "localBackground"),
    *("detectionSignificance", "pixelFlags_halo", "pixelFlags_streak"),
}
LEFT_OUT = {
    "the same as ra, dec": ("coord_ra", "coord_dec"),
    "our fluxes are nJy, not counts: ap..Flux and calibFlux, localBackground": (
        *("apFlux_12_0_flag", "apFlux_12_0_flag_apertureTruncated", "apFlux_12_0_flag_sincCoeffsTruncated"),
        *("apFlux_12_0_instFlux", "apFlux_12_0_instFluxErr"),
        *(f"apFlux_{r}_0_{part}" for r in (17, 35, 50) for part in ("flag", "instFlux", "instFluxErr")),
        *(f"normCompTophatFlux_{part}" for part in ("flag", "instFlux", "instFluxErr")),
        *("localBackground_instFlux", "localBackground_instFluxErr"),
    ),
    "reasons within algorithms that are not ours": (
        *(f"centroid_flag_{reason}" for reason in ("almostNoSecondDerivative", "badError", "edge")),
        *(f"centroid_flag_{reason}" for reason in ("noSecondDerivative", "notAtMaximum")),
        *(f"hsmPsfMoments_flag{part}" for part in ("_no_pixels", "_not_contained", "_parent_source")),
        *(f"hsmShapeRegauss_flag{part}" for part in ("_galsim", "_no_pixels", "_not_contained")),
        *("hsmShapeRegauss_flag_parent_source", "variance_flag_emptyFootprint"),
        *("localBackground_flag_noGoodPixels", "localBackground_flag_noPsf"),
        *("deblend_deblendedAsPsf", "deblend_hasStrayFlux", "deblend_masked", "deblend_parentTooBig"),
        *("deblend_patchedTemplate", "deblend_rampedTemplate", "deblend_skipped", "deblend_tooManyPeaks"),
    ),
    "told by another flag: centroid_flag, i_flag, invalidPsfFlag, blendedness_flag": (
        *("centroid_flag_resetToPeak", "hsmPsfMoments_flag", "hsmShapeRegauss_flag"),
        *("blendedness_flag_noCentroid", "blendedness_flag_noShape"),
    ),
    "would always be false: sources off the image are left out, there is always a correction and a variance": (
        *("pixelFlags_offimage", "psfFlux_flag_apCorr", "variance_flag", "calib_photometry_reserved"),
    ),
    "moments of a PSF with noise added, for shear from noisy images": (
        *(f"{name}DebiasedPSF" for name in ("ixx", "iyy", "ixy")),
        *(f"iDebiasedPSF_flag{part}" for part in ("", "_no_pixels", "_not_contained", "_parent_source")),
        *("iDebiasedPSF_flag_galsim", "iDebiasedPSF_flag_edge"),
    ),
    "fluxes are on the sky already": ("jacobian_flag", "jacobian_value"),
    "a visit has one band, the survey's own": ("physical_filter",),
}
"""Columns that Rubin publishes and we do not, by reason."""


@pytest.fixture(scope="module")
def published():
    """Rubin's columns of the table Source of DP1, by name."""
    schemas = pytest.importorskip("lsst.sdm.schemas", reason="the extra `rubin` is not installed")
    text = (Path(schemas.__file__).parent / "dp1.yaml").read_text(encoding="utf-8")
    tables = {table["name"]: table for table in yaml.safe_load(text)["tables"]}
    return {column["name"]: column for column in tables["Source"]["columns"]}


def test_what_is_left_out_has_a_reason(published):
    ours = {column.name for column in SOURCE.columns}
    excused = [name for names in LEFT_OUT.values() for name in names]

    assert sorted(excused) == sorted(set(published) - ours)
    assert ours - set(published) == OWN


def test_columns_that_are_shared_have_unit_and_kind(published):
    for column in SOURCE.columns:
        if column.name in OWN:
            continue
        rubin = published[column.name]
        assert column.type in KINDS[rubin["datatype"]], column.name
        assert (rubin.get("fits:tunit") or rubin.get("ivoa:unit")) in (None, column.unit), column.name
