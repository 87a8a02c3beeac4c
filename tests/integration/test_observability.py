"""`serve` and `work` as processes, scraped as Prometheus does and traced to a collector that listens; S-1 for both."""

import re
import signal
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from inference.draw import draw_slide
from inference.geometry import Size
from server.demo.lis import ReceivingLis, order_message
from server.demo.slide_header import SlideIdentity
from server.hl7.sender import send
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from server.store.database import connect
from server.store.store import PostgresStore
from tests.integration.processes import ROOT, environment, events, logged, until

pytestmark = pytest.mark.postgres
COMMAND = [sys.executable, "-m", "server.cli.main"]
IDENTITY = SlideIdentity(key="observability", marker="ER")
MARKERS = ("TEST-INVENTED-MARKER", "INVENTED-1", IDENTITY.container_id)


@dataclass
class Collector:
    """Takes OTLP by HTTP, and keeps it."""

    bodies: list[bytes] = field(default_factory=list)
    port: int = 0

    def spans(self) -> list[tuple[str, Span]]:
        """Each with the name of the service that sent it."""
        found = []
        for body in self.bodies:
            for of in ExportTraceServiceRequest.FromString(body).resource_spans:
                (service,) = (a.value.string_value for a in of.resource.attributes if a.key == "service.name")
                found += [(service, span) for scope in of.scope_spans for span in scope.spans]
        return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            made.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    made.port = httpd.server_port
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    yield made
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@contextmanager
def process(command: str, folder: Path, settings: dict[str, str], event: str) -> Iterator[dict[str, object]]:
    """A command of an installation, and what it says once it is up."""
    log = folder / f"{command}.log"
    with log.open("wb") as out:
        running = subprocess.Popen([*COMMAND, command], cwd=ROOT, env=settings, stdout=out, stderr=out)
        try:
            until(lambda: running.poll() is not None or bool(events(log, event)), 60)
            (said,) = events(log, event)
            yield said
        finally:
            running.send_signal(signal.SIGTERM)
            assert running.wait(30) == 0
        logged(log)


def scraped(port: object) -> tuple[str, dict[tuple[str, frozenset[tuple[str, str]]], float]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    samples: list[Sample] = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return text, {(s.name, frozenset(s.labels.items())): s.value for s in samples}


def labels(**given: str) -> frozenset[tuple[str, str]]:
    return frozenset(given.items())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "received").mkdir()
    drawing = draw_slide(size=Size(width=1024, height=1024), seed=3, h_score=150)
    write_dicom_slide(tmp_path / "archive" / "slide", JpegFrames(drawing), mpp=0.5, identity=IDENTITY, levels=2)
    return tmp_path


def order(number: str, container: str = IDENTITY.container_id) -> bytes:
    return order_message(
        placer_number=number,
        marker="ER",
        control_id=number,
        container_id=container,
        specimen_id=IDENTITY.specimen_id,
        series_uid=IDENTITY.series_uid,
        family_name="TEST-INVENTED-MARKER",
    )


