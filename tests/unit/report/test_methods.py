"""Methods, versions and papers are those of the rules that made the products."""

import re
import unicodedata
from pathlib import Path

import pytest

from skyloom.io.provenance import Provenance
from skyloom.report.methods import METHODS, PAPERS_OF_PACKAGES, citations_text, methods_text, papers_in
from skyloom.report.papers import PAPERS
from skyloom.workflow.fingerprint import Fingerprints

ROOT = Path(__file__).parents[3]
# Scripts behind a product whose rules leave none for the report, and the stages' pages about a rule.
EARLIER_SCRIPTS = {"assemble_coadd": ["warp_visit"]}
PAGES = {
    "simulate_night": ["simulate"],
    "combine_bias": ["calibs"],
    "combine_dark": ["calibs"],
    "combine_flat": ["calibs"],
    "combine_illumination": ["calibs"],
    "find_defects": ["calibs"],
    "calibrate_image": ["isr", "calibrate", "astrometry"],
    "assemble_coadd": ["warp", "coadd"],
    "measure_objects": ["objects"],
    "subtract_template": ["diff", "dia"],
    "associate_dia_sources": ["association"],
    "write_report": ["report"],
}
CITATION = re.compile(
    r"\b((?:van )?[A-Z]\w+)(?:,? (?:& )?[A-Z][\w-]+)*(?: et al\.)? \(?((?:19|20)\d\d)\b(?!-)"
)


def made_by(rule, version="0.1", **packages):
    return Provenance(rule=rule, version=version, commit="0123456789abcdef", packages=packages)


RUN = [
    made_by("calibrate_image", numpy="2.5.5", numba="0.68.1"),
    made_by("subtract_template", numpy="2.5.5"),
    made_by("write_report", numpy="2.4.0"),
]


def keys_of(bibtex):
    return re.findall(r"^@\w+\{(\w+),$", bibtex, re.MULTILINE)


def test_only_what_made_something_is_named():
    text = methods_text(RUN)
    assert "[Alard1998]" in text
    assert "rule `subtract_template`" in text
    assert "simulate" not in text
    assert "rule `measure_objects`" not in text
    assert keys_of(citations_text(RUN)) == [
        "Alard1998", "Alard2000", "Anderson2000", "Bardeen1986", "Bernstein2002", "Bertin1996", "Calabretta2002",
        "Calabretta2004", "Duchon1979", "Eilers1996", "Garcia2010", "Groth1986", "Harris2020", "Hurvich1989",
        "Ivezic2018", "Jarvis2021", "King1971", "Kron1980", "Lam2015", "Lang2010", "Lupton2001", "Lupton2004",
        "MacKay1992", "Molder2021", "Nir2018", "Plazas2025", "Reiss2016", "Rybicki1992", "Schutt2025",
        "Stetson1987", "Zackay2016", "vanDokkum2001",
    ]  # fmt: skip


def test_a_night_of_the_simulation_counts_as_the_simulation():
    assert "GalSim [Rowe2015]" in methods_text([made_by("simulate_night")])


def test_several_versions_of_one_package_are_all_told():
    text = methods_text(RUN)
    assert "- numpy 2.4.0, 2.5.5\n" in text
    assert "- skyloom 0.1 (commit 0123456789)\n" in text


def test_each_paper_in_the_text_is_in_the_list_and_in_the_bibtex():
    everything = [made_by(rule, **dict.fromkeys(PAPERS_OF_PACKAGES, "1")) for rule in METHODS]
    text = methods_text(everything)
    assert papers_in(text.partition("## Papers")[0]) <= set(PAPERS)
    assert (
        keys_of(citations_text(everything))
        == sorted(PAPERS)
        == re.findall(r"^- \[(\w+)\]", text, re.MULTILINE)
    )
    assert not re.search(r"[{}\\]", text)
    assert "Alard, C., Lupton, R. H. (1998), A Method" in text
    assert "Harris, C. R. et al. (2020), Array" in text


def plain(text):
    """Return a text in one line, without accents."""
    letters = unicodedata.normalize("NFKD", re.sub(r"\s+", " ", text))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def written_about(rule):
    """Return the pages about a rule, and the modules that its script leads to."""
    prints = Fingerprints(ROOT / "scripts", cache=None)
    paths = [ROOT / "docs" / "stages" / f"{page}.md" for page in PAGES[rule]]
    for script in (rule, *EARLIER_SCRIPTS.get(rule, [])):
        for module in prints.modules_of(script):
            base = ROOT.joinpath("scripts", *module.split("."))
            paths.append(base / "__init__.py" if base.is_dir() else base.with_suffix(".py"))
    return plain(" ".join(path.read_text() for path in paths if path.name not in ("methods.py", "papers.py")))


def cited_as(key):
    """Return the pattern of a paper's citation: its number, or its first author and year."""
    _, author, _, year, fields = PAPERS[key]
    if "number" in fields and "journal" not in fields:
        return re.escape(fields["number"])
    surname = plain(re.sub(r"[{}\\']", "", author)).partition(",")[0]
    return rf"\b{surname}\b.{{0,40}}?\b{year}\b"


@pytest.mark.parametrize("rule", METHODS)
def test_what_a_rule_quotes_is_cited_where_its_code_is_explained(rule):
    about = written_about(rule)
    assert [key for key in papers_in(METHODS[rule]) if not re.search(cited_as(key), about)] == []


@pytest.mark.parametrize("rule", [rule for rule in METHODS if rule != "simulate_night"])
def test_what_a_stages_page_cites_is_quoted_by_its_rule(rule):
    """The page of the simulation alone cites what only makes worlds."""
    cited = set()
    for page in PAGES[rule]:
        text = (ROOT / "docs" / "stages" / f"{page}.md").read_text().partition("<!-- From here on")[0]
        found = CITATION.findall(plain(re.sub("^#.*$", "", text, flags=re.MULTILINE)))
        cited |= {name.replace(" ", "") + year for name, year in found}
    assert cited - papers_in(METHODS[rule]) == set()


def test_a_citation_is_recognised():
    text = "as Zackay, Ofek & Gal-Yam (2016), van Dokkum (2001) and Plazas Malagon et al. 2025 did in 2048 pixels"
    assert CITATION.findall(text) == [("Zackay", "2016"), ("van Dokkum", "2001"), ("Plazas", "2025")]


def test_bibtex_has_balanced_braces_and_a_place_of_each_paper():
    for entry in citations_text(RUN).split("\n@"):
        assert entry.count("{") == entry.count("}")
        assert "year = {" in entry
        assert re.search(r"^  (journal|institution|booktitle) = \{", entry, re.MULTILINE)
