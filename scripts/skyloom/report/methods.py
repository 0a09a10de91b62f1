"""What a run used, as text to quote: methods with their papers, versions, and BibTeX of them all."""

import re

from skyloom.report.papers import bibtex, reference

PAPERS_OF_PACKAGES = {
    "numpy": "Harris2020",
    "scipy": "Virtanen2020",
    "astropy": "Astropy2022",
    "numba": "Lam2015",
}

# Pages and docstrings of the stages cite the same papers: the tests compare them.
METHODS = {
    "simulate_night": "The raw frames were simulated with GalSim [Rowe2015].",
    "combine_bias": "Bias frames were combined by a clipped mean of known noise.",
    "combine_dark": "Dark frames, divided by their exposure times, were combined by a clipped mean of known noise; "
    "hot pixels became defects.",
    "combine_flat": "Flat frames were divided by their medians and combined by a clipped mean of known noise.",
    "combine_illumination": "Flats were corrected by a cubic polynomial through the median sky of the flat-fielded "
    "science frames, objects masked.",
    "find_defects": "Defects were found as pixels that stand out of their neighbourhood in the same sense in most "
    "science frames, while the stars drift.",
    "calibrate_image": "Each detector had its instrumental signature removed in the order of [Plazas2025], defects "
    "and cosmic rays filled in by the linear predictor of [Rybicki1992]. The background is a smooth surface, "
    "fitted with a penalty on its curvature [Eilers1996, Garcia2010] to clipped means between the objects, whose masks "
    "grow with their light; cosmic rays are pixels sharper than the PSF, by filters that no star answers to and "
    "contrasts with neighbours [Lupton2001], grown as by [vanDokkum2001]; trails of satellites were found by the "
    "fast Radon transform [Nir2018] and aureoles of bright stars masked after [King1971]. The PSF is the effective "
    "one of [Anderson2000] from the detector's own stars, varying as far as their evidence goes [MacKay1992], with "
    "their colour if that was asked for [Schutt2025], unless Piff [Jarvis2021] was or one came with the image; sources "
    "were detected with it above a threshold that peaks of noise [Bardeen1986] do not pass, fitted together as "
    "points and searched for companions in what is left [Stetson1987], their shapes measured by adaptive moments "
    "[Bernstein2002], and, with all others subtracted, windowed centroids [Bertin1996] and Kron fluxes [Kron1980]. The "
    "WCS, a tangent-plane "
    "projection [Calabretta2002] with a polynomial in "
    "the TPV convention [Calabretta2004], and the zero point were fitted to the reference catalogue, unless they "
    "came with the image: its stars were matched by pairs [Groth1986] whose hypotheses are verified by counts "
    "[Lang2010], the orders chosen by the corrected information criterion [Hurvich1989].",
    "assemble_coadd": "Calexps were resampled with Lanczos-3 [Duchon1979] as by SWarp [Bertin2002], their PSFs with "
    "splines [Unser1999], and combined by a mean of inverse-variance weights [Bosch2018]; artifacts were rejected by "
    "comparing warps of one PSF size [AlSayyad2019].",
    "measure_objects": "Detections of all bands were merged and measured at one position [Bosch2018], as points "
    "fitted together [Stetson1987] and by adaptive moments [Bernstein2002].",
    "subtract_template": "Templates, resampled with Lanczos-3 [Duchon1979], were subtracted after matching of the "
    "PSFs by a kernel that varies over the image [Alard1998, Alard2000]; the differences were whitened by the filter "
    "of [Reiss2016]. DIA sources were detected with the difference's PSF, errors of imperfect matching included "
    "[Zackay2016].",
    "associate_dia_sources": "DIA sources were grouped into objects by agglomerative clustering of their positions "
    "[Murtagh1983].",
    "write_report": "Repeatability and PSF residuals are those of the LSST requirements [Ivezic2018]; the colour "
    "picture has the stretch of [Lupton2004].",
}
"""What each rule does, with the keys of `PAPERS` in brackets."""


def methods_text(provenances):
    """Text on what a run used.

    Parameters
    ----------
    provenances : list of Provenance
        Of a product of each rule, the report's included.

    Returns
    -------
    str
        Markdown: methods in the order of the flow, versions, papers. A rule without an entry in `METHODS` made nothing
        that a paper need mention.
    """
    rules = _rules_in_order(provenances)
    lines = ["# What this run used", "", "## Methods", ""]
    lines += [f"- {METHODS[rule]} (rule `{rule}`)" for rule in rules]
    lines += ["", "## Software", ""]
    lines += [f"- {name} {', '.join(versions)}" for name, versions in software_versions(provenances).items()]
    lines += ["", "Snakemake [Molder2021] decided what ran.", "", "## Papers", ""]
    lines += [reference(key) for key in _papers(provenances)]
    return "\n".join(lines) + "\n"


def citations_text(provenances):
    """BibTeX entries of what a run used (str).

    Parameters
    ----------
    provenances : list of Provenance
        Of a product of each rule, the report's included.
    """
    return "\n".join(bibtex(key) for key in _papers(provenances))


def software_versions(provenances):
    """Versions of Skyloom and of the packages that made numbers.

    Parameters
    ----------
    provenances : list of Provenance
        Of a product of each rule.

    Returns
    -------
    dict of str to list of str
        Versions by name; several where parts of the run were made by different ones.
    """
    versions = {}
    for provenance in provenances:
        commit = f" (commit {provenance.commit[:10]})" if provenance.commit else ""
        own = {"skyloom": f"{provenance.version}{commit}"} if provenance.version else {}
        for name, version in (own | provenance.packages).items():
            versions.setdefault(name, set()).add(version)
    return {name: sorted(found) for name, found in versions.items()}


def _rules_in_order(provenances):
    """Rules of `METHODS` that made something."""
    made = {p.rule for p in provenances}
    return [rule for rule in METHODS if rule in made]


def _papers(provenances):
    """Keys of the papers of a run, in alphabetical order."""
    keys = {key for rule in _rules_in_order(provenances) for key in papers_in(METHODS[rule])}
    packages = {name for p in provenances for name in p.packages}
    return sorted(
        keys | {PAPERS_OF_PACKAGES[name] for name in packages & PAPERS_OF_PACKAGES.keys()} | {"Molder2021"}
    )


def papers_in(text):
    """Keys of the papers that a text names (set of str).

    Parameters
    ----------
    text : str
        Text with keys of `PAPERS` in brackets, several of them divided by commas.
    """
    return {key for group in re.findall(r"\[([^\]]*)\]", text) for key in group.split(", ")}
