"""A result, or a refusal, as ORU^R01 of HL7 v2.5.1: text only; `sender` sends it.

Identifier and times derive from the result: built again, it is the same to the byte.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import StrEnum

from inference.measures import ALL
from server.domain.choice import explained
from server.domain.events import RESULT_REJECTED
from server.domain.order import Order
from server.domain.result import Result
from server.hl7.envelope import checked, composed, order_alone, patient_and_order, specimen
from server.hl7.er7 import UTF8, segment
from server.hl7.order_reply import APPLICATION
from server.report.codes import (
    ALGORITHM_NAME,
    ALGORITHM_VERSION,
    CONTROL,
    CONTROL_STATUS,
    MODEL_SHA256,
    PAGE,
    PROFILE,
    REFUSAL,
    SPECIMEN_CONTAINER_IDENTIFIER,
    Code,
)
from server.report.control_text import control_notes, is_said
from server.report.identity import algorithm_version, use_of
from server.report.quantities import Form, Quantity, quantities, regions
from server.report.scope_text import use_notes, whole_tissue_notes

RESEARCH_USE_ONLY = "Research use only: not for diagnosis."
CONTROL_ID_LENGTH = 20  # MSH-10 before v2.7

RESULT_NOT_SAID = "RESULT_NOT_SAID"
"""Instead of a score: there is one, which the message can't hold."""

_DECIMALS = 2
_TYPES = {Form.NUMBER: "NM", Form.WORDS: "ST", Form.ANSWER: "CWE"}
"""OBX-2: the same of a measure with a score as without."""


class Status(StrEnum):
    """OBR-25 and OBX-11 (HL7 tables 0123, 0085): preliminary until signed, final when signed, corrected after.

    X of a result that was withdrawn, of an order that was refused, and of a quantity that there is not.
    """

    PRELIMINARY = "P"
    FINAL = "F"
    CORRECTED = "C"
    REJECTED = "X"


def build_oru(
    result: Result,
    order: Order,
    *,
    status: Status = Status.PRELIMINARY,
    not_made: Sequence[str] = (),
    page_at: str = "",
) -> bytes:
    """The result for the LIS that ordered it, in the order's character set (UTF-8 where that lacks a sign).

    One OBX a quantity and region (OBX-4); a note for each artifact that couldn't be built (`not_made`). `page_at` is
    the HTTP door's address: the result's page is pointed to (RP); empty: it isn't. Where a control withholds the score
    it says why, OBR-25 X, and no quantity. Raises Failed INTERNAL if hl7apy refuses the text.
    """
    at, withheld = result.created_at, result.control.withheld
    missing = [f"Not made, so not in the archive: {name}. The score stands." for name in not_made]
    observations = [*_scores(result, status), *_control(result, status), *_provenance(result, order, status)]
    observations += _page(result, status, page_at)
    if withheld:
        observations.insert(0, _observation(REFUSAL, withheld, Status.REJECTED, kind="ST"))
    lines = [
        *patient_and_order(order, Status.REJECTED if withheld else status, at),
        *(segment("NTE", str(i), "L", composed(note)) for i, note in enumerate([*_notes(result), *missing], start=1)),
        *_numbered(observations),
        *specimen(order),
    ]
    return checked(order, control_id(result, status), at, lines)


def build_rejection(result: Result, order: Order, reason: str) -> bytes:
    """Withdraws a preliminary result that a pathologist rejected: each quantity again, X and empty; why, in the note
    after REFUSAL.

    What it was made by is said again too. Raises Failed INTERNAL if hl7apy refuses the text.
    """
    status, at = Status.REJECTED, result.created_at
    withdrawn = [*_scores(result, status), *_provenance(result, order, status)]
    refusal, *others = _numbered([_observation(REFUSAL, RESULT_REJECTED, status, kind="ST"), *withdrawn])
    lines = [
        *patient_and_order(order, status, at),
        segment("NTE", "1", "L", composed(RESEARCH_USE_ONLY)),
        refusal,
        segment("NTE", "1", "L", composed(f"The preliminary result was rejected by a pathologist: {reason}")),
        *others,
        *specimen(order),
    ]
    return checked(order, control_id(result, status), at, lines)


def build_refusal(order: Order, reason: str, detail: str) -> bytes:
    """Says that there will be no score, and why: OBR-25 X, the reason (UPPER_SNAKE) in an OBX, the line for a person in
    its NTE.

    Its time is that at which the order's run began, so that the same refusal is the same to the byte.
    """
    at = order.begun_at or order.received_at
    lines = [
        *patient_and_order(order, Status.REJECTED, at),
        segment("NTE", "1", "L", composed(RESEARCH_USE_ONLY)),
        *_numbered([_observation(REFUSAL, composed(reason), Status.REJECTED, kind="ST")]),
        segment("NTE", "1", "L", composed(detail)),
        *specimen(order),
    ]
    return checked(order, refusal_control_id(order, reason), at, lines)


