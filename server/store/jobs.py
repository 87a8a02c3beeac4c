"""`repositories.JobRepository` and what a worker does with jobs, on PostgreSQL. The database's clock decides."""

import json
import uuid
from datetime import UTC
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, Select, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from server.domain.access import Caller
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.job import MAX_ATTEMPTS, Job, JobClaim, JobId, JobKind, Json
from server.domain.states import JobState
from server.domain.views import Page, PageKey
from server.store.database import transaction
from server.store.orders import DEFER
from server.store.scope import Scoped, is_uuid, key_text, of_lab, page_of
from server.store.tables import jobs

QUEUE, TASK = "jobs", "chromogen.job"
"""procrastinate's names for what a new job puts in."""
WORKER = "worker"


class PostgresJobRepository(Scoped):
    """Each method one transaction."""

    def create(self, actor: Caller, kind: JobKind, given: Json, request_id: str) -> Job:
        with self._transaction(actor) as connection:
            columns: dict[str, Any] = {"id": str(uuid.uuid4()), "lab": actor.lab, "kind": kind, "given": dict(given)}
            columns |= {"subject": actor.subject, "request_id": request_id}
            statement = upsert(jobs).values(columns).on_conflict_do_nothing().returning(jobs)
            row = connection.execute(statement).mappings().first()
            if row is None:
                return _repeated(connection, actor, kind, given, request_id)
            _defer(connection)
            return _of(row)

    def get(self, actor: Caller, job_id: JobId) -> Job:
        statement = select(jobs).where(jobs.c.id == job_id, of_lab(jobs.c.lab, actor))
        with self._transaction(actor) as connection:
            row = connection.execute(statement).mappings().first() if is_uuid(job_id) else None
        if row is None:
            raise Refused(ServiceReason.JOB_UNKNOWN, "no such job in this laboratory: check the identifier")
        return _of(row)

    def list(self, actor: Caller, kind: JobKind, limit: int, after: PageKey) -> Page[Job]:
        columns = (jobs.c.created_at, jobs.c.id)
        statement: Select[Any] = select(jobs).where(of_lab(jobs.c.lab, actor), jobs.c.kind == kind)
        with self._transaction(actor) as connection:
            rows = connection.execute(page_of(statement, columns, after, limit)).mappings().all()
        last = rows[limit - 1] if len(rows) > limit else None
        more = None if last is None else tuple(key_text(last[c.name]) for c in columns)
        return Page(items=tuple(map(_of, rows[:limit])), next=more)


class JobStore:
    """What a worker does with jobs; each method one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take(self, lease_s: float) -> JobClaim | None:
        """The oldest that is due, or whose worker vanished; those that vanished too often fail."""
        with transaction(self._engine, subject=WORKER) as connection:
            _give_up(connection)
            due = (
                select(jobs.c.id)
                .where(or_(jobs.c.state == JobState.QUEUED, _vanished()))
                .order_by(jobs.c.created_at, jobs.c.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            values = {"state": JobState.RUNNING, "token": str(uuid.uuid4()), "lease_until": _lease(lease_s)}
            values |= {"attempt": jobs.c.attempt + 1, "updated_at": func.now()}
            statement = update(jobs).where(jobs.c.id == due.scalar_subquery()).values(values).returning(jobs)
            row = connection.execute(statement).mappings().first()
        return None if row is None else JobClaim(job=_of(row), token=row["token"])

    def progress(self, claim: JobClaim, share: float, lease_s: float) -> None:
        """Raises Failed ATTEMPT_LOST where another worker has it."""
        shown = func.greatest(jobs.c.progress, share)
        self._change(claim, {"progress": shown, "lease_until": _lease(lease_s), "updated_at": func.now()})

    def done(self, claim: JobClaim, outcome: Json) -> None:
        """Raises Failed ATTEMPT_LOST."""
        self._change(claim, _ended(JobState.DONE) | {"progress": 1.0, "outcome": dict(outcome)})

    def failed(self, claim: JobClaim, reason: str, detail: str) -> None:
        """Raises Failed ATTEMPT_LOST."""
        self._change(claim, _ended(JobState.FAILED) | {"reason": reason, "detail": detail})

    def _change(self, claim: JobClaim, values: dict[str, Any]) -> None:
        held = and_(jobs.c.id == claim.job.id, jobs.c.token == claim.token)
        with transaction(self._engine, lab=claim.job.lab, subject=WORKER) as connection:
            if connection.execute(update(jobs).where(held).values(values)).rowcount != 1:
                raise Failed(ServiceReason.ATTEMPT_LOST, "another worker has the job")


def _repeated(connection: Connection, actor: Caller, kind: JobKind, given: Json, request_id: str) -> Job:
    """The first answer again. Raises Refused REQUEST_ID_REUSED."""
    same = (jobs.c.lab == actor.lab, jobs.c.request_id == request_id)
    row = connection.execute(select(jobs).where(*same)).mappings().one()
    if row["kind"] != kind or row["given"] != json.loads(json.dumps(dict(given))):
        message = "request_id was used for another request: give each request its own"
        raise Refused(ServiceReason.REQUEST_ID_REUSED, message)
    return _of(row)


def _give_up(connection: Connection) -> None:
    lost = _ended(JobState.FAILED) | {
        "reason": ServiceReason.WORKER_LOST,
        "detail": f"{MAX_ATTEMPTS} workers vanished while they ran it",
    }
    connection.execute(update(jobs).where(_overdue(), jobs.c.attempt >= MAX_ATTEMPTS).values(lost))


def _overdue() -> Any:
    return and_(jobs.c.state == JobState.RUNNING, jobs.c.lease_until < func.now())


def _vanished() -> Any:
    return and_(_overdue(), jobs.c.attempt < MAX_ATTEMPTS)


def _ended(state: JobState) -> dict[str, Any]:
    return {"state": state, "token": None, "lease_until": None, "updated_at": func.now()}


def _lease(seconds: float) -> Any:
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def _defer(connection: Connection) -> None:
    """A free worker hears of it at the commit; what it isn't told of, it finds by looking."""
    connection.execute(DEFER, {"queue": QUEUE, "task": TASK, "priority": 0, "args": "{}", "delay_s": 0})


def _of(row: RowMapping) -> Job:
    same = ("id", "lab", "subject", "given", "progress", "outcome", "reason", "detail")
    times = {name: row[name].astimezone(UTC) for name in ("created_at", "updated_at")}
    return Job(**{name: row[name] for name in same}, kind=JobKind(row["kind"]), state=JobState(row["state"]), **times)
