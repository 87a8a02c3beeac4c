"""Results as the API sees them: read, listed, added to by rescoring, signed.

`server.services.results` makes a service of it.
"""

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, false, func, insert, or_, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql import ColumnElement

from server.domain.access import Caller
from server.domain.errors import Refused, ServiceReason
from server.domain.order import Order, OrderId
from server.domain.ports import Delivery
from server.domain.result import Result, ResultId
from server.domain.states import SIGNED, OrderState, ResultState, check_result_transition
from server.domain.views import (
    CaseView,
    CohortFilter,
    Entry,
    Page,
    PageKey,
    ResultFilter,
    ResultView,
    SlideName,
    SummaryView,
    check_etag,
)
from server.store import orders, outbox
from server.store import results as rows
from server.store.scope import Scoped, given, is_uuid, key_text, of_lab, page_of
from server.store.tables import orders as order_rows
from server.store.tables import rescore_requests, results, signatures

MOST_OF_A_CASE = 200


class PostgresResultRepository(Scoped):
    """Each method one transaction. Raises Refused RESULT_UNKNOWN for what isn't the actor's laboratory's."""

    def get(self, actor: Caller, result_id: ResultId) -> ResultView:
        with self._transaction(actor) as connection:
            return view_of(connection, actor, result_id)

    def order_of(self, actor: Caller, result_id: ResultId) -> Order | None:
        """The order that a result answers, with its patient."""
        with self._transaction(actor) as connection:
            order_id = view_of(connection, actor, result_id).result.order_id
            return None if order_id is None else orders.view(connection, order_id).order

    def list(self, actor: Caller, wanted: ResultFilter, limit: int, after: PageKey) -> Page[SummaryView]:
        columns = (results.c.created_at, results.c.id)
        asked = select(results).where(of_lab(results.c.lab, actor), *_conditions(wanted))
        with self._transaction(actor) as connection:
            found = connection.execute(page_of(asked, columns, after, limit)).mappings().all()
            views = views_of(connection, found[:limit])
        last = found[limit - 1] if len(found) > limit else None
        key = None if last is None else tuple(key_text(last[column.name]) for column in columns)
        return Page(items=tuple(views), next=key)

    def history(self, actor: Caller, slide: SlideName, limit: int) -> Sequence[SummaryView]:
        same = given(
            (slide.series_uid, lambda v: results.c.series_uid == v),
            (slide.container_id, lambda v: results.c.container_id == v),
        )
        asked = select(results).where(of_lab(results.c.lab, actor), *same).order_by(results.c.created_at, results.c.id)
        with self._transaction(actor) as connection:
            return views_of(connection, connection.execute(asked.limit(limit)).mappings().all())

    def case(self, actor: Caller, order_id: OrderId) -> Sequence[CaseView]:
        """Of each order of the same patient and accession number, study or specimen, if it is DONE, the result that
        counts; the oldest order first.
        """
        with self._transaction(actor) as connection:
            named = select(order_rows).where(order_rows.c.id == order_id, of_lab(order_rows.c.lab, actor))
            order = connection.execute(named).mappings().first() if is_uuid(order_id) else None
            if order is None:
                raise Refused(ServiceReason.ORDER_UNKNOWN, "no such order in this laboratory: check the identifier")
            found = connection.execute(_case(order).limit(MOST_OF_A_CASE)).mappings().all()
            return [
                CaseView(view=view, order_id=OrderId(row["of_order"]), specimen=row["of_specimen"] or "")
                for view, row in zip(views_of(connection, found), found, strict=True)
            ]

    def keep(self, actor: Caller, result: Result, lab: str) -> ResultView:
        """Add a result, or return the one of its id that is there."""
        with self._transaction(actor) as connection:
            _lock(connection, result.id)
            if connection.execute(select(results.c.id).where(results.c.id == result.id)).first() is None:
                rows.add(connection, result, lab)
            return view_of(connection, actor, result.id)

    def heed(self, actor: Caller, request_id: str, result_id: ResultId, profile: str) -> None:
        asked = {"result_id": result_id, "profile": profile}
        key = {"lab": actor.lab, "request_id": request_id}
        c = rescore_requests.c
        with self._transaction(actor) as connection:
            added = upsert(rescore_requests).values(key | asked).on_conflict_do_nothing().returning(c.request_id)
            if connection.execute(added).first() is not None:
                return
            same = select(c.result_id, c.profile).where(c.lab == actor.lab, c.request_id == request_id)
            if dict(connection.execute(same).mappings().one()) != asked:
                message = "request_id was used for another request: give each request its own"
                raise Refused(ServiceReason.REQUEST_ID_REUSED, message)

    def cohort(self, actor: Caller, wanted: CohortFilter, limit: int) -> Sequence[ResultId]:
        with self._transaction(actor) as connection:
            return [ResultId(row.id) for row in connection.execute(_cohort(actor, wanted).limit(limit))]

    def several(self, actor: Caller, result_ids: Sequence[ResultId]) -> Sequence[ResultView]:
        mine = select(results).where(results.c.id.in_(result_ids), of_lab(results.c.lab, actor))
        with self._transaction(actor) as connection:
            found = connection.execute(mine).mappings().all()
            whole, last = rows.several(connection, found), _last(connection, [row["id"] for row in found])
        labs = {row["id"]: row["lab"] for row in found}
        return [ResultView(result=one, lab=labs[one.id], **_said(last.get(one.id))) for one in whole]

    def record(
        self, actor: Caller, entries: Sequence[Entry], deliveries: Sequence[Delivery], *, unless_signed: bool = False
    ) -> ResultView:
        """Say all of it, or nothing; `deliveries` are of the first entry's result. Returns the first as it is then.

        `unless_signed`: they are left out where a result of the order is signed, and its receivers know that one.
        Of an order's results one is signed at most. Raises Refused RESULT_STATE, ETAG_MISMATCH; Failed DELIVERY_FAILED
        when a file to be sent is missing.
        """
        digests = [outbox.digest(delivery.path) for delivery in deliveries]
        with self._transaction(actor) as connection:
            order_id = view_of(connection, actor, entries[0].result_id).result.order_id
            names = sorted(
                entry.result_id for entry in entries
            )  # one order for all, lest two callers wait for each other
            for name in [*([] if order_id is None else [f"order {order_id}"]), *names]:
                _lock(connection, name)
            for entry in entries:
                _say(connection, actor, entry)
            number_signed = 0 if order_id is None else _signed(connection, order_id)
            if (
                number_signed > 1
            ):  # two final answers to one question: which of them counts would hang on which came last
                instead = "another result of the same order is signed: amend that one, with this one as its replacement"
                raise Refused(ServiceReason.RESULT_STATE, instead)
            view = view_of(connection, actor, entries[0].result_id)
            if view.result.order_id is not None and not (unless_signed and number_signed):
                order = orders.view(connection, view.result.order_id).order
                outbox.add(connection, order, view.result.id, list(zip(deliveries, digests, strict=True)))
            return view


