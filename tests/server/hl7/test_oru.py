"""ORU^R01: what is said, what is never said, and the same bytes each time (I-7, S-4)."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import hl7
import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.analyzers.nuclear import NUCLEAR
from inference.assay import assay_of
from inference.measures import ALL, Score
from server.domain.errors import Failed, ServiceReason
from server.domain.order import EntityIdentifier, Order, ProcessingId, Sender
from server.domain.result import Result
from server.hl7 import envelope
from server.hl7.oru import (
    Status,
    build_bare_refusal,
    build_oru,
    build_refusal,
    build_rejection,
    control_id,
    refusal_control_id,
)
from tests.made import CONTAINER, SPECIMEN, made_order, made_result

UNITS = {"%", "{score}", "1", ""}
REGIONS = [region.name for region in NUCLEAR.regions]
CLINICAL = assay_of("ER").clinical_region
PERCENTAGE = ("PERCENT_POSITIVE", "PERCENT_POSITIVE_CI95_LOW", "PERCENT_POSITIVE_CI95_HIGH")


@pytest.fixture
def order() -> Order:
    return made_order()


def observations(message: bytes) -> dict[tuple[str, str], tuple[str, str, str]]:
    """(code, compartment) -> (value, unit, status), read by python-hl7."""
    rows = hl7.parse(message.decode()).segments("OBX")
    return {(first(r[3]), str(r[4])): (str(r[5]), first(r[6]), str(r[11])) for r in rows}


def first(field: object) -> str:
    return str(field).split("^")[0]


def segment(message: bytes, name: str) -> hl7.Segment:
    return hl7.parse(message.decode()).segment(name)


def expected(result: Result, region: str) -> dict[str, tuple[str, str]]:
    """What the rows of a region say, as HL7 writes it: code -> (value, unit)."""
    whole = {measure.code for measure in result.assay.measures if measure.whole}
    said: dict[str, tuple[str, str]] = {}
    for row in result.scores:
        if row.region == region and row.category is not None:
            said[row.code] = ({"positive": "LA6576-8^Positive^LN"}[row.category], "")
        if row.region == region and row.value is not None:
            said[row.code] = (f"{row.value:.0f}" if row.measure in whole else f"{row.value:.2f}", row.unit)
            if row.interval is not None:
                low, high = (f"{bound:.2f}" for bound in row.interval)
                said |= {f"{row.measure}_CI95_LOW": (low, row.unit), f"{row.measure}_CI95_HIGH": (high, row.unit)}
    return said


def test_every_quantity_of_every_region_is_there_as_scored(tmp_path: Path, order: Order) -> None:
    result = made_result(tmp_path)
    said = observations(build_oru(result, order))
    for region in REGIONS:
        assert {c: v[:2] for (c, at), v in said.items() if at == region} == expected(result, region)
    assert {v[2] for v in said.values()} == {"P"}
    assert {v[1] for v in said.values()} == UNITS
    assert {code for code, at in said if at == CLINICAL} == {
        "HSCORE",
        "HSCORE_CI95_LOW",
        "HSCORE_CI95_HIGH",
        "85329-1",
        *PERCENTAGE[1:],
        "85337-4",
        "ALLRED_PS",
        "ALLRED_IS",
        "ALLRED_TOTAL",
        "IRS",
        "COUNT_NUCLEI",
        *(f"COUNT_GRADE_{g}" for g in range(4)),
    }


def test_the_whole_comes_before_its_parts(tmp_path: Path, order: Order) -> None:
    regions = [region for _, region in observations(build_oru(made_result(tmp_path), order)) if region]
    assert list(dict.fromkeys(regions)) == REGIONS[::-1]
    assert REGIONS[-1] == ALL


def test_p53_has_its_percentage_and_counts_alone(tmp_path: Path) -> None:
    said = observations(build_oru(made_result(tmp_path, marker="P53"), made_order(marker="P53")))
    assert {code for code, region in said if region} == {*PERCENTAGE, "COUNT_NUCLEI"} | {
        f"COUNT_GRADE_{g}" for g in range(4)
    }


@pytest.mark.parametrize(
    ("measure", "category", "kind", "value"),
    [
        ("GLOW", "very bright | or so", "ST", "very bright \\F\\ or so"),
        ("HER2_SCORE", "2+", "CWE", "LA11842-4^2+^LN"),
        ("HER2_SCORE", None, "CWE", ""),
        ("HER2_SCORE", "unclear", "CWE", "HER2_SCORE_UNCLEAR^unclear^99CHROMOGEN"),
        ("GLOW", None, "ST", ""),
    ],
)
def test_a_category_comes_in_words_or_as_the_answer_of_a_public_list(
    tmp_path: Path, order: Order, measure: str, category: str | None, kind: str, value: str
) -> None:
    row = Score(measure=measure, code=measure, display="Made up", region=ALL, unit="", n=3, category=category)
    message = build_oru(replace(made_result(tmp_path), scores=(row,)), order)
    (found,) = (obx for obx in hl7.parse(message.decode()).segments("OBX") if str(obx[4]) == ALL)
    assert [str(found[n]) for n in (2, 3, 5, 11)] == [
        kind,
        f"{measure}^Made up^99CHROMOGEN",
        value,
        "P" if value else "X",
    ]


def test_a_store_that_made_floats_of_whole_numbers_changes_no_byte(tmp_path: Path, order: Order) -> None:
    result = made_result(tmp_path)
    floats = tuple(replace(row, value=None if row.value is None else float(row.value)) for row in result.scores)
    assert build_oru(replace(result, scores=floats), order) == build_oru(result, order)


@pytest.mark.parametrize("processing_id", list(ProcessingId))
def test_what_was_ordered_for_training_never_comes_back_as_production(
    tmp_path: Path, order: Order, processing_id: ProcessingId
) -> None:
    asked, result = replace(order, request=replace(order.request, processing_id=processing_id)), made_result(tmp_path)
    for message in (
        build_oru(result, asked),
        build_rejection(result, asked, "folded"),
        build_refusal(asked, "NO_TISSUE", "none"),
        build_bare_refusal(asked, "NO_TISSUE"),
    ):
        assert str(segment(message, "MSH")[11]) == processing_id


def test_s3_profile_model_and_software_are_named(tmp_path: Path, order: Order) -> None:
    said = observations(build_oru(made_result(tmp_path), order))
    assert said["PROFILE", ""][0] == "built-in/2"
    assert (said["111001", ""][0], said["111003", ""][0], said["MODEL_SHA256", ""][0]) == (
        "made-up",
        "9.8.7 (model 1.0.0)",
        "ab" * 32,
    )
    assert said["111700", ""][0] == CONTAINER


@pytest.mark.parametrize(
    ("marker", "site", "code"),
    [
        ("ER", "76752008", "85329-1"),
        ("ER", "2739003", "14228-1"),
        ("ER", "", "14228-1"),
        ("PR", "76752008", "85325-9"),
        ("KI67", "76752008", "85330-9"),
        ("KI67", "2739003", "29593-1"),
    ],
)
def test_the_percentage_of_the_clinical_region_has_the_code_of_its_marker_and_tissue(
    tmp_path: Path, marker: str, site: str, code: str
) -> None:
    result = made_result(tmp_path, n=50, marker=marker, site_code=site)
    said = observations(build_oru(result, made_order(marker=marker, site_code=site)))
    assert said[code, CLINICAL][1] == "%"
    assert {at for found, at in said if found == "PERCENT_POSITIVE"} == set(REGIONS) - {CLINICAL}


def test_the_order_is_returned_as_it_was_placed(tmp_path: Path, order: Order) -> None:
    number = EntityIdentifier(identifier="P-4711", namespace="LIS", universal_id="1.2.3", universal_type="ISO")
    asked = replace(order.request, placer_order_number=number, lab="TEST-LAB")
    asked = replace(asked, patient=replace(asked.patient, birth_date=date(1950, 1, 2), sex="F", id_authority="AUTH"))
    message = build_oru(made_result(tmp_path, n=50), replace(order, request=asked))
    msh, pid, orc, obr = (segment(message, n) for n in ("MSH", "PID", "ORC", "OBR"))
    assert [str(msh[n]) for n in (3, 4, 5, 6, 9, 12, 18)] == [
        "CHROMOGEN",
        "TEST-LAB",
        "LIS",
        "TEST",
        "ORU^R01^ORU_R01",
        "2.5.1",
        "UNICODE UTF-8",
    ]
    assert [str(pid[n]) for n in (3, 5, 7, 8)] == ["TEST-0001^^^AUTH", "TEST-INVENTED^Zoë", "19500102", "F"]
    assert str(orc[2]) == str(obr[2]) == "P-4711^LIS^1.2.3^ISO"
    assert str(orc[3]) == str(obr[3]) == f"{order.id}^CHROMOGEN"
    assert (str(obr[4]), str(obr[24]), str(obr[25])) == ("ERIHC^Oestrogenrezeptor µ (invented)^L", "SP", "P")
    spm = segment(message, "SPM")
    assert (str(spm[2]), str(spm[8])) == (SPECIMEN, "76752008^^SCT")


@pytest.mark.parametrize("status", list(Status))
def test_the_status_stands_in_obr_25_and_every_obx_11(tmp_path: Path, order: Order, status: Status) -> None:
    message = build_oru(made_result(tmp_path, n=50), order, status=status)
    assert str(segment(message, "OBR")[25]) == status
    assert {v[2] for v in observations(message).values()} == {str(status)}


def test_a_resend_is_the_same_to_the_byte_and_another_status_is_another_message(tmp_path: Path, order: Order) -> None:
    """I-7."""
    result = made_result(tmp_path, n=50)
    assert build_oru(result, order) == build_oru(result, order)
    ids = {control_id(result, s) for s in Status}
    assert len(ids) == len(Status)
    assert all(len(i) == 20 for i in ids)
    assert str(segment(build_oru(result, order), "MSH")[10]) == control_id(result)
    assert control_id(result) != control_id(made_result(tmp_path, n=51))


def test_a_region_without_nuclei_has_no_score_and_never_0(tmp_path: Path, order: Order) -> None:
    said = observations(build_oru(made_result(tmp_path, n=60, only_compartment=1), order))
    for code in ("HSCORE", "HSCORE_CI95_LOW", "HSCORE_CI95_HIGH", "PERCENT_POSITIVE", "ALLRED_TOTAL", "IRS"):
        assert (said[code, REGIONS[0]][0], said[code, REGIONS[0]][2]) == ("", "X")
        assert (said[code, ALL][0] != "", said[code, ALL][2]) == (True, "P")
    assert said["COUNT_NUCLEI", REGIONS[0]] == ("0", "1", "P")


def test_a_slide_without_nuclei_has_no_score_at_all(tmp_path: Path, order: Order) -> None:
    message = build_oru(made_result(tmp_path, n=0), order)
    assert {v[2] for (c, _), v in observations(message).items() if c in ("HSCORE", "85329-1", "ALLRED_PS", "IRS")} == {
        "X"
    }
    assert any("No nuclei" in str(n[3]) for n in hl7.parse(message.decode()).segments("NTE"))


def test_s4_research_use_only_and_each_warning_stand_in_notes(tmp_path: Path, order: Order) -> None:
    message = build_oru(made_result(tmp_path, n=50, warnings=("OUT_OF_SCOPE", "TOO_FEW_NUCLEI")), order)
    notes = [str(n[3]) for n in hl7.parse(message.decode()).segments("NTE")]
    assert notes == [
        "Research use only: not for diagnosis.",
        f"Clinical region: {CLINICAL}",
        "Warning: OUT_OF_SCOPE",
        "Warning: TOO_FEW_NUCLEI",
    ]


def test_a_rejection_withdraws_every_quantity_that_was_said_and_says_why(tmp_path: Path, order: Order) -> None:
    result = made_result(tmp_path)
    message = build_rejection(result, order, "folded|tissue")
    before, after = observations(build_oru(result, order)), observations(message)
    scored = {key: unit for key, (_, unit, _) in before.items() if key[1]}
    assert {key: value for key, value in after.items() if key[1]} == {
        key: ("", unit, "X") for key, unit in scored.items()
    }
    assert after["REFUSAL", ""] == ("RESULT_REJECTED", "", "X")
    assert after["PROFILE", ""] == ("built-in/2", "", "X")
    assert set(before) <= set(after)
    assert str(segment(message, "OBR")[25]) == "X"
    assert "folded\\F\\tissue" in message.decode()
    assert str(segment(message, "MSH")[10]) == control_id(result, Status.REJECTED)


def test_a_refusal_says_cancelled_and_why(order: Order) -> None:
    message = build_refusal(order, "NO_TISSUE", "no tissue | found; scan the slide again")
    assert build_refusal(order, "NO_TISSUE", "no tissue | found; scan the slide again") == message
    assert str(segment(message, "OBR")[25]) == "X"
    assert observations(message) == {("REFUSAL", ""): ("NO_TISSUE", "", "X")}
    notes = [str(n[3]) for n in hl7.parse(message.decode()).segments("NTE")]
    assert notes == ["Research use only: not for diagnosis.", "no tissue \\F\\ found; scan the slide again"]
    assert parse_message(message.decode(), validation_level=VALIDATION_LEVEL.STRICT).validate()


@pytest.mark.parametrize("year", [1, 999, 1799])
def test_a_date_that_stands_for_none_leaves_the_birth_date_empty_and_loses_no_result(
    tmp_path: Path, order: Order, year: int
) -> None:
    """Years below 1000 are not read back as they were: neither result nor refusal would leave."""
    patient = replace(order.request.patient, birth_date=date(year, 1, 1), sex="F")
    unborn = replace(order, request=replace(order.request, patient=patient))
    for message in (build_oru(made_result(tmp_path, n=50), unborn), build_refusal(unborn, "NO_TISSUE", "none")):
        assert str(segment(message, "PID")[7]) == ""


def test_a_bare_refusal_says_the_order_s_numbers_and_the_reason_and_no_patient(order: Order) -> None:
    message = build_bare_refusal(order, "NO_TISSUE")
    orc, obr = segment(message, "ORC"), segment(message, "OBR")
    assert (str(orc[2]), str(orc[3])) == (order.request.placer_order_number.identifier, f"{order.id}^CHROMOGEN")
    assert (str(obr[2]), str(obr[3]), str(obr[25])) == (str(orc[2]), str(orc[3]), "X")
    assert observations(message) == {("REFUSAL", ""): ("NO_TISSUE", "", "X")}
    assert [line[:3] for line in message.decode().rstrip("\r").split("\r")] == ["MSH", "ORC", "OBR", "NTE", "OBX"]
    assert str(segment(message, "MSH")[10]) == refusal_control_id(order, "NO_TISSUE")


@pytest.mark.parametrize(
    ("charset", "term", "codec"),
    [("8859/1", "8859/1", "latin-1"), ("UTF-8", "UNICODE UTF-8", "utf-8"), ("ASCII", "UNICODE UTF-8", "utf-8")],
)
def test_the_answer_is_in_the_orders_character_set_where_that_has_every_sign(
    tmp_path: Path, order: Order, charset: str, term: str, codec: str
) -> None:
    """I-2."""
    message = build_oru(
        made_result(tmp_path, n=50), replace(order, request=replace(order.request, charset=charset))
    ).decode(codec)
    assert str(hl7.parse(message).segment("PID")[5]) == "TEST-INVENTED^Zoë"
    assert str(hl7.parse(message).segment("MSH")[18]) == term


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=70)


@pytest.mark.parametrize("processing_id", ProcessingId)
def test_msh_11_of_the_order_comes_back_with_every_answer(
    tmp_path: Path, order: Order, processing_id: ProcessingId
) -> None:
    """Issue 12, 2d: what was a test must not be filed as production."""
    result = made_result(tmp_path, n=50)
    tested = replace(order, request=replace(order.request, processing_id=processing_id))
    answers = [
        build_oru(result, tested),
        build_rejection(result, tested, "blurred"),
        build_refusal(tested, "NO_TISSUE", "none"),
        build_bare_refusal(tested, "NO_TISSUE"),
    ]
    assert {str(segment(answer, "MSH")[11]) for answer in answers} == {processing_id}


@settings(max_examples=40, deadline=None)
@given(name=TEXT, given_name=TEXT, number=TEXT, procedure=TEXT, site=TEXT, lab=TEXT, sender=TEXT)
def test_whatever_stood_in_the_order_the_message_keeps_its_shape(
    name: str, given_name: str, number: str, procedure: str, site: str, lab: str, sender: str
) -> None:
    order = made_order()
    asked = replace(
        order.request,
        placer_order_number=EntityIdentifier(identifier=number, namespace=sender),
        procedure_text=procedure,
        lab=lab,
        sender=Sender(application=sender, facility=lab),
    )
    asked = replace(asked, patient=replace(asked.patient, family_name=name, given_name=given_name))
    asked = replace(asked, specimen=replace(asked.specimen, site_text=site))
    message = build_refusal(replace(order, request=asked), "NO_TISSUE", "none")
    assert [line[:3] for line in message.decode().rstrip("\r").split("\r")] == [
        "MSH",
        "PID",
        "ORC",
        "OBR",
        "NTE",
        "OBX",
        "NTE",
        "SPM",
    ]


def test_identifiers_longer_than_version_2_5_1_foresaw_are_returned_whole(order: Order) -> None:
    asked = replace(order.request, placer_order_number=EntityIdentifier(identifier="P" * 80), lab="L" * 60)
    asked = replace(asked, patient=replace(asked.patient, id="1" * 40, family_name="TEST-INVENTED-" * 9))
    message = build_refusal(replace(order, request=asked), "NO_TISSUE", "none")
    assert (str(segment(message, "OBR")[2]), str(segment(message, "MSH")[4])) == ("P" * 80, "L" * 60)
    assert (str(segment(message, "PID")[3]), str(segment(message, "PID")[5])) == (
        "1" * 40,
        "TEST-INVENTED-" * 9 + "^Zoë",
    )


@pytest.mark.parametrize(
    "text",
    [
        "MSH|^~\\&|C||||20260101||ORU^R01^ORU_R01|1|P|2.5.1\rPID|1||TEST-INVENTED\r",
        "MSH|^~\\&|C||||20260101||ORU^R01^ORU_R01|1|P|2.5.1\rOBR|1||||TEST-INVENTED\r",
        "MSH|^~\\&|C||||TEST-INVENTED||ORU^R01^ORU_R01|1|P|2.5.1\rOBR|1|||A\r",
        "MSH|^~\\&|C||||20260101||ORU^R01^ORU_R01|1|P|2.5.1\rOBR|1|||A\rTEST-INVENTED|\r",
        "TEST-INVENTED",
    ],
)
def test_a_text_that_hl7apy_does_not_accept_fails_without_a_value_in_the_error(text: str) -> None:
    """S-1: its exceptions quote the values."""
    with pytest.raises(Failed) as failed:
        envelope._check(text)
    assert failed.value.reason == ServiceReason.INTERNAL
    assert "TEST-INVENTED" not in failed.value.message
    assert failed.value.__context__ is None
