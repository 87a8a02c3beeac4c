"""`ports.Store` on PostgreSQL: each method one transaction, committed on return."""

import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager

import structlog
from sqlalchemy import Connection, Engine, exc

from server import metrics
from server.domain.arrival import Arrived
from server.domain.cancellation import Cancellation, CancelOutcome
from server.domain.control import ChartKey, ControlPoint, ControlRange, RunControl
from server.domain.errors import OUTAGES, SLIDE_TO_COME, Failed, Refused, ServiceReason
from server.domain.order import Order, OrderId, Priority, Request
from server.domain.ports import Claim, Delivery, OrderView
from server.domain.profile import Profile
from server.domain.result import Result, ResultId
from server.domain.states import MAX_ATTEMPTS, OrderState
from server.domain.validation import Validation
from server.store import abandoned, arrivals, cancel, controls, finish, orders, outbox, profiles, results, validations
from server.store.abandoned import Abandoned
from server.store.database import called, transaction
from server.store.migrate import Tables
from server.store.notify import Notify, notified, notify_nobody
from server.store.validation_tables import validations as validation_table

WORKER = "worker"
"""What the audit calls whoever runs cases."""

ENDS_NOTIFIED = frozenset({OrderState.REFUSED, OrderState.DEAD})

OUTAGE_WAIT_S = 72 * 3600.0
"""For so long a case isn't to blame for what is away, or for what the database refuses: a missing migration or right is
for a person to put right.
"""

log = structlog.get_logger()


