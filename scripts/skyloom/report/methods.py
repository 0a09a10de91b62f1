"""What a run used, as text to quote: methods with their papers, versions, and BibTeX of them all."""

from dataclasses import dataclass

PAPERS = {
    "Alard1998": ("article", "Alard, C. and Lupton, R. H.", "A Method for Optimal Image Subtraction", "1998",
                  {"journal": "The Astrophysical Journal", "volume": "503", "pages": "325--331",
                   "doi": "10.1086/305984"}),
    "Reiss2016": ("techreport", "Reiss, D. J. and Lupton, R. H.",
                  "Implementation of Image Difference Decorrelation", "2016",
                  {"institution": "LSST", "number": "DMTN-021", "doi": "10.5281/zenodo.192833"}),
    "Barbary2016": ("article", "Barbary, K.", "SEP: Source Extractor as a library", "2016",
                    {"journal": "Journal of Open Source Software", "volume": "1", "number": "6", "pages": "58",
                     "doi": "10.21105/joss.00058"}),
    "Bertin1996": ("article", "Bertin, E. and Arnouts, S.", "SExtractor: Software for source extraction", "1996",
                   {"journal": "Astronomy and Astrophysics Supplement", "volume": "117", "pages": "393--404",
                    "doi": "10.1051/aas:1996164"}),
    "Plazas2025": ("article", "Plazas Malag{\\'o}n, A. A. and others",
                   "Instrument signature removal and calibration products for the Rubin Legacy Survey of Space "
                   "and Time", "2025",
                   {"journal": "Journal of Astronomical Telescopes, Instruments, and Systems", "volume": "11",
                    "pages": "011209"}),
    "Calabretta2002": ("article", "Calabretta, M. R. and Greisen, E. W.",
                       "Representations of celestial coordinates in FITS", "2002",
                       {"journal": "Astronomy and Astrophysics", "volume": "395", "pages": "1077--1122",
                        "doi": "10.1051/0004-6361:20021327"}),
    "Bosch2018": ("article", "Bosch, J. and others", "The Hyper Suprime-Cam software pipeline", "2018",
                  {"journal": "Publications of the Astronomical Society of Japan", "volume": "70", "pages": "S5",
                   "doi": "10.1093/pasj/psx080"}),
    "Lupton2004": ("article", "Lupton, R. and others",
                   "Preparing Red-Green-Blue Images from CCD Data", "2004",
                   {"journal": "Publications of the Astronomical Society of the Pacific", "volume": "116",
                    "pages": "133--137", "doi": "10.1086/382245"}),
    "Ivezic2018": ("techreport", "Ivezi{\\'c}, {\\v Z}. and {the LSST Science Collaboration}",
                   "LSST Science Requirements Document", "2018", {"institution": "LSST", "number": "LPM-17"}),
    "Rowe2015": ("article", "Rowe, B. T. P. and others", "GalSim: The modular galaxy image simulation toolkit",
                 "2015", {"journal": "Astronomy and Computing", "volume": "10", "pages": "121--150",
                          "doi": "10.1016/j.ascom.2015.02.002"}),
    "Molder2021": ("article", "M{\\\"o}lder, F. and others", "Sustainable data analysis with Snakemake", "2021",
                   {"journal": "F1000Research", "volume": "10", "pages": "33",
                    "doi": "10.12688/f1000research.29032.2"}),
    "Harris2020": ("article", "Harris, C. R. and others", "Array programming with NumPy", "2020",
                   {"journal": "Nature", "volume": "585", "pages": "357--362", "doi": "10.1038/s41586-020-2649-2"}),
    "Virtanen2020": ("article", "Virtanen, P. and others",
                     "SciPy 1.0: fundamental algorithms for scientific computing in Python", "2020",
                     {"journal": "Nature Methods", "volume": "17", "pages": "261--272",
                      "doi": "10.1038/s41592-019-0686-2"}),
    "Astropy2022": ("article", "{Astropy Collaboration}",
                    "The Astropy Project: Sustaining and Growing a Community-oriented Open-source Project", "2022",
                    {"journal": "The Astrophysical Journal", "volume": "935", "pages": "167",
                     "doi": "10.3847/1538-4357/ac7c74"}),
    "Lam2015": ("inproceedings", "Lam, S. K. and Pitrou, A. and Seibert, S.",
                "Numba: a LLVM-based Python JIT compiler", "2015",
                {"booktitle": "Proceedings of the Second Workshop on the LLVM Compiler Infrastructure in HPC",
                 "doi": "10.1145/2833157.2833162"}),
}  # fmt: skip
"""Kind, authors, title, year and further fields of each paper by its key."""

