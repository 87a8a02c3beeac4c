"""An order by gRPC whose tiles a Triton server sees ends with the score of one that is scored in process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from inference.draw import draw_slide
from inference.engines.local import shipped_models
from inference.engines.triton import TritonEngine
from inference.engines.triton_repository import render_cpu
from inference.geometry import Size
from inference.infer import Engine
from server import api_service
from server.bootstrap import Service, bootstrap
from server.cli.main import chromogen
from server.demo.lis import ReceivingLis
from server.demo.run import desk_of, settings_for
from server.demo.slide_file import JpegFrames, SlideIdentity, write_dicom_slide
from server.domain.result import Result
from server.domain.states import State
from server.pipeline import run_case
from server.settings import Database, Grpc
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

    def score(self, number: str, engine: Engine | None) -> Result:
        """Submit an order by gRPC and have a worker with this engine (None: the local one) run it."""
        asked = ["order", "submit", "--placer-number", number, "--marker", "ER", "--patient-id", "INVENTED-1"]
        asked += ["--family-name", "TEST-INVENTED", "--site", "2739003^Endometrium^SCT", "--specimen-id", IDENTITY.specimen_id]
        asked += ["--series-uid", IDENTITY.series_uid, "--container-id", IDENTITY.container_id]
        done = CliRunner().invoke(chromogen, asked, env={"CHROMOGEN_CLIENT_SERVER": self.address})
        assert done.exception is None, done.output
        desk = desk_of(self.service, self.work)
        desk = desk if engine is None else replace(desk, engine=engine)
        self.service.worker(lambda claim: run_case(claim, desk)).run_until_idle()
        (view,) = (v for v in self.service.store.orders() if v.order.request.placer_order_number == number)
        assert view.state is State.DONE, view.reason
        assert view.result_id is not None
        return self.service.store.result(view.result_id)


@contextmanager
def hospital(work: Path, database_url: str) -> Iterator[Hospital]:
    (work / "received").mkdir(parents=True)
    drawing = draw_slide(size=Size(width=SIDE, height=SIDE), seed=5, h_score=150)
    write_dicom_slide(work / "archive" / "slide", JpegFrames(drawing), mpp=0.5, identity=IDENTITY, levels=2)
    with ReceivingLis(work / "received") as lis:
        port = free_port()
        own = {"grpc": Grpc(insecure=True, port=port), "database": Database(url=SecretStr(database_url))}
        wanted = settings_for(work, lis.port).model_copy(update=own)
        with bootstrap(wanted) as service:
            api = api_service.start(service)
            assert api is not None
            try:
                yield Hospital(service=service, address=f"127.0.0.1:{port}", work=work)
            finally:
                api.stop()


def test_an_order_by_grpc_scores_on_triton_as_in_process(tmp_path: Path, service_url: str) -> None:
    render_cpu(shipped_models(), tmp_path / "models")
    with TritonServer(tmp_path / "models") as server, hospital(tmp_path / "work", service_url) as there:
        engine = TritonEngine([server.address])
        by_triton, in_process = there.score("P-1", engine), there.score("P-2", None)
        engine.close()
    assert (by_triton.analysis.model.engine, in_process.analysis.model.engine) == ("triton", "local")
    assert by_triton.scores == in_process.scores
    assert by_triton.scores.all.n > 300
