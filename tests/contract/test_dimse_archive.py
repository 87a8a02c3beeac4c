"""The ports of an archive over DIMSE: Orthanc and dcmqrscp, by C-GET and by C-MOVE."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from server.archive.dimse import DimseArchive
from server.demo.slide_header import SlideIdentity
from server.domain.errors import Failed, Refused
from server.domain.order import SlideReference
from server.domain.ports import SlideQuery
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.contract.test_archive_ports import Grey
from tests.dimse_peers import OUR_AET, DimsePeer, dcmqrscp
from tests.opened import open_slide
from tests.orthanc import AET, free_port, orthanc

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # pynetdicom drops refused sockets
]

ONE, OTHER = (SlideIdentity(key=f"dimse/{n}", accession_number=f"INVENTED-{n}") for n in (1, 2))


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slides")
    for identity in (ONE, OTHER):
        write_dicom_slide(folder / identity.accession_number, JpegFrames(Grey()), mpp=0.5, identity=identity, levels=2)
    return folder


@pytest.fixture(scope="module", params=["orthanc", "dcmqrscp"])
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, slides: Path) -> Iterator[DimsePeer]:
    """With both slides, stored there by C-STORE."""
    folder = tmp_path_factory.mktemp("peer")
    if request.param == "dcmqrscp":
        with dcmqrscp(folder) as found:
            found.archive(folder).store(sorted(slides.rglob("*.dcm")))
            yield found
        return
    our_port = free_port()
    with orthanc(folder, DicomModalities={"us": [OUR_AET, "127.0.0.1", our_port]}) as server:
        found = DimsePeer(aet=AET, port=server.dicom_port, our_port=our_port)
        found.archive(folder).store(sorted(slides.rglob("*.dcm")))
        yield found


@pytest.fixture(params=["get", "move"])
def archive(request: pytest.FixtureRequest, peer: DimsePeer, tmp_path: Path) -> DimseArchive:
    return peer.archive(tmp_path, move=request.param == "move")


WAYS = {
    "study and series": SlideReference(study_uid=ONE.study_uid, series_uid=ONE.series_uid),
    "study": SlideReference(study_uid=ONE.study_uid),
    "case": SlideReference(accession_number=ONE.accession_number),
    "case and container": SlideReference(accession_number=ONE.accession_number, container_id=ONE.container_id),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_slide_comes_as_it_is_stored_and_opens(archive: DimseArchive, slides: Path, tmp_path: Path, way: str) -> None:
    folder = archive.fetch(SlideQuery(slide=WAYS[way], marker="ER"), tmp_path / "spool")
    came = {str(d.SOPInstanceUID): d for d in map(dcmread, folder.iterdir())}
    sent = {str(d.SOPInstanceUID): d for d in map(dcmread, (slides / ONE.accession_number).iterdir())}
    assert came == sent
    assert len(open_slide(folder).facts.levels) == 2
    assert archive.fetch(SlideQuery(slide=WAYS[way], marker="ER"), tmp_path / "spool") == folder


@pytest.mark.parametrize(
    "slide", [SlideReference(study_uid="1.2", series_uid="1.3"), SlideReference(accession_number="NO-SUCH-CASE")]
)
def test_a_slide_that_is_not_there_is_refused(archive: DimseArchive, tmp_path: Path, slide: SlideReference) -> None:
    with pytest.raises(Refused, match="SLIDE_NOT_FOUND") as refused:
        archive.fetch(SlideQuery(slide=slide), tmp_path / "spool")
    assert "NO-SUCH" not in refused.value.message


def test_stored_twice_is_no_error(peer: DimsePeer, slides: Path, tmp_path: Path) -> None:
    archive, files = peer.archive(tmp_path), sorted((slides / ONE.accession_number).iterdir())
    archive.ping()
    archive.store(files)
    archive.store(files)


def test_where_nobody_listens_it_is_waited_for(slides: Path, tmp_path: Path) -> None:
    away = DimsePeer(aet="NOBODY", port=free_port(), our_port=free_port()).archive(tmp_path)
    files = sorted((slides / ONE.accession_number).iterdir())
    for ask in (
        away.ping,
        lambda: away.store(files),
        lambda: away.fetch(SlideQuery(slide=WAYS["study"]), tmp_path / "spool"),
    ):
        with pytest.raises(Failed) as failed:
            ask()
        assert (failed.value.reason, failed.value.retryable) == ("ARCHIVE_UNREACHABLE", True)


def test_what_is_moved_to_a_port_that_isn_t_ours_never_comes(peer: DimsePeer, tmp_path: Path) -> None:
    lost = peer.archive(tmp_path, move=True, our_aet="NOT-KNOWN")
    with pytest.raises(Failed) as failed:
        lost.fetch(SlideQuery(slide=WAYS["study and series"]), tmp_path / "spool")
    assert failed.value.retryable
    assert failed.value.reason in ("ARCHIVE_ANSWER", "ARCHIVE_DENIED", "ARCHIVE_UNREACHABLE")
    assert [path for path in tmp_path.rglob("*.dcm") if path.is_file()] == []