class PostgresStore:
    """Every method raises Failed DATABASE_UNREACHABLE (retryable) or DATABASE_FAILED beside what it names itself."""

    def __init__(
        self,
        engine: Engine,
        *,
        max_attempts: int = MAX_ATTEMPTS,
        stat_only: bool = False,
        slide_wait_s: float = 0,
        outage_wait_s: float = OUTAGE_WAIT_S,
        notify: Notify = notify_nobody,
    ) -> None:
        """`stat_only`: of a worker that is kept for urgent orders; to it no other is due.

        An order whose slide, or the score of its run's control slide, isn't there, or isn't whole, waits `slide_wait_s`
        before it is refused; one that an outage stopped `outage_wait_s` before that counts as an attempt.
        """
        self._engine, self._max_attempts = engine, max_attempts
        self._least_urgent = Priority.STAT if stat_only else Priority.ROUTINE
        self._notify, self._tables = notify, Tables()
        self._slide_wait_s, self._outage_wait_s = slide_wait_s, outage_wait_s

    def accept(self, request: Request) -> tuple[Order, bool]:
        """Raises Refused MESSAGE_INVALID for text that PostgreSQL can't hold (a NUL character), and for reused
        identifiers.
        """
        try:
            with transaction(self._engine, lab=request.lab, subject=request.sender.name) as connection:
                try:
                    order, new = orders.accept(connection, request)
                except exc.DataError:
                    raise _unkeepable() from None
        except ValueError:
            raise _unkeepable() from None
        orders.check_same(order.request, request)
        return order, new

    def cancel(self, asked: Cancellation) -> CancelOutcome:
        """Take an order back by a message.

        Raises Refused MESSAGE_INVALID for reused identifiers and what can't be kept, Failed DELIVERY_FAILED (retryable)
        while whoever else ordered it can't be told.
        """
        try:
            with transaction(self._engine, lab=asked.lab, subject=asked.sender.name) as connection:
                try:
                    return cancel.cancel_by_message(connection, asked, self._notify)
                except exc.DataError:
                    raise _unkeepable() from None
        except ValueError:
            raise _unkeepable() from None

    def wake(self, labs: Sequence[str] | None, slide: Arrived) -> int:
        """Make due at once what waits for a slide that came, in these laboratories (None: in any); how many orders."""
        with transaction(self._engine, subject=WORKER) as connection:
            return arrivals.wake(connection, labs, slide)

    def is_ordered(self, lab: str, marker: str, slide: Arrived) -> bool:
        """Whether a laboratory ordered a slide for a marker, however that ended."""
        with transaction(self._engine, lab=lab) as connection:
            return arrivals.is_ordered(connection, lab, marker, slide)

    def claim(self, order_id: OrderId, lease_s: float) -> Claim | None:
        """Raises Failed DATABASE_FAILED (retryable) while the tables are an older version's, as `take` does."""
        self._tables.check_once(self._engine)
        with transaction(self._engine, subject=WORKER) as connection:
            claim = orders.claim(connection, order_id, lease_s, self._max_attempts)
            given_up = abandoned.found(connection, order_id, self._max_attempts) if claim is None else None
        if given_up is not None:
            self._end_abandoned(given_up)
        return claim

    def take(self, lease_s: float) -> Claim | None:
        self._tables.check_once(self._engine)
        given = {"lease_s": float(lease_s), "most": self._max_attempts, "least": self._least_urgent.rank}
        return orders.taken(
            called(self._engine, orders.TAKE, given | {"subject": WORKER, "new_token": str(uuid.uuid4())})
        )

    def progress(self, claim: Claim, share: float, lease_s: float) -> None:
        with self._of(claim) as connection:
            orders.progress(connection, claim, share, lease_s)

    def finish(self, claim: Claim, result: Result, deliveries: Sequence[Delivery]) -> None:
        """Raises Failed ATTEMPT_LOST; Failed DELIVERY_FAILED when a file to be sent is missing.

        Nothing is half-written. A value of our own that the database can't hold is no fault of the order's.
        """
        digests = [outbox.digest(delivery.path) for delivery in deliveries]
        given = finish.given(claim, result, list(zip(deliveries, digests, strict=True)))
        try:
            done = called(self._engine, finish.FINISH, given | {"subject": WORKER})
        except Refused as error:
            raise Failed(ServiceReason.DATABASE_FAILED, error.message) from None
        if done is None or not done["done"]:
            raise orders.lost(claim)

    def end(self, claim: Claim, state: OrderState, reason: str, detail: str) -> OrderState:
        """Raises Failed ATTEMPT_LOST.

        Failed DELIVERY_FAILED while what is to be said can't be written: `claim` ends it later.
        """
        reached = orders.reached_by(claim, state, self._max_attempts)
        if self._waits(claim, state, reason, detail):
            return OrderState.QUEUED
        message = self._notified(claim, reached, reason, detail) if reached in ENDS_NOTIFIED else []
        with self._of(claim) as connection:
            orders.end(connection, claim, reached, reason, detail)
            outbox.add(connection, claim.order, None, message)
            return reached

    def _waits(self, claim: Claim, state: OrderState, reason: str, detail: str) -> bool:
        to_come = state is OrderState.REFUSED and reason in SLIDE_TO_COME
        if to_come or reason == ServiceReason.CONTROL_PENDING:
            longest_s, pause_s = self._slide_wait_s, None
        elif state is OrderState.QUEUED and reason in OUTAGES:
            longest_s = self._outage_wait_s
            pause_s = None if reason == ServiceReason.DATABASE_FAILED else orders.OUTAGE_PAUSE_S
        else:
            return False
        with self._of(claim) as connection:
            return orders.wait(connection, claim, reason, detail, longest_s, pause_s=pause_s)

    def _notified(self, claim: Claim, reached: OrderState, reason: str, detail: str) -> list[tuple[Delivery, str]]:
        """While it can't be written, the end is kept for `claim` to finish, and said so to the worker."""
        try:
            return notified(self._notify, claim.order, reason, detail)
        except Failed:
            with self._of(claim) as connection:
                abandoned.keep_end(connection, claim, reached, reason, detail)
            raise

    def _end_abandoned(self, given_up: Abandoned) -> None:
        """Raises nothing of the message's: an order that can't be ended now is found again, and
        others are not held up.
        """
        order = given_up.order
        try:
            message = notified(self._notify, order, given_up.reason, given_up.detail)
        except Failed as error:
            log.warning("abandoned_order_not_ended", order=order.id, reason=str(error.reason))
            with transaction(self._engine, lab=order.request.lab, subject=WORKER) as connection:
                abandoned.postpone(connection, given_up, self._max_attempts)
            return
        with transaction(self._engine, lab=order.request.lab, subject=WORKER) as connection:
            ended = abandoned.end(connection, given_up, self._max_attempts)
            if ended:
                outbox.add(connection, order, None, message)
        if ended:
            metrics.CASES.labels(str(given_up.state), given_up.reason).inc()
            log.warning("abandoned_order_ended", order=order.id, state=str(given_up.state), reason=given_up.reason)

    def release(self, claim: Claim) -> None:
        with self._of(claim) as connection:
            orders.release(connection, claim)

    def order(self, order_id: OrderId) -> OrderView:
        with transaction(self._engine) as connection:
            return orders.view(connection, order_id)

    def orders(self, limit: int = 50) -> list[OrderView]:
        with transaction(self._engine) as connection:
            return orders.newest(connection, limit)

    def due(self, limit: int = 10) -> list[OrderId]:
        with transaction(self._engine, unsorted=True) as connection:
            return orders.due(connection, limit, least_urgent=self._least_urgent)

    def profiles(self, lab: str, marker: str) -> list[Profile]:
        with transaction(self._engine, lab=lab) as connection:
            return profiles.fitting(connection, lab, marker)

    def add_profile(self, profile: Profile) -> None:
        with transaction(self._engine, lab=profile.key.lab) as connection:
            profiles.add(connection, profile)

    def validations(self, lab: str, name: str, revision: int) -> list[Validation]:
        with transaction(self._engine, lab=lab) as connection:
            return validations.found(connection, validation_table.c.lab == lab, name, revision)

    def result(self, result_id: ResultId) -> Result:
        with transaction(self._engine) as connection:
            return results.get(connection, result_id)

    def control_ranges(self, lab: str, marker: str) -> list[ControlRange]:
        with transaction(self._engine, lab=lab) as connection:
            return controls.ranges(connection, lab, marker)

    def run_control(self, lab: str, marker: str, staining_run: str) -> RunControl | None:
        with transaction(self._engine, lab=lab) as connection:
            return controls.run_control(connection, lab, marker, staining_run)

    def control_pending(self, lab: str, marker: str, staining_run: str) -> bool:
        with transaction(self._engine, lab=lab) as connection:
            return controls.pending(connection, lab, marker, staining_run)

    def control_points(self, lab: str, key: ChartKey, limit: int) -> list[ControlPoint]:
        with transaction(self._engine, lab=lab) as connection:
            return controls.points(connection, lab, key, limit)

    def _of(self, claim: Claim) -> AbstractContextManager[Connection]:
        return transaction(self._engine, lab=claim.order.request.lab, subject=WORKER)


def _unkeepable() -> Refused:
    return Refused(ServiceReason.MESSAGE_INVALID, "the order holds a character that can't be kept (NUL)")
