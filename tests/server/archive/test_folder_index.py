"""What the folder archive knows lasts between fetches; links that it follows, and those that it refuses."""

import json
import os
import shutil
from pathlib import Path

import pytest

from server.archive import folder_index
from server.archive.folder import FolderArchive
from server.archive.kept_index import KeptIndex
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.order import SlideReference
from server.domain.ports import SlideQuery
from server.slides.dicom_header import read_instance_header

SERIES = SlideQuery(slide=SlideReference(series_uid="2.25.4711.1"))
OTHER = SlideQuery(slide=SlideReference(container_id="TEST-OTHER"))


@pytest.fixture
def store(kit, tmp_path) -> Path:
    """A folder of slides, beside the archive."""
    folder = tmp_path / "store"
    folder.mkdir()
    kit.level(kit.picture(64, 64)).write(folder / "level.dcm")
    kit.level(kit.picture(64, 64), series="2", container="TEST-OTHER").write(folder / "other.dcm")
    return folder


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    return folder


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """Names of files whose headers are read by the index."""
    names: list[str] = []
    header = folder_index._header
    monkeypatch.setattr(folder_index, "_header", lambda path: names.append(path.name) or header(path))
    return names


def fetched(archive: FolderArchive, spool: Path, query: SlideQuery = SERIES) -> Path:
    (file,) = archive.fetch(query, spool).iterdir()
    assert not file.is_symlink()
    assert read_instance_header(file).series_uid == file.parent.name
    return file


def test_o14_reports_that_are_stored_beside_the_slides_are_never_read_and_nothing_is_read_twice(
    store, root, read, kit, tmp_path
):
    archive = FolderArchive(root)
    for path in store.iterdir():
        shutil.copy(path, root)
    fetched(archive, tmp_path / "spool")
    assert sorted(read) == ["level.dcm", "other.dcm"]
    archive.store([kit.level(kit.picture(64, 64), series="9", number=str(n)).write(tmp_path / "r.dcm") for n in (1, 2)])
    fetched(archive, tmp_path / "spool")
    assert len(read) == 2


@pytest.mark.parametrize("way", ["over it", "in its place", "same size and time"])
def test_o14_a_file_that_is_replaced_is_noticed(store, root, read, kit, tmp_path, way):
    archive, file = FolderArchive(root), root / "level.dcm"
    shutil.copy2(store / "level.dcm", file)
    fetched(archive, tmp_path / "spool")
    kept, part = file.stat(), tmp_path / "part"
    shutil.copy2(store / "other.dcm", part)
    if way == "over it":
        file.write_bytes(part.read_bytes())
    else:
        part.write_bytes(part.read_bytes().ljust(kept.st_size, b"\0"))
        os.utime(part, ns=(kept.st_atime_ns, kept.st_mtime_ns)) if way == "same size and time" else None
        part.replace(file)
    fetched(archive, tmp_path / "spool", OTHER)
    assert read == ["level.dcm"] * 2
    with pytest.raises(Refused, match="SLIDE_NOT_FOUND"):
        archive.fetch(SERIES, tmp_path / "spool")


@pytest.fixture
def kept(tmp_path) -> Path:
    """Where indexes are kept."""
    return tmp_path / "data" / "archive-index"


def started(root: Path, kept: Path) -> FolderArchive:
    """By a process that starts now."""
    return FolderArchive(root, index=kept)


def test_o14_a_start_reads_only_what_changed_since_the_last(store, root, read, kept, kit, tmp_path, monkeypatch):
    monkeypatch.setattr(folder_index, "KEEP_S", 0.0)
    (root / "notes.txt").write_text("no slide")
    for path in store.iterdir():
        shutil.copy(path, root)
    fetched(started(root, kept), tmp_path / "spool")
    assert sorted(read) == ["level.dcm", "notes.txt", "other.dcm"]
    fetched(started(root, kept), tmp_path / "spool", OTHER)
    assert len(read) == 3
    kit.level(kit.picture(64, 64), series="3").write(root / "new.dcm")
    again = started(root, kept)
    assert len(again._index()) == 3
    assert read[3:] == ["new.dcm"]
    again.store([kit.level(kit.picture(64, 64), series="9", number="1").write(tmp_path / "r.dcm")])
    again.ping()
    again._index()
    assert len(started(root, kept)._index()) == 4
    assert read[3:] == ["new.dcm"]


