"""The markers' codes against the report's table, so that what is ordered and what is answered cannot drift apart."""

import pytest

from inference.analyzers.nuclear import PERCENT_POSITIVE
from inference.assay import Assay, assays
from inference.errors import Reason, Refused
from server.hl7.markers import LOINC, marker_of
from server.report.codes import Tissue, marker_codes, of_measure, percent_positive_code

REPORTED = [
    (code.value, marker)
    for marker in ("ER", "PR", "KI67", "HER2")
    for tissue in Tissue
    for codes in [marker_codes(marker, tissue)]
    for code in (codes.presence, codes.interpretation, codes.percent)
    if code is not None
]


def test_every_code_that_is_reported_can_be_ordered_and_no_other_loinc_code() -> None:
    assert dict(REPORTED) == LOINC


@pytest.mark.parametrize(("code", "marker"), [(code, marker) for code, marker in REPORTED if marker != "HER2"])
def test_a_reported_code_orders_its_marker(code: str, marker: str) -> None:
    assert marker_of([code, "", "LN"]) == marker


@pytest.mark.parametrize("assay", assays(), ids=lambda assay: assay.marker)
def test_every_assay_is_ordered_by_each_of_its_names(assay: Assay) -> None:
    for name in (assay.marker, *assay.names):
        assert marker_of([name, "", "L"]) == marker_of(["X", name.lower()]) == assay.marker


@pytest.mark.parametrize(
    ("name", "marker"), [(name, assay.marker) for assay in assays() for name in (assay.marker, *assay.names)]
)
def test_every_name_of_an_assay_orders_it_capitals_signs_and_noise_aside(name: str, marker: str) -> None:
    for text in (name, name.lower(), f"{name} IHC stain", name.replace(" ", "-")):
        assert marker_of(["", text]) == marker


@pytest.mark.parametrize(
    "procedure",
    [
        ["85319-2", "HER2", "LN"],
        ["", "HER2/neu"],
        ["CD3", "CD3", "L"],
        ["HE", "H&E", "L"],
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
