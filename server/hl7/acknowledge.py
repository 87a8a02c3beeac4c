"""Acknowledgments of orders: which are due (MSH-15/16), of what type, and their text. Pure; never sends.

Original mode (MSH-15 and MSH-16 empty, or holding what nobody knows): one application acknowledgment, AA, AE or AR.
Enhanced mode: a commit acknowledgment (CA, CE, CR) where MSH-15 asks for one, then an application acknowledgment where
MSH-16 does (HL7 v2.5.1 2.9.2, 2.9.3).
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from inference.errors import Reason
from server.domain.errors import ChromogenError, ServiceReason
from server.hl7.er7 import BYTE_ORDER_MARK, Segment, codec_of, composed, escape, segment
from server.hl7.order_reply import APPLICATION, OrderReply, segments

CHARACTERS_OF_A_CONTROL_ID = 18
"""With the letter that tells commit from application, within the 20 that MSH-10 had before v2.7."""

# Application answers (HL7 v2.5.1 chapter 4); anything else is answered by a general ACK.
RESPONSES = {
    ("OML", "O21"): "ORL^O22^ORL_O22",
    ("OML", "O33"): "ORL^O34^ORL_O34",
    ("ORM", "O01"): "ORR^O02^ORR_O02",
    ("OMI", "O23"): "ORI^O24^ORI_O24",
}

# HL7 table 0357, in ERR-3.
INTERNAL_ERROR = ("207", "Application internal error")
ERROR_CODES = {
    ServiceReason.MESSAGE_INVALID: ("100", "Segment sequence error"),
    ServiceReason.FIELD_MISSING: ("101", "Required field missing"),
    ServiceReason.CHARSET_UNDECODABLE: ("102", "Data type error"),
    ServiceReason.ARGUMENT_INVALID: ("102", "Data type error"),
    ServiceReason.MARKER_UNKNOWN: ("103", "Table value not found"),
    Reason.ASSAY_UNSUPPORTED: ("103", "Table value not found"),
    ServiceReason.LABORATORY_UNKNOWN: ("204", "Unknown key identifier"),
    ServiceReason.SENDER_UNKNOWN: ("204", "Unknown key identifier"),
    ServiceReason.MESSAGE_TYPE_UNSUPPORTED: ("200", "Unsupported message type"),
}

CONDITIONS = frozenset({"AL", "NE", "ER", "SU", ""})
"""HL7 table 0155, and empty: never, where the other of MSH-15 and MSH-16 is not."""

# Rejected whatever the content says: sending it again is of no use.
REJECTED = frozenset({ServiceReason.MESSAGE_TYPE_UNSUPPORTED, ServiceReason.MESSAGE_TOO_LARGE})


class Outcome(StrEnum):
    """Second letter of MSA-1: accept, error, reject."""

    ACCEPT = "A"
    ERROR = "E"
    REJECT = "R"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is said: the order's own answer, or the error that kept it from being heeded."""

    reply: OrderReply | None = None
    error: ChromogenError | None = None

    @property
    def outcome(self) -> Outcome:
        if self.error is None:
            return Outcome.ACCEPT
        return Outcome.REJECT if self.error.reason in REJECTED else Outcome.ERROR


def acknowledgments(header: Segment | None, answer: Answer, *, charset: str, now: datetime) -> tuple[bytes, ...]:
    """The acknowledgments due, in the order to be sent; none where the sender wants none.

    `header` is the MSH received (None where there was none to read); `charset` a term of HL7 table 0211.
    """
    if header is None:
        return (_message(None, answer, "A", "ACK", charset, now),)
    commit, application = header.get(15).upper(), header.get(16).upper()
    if not (commit or application) or not {commit, application} <= CONDITIONS:
        return (_message(header, answer, "A", _response(header), charset, now),)
    due = [("C", _general(header))] * _is_due(commit, answer) + [("A", _response(header))] * _is_due(
        application, answer
    )
    return tuple(_message(header, answer, level, kind, charset, now) for level, kind in due)


def _is_due(condition: str, answer: Answer) -> bool:
    """HL7 table 0155: AL always, NE (or empty) never, ER on error or rejection, SU on success."""
    return condition == "AL" or condition == ("SU" if answer.error is None else "ER")


def _response(header: Segment) -> str:
    return RESPONSES.get((header.get(9), header.get(9, 2)), _general(header))


def _general(header: Segment) -> str:
    trigger = escape(header.get(9, 2))
    return f"ACK^{trigger}^ACK" if trigger else "ACK"


def _message(header: Segment | None, answer: Answer, level: str, kind: str, charset: str, now: datetime) -> bytes:
    version = header.get(12) if header and re.fullmatch(r"2(\.\d){1,2}", header.get(12)) else "2.5.1"
    lines = [
        _msh(header, kind, f"{_digest(header)}{level}", version, charset, now),
        _msa(header, answer, level, version),
        *_err(answer, version),
        *(segments(answer.reply, kind) if answer.reply else []),
    ]
    return ("\r".join(lines) + "\r").encode(codec_of(charset), errors="replace")


def _msh(header: Segment | None, kind: str, control_id: str, version: str, charset: str, now: datetime) -> str:
    """Sender and receiver change places; the processing identifier returns."""
    said = [_echo(header, n) for n in (5, 6, 3, 4)] if header else ["", "", "", ""]
    said[0] = said[0] or APPLICATION
    time = now.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000")
    processing = (_echo(header, 11) if header else "") or "P"
    return segment("MSH", "^~\\&", *said, time, "", kind, control_id, processing, version, "", "", "", "", "", charset)


def _echo(header: Segment, field: int) -> str:
    return composed(*header.first(field).components())


def _msa(header: Segment | None, answer: Answer, level: str, version: str) -> str:
    control_id = escape(header.get(10)) if header else ""
    text = escape(answer.error.message) if answer.error and _old(version) else ""
    return segment("MSA", f"{level}{answer.outcome}", control_id, text)


def _err(answer: Answer, version: str) -> list[str]:
    """ERR-3 table 0357, ERR-5 our reason, ERR-8 the line for a person; before v2.5 code and text in ERR-1."""
    if answer.error is None:
        return []
    number, meaning = next((v for k, v in ERROR_CODES.items() if k == answer.error.reason), INTERNAL_ERROR)
    if _old(version):
        return [segment("ERR", f"^^^{number}&{meaning}&HL70357")]
    reason = composed(str(answer.error.reason), "", "99CHROMOGEN")
    return [
        segment("ERR", "", "", composed(number, meaning, "HL70357"), "E", reason, "", "", escape(answer.error.message))
    ]


def _old(version: str) -> bool:
    return version < "2.5"


def _digest(header: Segment | None) -> str:
    """The same for a message that comes again, so that its acknowledgment does not look new."""
    said = header.line.encode("utf-8").removeprefix(BYTE_ORDER_MARK) if header else b""
    return hashlib.sha256(said).hexdigest()[:CHARACTERS_OF_A_CONTROL_ID]
