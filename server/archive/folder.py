"""A folder of DICOM files as an archive: implements `server.domain.ports.SlideSource` and `ObjectSink`."""

import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from inference.errors import Reason
from server.archive.folder_index import FolderIndex, check_links
from server.archive.kept_index import KeptIndex, Stamp
from server.archive.locate import locate
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.ports import NamedObject, SlideQuery
from server.slides.dicom_header import PART, InstanceHeader, read_instance_header

_UID = re.compile(r"[0-9.]{1,64}")  # PS3.5, 9.1; what is named after one stays inside its folder


class FolderArchive:
    """Finds slides below `root` by their headers, which are read once a file and again when it changes; of an archive
    with a folder for its `index` once, whichever process starts.

    No link leads into a folder of `apart` (`folder_index.check_links`). `root` is never made here: where a share isn't
    mounted, an empty folder in its place would have no slides. One that is empty and had some is away, and takes none.
    """

    def __init__(self, root: Path, apart: Sequence[Path] = (), index: Path | None = None) -> None:
        self._root, self._apart = root, apart
        self._files = FolderIndex(root, KeptIndex(index, root) if index else None)
        self._series: dict[str, list[InstanceHeader]] = {}

    def fetch(self, query: SlideQuery, spool: Path) -> Path:
        """Link or copy the slide's instances to `spool/<series UID>` and name that folder; again gives the same.

        Raises Refused SLIDE_NOT_FOUND, SEVERAL_SLIDES, SPECIMEN_MISMATCH; Failed ARCHIVE_UNREACHABLE (retryable).
        """
        instances = self._located(query)
        folder = spool / _safe(instances[0].series_uid)
        wanted = {f"{_safe(each.sop_instance_uid)}.dcm": self._file_of(each) for each in instances}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for stale in [path for path in folder.iterdir() if path.name not in wanted]:
                stale.unlink()
            for name, source in wanted.items():
                _bring(source, folder / name)
        except OSError as error:
            raise _unreachable("copying the slide from the archive's folder failed", error) from None
        return folder

    def store(self, objects: Sequence[Path]) -> None:
        """Keep DICOM files as `root/<SOP instance UID>.dcm`; one that is there already, byte for byte, is left alone.

        Raises Failed ARCHIVE_UNREACHABLE (retryable), Refused SLIDE_DAMAGED for a file that isn't DICOM.
        """
        for path in objects:
            header = read_instance_header(path)
            kept = self._root / f"{_safe(header.sop_instance_uid)}.dcm"
            try:
                self._files.check_there()
                _bring(path, kept, link=False)
                self._files.note(kept, replace(header, path=kept))
            except OSError as error:
                raise _unreachable("storing in the archive's folder failed", error) from None

    def there(self, days: int) -> Mapping[str, str]:
        """As `server.archive.feeds.Listing`: by series, with its files and their sizes; by the files' age."""
        since = time.time() - days * 86_400
        found: dict[str, list[str]] = {}
        files = self._found()
        self._series = _by_series(header for header, _ in files)
        for header, (_, modified_ns, size) in files:
            if header.is_volume and modified_ns / 1e9 >= since:
                found.setdefault(header.series_uid, []).append(f"{header.sop_instance_uid} {size}")
        return {uid: "\n".join(sorted(names)) for uid, names in found.items()}

    def headers(self, series_uid: str) -> list[InstanceHeader]:
        """As `server.archive.feeds.Listing`: as `there` found them last, so that the folder is walked once a look."""
        return self._series.get(series_uid, [])

    def remove(self, named: NamedObject) -> None:
        """Delete what was stored here. Raises Failed ARCHIVE_UNREACHABLE (retryable)."""
        try:
            (self._root / f"{_safe(named.sop_instance_uid)}.dcm").unlink(missing_ok=True)
        except OSError as error:
            raise _unreachable("deleting in the archive's folder failed", error) from None

    def ping(self) -> None:
        """Raises Failed ARCHIVE_UNREACHABLE (retryable) where the folder isn't there, can't be read, or is empty and
        had files.
        """
        try:
            self._files.check_there()
        except OSError as error:
            raise _unreachable("the archive's folder can't be read", error) from None

    def _located(self, query: SlideQuery) -> list[InstanceHeader]:
        try:
            return locate(query, self._index())
        except Refused as error:
            if error.reason != ServiceReason.SLIDE_NOT_FOUND or not self._files.absolute:
                raise
            passed_over = (
                f"{self._files.absolute} absolute links to folders out of the archive's folder aren't followed"
            )
            raise Refused(error.reason, f"{error.message}; {passed_over}: make them relative") from None

    def _file_of(self, instance: InstanceHeader) -> Path:
        return check_links(self._root, instance.path, self._apart)

    def _index(self) -> list[InstanceHeader]:
        return [header for header, _ in self._found()]

    def _found(self) -> list[tuple[InstanceHeader, Stamp]]:
        try:
            return self._files.found()
        except OSError as error:
            raise _unreachable("the archive's folder can't be read", error) from None


def _by_series(headers: Iterable[InstanceHeader]) -> dict[str, list[InstanceHeader]]:
    found: dict[str, list[InstanceHeader]] = {}
    for header in headers:
        found.setdefault(header.series_uid, []).append(header)
    return found


def _bring(source: Path, target: Path, *, link: bool = True) -> None:
    """Make `target` the same as `source`: whole or not at all, whatever stops it."""
    if target.exists() and _same(source, target):
        return
    part = target.with_name(f"{target.name}.{os.getpid()}{PART}")  # two workers may bring the same file
    part.unlink(missing_ok=True)
    try:
        if not (link and _linked(source, part)):
            shutil.copyfile(source, part)
            flushed(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _linked(source: Path, target: Path) -> bool:
    """Try a hard link: not possible across file systems, nor on all of them."""
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def flushed(path: Path) -> None:
    """Wait for the disk, so that a power cut leaves no empty file under the final name."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _same(a: Path, b: Path) -> bool:
    """Byte for byte, read in pieces; a file and its hard link are the same at once."""
    if a.samefile(b):
        return True
    if a.stat().st_size != b.stat().st_size:
        return False
    with a.open("rb") as left, b.open("rb") as right:
        while piece := left.read(1 << 20):
            if piece != right.read(1 << 20):
                return False
    return True


def is_uid(uid: str) -> bool:
    """And fit for the name of a file or folder."""
    return _UID.fullmatch(uid) is not None and ".." not in uid and not uid.startswith(".")


def _safe(uid: str) -> str:
    if not is_uid(uid):
        raise Refused(
            Reason.SLIDE_DAMAGED, "a DICOM file has no valid instance or series UID: have its sender correct it"
        )
    return uid


def _unreachable(what: str, error: OSError) -> Failed:
    why = error.strerror or "it is not there"
    message = f"{what} ({why}): see to the folder or share"
    return Failed(ServiceReason.ARCHIVE_UNREACHABLE, message, retryable=True)
