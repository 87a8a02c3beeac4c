"""An order's own answer within an acknowledgment: the ORC that says what became of it, and what stands around it."""

from dataclasses import dataclass

from server.domain.cancellation import Cancellation, CancelOutcome
from server.domain.order import EntityIdentifier, Order, Patient
from server.domain.states import OrderState
from server.hl7.er7 import Message, composed, segment

APPLICATION = "CHROMOGEN"
TAKEN = "OK"

# ORC-1 of a request -> of its answer (HL7 table 0119): as requested, unable to.
CANCELLING = {"CA": ("CR", "UC"), "DC": ("DR", "UD")}

# ORC-5 (HL7 table 0038). REFUSED and DEAD orders are discontinued: they end without a result.
STATUSES = {
    OrderState.QUEUED: "SC",
    OrderState.RUNNING: "IP",
    OrderState.DONE: "CM",
    OrderState.REFUSED: "DC",
    OrderState.DEAD: "DC",
    OrderState.CANCELLED: "CA",
}
ORDER_NOT_FOUND = "ER"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReply:
    """`control` is ORC-1; `status` ORC-5; `reason`, UPPER_SNAKE, and `detail`, for a person, ORC-16.

    `order_id` is empty where no order is meant.
    """

    control: str
    patient: Patient
    placer_order_number: EntityIdentifier
    order_id: str = ""
    status: str = ""
    reason: str = ""
    detail: str = ""
    specimen_id: str = ""
    procedure_code: str = ""
    imaging: tuple[str, ...] = ()
    """IPC segments as they came, whose accession number and the like are the sender's: ORI^O24 returns them."""


def taken(order: Order) -> OrderReply:
    asked = order.request
    return OrderReply(
        control=TAKEN,
        patient=asked.patient,
        placer_order_number=asked.placer_order_number,
        order_id=order.id,
        specimen_id=asked.specimen.id,
        procedure_code=asked.procedure_code,
    )


def cancelled(control: str, asked: Cancellation, outcome: CancelOutcome) -> OrderReply:
    """Of a request whose ORC-1 is `control`: as it wished, or why it was unable to."""
    as_wished, unable = CANCELLING[control]
    reason, detail = ("", "") if outcome.cancelled else _why_not(outcome)
    return OrderReply(
        control=as_wished if outcome.cancelled else unable,
        patient=asked.patient,
        placer_order_number=asked.placer_order_number,
        order_id=outcome.order.id if outcome.order else "",
        status=ORDER_NOT_FOUND if outcome.state is None else STATUSES[outcome.state],
        reason=reason,
        detail=detail,
        specimen_id=asked.specimen_id,
        procedure_code=asked.procedure_code,
    )


def imaging_of(message: Message) -> tuple[str, ...]:
    """The message's IPC, its four identifiers in standard delimiters."""
    return tuple(
        segment("IPC", *(composed(*ipc.first(field).components()) for field in range(1, 5)))
        for ipc in message.segments("IPC")
    )


def _why_not(outcome: CancelOutcome) -> tuple[str, str]:
    if outcome.state is not None:
        return str(outcome.state), f"too late: the order is {outcome.state}"
    if outcome.fitting:
        return "ORDER_AMBIGUOUS", f"{outcome.fitting} orders have this number: send OBR-4 and SAC-3 too"
    return "ORDER_UNKNOWN", "no order of this laboratory and patient has this number"


def segments(reply: OrderReply, answer: str) -> list[str]:
    """The response group of an acknowledgment whose MSH-9 is `answer`; a general ACK has none."""
    pid, orc = _pid(reply.patient), _orc(reply)
    match answer.split("^")[:2]:
        case ["ORL", "O22"] | ["ORR", "O02"]:
            return [pid, orc]
        case ["ORL", "O34"]:
            return [pid, _spm(reply), orc]
        case ["ORI", "O24"]:
            return [pid, orc, _obr(reply), *reply.imaging]
        case _:
            return []


def _pid(patient: Patient) -> str:
    identifier = composed(patient.id, "", "", patient.id_authority)
    return segment("PID", "", "", identifier, "", composed(patient.family_name, patient.given_name))


def _orc(reply: OrderReply) -> str:
    why = composed(reply.reason, reply.detail, "99CHROMOGEN") if reply.reason else ""
    return segment("ORC", reply.control, *_numbers(reply), "", reply.status, *[""] * 10, why)


def _numbers(reply: OrderReply) -> tuple[str, str]:
    filler = composed(reply.order_id, APPLICATION) if reply.order_id else ""
    return composed(*reply.placer_order_number.parts), filler


def _spm(reply: OrderReply) -> str:
    return segment("SPM", "1", composed(reply.specimen_id), "", composed("TISS", "Tissue", "HL70487"))


def _obr(reply: OrderReply) -> str:
    return segment("OBR", "1", *_numbers(reply), composed(reply.procedure_code))
