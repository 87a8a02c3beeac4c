"""What every feed of an archive does: a slide is told once, when it is there whole."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread

from server.archive.feeds import OrthancFeed, PollFeed
from server.archive.folder import FolderArchive
from server.archive.made import feed_of, receiver_of
from server.demo.slide_header import SlideIdentity
from server.domain.arrival import Arrived, Feed, Watch, WatchKind
from server.site import Address, ArchiveFolder
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.contract.test_archive_ports import Grey
from tests.dimse_peers import DimsePeer, dcmqrscp
from tests.fake_pacs import fake_pacs
from tests.orthanc import AET, Orthanc, free_port, orthanc

ONE = SlideIdentity(key="feeds/one", marker="ER")
OTHER = SlideIdentity(key="feeds/other", marker="PR")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[SlideIdentity, list[Path]]:
    """Two levels of each slide, of a study of today."""
    made = {}
    for slide in (ONE, OTHER):
        folder = tmp_path_factory.mktemp("slide")
        made[slide] = write_dicom_slide(folder, JpegFrames(Grey()), mpp=0.5, identity=slide, levels=2)
        for path in made[slide]:
            header = dcmread(path)
            header.StudyDate = datetime.now(UTC).strftime("%Y%m%d")
            header.save_as(path)
    return made


@dataclass
class Watched:
    """An archive's feed, and how a file comes to the archive."""

    feed: Feed
    add: Callable[[Path], object]
    settles_s: float = 0.0

    def heard(self) -> list[Arrived]:
        """In three looks."""
        time.sleep(self.settles_s)
        return [slide for _ in range(3) for slide in self.feed.arrived()]


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("pacs"), StableAge=1) as server:
        yield server


def by_dimse(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> Iterator[Watched]:
    """An archive that counts what a study and a series have, and one that counts neither."""
    watch = Watch(kind=WatchKind.POLL)
    if kind == "dcmqrscp":
        with dcmqrscp(tmp_path / "peer") as peer:
            feed = feed_of(peer.named(watch=watch), peer.archive(tmp_path)) or pytest.fail("no")
            yield Watched(feed, lambda path: peer.archive(tmp_path).store([path]))
        return
    server: Orthanc = request.getfixturevalue("pacs")
    server.empty()
    peer = DimsePeer(aet=AET, port=server.dicom_port, our_port=free_port())
    yield Watched(feed_of(peer.named(watch=watch), peer.archive(tmp_path)) or pytest.fail("no"), server.add)


@pytest.fixture(params=["folder", "received", "dicomweb", "changes", "fake dicomweb", "dimse", "dcmqrscp"])
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Watched]:
    kind: str = request.param
    if kind == "folder":
        folder = tmp_path / "archive"
        folder.mkdir()
        named = ArchiveFolder(name="a", folder=folder, table="[a]", watch=Watch(kind=WatchKind.POLL))
        yield Watched(
            feed_of(named, FolderArchive(folder)) or pytest.fail("no"), lambda path: shutil.copy(path, folder)
        )
    elif kind == "received":
        yield from received(tmp_path)
    elif kind in ("dimse", "dcmqrscp"):
        yield from by_dimse(request, tmp_path, kind)
    elif kind == "fake dicomweb":
        (tmp_path / "fake").mkdir()
        with fake_pacs(tmp_path / "fake") as fake:
            archive = fake.archive(tmp_path)
            yield Watched(PollFeed(archive, 7), lambda path: archive.store([path]))
    else:
        server: Orthanc = request.getfixturevalue("pacs")
        server.empty()
        watch = Watch(kind=WatchKind.CHANGES if kind == "changes" else WatchKind.POLL)
        named_web = server.named(tmp_path, orthanc_url=server.root, watch=watch)
        feed = feed_of(named_web, server.archive(tmp_path)) or pytest.fail("no")
        assert isinstance(feed, OrthancFeed) is (kind == "changes")
        yield Watched(feed, server.add, settles_s=3.0 if kind == "changes" else 0.0)


def received(tmp_path: Path) -> Iterator[Watched]:
    """Our own storage service, to which dcmtk's storescu sends."""
    if shutil.which("storescu") is None:
        pytest.skip("dcmtk is not installed")
    folder, port = tmp_path / "archive", free_port()
    folder.mkdir()
    at = Address(host="127.0.0.1", port=port)
    archive = FolderArchive(folder)
    receiver = receiver_of(
        ArchiveFolder(name="a", folder=folder, table="[a]", listen=at, callers=("SCANNER",)), archive
    )
    receiver.start()

    def send(path: Path, caller: str = "SCANNER") -> int:
        command = ["storescu", "-R", "-xy", "-aet", caller, "-aec", "CHROMOGEN", "127.0.0.1", str(port), str(path)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    try:
        yield Watched(PollFeed(archive, 7), lambda path: send(path) == 0 or pytest.fail("no"))
        assert send(Path(next(folder.rglob("*.dcm"))), "STRANGER") != 0
        assert not list(folder.rglob("*.part"))
    finally:
        receiver.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynetdicom drops refused sockets
def test_a_slide_is_told_once_when_it_is_there_whole(watched: Watched, files: dict[SlideIdentity, list[Path]]) -> None:
    assert watched.heard() == []
    first, second = files[ONE]
    watched.add(first)
    assert watched.settles_s or watched.feed.arrived() == []
    watched.add(second)
    (slide,) = watched.heard()
    assert (slide.series_uid, slide.study_uid, slide.markers) == (ONE.series_uid, ONE.study_uid, frozenset({"ER"}))
    level = dcmread(first, stop_before_pixels=True)
    assert (slide.container_id, slide.patient_id) == (level.ContainerIdentifier, level.PatientID)
    assert watched.heard() == []
    for path in files[OTHER]:
        watched.add(path)
    assert [slide.series_uid for slide in watched.heard()] == [OTHER.series_uid]