def _say(connection: Connection, actor: Caller, entry: Entry) -> None:
    view = view_of(connection, actor, entry.result_id)
    check_etag(entry.etag, view.etag)
    check_result_transition(view.state, entry.state)
    values = {
        "lab": view.lab,
        "result_id": view.result.id,
        "state": entry.state,
        "subject": actor.subject,
        "reason": entry.reason,
    }
    connection.execute(insert(signatures), values)


def _signed(connection: Connection, order_id: OrderId) -> int:
    """How many results of the order are."""
    return len(
        connection.execute(select(results.c.id).where(results.c.order_id == order_id, state_of().in_(SIGNED))).all()
    )


def _lock(connection: Connection, name: str) -> None:
    """Until the transaction ends; rows of `results` can't be locked by who may not change them."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 0))"), {"id": name})


def view_of(connection: Connection, actor: Caller, result_id: str) -> ResultView:
    statement = select(results.c.id, results.c.lab).where(results.c.id == result_id, of_lab(results.c.lab, actor))
    row = connection.execute(statement).mappings().first() if is_uuid(result_id) else None
    if row is None:
        raise Refused(ServiceReason.RESULT_UNKNOWN, "no such result in this laboratory: check the identifier")
    result = rows.get(connection, ResultId(row["id"]))
    return ResultView(result=result, lab=row["lab"], **_said(_last(connection, [result.id]).get(result.id)))


def views_of(connection: Connection, found: Sequence[RowMapping]) -> list[SummaryView]:
    """Of rows of `results`: four statements with theirs, however many they are."""
    summaries, last = rows.summaries(connection, found), _last(connection, [row["id"] for row in found])
    return [
        SummaryView(result=summary, lab=row["lab"], **_said(last.get(summary.id)))
        for summary, row in zip(summaries, found, strict=True)
    ]


def _last(connection: Connection, result_ids: Sequence[str]) -> dict[str, RowMapping]:
    """What was said last of each of them of which something was."""
    said = select(signatures).where(signatures.c.result_id.in_(result_ids)).order_by(signatures.c.id)
    return {row["result_id"]: row for row in connection.execute(said).mappings()}


def _said(last: RowMapping | None) -> dict[str, Any]:
    """As a view has it."""
    if last is None:
        return {"state": ResultState.PRELIMINARY}
    signed = {"signed_by": last["subject"], "signed_at": last["at"].astimezone(UTC)}
    return {"state": ResultState(last["state"]), **signed, "reason": last["reason"]}


def state_of() -> ColumnElement[str]:
    """Of a row of `results`: what was said of it last."""
    last = (
        select(signatures.c.state)
        .where(signatures.c.result_id == results.c.id)
        .order_by(signatures.c.id.desc())
        .limit(1)
    )
    return func.coalesce(last.correlate(results).scalar_subquery(), ResultState.PRELIMINARY.value)


def _is(state: ResultState) -> ColumnElement[bool]:
    """Few of many results are in most states: who asks for those must not make PostgreSQL look up the last word of
    each.
    """
    said = select(signatures.c.id).where(signatures.c.result_id == results.c.id).correlate(results)
    if state is ResultState.PRELIMINARY:
        return ~said.exists()
    return and_(said.where(signatures.c.state == state).exists(), state_of() == state)


def _conditions(wanted: ResultFilter) -> list[ColumnElement[bool]]:
    c = results.c
    return given(
        (wanted.order_id, lambda v: c.order_id == v),
        (wanted.state, _is),
        (wanted.created_from, lambda v: c.created_at >= v),
        (wanted.created_until, lambda v: c.created_at < v),
        (wanted.marker, lambda v: c.marker == v),
        (wanted.first_only, lambda _: c.predecessor.is_(None)),
    )


def _case(order: RowMapping) -> Select[Any]:
    """Results of an order and of those of the same patient that have the same accession number, study or specimen."""
    o, r = order_rows.c, results.c
    shared = [
        getattr(o, column)[key].astext == order[column][key]
        for column, key in (("slide", "accession_number"), ("slide", "study_uid"), ("specimen", "id"))
        if order[column].get(key)
    ]
    patient = [o.patient[key].astext == order["patient"].get(key, "") for key in ("id", "id_authority")]
    same = and_(*patient, or_(*shared)) if shared and order["patient"].get("id") else false()
    chosen = (
        select(
            _counting().label("id"), o.received_at, o.id.label("of_order"), o.specimen["id"].astext.label("of_specimen")
        )
        .where(o.lab == order["lab"], o.state == OrderState.DONE, or_(o.id == order["id"], same))
        .subquery()
    )
    return (
        select(results, chosen.c.of_order, chosen.c.of_specimen)
        .join(chosen, r.id == chosen.c.id)
        .order_by(chosen.c.received_at, r.id)
    )


def _counting() -> ColumnElement[str]:
    """Of an order that is DONE the result that counts: the signed one, else the order's."""
    r = results.c
    signed = select(r.id).where(r.order_id == order_rows.c.id, state_of().in_(SIGNED)).limit(1).correlate(order_rows)
    return func.coalesce(signed.scalar_subquery(), order_rows.c.result_id)


def _cohort(actor: Caller, wanted: CohortFilter) -> Select[Any]:
    """Of each order that is DONE the result that counts: the signed one, else the order's; the oldest order first."""
    o, r = order_rows.c, results.c
    asked = given(
        (wanted.received_from, lambda v: o.received_at >= v),
        (wanted.received_until, lambda v: o.received_at < v),
        (wanted.container_ids, lambda v: o.container_id.in_(v)),
    )
    mine = (of_lab(o.lab, actor), o.marker == wanted.marker, o.state == OrderState.DONE, *asked)
    chosen = select(_counting().label("id"), o.received_at).where(*mine).subquery()
    found = select(chosen.c.id).join(results, r.id == chosen.c.id).order_by(chosen.c.received_at, chosen.c.id)
    if wanted.profile:
        label = func.concat(r.profile["name"].astext, "/", r.profile["revision"].astext)
        found = found.where(label == wanted.profile)
    return found
