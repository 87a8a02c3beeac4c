"""A validation that two people signed lifts "research use only" for the next order by HL7, in message and SR."""

from pathlib import Path

import hl7
import pytest
from pydicom import dcmread

from inference.calibration.sample import Quantity, Target
from inference.draw import draw_slide
from inference.geometry import Size
from inference.measures import ALL
from server.demo.slide_header import SlideIdentity
from server.domain.access import Caller, Role
from server.services.profiles import ProfileService
from server.services.validations import Reference
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from server.store.profile_repository import PostgresProfileRepository
from server.store.result_repository import PostgresResultRepository
from tests.e2e.hospital import hospital_of, site_of

pytestmark = pytest.mark.postgres
LAB = "LAB"
SITE = site_of("""
[laboratories.LAB]
archives = ["a"]
[laboratories.LAB.profiles]
validation_slides = 1
""")
NOT_YET, HELD = "Research use only", "Validated by the laboratory, 1 slides"


def person(name: str, *roles: Role) -> Caller:
    return Caller(subject=name, lab=LAB, roles=frozenset(roles))


def test_the_next_order_is_said_to_be_validated() -> None:
    with hospital_of(SITE) as hospital:
        slide = SlideIdentity(key="validated", container_id="INVENTED-V")
        drawing = JpegFrames(draw_slide(size=Size(width=768, height=768), seed=1, h_score=150))
        write_dicom_slide(hospital.folder / "archive" / "s", drawing, mpp=0.5, identity=slide, levels=1)

        def ordered(number: str) -> None:
            hospital.order(number, "V")
            hospital.run()

        ordered("V-1")
        (view,) = hospital.service.store.orders()
        pathologist, admin = person("dr-1", Role.PATHOLOGIST), person("admin-1", Role.LAB_ADMIN)
        validations = hospital.service.validations(ProfileService(PostgresProfileRepository(hospital.service.database)))
        scored = Reference(
            result_id=view.result_id,  # type: ignore[arg-type]
            targets=(Target(part=ALL, quantity=Quantity.H_SCORE, value=150),),
        )
        found = validations.compute(pathologist, "built-in", 2, "ER", [scored], "6d0c2c5e-0000-4000-8000-000000000001")
        validations.sign(pathologist, found.id)
        ordered("V-2")
        validations.sign(admin, found.id)
        ordered("V-3")
        notes = dict(map(first_note, hospital.lis.received))
        assert {n: HELD in note for n, note in notes.items()} == {"V-1": False, "V-2": False, "V-3": True}
        assert NOT_YET in notes["V-2"]
        results = PostgresResultRepository(hospital.service.database)
        for order in hospital.service.store.orders():
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
