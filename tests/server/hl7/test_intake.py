"""What is acknowledged, when, and in which words (HL7 v2.5.1 2.9; promises I-1, I-2, R-2, R-3, S-1)."""

import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import hl7
import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from server.demo.lis import order_message
from server.domain.cancellation import Cancellation, CancelOutcome
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.order import EntityIdentifier, Order, OrderId, Request, SlideReference
from server.domain.states import OrderState
from server.hl7.intake import Intake
from server.hl7.oml import parse_order

SECRET = "TEST-INVENTED-SEEDED"


@dataclass
class Orders:
    """Keeps orders by (sender, control id), as the store does; raises `trouble` where set."""

    kept: dict[tuple[str, str], Order] = field(default_factory=dict)
    trouble: Exception | None = None
    asked: list[Cancellation] = field(default_factory=list)
    outcome: CancelOutcome = field(default_factory=lambda: CancelOutcome(fitting=0))

    def accept(self, request: Request) -> tuple[Order, bool]:
        if self.trouble is not None:
            raise self.trouble
        key = (request.sender, request.message_control_id)
        new = key not in self.kept
        order = Order(id=OrderId(str(uuid.uuid4())), request=request, received_at=datetime(2026, 3, 1, tzinfo=UTC))
        return self.kept.setdefault(key, order), new

    def cancel(self, asked: Cancellation) -> CancelOutcome:
        if self.trouble is not None:
            raise self.trouble
        self.asked.append(asked)
        return self.outcome


def intake_of(orders: Orders) -> Intake:
    return Intake(orders.accept, orders.cancel)


def message(*replacements: tuple[bytes, bytes], mode: str = "|", control_id: str = "M-1") -> bytes:
    text = order_message(
        placer_number="P-1", marker="ER", control_id=control_id, container_id="C-1", family_name=SECRET
    )
    for old, new in ((b"|T|2.5.1||||||", b"|T|2.5.1|||" + mode.encode() + b"||"), *replacements):
        assert old in text
        text = text.replace(old, new)
    return text


def said(reply: bytes, charset: str = "utf-8") -> tuple[str, str, str]:
    """MSH-9.1^2, MSA-1, MSA-2, read by python-hl7."""
    tree = hl7.parse(reply.decode(charset))
    kind = "^".join(str(tree.segment("MSH")[9]).split("^")[:2])
    return kind, str(tree.segment("MSA")[1]), str(tree.segment("MSA")[2])


def test_an_order_is_kept_and_then_acknowledged_with_our_number() -> None:
    orders = Orders()
    (reply,) = intake_of(orders)(message())
    assert said(reply) == ("ORL^O22", "AA", "M-1")
    (order,) = orders.kept.values()
    orc = hl7.parse(reply.decode()).segment("ORC")
    assert (str(orc[1]), str(orc[2]), str(orc[3])) == ("OK", "P-1^DEMO-LIS", f"{order.id}^CHROMOGEN")


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"OML^O21^OML_O21", "ORL^O22"),
        (b"OML^O33^OML_O33", "ORL^O34"),
        (b"ORM^O01^ORM_O01", "ORR^O02"),
        (b"OMI^O23^OMI_O23", "ORI^O24"),
    ],
)
def test_each_order_message_has_its_own_answer_and_each_is_valid(sent: bytes, answered: str) -> None:
    (reply,) = intake_of(Orders())(message((b"OML^O21^OML_O21", sent), IMAGING))
    assert said(reply) == (answered, "AA", "M-1")
    assert str(hl7.parse(reply.decode()).segment("ORC")[1]) == "OK"
    assert is_valid(reply)


IMAGING = (b"SPM|1", b"IPC|A-1|R-1^RIS|1.2.3|S-1\rSPM|1")


def is_valid(reply: bytes) -> bool:
    """By hl7apy; but of ORR's it takes what the standard lets one choose from, or leave out, for all six required."""
    loose = said(reply)[0] == "ORR^O02"
    level = VALIDATION_LEVEL.TOLERANT if loose else VALIDATION_LEVEL.STRICT
    tree = parse_message(reply.decode(), validation_level=level)
    return bool(loose or tree.validate())


