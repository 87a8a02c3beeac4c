"""The table of codes against hard facts, the standard's dictionary and the reference list."""

import re
from pathlib import Path

import pytest
from pydicom.sr._concepts_dict import concepts

from inference.analyzers.nuclear import H_SCORE, NUCLEI
from inference.assay import assay_of
from inference.measures import ALL, PRIVATE_SCHEME, scored
from server.domain.order import Specimen
from server.report import codes
from server.report.codes import Code, Scheme, Tissue

CONFORMANCE = Path(__file__).resolve().parents[3] / "docs" / "dicom-conformance.md"
REFERENCE = Path(__file__).resolve().parents[3].parent / "shared" / "reference" / "CODES.md"

# In our table and not in the reference list: their meaning is checked against the standard's dictionary below.
ONLY_IN_THE_STANDARD = {"91723000"}


def test_85329_1_is_er_percent_and_not_ki_67() -> None:
    assert codes.percent_positive_code("ER", Tissue.BREAST).value == "85329-1"
    assert codes.percent_positive_code("KI67", Tissue.BREAST).value == "85330-9"


@pytest.mark.parametrize(
    ("marker", "tissue", "value"),
    [
        ("ER", Tissue.OTHER, "14228-1"),
        ("PR", Tissue.BREAST, "85325-9"),
        ("PR", Tissue.OTHER, "14230-7"),
        ("KI67", Tissue.OTHER, "29593-1"),
        ("HER2", Tissue.BREAST, "PERCENT_POSITIVE"),
        ("P53", Tissue.OTHER, "PERCENT_POSITIVE"),
    ],
)
def test_percent_positive_has_the_code_of_its_marker_and_tissue(marker: str, tissue: Tissue, value: str) -> None:
    code = codes.percent_positive_code(marker, tissue)
    assert code.value == value
    assert code.unit == codes.PERCENT


def test_codes_that_must_not_be_used_are_absent() -> None:
    assert not {"85331-7", "85328-3"} & {c.value for c in codes.table()}


def test_a_pair_of_value_and_scheme_stands_once() -> None:
    pairs = [(c.scheme, c.value) for c in codes.table()]
    assert len(set(pairs)) == len(pairs)


def test_values_and_meanings_fit_the_dicom_representations() -> None:
    """Private values longer than an SH are written as Long Code Value."""
    for code in codes.table():
        assert 0 < len(code.value) <= (64 if code.scheme is Scheme.CHROMOGEN else 16), code
        assert 0 < len(code.meaning) <= 64, code
        assert len(code.scheme) <= 16, code
        assert code.source, code


def test_only_the_agreed_units_are_used() -> None:
    assert {c.value for c in codes.table() if c.scheme is Scheme.UCUM} == {"%", "{score}", "um2", "um", "/mm2", "1"}
    assert all(c.unit.scheme is Scheme.UCUM for c in codes.table() if c.unit is not None)


@pytest.mark.parametrize(
    "code", [c for c in codes.table() if c.scheme in (Scheme.DICOM, Scheme.SNOMED_CT)], ids=lambda c: c.value
)
def test_meanings_agree_with_the_dictionary_of_the_standard(code: Code) -> None:
    known = [
        meaning for entry in concepts[code.scheme].values() for v, (meaning, _) in entry.items() if v == code.value
    ]
    if not known:
        assert code.source == "SNOMED CT", (
            "a code that names a DICOM list as its source must be in the standard's dictionary"
        )
    else:
        assert code.meaning.lower() in [m.lower() for m in known]


@pytest.mark.parametrize("code", [c for c in codes.table() if c.scheme is Scheme.CHROMOGEN], ids=lambda c: c.value)
def test_the_conformance_statement_defines_every_private_code(code: Code) -> None:
    unit = "" if code.unit is None else f"`{code.unit.value}`"
    assert f"| `{code.value}` | {code.meaning} | {unit} |" in CONFORMANCE.read_text(encoding="utf-8")


