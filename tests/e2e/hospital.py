"""A hospital by its site file: orders come by HL7, cases are worked off; what left and what the API says is read."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import hl7
from chromogen.v1 import result_pb2
from pydicom import Dataset, dcmread

from inference.engines.factory import Engines
from server import settings
from server.api.convert_result import result_message
from server.bootstrap import Service, bootstrap
from server.demo.lis import ReceivingLis, order_message
from server.domain.access import Caller, Role
from server.domain.result import Result, ResultId
from server.domain.states import OrderState
from server.domain.views import ResultView
from server.hl7.sender import send
from server.listening import listening
from server.pipeline import run_case
from server.report.identity import derived_uid
from server.store.result_repository import PostgresResultRepository

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
%s
[[routes]]
artifacts = ["ORU"]
to = ["lis"]
[[routes]]
artifacts = ["SR"]
to = ["a"]
"""


def site_of(laboratories: str) -> str:
    """A site file's text with one folder archive and one laboratory system at port {lis} for all of `laboratories`."""
    return SITE % laboratories


@dataclass(slots=True)
class Hospital:
    folder: Path
    service: Service
    lis: ReceivingLis
    port: int
    engines: Engines = field(default_factory=Engines)
    sent: int = 0

    def order(self, number: str, slide: str, **said: str) -> None:
        self.sent += 1
        given = {"placer_number": number, "marker": "ER", "control_id": f"C-{self.sent}", "lab": "LAB"} | said
        message = order_message(container_id=f"INVENTED-{slide}", **given)  # type: ignore[arg-type]
        send(message, host="127.0.0.1", port=self.port, timeout_s=20)

    def run(self) -> None:
        cases = self.service.case_services(self.engines.of)
        self.service.worker(lambda claim: run_case(claim, cases)).run_until_idle()

    def result(self, number: str) -> Result:
        views = [v for v in self.service.store.orders() if v.order.request.placer_order_number.identifier == number]
        assert views[0].state is OrderState.DONE, (views[0].reason, views[0].detail)
        return self.service.store.result(ResultId(str(views[0].result_id)))

    def told(self, number: str) -> list[hl7.Message]:
        messages = [hl7.parse(path.read_bytes().decode()) for path in self.lis.received]
        return [m for m in messages if str(m.segment("OBR")[2]).split("^")[0] == number]

    def report(self, result: Result) -> Dataset:
        found = (dcmread(path, stop_before_pixels=True) for path in (self.folder / "archive").rglob("*.dcm"))
        (report,) = (ds for ds in found if ds.SOPInstanceUID == derived_uid(result.id, "SR"))
        return report

    def view(self, result: Result, lab: str = "LAB") -> ResultView:
        caller = Caller(subject="p", lab=lab, roles=frozenset({Role.PATHOLOGIST}))
        return PostgresResultRepository(self.service.database).get(caller, result.id)

    def api(self, result: Result, lab: str = "LAB") -> result_pb2.Result:
        return result_message(self.view(result, lab))


@contextmanager
def hospital_of(site: str) -> Iterator[Hospital]:
    """`site`: the site file with {lis} for the laboratory system's port; its archive is the folder archive."""
    with tempfile.TemporaryDirectory(prefix="chromogen-test-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        (folder / "received").mkdir()
        with ReceivingLis(folder / "received") as lis:
            (folder / "site.toml").write_text(site.format(lis=lis.port))
            wanted = settings.Settings(
                database=settings.Database(),
                data=settings.Data(folder=folder / "data"),
                mllp=settings.Mllp(port=0),
                archive=settings.Archive(wait_s=0),
                lis=settings.Lis(),
                site=settings.Site(file=folder / "site.toml"),
            )
            with bootstrap(wanted) as service, listening(service) as at:
                yield Hospital(folder, service, lis, next(iter(at.values())))


def values(message: hl7.Message, code: str) -> list[str]:
    return [str(o[5]) for o in message.segments("OBX") if str(o[3]).split("^")[0] == code]
