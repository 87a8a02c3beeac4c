"""Two profiles that differ in scanner only: each order by HL7 gets its own, said by the order or by the slide."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import hl7
import pytest
from chromogen.v1 import result_pb2

from inference.draw import draw_slide
from inference.engines.factory import Engines
from inference.geometry import Size
from inference.grade import HueValueThresholds
from server import settings
from server.api.convert_result import result_message
from server.bootstrap import Service, bootstrap
from server.demo.lis import ReceivingLis, order_message
from server.demo.slide_header import SlideIdentity
from server.domain.access import Caller, Role
from server.domain.errors import ServiceReason
from server.domain.profile import Profile, ProfileKey
from server.domain.states import OrderState
from server.hl7.sender import send
from server.listening import listening
from server.pipeline import run_case
from server.slides.slide_writer import JpegFrames, write_dicom_slide
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
built_in = false
scanner = "ManufacturerModelName"
[[routes]]
artifacts = ["ORU"]
to = ["lis"]
"""
SCANNERS = {"one": ("Scanner One", 90), "two": ("Scanner Two", 200)}
"""By profile: the scanner, and `right`, which alone makes their scores differ."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="chromogen-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def slides(folder: Path) -> dict[str, SlideIdentity]:
    """The same picture by two scanners, and by one that no profile is for."""
    drawing = JpegFrames(draw_slide(size=Size(width=768, height=768), seed=1, h_score=150))
    models = {name: scanner for name, (scanner, _) in SCANNERS.items()} | {"three": "Scanner Three"}
    made = {}
    for name, model in models.items():
        made[name] = SlideIdentity(key=f"scanner/{name}", container_id=f"INVENTED-{name}", model_name=model)
        write_dicom_slide(folder / "archive" / name, drawing, mpp=0.5, identity=made[name], levels=1)
    return made


def scored(service: Service, engines: Engines) -> None:
    cases = service.case_services(engines.of)
    service.worker(lambda claim: run_case(claim, cases)).run_until_idle()


def answers(lis: ReceivingLis) -> dict[str, hl7.Message]:
    messages = [hl7.parse(path.read_bytes().decode()) for path in lis.received]
    return {str(m.segment("OBR")[2]).split("^")[0]: m for m in messages}


def observed(message: hl7.Message, code: str) -> str:
    return next(str(o[5]) for o in message.segments("OBX") if str(o[3]).startswith(code) and str(o[4]) in ("", "all"))


def test_each_order_gets_the_profile_of_its_scanner(folder: Path) -> None:
    made = slides(folder)
    (folder / "received").mkdir()
    with ReceivingLis(folder / "received") as lis:
        file = folder / "site.toml"
        file.write_text(SITE.format(lis=lis.port))
        wanted = settings.Settings(
            database=settings.Database(),
            data=settings.Data(folder=folder / "data"),
            mllp=settings.Mllp(port=0),
            archive=settings.Archive(wait_s=0),
            lis=settings.Lis(),
            site=settings.Site(file=file),
        )
        with bootstrap(wanted) as service, listening(service) as at:
            for name, (scanner, right) in SCANNERS.items():
                key = ProfileKey(lab=LAB, marker="ER", scanner=scanner)
                thresholds = HueValueThresholds(hue=130, left=60, right=right)
                service.store.add_profile(Profile(name=name, revision=1, key=key, criteria=thresholds))
            port = next(iter(at.values()))
            for number, slide, said in (
                ("H-1", "one", ""),  # by the slide's header
                ("H-2", "two", ""),
                ("O-2", "one", "scanner two"),  # the order goes before the header
                ("H-3", "three", ""),
            ):
                message = order_message(
                    placer_number=number,
                    marker="ER",
                    control_id=number,
                    container_id=made[slide].container_id,
                    lab=LAB,
                    scanner=said,
                )
                send(message, host="127.0.0.1", port=port, timeout_s=20)
            scored(service, Engines())
            views = {v.order.request.placer_order_number.identifier: v for v in service.store.orders()}
            told = answers(lis)
            assert {n: observed(m, "PROFILE") for n, m in told.items() if n != "H-3"} == {
                "H-1": "one/1",
                "H-2": "two/1",
                "O-2": "two/1",
            }
            assert observed(told["H-1"], "HSCORE") != observed(told["H-2"], "HSCORE")
            assert observed(told["O-2"], "HSCORE") == observed(told["H-2"], "HSCORE")
            assert (views["H-3"].state, views["H-3"].reason) == (OrderState.REFUSED, ServiceReason.NO_PROFILE)
            notes = [str(n[3]) for n in told["O-2"].segments("NTE")]
            assert "Profile two/1 chosen by scanner scanner two by the order; not taken: one/1 OTHER_SCANNER" in notes
            result = api_result(service, str(views["H-1"].result_id))
            assert (result.profile_choice.scanner, list(result.profile_choice.by_slide)) == ("Scanner One", ["scanner"])
            assert [(a.profile, a.against) for a in result.profile_choice.alternatives] == [("two/1", "OTHER_SCANNER")]


def api_result(service: Service, result_id: str) -> result_pb2.Result:
    caller = Caller(subject="p", lab=LAB, roles=frozenset({Role.PATHOLOGIST}))
    return result_message(PostgresResultRepository(service.database).get(caller, result_id))  # type: ignore[arg-type]