ORDER = Order(
    id=OrderId("4d4f9c3e-0000-4000-8000-000000000000"),
    request=parse_order(order_message(placer_number="P-1", marker="ER", control_id="M-0", container_id="C-1")),
    received_at=datetime(2026, 3, 1, tzinfo=UTC),
)
DONE_ALREADY = CancelOutcome(order=ORDER, state=OrderState.DONE)
OUTCOMES = [
    ("CA", CancelOutcome(order=ORDER, state=OrderState.CANCELLED), "CR", "CA", ""),
    ("DC", CancelOutcome(order=ORDER, state=OrderState.CANCELLED), "DR", "CA", ""),
    ("CA", DONE_ALREADY, "UC", "CM", "DONE"),
    ("DC", DONE_ALREADY, "UD", "CM", "DONE"),
    ("CA", CancelOutcome(order=ORDER, state=OrderState.REFUSED), "UC", "DC", "REFUSED"),
    ("CA", CancelOutcome(order=ORDER, state=OrderState.DEAD), "UC", "DC", "DEAD"),
    ("CA", CancelOutcome(fitting=0), "UC", "ER", "ORDER_UNKNOWN"),
    ("DC", CancelOutcome(fitting=2), "UD", "ER", "ORDER_AMBIGUOUS"),
]


@pytest.mark.parametrize(("control", "outcome", "answer", "status", "reason"), OUTCOMES)
def test_who_takes_an_order_back_is_answered_by_its_orc(
    control: str, outcome: CancelOutcome, answer: str, status: str, reason: str
) -> None:
    """Issue 12, 2c: MSA-1 is AA, for the order is answered by its own ORC."""
    (reply,) = intake_of(Orders(outcome=outcome))(message((b"ORC|NW", b"ORC|" + control.encode())))
    assert said(reply) == ("ORL^O22", "AA", "M-1")
    orc = hl7.parse(reply.decode()).segment("ORC")
    filler = f"{ORDER.id}^CHROMOGEN" if outcome.order else ""
    assert [str(orc[n]) for n in (1, 2, 3, 5)] == [answer, "P-1^DEMO-LIS", filler, status]
    assert (str(orc[16]).split("^")[0] if reason else "") == reason
    assert is_valid(reply)


@pytest.mark.parametrize("kind", [b"OML^O33^OML_O33", b"ORM^O01^ORM_O01", b"OMI^O23^OMI_O23"])
def test_a_cancellation_by_any_order_message_is_answered_by_its_orc(kind: bytes) -> None:
    (reply,) = intake_of(Orders(outcome=DONE_ALREADY))(
        message((b"ORC|NW", b"ORC|CA"), (b"OML^O21^OML_O21", kind), IMAGING)
    )
    assert (said(reply)[1], str(hl7.parse(reply.decode()).segment("ORC")[1])) == ("AA", "UC")
    assert is_valid(reply)


def test_a_cancellation_needs_no_more_than_number_and_patient_and_names_what_else_it_says() -> None:
    orders = Orders()
    text = message((b"ORC|NW", b"ORC|CA"))
    head = b"\r".join(line for line in text.split(b"\r") if line[:3] in (b"MSH", b"PID", b"ORC"))
    intake_of(orders)(text)
    intake_of(orders)(head + b"\r")
    whole, bare = orders.asked
    number = EntityIdentifier(identifier="P-1", namespace="DEMO-LIS")
    assert (whole.placer_order_number, whole.patient.id, whole.procedure_code) == (number, "INVENTED-1", "14228-1")
    assert (whole.slide.container_id, whole.processing_id) == ("C-1", "T")
    assert replace(whole, procedure_code="", slide=SlideReference()) == bare


def test_our_own_number_in_orc_3_is_read_and_another_fillers_is_not() -> None:
    orders = Orders()
    for filler in (b"OURS^CHROMOGEN", b"THEIRS^LAB"):
        intake_of(orders)(message((b"ORC|NW|P-1^DEMO-LIS|", b"ORC|CA|P-1^DEMO-LIS|" + filler + b"|")))
    assert [asked.order_id for asked in orders.asked] == ["OURS", ""]


@pytest.mark.parametrize(
    ("change", "field"),
    [((b"ORC|NW|P-1^DEMO-LIS", b"ORC|CA|"), "ORC-2"), ((b"INVENTED-1^^^DEMO-LAB^MR", b""), "PID-3")],
)
def test_a_cancellation_that_names_no_order_or_no_patient_is_refused(change: tuple[bytes, bytes], field: str) -> None:
    orders = Orders()
    more = [(b"OBR|1|P-1^DEMO-LIS", b"OBR|1|")] if field == "ORC-2" else [(b"ORC|NW", b"ORC|CA")]
    (reply,) = intake_of(orders)(message(change, *more))
    assert said(reply)[1] == "AE"
    assert str(hl7.parse(reply.decode()).segment("ERR")[8]).startswith(field)
    assert not orders.asked


