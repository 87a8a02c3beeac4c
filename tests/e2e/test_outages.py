"""Each neighbour away in the middle of the orders of two laboratories: all are scored, each result goes out once.

With SOAK=1 each is away for a minute. Issue 12, 3 and 4.
"""

import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hl7
import pytest
import sqlalchemy as sa

from inference.assay import Assay
from inference.draw import draw_slide
from inference.engines.factory import Engines
from inference.errors import Reason
from inference.geometry import Size
from server import settings
from server.bootstrap import Service, bootstrap
from server.demo.lis import ReceivingLis, order_message
from server.demo.slide_header import SlideIdentity
from server.domain.errors import Failed
from server.domain.states import ENDED_WITHOUT_RESULT, OrderState
from server.hl7.intake import Intake
from server.pipeline import run_case
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from server.store import orders as order_store
from server.store.database import transaction
from server.worker import Worker
from tests.e2e.test_two_laboratories import NORTH, SITE, SOUTH, free_port
from tests.integration.processes import OwnPostgres, until

pytestmark = pytest.mark.postgres
AWAY_S = 60.0 if os.environ.get("SOAK") else 2.0
SIDE = 512
OF_EACH = 10 if os.environ.get("SOAK") else 4
LABS = (NORTH, SOUTH)
LATE_S = 5.0
"""By no more may a laboratory's deliveries be late because of what only the other one lacks."""


@dataclass
class Hospital:
    """Both laboratories, with everything that can be away."""

    folder: Path
    postgres: OwnPostgres
    service: Service
    lis: dict[str, ReceivingLis]
    slides: dict[str, SlideIdentity]
    engines: Engines = field(default_factory=Engines)
    engine_away: bool = False

    def order(self, number: int, lab: str) -> None:
        text = order_message(
            placer_number=f"{lab}-{number}",
            marker="ER",
            control_id=f"{lab}-{number}",
            series_uid=self.slides[lab].series_uid,
            lab=lab,
            application=f"{lab}-LIS",
        )
        store = self.service.store
        (answer,) = Intake(store.accept, store.cancel)(text)
        assert b"MSA|AA" in answer

    def check_engine(self) -> None:
        if self.engine_away:
            raise Failed(Reason.ENGINE_FAILED, "no server answers", retryable=True)

    def engine_of(self, assay: Assay) -> Any:
        return Leaving(self.engines.of(assay), self.check_engine)

    def worker(self) -> Worker:
        cases = self.service.case_services(self.engine_of)
        return self.service.worker(lambda claim: run_case(claim, cases), self.check_engine)

    def done(self) -> int:
        """0 while the database is away. None may have ended otherwise."""
        try:
            orders = self.service.store.orders(100)
        except Failed:
            return 0
        assert {(v.state, v.reason) for v in orders if v.state in ENDED_WITHOUT_RESULT} == set()
        return sum(view.state is OrderState.DONE for view in orders)

    def heard(self, lab: str) -> Counter[str]:
        found = (hl7.parse(path.read_bytes().decode()) for path in self.lis[lab].received)
        return Counter(str(message.segment("OBR")[2]).split("^")[0] for message in found)

    def latest_s(self, lab: str) -> float:
        """By how much the latest delivery of a laboratory went out after it was written, by the database's clock."""
        late = sa.text("SELECT max(extract(epoch FROM ended_at - created_at)) FROM outbox WHERE state = 'SENT'")
        with transaction(self.service.database, lab=lab) as connection:
            return float(connection.execute(late).scalar_one())


