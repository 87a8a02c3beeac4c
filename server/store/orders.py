"""Orders as rows: accepted once, claimed by one worker under a token and a lease, ended once. The database's clock
only.

Each function is called inside a transaction and commits nothing itself.
"""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import (
    Boolean,
    Connection,
    RowMapping,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql import ColumnElement

from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.order import Order, OrderId, Priority, Request
from server.domain.ports import Claim, OrderView
from server.domain.result import ResultId
from server.domain.states import ENDED_WITHOUT_RESULT, LIVE, OrderState, check_transition
from server.store import controls
from server.store.audit_log import note
from server.store.order_row import (
    SAID_ANEW,
    columns_of,
    equal,
    message_of,
    number_columns,
    order_of,
    sender_columns,
    urgency_columns,
)
from server.store.tables import orders

log = structlog.get_logger()

QUEUE, TASK = "cases", "chromogen.case"
"""procrastinate's names for what `defer` puts in."""

RETRY_FIRST_S, RETRY_MOST_S = 5.0, 900.0
WAIT_FIRST_S = 30.0
OUTAGE_PAUSE_S = 15.0
"""Between two looks at what is away: so late at most an order goes on once it is back."""
REPEATS_KEPT = 50
"""Messages that repeat one order: as many as are known again."""

URGENCY = (orders.c.rank, orders.c.received_at, orders.c.id)
"""STAT first, then by age; the columns of `orders_due_idx`."""

DEFER = text(
    "SELECT procrastinate_defer_jobs_v1(ARRAY[ROW(:queue, :task, :priority, NULL, NULL, CAST(:args AS jsonb),"
    " now() + make_interval(secs => :delay_s))::procrastinate_job_to_defer_v1])"
)


def accept(connection: Connection, request: Request) -> tuple[Order, bool]:
    """The order of this request and whether it is new; a new one has its job in. A repeat waits for the first to
    commit.

    A new message for an order that ended without a score begins it anew; it says what is so now, also of one that
    waits. One that is more urgent makes one so that waits or runs. Raises Refused as `check_same`, where the message is
    new and its number is not.
    """
    columns = columns_of(request) | {"id": str(uuid.uuid4())}
    statement = upsert(orders).values(columns).on_conflict_do_nothing().returning(orders)
    row = connection.execute(statement).mappings().first()
    if row is not None:
        defer(connection, OrderId(row["id"]), request.priority)
        return order_of(row), True
    return _repeated(connection, _first(connection, request), request), False


def _repeated(connection: Connection, row: RowMapping, request: Request) -> Order:
    """The order as it is now, its row locked: a message is heeded once, however often it comes."""
    first, message = order_of(row), message_of(request)
    if message in (message_of(first.request), *row["repeats"]):
        return first
    check_same(first.request, request)
    heard = {"repeats": [*row["repeats"], message][-REPEATS_KEPT:]}
    said = {name: value for name, value in columns_of(request).items() if name in SAID_ANEW and value != row[name]}
    if row["state"] in ENDED_WITHOUT_RESULT or controls.is_withheld(connection, row["result_id"]):
        return begin_anew(connection, first.id, request.priority, heard | said)
    urged = row["state"] in LIVE and request.priority.rank < row["rank"]
    corrections = said if row["state"] == OrderState.QUEUED else {}
    values = heard | (urgency_columns(request.priority) if urged else {}) | corrections
    if values != heard:
        values["updated_at"] = func.now()
    if said and not corrections:
        log.warning("order_not_corrected", order=first.id, state=row["state"], columns=sorted(said))
    changed = (
        connection.execute(update(orders).where(orders.c.id == first.id).values(values).returning(orders))
        .mappings()
        .one()
    )
    if corrections:
        note(connection, "order.correct", f"orders/{first.id}", " ".join(sorted(corrections)))
    if urged:
        defer(connection, first.id, request.priority)
    return order_of(changed)


def begin_anew(
    connection: Connection, order_id: OrderId, priority: Priority, heard: Mapping[str, Any] | None = None
) -> Order:
    """QUEUED with all its attempts before it, its job in: of an order that ended without a result, or with one whose
    score is withheld.

    `heard` are columns more.
    """
    fresh = {"state": OrderState.QUEUED, "attempt": 0, "progress": 0.0, "reason": "", "detail": ""}
    nothing = dict.fromkeys(("ending", "result_id"))
    times = dict.fromkeys(("begun_at", "due_at", "updated_at"), func.now())
    values = {**fresh, **nothing, "run": orders.c.run + 1, **times, **urgency_columns(priority), **(heard or {})}
    row = (
        connection.execute(update(orders).where(orders.c.id == order_id).values(values).returning(orders))
        .mappings()
        .one()
    )
    defer(connection, order_id, priority)
    return order_of(row)


def check_same(first: Request, request: Request) -> None:
    """Raise Refused MESSAGE_INVALID where a repeat's identifiers are those of another order or patient."""
    if not is_same(first, request):
        reused = "its control id or order number was used before, for another order: send it under new ones"
        raise Refused(ServiceReason.MESSAGE_INVALID, reused)


def is_same(first: Request, request: Request) -> bool:
    """Of the same order, patient, specimen and slide? Name, site, procedure and priority may differ."""
    return _subject(first) == _subject(request)


def _subject(request: Request) -> tuple[object, ...]:
    """What a repeat must have in common with the first: a system whose counter began anew must not lose an order."""
    asked = (request.placer_order_number, request.placer_request, request.marker, request.processing_id)
    patient, specimen, slide = request.patient, request.specimen, request.slide
    named = patient.id, patient.id_authority, specimen.id, specimen.container_id
    return *asked, *named, slide.study_uid, slide.series_uid, slide.container_id


def defer(connection: Connection, order_id: OrderId, priority: Priority, *, delay_s: float = 0) -> None:
    """Put procrastinate's job in; workers hear of it when the transaction commits."""
    arguments = {"queue": QUEUE, "task": TASK, "priority": -priority.rank, "args": json.dumps({"order_id": order_id})}
    connection.execute(DEFER, arguments | {"delay_s": delay_s})


def claim(connection: Connection, order_id: OrderId, lease_s: float, max_attempts: int) -> Claim | None:
    """The order under a new token, or None: also for one whose last permitted worker vanished (`abandoned`)."""
    given = {"order_id": order_id, "lease_s": float(lease_s), "most": max_attempts, "least": Priority.ROUTINE.rank}
    return taken(connection.execute(_CLAIM, given | {"new_token": str(uuid.uuid4())}).mappings().first())


def taken(row: Mapping[Any, Any] | None) -> Claim | None:
    """What `TAKE` gave."""
    return None if row is None else Claim(order=order_of(row), attempt=row["attempt"], token=row["token"])


def progress(connection: Connection, claim: Claim, share: float, lease_s: float) -> None:
    """Renew the lease; progress only grows, so that a bare renewal may say 0. Raises Failed ATTEMPT_LOST."""
    values = {"progress": func.greatest(orders.c.progress, min(max(share, 0.0), 1.0)), "lease_until": _in(lease_s)}
    change(connection, claim, values)


def reached_by(claim: Claim, state: OrderState, max_attempts: int) -> OrderState:
    """What `end` is to make of a case that ends so: a failed attempt is QUEUED, or DEAD after `max_attempts`.

    Raises Refused ORDER_STATE.
    """
    reached = OrderState.DEAD if state is OrderState.QUEUED and claim.attempt >= max_attempts else state
    check_transition(OrderState.RUNNING, reached)
    if reached is OrderState.DONE:
        raise Refused(ServiceReason.ORDER_STATE, "an order is DONE by `finish`, with its result")
    return reached


def end(connection: Connection, claim: Claim, reached: OrderState, reason: str, detail: str) -> None:
    """QUEUED waits with growing back-off. Raises Failed ATTEMPT_LOST."""
    delay_s = min(RETRY_FIRST_S * 4 ** (claim.attempt - 1), RETRY_MOST_S) if reached is OrderState.QUEUED else 0.0
    change(connection, claim, ended(reached) | {"reason": reason, "detail": detail, "due_at": _in(delay_s)})
    if reached is OrderState.QUEUED:
        defer(connection, claim.order.id, claim.order.request.priority, delay_s=delay_s)


def wait(
    connection: Connection, claim: Claim, reason: str, detail: str, longest_s: float, *, pause_s: float | None = None
) -> bool:
    """QUEUED, the attempt not counted, for `pause_s`, None: for longer each time; False, and nothing changed, once
    `longest_s` are over since it began.

    Raises Failed ATTEMPT_LOST.
    """
    age = func.extract("epoch", func.now() - orders.c.begun_at)
    growing = func.least(func.greatest(age / 2, WAIT_FIRST_S), RETRY_MOST_S)
    values = ended(OrderState.QUEUED) | {
        "attempt": orders.c.attempt - 1,
        "due_at": _in(growing if pause_s is None else pause_s),
        "reason": reason,
        "detail": detail,
    }
    if not connection.execute(select(age < longest_s).where(orders.c.id == claim.order.id)).scalar_one():
        return False
    change(connection, claim, values)
    return True


def release(connection: Connection, claim: Claim) -> None:
    """QUEUED again at once, the attempt not counted: the worker stops, the case did nothing wrong.

    Raises Failed ATTEMPT_LOST.
    """
    change(connection, claim, ended(OrderState.QUEUED) | {"attempt": orders.c.attempt - 1, "due_at": func.now()})
    defer(connection, claim.order.id, claim.order.request.priority)


def due(connection: Connection, limit: int, *, least_urgent: Priority = Priority.ROUTINE) -> list[OrderId]:
    """Orders to be claimed, STAT first, then by age; none that is less urgent than `least_urgent`."""
    statement = select(orders.c.id).where(_is_due(), orders.c.rank <= least_urgent.rank).order_by(*URGENCY).limit(limit)
    return [OrderId(i) for i in connection.execute(statement).scalars()]


def view(connection: Connection, order_id: OrderId) -> OrderView:
    """Raises Refused ORDER_UNKNOWN."""
    try:
        uuid.UUID(order_id)
    except ValueError:
        raise Refused(ServiceReason.ORDER_UNKNOWN, "an order's identifier is a UUID") from None
    row = connection.execute(select(orders).where(orders.c.id == order_id)).mappings().first()
    if row is None:
        raise Refused(ServiceReason.ORDER_UNKNOWN, f"no order {order_id}")
    return view_of(row)


def newest(connection: Connection, limit: int) -> list[OrderView]:
    """The latest first."""
    statement = select(orders).order_by(orders.c.received_at.desc(), orders.c.id).limit(limit)
    return [view_of(row) for row in connection.execute(statement).mappings()]


def _first(connection: Connection, request: Request) -> RowMapping:
    """The order that this request repeats, locked: by its message before its number."""
    by_message = and_(*equal(sender_columns(request.sender)), orders.c.message_control_id == request.message_control_id)
    by_number = and_(
        orders.c.lab == request.lab,
        *equal(number_columns(request.placer_order_number)),
        orders.c.placer_order_number != "",
        orders.c.placer_request == request.placer_request,
    )
    statement = select(orders).where(or_(by_message, by_number)).order_by(case((by_message, 0), else_=1)).limit(1)
    return connection.execute(statement.with_for_update()).mappings().one()


def _is_due() -> ColumnElement[bool]:
    return func.chromogen_is_due(*(orders.c[name] for name in ("state", "due_at", "lease_until")), type_=Boolean)


def is_abandoned(max_attempts: int | ColumnElement[int]) -> ColumnElement[bool]:
    """Without a worker, and to be given to none (`abandoned`)."""
    columns = (orders.c[name] for name in ("state", "lease_until", "attempt", "ending"))
    return func.chromogen_is_abandoned(*columns, max_attempts, type_=Boolean)


def change(connection: Connection, claim: Claim, values: Mapping[str, Any]) -> None:
    """The order, where it is still this claim's. Raises Failed ATTEMPT_LOST."""
    statement = (
        update(orders)
        .where(orders.c.id == claim.order.id, orders.c.state == OrderState.RUNNING, orders.c.token == claim.token)
        .values({**values, "updated_at": func.now()})
    )
    if connection.execute(statement).rowcount != 1:
        raise lost(claim)


def lost(claim: Claim) -> Failed:
    return Failed(
        ServiceReason.ATTEMPT_LOST, f"order {claim.order.id} is no longer this worker's (attempt {claim.attempt})"
    )


def ended(state: OrderState) -> dict[str, Any]:
    return {"state": state, "token": None, "lease_until": None, "ending": None}


def _in(seconds: float | ColumnElement[float]) -> ColumnElement[datetime]:
    wait = literal(float(seconds)) if isinstance(seconds, int | float) else seconds
    moment: ColumnElement[datetime] = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, wait)
    return moment


def view_of(row: RowMapping) -> OrderView:
    result_id, updated_at = row["result_id"], row["updated_at"]
    return OrderView(
        order=order_of(row),
        state=OrderState(row["state"]),
        attempt=row["attempt"],
        reason=row["reason"],
        detail=row["detail"],
        progress=row["progress"],
        result_id=None if result_id is None else ResultId(result_id),
        updated_at=updated_at.astimezone(UTC),
    )


_CLAIM = text(
    "SELECT * FROM chromogen_take(chromogen_subject(), :lease_s, :most, :least, :new_token, :order_id)"
).columns(**{column.name: column.type for column in orders.c})
"""This order, if it can be had; as `TAKE` gives it."""

TAKE = "SELECT * FROM chromogen_take(%(subject)s, %(lease_s)s, %(most)s, %(least)s, %(new_token)s)"
"""The most urgent due order under a new token, or none; one whose last permitted worker vanished is left to `claim`."""
