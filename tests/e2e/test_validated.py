"""A validation that two people signed lifts "research use only" for the next order by HL7, in message and SR."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import hl7
import pytest
from pydicom import dcmread

from inference.calibration.sample import Quantity, Target
from inference.draw import draw_slide
from inference.engines.factory import Engines
from inference.geometry import Size
from inference.measures import ALL
from server import settings
from server.bootstrap import bootstrap
from server.demo.lis import ReceivingLis, order_message
from server.demo.slide_header import SlideIdentity
from server.domain.access import Caller, Role
from server.hl7.sender import send
from server.listening import listening
from server.pipeline import run_case
from server.services.profiles import ProfileService
from server.services.validations import Reference
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from server.store.profile_repository import PostgresProfileRepository
from server.store.result_repository import PostgresResultRepository

pytestmark = pytest.mark.postgres
LAB = "LAB"
SITE = """
[archives.a]
kind = "folder"
folder = "archive"
[destinations.lis]
kind = "mllp"
host = "127.0.0.1"
port = {lis}
[destinations.a]
kind = "archive"
archive = "a"
[laboratories.LAB]
archives = ["a"]
[laboratories.LAB.profiles]
validation_slides = 1
[[routes]]
artifacts = ["ORU"]
to = ["lis"]
[[routes]]
artifacts = ["SR"]
to = ["a"]
"""
NOT_YET, HELD = "Research use only", "Validated by the laboratory, 1 slides"


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="chromogen-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def person(name: str, *roles: Role) -> Caller:
    return Caller(subject=name, lab=LAB, roles=frozenset(roles))


def test_the_next_order_is_said_to_be_validated(folder: Path) -> None:
    slide = SlideIdentity(key="validated", container_id="INVENTED-V")
    drawing = JpegFrames(draw_slide(size=Size(width=768, height=768), seed=1, h_score=150))
    write_dicom_slide(folder / "archive" / "s", drawing, mpp=0.5, identity=slide, levels=1)
    (folder / "received").mkdir()
    with ReceivingLis(folder / "received") as lis:
        (folder / "site.toml").write_text(SITE.format(lis=lis.port))
        wanted = settings.Settings(
            database=settings.Database(),
            data=settings.Data(folder=folder / "data"),
            mllp=settings.Mllp(port=0),
            archive=settings.Archive(wait_s=0),
            lis=settings.Lis(),
            site=settings.Site(file=folder / "site.toml"),
        )
        with bootstrap(wanted) as service, listening(service) as at:
            cases, port = service.case_services(Engines().of), next(iter(at.values()))

            def ordered(number: str) -> None:
                message = order_message(
                    placer_number=number,
                    marker="ER",
                    control_id=number,
                    container_id=slide.container_id,
                    lab=LAB,
                )
                send(message, host="127.0.0.1", port=port, timeout_s=20)
                service.worker(lambda claim: run_case(claim, cases)).run_until_idle()

            ordered("V-1")
            (view,) = service.store.orders()
            pathologist, admin = person("dr-1", Role.PATHOLOGIST), person("admin-1", Role.LAB_ADMIN)
            validations = service.validations(ProfileService(PostgresProfileRepository(service.database)))
            scored = Reference(
                result_id=view.result_id,  # type: ignore[arg-type]
                targets=(Target(part=ALL, quantity=Quantity.H_SCORE, value=150),),
            )
            found = validations.compute(
                pathologist, "built-in", 2, "ER", [scored], "6d0c2c5e-0000-4000-8000-000000000001"
            )
            validations.sign(pathologist, found.id)
            ordered("V-2")
            validations.sign(admin, found.id)
            ordered("V-3")
            notes = dict(map(first_note, lis.received))
            assert {n: HELD in note for n, note in notes.items()} == {"V-1": False, "V-2": False, "V-3": True}
            assert NOT_YET in notes["V-2"]
            results = PostgresResultRepository(service.database)
            for order in service.store.orders():
                number = order.order.request.placer_order_number.identifier
                result = results.get(pathologist, order.result_id)  # type: ignore[arg-type]
                said, other = (HELD, NOT_YET) if number == "V-3" else (NOT_YET, HELD)
                report = dcmread(result.result.cells_file.parent / "sr.dcm")
                texts = [str(e.value) for e in report.iterall() if e.keyword == "TextValue"]
                assert any(said in text for text in texts)
                assert not any(other in text for text in texts)


def first_note(path: Path) -> tuple[str, str]:
    message = hl7.parse(path.read_bytes().decode())
    return str(message.segment("OBR")[2]).split("^")[0], str(message.segments("NTE")[0][3])