class Leaving:
    """An engine whose server goes away between two batches."""

    def __init__(self, engine: Any, check: Callable[[], None]) -> None:
        self._engine, self._check = engine, check

    def detect(self, *values: Any, **named: Any) -> Any:
        self._check()
        return self._engine.detect(*values, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


@pytest.fixture
def hospital() -> Iterator[Hospital]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chromogen-test-")))
        folder.chmod(0o711)
        postgres = OwnPostgres()
        stack.callback(postgres.close)
        slides = {lab: SlideIdentity(key=f"away/{lab}", marker="ER") for lab in LABS}
        for seed, (lab, identity) in enumerate(slides.items()):
            drawing = JpegFrames(draw_slide(size=Size(width=SIDE, height=SIDE), seed=seed, h_score=150))
            write_dicom_slide(folder / lab.lower() / "slide", drawing, mpp=0.5, identity=identity, levels=2)
            (folder / f"heard-{lab}").mkdir()
        lis = {lab: stack.enter_context(ReceivingLis(folder / f"heard-{lab}")) for lab in LABS}
        file = folder / "site.toml"
        file.write_text(SITE.format(north_lis=lis[NORTH].port, south_lis=lis[SOUTH].port, listener=free_port()))
        service = stack.enter_context(bootstrap(settings_for(folder, file, postgres.url)))
        yield Hospital(folder=folder, postgres=postgres, service=service, lis=lis, slides=slides)


def settings_for(folder: Path, site: Path, database: str) -> settings.Settings:
    return settings.Settings(
        database=settings.Database(url=database),  # type: ignore[arg-type]
        data=settings.Data(folder=folder / "data"),
        archive=settings.Archive(wait_s=0),
        lis=settings.Lis(),
        site=settings.Site(file=site),
        worker=settings.Worker(poll_s=0.1, lease_s=20),
    )


def archive_away(hospital: Hospital) -> None:
    folder = hospital.folder / "north"
    folder.rename(hospital.folder / "elsewhere")
    time.sleep(AWAY_S)
    (hospital.folder / "elsewhere").rename(folder)


def disk_away(hospital: Hospital) -> None:
    """A share that isn't mounted: where its folder was lies something that can't be written to."""
    folder = hospital.service.results_folder
    folder.rename(hospital.folder / "elsewhere")
    folder.write_bytes(b"")
    time.sleep(AWAY_S)
    folder.unlink()
    (hospital.folder / "elsewhere").rename(folder)


def engine_away(hospital: Hospital) -> None:
    hospital.engine_away = True
    time.sleep(AWAY_S)
    hospital.engine_away = False


def database_away(hospital: Hospital) -> None:
    hospital.postgres.stop()
    time.sleep(AWAY_S)
    hospital.postgres.start()


def lis_away(hospital: Hospital) -> None:
    """The other laboratory's messages go on meanwhile."""
    hospital.lis[NORTH].__exit__(None, None, None)
    time.sleep(AWAY_S)
    hospital.lis[NORTH].__enter__()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("away", [archive_away, disk_away, engine_away, database_away, lis_away])
def test_whatever_is_away_in_the_middle_each_order_is_scored_and_told_once(
    hospital: Hospital, away: Callable[[Hospital], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_store, "OUTAGE_PAUSE_S", AWAY_S / 4)
    for number in range(OF_EACH):
        for lab in LABS:
            hospital.order(number, lab)
    worker = hospital.worker()
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        until(lambda: hospital.done() >= 3, 60)
        away(hospital)
        until(lambda: hospital.done() == len(LABS) * OF_EACH, 240)
        until(lambda: hospital.service.outbox.waiting() == 0, 60)
    finally:
        worker.stop()
        thread.join(30)
    for lab in LABS:
        assert hospital.heard(lab) == {f"{lab}-{number}": 1 for number in range(OF_EACH)}
    assert hospital.service.outbox.dead() == 0
    if away in (archive_away, lis_away):
        assert hospital.latest_s(SOUTH) <= LATE_S
        if away is lis_away and os.environ.get("SOAK"):
            assert hospital.latest_s(NORTH) > LATE_S  # something waited for it meanwhile
    attempts = {view.attempt for view in hospital.service.store.orders(100)}
    assert attempts == {1} if away is not database_away else attempts <= {1, 2}  # a claim's answer may be lost with it
