"""`chromogen serve`, `work` and `migrate`: the processes of an installation."""

import signal
import threading

import click
import structlog

from inference.engines.factory import check_ready, make_engine
from server import api_service, metrics, settings
from server.api.server import allow_files
from server.bootstrap import bootstrap
from server.domain.errors import Refused, ServiceReason
from server.hl7.intake import Intake
from server.hl7.listener import MllpListener
from server.metrics import served
from server.observability import set_up
from server.pipeline import CaseServices, run_case
from server.settings import Mllp, is_loopback
from server.store.database import address_of
from server.store.dispatch import Sweeper
from server.store.migrate import migrate as bring_up_to_date
from server.store.queue_metrics import QueueMetrics
from server.tls import engine_secure, listener_context
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
    tls = listener_context(wanted.mllp)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with (
        bootstrap(wanted, sends=False) as service,
        traced(wanted.traces, "serve"),
        served(wanted.metrics, QueueMetrics(service.database)) as scraped,
    ):
        listener = MllpListener(Intake(service.store.accept), host=wanted.mllp.host, port=wanted.mllp.port, tls=tls)
        api = api_service.start(service)  # before orders come in: what is wrong with its settings stops the start
        sweeping = threading.Thread(
            target=Sweeper(service.database_url).run, args=(stopped,), name="sweep", daemon=True
        )
        sweeping.start()
        port = listener.start()
        if tls is None and not is_loopback(wanted.mllp.host):
            advice = "patients cross the network readable: set CHROMOGEN_MLLP_TLS_CERT and _KEY"
            log.warning("orders_in_plain_text", mllp_host=wanted.mllp.host, advice=advice)
        log.info(
            "serving", mllp_host=wanted.mllp.host, mllp_port=port, mllp_tls=_how(wanted.mllp), metrics_port=scraped
        )
        stopped.wait()
        listener.stop()
        if api is not None:
            api.stop()
        sweeping.join(STOP_S)
    log.info("stopped")


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
        engine = make_engine(wanted.engine.name, secure=engine_secure(wanted.engine))
        case_services = CaseServices(
            store=service.store,
            archive=service.archive,
            open_slide=service.open_slide,
            engine=engine,
            cases=service.results_folder,
            lease_s=wanted.worker.lease_s,
            destinations=service.destinations,
        )
        metrics.runs(case_services.engine.facts)
        log.info("working", engine=wanted.engine.name, metrics_port=scraped)
        if until_idle:
            service.worker(lambda claim: run_case(claim, case_services)).run_until_idle()
            in_time = True
        else:
            in_time = service.work(
                lambda claim: run_case(claim, case_services), lambda: check_ready(case_services.engine)
            )
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