def test_while_the_database_is_down_nothing_is_said_to_be_cancelled() -> None:
    """R-2."""
    trouble = Failed(ServiceReason.DATABASE_UNREACHABLE, "the database does not answer", retryable=True)
    (reply,) = intake_of(Orders(trouble=trouble))(message((b"ORC|NW", b"ORC|CA")))
    assert said(reply)[1] == "AE"
    assert "\rORC|" not in reply.decode()


@pytest.mark.parametrize("control", ["HD", "RL", "XO", "SC", "PA", "RP", "SN"])
def test_what_is_neither_ordered_nor_taken_back_is_rejected_and_says_what_may_be_sent(control: str) -> None:
    orders = Orders()
    (reply,) = intake_of(orders)(message((b"ORC|NW", b"ORC|" + control.encode())))
    assert said(reply)[1] == "AR"
    assert "NW, CA, DC" in reply.decode()
    assert not orders.kept
    assert not orders.asked


@pytest.mark.parametrize(
    ("mode", "when_taken", "when_not"),
    [
        ("|", [("ORL^O22", "AA")], [("ORL^O22", "AE")]),
        ("AL|NE", [("ACK^O21", "CA")], [("ACK^O21", "CE")]),
        ("AL|AL", [("ACK^O21", "CA"), ("ORL^O22", "AA")], [("ACK^O21", "CE"), ("ORL^O22", "AE")]),
        ("NE|AL", [("ORL^O22", "AA")], [("ORL^O22", "AE")]),
        ("NE|NE", [], []),
        ("ER|NE", [], [("ACK^O21", "CE")]),
        ("SU|ER", [("ACK^O21", "CA")], [("ORL^O22", "AE")]),
        ("|AL", [("ORL^O22", "AA")], [("ORL^O22", "AE")]),
        ("Y|", [("ORL^O22", "AA")], [("ORL^O22", "AE")]),
        ("|Y", [("ORL^O22", "AA")], [("ORL^O22", "AE")]),
        ("AL|Y", [("ORL^O22", "AA")], [("ORL^O22", "AE")]),
        ("N|N", [("ORL^O22", "AA")], [("ORL^O22", "AE")]),
        ("al|ne", [("ACK^O21", "CA")], [("ACK^O21", "CE")]),
    ],
)
def test_acknowledgments_follow_the_conditions_of_msh_15_and_16(
    mode: str, when_taken: list[tuple[str, str]], when_not: list[tuple[str, str]]
) -> None:
    """HL7 table 0155; what it doesn't hold means the original mode, lest a sender wait for ever (issue 12, 2f)."""
    down = Orders(trouble=Failed(ServiceReason.DATABASE_UNREACHABLE, "the database does not answer", retryable=True))
    assert [said(r) for r in intake_of(Orders())(message(mode=mode))] == [(*w, "M-1") for w in when_taken]
    assert [said(r) for r in intake_of(down)(message(mode=mode))] == [(*w, "M-1") for w in when_not]


def test_commit_and_application_acknowledgment_have_different_control_ids() -> None:
    replies = intake_of(Orders())(message(mode="AL|AL"))
    first, second = (str(hl7.parse(r.decode()).segment("MSH")[10]) for r in replies)
    assert first != second
    assert max(len(first), len(second)) <= 20


@pytest.mark.parametrize(
    ("change", "code", "number", "reason"),
    [
        ((b"OML^O21^OML_O21", b"ADT^A01"), "AR", "200", "MESSAGE_TYPE_UNSUPPORTED"),
        ((b"ORC|NW", b"ORC|XO"), "AR", "200", "MESSAGE_TYPE_UNSUPPORTED"),
        ((b"14228-1^ER percent of nuclei, tissue", b"14228-9^percent"), "AE", "103", "ASSAY_UNSUPPORTED"),
        ((b"14228-1^ER percent of nuclei, tissue", b"X-CD3^CD3"), "AE", "103", "ASSAY_UNSUPPORTED"),
        ((b"SAC|||C-1", b"SAC|||"), "AE", "101", "FIELD_MISSING"),
        ((b"SAC|||C-1", b"SAC|||C-1\rSAC|||C-2"), "AE", "100", "MESSAGE_INVALID"),
        ((b"NOBODY", b"NOB\xd6DY"), "AE", "102", "CHARSET_UNDECODABLE"),
        ((b"UNICODE UTF-8", b"EBCDIC"), "AE", "102", "CHARSET_UNDECODABLE"),
    ],
)
def test_a_refusal_says_why_and_holds_no_patient_data(
    change: tuple[bytes, bytes], code: str, number: str, reason: str
) -> None:
    orders = Orders()
    with capture_logs() as logs:
        (reply,) = intake_of(orders)(message(change))
    text = reply.decode("latin-1")
    err = hl7.parse(text).segment("ERR")
    assert said(reply, "latin-1")[1:] == (code, "M-1")
    assert str(err[3]).split("^")[0] == number
    assert str(err[5]).split("^")[0] == reason
    assert str(err[8])
    assert parse_message(text, validation_level=VALIDATION_LEVEL.STRICT).validate()
    assert not orders.kept
    assert SECRET not in text + str(logs)
    assert logs[0]["reason"] == reason


