"""Methods, versions and papers are those of the rules that made the products."""

import re

from skyloom.io.provenance import Provenance
from skyloom.report.methods import METHODS, PAPERS, PAPERS_OF_PACKAGES, citations_text, methods_text


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
        "Alard1998", "Barbary2016", "Bertin1996", "Calabretta2002", "Harris2020", "Ivezic2018", "Lam2015",
        "Lupton2004", "Molder2021", "Plazas2025", "Reiss2016",
    ]  # fmt: skip


def test_a_night_of_the_simulation_counts_as_the_simulation():
    assert "GalSim [Rowe2015]" in methods_text([made_by("simulate_night_20261110")])


def test_several_versions_of_one_package_are_all_told():
    text = methods_text(RUN)
    assert "- numpy 2.4.0, 2.5.5\n" in text
    assert "- skyloom 0.1 (commit 0123456789)\n" in text


def test_each_paper_in_the_text_is_in_the_list_and_in_the_bibtex():
    everything = [made_by(rule, **dict.fromkeys(PAPERS_OF_PACKAGES, "1")) for rule in METHODS]
    text = methods_text(everything)
    assert set(re.findall(r"\[(\w+\d{4})\]", text.partition("## Papers")[0])) <= set(PAPERS)
    assert (
        keys_of(citations_text(everything))
        == sorted(PAPERS)
        == re.findall(r"^- \[(\w+)\]", text, re.MULTILINE)
    )
    assert not re.search(r"[{}\\]", text)
    assert "Alard, C., Lupton, R. H. (1998), A Method" in text
    assert "Harris, C. R. et al. (2020), Array" in text


def test_the_papers_of_a_method_are_those_that_its_text_names():
    for method in METHODS.values():
        assert set(re.findall(r"\[(\w+)\]", method.text)) == set(method.papers)


def test_bibtex_has_balanced_braces_and_a_place_of_each_paper():
    for entry in citations_text(RUN).split("\n@"):
        assert entry.count("{") == entry.count("}")
        assert "year = {" in entry
        assert re.search(r"^  (journal|institution|booktitle) = \{", entry, re.MULTILINE)
