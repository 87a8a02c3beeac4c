"""`repositories.EstimateRepository` on PostgreSQL: what pathologists estimated themselves, and what they had seen."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, insert, or_, select

from inference.measures import Measure
from server.domain.access import Caller
from server.domain.estimate import Compared, Estimate, EstimateFilter, Said
from server.domain.result import ResultId
from server.store.audit_log import note
from server.store.result_repository import view_of
from server.store.scope import Scoped, given, of_lab
from server.store.tables import audit, estimates, results, scores

SHOWN = ("result.read", "report.read")
"""What the audit calls a look at a score."""


class PostgresEstimateRepository(Scoped):
    """Each method one transaction."""

    def keep(
        self, actor: Caller, result_id: ResultId, measure: Measure, values: Mapping[str, Said], *, first: bool
    ) -> Sequence[Estimate]:
        with self._transaction(actor) as connection:
            view = view_of(connection, actor, result_id)
            shown = not first or result_id in _seen(connection, actor, [result_id])
            said = {"lab": view.lab, "result_id": result_id, "subject": actor.subject, "measure": measure.code}
            column = "category" if measure.categorical else "value"
            rows = [{**said, "region": r, column: v, "score_shown": shown} for r, v in values.items()]
            for row in rows:
                connection.execute(insert(estimates).values(row))
            return _of_order(connection, result_id)

    def of(self, actor: Caller, result_id: ResultId) -> Sequence[Estimate]:
        with self._transaction(actor) as connection:
            view_of(connection, actor, result_id)
            return _of_order(connection, result_id)

    def known(self, actor: Caller, result_ids: Sequence[ResultId]) -> frozenset[ResultId]:
        with self._transaction(actor) as connection:
            mine = select(estimates.c.result_id).where(estimates.c.subject == actor.subject)
            orders = _orders(connection, result_ids)
            own = connection.execute(mine.where(estimates.c.result_id.in_(list(orders)))).scalars()
            return _seen(connection, actor, result_ids) | _same_order(orders, own, result_ids)

    def note_shown(self, actor: Caller, result_ids: Sequence[ResultId]) -> None:
        with self._transaction(actor) as connection:
            seen = _seen(connection, actor, result_ids)
            for result_id in dict.fromkeys(result_ids):
                if result_id not in seen:
                    note(connection, SHOWN[0], f"results/{result_id}")

    def compared(self, actor: Caller, wanted: EstimateFilter, limit: int) -> Sequence[Compared]:
        with self._transaction(actor) as connection:
            found = connection.execute(_compared(actor, wanted).limit(limit)).mappings().all()
        return [
            Compared(
                estimate=_estimate(row),
                lab=row["lab"],
                marker=row["marker"],
                score=_said(row["score"], row["score_category"]),
            )
            for row in reversed(found)
        ]


def _of_order(connection: Connection, result_id: ResultId) -> list[Estimate]:
    """Of the result and of those of the same order, oldest first."""
    same = list(_orders(connection, [result_id]))
    asked = select(estimates).where(estimates.c.result_id.in_(same)).order_by(estimates.c.id)
    return [_estimate(row) for row in connection.execute(asked).mappings()]


def _orders(connection: Connection, result_ids: Sequence[ResultId]) -> dict[str, str]:
    """The results and all others of the same orders; each with its order, one without with itself."""
    c = results.c
    asked = connection.execute(select(c.id, c.order_id).where(c.id.in_(result_ids))).all()
    orders = [row.order_id for row in asked if row.order_id is not None]
    others = connection.execute(select(c.id, c.order_id).where(c.order_id.in_(orders))).all() if orders else ()
    return {row.id: row.order_id or row.id for row in (*asked, *others)}


def _seen(connection: Connection, actor: Caller, result_ids: Sequence[ResultId]) -> frozenset[ResultId]:
    """Those of whose order the actor was shown a result."""
    orders, c = _orders(connection, result_ids), audit.c
    objects = [f"results/{result_id}" for result_id in orders]
    asked = select(c.object).where(c.object.in_(objects), c.subject == actor.subject, c.action.in_(SHOWN))
    shown = [thing.removeprefix("results/") for thing in connection.execute(asked).scalars()]
    return _same_order(orders, shown, result_ids)


def _same_order(orders: Mapping[str, str], found: Any, result_ids: Sequence[ResultId]) -> frozenset[ResultId]:
    of = {orders[result_id] for result_id in found}
    return frozenset(result_id for result_id in result_ids if orders.get(result_id) in of)


def _compared(actor: Caller, wanted: EstimateFilter) -> Select[Any]:
    """The newest first."""
    e = estimates.c
    same = and_(scores.c.result_id == e.result_id, scores.c.measure == e.measure, scores.c.region == e.region)
    of = estimates.join(scores, same).join(results, results.c.id == e.result_id)
    asked = select(
        estimates, results.c.marker, scores.c.value.label("score"), scores.c.category.label("score_category")
    )
    asked = asked.select_from(of)
    conditions = given(
        (wanted.marker, lambda v: results.c.marker == v),
        (wanted.reader, lambda v: e.subject == v),
        (wanted.made_from, lambda v: e.at >= v),
        (wanted.made_until, lambda v: e.at < v),
        (not wanted.shown, lambda _: e.score_shown.is_(False)),
    )
    known = (of_lab(e.lab, actor), or_(scores.c.value.is_not(None), scores.c.category.is_not(None)))
    return asked.where(*known, *conditions).order_by(e.id.desc())


def _estimate(row: RowMapping) -> Estimate:
    return Estimate(
        result_id=ResultId(row["result_id"]),
        by=row["subject"],
        at=row["at"].astimezone(UTC),
        measure=row["measure"],
        region=row["region"],
        value=_said(row["value"], row["category"]),
        score_shown=row["score_shown"],
    )


def _said(value: float | None, category: str | None) -> Said:
    """The one of them that there is."""
    found = category if value is None else value
    assert found is not None
    return found
