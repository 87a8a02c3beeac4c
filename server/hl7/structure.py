"""That a message holds one order and nothing besides: what can't be heeded is refused, never dropped in silence."""

from server.domain.errors import Refused, ServiceReason
from server.hl7.er7 import Message, Segment, check_length

EARLIER_RESULTS = frozenset({"RE", "PR", ""})
"""ORC-1 of what may follow a second PID (OML^O21's PRIOR_RESULT): it asks for nothing. HL7 table 0119."""

READ_WHOLE, SEGMENTS_AT_MOST = ("PID", "ORC", "TQ1", "OBR", "SPM", "SAC", "IPC", "ZDS", "DSC"), 1000
"""Segments of which each is looked at: a message of hundreds of thousands must not keep others waiting."""

# HL7 tables 0038 (ORC-5) and 0123 (OBR-25): what a new order can't be.
NOT_A_NEW_ORDER = {
    "CA": "cancelled",
    "DC": "discontinued",
    "CM": "completed",
    "ER": "in error",
    "HD": "on hold",
    "RP": "replaced",
}
NOT_A_NEW_REQUEST = {"X": "cancelled", "F": "final", "C": "corrected"}


def one_order(message: Message) -> Message:
    """The message without the patient's earlier results, which may follow a second PID.

    Raises Refused MESSAGE_INVALID where more stands in it than one message, or where something behind a second PID is
    asked for.
    """
    for name in READ_WHOLE:
        if message.count(name) > SEGMENTS_AT_MOST:
            raise _invalid(f"the message holds more than {SEGMENTS_AT_MOST} {name} segments: send one order a message")
        check_length(name, message.named.get(name, ()))
    if message.count("MSH") > 1:
        raise _invalid("the frame holds more than one MSH: send each message in a frame of its own")
    if any(dsc.get(1) for dsc in message.segments("DSC")):
        raise _invalid("DSC-1 says that the message goes on in another: send it whole")
    order = message.before_second("PID")
    later = message.segments("ORC")[len(order.segments("ORC")) :]
    if any(orc.get(1).upper() not in EARLIER_RESULTS for orc in later):
        raise _invalid("ORC-1 behind a second PID asks for something: send one order a message")
    return order


def only(message: Message, name: str) -> Segment | None:
    """The segment of this name. Raises Refused MESSAGE_INVALID for several."""
    found = message.segments(name)
    if len(found) > 1:
        raise _invalid(f"the message holds {len(found)} {name} segments: send one order a message")
    return found[0] if found else None


def check_is_new(orc: Segment, obr: Segment) -> None:
    """Raises Refused MESSAGE_INVALID where a new order says of itself that it is none any more."""
    for place, said, contradictions in (
        ("ORC-5", orc.get(5), NOT_A_NEW_ORDER),
        ("OBR-25", obr.get(25), NOT_A_NEW_REQUEST),
    ):
        if (state := contradictions.get(said.upper())) is not None:
            raise _invalid(f"{place} says that the order is {state}, but ORC-1 is NW: send what is meant")


def _invalid(trouble: str) -> Refused:
    return Refused(ServiceReason.MESSAGE_INVALID, trouble)
