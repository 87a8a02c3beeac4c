"""The outbox: what has to leave, first in first out for each destination and order, at least once, with the bytes that
were finished.

A channel is what one laboratory sends to one destination. Of a channel one row at a time is taken, under a token and a
lease, the oldest whose order has no older one that waits: so several workers never send two of a channel at once, no
message of an order overtakes another of it, a message that isn't taken holds up its own order alone, no laboratory
waits for another's, and a worker that dies is replaced.
"""

import hashlib
import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import structlog
from sqlalchemy import Connection, Engine, RowMapping, and_, exists, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql import ColumnElement

from server import metrics
from server.domain.artifact import ArtifactKind
from server.domain.errors import ChromogenError, Failed, ServiceReason
from server.domain.order import Order
from server.domain.ports import Delivery
from server.domain.result import ResultId
from server.domain.states import DeliveryState
from server.lease import Leases, Renew
from server.store import artifacts
from server.store.answering import Answering
from server.store.answering import Channel as Channel
from server.store.database import transaction
from server.store.patience import Patience as Patience
from server.store.tables import outbox

Deliver = Callable[[Delivery], None]
"""Sends one thing and returns once it is taken. Raises Failed, retryable or not."""

DELIVERED = "delivered"
"""The event of the log that says what was taken: `reconcile` reads it after a restore."""
CHUNK = 1 << 18
HANGS_S = 600
"""After which a sender is taken for hung, as on a network folder that is gone."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    id: int
    order_id: str | None
    channel: Channel
    token: str
    attempts: int
    errors: int
    sha256: str
    delivery: Delivery


class _Lost(Exception):
    """The delivery has another sender now."""


def add(
    connection: Connection, order: Order, result_id: ResultId | None, deliveries: Sequence[tuple[Delivery, str]]
) -> None:
    """Queue deliveries in this order, each with the digest of its file, and keep their artifacts.

    A message that is there already is not queued again.
    """
    rows = rows_of(order, result_id, deliveries)
    if not rows:
        return
    queued = {row.path for row in connection.execute(_QUEUE, rows)}
    origin = artifacts.Origin(lab=order.request.lab, order_id=order.id, result_id=result_id)
    new = [(delivery, sha256) for delivery, sha256 in deliveries if str(delivery.path) in queued]
    artifacts.add(connection, artifacts.rows_of(origin, (), new))


def rows_of(
    order: Order, result_id: ResultId | None, deliveries: Sequence[tuple[Delivery, str]]
) -> list[dict[str, Any]]:
    """What is given of each row; the rest is the database's."""
    return [
        {
            "lab": order.request.lab,
            "order_id": order.id,
            "result_id": result_id,
            "destination": d.destination,
            "kind": d.kind,
            "message_id": d.message_id,
            "path": str(d.path),
            "sha256": sha256,
        }
        for d, sha256 in deliveries
    ]


def digest(path: Path) -> str:
    """SHA-256 of a file that is on the disk for good.

    Raises Failed DELIVERY_FAILED (retryable) when it can't be read.
    """
    try:
        with path.open("rb", buffering=0) as file:
            os.fsync(file.fileno())  # the database will say that it exists, and outlive a power cut
            found = hashlib.sha256()
            while chunk := file.read(CHUNK):
                found.update(chunk)
            return found.hexdigest()
    except OSError as error:
        kind = type(error).__name__
        raise Failed(ServiceReason.DELIVERY_FAILED, f"{path.name} can't be read ({kind})", retryable=True) from None


