"""The wired service on its own private PostgreSQL, from an empty folder to a delivered object."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian

from server.bootstrap import bootstrap
from server.disk import keep_private
from server.domain.artifact import ArtifactKind
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.ports import ARCHIVE, Claim, Delivery
from server.domain.states import OrderState
from server.settings import Settings
from tests.server.store.invented import request, result

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="chromogen-test-"))
    monkeypatch.setenv("CHROMOGEN_DATA_FOLDER", str(made / "data"))
    yield made / "data"
    shutil.rmtree(made)


def report(path: Path) -> Delivery:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        ComprehensiveSRStorage,
        "1.2.826.0.1.3680043.10.999.1",
    )
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.826.0.1.3680043.10.999.2", "1.2.826.0.1.3680043.10.999.3"
    dataset.Modality, dataset.PatientName = "SR", "TEST-INVENTED"
    dataset.save_as(path, enforce_file_format=True)
    return Delivery(kind=ArtifactKind.SR, destination=ARCHIVE, path=path, message_id=str(dataset.SOPInstanceUID))


def test_an_order_is_scored_and_its_report_is_in_the_archive_and_all_is_there_after_a_restart(data: Path) -> None:
    with bootstrap(Settings()) as service:
        order, _ = service.store.accept(request())

        def run_case(claim: Claim) -> None:
            service.results_folder.mkdir(parents=True, exist_ok=True)
            service.store.finish(claim, result(claim.order.id), [report(service.results_folder / "sr.dcm")])

        assert service.worker(run_case).run_until_idle() == 1
        assert (service.outbox.waiting(), service.outbox.dead()) == (0, 0)
        stored = [p for p in (data / "archive").rglob("*") if p.is_file()]
        assert [p.read_bytes() for p in stored] == [(data / "results" / "sr.dcm").read_bytes()]
        assert service.site.destinations_of("LAB") == (ARCHIVE,)
    with bootstrap(Settings()) as service:
        assert service.store.order(order.id).state is OrderState.DONE


def test_what_holds_patients_data_is_no_other_account_s_to_read(data: Path) -> None:
    """Issue 12, 15."""
    with bootstrap(Settings()) as service:
        for folder in (service.results_folder, service.results_folder.with_name("spool")):
            assert folder.stat().st_mode & 0o007 == 0
    assert keep_private(data / "results")
    (data / "results").chmod(0o755)
    assert not keep_private(data / "results")


def test_a_configured_database_that_does_not_answer_is_said_when_it_is_asked(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHROMOGEN_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    with bootstrap(Settings()) as service, pytest.raises(Failed) as failed:
        service.store.due()
    assert failed.value.reason == ServiceReason.DATABASE_UNREACHABLE
    assert not (data / "postgres").exists()


@pytest.mark.parametrize("url", ["mysql://s3cret@h/d", "s3cret", "postgresql:s3cret"])
def test_an_address_of_no_postgresql_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CHROMOGEN_DATABASE_URL", url)
    with pytest.raises(Refused) as refused:
        bootstrap(Settings())
    assert refused.value.reason == ServiceReason.SETTING_INVALID
    assert "s3cret" not in refused.value.message


def test_importing_the_service_connects_nothing_and_needs_no_torch() -> None:
    code = (
        "import sys, socket; socket.socket.connect = None; import server.bootstrap; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
