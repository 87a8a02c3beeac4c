"""What Prometheus may ask for: counters of this process, and where asked for the state of the database
(`server.store.queue_metrics`).

Labels are names of our own (states, reasons, stages, destinations, methods): no patient, no order, no laboratory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.registry import Collector

from inference.analysis import Analysis, ModelFacts
from server.domain.errors import Failed, ServiceReason
from server.settings import Metrics

REGISTRY = CollectorRegistry()

_BUILD = Gauge("chromogen_build_info", "Which version this process is.", ["version"], registry=REGISTRY)
_BUILD.labels(version("chromogen")).set(1)
_MODEL = Gauge(
    "chromogen_model_info",
    "Which networks this worker runs.",
    ["name", "version", "sha256", "engine"],
    registry=REGISTRY,
)
USABLE = {
    "engine": Gauge(
        "chromogen_engine_usable", "0 while this worker claims nothing since its engine is away.", registry=REGISTRY
    ),
    "disk": Gauge(
        "chromogen_disk_usable", "0 while this worker claims nothing since it has no room to write.", registry=REGISTRY
    ),
}
"""By what a worker needs for every case."""
CLOCK_AHEAD = Gauge(
    "chromogen_clock_ahead_seconds",
    "How far this machine's clock is before the database's.",
    registry=REGISTRY,
)
THREAD_RESTARTS = Counter(
    "chromogen_thread_restarts_total",
    "Threads of this process that ended before they were told to, and were begun again.",
    ["thread"],
    registry=REGISTRY,
)
MESSAGES = Counter(
    "chromogen_messages_total",
    "HL7 messages by what became of them: TAKEN, REPEATED or a reason.",
    ["outcome"],
    registry=REGISTRY,
)
CASES = Counter(
    "chromogen_cases_total",
    "Attempts of this worker by how they ended: DONE, REFUSED, QUEUED (again), DEAD (also of "
    "workers that it found gone), LOST.",
    ["outcome", "reason"],
    registry=REGISTRY,
)
_CONTROLS = Counter(
    "chromogen_controls_total", "Controls of cases by what they came to.", ["marker", "status"], registry=REGISTRY
)
_DRIFTS = Counter(
    "chromogen_control_drifts_total",
    "Controls that broke a rule of Westgard with those before them.",
    ["marker"],
    registry=REGISTRY,
)
ARTIFACTS_NOT_MADE = Counter(
    "chromogen_artifacts_not_made_total",
    "Artifacts of scored slides that couldn't be built, by kind and reason.",
    ["kind", "reason"],
    registry=REGISTRY,
)
DELIVERIES = Counter(
    "chromogen_deliveries_total",
    "Deliveries tried, by destination, kind and SENT or the reason why not.",
    ["destination", "kind", "outcome"],
    registry=REGISTRY,
)
_CALLS = Histogram(
    "chromogen_call_seconds",
    "Calls of the API, by method and outcome.",
    ["method", "outcome"],
    registry=REGISTRY,
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60),
)
_STAGES = Histogram(
    "chromogen_stage_seconds",
    "Stages of the path of a case, also those that ended it.",
    ["stage"],
    registry=REGISTRY,
    buckets=(0.1, 0.5, 2, 5, 15, 30, 60, 120, 300, 900),
)
_PARTS = Counter(
    "chromogen_analysis_seconds_total", "Seconds of the parts of an analysis.", ["part"], registry=REGISTRY
)
_TILES = Counter("chromogen_tiles_total", "Tiles by what became of them.", ["outcome"], registry=REGISTRY)


def call(method: str, outcome: str, seconds: float) -> None:
    """A call of the API has ended."""
    _CALLS.labels(method, outcome).observe(seconds)


@contextmanager
def timed(stage: str) -> Iterator[None]:
    began = perf_counter()
    try:
        yield
    finally:
        _STAGES.labels(stage).observe(perf_counter() - began)


def controlled(marker: str, status: str, *, drifted: bool) -> None:
    """What the controls of a case came to."""
    _CONTROLS.labels(marker, status).inc()
    if drifted:
        _DRIFTS.labels(marker).inc()


def analysed(analysis: Analysis) -> None:
    """An analysis is complete."""
    tiles = analysis.tiles
    for outcome, n in (
        ("analysed", tiles.analysed),
        ("unreadable", tiles.unreadable),
        ("overflowed", tiles.overflowed),
    ):
        _TILES.labels(outcome).inc(n)
    for part, seconds in analysis.seconds.items():
        _PARTS.labels(part).inc(seconds)


def runs(model: ModelFacts) -> None:
    """This worker's engine."""
    _MODEL.labels(model.name, model.version, model.sha256, model.engine).set(1)


@contextmanager
def served(wanted: Metrics, *state: Collector) -> Iterator[int | None]:
    """Answer scrapes meanwhile, with `state` beside the counters; the port, None where no metrics are asked for.

    Raises Failed SETTING_INVALID.
    """
    if wanted.port is None:
        yield None
        return
    registry = CollectorRegistry()
    for collector in (REGISTRY, *state):
        registry.register(collector)
    try:
        server, thread = start_http_server(wanted.port, wanted.host, registry)
    except OSError:
        message = f"CHROMOGEN_METRICS_HOST and _PORT: {wanted.host}:{wanted.port} can't be listened at"
        raise Failed(ServiceReason.SETTING_INVALID, message) from None
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
