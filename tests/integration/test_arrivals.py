"""`chromogen serve` takes slides by C-STORE: what waits for one starts, and one that nobody orders is ordered."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.demo.lis import order_message
from server.demo.slide_header import SlideIdentity
from server.domain.states import OrderState
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from server.store.store import PostgresStore
from tests.contract.test_archive_ports import Grey
from tests.integration.processes import Serving, until
from tests.orthanc import free_port

pytestmark = [pytest.mark.postgres, pytest.mark.peer]
ORDERED = SlideIdentity(key="arrivals/ordered", marker="PR")
UNORDERED = SlideIdentity(key="arrivals/unordered", marker="ER")
SITE = """
[archives.scanner]
kind = "folder"
folder = "slides"
listen = "127.0.0.1:{port}"
watch = "poll"
watch_s = 0.2
[destinations.scanner]
kind = "archive"
archive = "scanner"
[laboratories.LAB]
archives = ["scanner"]
[[laboratories.LAB.unordered]]
markers = ["ER"]
after_s = 0
"""


@pytest.fixture
def serving(service_url: str, tmp_path: Path) -> Iterator[tuple[Serving, int]]:
    if shutil.which("storescu") is None:
        pytest.skip("dcmtk is not installed")
    port = free_port()
    (tmp_path / "slides").mkdir()
    (tmp_path / "site.toml").write_text(SITE.format(port=port))
    made = Serving(url=service_url, folder=tmp_path, more={"CHROMOGEN_SITE_FILE": str(tmp_path / "site.toml")})
    made.start()
    yield made, port
    made.kill()


def sent(slide: SlideIdentity, folder: Path, port: int) -> None:
    paths = write_dicom_slide(folder, JpegFrames(Grey()), mpp=0.5, identity=slide, levels=2)
    command = ["storescu", "-R", "-xy", "-aec", "CHROMOGEN", "127.0.0.1", str(port), *map(str, paths)]
    subprocess.run(command, check=True, capture_output=True)


def test_a_slide_that_comes_starts_what_waits_for_it_or_is_ordered_by_the_rule(
    serving: tuple[Serving, int], engine: sa.Engine, tmp_path: Path
) -> None:
    process, port = serving
    store = PostgresStore(engine, slide_wait_s=1e6)
    message = order_message(placer_number="P1", marker="PR", control_id="M1", series_uid=ORDERED.series_uid, lab="LAB")
    assert process.send(message) == "AA"
    (order,) = store.due()
    claim = store.claim(order, 60)
    assert claim is not None
    assert store.end(claim, OrderState.REFUSED, "SLIDE_NOT_FOUND", "not there") is OrderState.QUEUED
    assert store.due() == []
    sent(ORDERED, tmp_path / "one", port)
    until(lambda: store.due() == [order], 20)
    sent(UNORDERED, tmp_path / "two", port)
    until(lambda: len(store.orders()) == 2, 20)
    (made,) = (view.order.request for view in store.orders() if view.order.id != order)
    assert (made.sender.application, made.marker, made.lab) == ("CHROMOGEN", "ER", "LAB")
    assert made.slide.series_uid == UNORDERED.series_uid
