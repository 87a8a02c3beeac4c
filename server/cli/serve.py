"""`chromogen serve`, `work` and `migrate`: the processes of an installation."""

import signal
import threading

import click
import structlog

from inference.assay import assays
from inference.engines.factory import Engines
from server import api_service, metrics, settings, watches
from server.api.server import allow_files
from server.bootstrap import bootstrap
from server.domain.errors import Refused, ServiceReason
from server.lasting import lasting
from server.listening import Listening
from server.metrics import served
from server.observability import set_up
from server.pipeline import run_case
from server.settings import Mllp, is_loopback
from server.site import Address
from server.store.audit_heads import HeadLog
from server.store.database import address_of
from server.store.dispatch import Sweeper
from server.store.migrate import migrate as bring_up_to_date
from server.store.queue_metrics import QueueMetrics
from server.tls import engine_secure
from server.traces import traced
from server.worker import leave_at_once

log = structlog.get_logger()

STOP_S = 3.0


@click.command()
def serve() -> None:
    """Take orders by HL7 over MLLP and gRPC until told to stop. Settings are CHROMOGEN_...

    variables (docs/operations.md).
    """
    wanted = settings.load()
    set_up(level=wanted.log.level, format=wanted.log.format)
    allow_files()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with (
        bootstrap(wanted, sends=False) as service,
        traced(wanted.traces, "serve"),
        served(wanted.metrics, QueueMetrics(service.database)) as scraped,
    ):
        listening = Listening(service)
        api = api_service.start(service)  # before orders come in: what is wrong with its settings stops the start
        sweeping = lasting("sweep", Sweeper(service.database_url).run, stopped)
        sweeping.start()
        anchoring = lasting("audit_heads", HeadLog(service.database).run, stopped)
        anchoring.start()
        ticking = lasting("clock", service.clock.run, stopped)
        ticking.start()
        arriving = [lasting(f"arrivals {each.watched.name}", each.run, stopped) for each in watches.watchers(service)]
        performers = watches.performers(service)
        performing = [lasting(f"worklist {each.named.name}", each.run, stopped) for each in performers]
        watching = [*arriving, *performing]
        receivers: list[watches.Receiving] = [*watches.receivers(service), *watches.heard(performers)]
        for receiver in receivers:
            receiver.start()
        for thread in watching:
            thread.start()
        ports = listening.start()
        warn_of_plain_text(listening)
        log.info(
            "serving",
            mllp_host=wanted.mllp.host,
            mllp_port=ports.get(Address(host=wanted.mllp.host, port=wanted.mllp.port)),
            mllp_tls=_how(wanted.mllp),
            metrics_port=scraped,
        )
        stopped.wait()
        listening.stop()
        for receiver in receivers:
            receiver.stop()
        if api is not None:
            api.stop()
        for thread in (sweeping, anchoring, ticking, *watching):
            thread.join(STOP_S)
    log.info("stopped")


def warn_of_plain_text(listening: Listening) -> None:
    for host in listening.hosts:
        if not listening.encrypted and not is_loopback(host):
            advice = "patients cross the network readable: set CHROMOGEN_MLLP_TLS_CERT and _KEY"
            log.warning("orders_in_plain_text", mllp_host=host, advice=advice)


def _how(mllp: Mllp) -> str:
    if mllp.tls_cert is None:
        return "off"
    return "on" if mllp.tls_client_ca is None else "mutual"


@click.command()
@click.option("--until-idle", is_flag=True, help="stop once no order is due and nothing waits to be sent")
def work(until_idle: bool) -> None:
    """Be a worker: score orders and send what is due, until told to stop."""
    wanted = settings.load()
    set_up(level=wanted.log.level, format=wanted.log.format)
    with bootstrap(wanted) as service, traced(wanted.traces, "work"), served(wanted.metrics) as scraped:
        engines = Engines(wanted.engine.name, secure=engine_secure(wanted.engine))
        for assay in assays():
            metrics.runs(engines.of(assay).facts)
        services = service.case_services(engines.of)
        log.info("working", engine=wanted.engine.name, metrics_port=scraped)
        if until_idle:
            service.worker(lambda claim: run_case(claim, services)).run_until_idle()
            in_time = True
        else:
            in_time = service.work(lambda claim: run_case(claim, services), engines.check_ready)
    if not in_time:
        leave_at_once()


@click.command()
def migrate() -> None:
    """Bring the configured database's tables up to date.

    Run it as their owner, before `serve` and `work` of a new version.
    """
    url = address_of(settings.load().database)
    if not url:
        raise Refused(
            ServiceReason.SETTING_INVALID, "CHROMOGEN_DATABASE_URL is not set; the private database needs no migrate"
        )
    bring_up_to_date(url)
    click.echo("the database is up to date")
