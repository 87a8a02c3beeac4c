"""The folder archive: whole files or none, again gives the same."""

import os
import shutil
from pathlib import Path

import pytest

from server.archive.folder import FolderArchive
from server.archive.folder_index import FolderIndex
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.order import SlideReference
from server.domain.ports import ObjectSink, SlideQuery, SlideSource
from tests.opened import open_slide

SERIES = SlideQuery(slide=SlideReference(series_uid="2.25.4711.1"))


@pytest.fixture
def root(kit, tmp_path) -> Path:
    folder = tmp_path / "archive" / "case"
    folder.mkdir(parents=True)
    rgb = kit.picture(128, 128)
    kit.level(rgb, number="1").write(folder / "base.dcm")
    kit.level(rgb[::2, ::2], number="2", um=(1.0, 1.0)).write(folder / "half.dcm")
    kit.level(rgb, number="3", flavour="LABEL").write(folder / "label.dcm")
    kit.level(rgb, series="2", container="TEST-OTHER").write(folder / "other.dcm")
    (folder / "notes.txt").write_text("not DICOM")
    (folder / "junk.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 50)
    (folder / "arriving.dcm.part").write_bytes((folder / "base.dcm").read_bytes()[:500])
    return tmp_path / "archive"


def test_a_slide_is_fetched_whole_and_opens(root, tmp_path):
    archive: SlideSource = FolderArchive(root)
    folder = archive.fetch(SERIES, tmp_path / "spool")
    assert folder == tmp_path / "spool" / "2.25.4711.1"
    assert sorted(p.name for p in folder.iterdir()) == [f"2.25.4711.1.{n}.dcm" for n in (1, 2, 3)]
    assert (folder / "2.25.4711.1.1.dcm").read_bytes() == (root / "case" / "base.dcm").read_bytes()
    assert len(open_slide(folder).facts.levels) == 2


def test_fetching_again_mends_what_a_crash_left(root, tmp_path):
    archive = FolderArchive(root)
    folder = archive.fetch(SERIES, tmp_path / "spool")
    base = folder / "2.25.4711.1.1.dcm"
    base.unlink()
    base.write_bytes(b"half")
    (folder / "2.25.4711.1.2.dcm.99.part").write_bytes(b"left over")
    assert archive.fetch(SERIES, tmp_path / "spool") == folder
    assert base.read_bytes() == (root / "case" / "base.dcm").read_bytes()
    assert sorted(p.name for p in folder.iterdir()) == [f"2.25.4711.1.{n}.dcm" for n in (1, 2, 3)]


def test_where_links_are_not_possible_files_are_copied(root, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    folder = FolderArchive(root).fetch(SERIES, tmp_path / "spool")
    assert (folder / "2.25.4711.1.1.dcm").stat().st_nlink == 1
    assert (folder / "2.25.4711.1.1.dcm").read_bytes() == (root / "case" / "base.dcm").read_bytes()


def test_a_file_that_changes_is_read_again_and_one_that_does_not_is_not(root, kit, tmp_path, monkeypatch):
    archive = FolderArchive(root)
    archive.fetch(SERIES, tmp_path / "spool")
    read: list[str] = []
    original = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: read.append(self.name) or original(self, *a, **k))
    archive.fetch(SERIES, tmp_path / "spool")
    assert "other.dcm" not in read
    kit.level(kit.picture(64, 64), series="3", container="TEST-NEW-NAME").write(root / "case" / "other.dcm")
    assert (
        archive.fetch(SlideQuery(slide=SlideReference(container_id="TEST-NEW-NAME")), tmp_path / "spool").name
        == "2.25.4711.3"
    )


def test_a_slide_that_is_not_there_is_refused(root, tmp_path):
    with pytest.raises(Refused) as caught:
        FolderArchive(root).fetch(SlideQuery(slide=SlideReference(series_uid="2.25.1")), tmp_path / "spool")
    assert caught.value.reason == ServiceReason.SLIDE_NOT_FOUND
    assert not (tmp_path / "spool").exists()


def test_an_archive_that_is_away_is_tried_again(tmp_path):
    with pytest.raises(Failed) as caught:
        FolderArchive(tmp_path / "not mounted").fetch(SERIES, tmp_path / "spool")
    assert (caught.value.reason, caught.value.retryable) == (ServiceReason.ARCHIVE_UNREACHABLE, True)


def test_it_answers_where_its_folder_is_there(tmp_path):
    sink: ObjectSink = FolderArchive(tmp_path)
    sink.ping()
    for absent in (tmp_path / "absent", tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(Failed, match="ARCHIVE_UNREACHABLE") as caught:
            FolderArchive(absent).ping()
        assert caught.value.retryable


def test_objects_are_stored_under_their_uid_once(root, kit, tmp_path):
    archive = FolderArchive(made(tmp_path / "new"))
    source = kit.level(kit.picture(64, 64), series="5").write(tmp_path / "sr.dcm")
    archive.store([source, source])
    kept = tmp_path / "new" / "2.25.4711.5.1.dcm"
    before = kept.stat()
    archive.store([source])
    assert [p.name for p in (tmp_path / "new").iterdir()] == [kept.name]
    assert kept.read_bytes() == source.read_bytes()
    assert kept.stat().st_ino == before.st_ino != source.stat().st_ino
    assert archive.fetch(SlideQuery(slide=SlideReference(series_uid="2.25.4711.5")), tmp_path / "spool").is_dir()


def test_a_folder_that_is_not_there_is_away_and_never_made(root, tmp_path):
    """Else an archive that comes back later would seem to be there, without its slides (issue 12, 3)."""
    with pytest.raises(Failed, match="ARCHIVE_UNREACHABLE") as caught:
        FolderArchive(tmp_path / "new").store([root / "case" / "base.dcm"])
    assert caught.value.retryable
    assert not (tmp_path / "new").exists()


def test_a_mount_point_that_lost_its_share_is_away_and_holds_no_slides(root, tmp_path):
    archive = FolderArchive(root)
    archive.fetch(SERIES, tmp_path / "spool")
    shutil.move(root, tmp_path / "share")
    root.mkdir()
    with pytest.raises(Failed, match="ARCHIVE_UNREACHABLE"):
        archive.fetch(SERIES, tmp_path / "spool")
    root.rmdir()
    shutil.move(tmp_path / "share", root)
    archive.fetch(SERIES, tmp_path / "spool")


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_what_is_not_dicom_is_not_stored(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"no DICOM")
    with pytest.raises(Refused):
        FolderArchive(tmp_path / "new").store([tmp_path / "a.dcm"])
    assert not (tmp_path / "new").exists()


def test_nothing_half_written_stays_when_the_disk_is_full(root, tmp_path, monkeypatch):
    def full(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(Failed, match="No space left") as caught:
        FolderArchive(made(tmp_path / "new")).store([root / "case" / "base.dcm"])
    assert caught.value.retryable
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("uid", ["../../evil", "", "a/b", ".", "1..2"])
def test_a_uid_that_is_none_names_no_file(tmp_path, kit, uid):
    level = kit.level(kit.picture(64, 64))
    path = level.write(tmp_path / "a.dcm")
    data = path.read_bytes().replace(b"2.25.4711.1.1\0", uid.encode().ljust(14, b"\0"))
    path.write_bytes(data)
    with pytest.raises(Refused):
        FolderArchive(tmp_path / "new").store([path])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.dcm"]


def test_however_many_slides_came_a_look_walks_the_folder_once(root, monkeypatch):
    walks, found = [], FolderIndex.found
    monkeypatch.setattr(FolderIndex, "found", lambda self: walks.append(1) or found(self))
    archive = FolderArchive(root)
    series = archive.there(days=7)
    headers = {uid: sorted(each.sop_instance_uid for each in archive.headers(uid)) for uid in series}
    assert headers == {"2.25.4711.1": [f"2.25.4711.1.{n}" for n in (1, 2, 3)], "2.25.4711.2": ["2.25.4711.2.1"]}
    assert len(walks) == 1