def test_the_conformance_statement_defines_no_code_that_is_gone() -> None:
    section = CONFORMANCE.read_text(encoding="utf-8").split("## Private codes")[1]
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \|", section, re.MULTILINE)
    assert sorted(rows) == sorted(c.value for c in codes.table() if c.scheme is Scheme.CHROMOGEN)


@pytest.mark.parametrize(
    ("site", "tissue"),
    [
        (("76752008", "SCT", "Breast"), Tissue.BREAST),
        (("T-04000", "SRT", ""), Tissue.BREAST),
        (("C50.4", "ICDO3", ""), Tissue.BREAST),
        (("", "", " Breast "), Tissue.BREAST),
        (("69695003", "SCT", "breast"), Tissue.OTHER),  # the code is believed, not the text beside it
        (("C50.4", "SCT", ""), Tissue.OTHER),
        (("", "", "not breast"), Tissue.OTHER),
        (("", "", ""), Tissue.OTHER),
    ],
)
def test_tissue_follows_from_the_coded_site(site: tuple[str, str, str], tissue: Tissue) -> None:
    assert codes.tissue_of(*site) is tissue


needs_reference = pytest.mark.skipif(not REFERENCE.exists(), reason="../shared/reference/CODES.md is absent")


@needs_reference
def test_every_public_code_stands_in_the_reference_list() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    public = {c.value for c in codes.table() if c.scheme in (Scheme.LOINC, Scheme.SNOMED_CT, Scheme.DICOM)}
    missing = {v for v in public if not re.search(rf"(?<![\w-]){re.escape(v)}(?![\w-])", text)}
    assert missing == ONLY_IN_THE_STANDARD


@needs_reference
def test_each_marker_has_the_code_of_its_row_and_column_in_the_reference_list() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in REFERENCE.read_text("utf-8").splitlines()
        if line[:1] == "|"
    ]
    by_concept = {row[0]: row[1:] for row in rows}
    ordered = codes.markers_by_code()
    for concept, marker in (
        ("ER presence", "ER"),
        ("ER percent of nuclei", "ER"),
        ("PR presence", "PR"),
        ("PR percent of nuclei", "PR"),
        ("Ki-67 percent of nuclei", "KI67"),
        ("HER2 by immune stain", "HER2"),
    ):
        for tissue, cell in zip((Tissue.BREAST, Tissue.OTHER), by_concept[concept], strict=True):
            value = cell.split(";")[0]
            assert ordered[Scheme.LOINC, value] == marker
            if "percent" in concept:
                assert codes.percent_positive_code(marker, tissue).value == value
            for interpretation in re.findall(r"interpretation (\S+)", cell):
                assert ordered[Scheme.LOINC, interpretation] == marker


@needs_reference
@pytest.mark.parametrize("code", [c for c in codes.table() if c.source == "SNOMED CT"], ids=lambda c: c.value)
def test_snomed_codes_stand_beside_their_name_in_the_reference_list(code: Code) -> None:
    names = {"1234804006": "ER percent", "1234803000": "PR percent", "1236874005": "ER stain", "1237278006": "PR stain"}
    name = names.get(code.value, code.meaning)
    assert re.search(rf"{name}[^;]* {code.value}", REFERENCE.read_text(encoding="utf-8"), re.IGNORECASE)


def test_a_row_bears_the_public_code_of_any_measure_in_the_clinical_region_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = Code(value="TEST-1", scheme=Scheme.LOINC, meaning="TEST-INVENTED H-score", source="loinc.org")
    monkeypatch.setitem(codes.PUBLIC, ("KI67", H_SCORE.code, Tissue.OTHER), known)
    rows = [scored(m, region, 10, 5.0) for m in (H_SCORE, NUCLEI) for region in ("epithelium", ALL)]
    found = codes.coded(rows, assay_of("KI67"), Specimen())
    assert [(row.code, row.scheme) for row in found] == [
        ("TEST-1", "LN"),
        ("HSCORE", PRIVATE_SCHEME),
        ("COUNT_NUCLEI", PRIVATE_SCHEME),
        ("COUNT_NUCLEI", PRIVATE_SCHEME),
    ]
    assert [row.measure for row in found] == [row.measure for row in rows]
