"""A database that was restored from an older backup, told what was sent since: the workers' logs say so.

What waited in the backup and was sent is SENT again, so that no old message overtakes a newer one that went out after
it. What the backup doesn't hold is named: an order to be expected again, or a result that is made again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, and_, func, select, tuple_, update

from inference.json_text import read_json
from server.domain.states import DeliveryState
from server.store.database import transaction
from server.store.outbox import DELIVERED
from server.store.scope import is_uuid
from server.store.tables import orders, outbox

SUBJECT = "outbox reconcile"
"""Whom the audit names."""
UNKNOWN = "UNKNOWN"
"""In place of a state: the database has no such order."""
AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Sent:
    """One thing that a log says was taken by its destination."""

    order_id: str
    destination: str
    kind: str
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Missing:
    """Was sent, and the database has no such delivery; `state` is its order's, or UNKNOWN."""

    state: str
    sent: Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """`marked` waited or were dead, and are SENT now; `known` were SENT already."""

    marked: tuple[Sent, ...]
    known: int
    missing: tuple[Missing, ...]


def written(lines: Iterable[str]) -> frozenset[Sent]:
    """What the lines of a worker's log say was sent; whatever else stands there, or before a line's JSON, is passed
    over.
    """
    return frozenset(found for line in lines for found in _sent(line))


def reconcile(engine: Engine, sent: Iterable[Sent]) -> Reconciled:
    """Raises Failed DATABASE_UNREACHABLE (retryable), DATABASE_FAILED; what was marked before stays so."""
    marked, missing, known = list[Sent](), list[Missing](), 0
    ordered = sorted(sent)
    for some in (ordered[at : at + AT_ONCE] for at in range(0, len(ordered), AT_ONCE)):
        with transaction(engine, subject=SUBJECT) as connection:
            before = _states(connection, some)
            ended = [each for each in some if before.get(_key(each), DeliveryState.SENT) != DeliveryState.SENT]
            _mark(connection, ended)
            marked += ended
            known += sum(state == DeliveryState.SENT for state in before.values())
            missing += _missing(connection, [each for each in some if _key(each) not in before])
    return Reconciled(marked=tuple(marked), known=known, missing=tuple(sorted(missing)))


def _key(sent: Sent) -> tuple[str, str]:
    return sent.destination, sent.message_id


def _states(connection: Connection, some: Iterable[Sent]) -> dict[tuple[str, str], str]:
    columns = (outbox.c.destination, outbox.c.message_id)
    asked = select(*columns, outbox.c.state).where(tuple_(*columns).in_([_key(each) for each in some]))
    return {(row.destination, row.message_id): row.state for row in connection.execute(asked.with_for_update())}


def _mark(connection: Connection, ended: list[Sent]) -> None:
    which = tuple_(outbox.c.destination, outbox.c.message_id).in_([_key(each) for each in ended])
    open_still = and_(which, outbox.c.state != DeliveryState.SENT)
    values = {"state": DeliveryState.SENT, "ended_at": func.now(), "reason": "", "token": None, "lease_until": None}
    connection.execute(update(outbox).where(open_still).values(values))


def _missing(connection: Connection, some: list[Sent]) -> Iterator[Missing]:
    asked = select(orders.c.id, orders.c.state).where(
        orders.c.id.in_({each.order_id for each in some if is_uuid(each.order_id)})
    )
    states = {str(row.id): row.state for row in connection.execute(asked)}
    for each in some:
        yield Missing(state=states.get(each.order_id, UNKNOWN), sent=each)


def _sent(line: str) -> Iterator[Sent]:
    try:
        found = read_json(line[line.index("{") :])
        if found["event"] == DELIVERED:
            of = {"order_id": found["order"] or "", "destination": found["destination"]}
            yield Sent(**of, kind=found["kind"], message_id=found["message"])
    except (ValueError, KeyError, TypeError):
        return