PAPERS_OF_PACKAGES = {
    "numpy": "Harris2020",
    "scipy": "Virtanen2020",
    "astropy": "Astropy2022",
    "numba": "Lam2015",
    "sep": "Barbary2016",
}


@dataclass(frozen=True, slots=True)
class Method:
    """What one rule does.

    Attributes
    ----------
    text : str
        One or two sentences, with the keys of `PAPERS` in brackets.
    papers : tuple of str
        Those keys.
    """

    text: str
    papers: tuple = ()


METHODS = {
    "simulate_night": Method("The raw frames were simulated with GalSim [Rowe2015].", ("Rowe2015",)),
    "combine_bias": Method("Bias frames were combined by a clipped mean."),
    "combine_dark": Method("Dark frames were combined by a clipped mean; hot pixels became defects."),
    "combine_flat": Method("Flat frames were scaled to their median and combined by a clipped mean."),
    "find_defects": Method("Defects were found as pixels that stand out of the science frames themselves."),
    "calibrate_image": Method(
        "Each detector had its instrumental signature removed in the order of [Plazas2025]; background, sources and "
        "apertures by SEP [Barbary2016], after SExtractor [Bertin1996]; PSF, WCS in the TPV convention "
        "[Calabretta2002] and zero point came from its own stars.",
        ("Plazas2025", "Barbary2016", "Bertin1996", "Calabretta2002"),
    ),
    "assemble_coadd": Method(
        "Warps were combined by an inverse-variance mean; artifacts were rejected by comparing the warps."
    ),
    "measure_objects": Method(
        "Detections of all bands were merged and measured at one position [Bosch2018].", ("Bosch2018",)
    ),
    "subtract_template": Method(
        "Templates were subtracted after matching of the PSFs by [Alard1998]; the differences were decorrelated "
        "by [Reiss2016].",
        ("Alard1998", "Reiss2016"),
    ),
    "associate_dia_sources": Method("DIA sources were grouped into objects by their positions."),
    "write_report": Method(
        "Repeatability and PSF residuals are those of the LSST requirements [Ivezic2018]; the colour picture has the "
        "stretch of [Lupton2004].",
        ("Ivezic2018", "Lupton2004"),
    ),
}


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
    lines += [f"- {METHODS[rule].text} (rule `{rule}`)" for rule in rules]
    lines += ["", "## Software", ""]
    lines += [f"- {name} {', '.join(versions)}" for name, versions in software_versions(provenances).items()]
    lines += ["", "Snakemake [Molder2021] decided what ran.", "", "## Papers", ""]
    lines += [_reference(key) for key in _papers(provenances)]
    return "\n".join(lines) + "\n"


def citations_text(provenances):
    """BibTeX entries of what a run used (str).

    Parameters
    ----------
    provenances : list of Provenance
        Of a product of each rule, the report's included.
    """
    entries = []
    for key in _papers(provenances):
        kind, author, title, year, more = PAPERS[key]
        fields = {"author": author, "title": f"{{{title}}}", "year": year} | more
        body = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
        entries.append(f"@{kind}{{{key},\n{body}}}\n")
    return "\n".join(entries)


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
    """Rules of `METHODS` that made something; nights have rules of their own."""
    made = {p.rule for p in provenances}
    return [rule for rule in METHODS if any(name == rule or name.startswith(f"{rule}_") for name in made)]


def _papers(provenances):
    """Keys of the papers of a run, in alphabetical order."""
    keys = {key for rule in _rules_in_order(provenances) for key in METHODS[rule].papers}
    packages = {name for p in provenances for name in p.packages}
    return sorted(
        keys | {PAPERS_OF_PACKAGES[name] for name in packages & PAPERS_OF_PACKAGES.keys()} | {"Molder2021"}
    )


def _reference(key):
    """Line of the list of papers."""
    _, author, title, year, fields = PAPERS[key]
    authors = _plain(author).replace(" and others", " et al.").replace(" and ", ", ")
    return f"- [{key}] {authors} ({year}), {_plain(title)}. {_place(fields)}"


def _plain(text):
    """Text without BibTeX's braces and accents' marks."""
    for mark, letter in (("{\\'o}", "ó"), ("{\\'c}", "ć"), ("{\\v Z}", "Ž"), ('{\\"o}', "ö")):
        text = text.replace(mark, letter)
    return text.replace("{", "").replace("}", "")


def _place(fields):
    """Journal or institution, volume, pages and DOI of a paper."""
    names = ("journal", "booktitle", "institution", "number", "volume", "pages")
    found = [fields[name].replace("--", "-") for name in names if name in fields]
    return " ".join(found) + (f", doi:{fields['doi']}" if "doi" in fields else "")