def test_o14_the_first_look_at_a_long_archive_keeps_what_it_has_read_so_far(store, root, read, kept, monkeypatch):
    monkeypatch.setattr(folder_index, "KEEP_S", 0.0)
    for n in range(3):
        shutil.copy(store / "level.dcm", root / f"{n}.dcm")
    header = folder_index._header
    monkeypatch.setattr(folder_index, "_header", lambda path: 1 / 0 if path.name == "2.dcm" else header(path))
    with pytest.raises(ZeroDivisionError):
        started(root, kept)._index()
    monkeypatch.setattr(folder_index, "_header", header)
    started(root, kept)._index()
    assert read == ["0.dcm", "1.dcm", "2.dcm"]


def broken(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def of_another_folder(file: Path) -> None:
    file.write_text(file.read_text().replace(str(file.parents[2] / "archive"), "/elsewhere"))


def by_another_reader(file: Path) -> None:
    said = json.loads(file.read_text())
    file.write_text(json.dumps(said | {"reader": "an older one"}))


def with_a_path_of_another(file: Path) -> None:
    said = json.loads(file.read_text())
    for known in said["files"].values():
        known["header"]["path"] = "/etc/passwd"
    file.write_text(json.dumps(said))


def with_values_that_are_none(file: Path) -> None:
    said = json.loads(file.read_text())
    for known in said["files"].values():
        known["header"]["size"] = "large"
    file.write_text(json.dumps(said))


def unreadable(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    "harm",
    [broken, of_another_folder, by_another_reader, with_a_path_of_another, with_values_that_are_none, unreadable],
)
def test_o14_an_index_that_is_broken_or_foreign_is_read_anew(store, root, read, kept, tmp_path, harm):
    shutil.copy(store / "level.dcm", root)
    fetched(started(root, kept), tmp_path / "spool")
    (file,) = kept.iterdir()
    harm(file)
    fetched(started(root, kept), tmp_path / "spool")
    assert read == ["level.dcm"] * 2


def test_o14_the_index_holds_patients_and_is_for_its_account_alone(store, root, kept, tmp_path):
    shutil.copy(store / "level.dcm", root)
    fetched(started(root, kept), tmp_path / "spool")
    assert [file.stat().st_mode & 0o077 for file in kept.iterdir()] == [0]
    assert not kept.stat().st_mode & 0o007


def test_o14_an_index_that_can_t_be_kept_stops_no_fetch(store, root, tmp_path):
    (tmp_path / "data").write_text("a file in place of the folder")
    shutil.copy(store / "level.dcm", root)
    fetched(started(root, tmp_path / "data" / "archive-index"), tmp_path / "spool")


@pytest.mark.parametrize("new_process", [True, False])
def test_o3_an_empty_folder_that_had_slides_is_an_archive_that_is_away_and_takes_nothing(
    store, root, kept, kit, tmp_path, new_process
):
    shutil.copy(store / "level.dcm", root)
    archive = started(root, kept)
    fetched(archive, tmp_path / "spool")
    share = root.rename(tmp_path / "share")
    root.mkdir()  # the mount point without it
    archive = started(root, kept) if new_process else archive
    report = kit.level(kit.picture(64, 64), series="9").write(tmp_path / "r.dcm")
    for ask in (archive.ping, lambda: archive.fetch(SERIES, tmp_path), lambda: archive.store([report])):
        with pytest.raises(Failed, match="it is empty, and had files: mount its share") as away:
            ask()
        assert (away.value.reason, away.value.retryable) == (ServiceReason.ARCHIVE_UNREACHABLE, True)
    assert not list(root.iterdir())
    root.rmdir()
    share.rename(root)
    archive.ping()
    fetched(archive, tmp_path / "spool")


def test_o3_a_folder_that_was_emptied_on_purpose_takes_slides_once_any_file_is_in_it(store, root, kept, kit, tmp_path):
    shutil.copy(store / "level.dcm", root)
    started(root, kept)._index()
    (root / "level.dcm").unlink()
    (root / ".emptied").touch()
    archive = started(root, kept)
    archive.ping()
    with pytest.raises(Refused, match="SLIDE_NOT_FOUND"):
        archive.fetch(SERIES, tmp_path / "spool")
    archive.store([kit.level(kit.picture(64, 64), series="9").write(tmp_path / "r.dcm")])
    assert len(archive._index()) == 1


def test_o14_indexes_of_two_archives_stay_apart(store, root, kept, tmp_path):
    shutil.copy(store / "level.dcm", root)
    started(root, kept)._index()
    assert KeptIndex(kept, store).read() == {}
    assert len(started(store, kept)._index()) == 2
    assert len(KeptIndex(kept, root).read()) == 1


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("of", ["a file", "a folder"])
def test_o16_relative_links_are_followed(store, root, tmp_path, inside, of):
    if inside:
        store = Path(shutil.move(store, root / ".objects"))
    case = root / "cases"
    case.mkdir()
    target = store if of == "a folder" else store / "level.dcm"
    (case / target.name).symlink_to(os.path.relpath(target, case))
    (root / "absolute").symlink_to(target) if of == "a folder" else None
    file = fetched(FolderArchive(root), tmp_path / "spool")
    assert file.samefile(store / "level.dcm")


def test_o16_an_absolute_link_within_the_archive_is_followed(store, root, tmp_path):
    store = Path(shutil.move(store, root / ".objects"))
    (root / "level.dcm").symlink_to(store / "level.dcm")
    fetched(FolderArchive(root), tmp_path / "spool")


@pytest.mark.parametrize("copied", [True, False], ids=["its level is a link", "one of two levels is a link"])
def test_o16_an_absolute_link_out_of_the_archive_is_refused_and_says_why(store, root, kit, tmp_path, copied):
    (root / "level.dcm").symlink_to(store / "level.dcm")
    if copied:
        kit.level(kit.picture(32, 32), number="2", um=(1.0, 1.0)).write(root / "half.dcm")
    with pytest.raises(Refused, match="absolute link that leads out of the archive's folder") as refused:
        FolderArchive(root).fetch(SERIES, tmp_path / "spool")
    assert refused.value.reason == ServiceReason.SLIDE_NOT_FOUND
    assert str(tmp_path) not in refused.value.message
    assert not (tmp_path / "spool").exists()


def test_o16_a_slide_that_lies_behind_an_absolute_link_to_a_folder_is_said_to_be_passed_over(store, root, tmp_path):
    (root / "case").symlink_to(store)
    with pytest.raises(Refused, match="1 absolute links to folders out of the archive's folder aren't followed"):
        FolderArchive(root).fetch(SERIES, tmp_path / "spool")


def test_o16_no_link_leads_into_another_laboratory_s_archive_or_the_data_folder(store, root, tmp_path):
    (root / "case").symlink_to(os.path.relpath(store, root))
    (root / "level.dcm").symlink_to("case/level.dcm")
    fetched(FolderArchive(root, [root]), tmp_path / "spool")
    with pytest.raises(Refused, match="a link into another archive"):
        FolderArchive(root, [root, store]).fetch(SERIES, tmp_path / "spool")


def test_o16_links_in_a_circle_and_to_nothing_and_to_everything_are_passed_over(store, root, tmp_path):
    shutil.copy(store / "level.dcm", root)
    (root / "self").symlink_to(".")
    (root / "above").symlink_to("..")
    (root / "all").symlink_to("/")
    (root / "gone.dcm").symlink_to("nowhere.dcm")
    (root / "loop.dcm").symlink_to("loop.dcm")
    assert len(FolderArchive(root)._index()) == 1
    fetched(FolderArchive(root), tmp_path / "spool")
