"""Orders from text: every public sample, every field of the interface guide, and each way to be incomplete."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import Reason
from server.demo.lis import APPLICATION, LAB, order_message
from server.domain.errors import Refused, ServiceReason
from server.domain.order import EntityIdentifier, Patient, Priority, SlideReference, Specimen
from server.hl7.oml import parse_order
from tests.server.hl7.written import ORDER, parsed

SAMPLES = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "hl7"
NAMES = sorted(p.name for p in SAMPLES.glob("*.hl7")) if SAMPLES.is_dir() else []


@pytest.mark.skipif(not NAMES, reason="../shared/data/hl7 is absent")
@pytest.mark.parametrize("name", NAMES)
def test_every_public_sample_is_refused_with_one_clear_reason(name: str) -> None:
    """None of them orders a marker that is scored here."""
    with pytest.raises(Refused) as refused:
        parse_order((SAMPLES / name).read_bytes())
    orders = name.startswith(("OML", "ORM", "LAB-ORM", "MDHHS"))
    assert (refused.value.reason == ServiceReason.MESSAGE_TYPE_UNSUPPORTED) == (not orders)
    assert "\n" not in refused.value.message


@pytest.mark.skipif(not NAMES, reason="../shared/data/hl7 is absent")
def test_a_public_order_is_read_once_it_asks_for_a_marker() -> None:
    text = (SAMPLES / "OML-O21-01.hl7").read_bytes()
    request = parse_order(
        text.replace(b"57698-3^Lipid panel with direct LDL - Serum or Plasma^LN", b"85330-9^Ki-67^LN")
    )
    assert (request.marker, request.lab, request.sender.name) == ("KI67", "GHHSFacility", "ORDApp^GHHSFacility")
    assert request.placer_order_number == EntityIdentifier(identifier="1101", namespace="GHHPlacer")
    assert request.specimen.container_id == request.slide.container_id == "A59032"
    assert (request.specimen.id, request.patient.id, request.priority) == ("2012545", "PATID1234", Priority.ROUTINE)


@pytest.mark.skipif(not NAMES, reason="../shared/data/hl7 is absent")
def test_an_order_of_version_2_3_is_read_once_it_asks_for_a_marker_and_names_a_slide() -> None:
    text = (SAMPLES / "LAB-ORM-1.hl7").read_bytes()
    text = text.replace(b"24317-0^Hemogram and platelet count, automated^LN", b"PGR^Progesterone receptor^L")
    request = parse_order(
        text.replace(b"SomeSystem||", b"SomeSystem|LAB|") + b"\nZDS|1.2.840.1^LIS^Application^DICOM\n"
    )
    assert (request.marker, request.message_type, request.slide.study_uid) == ("PR", "ORM^O01", "1.2.840.1")


def test_each_field_is_taken_from_where_the_interface_guide_says() -> None:
    request = parse_order(ORDER.encode("latin-1"))
    assert (request.lab, request.sender.name, request.message_control_id) == ("LAB-A", "LIS^LAB-A", "M-1")
    assert (request.message_type, request.charset) == ("OML^O21", "8859/1")
    assert request.placer_order_number.parts == ("P-1", "LIS", "1.2", "ISO")
    assert request.placer_request == "85337-4/C-1"
    assert (request.priority, request.marker) == (Priority.STAT, "ER")
    assert (request.procedure_code, request.procedure_text) == ("85337-4", "Estrogen receptor")
    assert request.patient == Patient(
        id="TEST-1",
        id_authority="LAB-A",
        family_name="TEST-INVENTED",
        given_name="Zoë",
        birth_date=date(1950, 1, 2),
        sex="F",
    )
    assert request.specimen == Specimen(
        id="S-1", container_id="C-1", site_code="76752008", site_scheme="SCT", site_text="Breast"
    )
    assert request.slide == SlideReference(study_uid="1.2.3.4", container_id="C-1")
    assert request.requested_at == datetime(2026, 3, 1, 9, 15, tzinfo=UTC)


@pytest.mark.parametrize("given", ["00010101", "17991231", "0001", "99999999", ""])
def test_a_birth_date_that_is_none_is_none(given: str) -> None:
    assert parse_order(ORDER.replace("|19500102|", f"|{given}|").encode("latin-1")).patient.birth_date is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (("|LAB-A|CHROMOGEN", "||CHROMOGEN"), "MSH-4"),
        (("|M-1|", "||"), "MSH-10"),
        (("SSN-1^^^USSSA^SS~TEST-1^^^LAB-A&1.2.3&ISO^MR", '""'), None),
        (("OLD-1|SSN-1^^^USSSA^SS~TEST-1^^^LAB-A&1.2.3&ISO^MR", '""|""'), "PID-3"),
        (("PID|1|", "ZID|1|"), "PID-3"),
        (("ORC|NW|", "ORC||"), "ORC-1"),
        (("ORC|NW|", "ZRC|NW|"), "ORC-1"),
        (("OBR|1|", "ZBR|1|"), "OBR-4"),
        (("85337-4^Estrogen receptor^LN^ERX^ER \\T\\ more^L", ""), "OBR-4"),
        (("ORC|NW|P-1^LIS^1.2^ISO|", "ORC|NW||"), None),
        (("OBR|1|P-1|", "OBR|1||"), None),
        (("TQ1|", "ZQ1|"), None),
        (("SPM|", "ZPM|"), None),
        (("OBX|1|", "ZBX|1|"), None),
    ],
)
def test_a_missing_field_is_named_where_it_is_needed(change: tuple[str, str], field: str | None) -> None:
    if field is None:
        assert parsed(change)
        return
    with pytest.raises(Refused) as refused:
        parsed(change)
    assert refused.value.reason == ServiceReason.FIELD_MISSING
    assert refused.value.message.startswith(f"{field} is missing")


def test_a_slide_that_nothing_names_is_refused() -> None:
    with pytest.raises(Refused, match="SAC-3 is missing"):
        parsed(("SAC|", "ZAC|"), ("SPM|", "ZPM|"), ("OBX|1", "ZBX|1"))


def test_without_a_container_the_specimens_identifier_names_the_slide_and_stays_no_container() -> None:
    request = parse_order(ORDER.replace("SAC|", "ZAC|").replace("OBX|", "ZBX|").encode("latin-1"))
    assert (request.slide.container_id, request.specimen.container_id) == ("S-1", "")


@pytest.mark.parametrize(
    ("tq1", "orc", "obr27", "obr5", "priority"),
    [
        ("S", "R", "", "", Priority.STAT),
        ("A", "S", "", "", Priority.ASAP),
        ("", "S", "R", "", Priority.STAT),
        ("", "", "A", "S", Priority.ASAP),
        ("", "", "", "STAT", Priority.STAT),
        ("P", "S", "", "", Priority.ROUTINE),
        ("", "", "", "", Priority.ROUTINE),
    ],
)
def test_the_first_field_that_states_a_priority_counts(
    tq1: str, orc: str, obr27: str, obr5: str, priority: Priority
) -> None:
    """HL7 table 0485."""
    text = (
        ORDER.replace("|S\r", f"|{tq1}\r", 1)
        .replace("^^^^^A", f"^^^^^{orc}")
        .replace("L|A||||||||||BREAST", f"L|{obr5}")
    )
    text = text.replace(f"L|{obr5}\r", f"L|{obr5}{'|' * 22}^^^^^{obr27}\r")
    assert parse_order(text.encode("latin-1")).priority == priority


@pytest.mark.parametrize(
    ("procedure", "marker"),
    [
        ("85329-1^^LN", "ER"),  # not Ki-67, as is often said
        ("85330-9^^LN", "KI67"),
        ("29593-1^^LN", "KI67"),
        ("14230-7^^LN", "PR"),
        ("1234804006^^SCT", "ER"),
        ("ER^^L", "ER"),
        ("PgR", "PR"),
        ("Ki-67^^99LOCAL", "KI67"),
        ("IHC-ER^IHC^L", "ER"),
        ("X12^Ki-67 stain^L", "KI67"),
        ("X12^Oestrogen Receptor", "ER"),
        ("55229-9^Immune stain study^LN^PR^^L", "PR"),
    ],
)
def test_codes_and_local_names_tell_the_marker(procedure: str, marker: str) -> None:
    text = ORDER.replace("85337-4^Estrogen receptor^LN^ERX^ER \\T\\ more^L", procedure)
    assert parse_order(text.encode("latin-1")).marker == marker


@pytest.mark.parametrize(
    "procedure",
    [
        "85331-7^fluorescence intensity^LN",
        "55229-9^Immune stain study^LN",
        "CERVIX",
        "PERFUSION^ER PR^L",
        "24317-0^Hemogram^LN",
    ],
)
def test_what_names_no_marker_that_is_scored_here_is_refused(procedure: str) -> None:
    with pytest.raises(Refused) as refused:
        parsed(("85337-4^Estrogen receptor^LN^ERX^ER \\T\\ more^L", procedure))
    assert refused.value.reason == Reason.ASSAY_UNSUPPORTED


@pytest.mark.parametrize("control", ["CA", "DC", "XO", "SC", "PA"])
def test_what_is_no_new_order_is_never_taken_for_one(control: str) -> None:
    with pytest.raises(Refused) as refused:
        parsed(("ORC|NW|", f"ORC|{control}|"))
    assert refused.value.reason == ServiceReason.MESSAGE_TYPE_UNSUPPORTED


@pytest.mark.parametrize(
    "change",
    [
        ("SAC|||C-1", "SAC|||C-1\rSAC|||C-2"),
        ("TQ1|", "OBR|2|P-2||85339-0^^LN\rTQ1|"),
        ("|1.2.3.4|", "|1.2.3/../x|"),
        ("|1.2.3.4|", "|" + "1." * 40 + "1|"),
        ("OBX|1|", "IPC|||1.2\rIPC|||1.3\rOBX|1|"),
        ("OBX|1|", "IPC|||1.2~1.3\rOBX|1|"),
        ("|1.2.3.4|", "|1.2.3.4~1.2.3.5|"),
        ("TQ1|", "ORC|NW|P-2\rTQ1|"),
        ("SAC|||C-1", "SAC|||C-1~C-2"),
        ("ER \\T\\ more^L", "ER \\T\\ more^L~85339-0^^LN"),
    ],
)
def test_a_message_of_several_orders_or_slides_is_refused(change: tuple[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        parsed(change)
    assert refused.value.reason == ServiceReason.MESSAGE_INVALID


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r", "\n\r"])
def test_segments_may_end_in_any_line_end_and_in_several(end: str) -> None:
    lines = ORDER.split("\r")
    mixed = "\r".join(lines[:3]) + end + end.join(lines[3:])
    assert parse_order(mixed.encode("latin-1")) == parse_order(ORDER.encode("latin-1"))


@pytest.mark.parametrize(
    ("sent", "kept"), [("P", "P"), ("T", "T"), ("D", "D"), ("t", "T"), ("T^A", "T"), ("", "P"), ('""', "P")]
)
def test_msh_11_goes_with_the_order(sent: str, kept: str) -> None:
    """Issue 12, 2d."""
    assert parse_order(ORDER.replace("|M-1|P|", f"|M-1|{sent}|").encode("latin-1")).processing_id == kept


@pytest.mark.parametrize("kind", ["OML^O33^OML_O33", "ORM^O01", "OMI^O23^OMI_O23"])
def test_the_other_order_messages_are_read_alike(kind: str) -> None:
    request = parse_order(ORDER.replace("OML^O21^OML_O21", kind).encode("latin-1"))
    assert (request.message_type, request.marker) == ("^".join(kind.split("^")[:2]), "ER")


def test_an_imaging_order_names_its_study_in_ipc_3() -> None:
    text = ORDER.replace("OML^O21^OML_O21", "OMI^O23").replace(
        "OBX|1|ST|110180^Study Instance UID^DCM||1.2.3.4", "IPC|||1.9.8"
    )
    assert parse_order(text.encode("latin-1")).slide.study_uid == "1.9.8"


def test_a_case_is_named_by_sac_2_or_ipc_1_and_of_two_by_neither() -> None:
    def accession(*changes: tuple[str, str]) -> str:
        return parsed(*changes).slide.accession_number

    assert accession() == ""
    assert accession(("SAC|||C-1", "SAC||S26-1^LIS|C-1")) == "S26-1"
    assert accession(("OBX|1|", "IPC|S26-2^LIS\rOBX|1|")) == "S26-2"
    assert accession(("SAC|||C-1", "SAC||S26-1~S26-9|C-1")) == ""


def test_a_case_alone_is_enough_and_its_slide_is_told_by_the_stain() -> None:
    request = parsed(("SAC|||C-1", "SAC||S26-1"), ("OBX|1|ST|110180", "OBX|1|ST|1"))
    assert request.slide == SlideReference(accession_number="S26-1")
    assert request.placer_request.endswith("/S26-1")


def test_custom_delimiters_make_no_difference() -> None:
    plain = parse_order(ORDER.encode("latin-1"))
    other = ORDER.translate(str.maketrans("|^~\\&", "#$%*!"))
    assert parse_order(other.encode("latin-1")) == plain


IDENTIFIERS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20).filter(lambda t: t != '""')


@given(
    placer=IDENTIFIERS,
    container=IDENTIFIERS,
    control=IDENTIFIERS,
    family=IDENTIFIERS,
    marker=st.sampled_from(["ER", "PR", "KI67"]),
    priority=st.sampled_from(list(Priority)),
)
def test_the_demos_order_is_read_as_it_was_meant(
    placer: str, container: str, control: str, family: str, marker: str, priority: Priority
) -> None:
    message = order_message(
        placer_number=placer,
        marker=marker,
        control_id=control,
        container_id=container,
        series_uid="1.2.3",
        study_uid="1.2",
        specimen_id=container,
        priority=priority,
        family_name=family,
    )
    request = parse_order(message)
    assert (request.marker, request.priority, request.message_control_id) == (marker, priority, control)
    assert request.slide == SlideReference(study_uid="1.2", series_uid="1.2.3", container_id=container)
    assert (request.patient.family_name, request.specimen.id, request.lab) == (family, container, LAB)
    assert request.placer_order_number == EntityIdentifier(identifier=placer, namespace=APPLICATION)


def test_the_demos_order_is_valid_by_hl7apy() -> None:
    from hl7apy.consts import VALIDATION_LEVEL
    from hl7apy.parser import parse_message

    message = order_message(
        placer_number="P1",
        marker="KI67",
        control_id="C1",
        container_id="S1",
        study_uid="1.2",
        series_uid="1.3",
        specimen_id="S",
    )
    tree = parse_message(message.decode(), validation_level=VALIDATION_LEVEL.STRICT)
    assert tree.validate()
    assert tree.to_er7().rstrip("\r") == message.decode().rstrip("\r")


@given(st.integers(0, len(ORDER)), st.integers(0, len(ORDER)), st.text(max_size=5))
def test_a_mutilated_order_is_read_or_refused_and_names_no_patient(start: int, length: int, put: str) -> None:
    message = (ORDER[:start] + put + ORDER[start + length :]).encode()
    assert refusal(message) is None or "TEST-" not in str(refusal(message))


def refusal(message: bytes) -> str | None:
    try:
        parse_order(message)
    except Refused as refused:
        return refused.message
    return None


PREPARED = "OBX|9|ST|{code}||{value}||||||O"


def prepared(*observations: tuple[str, str]) -> Specimen:
    lines = "\r".join(PREPARED.format(code=code, value=value) for code, value in observations)
    text = order_message(placer_number="P", marker="ER", control_id="C", container_id="S").decode()
    return parse_order(text.replace("\rSPM|", f"\r{lines}\rSPM|").encode()).specimen


@pytest.mark.parametrize("scheme", ["99CHROMOGEN", "L", ""])
def test_clone_stainer_and_scanner_are_read_from_observations(scheme: str) -> None:
    found = prepared(
        (f"CLONE^^{scheme}", "SP1"), (f"STAINER^^{scheme}", "B3^BOND-III^L"), (f"SCANNER^^{scheme}", "GT \\T\\ 450")
    )
    assert (found.clone, found.stainer, found.scanner) == ("SP1", "BOND-III", "GT & 450")
    assert prepared((f"CLONE^^{scheme}", "SP1"), (f"CLONE^^{scheme}", "SP1")).clone == "SP1"
    assert prepared(("CLONE^^LN", "SP1")).clone == ""
    assert prepared(("110180^^DCM", "1.2"), ("PRECLONE^^L", "SP1")).clone == ""


def test_two_clones_of_one_slide_are_refused() -> None:
    with pytest.raises(Refused, match="2 values of CLONE") as refused:
        prepared(("CLONE^^L", "SP1"), ("CLONE^^L", "1D5"))
    assert refused.value.reason == ServiceReason.MESSAGE_INVALID


def test_what_the_demo_s_lis_says_of_the_slide_is_read() -> None:
    message = order_message(
        placer_number="P", marker="ER", control_id="C", container_id="S", clone="SP1", stainer="BOND", scanner="GT|450"
    )
    specimen = parse_order(message).specimen
    assert (specimen.clone, specimen.stainer, specimen.scanner) == ("SP1", "BOND", "GT|450")
