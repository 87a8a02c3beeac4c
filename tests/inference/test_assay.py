"""Which stains are scored, by what, and what the model card covers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import pytest

from inference.analyzers import nuclear
from inference.analyzers.nuclear import NuclearAnalyzer
from inference.assay import Assay, BuiltIn, assay_of, assays, criteria_of, criteria_values, register, unregister
from inference.cells.values import CellSchema, Column
from inference.criteria import Criteria, Values
from inference.errors import Reason, Refused
from inference.grade import DensityThresholds
from inference.measures import ALL, ONE, Measure


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


@pytest.mark.parametrize("name", ["PDL1", "PAS", "CD3", "CD8", "", "ERG", "P5"])
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


def test_the_clinical_score_is_of_a_region_that_the_analyzer_knows() -> None:
    for assay in assays():
        assert assay.clinical_region in {region.name for region in assay.analyzer.regions}


@pytest.mark.parametrize(
    ("marker", "region"), [("ER", "epithelium"), ("PR", "epithelium"), ("KI67", "epithelium"), ("P53", ALL)]
)
def test_hormone_receptors_and_ki67_are_reported_of_the_epithelium_and_p53_of_all(marker: str, region: str) -> None:
    assert assay_of(marker).clinical_region == region


def test_p53_is_given_in_percent_only() -> None:
    assert {m.code for m in assay_of("P53").measures} - {m.code for m in nuclear.COUNTS} == {"PERCENT_POSITIVE"}


def test_two_assays_may_not_be_called_alike() -> None:
    with pytest.raises(ValueError, match="is called as"):
        register(other(names=frozenset({"ki 67"})))


def other(**changed: Any) -> Assay:
    """Another marker's assay, otherwise as ER's."""
    return replace(assay_of("ER"), **{"marker": "XY", "names": frozenset(), **changed})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shade:
    """A kind of criteria that no shipped analyzer scores by."""

    method: ClassVar[str] = "shade"

    @classmethod
    def read(cls, values: Values) -> Self:
        return cls()

    def values(self) -> dict[str, int | float | str]:
        return {}

    def parameters(self) -> dict[str, str]:
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class SameMethod(Shade):
    """Another class under the method of a shipped one."""

    method: ClassVar[str] = "dab_od"


class ShadeAnalyzer(NuclearAnalyzer):
    criteria: tuple[type[Criteria], ...] = (Shade,)


class SameMethodAnalyzer(NuclearAnalyzer):
    criteria: tuple[type[Criteria], ...] = (SameMethod,)


DENSITY = DensityThresholds.read({"weak": 0.2, "moderate": 0.4, "strong": 0.6})
UNKNOWN = Measure(code="SHADE", display="Shade", unit=ONE)


def shipping(name: str, criteria: Criteria, revision: int = 1) -> BuiltIn:
    return BuiltIn(name=name, revision=revision, criteria=criteria, source="a test")


@pytest.fixture
def registered() -> Iterator[None]:
    """Takes the assay of `other` out again where one got in."""
    yield
    unregister("XY")


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"built_in": shipping("built-in", DENSITY)}, "built-in/1 is another profile of ER"),
        ({"built_in": shipping("built-in", DENSITY, revision=2)}, "built-in/2 is another profile of ER"),
        ({"clinical_region": "epitelium"}, "clinical_region epitelium"),
        ({"built_in": shipping("shade", Shade())}, "criteria of method shade"),
        ({"measures": ()}, "needs measures"),
        ({"measures": (nuclear.H_SCORE, UNKNOWN)}, "SHADE is no measure of nuclear"),
        ({"measures": (replace(nuclear.H_SCORE, interval=False),)}, "HSCORE is no measure of nuclear"),
        ({"measures": (nuclear.H_SCORE, nuclear.H_SCORE)}, "measures twice"),
        ({"analyzer": SameMethodAnalyzer(), "built_in": shipping("same", SameMethod())}, "method dab_od"),
    ],
)
def test_an_assay_that_would_score_nothing_or_replace_another_s_is_not_registered(
    changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=f"XY.*{said}"):
        register(other(**changed))
    assert "XY" not in {assay.marker for assay in assays()}


@pytest.mark.usefixtures("registered")
def test_an_assay_of_another_kind_ships_its_own_profile() -> None:
    made = other(analyzer=ShadeAnalyzer(), built_in=shipping("shade", Shade()))
    register(made)
    assert assay_of("XY") is made
    assert criteria_of("shade", {}) == Shade()


@pytest.mark.parametrize(("marker", "status"), [("ER", "ER_STATUS"), ("PR", "PGR_STATUS"), ("KI67", "KI67_GROUP")])
def test_a_measure_that_the_analyzer_learns_lands_on_no_marker_by_itself(marker: str, status: str) -> None:
    counts = ["COUNT_NUCLEI", *(f"COUNT_GRADE_{g}" for g in range(4))]
    named = ["HSCORE", "PERCENT_POSITIVE", status, "ALLRED_PS", "ALLRED_IS", "ALLRED_TOTAL", "IRS", *counts]
    assert [m.code for m in assay_of(marker).measures] == named


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


def test_cells_without_a_confidence_are_no_schema() -> None:
    lobes = Column(name="lobes", dtype="uint8", meaning="how many lobes it has")
    with pytest.raises(ValueError, match="made_up/1 needs a column confidence"):
        CellSchema(name="made_up", version=1, columns=(lobes,))
