"""Which marker is ordered by what: by the codes of the report's tables and by the names of the assays."""

import pytest

from inference.analyzers.nuclear import PERCENT_POSITIVE
from inference.assay import Assay, assays
from inference.errors import Reason, Refused
from server.hl7.markers import marker_of
from server.report.codes import PUBLIC, Scheme, Tissue, markers_by_code, of_measure, percent_positive_code

ORDERED = [(code, scheme, marker) for (scheme, code), marker in markers_by_code().items() if marker != "HER2"]


@pytest.mark.parametrize(("code", "scheme", "marker"), ORDERED)
def test_every_public_code_of_a_marker_orders_it(code: str, scheme: Scheme, marker: str) -> None:
    assert marker_of([code, "", scheme]) == marker


@pytest.mark.parametrize(("marker", "measure", "tissue"), PUBLIC)
def test_every_public_code_that_a_row_bears_can_be_ordered(marker: str, measure: str, tissue: Tissue) -> None:
    code = PUBLIC[marker, measure, tissue]
    assert markers_by_code()[code.scheme, code.value] == marker


@pytest.mark.parametrize("assay", assays(), ids=lambda assay: assay.marker)
def test_every_assay_is_ordered_by_each_of_its_names(assay: Assay) -> None:
    for name in (assay.marker, *assay.names):
        assert marker_of([name, "", "L"]) == marker_of(["X", name.lower()]) == assay.marker


@pytest.mark.parametrize(
    ("name", "marker"), [(name, assay.marker) for assay in assays() for name in (assay.marker, *sorted(assay.names))]
)
def test_every_name_of_an_assay_orders_it_capitals_signs_and_noise_aside(name: str, marker: str) -> None:
    for text in (name, name.lower(), f"{name} IHC stain", name.replace(" ", "-")):
        assert marker_of(["", text]) == marker


@pytest.mark.parametrize(
    "procedure",
    [
        ["", "PD-L1"],
        ["CD3", "CD3", "L"],
        ["PAS", "PAS", "L"],
        ["24317-0", "Hemogram", "LN"],
        [],
    ],
)
def test_a_stain_that_is_not_scored_here_is_refused_and_never_scored_as_another(procedure: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        marker_of(procedure)
    assert refused.value.reason == Reason.ASSAY_UNSUPPORTED


def test_the_percentage_of_er_is_not_that_of_ki67() -> None:
    assert percent_positive_code("ER", Tissue.BREAST).value == "85329-1"
    assert percent_positive_code("KI67", Tissue.BREAST).value == "85330-9"
    assert percent_positive_code("CD3", Tissue.BREAST) == of_measure(PERCENT_POSITIVE)
