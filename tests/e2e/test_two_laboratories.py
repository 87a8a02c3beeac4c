"""Two laboratories at one service, by a site file: two LIS, two archives, and nothing of one reaches the other."""

import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hl7
import pydicom
import pytest

from inference.draw import draw_slide
from inference.engines.factory import Engines
from inference.geometry import Size
from server import settings
from server.bootstrap import Service, bootstrap
from server.demo.lis import ReceivingLis, order_message
from server.demo.slide_header import SlideIdentity
from server.domain.access import Caller, Role
from server.domain.errors import Failed, ServiceReason
from server.domain.ports import OrderView
from server.domain.result import ResultId
from server.domain.states import OrderState
from server.hl7.sender import send
from server.listening import listening
from server.pipeline import run_case
from server.services.results import ResultService
from server.site import Address
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from server.store.result_repository import PostgresResultRepository

pytestmark = pytest.mark.postgres
SIDE = 1024
NORTH, SOUTH, THIRD = "NORTH", "SOUTH", "THIRD"

SITE = """
[archives.north]
kind = "folder"
folder = "north"
[archives.south]
kind = "folder"
folder = "south"

[destinations.north-lis]
kind = "mllp"
host = "127.0.0.1"
port = {north_lis}
[destinations.south-lis]
kind = "mllp"
host = "127.0.0.1"
port = {south_lis}
[destinations.north]
kind = "archive"
archive = "north"
[destinations.south]
kind = "archive"
archive = "south"

[laboratories.NORTH]
archives = ["north"]
listener = "127.0.0.1:{listener}"
senders = ["NORTH-LIS"]
[laboratories.SOUTH]
archives = ["south"]

[[routes]]
laboratory = "NORTH"
artifacts = ["ORU"]
to = ["north-lis"]
[[routes]]
laboratory = "NORTH"
artifacts = ["SR", "ANN", "SEG"]
to = ["north"]
[[routes]]
laboratory = "SOUTH"
artifacts = ["ORU"]
to = ["south-lis"]
[[routes]]
laboratory = "SOUTH"
events = ["PRELIMINARY"]
artifacts = ["SR"]
to = ["south"]
"""


