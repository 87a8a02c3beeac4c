"""Two profiles that differ in scanner only: each order by HL7 gets its own, said by the order or by the slide."""

from pathlib import Path

import hl7
import pytest

from inference.draw import draw_slide
from inference.geometry import Size
from inference.grade import HueValueThresholds
from server.demo.slide_header import SlideIdentity
from server.domain.errors import ServiceReason
from server.domain.ports import OrderView
from server.domain.profile import Profile, ProfileKey
from server.domain.states import OrderState
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.e2e.hospital import hospital_of, site_of

pytestmark = pytest.mark.postgres
LAB = "LAB"
SITE = site_of("""
[laboratories.LAB]
archives = ["a"]
[laboratories.LAB.profiles]
built_in = false
scanner = "ManufacturerModelName"
""")
SCANNERS = {"one": ("Scanner One", 90), "two": ("Scanner Two", 200)}
"""By profile: the scanner, and `right`, which alone makes their scores differ."""


def write_slides(archive: Path) -> None:
    """The same picture by two scanners, and by one that no profile is for."""
    drawing = JpegFrames(draw_slide(size=Size(width=768, height=768), seed=1, h_score=150))
    models = {name: scanner for name, (scanner, _) in SCANNERS.items()} | {"three": "Scanner Three"}
    for name, model in models.items():
        identity = SlideIdentity(key=f"scanner/{name}", container_id=f"INVENTED-{name}", model_name=model)
        write_dicom_slide(archive / name, drawing, mpp=0.5, identity=identity, levels=1)


def observed(message: hl7.Message, code: str) -> str:
    return next(str(o[5]) for o in message.segments("OBX") if str(o[3]).startswith(code) and str(o[4]) in ("", "all"))


def test_each_order_gets_the_profile_of_its_scanner() -> None:
    with hospital_of(SITE) as hospital:
        write_slides(hospital.folder / "archive")
        for name, (scanner, right) in SCANNERS.items():
            key = ProfileKey(lab=LAB, marker="ER", scanner=scanner)
            thresholds = HueValueThresholds(hue=130, left=60, right=right)
            hospital.service.store.add_profile(Profile(name=name, revision=1, key=key, criteria=thresholds))
        for number, slide, said in (
            ("H-1", "one", ""),  # by the slide's header
            ("H-2", "two", ""),
            ("O-2", "one", "scanner two"),  # the order goes before the header
            ("H-3", "three", ""),
        ):
            hospital.order(number, slide, scanner=said)
        hospital.run()
        refused = next(v for v in hospital.service.store.orders() if number_of(v) == "H-3")
        assert (refused.state, refused.reason) == (OrderState.REFUSED, ServiceReason.NO_PROFILE)
        told = {number: hospital.told(number)[0] for number in ("H-1", "H-2", "O-2")}
        assert {n: observed(m, "PROFILE") for n, m in told.items()} == {"H-1": "one/1", "H-2": "two/1", "O-2": "two/1"}
        assert observed(told["H-1"], "HSCORE") != observed(told["H-2"], "HSCORE")
        assert observed(told["O-2"], "HSCORE") == observed(told["H-2"], "HSCORE")
        notes = [str(n[3]) for n in told["O-2"].segments("NTE")]
        assert "Profile two/1 chosen by scanner scanner two by the order; not taken: one/1 OTHER_SCANNER" in notes
        choice = hospital.api(hospital.result("H-1")).profile_choice
        assert (choice.scanner, list(choice.by_slide)) == ("Scanner One", ["scanner"])
        assert [(a.profile, a.against) for a in choice.alternatives] == [("two/1", "OTHER_SCANNER")]


def number_of(view: OrderView) -> str:
    return view.order.request.placer_order_number.identifier
