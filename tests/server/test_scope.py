"""Out of its scope an assay's compartments have no score, and the score of all says that it is of the whole tissue."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from inference.analyzers.nuclear import COMPARTMENTS
from inference.assay import assay_of
from inference.cells.histograms import Histograms
from inference.quality import Warning
from server.domain.choice import ProfileChoice, Validated
from server.domain.order import Specimen
from server.domain.profile import built_in
from server.report.scope_text import WHOLE_TISSUE, use_notes, whole_tissue_notes
from server.scoring import remarks_of, scores_of, whole_remarks
from tests.made import BREAST, made_result

ENDOMETRIUM = "2739003"


@pytest.mark.parametrize(
    ("marker", "site", "regions"),
    [
        ("ER", ENDOMETRIUM, {"stroma", "epithelium", "all"}),
        ("ER", "", {"stroma", "epithelium", "all"}),
        ("ER", BREAST, {"all"}),
        ("KI67", "", {"all"}),
        ("KI67", ENDOMETRIUM, {"all"}),
    ],
)
def test_compartments_have_rows_where_the_scope_is_met_alone(
    marker: str, site: str, regions: set[str], tmp_path: Path
) -> None:
    assay = assay_of(marker)
    histograms = made_result(tmp_path, marker="ER").analysis.histograms
    rows = scores_of(assay, histograms, built_in(assay), None, Specimen(site_code=site))
    assert {row.region for row in rows} == regions
    told = assay.analyzer.extra_json(rows)["compartments"]
    assert [name for name in COMPARTMENTS if told[name] is None] == ([] if len(regions) > 1 else list(COMPARTMENTS))
    assert told["all"]["n"] == histograms.n
    warned = Warning.WHOLE_TISSUE in whole_remarks(assay, assay.withheld(site))
    assert warned is (len(regions) == 1)


def test_a_score_of_the_whole_tissue_says_so_in_words(tmp_path: Path) -> None:
    made = made_result(tmp_path)
    assert list(whole_tissue_notes(replace(made, warnings=("WHOLE_TISSUE", "INK")))) == [WHOLE_TISSUE]
    assert list(whole_tissue_notes(replace(made, warnings=("INK",)))) == []


def test_her2_of_no_drawn_tumour_says_that_in_situ_counts_and_stroma_mostly_not(tmp_path: Path) -> None:
    made = replace(made_result(tmp_path), marker="HER2", warnings=("WHOLE_TISSUE",))
    (said,) = whole_tissue_notes(made)
    assert "in-situ tumour and healthy glands count" in said
    assert "all cells" not in said


@pytest.mark.parametrize("marker", ["HER2", "HE"])
def test_scores_by_the_profile_that_ships_say_that_no_laboratory_fitted_it(marker: str) -> None:
    assay = assay_of(marker)
    shipped = built_in(assay)
    fitted = replace(shipped, name="lab")
    empty = Histograms.empty(assay.analyzer.histograms)
    assert ("SCALE_UNKNOWN" in remarks_of(assay, empty, shipped, None, 0.25)) is (marker == "HER2")
    assert "SCALE_UNKNOWN" not in remarks_of(assay, empty, fitted, None, 0.25)
    assert "SCALE_UNKNOWN" not in remarks_of(assay, empty, shipped, None, 0.25, validated=True)


@pytest.mark.parametrize("marker", ["ER", "P53"])
def test_a_nuclear_score_says_that_nobody_fitted_its_scale_where_it_hangs_on_that(marker: str) -> None:
    assay = assay_of(marker)
    shipped = built_in(assay)
    fitted, brown = replace(shipped, name="lab"), Histograms.empty(assay.analyzer.histograms)
    for value in range(40, 180):
        brown["white_hue_value"][1, 30, value] += 10
    assert ("SCALE_UNKNOWN" in remarks_of(assay, brown, shipped, None, 0.5)) is (marker == "ER")
    assert "SCALE_UNKNOWN" not in remarks_of(assay, brown, fitted, None, 0.5)
    assert "SCALE_UNKNOWN" not in remarks_of(assay, brown, shipped, None, 0.5, validated=True)
    blue = Histograms.empty(assay.analyzer.histograms)
    blue["white_hue_value"][1, 220, 150] += 1400
    assert "SCALE_UNKNOWN" not in remarks_of(assay, blue, shipped, None, 0.5)


@pytest.mark.parametrize("marker", ["HER2", "HE"])
def test_not_validated_is_said_until_it_is(marker: str, tmp_path: Path) -> None:
    assay = assay_of(marker)
    empty = Histograms.empty(assay.analyzer.histograms)
    for validated in (False, True):
        said = remarks_of(assay, empty, built_in(assay), None, 0.25, validated=validated)
        assert ("NOT_VALIDATED" in said) is not validated
        held = Validated(id="6d0c2c5e-0000-4000-8000-000000000000", slides=24, on=date(2026, 6, 1))
        choice = ProfileChoice(validated=held if validated else None)
        notes = list(use_notes(replace(made_result(tmp_path), marker=marker, choice=choice)))
        assert any("not validated on patient material" in note for note in notes) is not validated
        assert set(assay.analyzer.notes) <= set(notes)
