"""What every outgoing message has around its observations: MSH, PID, ORC, OBR and SPM of the order that it answers.

The text is written here and then read back by hl7apy in strict mode; what it does not accept, or would write otherwise,
does not leave.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import MaxLengthReached
from hl7apy.parser import parse_message

from server.domain.errors import Failed, ServiceReason
from server.domain.order import EARLIEST_BIRTH, SEXES, Order
from server.hl7.er7 import UTF8, codec_of, segment, term_of
from server.hl7.er7 import composed as er7_composed
from server.hl7.order_reply import APPLICATION

_LOINC = re.compile(r"\d{1,7}-\d")
_CONTROLS = dict.fromkeys([*range(32), 127], " ")


def patient_and_order(order: Order, status: str, at: datetime) -> list[str]:
    patient = order.request.patient
    name = composed(patient.family_name, patient.given_name) or composed("", "", "", "", "", "", "U")
    born = patient.birth_date.strftime("%Y%m%d") if patient.birth_date and patient.birth_date >= EARLIEST_BIRTH else ""
    sex = patient.sex if patient.sex in SEXES else ""
    identifier = composed(patient.id, "", "", patient.id_authority)
    return [segment("PID", "1", "", identifier, "", name, "", born, sex), *order_alone(order, status, at)]


def order_alone(order: Order, status: str, at: datetime) -> list[str]:
    asked = order.request
    placer, filler = composed(*asked.placer_order_number.parts), composed(order.id, APPLICATION)
    scheme = "LN" if _LOINC.fullmatch(asked.procedure_code) else "L"
    procedure = composed(asked.procedure_code, asked.procedure_text, scheme)
    obr = ["1", placer, filler, procedure, *[""] * 17, _time(at), "", "SP", status]
    return [segment("ORC", "RE", placer, filler), segment("OBR", *obr)]


def composed(*components: str) -> str:
    """`er7.composed`, with spaces for control characters: hl7apy does not return their escape
    sequences as they were.
    """
    return er7_composed(*(c.translate(_CONTROLS) for c in components))


def specimen(order: Order) -> list[str]:
    """SPM, where the order named the specimen.

    SPM-4 is required by the standard: what is scored is tissue on a slide.
    """
    asked = order.request.specimen
    if not asked.id:
        return []
    site = composed(asked.site_code, asked.site_text, asked.site_scheme)
    return [segment("SPM", "1", composed(asked.id), "", composed("TISS", "Tissue", "HL70487"), "", "", "", site)]


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000")


def checked(order: Order, message_id: str, at: datetime, lines: Sequence[str]) -> bytes:
    """The whole message, in the order's character set (UTF-8 where that lacks a sign), for where the order came from:
    production or training (MSH-11).

    Raises Failed INTERNAL if hl7apy refuses the text.
    """
    asked = order.request
    application, facility = (composed(part) for part in (asked.sender.application, asked.sender.facility))
    body = "\r".join(lines)
    charset = term_of(asked.charset) if _fits(body + asked.lab + application + facility, asked.charset) else UTF8
    header = [
        "^~\\&",
        APPLICATION,
        composed(asked.lab),
        application,
        facility,
        _time(at),
        "",
        "ORU^R01^ORU_R01",
        message_id,
    ]
    text = f"{segment('MSH', *header, asked.processing_id, '2.5.1', *[''] * 5, charset)}\r{body}\r"
    _check(text)
    return text.encode(codec_of(charset))


def _fits(text: str, charset: str) -> bool:
    try:
        text.encode(codec_of(charset))
    except UnicodeEncodeError:
        return False
    return True


def _check(text: str) -> None:
    """hl7apy's exceptions quote values: neither their text nor themselves may travel further."""
    try:
        kind = "" if _understood(text) else "read back differently"
    except Exception as error:
        kind = type(error).__name__
    if kind:
        raise Failed(ServiceReason.INTERNAL, f"the result's ORU^R01 is not valid HL7 ({kind}): report this as a defect")


def _understood(text: str) -> bool:
    try:
        message = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT)
    except MaxLengthReached:  # what the order named is returned whole, even where it is longer than v2.5.1 foresaw
        message = parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT)
    return bool(message.validate()) and message.to_er7().rstrip("\r") == text.rstrip("\r")
