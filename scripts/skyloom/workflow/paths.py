"""Every path pattern below the output root, written once."""

PATTERNS = {
    "raw": "raw/{visit}/{detector}.fits",
    "raw_calib": "raw_calib/{frame}/{detector}.fits",
    "truth_object": "truth/object.parquet",
    "truth_orbit": "truth/orbit.parquet",
    "truth_source": "truth/source/{visit}.parquet",
    "reference": "refcat/reference.parquet",
    "kernels": "kernels.done",
    "calib": "calib/{epoch}/{kind}/{band}/{detector}.fits",
    "calexp": "calexp/{visit}/{detector}.fits",
    "src": "src/{visit}/{detector}.parquet",
    "visit_summary": "visit_summary/{visit}.parquet",
    "visit_calib": "visit_calib/{visit}.fits",
    "visit_sky": "visit_sky/{visit}.fits",
    "warp": "warp/{band}/{tract}/{patch}/{visit}.fits",
    "coadd": "coadd/{kind}/{band}/{tract}/{patch}.fits",
    "object": "object/{tract}/{patch}.parquet",
    "diff": "diff/{visit}/{detector}.fits",
    "dia_source": "dia_source/{visit}/{detector}.parquet",
    "dia_object": "dia_object/{tract}.parquet",
    "dia_match": "dia_object/{tract}_sources.parquet",
    "ap_diff": "ap/diff/{visit}/{detector}.fits",
    "ap_dia_source": "ap/dia_source/{visit}/{detector}.parquet",
    "ap_association": "ap/association/{visit}.parquet",
    "ap_alert": "ap/alert/{visit}.avro",
    "drp_failures": "report/failures_drp.parquet",
    "ap_failures": "report/failures_ap_{visit}.parquet",
    "metrics": "report/metrics.parquet",
    "metrics_text": "report/metrics.tsv",
    "psf_shapes": "report/psf_shapes.parquet",
    "methods": "report/methods.md",
    "citations": "report/citations.bib",
    "report_picture": "report/{picture}.png",
    "page": "report/index.html",
    "machine": "report/machine.tsv",
    "log": "logs/{job}.log",
    "benchmark": "benchmarks/{job}.tsv",
}

PICTURES = {
    "colour_coadd": "Coadds",
    "difference_triplets": "Differences",
    "random_triplets": "Differences",
    "worst_triplets": "Differences",
    "astrometric_residuals": "Visits",
}
"""Pictures of the report, and their heading in Snakemake's own."""

NO_BAND = "none"

# Wildcards are what a file name may hold: no slash, no dot, no leading dash.
WILDCARD_CONSTRAINTS = {
    "visit": r"\d{1,10}",
    "detector": r"\d{1,3}",
    "tract": r"\d{1,7}",
    "patch": r"\d{1,3}_\d{1,3}",
    "band": r"[A-Za-z][A-Za-z0-9]*",
    "frame": r"\d{1,10}",
    "epoch": r"[A-Za-z0-9][A-Za-z0-9_-]*",
    "kind": r"[a-z][a-z0-9_]*",
    "picture": r"[a-z][a-z0-9_]*",
}


def pattern(root, name):
    """Return the pattern of a product below an output root, its wildcards left open.

    Parameters
    ----------
    root : str
        The output root.
    name : str
        A key of `PATTERNS`.

    Returns
    -------
    str
        Such as ``results/calexp/{visit}/{detector}.fits``.
    """
    return f"{root}/{PATTERNS[name]}"


def product_path(root, name, **data_id):
    """Return the path of one product.

    Parameters
    ----------
    root : str
        The output root.
    name : str
        A key of `PATTERNS`.
    **data_id : str or int
        Value of each wildcard.

    Returns
    -------
    str
        Such as ``results/calexp/102/1.fits``.
    """
    return pattern(root, name).format(**data_id)
