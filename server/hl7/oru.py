"""A result, or a refusal, as ORU^R01 of HL7 v2.5.1: text only; `sender` sends it.

The text is written here and then read back by hl7apy in strict mode; what it does not accept, or would write otherwise,
does not leave. Identifier and times derive from the result: built again, it is the same to the byte.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import MaxLengthReached
from hl7apy.parser import parse_message

from inference.score import CompartmentScore
from server.domain.errors import Failed, ServiceReason
from server.domain.order import EARLIEST_BIRTH, Order
from server.domain.result import Result
from server.hl7.er7 import UTF8, codec_of, segment, term_of
from server.hl7.er7 import composed as er7_composed
from server.report.codes import (
    ALGORITHM_NAME,
    ALGORITHM_VERSION,
    ALLRED_IS,
    ALLRED_PS,
    ALLRED_TOTAL,
    GRADE_COUNTS,
    H_SCORE,
    H_SCORE_CI95_HIGH,
    H_SCORE_CI95_LOW,
    IRS,
    MODEL_SHA256,
    NUCLEI,
    PERCENT_POSITIVE,
    PROFILE,
    REFUSAL,
    SPECIMEN_CONTAINER_IDENTIFIER,
    Code,
    percent_positive_code,
    tissue_of,
)
from server.report.identity import algorithm_version

APPLICATION = "CHROMOGEN"
RESEARCH_USE_ONLY = "Research use only: not for diagnosis."
NO_SCORE = "No nuclei: no score. This is not a score of 0."
CONTROL_ID_LENGTH = 20  # MSH-10 before v2.7

_SEXES = frozenset("FMOUAN")  # HL7 table 0001
_LOINC = re.compile(r"\d{1,7}-\d")
_DECIMALS = 2

_CONTROLS = dict.fromkeys([*range(32), 127], " ")

_Value = str | None
_Quantity = tuple[Code, _Value]


class Status(StrEnum):
    """OBR-25 and OBX-11 (HL7 tables 0123, 0085): preliminary until signed, final when signed, corrected after.

    Or withdrawn.
    """

    PRELIMINARY = "P"
    FINAL = "F"
    CORRECTED = "C"
    REJECTED = "X"


def build_oru(result: Result, order: Order, *, status: Status = Status.PRELIMINARY) -> bytes:
    """The result for the LIS that ordered it, in the order's character set (UTF-8 where that lacks a sign).

    One OBX a quantity and compartment (OBX-4: all, epithelium, stroma). Raises Failed INTERNAL if hl7apy refuses the
    text.
    """
    at = result.created_at
    notes = [
        RESEARCH_USE_ONLY,
        *(f"Warning: {w}" for w in result.warnings),
        *([NO_SCORE] if result.scores.all.n == 0 else []),
    ]
    observations = [*_scores(result, order, status), *_provenance(result, order, status)]
    lines = [
        *_patient_and_order(order, status, at),
        *(segment("NTE", str(i), "L", composed(note)) for i, note in enumerate(notes, start=1)),
        *_numbered(observations),
        *_specimen(order),
    ]
    return _checked(order, control_id(result, status), at, lines)


def build_rejection(result: Result, order: Order, reason: str) -> bytes:
    """Withdraws a preliminary result that a pathologist rejected: each quantity again, X and empty; why, in the note
    after REFUSAL.

    What it was made by is said again too. Raises Failed INTERNAL if hl7apy refuses the text.
    """
    status, at = Status.REJECTED, result.created_at
    withdrawn = [*_scores(result, order, status), *_provenance(result, order, status)]
    refusal, *others = _numbered([_observation(REFUSAL, "RESULT_REJECTED", status, kind="ST"), *withdrawn])
    lines = [
        *_patient_and_order(order, status, at),
        segment("NTE", "1", "L", composed(RESEARCH_USE_ONLY)),
        refusal,
        segment("NTE", "1", "L", composed(f"The preliminary result was rejected by a pathologist: {reason}")),
        *others,
        *_specimen(order),
    ]
    return _checked(order, control_id(result, status), at, lines)


def build_refusal(order: Order, reason: str, detail: str) -> bytes:
    """Says that there will be no score, and why: OBR-25 X, the reason (UPPER_SNAKE) in an OBX, the line for a person in
    its NTE.

    Its time is that at which the order's run began, so that the same refusal is the same to the byte.
    """
    at = order.begun_at or order.received_at
    lines = [
        *_patient_and_order(order, "X", at),
        segment("NTE", "1", "L", composed(RESEARCH_USE_ONLY)),
        *_numbered([_observation(REFUSAL, reason, "X", kind="ST")]),
        segment("NTE", "1", "L", composed(detail)),
        *_specimen(order),
    ]
    return _checked(order, refusal_control_id(order, reason), at, lines)


def build_bare_refusal(order: Order, reason: str) -> bytes:
    """For an order of which `build_refusal` can't be written: its numbers and the reason, no patient, no specimen, same
    MSH-10.
    """
    at, asked = order.begun_at or order.received_at, order.request
    bare = replace(order, request=replace(asked, procedure_code=asked.marker, procedure_text="", charset=UTF8))
    note, observation = (
        segment("NTE", "1", "L", composed(RESEARCH_USE_ONLY)),
        _observation(REFUSAL, reason, "X", kind="ST"),
    )
    return _checked(
        bare, refusal_control_id(order, reason), at, [*_order(bare, "X", at), note, *_numbered([observation])]
    )


def control_id(result: Result, status: Status = Status.PRELIMINARY) -> str:
    """MSH-10 of a result's message: from its identifier and status, so that a resend is known as one."""
    return _digest(f"{result.id}/{status}")


