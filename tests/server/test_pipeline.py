"""What a case leaves in its folder when it is refused (`server.pipeline.run_case`)."""

from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from inference.checkpoint import PATTERN
from inference.engines.factory import Engines
from inference.model import Resolution
from inference.slide import Slide
from server.domain.errors import Refused, ServiceReason
from server.domain.patients import PatientRules
from server.domain.ports import Claim, SlideQuery
from server.domain.profile import ProfileRules
from server.pipeline import CaseServices, attempt_folder, run_case
from server.reporting import Reporting
from server.store.store import PostgresStore
from tests.server.store.invented import request

pytestmark = pytest.mark.postgres


class EmptyArchive:
    def fetch(self, query: SlideQuery, spool: Path) -> Path:
        raise Refused(ServiceReason.SLIDE_NOT_FOUND, "no slide of this container")

    def ping(self) -> None:
        return


def no_slide(path: Path, resolution: Resolution) -> Slide:
    raise AssertionError("no slide is opened")


def case_services_of(store: PostgresStore, folder: Path) -> CaseServices:
    return CaseServices(
        store=store,
        source=lambda lab: EmptyArchive(),
        rules=lambda lab: ProfileRules(),
        patients=lambda lab: PatientRules(),
        open_slide=no_slide,
        engine=Engines().of,
        reporting=Reporting(),
        today=lambda: date(2026, 3, 1),
        cases=folder,
        lease_s=60,
    )


def journal_of(claim: Claim, folder: Path) -> Path:
    path = folder / claim.order.id / attempt_folder(claim) / PATTERN.replace("*", "made")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"tiles")
    return path


def test_r5_a_refused_case_leaves_no_journal_but_a_zombie_s_refusal_leaves_the_live_attempt_s(
    engine: sa.Engine, tmp_path: Path
) -> None:
    store = PostgresStore(engine)
    order, _ = store.accept(request())
    zombie, live = store.claim(order.id, 0.0), store.claim(order.id, 60)
    assert zombie is not None
    assert live is not None
    journal = journal_of(live, tmp_path)
    with pytest.raises(Refused, match="SLIDE_NOT_FOUND"):
        run_case(zombie, case_services_of(store, tmp_path))
    assert journal.exists()
    with pytest.raises(Refused, match="SLIDE_NOT_FOUND"):
        run_case(live, case_services_of(store, tmp_path))
    assert not journal.exists()
