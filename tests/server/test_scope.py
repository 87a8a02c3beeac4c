"""Out of its scope an assay's compartments have no score, and the score of all says that it is of the whole tissue."""

from pathlib import Path

import pytest

from inference.analyzers.nuclear import COMPARTMENTS
from inference.assay import assay_of
from inference.quality import Warning
from server.domain.order import Specimen
from server.domain.profile import built_in
from server.report.scope_text import WHOLE_TISSUE, whole_tissue_notes
from server.scoring import scores_of, whole_remarks
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


def test_a_score_of_the_whole_tissue_says_so_in_words() -> None:
    assert list(whole_tissue_notes(("WHOLE_TISSUE", "INK"))) == [WHOLE_TISSUE]
    assert list(whole_tissue_notes(("INK",))) == []