@dataclass
class Region:
    """A service for both, and what stands around it."""

    service: Service
    folder: Path
    lis: dict[str, ReceivingLis]
    slides: dict[str, SlideIdentity]
    ports: dict[str, int]
    engines: Engines

    def order(self, number: str, lab: str, *, by: str = "", at: str = "", slide: str = "") -> None:
        """Raises Failed where it isn't taken."""
        message = order_message(
            placer_number=number,
            marker="ER",
            control_id=number,
            series_uid=self.slides[slide].series_uid if slide else "",
            container_id=next(iter(self.slides.values())).container_id,
            lab=lab,
            application=by or f"{lab}-LIS",
        )
        send(message, host="127.0.0.1", port=self.ports[at or lab], timeout_s=20)

    def refused(self, number: str, lab: str, **more: str) -> str:
        """The reason why the order isn't taken."""
        with pytest.raises(Failed) as failed:
            self.order(number, lab, **more)
        return str(failed.value.reason)

    def work(self) -> None:
        cases = self.service.case_services(self.engines.of)
        self.service.worker(lambda claim: run_case(claim, cases)).run_until_idle()

    def orders(self) -> dict[str, OrderView]:
        return {v.order.request.placer_order_number.identifier: v for v in self.service.store.orders()}

    def heard(self, lab: str) -> list[tuple[str, str]]:
        """The placer number and OBR-25 of each message that a LIS got."""
        messages = [hl7.parse(path.read_bytes().decode()) for path in self.lis[lab].received]
        return sorted((str(m.segment("OBR")[2]).split("^")[0], str(m.segment("OBR")[25])) for m in messages)

    def stored(self, lab: str) -> list[tuple[str, str]]:
        """The modality and study of each object that an archive got."""
        found = (pydicom.dcmread(p, stop_before_pixels=True) for p in (self.folder / lab.lower()).glob("*.dcm"))
        return sorted((str(f.Modality), str(f.StudyInstanceUID)) for f in found)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not in pytest's own: another run closes that to the account that PostgreSQL has when we are root."""
    with tempfile.TemporaryDirectory(prefix="chromogen-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="module")
def region(folder: Path) -> Iterator[Region]:
    slides = {lab: SlideIdentity(key=f"two/{lab}", marker="ER") for lab in (NORTH, SOUTH)}
    for seed, (lab, identity) in enumerate(slides.items()):
        drawing = JpegFrames(draw_slide(size=Size(width=SIDE, height=SIDE), seed=seed, h_score=150))
        write_dicom_slide(folder / lab.lower() / "slide", drawing, mpp=0.5, identity=identity, levels=2)
        (folder / f"heard-{lab}").mkdir()
    own = free_port()
    with ReceivingLis(folder / "heard-NORTH") as north, ReceivingLis(folder / "heard-SOUTH") as south:
        file = folder / "site.toml"
        file.write_text(SITE.format(north_lis=north.port, south_lis=south.port, listener=own))
        with bootstrap(settings_for(folder, file)) as service, listening(service) as at:
            common = at[Address(host="127.0.0.1", port=0)]
            yield Region(
                service=service,
                folder=folder,
                lis={NORTH: north, SOUTH: south},
                slides=slides,
                ports={NORTH: own, SOUTH: common, THIRD: common},
                engines=Engines(),
            )


def settings_for(folder: Path, site: Path) -> settings.Settings:
    """Whatever the environment says."""
    return settings.Settings(
        database=settings.Database(),
        data=settings.Data(folder=folder / "data"),
        mllp=settings.Mllp(port=0),
        archive=settings.Archive(wait_s=0),
        lis=settings.Lis(),
        site=settings.Site(file=site),
        worker=settings.Worker(),
    )


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_each_result_arrives_at_its_own_lis_and_archive_alone_and_a_third_laboratory_is_refused(
    region: Region,
) -> None:
    """Both archives hold a slide of the same container, and each laboratory gets its own."""
    region.order("N-1", NORTH)
    region.order("S-1", SOUTH)
    assert region.refused("T-1", THIRD) == ServiceReason.RECEIVER_ERROR
    assert region.refused("N-2", NORTH, at=SOUTH) == ServiceReason.RECEIVER_ERROR  # not at its own listener
    assert region.refused("S-2", SOUTH, at=NORTH) == ServiceReason.RECEIVER_ERROR
    assert region.refused("N-3", NORTH, by="SOUTH-LIS") == ServiceReason.RECEIVER_ERROR  # not by its own sender
    region.order("N-4", NORTH, slide=SOUTH)  # another's slide isn't there for it
    region.work()
    orders = region.orders()
    assert {number: view.state for number, view in orders.items()} == {
        "N-1": OrderState.DONE,
        "S-1": OrderState.DONE,
        "N-4": OrderState.REFUSED,
    }
    assert orders["N-4"].reason == ServiceReason.SLIDE_NOT_FOUND
    assert region.heard(NORTH) == [("N-1", "P"), ("N-4", "X")]
    assert region.heard(SOUTH) == [("S-1", "P")]
    north, south = (region.slides[lab].study_uid for lab in (NORTH, SOUTH))
    assert region.stored(NORTH) == [("ANN", north), ("SEG", north), ("SR", north)]
    assert region.stored(SOUTH) == [("SR", south)]  # its route asks for no more
    assert (region.service.outbox.waiting(), region.service.outbox.dead()) == (0, 0)


def test_a_signature_is_sent_by_the_routes_of_its_laboratory(region: Region) -> None:
    for number, lab in (("N-5", NORTH), ("S-5", SOUTH)):
        region.order(number, lab)
    region.work()
    results = ResultService(PostgresResultRepository(region.service.database), region.service.reporting)
    before = {lab: len(region.stored(lab)) for lab in (NORTH, SOUTH)}
    for number, lab in (("N-5", NORTH), ("S-5", SOUTH)):
        result_id = region.orders()[number].result_id
        assert result_id is not None
        caller = Caller(subject="pathologist", lab=lab, roles=frozenset({Role.PATHOLOGIST}))
        results.sign(caller, ResultId(result_id), "")
    region.service.outbox.send_due()
    assert ("N-5", "F") in region.heard(NORTH)
    assert ("S-5", "F") in region.heard(SOUTH)
    assert {number[0] for number, _ in region.heard(NORTH)} == {"N"}
    assert {number[0] for number, _ in region.heard(SOUTH)} == {"S"}
    assert len(region.stored(NORTH)) == before[NORTH] + 1  # the signed SR
    assert len(region.stored(SOUTH)) == before[SOUTH]  # where only preliminary ones go
