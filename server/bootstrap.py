"""The one place that sees all adapters: settings in, a wired service out.

Nothing connects before `bootstrap` is called.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import Engine

from server.archive.folder import FolderArchive
from server.domain.errors import Failed
from server.domain.ports import ARCHIVE, LIS, Archive, OpenSlide
from server.hl7 import sender
from server.hl7.refusal import refusal_to
from server.report.deliver import Deliverer, Receiver
from server.settings import Lis, Settings
from server.slides.opening import open_slide
from server.store import private
from server.store.account_check import SERVICE, guard
from server.store.database import address_of, as_role, connect, transaction
from server.store.dispatch import Dispatcher
from server.store.migrate import migrate
from server.store.notify import Notify, notify_nobody
from server.store.outbox import Patience, PostgresOutbox
from server.store.store import PostgresStore
from server.tls import sender_context
from server.worker import ReadyCheck, RunCase, Worker

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """All that a command needs. Close it when done: the private PostgreSQL stops with its last user."""

    settings: Settings
    store: PostgresStore
    notify: Notify
    outbox: PostgresOutbox
    archive: Archive
    open_slide: OpenSlide
    results_folder: Path
    spool_folder: Path
    database_url: str
    database: Engine
    private_postgres: private.PrivatePostgres | None

    @property
    def destinations(self) -> tuple[str, ...]:
        """What results are sent to: the archive, and the LIS where one is set."""
        return (LIS, ARCHIVE) if self.settings.lis.host else (ARCHIVE,)

    def worker(self, run_case: RunCase, ready_check: ReadyCheck = lambda: None) -> Worker:
        w = self.settings.worker
        times = {"lease_s": w.lease_s, "poll_s": w.poll_s, "grace_s": w.grace_s}
        return Worker(self.store, self.outbox, run_case, ready_check=ready_check, **times)

    def work(self, run_case: RunCase, ready_check: ReadyCheck) -> bool:
        """Be a worker until SIGTERM or SIGINT; False where a case outlived its grace (see `Worker.run`)."""
        worker = self.worker(run_case, ready_check)
        return worker.run(Dispatcher(self.database_url, worker.wake, poll_s=self.settings.worker.poll_s))

    def close(self) -> None:
        self.database.dispose()
        if self.private_postgres is not None:
            self.private_postgres.close()

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def bootstrap(settings: Settings, *, sends: bool = True) -> Service:
    """Wire it up; where no database is configured, start the private one and bring its tables up to date.

    `sends` False: of a process that delivers nothing, and doesn't have the certificates that the LIS asks for.
    A configured database is left as it is: `chromogen migrate` is for its owner. Raises Refused SETTING_INVALID,
    Failed DATABASE_UNREACHABLE.
    """
    configured = address_of(settings.database)
    own = None if configured else private.start(settings.data.folder)
    url = configured if own is None else own.url
    try:
        if own is None:
            return _guarded(_service(settings, url, own, sends))
        migrate(url)
        return _service(
            settings, as_role(url, SERVICE), own, sends
        )  # not as the superuser that the private one begins with
    except BaseException:
        if own is not None:
            own.close()
        raise


def _guarded(service: Service) -> Service:
    """Refuses an account that row-level security doesn't bind: now, or, where the database is still down, when it is
    back.
    """
    guard(service.database)
    try:
        with transaction(service.database):
            pass
    except Failed as error:
        log.warning("database_not_there_yet", reason=str(error.reason))
    except BaseException:
        service.close()
        raise
    return service


def _service(settings: Settings, url: str, own: private.PrivatePostgres | None, sends: bool) -> Service:
    engine, data = connect(url), settings.data.folder.resolve()
    archive = FolderArchive(settings.archive_folder.resolve())
    notify = partial(refusal_to, folder=data / "results", destination=LIS) if settings.lis.host else notify_nobody
    return Service(
        settings=settings,
        store=_store(settings, engine, notify),
        notify=notify,
        outbox=_outbox(settings if sends else settings.model_copy(update={"lis": Lis()}), engine, archive),
        archive=archive,
        open_slide=partial(open_slide, icc=settings.icc.use),
        results_folder=data / "results",
        spool_folder=data / "spool",
        database_url=url,
        database=engine,
        private_postgres=own,
    )


def _store(settings: Settings, engine: Engine, notify: Notify) -> PostgresStore:
    w, wait_s = settings.worker, settings.archive.wait_s
    return PostgresStore(engine, max_attempts=w.max_attempts, stat_only=w.stat_only, slide_wait_s=wait_s, notify=notify)


def _outbox(settings: Settings, engine: Engine, archive: Archive) -> PostgresOutbox:
    return PostgresOutbox(engine, _deliverer(settings, archive), patience=Patience(errors=settings.lis.errors))


def _deliverer(settings: Settings, archive: Archive) -> Deliverer:
    lis, tls = settings.lis, sender_context(settings.lis)
    receivers = {LIS: Receiver(host=lis.host, port=lis.port, timeout_s=lis.timeout_s, tls=tls)} if lis.host else {}
    return Deliverer(receivers=receivers, archives={ARCHIVE: archive}, send=sender.send)