class PostgresOutbox:
    """`ports.Outbox`. `send_due` and `run` may be used by any number of threads and processes at once."""

    def __init__(self, engine: Engine, deliver: Deliver, *, patience: Patience | None = None) -> None:
        self._engine, self._deliver, self._patience = engine, deliver, patience or Patience()
        self._leases, self._answering = Leases(), Answering(rest_s=self._patience.first_s)

    def waiting(self) -> int:
        with transaction(self._engine) as connection:
            return connection.execute(select(func.count()).where(outbox.c.state == DeliveryState.WAITING)).scalar_one()

    def dead(self) -> int:
        with transaction(self._engine) as connection:
            return connection.execute(select(func.count()).where(outbox.c.state == DeliveryState.DEAD)).scalar_one()

    def send_due(self) -> int:
        """Empty every channel as far as it is due, channels beside one another. How many were delivered."""
        delivered: list[int] = []
        threads = [
            threading.Thread(target=lambda c=channel: delivered.append(self.drain(c)), daemon=True)
            for channel in self.channels()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(delivered)

    def run(self, stop: threading.Event, poll_s: float) -> None:
        """Send until `stop`; a channel that is slow holds up no other."""
        sending: dict[Channel, threading.Thread] = {}
        while not stop.wait(poll_s):
            try:
                due = self.channels()
            except Failed as error:
                log.warning("outbox_waits", reason=str(error.reason))
                continue
            for channel in due:
                free = channel not in sending or not sending[channel].is_alive()
                if free and not self._answering.rests(channel):
                    sending[channel] = threading.Thread(target=self.drain, args=(channel, stop), daemon=True)
                    sending[channel].start()

    def channels(self) -> list[Channel]:
        """Those of which something is due."""
        statement = select(outbox.c.destination, outbox.c.lab).where(_may_go()).distinct()
        with transaction(self._engine) as connection:
            return [Channel(destination=row.destination, lab=row.lab) for row in connection.execute(statement)]

    def drain(self, channel: Channel, stop: threading.Event | None = None) -> int:
        """Deliver what is due of a channel, until its destination can't be reached; how many were delivered.

        Raises nothing: what fails, waits.
        """
        delivered, destination = 0, channel.destination
        try:
            while (stop is None or not stop.is_set()) and (taken := self._take(channel)) is not None:
                delivered += self._send(taken)
                if self._answering.rests(channel):
                    break
        except Failed as error:  # the database; the row's lease runs out and it is sent again
            log.warning("outbox_waits", reason=str(error.reason), destination=destination)
        return delivered

    def _take(self, channel: Channel) -> _Taken | None:
        """The oldest that may go, where nothing of the channel is under way."""
        token = str(uuid.uuid4())
        mine = (outbox.c.destination == channel.destination, outbox.c.lab == channel.lab)
        under_way = select(literal(1)).where(*mine, _waits(), outbox.c.lease_until >= func.now()).limit(1)
        oldest = select(outbox.c.id).where(*mine, _may_go()).order_by(outbox.c.id).limit(1).scalar_subquery()
        values = {"token": token, "lease_until": _in(self._patience.lease_s), "attempts": outbox.c.attempts + 1}
        with transaction(self._engine) as connection:
            if not connection.execute(_ALONE, {"channel": f"{channel.destination}/{channel.lab}"}).scalar_one():
                return None  # another worker is just taking
            if connection.execute(under_way).first() is not None:
                return None
            taking = update(outbox).where(outbox.c.id == oldest).values(values).returning(outbox)
            row = connection.execute(taking).mappings().first()
        return None if row is None else _taken(row, token)

    def _send(self, taken: _Taken) -> bool:
        try:
            with self._leases.held(self._renewal(taken), self._patience.lease_s / 3):
                self._send_unchanged(taken)
        except _Lost:
            log.warning("delivery_lost", kind=taken.delivery.kind, destination=taken.delivery.destination)
            return False
        except ChromogenError as error:
            not_its_fault = error.reason == ServiceReason.DATABASE_FAILED  # nothing was sent yet
            self._put_back(taken, str(error.reason), retryable=error.retryable or not_its_fault)
            return False
        except Exception as error:  # a sender's fault must not end the thread that serves the destination
            self._put_back(taken, type(error).__name__, retryable=True)
            return False
        self._settle(taken, {"state": DeliveryState.SENT, "ended_at": func.now(), "reason": ""})
        if self._answering.answered(taken.channel, taken.id):
            self._hurry(taken.delivery.destination)
        metrics.DELIVERIES.labels(taken.delivery.destination, taken.delivery.kind, DeliveryState.SENT).inc()
        sent = {"order": taken.order_id, "destination": taken.delivery.destination, "kind": taken.delivery.kind}
        log.info(DELIVERED, **sent, message=taken.delivery.message_id, attempts=taken.attempts)
        return True

    def _send_unchanged(self, taken: _Taken) -> None:
        _check_is_there(taken.delivery.path)
        if digest(taken.delivery.path) != taken.sha256:
            raise Failed(ServiceReason.DELIVERY_FAILED, f"{taken.delivery.path.name} is not the file that was finished")
        if not self._renewed(taken):  # this process stood still meanwhile, and later messages may have gone out
            raise _Lost
        self._deliver(taken.delivery)

    def _renewal(self, taken: _Taken) -> Renew:
        """A sender that died is replaced soon, a slow one only when it hangs."""
        hangs_at = time.monotonic() + HANGS_S

        def renew() -> bool:
            try:
                self._renewed(taken)
            except Failed as error:
                log.warning("delivery_lease_not_renewed", reason=str(error.reason))
            return time.monotonic() < hangs_at

        return renew

    def _renewed(self, taken: _Taken) -> bool:
        """Whether the row was still ours and its lease begins anew."""
        mine = (outbox.c.id == taken.id, outbox.c.state == DeliveryState.WAITING, outbox.c.token == taken.token)
        with transaction(self._engine) as connection:
            renewal = update(outbox).where(*mine).values(lease_until=_in(self._patience.lease_s))
            return connection.execute(renewal).rowcount == 1

    def _put_back(self, taken: _Taken, reason: str, *, retryable: bool) -> None:
        wait_s, give_up = self._patience.wait_s(taken.attempts), _in(-self._patience.give_up_s)
        errors = taken.errors + self._is_its_own(taken, reason, retryable)
        values: dict[str, Any] = {"reason": reason, "due_at": _in(wait_s), "errors": errors}
        most = self._patience.errors_of.get(taken.delivery.destination, self._patience.errors)
        hopeless = not retryable or errors >= most
        if hopeless or not self._settle(taken, values, outbox.c.created_at > give_up):
            self._settle(taken, values | {"state": DeliveryState.DEAD, "ended_at": func.now()})
            self._answering.ended(taken.id)
        metrics.DELIVERIES.labels(taken.delivery.destination, taken.delivery.kind, reason).inc()
        log.warning("not_delivered", kind=taken.delivery.kind, destination=taken.delivery.destination, reason=reason)

    def _is_its_own(self, taken: _Taken, reason: str, retryable: bool) -> bool:
        """An error of the receiver's; or nothing from it, though it answered others since this message's last try."""
        if reason == ServiceReason.DELIVERY_FAILED and retryable:
            return self._answering.silent(taken.channel, taken.id)
        return reason == ServiceReason.RECEIVER_ERROR

    def _hurry(self, destination: str) -> None:
        """A destination is back: what waited for it needn't wait longer."""
        held_up = (outbox.c.destination == destination, _waits(), outbox.c.lease_until.is_(None))
        away = (outbox.c.reason == ServiceReason.DELIVERY_FAILED, outbox.c.errors == 0)
        with transaction(self._engine) as connection:
            connection.execute(update(outbox).where(*held_up, *away).values(due_at=func.now()))

    def _settle(self, taken: _Taken, values: dict[str, Any], *conditions: ColumnElement[bool]) -> bool:
        """Whether the row was still ours and changed."""
        statement = (
            update(outbox)
            .where(
                outbox.c.id == taken.id,
                outbox.c.state == DeliveryState.WAITING,
                outbox.c.token == taken.token,
                *conditions,
            )
            .values({**values, "token": None, "lease_until": None})
        )
        with transaction(self._engine) as connection:
            return connection.execute(statement).rowcount == 1


def _check_is_there(path: Path) -> None:
    """Raises Failed DELIVERY_FAILED, for good, where the file is gone and its folder is there; a share comes back."""
    if not path.exists() and path.parent.is_dir():
        raise Failed(ServiceReason.DELIVERY_FAILED, f"{path.name} is gone: restore it from the backup, then replay")


def _waits() -> ColumnElement[bool]:
    return outbox.c.state == DeliveryState.WAITING


def _may_go() -> ColumnElement[bool]:
    """Due, under nobody's lease, and no older message of its order waits for this destination."""
    older = outbox.alias("older")
    first = ~exists().where(
        older.c.state == DeliveryState.WAITING,
        older.c.order_id == outbox.c.order_id,
        older.c.destination == outbox.c.destination,
        older.c.id < outbox.c.id,
    )
    free = or_(outbox.c.lease_until.is_(None), outbox.c.lease_until < func.now())
    return and_(_waits(), outbox.c.due_at <= func.now(), free, first)


def _in(seconds: float) -> ColumnElement[Any]:
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, literal(float(seconds)))


def _kind(name: str) -> ArtifactKind:
    """One that a newer version queued stays as it is written: nothing here sends it, and it is dead at once."""
    return ArtifactKind(name) if name in set(ArtifactKind) else cast(ArtifactKind, name)


def _taken(row: RowMapping, token: str) -> _Taken:
    delivery = Delivery(
        kind=_kind(row["kind"]),
        destination=row["destination"],
        path=Path(row["path"]),
        message_id=row["message_id"],
    )
    counts = {"attempts": row["attempts"], "errors": row["errors"]}
    channel = Channel(destination=row["destination"], lab=row["lab"])
    order_id = None if row["order_id"] is None else str(row["order_id"])
    return _Taken(
        id=row["id"], order_id=order_id, channel=channel, token=token, sha256=row["sha256"], delivery=delivery, **counts
    )


_ALONE = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:channel, 8))")
"""Two workers that take at once would each see nothing under way."""

# RETURNING makes SQLAlchemy send all rows as one statement; the identity column follows the order of VALUES.
_QUEUE = insert(outbox).on_conflict_do_nothing().returning(outbox.c.id, outbox.c.path)
