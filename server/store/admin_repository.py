"""`repositories.AdminRepository` on PostgreSQL: laboratories, destinations and the outbox."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, func, select, union, update

from server.domain.access import Caller
from server.domain.artifact import ArtifactKind
from server.domain.errors import Refused, ServiceReason
from server.domain.states import LIVE, DeliveryState
from server.domain.views import DeliveryFilter, DeliveryView, DestinationView, LabView, Page, PageKey
from server.store.scope import Scoped, given, of_lab, page_of
from server.store.tables import orders, outbox, profiles, results


class PostgresAdminRepository(Scoped):
    """Each method one transaction."""

    def labs(self, actor: Caller) -> Sequence[LabView]:
        named = union(*(select(t.c.lab).where(of_lab(t.c.lab, actor)) for t in (orders, results, profiles))).subquery()
        is_open = orders.c.state.in_(LIVE)
        statement = select(
            named.c.lab,
            _count(orders, orders.c.lab == named.c.lab).label("orders"),
            _count(orders, orders.c.lab == named.c.lab, is_open).label("open_orders"),
            _count(results, results.c.lab == named.c.lab).label("results"),
        ).order_by(named.c.lab)
        with self._transaction(actor) as connection:
            found = connection.execute(statement).mappings().all()
        return [
            LabView(name=r["lab"], orders=r["orders"], open_orders=r["open_orders"], results=r["results"])
            for r in found
        ]

    def destinations(self, actor: Caller) -> Sequence[DestinationView]:
        waits, dead = outbox.c.state == DeliveryState.WAITING, outbox.c.state == DeliveryState.DEAD
        statement = (
            select(
                outbox.c.destination,
                func.count().filter(waits).label("waiting"),
                func.count().filter(dead).label("dead"),
                func.min(outbox.c.created_at).filter(waits).label("oldest"),
            )
            .where(of_lab(outbox.c.lab, actor))
            .group_by(outbox.c.destination)
            .order_by(outbox.c.destination)
        )
        with self._transaction(actor) as connection:
            return [_destination(row) for row in connection.execute(statement).mappings()]

    def deliveries(self, actor: Caller, wanted: DeliveryFilter, limit: int, after: PageKey) -> Page[DeliveryView]:
        by_name = (wanted.destination, lambda v: outbox.c.destination == v)
        conditions = given((wanted.state, lambda v: outbox.c.state == v), by_name)
        statement = page_of(
            select(outbox).where(of_lab(outbox.c.lab, actor), *conditions), (outbox.c.id,), after, limit
        )
        with self._transaction(actor) as connection:
            found = [_delivery(row) for row in connection.execute(statement).mappings()]
        return Page(items=tuple(found[:limit]), next=(str(found[limit - 1].id),) if len(found) > limit else None)

    def replay(self, actor: Caller, delivery_id: int | None, destination: str) -> int:
        which = outbox.c.destination == destination if delivery_id is None else outbox.c.id == delivery_id
        mine = (of_lab(outbox.c.lab, actor), which)
        afresh = {"attempts": 0, "errors": 0, "due_at": func.now(), "created_at": func.now()}
        waiting = {"state": DeliveryState.WAITING, "ended_at": None} | afresh
        dead, later = outbox.c.state == DeliveryState.DEAD, _later()
        with self._transaction(actor) as connection:
            if delivery_id is not None:
                _check_replayable(
                    connection.execute(select(outbox.c.state, later.label("later")).where(*mine)).mappings().first()
                )
            overtaken = {"reason": ServiceReason.DELIVERY_SUPERSEDED.value}
            connection.execute(update(outbox).where(*mine, dead, later.is_not(None)).values(overtaken))
            return connection.execute(update(outbox).where(*mine, dead, later.is_(None)).values(waiting)).rowcount


def _later() -> Any:
    """The last message of the same order to the same receiver, where it was queued after this one: it takes this one's
    place.
    """
    other = outbox.alias()
    same = (
        other.c.order_id == outbox.c.order_id,
        other.c.destination == outbox.c.destination,
        other.c.kind == outbox.c.kind,
    )
    messages = (outbox.c.kind == ArtifactKind.ORU, other.c.id > outbox.c.id)
    return select(func.max(other.c.id)).where(*same, *messages).correlate(outbox).scalar_subquery()


def _check_replayable(row: RowMapping | None) -> None:
    state = None if row is None else row["state"]
    if state is None:
        raise Refused(
            ServiceReason.DELIVERY_UNKNOWN, "no such delivery in this laboratory: `chromogen outbox list` shows them"
        )
    if state != DeliveryState.DEAD:
        raise Refused(ServiceReason.DELIVERY_STATE, f"a delivery that is {state} isn't sent again: only DEAD ones")
    if row is not None and row["later"] is not None:
        instead = f"delivery {row['later']} says what counts now of the same order: if that is DEAD, replay it instead"
        raise Refused(ServiceReason.DELIVERY_SUPERSEDED, instead)


def _count(table: Any, *conditions: ColumnElement[bool]) -> Any:
    return select(func.count()).select_from(table).where(*conditions).scalar_subquery()


def _destination(row: RowMapping) -> DestinationView:
    oldest = row["oldest"]
    at = None if oldest is None else oldest.astimezone(UTC)
    return DestinationView(name=row["destination"], waiting=row["waiting"], dead=row["dead"], oldest_waiting_at=at)


def _delivery(row: RowMapping) -> DeliveryView:
    ended_at = row["ended_at"]
    return DeliveryView(
        id=row["id"],
        lab=row["lab"],
        result_id=row["result_id"] or "",
        destination=row["destination"],
        kind=row["kind"],
        message_id=row["message_id"],
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        reason=row["reason"],
        created_at=row["created_at"].astimezone(UTC),
        due_at=row["due_at"].astimezone(UTC),
        ended_at=None if ended_at is None else ended_at.astimezone(UTC),
    )
