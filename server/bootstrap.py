"""The one place that sees all adapters: settings in, a wired service out.

Nothing connects before `bootstrap` is called.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import assert_never

import structlog
from sqlalchemy import Engine as Database

from inference.assay import Assay
from inference.infer import Engine
from server.archive.dicomweb import DicomWebArchive
from server.archive.folder import FolderArchive
from server.archive.made import dimse_archive, web_archive
from server.archive.removing import RemovingSink
from server.archive.several import SeveralArchives
from server.archive.spool import Spool
from server.disk import check_room, keep_private
from server.domain.control import ControlRules
from server.domain.errors import Failed
from server.domain.job import JobKind
from server.domain.patients import PatientRules
from server.domain.ports import Archive, MessageSink, ObjectSink, OpenSlide, SlideSource
from server.domain.profile import ProfileRules
from server.domain.result import Result
from server.hl7.reporter import OruReporter
from server.hl7.sender import MllpSink
from server.jobs import Handler, JobRunner
from server.pipeline import CaseServices
from server.report.deliver import Deliverer
from server.report.rejection import RejectionReporter
from server.report.reporters import SrReporter, ann_reporter, capture_reporter, map_reporter, seg_reporter
from server.reporting import Reporting
from server.services.calibrations import CalibrationService
from server.services.cohorts import CohortService
from server.services.page_cells import folder_of, prepare
from server.services.profiles import ProfileService
from server.services.results import ResultService
from server.services.validations import ValidationService
from server.settings import Settings
from server.site import (
    ArchiveDestination,
    ArchiveFolder,
    DimseAddress,
    MllpDestination,
    NamedArchive,
    Rejected,
    Site,
    WebArchive,
)
from server.site_file import site_of
from server.slides.opening import open_slide
from server.store import private
from server.store.account_check import SERVICE, guard
from server.store.clock import DatabaseClock
from server.store.database import address_of, as_role, connect, transaction
from server.store.dispatch import Dispatcher
from server.store.jobs import JobStore, PostgresJobRepository
from server.store.migrate import migrate
from server.store.notify import Notify
from server.store.outbox import Patience, PostgresOutbox
from server.store.profile_repository import PostgresProfileRepository
from server.store.result_repository import PostgresResultRepository
from server.store.store import PostgresStore
from server.store.validations import PostgresValidationRepository
from server.tls import sender_context
from server.worker import Need, ReadyCheck, RunCase, Worker

log = structlog.get_logger()

Ping = Callable[[], None]
"""Raises Failed where what it asks doesn't answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """All that a command needs. Close it when done: the private PostgreSQL stops with its last user."""

    settings: Settings
    site: Site
    store: PostgresStore
    notify: Notify
    outbox: PostgresOutbox
    reporting: Reporting
    archives: Mapping[str, Archive]
    receivers: Mapping[str, MessageSink]
    open_slide: OpenSlide
    results_folder: Path
    database_url: str
    database: Database
    clock: DatabaseClock
    private_postgres: private.PrivatePostgres | None

    def source(self, laboratory: str) -> SlideSource:
        """The archives of a laboratory as one. Raises Refused LABORATORY_UNKNOWN."""
        return SeveralArchives([self.archives[name] for name in self.site.laboratory(laboratory).archives])

    def patients(self, laboratory: str) -> PatientRules:
        """How its orders' patients are compared with slides'. Raises Refused LABORATORY_UNKNOWN."""
        return self.site.laboratory(laboratory).patients

    def rules(self, laboratory: str) -> ProfileRules:
        """How a laboratory's profiles are chosen. Raises Refused LABORATORY_UNKNOWN."""
        return self.site.laboratory(laboratory).profiles

    def controls(self, laboratory: str) -> ControlRules:
        """What a laboratory asks of its controls. Raises Refused LABORATORY_UNKNOWN."""
        return self.site.laboratory(laboratory).controls

    @property
    def pings(self) -> dict[str, Ping]:
        """Of every archive and receiver, by name; an archive as destination is that archive."""
        archives = {name: archive.ping for name, archive in self.archives.items()}
        return archives | {name: receiver.ping for name, receiver in self.receivers.items()}

    def case_services(self, engine: Callable[[Assay], Engine], *, cases: Path | None = None) -> CaseServices:
        """What the path of a case needs; its files lie in the results' folder, or in `cases`."""
        return CaseServices(
            store=self.store,
            source=self.source,
            rules=self.rules,
            patients=self.patients,
            controls=self.controls,
            open_slide=self.open_slide,
            engine=engine,
            reporting=self.reporting,
            today=self.clock.today,
            now=self.clock.now,
            cases=cases or self.results_folder,
            lease_s=self.settings.worker.lease_s,
            outlines=self.settings.worker.outlines,
            finished=self._finished,
        )

    def _finished(self, result: Result) -> None:
        """Where there is a page, a result's first opening doesn't wait for what can be made now."""
        if self.settings.web.port is not None:
            prepare(result, folder_of(self.results_folder))

    @property
    def jobs(self) -> JobRunner:
        """What runs jobs of the background."""
        return JobRunner(JobStore(self.database), self._handlers)

    @property
    def _handlers(self) -> Mapping[JobKind, Handler]:
        cohorts = self.cohorts
        return {
            JobKind.CALIBRATION: self.calibrations.run,
            JobKind.COHORT: cohorts.preview,
            JobKind.COHORT_CONFIRM: cohorts.do,
        }

    @property
    def cohorts(self) -> CohortService:
        results, profiles = PostgresResultRepository(self.database), PostgresProfileRepository(self.database)
        rescoring = ResultService(results, self.reporting)
        return CohortService(PostgresJobRepository(self.database), results, profiles, rescoring)

    def validations(self, profiles: ProfileService) -> ValidationService:
        kept, results = PostgresValidationRepository(self.database), PostgresResultRepository(self.database)
        return ValidationService(kept, results, profiles, self.rules)

    @property
    def calibrations(self) -> CalibrationService:
        results, profiles = PostgresResultRepository(self.database), PostgresProfileRepository(self.database)
        return CalibrationService(PostgresJobRepository(self.database), results, profiles)

    def worker(
        self, run_case: RunCase, engine_check: ReadyCheck = lambda: None, jobs: JobRunner | None = None
    ) -> Worker:
        w = self.settings.worker
        times = {"lease_s": w.lease_s, "poll_s": w.poll_s, "grace_s": w.grace_s}
        checks = {Need.ENGINE: engine_check, Need.DISK: lambda: check_room(self.results_folder)}
        return Worker(self.store, self.outbox, run_case, ready_checks=checks, background=jobs or self.jobs, **times)

    def work(self, run_case: RunCase, engine_check: ReadyCheck) -> bool:
        """Be a worker until SIGTERM or SIGINT; False where a case outlived its grace (see `Worker.run`)."""
        jobs = self.jobs
        worker = self.worker(run_case, engine_check, jobs)
        poll_s = self.settings.worker.poll_s
        return worker.run(Dispatcher(self.database_url, worker.wake, poll_s=poll_s, wake_jobs=jobs.wake))

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

    `sends` False: of a process that delivers nothing, and doesn't have the certificates that receivers ask for.
    A configured database is left as it is: `chromogen migrate` is for its owner. Raises Refused SETTING_INVALID,
    Failed DATABASE_UNREACHABLE.
    """
    site = site_of(settings)
    configured = address_of(settings.database)
    own = None if configured else private.start(settings.data.folder)
    url = configured if own is None else own.url
    try:
        if own is None:
            return _guarded(_service(settings, site, url, own, sends))
        migrate(url)
        return _service(
            settings, site, as_role(url, SERVICE), own, sends
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


def _service(settings: Settings, site: Site, url: str, own: private.PrivatePostgres | None, sends: bool) -> Service:
    database, data = connect(url), settings.data.folder.resolve()
    for patients in (data / "results", data / "spool", index_of(settings)):
        if not keep_private(patients):
            log.warning("readable_by_others", folder=patients.name, advice="it holds patients' data: chmod o-rwx it")
    spool = spool_of(settings)
    apart = [data, *(named.folder for named in site.archives if isinstance(named, ArchiveFolder))]
    archives = {named.name: archive_of(named, spool, apart, index_of(settings)) for named in site.archives}
    receivers, objects = _sinks(site, archives, sends)
    reporting = _reporting(site, data / "results", settings.web.address)
    deliver = Deliverer(messages=receivers if sends else {}, objects=objects)
    return Service(
        settings=settings,
        site=site,
        store=_store(settings, database, reporting.notify),
        notify=reporting.notify,
        outbox=PostgresOutbox(database, deliver, patience=_patience(site)),
        reporting=reporting,
        archives=archives,
        receivers=receivers,
        open_slide=partial(open_slide, icc=settings.icc.use, untried=settings.slides.names),
        results_folder=data / "results",
        database_url=url,
        database=database,
        clock=DatabaseClock(database),
        private_postgres=own,
    )


def archive_of(named: NamedArchive, spool: Spool, apart: Sequence[Path] = (), index: Path | None = None) -> Archive:
    """Of a kind of its own, by what the site says of it; no link of a folder's leads into one of `apart`, but its own,
    and what its files say is kept in `index`.

    Raises Refused SETTING_INVALID.
    """
    match named:
        case ArchiveFolder():
            return _folder(named, apart, index)
        case WebArchive():
            return web_archive(named, spool)
        case DimseAddress():
            return dimse_archive(named, spool)
        case _:
            assert_never(named)


def _folder(named: ArchiveFolder, apart: Sequence[Path], index: Path | None) -> FolderArchive:
    """Our own is made where it isn't there; one that can't be made is away, as every folder."""
    if named.own:
        with suppress(OSError):
            named.folder.mkdir(parents=True, exist_ok=True)
    return FolderArchive(named.folder, apart, index)


def index_of(settings: Settings) -> Path:
    """Where is kept what the files of archives' folders say."""
    return settings.data.folder.resolve() / "archive-index"


