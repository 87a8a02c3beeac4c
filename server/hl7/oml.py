"""An order's HL7 text to a `Request`: pure, tolerant in what it reads, and refusing what it can't be sure of.

What is taken from where is `docs/hl7-interface.md`'s table; the fields are named here beside each value. OML^O21 is the
message meant (IHE PaLM orders digital pathology so); the others are read where the same segments stand in them.
"""

import re
from datetime import UTC, date, datetime

from server.domain.cancellation import Cancellation
from server.domain.errors import Refused, ServiceReason
from server.domain.order import (
    EARLIEST_BIRTH,
    EntityIdentifier,
    Patient,
    Priority,
    ProcessingId,
    Request,
    Sender,
    SlideReference,
)
from server.hl7.er7 import DEFAULT_CHARSET, Field, Message, Segment, read
from server.hl7.identifiers import checked, checked_cancellation
from server.hl7.markers import marker_of
from server.hl7.order_reply import APPLICATION
from server.hl7.specimen import named_slide, slide_of, specimen_of
from server.hl7.structure import check_is_new, one_order, only

ACCEPTED_TYPES = frozenset({("OML", "O21"), ("OML", "O33"), ("ORM", "O01"), ("OMI", "O23")})
NEW_ORDER = "NW"

# HL7 table 0485, and the words some senders write instead; every other priority is routine.
PRIORITIES = {"S": Priority.STAT, "STAT": Priority.STAT, "A": Priority.ASAP, "ASAP": Priority.ASAP}


def parse_order(message: bytes, default_charset: str = DEFAULT_CHARSET) -> Request:
    """Read one order. `default_charset` (a term of HL7 table 0211) counts where MSH-18 is empty.

    Raises Refused: MESSAGE_INVALID, CHARSET_UNDECODABLE, MESSAGE_TYPE_UNSUPPORTED, FIELD_MISSING, MARKER_UNKNOWN. The
    refusal names fields, never their values.
    """
    return request_of(read(message, default_charset))


def request_of(message: Message) -> Request:
    """The same from a message that is read already."""
    header = message.header
    _check_type(header)
    order = one_order(message)
    orc, obr = only(order, "ORC"), only(order, "OBR")
    if orc is None or not orc.get(1):
        raise _missing("ORC-1")
    _check_new(orc)
    if obr is None:
        raise _missing("OBR-4")
    check_is_new(orc, obr)
    procedure = _procedure(obr)
    marker = marker_of(procedure.components())
    specimen, slide = specimen_of(order, obr), _slide(order)
    request = Request(
        lab=_lab(header),
        sender=_sender(header),
        message_control_id=_required(header.get(10), "MSH-10"),
        message_type=f"{header.get(9)}^{header.get(9, 2)}",
        placer_order_number=_placer_order_number(orc, obr),
        placer_request=f"{procedure.get() or marker}/{_narrowest(slide)}",
        priority=_priority(order, orc, obr),
        marker=marker,
        procedure_code=procedure.get(1),
        procedure_text=procedure.get(2),
        patient=_patient(order),
        specimen=specimen,
        slide=slide,
        charset=message.charset,
        processing_id=_processing_id(header),
        requested_at=_time(orc.get(9)) or _time(header.get(7)),
    )
    return checked(request)


def _narrowest(slide: SlideReference) -> str:
    return slide.series_uid or slide.container_id or slide.study_uid or slide.accession_number


def control_of(message: Message) -> str:
    """ORC-1 of the message's order; empty where it has none.

    Raises Refused MESSAGE_TYPE_UNSUPPORTED, MESSAGE_INVALID.
    """
    _check_type(message.header)
    orc = only(one_order(message), "ORC")
    return "" if orc is None else orc.get(1).upper()


def cancellation_of(message: Message) -> Cancellation:
    """What takes an order back (ORC-1 CA, DC): beside number and patient only what tells the order from others.

    Raises Refused: MESSAGE_INVALID, FIELD_MISSING.
    """
    header, order = message.header, one_order(message)
    orc, obr = only(order, "ORC"), only(order, "OBR")
    if orc is None:
        raise _missing("ORC-1")
    cancellation = Cancellation(
        lab=_lab(header),
        sender=_sender(header),
        message_control_id=_required(header.get(10), "MSH-10"),
        processing_id=_processing_id(header),
        placer_order_number=_placer_order_number(orc, obr),
        order_id=orc.get(3) if orc.get(3, 2) == APPLICATION else "",
        patient=_patient(order),
        procedure_code="" if obr is None else obr.get(4),
        specimen_id=specimen_of(order, obr).id,
        slide=named_slide(order),
    )
    return checked_cancellation(cancellation)


def _lab(header: Segment) -> str:
    return _required(_authority(header.first(4), 1), "MSH-4")


def _sender(header: Segment) -> Sender:
    application, facility = (_authority(header.first(field), 1) for field in (3, 4))
    return Sender(application=application, facility=facility)


