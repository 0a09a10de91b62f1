"""The papers that a run may quote, and how they are written for people and for BibTeX."""

PAPERS = {
    "Alard1998": ("article", "Alard, C. and Lupton, R. H.", "A Method for Optimal Image Subtraction", "1998",
        {"journal": "The Astrophysical Journal", "volume": "503", "pages": "325--331", "doi": "10.1086/305984"}),
    "Reiss2016": ("techreport", "Reiss, D. J. and Lupton, R. H.", "Implementation of Image Difference Decorrelation",
        "2016",
        {"institution": "LSST", "number": "DMTN-021", "doi": "10.5281/zenodo.192833"}),
    "Bertin1996": ("article", "Bertin, E. and Arnouts, S.", "SExtractor: Software for source extraction", "1996",
        {"journal": "Astronomy and Astrophysics Supplement", "volume": "117", "pages": "393--404",
         "doi": "10.1051/aas:1996164"}),
    "Kron1980": ("article", "Kron, R. G.", "Photometry of a complete sample of faint galaxies", "1980",
        {"journal": "The Astrophysical Journal Supplement Series", "volume": "43", "pages": "305--325",
         "doi": "10.1086/190669"}),
    "Eilers1996": ("article", "Eilers, P. H. C. and Marx, B. D.", "Flexible smoothing with B-splines and penalties",
        "1996",
        {"journal": "Statistical Science", "volume": "11", "pages": "89--121", "doi": "10.1214/ss/1038425655"}),
    "Garcia2010": ("article", "Garcia, D.",
        "Robust smoothing of gridded data in one and higher dimensions with missing values", "2010",
        {"journal": "Computational Statistics and Data Analysis", "volume": "54", "pages": "1167--1178",
         "doi": "10.1016/j.csda.2009.09.020"}),
    "Plazas2025": ("article", "Plazas Malag{\\'o}n, A. A. and others",
        "Instrument signature removal and calibration products for the Rubin Legacy Survey of Space and Time", "2025",
        {"journal": "Journal of Astronomical Telescopes, Instruments, and Systems", "volume": "11",
         "pages": "011209"}),
    "Calabretta2002": ("article", "Calabretta, M. R. and Greisen, E. W.",
        "Representations of celestial coordinates in FITS", "2002",
        {"journal": "Astronomy and Astrophysics", "volume": "395", "pages": "1077--1122",
         "doi": "10.1051/0004-6361:20021327"}),
    "Bosch2018": ("article", "Bosch, J. and others", "The Hyper Suprime-Cam software pipeline", "2018",
        {"journal": "Publications of the Astronomical Society of Japan", "volume": "70", "pages": "S5",
         "doi": "10.1093/pasj/psx080"}),
    "Lupton2004": ("article", "Lupton, R. and others", "Preparing Red-Green-Blue Images from CCD Data", "2004",
        {"journal": "Publications of the Astronomical Society of the Pacific", "volume": "116", "pages": "133--137",
         "doi": "10.1086/382245"}),
    "Ivezic2018": ("techreport", "Ivezi{\\'c}, {\\v Z}. and {the LSST Science Collaboration}",
        "LSST Science Requirements Document", "2018",
        {"institution": "LSST", "number": "LPM-17"}),
    "Jarvis2021": ("article", "Jarvis, M. and others",
        "Dark Energy Survey year 3 results: point spread function modelling", "2021",
        {"journal": "Monthly Notices of the Royal Astronomical Society", "volume": "501", "pages": "1282--1299",
         "doi": "10.1093/mnras/staa3679"}),
    "Rowe2015": ("article", "Rowe, B. T. P. and others", "GalSim: The modular galaxy image simulation toolkit", "2015",
        {"journal": "Astronomy and Computing", "volume": "10", "pages": "121--150",
         "doi": "10.1016/j.ascom.2015.02.002"}),
    "Anderson2000": ("article", "Anderson, J. and King, I. R.",
        "Toward High-Precision Astrometry with WFPC2. I. Deriving an Accurate Point-Spread Function", "2000",
        {"journal": "Publications of the Astronomical Society of the Pacific", "volume": "112", "pages": "1360--1382",
         "doi": "10.1086/316632"}),
    "Rybicki1992": ("article", "Rybicki, G. B. and Press, W. H.",
        "Interpolation, Realization, and Reconstruction of Noisy, Irregularly Sampled Data", "1992",
        {"journal": "The Astrophysical Journal", "volume": "398", "pages": "169--176", "doi": "10.1086/171845"}),
    "vanDokkum2001": ("article", "van Dokkum, P. G.", "Cosmic-Ray Rejection by Laplacian Edge Detection", "2001",
        {"journal": "Publications of the Astronomical Society of the Pacific", "volume": "113", "pages": "1420--1427",
         "doi": "10.1086/323894"}),
    "Stetson1987": ("article", "Stetson, P. B.", "DAOPHOT: A Computer Program for Crowded-Field Stellar Photometry",
        "1987",
        {"journal": "Publications of the Astronomical Society of the Pacific", "volume": "99", "pages": "191--222",
         "doi": "10.1086/131977"}),
    "Schutt2025": ("article", "Schutt, T. and Jarvis, M. and Roodman, A. and others",
        "Dark Energy Survey Year 6 Results: Point-Spread Function Modeling", "2025",
        {"journal": "arXiv e-prints", "pages": "arXiv:2501.05781", "doi": "10.48550/arXiv.2501.05781"}),
    "Bardeen1986": ("article", "Bardeen, J. M. and Bond, J. R. and Kaiser, N. and Szalay, A. S.",
        "The Statistics of Peaks of Gaussian Random Fields", "1986",
        {"journal": "The Astrophysical Journal", "volume": "304", "pages": "15--61", "doi": "10.1086/164143"}),
    "Nir2018": ("article", "Nir, G. and Zackay, B. and Ofek, E. O.",
        "Optimal and Efficient Streak Detection in Astronomical Images", "2018",
        {"journal": "The Astronomical Journal", "volume": "156", "pages": "229", "doi": "10.3847/1538-3881/aaddff"}),
    "King1971": ("article", "King, I. R.", "The Profile of a Star Image", "1971",
        {"journal": "Publications of the Astronomical Society of the Pacific", "volume": "83", "pages": "199--201",
         "doi": "10.1086/129100"}),
    "Groth1986": ("article", "Groth, E. J.", "A pattern-matching algorithm for two-dimensional coordinate lists",
        "1986",
        {"journal": "The Astronomical Journal", "volume": "91", "pages": "1244--1248", "doi": "10.1086/114099"}),
    "Lang2010": ("article", "Lang, D. and others",
        "Astrometry.net: Blind Astrometric Calibration of Arbitrary Astronomical Images", "2010",
        {"journal": "The Astronomical Journal", "volume": "139", "pages": "1782--1800",
         "doi": "10.1088/0004-6256/139/5/1782"}),
    "MacKay1992": ("article", "MacKay, D. J. C.", "Bayesian Interpolation", "1992",
        {"journal": "Neural Computation", "volume": "4", "pages": "415--447", "doi": "10.1162/neco.1992.4.3.415"}),
    "Hurvich1989": ("article", "Hurvich, C. M. and Tsai, C.-L.",
        "Regression and time series model selection in small samples", "1989",
        {"journal": "Biometrika", "volume": "76", "pages": "297--307", "doi": "10.1093/biomet/76.2.297"}),
    "Bernstein2002": ("article", "Bernstein, G. M. and Jarvis, M.",
        "Shapes and Shears, Stars and Smears: Optimal Measurements for Weak Lensing", "2002",
        {"journal": "The Astronomical Journal", "volume": "123", "pages": "583--618", "doi": "10.1086/338085"}),
    "Duchon1979": ("article", "Duchon, C. E.", "Lanczos Filtering in One and Two Dimensions", "1979",
        {"journal": "Journal of Applied Meteorology", "volume": "18", "pages": "1016--1022"}),
    "Unser1999": ("article", "Unser, M.", "Splines: a perfect fit for signal and image processing", "1999",
        {"journal": "IEEE Signal Processing Magazine", "volume": "16", "pages": "22--38", "doi": "10.1109/79.799930"}),
    "Alard2000": ("article", "Alard, C.", "Image subtraction using a space-varying kernel", "2000",
        {"journal": "Astronomy and Astrophysics Supplement", "volume": "144", "pages": "363--370",
         "doi": "10.1051/aas:2000214"}),
    "Zackay2016": ("article", "Zackay, B. and Ofek, E. O. and Gal-Yam, A.",
        "Proper Image Subtraction: Optimal Transient Detection, Photometry, and Hypothesis Testing", "2016",
        {"journal": "The Astrophysical Journal", "volume": "830", "pages": "27", "doi": "10.3847/0004-637X/830/1/27"}),
    "Lupton2001": ("inproceedings", "Lupton, R. and others", "The SDSS Imaging Pipelines", "2001",
        {"booktitle": "Astronomical Data Analysis Software and Systems X, ASP Conference Series", "volume": "238",
         "pages": "269--278"}),
    "AlSayyad2019": ("techreport", "AlSayyad, Y.", "Coaddition Artifact Rejection and CompareWarp", "2019",
        {"institution": "LSST", "number": "DMTN-080"}),
    "Murtagh1983": ("article", "Murtagh, F.", "A Survey of Recent Advances in Hierarchical Clustering Algorithms",
        "1983",
        {"journal": "The Computer Journal", "volume": "26", "pages": "354--359", "doi": "10.1093/comjnl/26.4.354"}),
    "Calabretta2004": ("inproceedings", "Calabretta, M. R. and others",
        "Representations of distortions in FITS world coordinate systems", "2004",
        {"booktitle": "Astronomical Data Analysis Software and Systems XIII, ASP Conference Series", "volume": "314",
         "pages": "551--554"}),
    "Bertin2002": ("inproceedings", "Bertin, E. and others", "The TERAPIX Pipeline", "2002",
        {"booktitle": "Astronomical Data Analysis Software and Systems XI, ASP Conference Series", "volume": "281",
         "pages": "228--237"}),
    "Molder2021": ("article", "M{\\\"o}lder, F. and others", "Sustainable data analysis with Snakemake", "2021",
        {"journal": "F1000Research", "volume": "10", "pages": "33", "doi": "10.12688/f1000research.29032.2"}),
    "Harris2020": ("article", "Harris, C. R. and others", "Array programming with NumPy", "2020",
        {"journal": "Nature", "volume": "585", "pages": "357--362", "doi": "10.1038/s41586-020-2649-2"}),
    "Virtanen2020": ("article", "Virtanen, P. and others",
        "SciPy 1.0: fundamental algorithms for scientific computing in Python", "2020",
        {"journal": "Nature Methods", "volume": "17", "pages": "261--272", "doi": "10.1038/s41592-019-0686-2"}),
    "Astropy2022": ("article", "{Astropy Collaboration}",
        "The Astropy Project: Sustaining and Growing a Community-oriented Open-source Project", "2022",
        {"journal": "The Astrophysical Journal", "volume": "935", "pages": "167", "doi": "10.3847/1538-4357/ac7c74"}),
    "Lam2015": ("inproceedings", "Lam, S. K. and Pitrou, A. and Seibert, S.",
        "Numba: a LLVM-based Python JIT compiler", "2015",
        {"booktitle": "Proceedings of the Second Workshop on the LLVM Compiler Infrastructure in HPC",
         "doi": "10.1145/2833157.2833162"}),
}  # fmt: skip
"""Kind, authors, title, year and further fields of each paper by its key."""


def bibtex(key):
    """BibTeX entry of a paper (str).

    Parameters
    ----------
    key : str
        A key of `PAPERS`.
    """
    kind, author, title, year, more = PAPERS[key]
    fields = {"author": author, "title": f"{{{title}}}", "year": year} | more
    body = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@{kind}{{{key},\n{body}}}\n"


def reference(key):
    """Line of the list of papers (str, Markdown).

    Parameters
    ----------
    key : str
        A key of `PAPERS`.
    """
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
