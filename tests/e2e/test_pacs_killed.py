"""R-6: a PACS is killed while a slide is fetched, and again while results are stored, and comes back each time."""

import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hl7
import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from inference.draw import draw_slide
from inference.engines.factory import Engines
from inference.geometry import Size
from server import metrics, settings
from server.archive import dicomweb, storing
from server.archive.spool import Writer
from server.bootstrap import Service, bootstrap
from server.demo.lis import ReceivingLis, order_message
from server.demo.slide_header import SlideIdentity
from server.domain.states import OrderState
from server.hl7.intake import Intake
from server.pipeline import run_case
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from server.store import orders
from server.store.patience import Patience
from tests.integration.processes import OwnPostgres, until
from tests.orthanc import PASSWORD, USER, Orthanc, orthanc

pytestmark = [pytest.mark.postgres, pytest.mark.peer]
SLIDE = SlideIdentity(key="pacs/killed", marker="ER")
SITE = """
[archives.pacs]
kind = "dicomweb"
url = "{url}"
user = "{user}"
password_file = "password"
[destinations.pacs]
kind = "archive"
archive = "pacs"
[destinations.lis]
kind = "mllp"
host = "127.0.0.1"
port = {lis}
[laboratories.NORTH]
archives = ["pacs"]
[[routes]]
artifacts = ["ORU"]
to = ["lis"]
[[routes]]
artifacts = ["SR", "ANN", "SEG", "MAP"]
to = ["pacs"]
"""


class Hospital:
    """A PACS with a slide, a LIS, and the service between."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        postgres = OwnPostgres()
        stack.callback(postgres.close)
        self.pacs = stack.enter_context(orthanc(folder / "pacs"))
        drawing = JpegFrames(draw_slide(size=Size(width=1024, height=1024), seed=4, h_score=150), quality=100)
        for path in write_dicom_slide(folder / "slide", drawing, mpp=0.5, identity=SLIDE, levels=2):
            self.pacs.add(path)
        (folder / "heard").mkdir()
        (folder / "password").write_text(PASSWORD)
        self.lis = stack.enter_context(ReceivingLis(folder / "heard"))
        (folder / "site.toml").write_text(SITE.format(url=self.pacs.url, user=USER, lis=self.lis.port))
        wanted = settings.Settings(
            database=settings.Database(url=postgres.url),  # type: ignore[arg-type]
            data=settings.Data(folder=folder / "data"),
            archive=settings.Archive(wait_s=0),
            lis=settings.Lis(),
            site=settings.Site(file=folder / "site.toml"),
            worker=settings.Worker(poll_s=0.1, lease_s=20),
        )
        self.service: Service = stack.enter_context(bootstrap(wanted))

    def order(self) -> None:
        text = order_message(
            placer_number="R-6", marker="ER", control_id="R-6", series_uid=SLIDE.series_uid, lab="NORTH"
        )
        (answer,) = Intake(self.service.store.accept, self.service.store.cancel)(text)
        assert b"MSA|AA" in answer

    def kept(self) -> Counter[str]:
        """Objects in the PACS, by modality."""
        return Counter(str(dcmread(DicomBytesIO(content)).Modality) for content in self.pacs.kept())


@pytest.fixture
def hospital(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hospital]:
    monkeypatch.setattr("server.bootstrap._patience", lambda _: Patience(first_s=1.0))
    monkeypatch.setattr(orders, "OUTAGE_PAUSE_S", 1.0)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chromogen-test-")))
        folder.chmod(0o711)
        yield Hospital(folder, stack)


def killed_once(pacs: Orthanc, doing: Callable[..., Any], killed: list[str], name: str) -> Callable[..., Any]:
    """The same, in the middle of which the PACS is killed the first time, and begun again a second later."""

    def do(*values: Any, **named: Any) -> Any:
        if name not in killed:
            killed.append(name)
            pacs.kill()
            threading.Timer(1.0, pacs.start).start()
        return doing(*values, **named)

    return do


@pytest.mark.timeout(300)
def test_r6_a_pacs_killed_while_it_sends_and_while_it_takes_loses_nothing(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = list[str]()
    for name, owner, method in (
        ("sending", Writer, "expect"),
        ("taking", storing._File, "__iter__"),
        ("taken", dicomweb.DicomWebArchive, "_lists"),
    ):
        monkeypatch.setattr(owner, method, killed_once(hospital.pacs, getattr(owner, method), killed, name))
    waited = metrics.CASES.labels("QUEUED", "ARCHIVE_UNREACHABLE")
    before = waited._value.get()
    hospital.order()
    engines, service = Engines(), hospital.service
    cases = service.case_services(engines.of)
    worker = service.worker(lambda claim: run_case(claim, cases))
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        until(lambda: service.store.orders()[0].state is OrderState.DONE, 120)
        until(lambda: service.outbox.waiting() == 0, 120)
    finally:
        worker.stop()
        thread.join(30)
    assert killed == ["sending", "taking", "taken"]
    assert waited._value.get() > before
    assert service.outbox.dead() == 0
    assert hospital.kept() == {"SM": 2, "SR": 1, "ANN": 1, "SEG": 1, "OT": 1}
    (heard,) = (hl7.parse(path.read_bytes().decode()) for path in hospital.lis.received)
    assert str(heard.segment("OBR")[2]).startswith("R-6")
