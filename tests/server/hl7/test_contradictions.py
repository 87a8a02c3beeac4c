"""What an order mustn't hold besides itself, and how it mustn't contradict itself (issue 12, 2b, 2c, 2e)."""

import pytest

from server.domain.errors import Refused, ServiceReason
from server.hl7.er7 import Message, Segment
from server.hl7.oml import parse_order
from server.hl7.structure import SEGMENTS_AT_MOST
from tests.server.hl7.written import ORDER, parsed


@pytest.mark.parametrize(
    ("procedure", "fields"),
    [
        ("85337-4^^LN^PR^^L", "OBR-4.1 names ER and OBR-4.4 names PR"),
        ("ER^Progesterone receptor^L", "OBR-4.1 names ER and OBR-4.2 names PR"),
        ("85337-4^PR^LN", "OBR-4.1 names ER and OBR-4.2 names PR"),
        ("85337-4^Progesterone receptor Ag [Presence] in Tissue^LN", "OBR-4.1 names ER and OBR-4.2 names PR"),
        ("85337-4^Estrogen receptor^LN^ERX^PgR, clone 16^L", "OBR-4.1 names ER and OBR-4.5 names PR"),
        ("X12^Estrogen receptor^L^^Ki-67 (MIB-1)", "OBR-4.2 names ER and OBR-4.5 names KI67"),
        ("85330-9^Ki-67^LN^^^^^^HER2 of the core", "OBR-4.1 names KI67 and OBR-4.9 names HER2"),
        ("CD3^Estrogen receptor^L", "OBR-4.1 names CD3 and OBR-4.2 names ER"),
        ("ER^CD20, B cells^L", "OBR-4.1 names ER and OBR-4.2 names CD20"),
        ("85330-9^H\\T\\E^LN", "OBR-4.1 names KI67 and OBR-4.2 names HE"),
        ("P53^Ki-67^L", "OBR-4.1 names P53 and OBR-4.2 names KI67"),
        ("85330-9^Ki-67^LN^^^^^^^85337-4^^LN", "OBR-4.1 names KI67 and OBR-4.10 names ER"),
        ("PR^1234804006^L^1234804006^^SCT", "OBR-4.1 names PR and OBR-4.4 names ER"),
    ],
)
def test_a_procedure_that_contradicts_itself_is_refused_and_the_contradiction_named(
    procedure: str, fields: str
) -> None:
    """Issue 12, 2e."""
    with pytest.raises(Refused, match=fields) as refused:
        parsed(("85337-4^Estrogen receptor^LN^ERX^ER \\T\\ more^L", procedure))
    assert refused.value.reason == ServiceReason.MARKER_UNKNOWN


@pytest.mark.parametrize(
    ("procedure", "marker"),
    [
        ("85337-4^Estrogen receptor and progesterone receptor^LN", "ER"),
        ("PR^PR in ER positive carcinoma^L", "PR"),
        ("85330-9^Ki-67, wie er es will^LN", "KI67"),
        ("ER^Estrogen receptor alpha (SP1)^L", "ER"),
        ("85337-4^Oestrogen receptor^LN^ER-2^Supervised by Dr. Pr^L", "ER"),
    ],
)
def test_a_text_that_names_the_marker_too_or_only_sounds_like_another_contradicts_nothing(
    procedure: str, marker: str
) -> None:
    text = ORDER.replace("85337-4^Estrogen receptor^LN^ERX^ER \\T\\ more^L", procedure)
    assert parse_order(text.encode("latin-1")).marker == marker


EARLIER = "\rPID|1||TEST-1\r{orc}OBR|1|P-0||85339-0^^LN\rOBX|1|NM|1^^L||1||||||F"


@pytest.mark.parametrize("orc", ["ORC|RE|P-0\r", "ORC|PR|P-0\r", "ORC||P-0\r", ""])
def test_earlier_results_of_the_patient_are_not_taken_for_orders(orc: str) -> None:
    earlier = EARLIER.format(orc=orc)
    assert parse_order((ORDER + earlier).encode("latin-1")) == parse_order(ORDER.encode("latin-1"))


