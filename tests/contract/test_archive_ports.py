"""What every archive does (`server.domain.ports`: SlideSource, ObjectSink): one set of checks on each implementation.

A new archive is added to SOURCES, and to SINKS where it takes objects; one that is a server stands behind a fixture of
its own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from inference.errors import Reason
from inference.geometry import Region, Size
from inference.slide import Rgb
from server.archive.dicomweb import DicomWebArchive
from server.archive.folder import FolderArchive
from server.archive.removing import Deleting
from server.archive.several import SeveralArchives
from server.demo.slide_header import SlideIdentity
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.order import SlideReference
from server.domain.ports import NamedObject, ObjectSink, SlideQuery, SlideSource
from server.slides.dicom_header import read_instance_header
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.fake_pacs import FakePacs, fake_pacs
from tests.opened import open_slide
from tests.orthanc import Orthanc, free_port, orthanc

ONE, OTHER = SlideIdentity(key="contract/one"), SlideIdentity(key="contract/other")
LEVELS = 2


class Grey:
    """A slide of one colour."""

    size = Size(width=600, height=500)

    def read(self, region: Region) -> Rgb:
        return np.full((region.size.height, region.size.width, 3), 200, np.uint8)


def several(folder: Path) -> SlideSource:
    """The second of two has the slides."""
    (folder.parent / "empty").mkdir()
    return SeveralArchives([FolderArchive(folder.parent / "empty"), FolderArchive(folder)])


SOURCES = ("folder", "several", "dicomweb", "fake dicomweb")
SINKS = ("folder", "dicomweb", "fake dicomweb")


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two slides, each of two levels."""
    folder = tmp_path_factory.mktemp("kept") / "slides"
    for identity in (ONE, OTHER):
        write_dicom_slide(folder / identity.series_uid, JpegFrames(Grey()), mpp=0.5, identity=identity, levels=LEVELS)
    return folder


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """No folder can be here."""
    (tmp_path / "file").write_bytes(b"")
    return tmp_path / "file" / "archive"


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory, slides: Path) -> Iterator[Orthanc]:
    """An Orthanc with both slides."""
    with orthanc(tmp_path_factory.mktemp("pacs")) as server:
        for path in slides.rglob("*.dcm"):
            server.add(path)
        yield server


@pytest.fixture(scope="module")
def empty_pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("empty-pacs")) as server:
        yield server


@pytest.fixture
def fake(slides: Path) -> Iterator[FakePacs]:
    with fake_pacs(slides) as server:
        yield server


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, slides: Path, tmp_path: Path) -> SlideSource:
    (tmp_path / "archive").symlink_to(slides)
    match request.param:
        case "fake dicomweb":
            return request.getfixturevalue("fake").archive(tmp_path)
        case "dicomweb":
            return request.getfixturevalue("pacs").archive(tmp_path)
        case "several":
            return several(tmp_path / "archive")
    return FolderArchive(tmp_path / "archive")


@pytest.fixture(params=SOURCES)
def source_away(request: pytest.FixtureRequest, tmp_path: Path, away: Path) -> SlideSource:
    match request.param:
        case "dicomweb" | "fake dicomweb":
            return nobody_there(tmp_path)
        case "several":
            return SeveralArchives([FolderArchive(away)])
    return FolderArchive(away)


def nobody_there(folder: Path) -> DicomWebArchive:
    """Where nothing listens."""
    return Orthanc(folder=folder, http_port=free_port(), dicom_port=0).archive(folder)


@dataclass
class Sink:
    """A sink, and every object that it has."""

    sink: Deleting
    kept: Callable[[], list[bytes]]


@pytest.fixture(params=SINKS)
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Sink:
    if request.param == "dicomweb":
        server: Orthanc = request.getfixturevalue("empty_pacs")
        server.empty()
        return Sink(server.archive(tmp_path, orthanc_url=server.root), server.kept)
    if request.param == "fake dicomweb":
        fake: FakePacs = request.getfixturevalue("fake")
        fake.folder = tmp_path / "fake"
        fake.folder.mkdir()
        return Sink(fake.archive(tmp_path), fake.kept)
    (tmp_path / "archive").mkdir()
    return Sink(FolderArchive(tmp_path / "archive"), lambda: files_of(tmp_path / "archive"))


