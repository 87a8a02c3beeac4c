"""Which stains are scored, by what, and what the model card covers."""

from dataclasses import replace

import pytest

from inference.analyzers import nuclear
from inference.assay import Assay, assay_of, assays, criteria_of, criteria_values, register
from inference.errors import Reason, Refused
from inference.measures import ALL


@pytest.mark.parametrize(
    ("name", "marker"),
    [
        ("ER", "ER"),
        ("er", "ER"),
        ("Oestrogen receptor", "ER"),
        ("PgR", "PR"),
        ("Ki-67", "KI67"),
        ("MIB-1", "KI67"),
        ("p53", "P53"),
    ],
)
def test_a_marker_is_found_by_any_of_its_names(name: str, marker: str) -> None:
    assert assay_of(name).marker == marker


@pytest.mark.parametrize("name", ["HER2", "HE", "CD3", "CD8", "", "ERG", "P5"])
def test_a_stain_without_an_assay_is_refused(name: str) -> None:
    with pytest.raises(Refused) as refused:
        assay_of(name, "OBR-4")
    assert refused.value.reason == Reason.ASSAY_UNSUPPORTED
    assert refused.value.message.startswith("OBR-4")


@pytest.mark.parametrize(
    ("marker", "site_code", "site_text", "strange"),
    [
        ("ER", "", "", False),
        ("PR", "", "", False),
        ("ER", "2739003", "", False),
        ("ER", "35039007", "Uterus", False),
        ("ER", "", "Endometrium, curettage", False),
        ("ER", "76752008", "Breast", True),
        ("ER", "", "breast", True),
        ("ER", "76752008", "endometrium", False),  # one of the two is enough: a local code says nothing
        ("KI67", "", "", True),
        ("KI67", "2739003", "Endometrium", True),
        ("P53", "2739003", "Endometrium", True),
    ],
)
def test_what_the_model_card_does_not_cover_is_out_of_scope(
    marker: str, site_code: str, site_text: str, strange: bool
) -> None:
    assert assay_of(marker).out_of_scope(site_code, site_text) is strange


def test_the_clinical_region_is_data_of_the_assay() -> None:
    assert {assay.marker: assay.clinical_region for assay in assays()} == {
        "ER": "epithelium",
        "PR": "epithelium",
        "KI67": "epithelium",
        "P53": ALL,
    }


def test_p53_is_given_in_percent_only() -> None:
    assert {m.code for m in assay_of("P53").measures} - {m.code for m in nuclear.COUNTS} == {"PERCENT_POSITIVE"}


def test_two_assays_may_not_be_called_alike() -> None:
    with pytest.raises(ValueError, match="is called as"):
        register(replace_marker("XY", names=frozenset({"ki 67"})))


def replace_marker(marker: str, *, names: frozenset[str]) -> Assay:
    return replace(assay_of("ER"), marker=marker, names=names)


@pytest.mark.parametrize(
    ("method", "values"),
    [
        ("hue_value", {"hue": 130, "left": 60, "right": 105}),
        ("dab_od", {"weak": 0.2, "moderate": 0.4, "strong": 0.6}),
    ],
)
def test_criteria_are_read_as_they_are_written(method: str, values: dict[str, object]) -> None:
    assert criteria_values(criteria_of(method, values)) == {"method": method, **values}


@pytest.mark.parametrize(
    ("method", "values"),
    [
        ("otsu", {}),
        ("hue_value", {"hue": 130, "left": 60}),
        ("hue_value", {"hue": 130, "left": 60, "right": 105, "more": 1}),
        ("hue_value", {"hue": 130.5, "left": 60, "right": 105}),
        ("hue_value", {"hue": True, "left": 60, "right": 105}),
        ("hue_value", {"hue": "130", "left": 60, "right": 105}),
        ("hue_value", {"hue": float("nan"), "left": 60, "right": 105}),
        ("hue_value", {"hue": 130, "left": 105, "right": 60}),
        ("hue_value", {"hue": 301, "left": 60, "right": 105}),
        ("dab_od", {"weak": 0.4, "moderate": 0.2, "strong": 0.6}),
        ("dab_od", {"weak": 0.2, "moderate": 0.4, "strong": 4.0}),
    ],
)
def test_criteria_that_cannot_be_are_refused(method: str, values: dict[str, object]) -> None:
    with pytest.raises(Refused) as refused:
        criteria_of(method, values)
    assert refused.value.reason == Reason.PROFILE_INVALID
