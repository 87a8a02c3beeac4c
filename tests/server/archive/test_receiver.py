"""Our own storage service says that it has a slide only where it lies in the archive's folder."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pynetdicom import AE

from server.archive import receiver
from server.archive.folder import FolderArchive
from server.archive.receiver import NO_ROOM, SUCCESS, Receiver
from server.site import Address, ArchiveFolder
from server.slides.dicom_header import WHOLE_SLIDE_IMAGE
from tests.orthanc import free_port


@pytest.fixture
def at(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """Of an archive's folder, not made yet, and the port."""
    folder, port = tmp_path / "share", free_port()
    listen = Address(host="127.0.0.1", port=port)
    named = ArchiveFolder(name="a", folder=folder, table="[a]", listen=listen, callers=("SCANNER",))
    service = Receiver(named, FolderArchive(folder, index=tmp_path / "index").ping)
    service.start()
    yield folder, port
    service.stop()


def sent(path: Path, port: int) -> int:
    """The status that the sender is told."""
    level = dcmread(path)
    ae = AE(ae_title="SCANNER")
    ae.add_requested_context(WHOLE_SLIDE_IMAGE, level.file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", port, ae_title="CHROMOGEN")
    try:
        return int(association.send_c_store(level).Status)
    finally:
        association.release()


@pytest.fixture
def level(kit: Any, tmp_path: Path) -> Path:
    path = tmp_path / "level.dcm"
    kit.level(kit.picture(64, 64), number="1").write(path)
    return path


def test_where_the_archive_s_folder_isn_t_there_nothing_is_made_and_the_sender_is_told(
    at: tuple[Path, int], level: Path
) -> None:
    folder, port = at
    assert sent(level, port) == NO_ROOM
    assert not folder.exists()
    folder.write_text("a file")
    assert sent(level, port) == NO_ROOM
    folder.unlink()
    folder.mkdir()
    assert sent(level, port) == SUCCESS
    assert len(list(folder.glob("*/*/*.dcm"))) == 1


def test_a_folder_that_is_empty_and_had_slides_takes_none_until_its_share_is_back(
    at: tuple[Path, int], level: Path, tmp_path: Path
) -> None:
    folder, port = at
    folder.mkdir()
    assert sent(level, port) == SUCCESS
    worker = FolderArchive(folder, index=tmp_path / "index")
    worker.there(1)
    share = folder.rename(tmp_path / "elsewhere")
    folder.mkdir()  # the mount point
    assert sent(level, port) == NO_ROOM
    assert not list(folder.iterdir())
    folder.rmdir()
    share.rename(folder)
    assert sent(level, port) == SUCCESS


def test_success_is_said_once_the_file_and_the_folders_above_it_are_on_the_disk(
    at: tuple[Path, int], level: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, port = at
    folder.mkdir()
    waited, flushed = list[tuple[Path, bool]](), receiver.flushed

    def seen(path: Path) -> None:
        waited.append((path, any(folder.glob("*/*/*.dcm"))))
        flushed(path)

    monkeypatch.setattr(receiver, "flushed", seen)
    assert sent(level, port) == SUCCESS
    (file,) = folder.glob("*/*/*.dcm")
    assert waited[0][0].parent == file.parent
    assert waited[1:] == [(file.parent, True), (file.parent.parent, True), (folder, True)]


@pytest.mark.parametrize(("code", "status"), [(errno.EINVAL, SUCCESS), (errno.EIO, NO_ROOM)])
def test_a_share_that_can_t_flush_folders_takes_slides_and_a_broken_disk_doesn_t(
    at: tuple[Path, int], level: Path, monkeypatch: pytest.MonkeyPatch, code: int, status: int
) -> None:
    folder, port = at
    folder.mkdir()
    flushed = receiver.flushed

    def refused(path: Path) -> None:
        if path.is_dir():
            raise OSError(code, "no")
        flushed(path)

    monkeypatch.setattr(receiver, "flushed", refused)
    assert sent(level, port) == status