def test_an_order_is_seen_in_the_metrics_and_is_one_trace_from_its_acceptance_to_its_reports(
    folder: Path, service_url: str, collector: Collector
) -> None:
    engine = connect(service_url)
    store = PostgresStore(engine)
    with ExitStack() as stack:
        lis = stack.enter_context(ReceivingLis(folder / "received"))
        settings = environment(
            {
                "CHROMOGEN_DATABASE_URL": service_url,
                "CHROMOGEN_DATA_FOLDER": str(folder / "data"),
                "CHROMOGEN_MLLP_PORT": "0",
                "CHROMOGEN_ARCHIVE_FOLDER": str(folder / "archive"),
                "CHROMOGEN_LIS_HOST": "127.0.0.1",
                "CHROMOGEN_LIS_PORT": str(lis.port),
                "CHROMOGEN_METRICS_PORT": "0",
                "CHROMOGEN_TRACES_ENDPOINT": f"http://127.0.0.1:{collector.port}/v1/traces",
            }
        )
        serving = stack.enter_context(process("serve", folder, settings, "serving"))
        send(order("P-1"), host="127.0.0.1", port=int(str(serving["mllp_port"])), timeout_s=20)
        send(order("P-1"), host="127.0.0.1", port=int(str(serving["mllp_port"])), timeout_s=20)
        told, found = scraped(serving["metrics_port"])
        assert found["chromogen_messages_total", labels(outcome="TAKEN")] == 1
        assert found["chromogen_messages_total", labels(outcome="REPEATED")] == 1
        assert found["chromogen_orders", labels(state="QUEUED", priority="ROUTINE")] == 1
        assert found["chromogen_orders_oldest_seconds", labels(state="QUEUED", priority="ROUTINE")] > 0
        assert found["chromogen_database_up", labels()] == 1
        working = stack.enter_context(process("work", folder, settings, "working"))
        (waits,) = store.orders()
        until(lambda: len(lis.received) == 1 and len(list((folder / "archive").glob("*.dcm"))) == 4, 90)
        assert str(store.order(waits.order.id).state) == "DONE"
        until(lambda: "DONE" in scraped(working["metrics_port"])[0], 10)
        more, found = scraped(working["metrics_port"])
        assert found["chromogen_cases_total", labels(outcome="DONE", reason="")] == 1
        assert found["chromogen_tiles_total", labels(outcome="analysed")] >= 1
        for stage in ("retrieve", "control", "analyze", "report", "store"):
            assert found["chromogen_stage_seconds_count", labels(stage=stage)] == 1
        assert found["chromogen_analysis_seconds_total", labels(part="total")] > 0
        for destination, kind in (("lis", "ORU"), *(("archive", kind) for kind in ("SR", "ANN", "SEG", "MAP"))):
            assert found["chromogen_deliveries_total", labels(destination=destination, kind=kind, outcome="SENT")] == 1
        models = [dict(own) for name, own in found if name == "chromogen_model_info"]
        assert {model["name"] for model in models} == {"chromogen-nuclei", "chromogen-membrane", "chromogen-he"}
        assert {(model["engine"], len(model["sha256"])) for model in models} == {("local", 64)}
        last, found = scraped(serving["metrics_port"])
        assert not [own for name, own in found if name in ("chromogen_orders", "chromogen_outbox_waiting")]
    engine.dispose()
    check_trace(collector, waits.order.id)
    everything = told + more + last + "".join(repr(body) for body in collector.bodies)
    assert not [marker for marker in MARKERS if marker in everything]


def check_trace(collector: Collector, order_id: str) -> None:
    """One trace, named as its order; the stages are children of the case."""
    spans = collector.spans()
    assert {span.trace_id.hex() for _, span in spans} == {uuid.UUID(order_id).hex}
    assert [name for name, _ in spans].count("chromogen-serve") == 2
    by_name = {span.name: span for _, span in spans}
    assert set(by_name) == {"accept", "case", "retrieve", "control", "analyze", "report", "store"}
    case = by_name["case"]
    attributes = {a.key: a.value for a in case.attributes}
    assert attributes["chromogen.order"].string_value == order_id
    assert attributes["chromogen.attempt"].int_value == 1
    assert not case.parent_span_id
    for name in ("retrieve", "control", "analyze", "report", "store"):
        assert by_name[name].parent_span_id == case.span_id
        assert case.start_time_unix_nano <= by_name[name].start_time_unix_nano <= by_name[name].end_time_unix_nano