def test_a_database_that_is_down_is_never_acknowledged_as_taken() -> None:
    """R-2."""
    orders = Orders(trouble=Failed(ServiceReason.DATABASE_UNREACHABLE, "the database does not answer", retryable=True))
    intake = intake_of(orders)
    assert said(intake(message())[0])[1] == "AE"
    orders.trouble = None
    assert said(intake(message())[0])[1] == "AA"


def test_an_unforeseen_error_is_answered_and_its_text_goes_nowhere() -> None:
    orders = Orders(trouble=ValueError(f"duplicate key for {SECRET}"))
    with capture_logs() as logs:
        (reply,) = intake_of(orders)(message())
    assert said(reply)[1] == "AE"
    assert SECRET not in reply.decode() + str(logs)
    assert logs == [{"event": "order_not_taken", "reason": "INTERNAL", "error": "ValueError", "log_level": "error"}]


def test_a_repeat_is_answered_as_the_first_was() -> None:
    """R-3."""
    orders = Orders()
    intake = intake_of(orders)
    first, again = (hl7.parse(intake(message())[0].decode()) for _ in range(2))
    assert str(first.segment("ORC")) == str(again.segment("ORC"))
    assert str(first.segment("MSH")[10]) == str(again.segment("MSH")[10])
    assert len(orders.kept) == 1


@pytest.mark.parametrize(
    ("term", "codec"), [("8859/1", "latin-1"), ("UNICODE UTF-8", "utf-8"), ("8859/15", "iso8859_15")]
)
def test_the_answer_is_in_the_character_set_of_the_order(term: str, codec: str) -> None:
    """I-2."""
    order = message().decode().replace("UNICODE UTF-8", term).replace("M-1", "M-ü").encode(codec)
    (reply,) = intake_of(Orders())(order)
    assert said(reply, codec)[2] == "M-ü"
    assert str(hl7.parse(reply.decode(codec)).segment("MSH")[18]) == term


def test_a_sender_of_version_2_3_gets_the_reason_where_it_knows_to_look() -> None:
    (reply,) = intake_of(Orders())(message((b"|2.5.1|", b"|2.3|"), (b"ORC|NW", b"ORC|XO")))
    tree = hl7.parse(reply.decode())
    assert str(tree.segment("MSH")[12]) == "2.3"
    assert "ORC-1" in str(tree.segment("MSA")[3])
    assert "200&Unsupported message type&HL70357" in str(tree.segment("ERR"))


def test_an_answer_says_when_it_was_given() -> None:
    orders, at = Orders(), datetime(2026, 3, 1, 9, 30, 15, tzinfo=UTC)
    intake = Intake(orders.accept, orders.cancel, now=lambda: at)
    (taken,) = intake(message())
    (refused,) = intake.refuse(b"MSH|^~\\&|", Refused(ServiceReason.MESSAGE_TOO_LARGE, "too large"))
    assert [reply.decode().split("|")[6][:14] for reply in (taken, refused)] == ["20260301093015"] * 2


def test_sender_and_receiver_change_places() -> None:
    (reply,) = intake_of(Orders())(message())
    msh = hl7.parse(reply.decode()).segment("MSH")
    assert [str(msh[n]) for n in (3, 4, 5, 6, 11)] == ["CHROMOGEN", "DEMO-LAB", "DEMO-LIS", "DEMO-LAB", "T"]


@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer_that_is_hl7(body: bytes) -> None:
    for sent in (body, b"MSH|^~\\&|" + body, message().replace(b"M-1", body)):
        for reply in intake_of(Orders())(sent):
            text = reply.decode("latin-1")
            assert text.startswith("MSH|^~\\&|")
            assert "\rMSA|" in text
            assert not set(text) & {"\x0b", "\x1c"}