SECOND = ORDER.replace("|M-1|", "|M-2|").replace("P-1", "P-2")
AFTER = {
    "another message": "\r" + SECOND,
    "another message without line end": "\n" + SECOND,
    "another message, indented": "\r\n  " + SECOND,
    "another message after a batch's end": "\rBTS|1\rBHS|^~\\&\r" + SECOND,
    "another order of another patient": "\r" + SECOND.split("\r", 1)[1],
    "another order behind results": EARLIER.format(orc="ORC|RE|P-0\r") + "\r" + SECOND.split("\r", 1)[1],
    "a cancellation": EARLIER.format(orc="ORC|CA|P-0\r"),
    "the next frame's part": "\rDSC|CONTINUED-1|F",
}


@pytest.mark.parametrize("after", AFTER.values(), ids=AFTER)
def test_nothing_that_asks_for_something_behind_an_order_is_dropped_in_silence(after: str) -> None:
    """Issue 12, 2b: the first would be answered, and the second gone."""
    with pytest.raises(Refused) as refused:
        parse_order((ORDER + after).encode("latin-1"))
    assert refused.value.reason == ServiceReason.MESSAGE_INVALID


@pytest.mark.parametrize("line", ["SAC|||C-1", "SPM|1|S-1", "ORC|NW|P-1", "IPC|||1.2", "DSC|", "ZDS|1.2"])
def test_a_message_of_a_great_many_segments_is_refused_before_they_are_read(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 12, 19: 15 MB of them took 15 s."""
    read: list[str] = []
    segments = Message.segments
    monkeypatch.setattr(Message, "segments", lambda self, name: read.append(name) or segments(self, name))
    with pytest.raises(Refused, match=line[:3]) as refused:
        parse_order((ORDER + f"\r{line}" * (SEGMENTS_AT_MOST + 1)).encode("latin-1"))
    assert refused.value.reason == ServiceReason.MESSAGE_INVALID
    assert read == []


def test_observations_that_name_the_slide_a_great_many_times_are_refused() -> None:
    line = "\rOBX|2|ST|112002^^DCM||1.2.3"
    with pytest.raises(Refused, match="OBX") as refused:
        parse_order((ORDER + line * (SEGMENTS_AT_MOST + 1)).encode("latin-1"))
    assert refused.value.reason == ServiceReason.MESSAGE_INVALID


@pytest.mark.parametrize(
    ("place", "many"),
    [
        ("SAC", "\rSAC|||C-1" + "~C-1" * 70_000),
        ("SAC", f"\rSAC|||{'~C-1' * 700}" * 100),
        ("OBX", "\rOBX|2|ST|112002^^DCM||1.2.3" + "~1.2.3" * 50_000),
        ("PID", "~9^^^X" * 50_000),
        ("MSH", "^x" * 40_000),
    ],
    ids=lambda value: value[:12].strip(),
)
def test_o19_a_field_of_a_great_many_repetitions_or_components_is_refused_before_they_are_read(
    place: str, many: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """15 MB of repetitions in one SAC-3 took 22 s, a megabyte of components in MSH-3 30 s."""
    inside = {"PID": "PID|1|OLD-1|", "MSH": "MSH|^~\\&|"}.get(place)
    text = ORDER + many if inside is None else ORDER.replace(inside, inside + many, 1)
    assert len(text) > len(ORDER)
    repetitions, read = Segment.repetitions, list[str]()
    monkeypatch.setattr(Segment, "repetitions", lambda s, field: read.append(s.raw(field)) or repetitions(s, field))
    with pytest.raises(Refused, match=f"{place}.* than") as refused:
        parse_order(text.encode("latin-1"))
    assert refused.value.reason == ServiceReason.MESSAGE_INVALID
    assert max(map(len, read), default=0) < 1000


@pytest.mark.parametrize("before", ["FHS|^~\\&|LIS\rBHS|^~\\&|LIS\r", "BHS|^~\\&|LIS\r"])
def test_a_batch_is_refused_as_one(before: str) -> None:
    with pytest.raises(Refused, match="batch") as refused:
        parse_order((before + ORDER).encode("latin-1"))
    assert refused.value.reason == ServiceReason.MESSAGE_INVALID


CONTRADICTIONS = {
    "ORC-5 says cancelled": ("ORC|NW|P-1^LIS^1.2^ISO|||", "ORC|NW|P-1^LIS^1.2^ISO|||CA"),
    "ORC-5 says discontinued": ("ORC|NW|P-1^LIS^1.2^ISO|||", "ORC|NW|P-1^LIS^1.2^ISO|||dc"),
    "ORC-5 says on hold": ("ORC|NW|P-1^LIS^1.2^ISO|||", "ORC|NW|P-1^LIS^1.2^ISO|||HD"),
    "ORC-5 says completed": ("ORC|NW|P-1^LIS^1.2^ISO|||", "ORC|NW|P-1^LIS^1.2^ISO|||CM"),
    "OBR-25 says cancelled": ("|BREAST", "|BREAST||||||||||X"),
    "OBR-25 says final": ("|BREAST", "|BREAST||||||||||F"),
    "OBX-11 withdraws the UID": ("|1.2.3.4||||||O", "|1.2.3.4||||||D"),
    "ORC-2 and OBR-2 differ": ("OBR|1|P-1|", "OBR|1|P-9|"),
    "MSH-11 is none": ("|M-1|P|", "|M-1|X|"),
}


@pytest.mark.parametrize(("told", "change"), CONTRADICTIONS.items(), ids=CONTRADICTIONS)
def test_an_order_that_contradicts_itself_is_refused_and_the_fields_are_named(
    told: str, change: tuple[str, str]
) -> None:
    """Issue 12, 2c and 2e."""
    with pytest.raises(Refused, match=told.split()[0]) as refused:
        parsed(change)
    assert refused.value.reason == ServiceReason.MESSAGE_INVALID


@pytest.mark.parametrize(
    "change",
    [
        ("ORC|NW|P-1^LIS^1.2^ISO|||", "ORC|NW|P-1^LIS^1.2^ISO|||SC"),
        ("ORC|NW|P-1^LIS^1.2^ISO|||", "ORC|NW|P-1^LIS^1.2^ISO|||IP"),
        ("ORC|NW|P-1^LIS^1.2^ISO|||", "ORC|NW|P-1^LIS^1.2^ISO|||NW"),
        ("|BREAST", "|BREAST||||||||||O"),
        ("|BREAST", "|BREAST||||||||||S"),
    ],
)
def test_an_order_that_is_scheduled_is_taken(change: tuple[str, str]) -> None:
    assert parsed(change) == parsed()


SPECIMENS = "SPM|1|S-0&LIS||TISS\rSPM|2|S-1&LIS||TISS"


@pytest.mark.parametrize(
    "specimens",
    [
        SPECIMENS,  # of neither is a slide said
        SPECIMENS.replace("\rSPM|2", "\rSAC|||C-0\rSPM|2") + "\rSAC|||C-0",  # of both
        "SAC|||C-0\r" + SPECIMENS,  # of whichever
    ],
)
def test_of_two_specimens_none_is_chosen_in_silence(specimens: str) -> None:
    """Issue 12, 2e."""
    head = ORDER.split("SPM|")[0]
    with pytest.raises(Refused, match="SPM") as refused:
        parse_order((head + specimens).encode("latin-1"))
    assert refused.value.reason == ServiceReason.MESSAGE_INVALID


@pytest.mark.parametrize("first", [True, False])
def test_of_two_specimens_the_one_with_a_slide_is_meant(first: bool) -> None:
    meant, other = "SPM|1|S-1||TISS||||1^A^L\rSAC|||C-1", "SPM|2|S-0||TISS||||2^B^L"
    request = parse_order(
        (ORDER.split("SPM|")[0] + "\r".join([meant, other] if first else [other, meant])).encode("latin-1")
    )
    assert (request.specimen.id, request.specimen.container_id) == ("S-1", "C-1")
    assert (request.specimen.site_text, request.slide.container_id) == ("A", "C-1")