def test_a_case_that_ends_without_a_score_has_its_reason_in_metrics_and_trace_and_dead_letters_are_counted(
    folder: Path, service_url: str, collector: Collector
) -> None:
    engine = connect(service_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO outbox (lab, destination, kind, message_id, path, sha256, state)"
            " VALUES ('LAB', 'lis', 'ORU', 'M', '/nowhere', '', 'DEAD'), ('LAB', 'lis', 'ORU', 'N', "
            "'/nowhere', '', 'WAITING')"
        )
    engine.dispose()
    settings = environment(
        {
            "CHROMOGEN_DATABASE_URL": service_url,
            "CHROMOGEN_DATA_FOLDER": str(folder / "data"),
            "CHROMOGEN_MLLP_PORT": "0",
            "CHROMOGEN_ARCHIVE_FOLDER": str(folder / "archive"),
            "CHROMOGEN_ARCHIVE_WAIT_S": "0",
            "CHROMOGEN_METRICS_PORT": "0",
            "CHROMOGEN_TRACES_ENDPOINT": f"http://127.0.0.1:{collector.port}/v1/traces",
        }
    )
    with process("serve", folder, settings, "serving") as serving:
        send(order("P-2", "INVENTED-ABSENT"), host="127.0.0.1", port=int(str(serving["mllp_port"])), timeout_s=20)
        _, found = scraped(serving["metrics_port"])
        assert found["chromogen_outbox_dead", labels(destination="lis")] == 1
        assert found["chromogen_outbox_waiting", labels(destination="lis")] == 1
        assert found["chromogen_outbox_oldest_seconds", labels(destination="lis")] > 0
        with process("work", folder, settings, "working") as working:
            until(lambda: "SLIDE_NOT_FOUND" in scraped(working["metrics_port"])[0], 30)
            _, found = scraped(working["metrics_port"])
            assert found["chromogen_cases_total", labels(outcome="REFUSED", reason="SLIDE_NOT_FOUND")] == 1
    failed = {
        span.name: span.status.message for _, span in collector.spans() if span.status.code == Status.STATUS_CODE_ERROR
    }
    assert failed == {"case": "SLIDE_NOT_FOUND", "retrieve": "SLIDE_NOT_FOUND"}
    assert not [
        event for _, span in collector.spans() for event in span.events
    ]  # a recorded exception would quote its text


def test_without_a_database_the_scrape_says_so_and_the_rest_goes_on(folder: Path) -> None:
    settings = environment(
        {
            "CHROMOGEN_DATABASE_URL": "postgresql://a@127.0.0.1:1/none",
            "CHROMOGEN_DATA_FOLDER": str(folder / "data"),
            "CHROMOGEN_MLLP_PORT": "0",
            "CHROMOGEN_METRICS_PORT": "0",
        }
    )
    with process("serve", folder, settings, "serving") as serving:
        _, found = scraped(serving["metrics_port"])
    assert found["chromogen_database_up", labels()] == 0
    assert [name for name, _ in found if name == "chromogen_build_info"]


def test_without_the_settings_nothing_listens_and_opentelemetry_is_not_even_imported() -> None:
    code = (
        "import sys, server.cli.serve, server.cli.score\n"
        "from server import metrics, settings, traces\n"
        "wanted = settings.Settings()\n"
        "with metrics.served(wanted.metrics) as port, traces.traced(wanted.traces, 'work'):\n"
        "    with traces.order_span('case', 'x', attempt=1), traces.span('stage'):\n"
        "        traces.accepted('x', 0, 'HL7')\n"
        "        traces.ended('REASON')\n"
        "assert port is None\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment({}), check=True)


def test_a_collector_that_is_away_delays_neither_the_case_nor_the_end(tmp_path: Path) -> None:
    """A case that waited for the collector would take its time-out, a hundred cases minutes: `timeout` ends them."""
    code = (
        "import uuid\n"
        "from server import settings, traces\n"
        "wanted = settings.Traces(endpoint='http://127.0.0.1:1/v1/traces')\n"
        "with traces.traced(wanted, 'work'):\n"
        "    for _ in range(100):\n"
        "        with traces.order_span('case', str(uuid.uuid4())), traces.span('stage'): pass\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment({}), check=True, timeout=60)


def test_a_port_that_is_taken_stops_the_start_by_its_setting_s_name(folder: Path, service_url: str) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as taken:
        settings = environment(
            {
                "CHROMOGEN_DATABASE_URL": service_url,
                "CHROMOGEN_DATA_FOLDER": str(folder / "data"),
                "CHROMOGEN_MLLP_PORT": "0",
                "CHROMOGEN_METRICS_PORT": str(taken.server_port),
                "CHROMOGEN_LOG_LEVEL": "error",
            }
        )
        done = subprocess.run(
            [*COMMAND, "serve"], cwd=ROOT, env=settings, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode != 0
    assert re.fullmatch(r"chromogen: SETTING_INVALID: CHROMOGEN_METRICS_HOST and _PORT.*\n", done.stderr)


def test_each_metric_is_documented() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    source = (ROOT / "server" / "metrics.py").read_text() + (ROOT / "server" / "store" / "queue_metrics.py").read_text()
    names = set(re.findall(r'"(chromogen_\w+)"', source))
    assert len(names) > 10
    assert {name for name in names if f"`{name}`" not in page and f"`{name}{{" not in page} == set()