def _check_type(header: Segment) -> None:
    if (header.get(9), header.get(9, 2)) not in ACCEPTED_TYPES:
        raise Refused(
            ServiceReason.MESSAGE_TYPE_UNSUPPORTED,
            "MSH-9 is no order that is taken here: send OML^O21, OML^O33, ORM^O01 or OMI^O23",
        )


def _check_new(orc: Segment) -> None:
    if orc.get(1).upper() != NEW_ORDER:
        raise Refused(ServiceReason.MESSAGE_TYPE_UNSUPPORTED, "ORC-1 is none of NW, CA, DC: send one of them")


def _patient(message: Message) -> Patient:
    pid = message.first("PID")
    if pid is None:
        raise _missing("PID-3")
    identifier = _identifier(pid)
    return Patient(
        id=_required(identifier.get(), "PID-3"),
        id_authority=_authority(identifier, 4),
        family_name=pid.get(5),
        given_name=pid.get(5, 2),
        birth_date=_birth_date(pid.get(7)),
        sex=pid.get(8).upper(),
    )


def _identifier(pid: Segment) -> Field:
    """The medical record number of PID-3 if one is so typed (CX.5 MR), else its first identifier, else PID-2 of old
    versions.
    """
    given = [f for f in pid.repetitions(3) if f.get()]
    records = [f for f in given if f.get(5) == "MR"]
    return (records or given or [pid.first(2)])[0]


def _slide(message: Message) -> SlideReference:
    slide = slide_of(message)
    if slide == SlideReference():
        raise _missing("SAC-3", "or SPM-2, IPC-3, or an OBX with a UID, so that the slide can be found")
    return slide


def _procedure(obr: Segment) -> Field:
    """OBR-4, which names one procedure."""
    found = [repetition for repetition in obr.repetitions(4) if any(repetition.components())]
    if not found:
        raise _missing("OBR-4")
    if len(found) > 1:
        raise Refused(ServiceReason.MESSAGE_INVALID, f"OBR-4 names {len(found)} procedures: send one order a message")
    return found[0]


def _priority(message: Message, orc: Segment, obr: Segment) -> Priority:
    """TQ1-9, ORC-7.6, OBR-27.6, OBR-5: the first that says anything."""
    tq1 = message.first("TQ1")
    said = [tq1.get(9) if tq1 else "", orc.get(7, 6), obr.get(27, 6), obr.get(5)]
    return PRIORITIES.get(next((s for s in said if s), "").upper(), Priority.ROUTINE)


def _processing_id(header: Segment) -> ProcessingId:
    """MSH-11; an empty one is production's, as it always was."""
    said = header.get(11).upper() or ProcessingId.PRODUCTION
    try:
        return ProcessingId(said)
    except ValueError:
        raise Refused(ServiceReason.MESSAGE_INVALID, "MSH-11 is none of P, T, D") from None


def _placer_order_number(orc: Segment, obr: Segment | None) -> EntityIdentifier:
    """ORC-2, else OBR-2. Raises Refused FIELD_MISSING, MESSAGE_INVALID where they differ."""
    found = [f for s in (orc, obr) if s is not None for f in (s.first(2),) if f.get()]
    if not found:
        raise _missing("ORC-2")
    numbers = [(*field.components(), "", "", "")[:4] for field in found]
    if any(a and b and a != b for a, b in zip(numbers[0], numbers[-1], strict=True)):
        raise Refused(ServiceReason.MESSAGE_INVALID, "ORC-2 and OBR-2 name different orders: send the same number")
    identifier, namespace, universal_id, universal_type = numbers[0]
    return EntityIdentifier(
        identifier=identifier, namespace=namespace, universal_id=universal_id, universal_type=universal_type
    )


def _authority(field: Field, component: int) -> str:
    """An HD's namespace, else its universal id.

    As a whole field (component 1) its parts are components, else subcomponents.
    """
    return field.get(component) or (field.get(2) if component == 1 else field.get(component, 2))


def _required(value: str, name: str) -> str:
    if not value:
        raise _missing(name)
    return value


def _missing(name: str, instead: str = "") -> Refused:
    return Refused(ServiceReason.FIELD_MISSING, f"{name} is missing: send it{', ' if instead else ''}{instead}")


def _birth_date(text: str) -> date | None:
    try:
        found = datetime.strptime(text[:8], "%Y%m%d").date() if len(text) >= 8 else None
    except ValueError:
        return None
    return None if found is None or found < EARLIEST_BIRTH else found


def _time(text: str) -> datetime | None:
    """A DTM with its offset, in UTC; None without an offset, because the sender's clock is not known then."""
    match = re.fullmatch(r"(\d{12})(\d{2})?(?:\.\d+)?([+-]\d{4})", text)
    try:
        return (
            datetime.strptime(f"{match[1]}{match[2] or '00'}{match[3]}", "%Y%m%d%H%M%S%z").astimezone(UTC)
            if match
            else None
        )
    except ValueError:
        return None