def refusal_control_id(order: Order, reason: str) -> str:
    """MSH-10 of a refusal: from the order, its run and the reason, so that one begun anew is answered anew."""
    return _digest(f"refusal/{order.id}/{order.run}/{reason}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:CONTROL_ID_LENGTH].upper()


def _scores(result: Result, order: Order, status: Status) -> Iterator[str]:
    """LOINC's percentages are of tumour nuclei, so only epithelium carries them."""
    asked = order.request
    tissue = tissue_of(asked.specimen.site_code, asked.specimen.site_scheme, asked.specimen.site_text)
    percent = percent_positive_code(asked.marker, tissue)
    compartments = (
        ("all", result.scores.all, PERCENT_POSITIVE),
        ("epithelium", result.scores.epithelium, percent),
        ("stroma", result.scores.stroma, PERCENT_POSITIVE),
    )
    for name, score, percent_code in compartments:
        for code, value in _quantities(score, percent_code):
            said = None if status is Status.REJECTED else value
            yield _observation(code, said, "X" if said is None else status, compartment=name)


def _quantities(score: CompartmentScore, percent: Code) -> list[_Quantity]:
    """None where there is no score: never 0."""
    low, high = score.h_score_ci95 or (None, None)
    allred = score.allred
    return [
        (H_SCORE, _decimal(score.h_score)),
        (H_SCORE_CI95_LOW, _decimal(low)),
        (H_SCORE_CI95_HIGH, _decimal(high)),
        (percent, _decimal(score.percent_positive)),
        (ALLRED_PS, None if allred is None else str(allred.ps)),
        (ALLRED_IS, None if allred is None else str(allred.is_)),
        (ALLRED_TOTAL, None if allred is None else str(allred.total)),
        (IRS, None if score.irs is None else str(score.irs)),
        (NUCLEI, str(score.n)),
        *((code, str(count)) for code, count in zip(GRADE_COUNTS, score.counts, strict=True)),
    ]


def _decimal(value: float | None) -> _Value:
    return None if value is None else f"{value:.{_DECIMALS}f}"


def _provenance(result: Result, order: Order, status: Status) -> Iterator[str]:
    model, container = result.analysis.model, order.request.specimen.container_id or order.request.slide.container_id
    said = [
        (PROFILE, result.profile.label),
        (ALGORITHM_NAME, model.name),
        (ALGORITHM_VERSION, algorithm_version(result)),
    ]
    said += [(MODEL_SHA256, model.sha256), (SPECIMEN_CONTAINER_IDENTIFIER, container)]
    for code, value in said:
        if value:
            yield _observation(code, value, status, kind="ST")


def _observation(code: Code, value: _Value, status: str, *, compartment: str = "", kind: str = "NM") -> str:
    """OBX without its number (`_numbered` puts it in)."""
    unit = composed(code.unit.value, code.unit.meaning, code.unit.scheme) if code.unit else ""
    identifier = composed(code.value, code.meaning, code.scheme)
    return segment("OBX", "", kind, identifier, compartment, composed(value or ""), unit, "", "", "", "", status)


def _numbered(observations: Sequence[str]) -> Iterator[str]:
    for i, text in enumerate(observations, start=1):
        yield text.replace("OBX||", f"OBX|{i}|", 1)


def _patient_and_order(order: Order, status: str, at: datetime) -> list[str]:
    patient = order.request.patient
    name = composed(patient.family_name, patient.given_name) or composed("", "", "", "", "", "", "U")
    born = patient.birth_date.strftime("%Y%m%d") if patient.birth_date and patient.birth_date >= EARLIEST_BIRTH else ""
    sex = patient.sex if patient.sex in _SEXES else ""
    identifier = composed(patient.id, "", "", patient.id_authority)
    return [segment("PID", "1", "", identifier, "", name, "", born, sex), *_order(order, status, at)]


def _order(order: Order, status: str, at: datetime) -> list[str]:
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


def _specimen(order: Order) -> list[str]:
    """SPM, where the order named the specimen.

    SPM-4 is required by the standard: what is scored is tissue on a slide.
    """
    specimen = order.request.specimen
    if not specimen.id:
        return []
    site = composed(specimen.site_code, specimen.site_text, specimen.site_scheme)
    return [segment("SPM", "1", composed(specimen.id), "", composed("TISS", "Tissue", "HL70487"), "", "", "", site)]


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000")


def _checked(order: Order, message_id: str, at: datetime, lines: Sequence[str]) -> bytes:
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