def files_of(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def of(identity: SlideIdentity) -> SlideQuery:
    return asked(study_uid=identity.study_uid, series_uid=identity.series_uid)


def asked(**slide: str) -> SlideQuery:
    return SlideQuery(slide=SlideReference(**slide))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- SlideSource ---


def test_a_slide_comes_whole_into_the_spool_and_opens(source: SlideSource, tmp_path: Path) -> None:
    folder = source.fetch(of(ONE), tmp_path / "spool")
    assert folder.is_relative_to(tmp_path / "spool")
    assert {str(dcmread(path).SeriesInstanceUID) for path in folder.iterdir()} == {ONE.series_uid}
    assert len(open_slide(folder).facts.levels) == LEVELS


def test_fetched_again_it_is_the_same(source: SlideSource, tmp_path: Path) -> None:
    folder = source.fetch(of(ONE), tmp_path / "spool")
    before = names(folder)
    assert (source.fetch(of(ONE), tmp_path / "spool"), names(folder)) == (folder, before)


def test_two_slides_do_not_mix_in_one_spool(source: SlideSource, tmp_path: Path) -> None:
    one, other = (source.fetch(of(identity), tmp_path / "spool") for identity in (ONE, OTHER))
    assert one != other
    assert not set(names(one)) & set(names(other))


@pytest.mark.parametrize("slide", [{"series_uid": "2.25.1"}, {"container_id": "NO-SUCH-SLIDE"}])
def test_a_slide_that_is_not_there_is_refused(source: SlideSource, tmp_path: Path, slide: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        source.fetch(asked(**slide), tmp_path / "spool")
    assert refused.value.reason == ServiceReason.SLIDE_NOT_FOUND
    assert "NO-SUCH-SLIDE" not in refused.value.message  # it may lead to a patient


def test_of_two_slides_of_one_container_none_is_chosen(source: SlideSource, tmp_path: Path) -> None:
    assert ONE.container_id == OTHER.container_id
    with pytest.raises(Refused) as refused:
        source.fetch(asked(container_id=ONE.container_id), tmp_path / "spool")
    assert refused.value.reason == Reason.SEVERAL_SLIDES


def test_a_source_that_is_there_answers(source: SlideSource) -> None:
    source.ping()


def test_a_source_that_is_away_says_so_and_is_tried_again(source_away: SlideSource, tmp_path: Path) -> None:
    for ask in (source_away.ping, lambda: source_away.fetch(of(ONE), tmp_path / "spool")):
        with pytest.raises(Failed) as failed:
            ask()
        assert (failed.value.reason, failed.value.retryable) == (ServiceReason.ARCHIVE_UNREACHABLE, True)


# --- ObjectSink ---


def test_what_is_stored_is_kept_once_and_to_the_byte(sink: Sink, slides: Path) -> None:
    objects = sorted((slides / ONE.series_uid).iterdir())
    for _ in range(2):
        sink.sink.store(objects)
    assert sink.kept() == sorted(path.read_bytes() for path in objects)


def test_what_is_removed_is_gone_and_what_is_gone_is_removed(sink: Sink, slides: Path) -> None:
    objects = sorted(slides.rglob("*.dcm"))
    sink.sink.store(objects)
    header = read_instance_header(objects[0])
    named = NamedObject(
        study_uid=header.study_uid, series_uid=header.series_uid, sop_instance_uid=header.sop_instance_uid
    )
    for _ in range(2):
        sink.sink.remove(named)
        assert sorted(sink.kept()) == sorted(path.read_bytes() for path in objects[1:])


def test_an_archive_that_deletes_nothing_by_dicomweb_says_so(empty_pacs: Orthanc, slides: Path, tmp_path: Path) -> None:
    path = min(slides.rglob("*.dcm"))
    archive, header = empty_pacs.archive(tmp_path), read_instance_header(path)
    archive.store([path])
    named = NamedObject(
        study_uid=header.study_uid, series_uid=header.series_uid, sop_instance_uid=header.sop_instance_uid
    )
    with pytest.raises(Failed) as raised:
        archive.remove(named)
    assert (raised.value.reason, raised.value.retryable) == ("OBJECT_REFUSED", False)


def test_nothing_to_store_is_no_error(sink: Sink) -> None:
    sink.sink.store([])
    sink.sink.ping()


@pytest.mark.parametrize("kind", SINKS)
def test_a_sink_that_is_away_says_so_and_is_tried_again(kind: str, slides: Path, away: Path, tmp_path: Path) -> None:
    sink: ObjectSink = FolderArchive(away) if kind == "folder" else nobody_there(tmp_path)
    objects = list((slides / ONE.series_uid).iterdir())
    for ask in (sink.ping, lambda: sink.store(objects)):
        with pytest.raises(Failed) as failed:
            ask()
        assert (failed.value.reason, failed.value.retryable) == (ServiceReason.ARCHIVE_UNREACHABLE, True)


@pytest.mark.parametrize("kind", ["folder", "dicomweb"])
def test_a_barcode_of_another_slide_is_refused(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    identity = SlideIdentity(key="archive/label")
    (path,) = write_dicom_slide(tmp_path / "made", JpegFrames(Grey()), mpp=0.5, identity=identity, levels=1)
    level = dcmread(path)
    level.BarcodeValue = "ANOTHER-1"
    level.save_as(path)
    if kind == "folder":
        archive: SlideSource = FolderArchive(tmp_path / "made")
    else:
        pacs: Orthanc = request.getfixturevalue("empty_pacs")
        pacs.empty()
        pacs.add(path)
        archive = pacs.archive(tmp_path)
    with pytest.raises(Refused) as refused:
        archive.fetch(replace(of(identity), labels=True), tmp_path / "spool")
    assert refused.value.reason == ServiceReason.SPECIMEN_MISMATCH
    archive.fetch(of(identity), tmp_path / "spool")


@pytest.mark.parametrize("kind", ["folder", "dicomweb"])
def test_of_a_case_s_slides_the_one_with_the_order_s_stain_comes(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """An Orthanc lists no sequences: what a slide is stained with comes from its metadata."""
    paths = [
        path
        for marker in ("ER", "PR")
        for path in write_dicom_slide(
            tmp_path / "made" / marker,
            JpegFrames(Grey()),
            mpp=0.5,
            identity=SlideIdentity(key=f"archive/case/{marker}", accession_number="CASE-1", marker=marker),
            levels=1,
        )
    ]
    if kind == "folder":
        archive: SlideSource = FolderArchive(tmp_path / "made")
    else:
        pacs: Orthanc = request.getfixturevalue("empty_pacs")
        pacs.empty()
        for path in paths:
            pacs.add(path)
        archive = pacs.archive(tmp_path)
    for marker in ("ER", "PR"):
        wanted = SlideQuery(slide=SlideReference(accession_number="CASE-1"), marker=marker)
        folder = archive.fetch(wanted, tmp_path / f"spool-{marker}")
        assert folder.name == SlideIdentity(key=f"archive/case/{marker}").series_uid
    with pytest.raises(Refused) as refused:
        archive.fetch(replace(wanted, marker="KI67"), tmp_path / "spool")
    assert refused.value.reason == ServiceReason.SLIDE_NOT_FOUND