def build_bare_refusal(order: Order, reason: str) -> bytes:
    """For an order of which `build_refusal` can't be written: its numbers and the reason, no patient, no specimen, same
    MSH-10.
    """
    return _bare(order, refusal_control_id(order, reason), RESEARCH_USE_ONLY, reason)


def build_bare_notice(result: Result, order: Order, status: Status) -> bytes:
    """For a result of which `build_oru` can't be written: that there is one, and where; under the MSH-10 of it."""
    note = f"The slide is scored, but its result can't be written as HL7: read result {result.id} in chromogen."
    return _bare(order, control_id(result, status), note, RESULT_NOT_SAID)


def _bare(order: Order, message_id: str, note: str, reason: str) -> bytes:
    at, asked = order.begun_at or order.received_at, order.request
    bare = replace(order, request=replace(asked, procedure_code=asked.marker, procedure_text="", charset=UTF8))
    observation = _observation(REFUSAL, composed(reason), Status.REJECTED, kind="ST")
    lines = [*order_alone(bare, Status.REJECTED, at), segment("NTE", "1", "L", composed(note))]
    return checked(bare, message_id, at, [*lines, *_numbered([observation])])


def control_id(result: Result, status: Status = Status.PRELIMINARY) -> str:
    """MSH-10 of a result's message: from its identifier and status, so that a resend is known as one."""
    return _digest(f"{result.id}/{status}")


def refusal_control_id(order: Order, reason: str) -> str:
    """MSH-10 of a refusal: from the order, its run and the reason, so that one begun anew is answered anew."""
    return _digest(f"refusal/{order.id}/{order.run}/{reason}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:CONTROL_ID_LENGTH].upper()


def _notes(result: Result) -> Iterator[str]:
    yield RESEARCH_USE_ONLY if result.research_use_only else f"{use_of(result)}: a pathologist decides."
    if result.clinical_region:
        yield f"Clinical region: {result.clinical_region}"
    if result.choice is not None:
        yield explained(result.profile, result.choice)
    yield from use_notes(result)
    yield from whole_tissue_notes(result)
    yield from (f"Warning: {w}" for w in result.warnings)
    yield from control_notes(result.control)
    if result.analysis.n == 0 and not result.control.withheld:
        yield f"No {result.assay.analyzer.file_stem}: no score. This is not a score of 0."


def _control(result: Result, status: Status) -> Iterator[str]:
    """Its status, and of each core what was found, where there was a control or should have been."""
    control = result.control
    if not is_said(control):
        return
    yield _observation(CONTROL_STATUS, control.status.value, status, kind="ST")
    for core in control.cores:
        said = f"expected {core.expected}, found {core.found}, {'passed' if core.passed else 'failed'}"
        yield _observation(CONTROL, composed(said), status, kind="ST")


def _scores(result: Result, status: Status) -> Iterator[str]:
    """Region by region, the whole before its parts."""
    said = list(quantities(result))
    backwards = regions(result)[::-1]
    for region in sorted(backwards, key=lambda name: name != ALL):
        for q in (q for q in said if q.region == region):
            yield _quantity(q, status)
            if status is not Status.REJECTED:
                yield from (segment("NTE", str(i), "L", composed(note)) for i, note in enumerate(q.notes, start=1))


def _quantity(q: Quantity, status: Status) -> str:
    """X and empty where there is no score (never 0), or no longer."""
    absent = status is Status.REJECTED or (q.number is None and q.answer is None)
    value = "" if absent else _value(q)
    return _observation(q.code, value, Status.REJECTED if absent else status, region=q.region, kind=_TYPES[q.form])


def _value(q: Quantity) -> str:
    """A category in words, unless a public list has answers for it."""
    if q.answer is not None:
        return composed(q.answer.meaning) if q.form is Form.WORDS else _coded(q.answer)
    return f"{q.number:.{_DECIMALS}f}" if isinstance(q.number, float) else str(q.number)


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
            yield _observation(code, composed(value), status, kind="ST")


def _page(result: Result, status: Status, at: str) -> Iterator[str]:
    """Reference pointer (RP) to where a pathologist reviews the result; it names no patient."""
    if at:
        pointer = composed(f"{at.rstrip('/')}/case/{result.id}", APPLICATION, "text", "HTML")
        yield _observation(PAGE, pointer, status, kind="RP")


def _observation(code: Code, value: str, status: str, *, region: str = "", kind: str) -> str:
    """OBX without its number (`_numbered` puts it in); `value` is ER7."""
    unit = _coded(code.unit) if code.unit else ""
    return segment("OBX", "", kind, _coded(code), region, value, unit, "", "", "", "", status)


def _coded(code: Code) -> str:
    return composed(code.value, code.meaning, code.scheme)


def _numbered(observations: Sequence[str]) -> Iterator[str]:
    """The notes among them belong to the observation before, and are numbered by it."""
    number = 0
    for text in observations:
        number += text.startswith("OBX|")
        yield text.replace("OBX||", f"OBX|{number}|", 1)