def spool_of(settings: Settings) -> Spool:
    """Where slides that came from archives are kept."""
    return Spool(settings.data.folder.resolve() / "spool", round(settings.archive.spool_gb * 1e9))


def _store(settings: Settings, database: Database, notify: Notify) -> PostgresStore:
    w, archive = settings.worker, settings.archive
    return PostgresStore(
        database,
        max_attempts=w.max_attempts,
        stat_only=w.stat_only,
        slide_wait_s=archive.wait_s,
        outage_wait_s=w.outage_s,
        notify=notify,
    )


def _reporting(site: Site, folder: Path, page_at: str) -> Reporting:
    """In the order in which artifacts are sent."""
    return Reporting(
        [
            OruReporter(folder, page_at),
            SrReporter(folder),
            ann_reporter(folder, site.annotations),
            seg_reporter(folder),
            map_reporter(folder),
            capture_reporter(folder),
            RejectionReporter(folder),
        ],
        site.routes,
    )


def _sinks(
    site: Site, archives: Mapping[str, ObjectSink], sends: bool
) -> tuple[dict[str, MessageSink], dict[str, ObjectSink]]:
    """Of each destination, those of messages and those of objects.

    Who only asks whether they are there (`sends` False) shakes no hands: it has no certificate to show.
    """
    messages, objects = dict[str, MessageSink](), dict[str, ObjectSink]()
    for to in site.destinations:
        match to:
            case MllpDestination():
                tls = sender_context(to, to.table) if sends else None
                messages[to.name] = MllpSink(host=to.host, port=to.port, timeout_s=to.timeout_s, tls=tls)
            case ArchiveDestination():
                objects[to.name] = _object_sink(archives[to.archive], to)
            case _:
                assert_never(to)
    return messages, objects


def _object_sink(archive: ObjectSink, to: ArchiveDestination) -> ObjectSink:
    """`site_file` has refused deletion where the archive has no way for it."""
    if to.rejected is Rejected.DELETE and isinstance(archive, DicomWebArchive | FolderArchive):
        return RemovingSink(archive)
    return archive


def _patience(site: Site) -> Patience:
    return Patience(errors_of={to.name: to.errors for to in site.destinations if to.errors is not None})
