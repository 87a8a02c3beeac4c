"""AIW-I's whole way: an item of a worklist is claimed, its slide fetched from a PACS by DIMSE and scored, and the item
completed with the objects that lie in the PACS.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from inference.draw import draw_slide
from inference.engines.factory import Engines
from inference.geometry import Size
from server import settings, watches
from server.bootstrap import Service, bootstrap
from server.demo.slide_header import SlideIdentity
from server.domain.states import OrderState
from server.pipeline import run_case
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.integration.processes import OwnPostgres
from tests.orthanc import AET, Orthanc, orthanc
from tests.ups_peer import LAB, UpsPeer, coded, made_item, ups_peer

pytestmark = [pytest.mark.postgres, pytest.mark.peer]
SLIDE = SlideIdentity(key="ups/one", marker="ER")
SITE = """
[archives.pacs]
kind = "dimse"
host = "127.0.0.1"
port = {pacs}
aet = "{aet}"
[destinations.pacs]
kind = "archive"
archive = "pacs"
[laboratories.{lab}]
archives = ["pacs"]
[worklists.work]
host = "127.0.0.1"
port = {worklist}
aet = "WORKLIST"
laboratory = "{lab}"
station = "IHC-AI"
[[routes]]
artifacts = ["SR", "ANN", "SEG", "MAP"]
to = ["pacs"]
"""


@dataclass
class Hospital:
    service: Service
    pacs: Orthanc
    peer: UpsPeer

    def work(self) -> None:
        cases = self.service.case_services(Engines().of)
        self.service.worker(lambda claim: run_case(claim, cases)).run_until_idle()


@pytest.fixture
def hospital() -> Iterator[Hospital]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chromogen-test-")))
        folder.chmod(0o711)
        postgres = OwnPostgres()
        stack.callback(postgres.close)
        pacs = stack.enter_context(orthanc(folder / "pacs"))
        drawing = JpegFrames(draw_slide(size=Size(width=1024, height=1024), seed=4, h_score=150), quality=100)
        for path in write_dicom_slide(folder / "slide", drawing, mpp=0.5, identity=SLIDE, levels=2):
            pacs.add(path)
        peer = stack.enter_context(ups_peer())
        text = SITE.format(pacs=pacs.dicom_port, aet=AET, worklist=peer.port, lab=LAB)
        (folder / "site.toml").write_text(text)
        wanted = settings.Settings(
            database=settings.Database(url=postgres.url),  # type: ignore[arg-type]
            data=settings.Data(folder=folder / "data"),
            archive=settings.Archive(wait_s=0),
            site=settings.Site(file=folder / "site.toml"),
            worker=settings.Worker(poll_s=0.1, lease_s=20),
        )
        yield Hospital(stack.enter_context(bootstrap(wanted)), pacs, peer)


@pytest.mark.timeout(300)
def test_an_item_is_claimed_scored_and_completed_with_what_lies_in_the_pacs(hospital: Hospital) -> None:
    peer, patient = hospital.peer, {"PatientID": SLIDE.patient_id, "IssuerOfPatientID": ""}
    good = peer.add(made_item(SLIDE.series_uid, SLIDE.study_uid, **patient))
    other = peer.add(made_item("2.25.1", SLIDE.study_uid, **patient))
    (performer,) = watches.performers(hospital.service)
    performer.step()
    hospital.work()
    states = {view.order.request.slide.series_uid: view.state for view in hospital.service.store.orders()}
    assert states == {SLIDE.series_uid: OrderState.DONE, "2.25.1": OrderState.REFUSED}
    performer.step()
    assert (peer.state(good), peer.state(other)) == ("COMPLETED", "CANCELED")
    reason = peer.items[other].ProcedureStepProgressInformationSequence[0].ReasonForCancellation
    assert reason.startswith("SLIDE_NOT_FOUND: ")
    (performed,) = peer.items[good].UnifiedProcedureStepPerformedProcedureSequence
    named = {
        (each.ReferencedSOPSequence[0].ReferencedSOPClassUID, each.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for each in performed.OutputInformationSequence
    }
    there = [dcmread(DicomBytesIO(content)) for content in hospital.pacs.kept()]
    assert named == {(each.SOPClassUID, each.SOPInstanceUID) for each in there if each.Modality != "SM"}
    assert len(named) == 4
    assert {each.DICOMRetrievalSequence[0].RetrieveAETitle for each in performed.OutputInformationSequence} == {AET}


def test_an_item_of_a_stain_that_isn_t_scored_is_left_to_others(hospital: Hospital) -> None:
    item = made_item(SLIDE.series_uid, SLIDE.study_uid, ScheduledWorkitemCodeSequence=[coded("CD3", "99TEST", "CD3")])
    uid = hospital.peer.add(item)
    (performer,) = watches.performers(hospital.service)
    performer.step()
    assert hospital.peer.state(uid) == "SCHEDULED"
    assert hospital.service.store.orders() == []
