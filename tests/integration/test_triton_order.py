"""The configured engine is what infers: orders and pictures by gRPC score on a Triton server as they do in process."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import grpc
import pytest
from chromogen.v1 import analysis_service_pb2, analysis_service_pb2_grpc
from click.testing import CliRunner
from pydantic import SecretStr

from inference.draw import draw_slide
from inference.engines.triton_repository import render_cpu
from inference.geometry import Region, Size
from inference.model import shipped_models
from server import api_service
from server.bootstrap import Service, bootstrap
from server.cli.main import chromogen
from server.demo.lis import ReceivingLis
from server.demo.run import case_services_of, settings_for
from server.demo.slide_header import SlideIdentity
from server.domain.order import Priority
from server.domain.ports import OrderView
from server.domain.result import Result
from server.domain.states import OrderState
from server.pipeline import run_case
from server.settings import Database, Engine, Grpc
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.integration.processes import ROOT, START_S, environment, logged, until
from tests.triton_balancer import Balancer
from tests.triton_server import TritonServer, free_port

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("tritonserver")]

SIDE = 1200
IDENTITY = SlideIdentity(key="triton/order", marker="ER")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospital:
    """A service whose API listens on `address`, and where its files lie."""

    service: Service
    address: str
    work: Path

    def submit(self, number: str, priority: Priority = Priority.ROUTINE) -> None:
        """By gRPC."""
        asked = ["order", "submit", "--placer-number", number, "--marker", "ER", "--patient-id", "INVENTED-1"]
        asked += [
            "--family-name",
            "TEST-INVENTED",
            "--site",
            "2739003^Endometrium^SCT",
            "--specimen-id",
            IDENTITY.specimen_id,
        ]
        asked += ["--series-uid", IDENTITY.series_uid, "--container-id", IDENTITY.container_id, "--priority", priority]
        done = CliRunner().invoke(chromogen, asked, env={"CHROMOGEN_CLIENT_SERVER": self.address})
        assert done.exception is None, done.output

    def view(self, number: str) -> OrderView:
        (view,) = (v for v in self.service.store.orders() if v.order.request.placer_order_number.identifier == number)
        return view

    def score(self, number: str, priority: Priority = Priority.ROUTINE) -> Result:
        """Submit an order and have a worker run it."""
        self.submit(number, priority)
        services = case_services_of(self.service, self.work)
        self.service.worker(lambda claim: run_case(claim, services)).run_until_idle()
        view = self.view(number)
        assert view.state is OrderState.DONE, view.reason
        assert view.result_id is not None
        return self.service.store.result(view.result_id)

    def analyze(self, side: int) -> analysis_service_pb2.AnalyzeImageResponse:
        """A drawn picture, at once."""
        drawing = draw_slide(size=Size(width=side, height=side), seed=6, h_score=150)
        good, data = cv2.imencode(".png", drawing.read(Region(x=0, y=0, width=side, height=side))[..., ::-1])
        assert good
        image = analysis_service_pb2.Image(data=data.tobytes(), mpp=0.5)
        with grpc.insecure_channel(self.address) as channel:
            stub = analysis_service_pb2_grpc.AnalysisServiceStub(channel)
            return stub.AnalyzeImage(analysis_service_pb2.AnalyzeImageRequest(image=image, with_cells=True))


@contextmanager
def hospital(work: Path, database_url: str, engine: str) -> Iterator[Hospital]:
    (work / "received").mkdir(parents=True)
    drawing = draw_slide(size=Size(width=SIDE, height=SIDE), seed=5, h_score=150)
    write_dicom_slide(work / "archive" / "slide", JpegFrames(drawing), mpp=0.5, identity=IDENTITY, levels=2)
    with ReceivingLis(work / "received") as lis:
        port = free_port()
        own = {
            "grpc": Grpc(insecure=True, port=port),
            "database": Database(url=SecretStr(database_url)),
            "engine": Engine(name=engine),
        }
        wanted = settings_for(work, lis.port).model_copy(update=own)
        with bootstrap(wanted) as service:
            api = api_service.start(service)
            assert api is not None
            try:
                yield Hospital(service=service, address=f"127.0.0.1:{port}", work=work)
            finally:
                api.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    models = tmp_path_factory.mktemp("models")
    render_cpu(shipped_models(), models)
    with TritonServer(models) as server:
        yield server


def test_orders_and_pictures_by_grpc_score_on_triton_as_in_process(
    tmp_path: Path, service_url: str, server: TritonServer
) -> None:
    with hospital(tmp_path / "triton", service_url, f"triton://{server.address}") as there:
        by_triton, seen = there.score("P-1"), there.analyze(1024)
    with hospital(tmp_path / "local", service_url, "local") as there:
        in_process, seen_in_process = there.score("P-2"), there.analyze(1024)
    assert (by_triton.analysis.model.engine, in_process.analysis.model.engine) == ("triton", "local")
    assert by_triton.scores == in_process.scores
    assert by_triton.analysis.n > 300
    assert (seen.model.engine, seen_in_process.model.engine) == ("triton", "local")
    assert seen.scores == seen_in_process.scores
    assert seen.cells == seen_in_process.cells
    assert len(seen.cells.x_px) > 300


def test_each_tile_goes_to_triton_with_the_priority_of_its_order(
    tmp_path: Path, service_url: str, server: TritonServer
) -> None:
    with Balancer([server.address]) as before, hospital(tmp_path, service_url, f"triton://{before.address}") as there:
        asked: dict[str, set[int]] = {}
        for what, ask in {
            "STAT": lambda: there.score("P-1", Priority.STAT),
            "ASAP": lambda: there.score("P-2", Priority.ASAP),
            "ROUTINE": lambda: there.score("P-3"),
            "picture": lambda: there.analyze(256),
        }.items():
            before.inferences.clear()
            ask()
            asked[what] = {request.parameters["priority"].uint64_param for request in before.inferences}
    assert asked == {"STAT": {1}, "ASAP": {2}, "ROUTINE": {3}, "picture": {2}}


def test_a_worker_told_to_stop_while_triton_hangs_gives_its_case_back_and_ends(
    tmp_path: Path, service_url: str, server: TritonServer
) -> None:
    with Balancer([server.address]) as before, hospital(tmp_path, service_url, "local") as there:
        there.submit("P-1")
        before.answers.clear()
        settings = {
            "CHROMOGEN_DATABASE_URL": service_url,
            "CHROMOGEN_DATA_FOLDER": str(tmp_path / "worker"),
            "CHROMOGEN_ARCHIVE_FOLDER": str(tmp_path / "archive"),
            "CHROMOGEN_ENGINE_NAME": f"triton://{before.address}",
            "CHROMOGEN_WORKER_GRACE_S": "1",
        }
        with (tmp_path / "log").open("wb") as log:
            command = [sys.executable, "-m", "server.cli.main", "work"]
            worker = subprocess.Popen(command, cwd=ROOT, env=environment(settings), stdout=log, stderr=log)
        try:
            until(lambda: bool(before.inferences), START_S)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(10) == 0, (tmp_path / "log").read_text()
            logged(tmp_path / "log")
        finally:
            worker.kill()
            worker.wait()
        given_back = there.view("P-1")
    assert (given_back.state, given_back.attempt) == (OrderState.QUEUED, 0)
