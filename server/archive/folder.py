"""A folder of DICOM files as an archive: implements `server.domain.ports.SlideSource` and `ObjectSink`."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from inference.errors import ChromogenError, Reason
from server.archive.locate import locate
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.ports import NamedObject, SlideQuery
from server.slides.dicom_header import PART, InstanceHeader, is_dicom, read_instance_header

_UID = re.compile(r"[0-9.]{1,64}")  # PS3.5, 9.1; what is named after one stays inside its folder
_Stamp = tuple[int, int]


class FolderArchive:
    """Finds slides below `root` by their headers, which are read once a file and again when it changes.

    `root` is never made here: where a share isn't mounted, an empty folder in its place would have no slides.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._headers: dict[Path, tuple[_Stamp, InstanceHeader | None]] = {}

    def fetch(self, query: SlideQuery, spool: Path) -> Path:
        """Link or copy the slide's instances to `spool/<series UID>` and name that folder; again gives the same.

        Raises Refused SLIDE_NOT_FOUND, SEVERAL_SLIDES, SPECIMEN_MISMATCH; Failed ARCHIVE_UNREACHABLE (retryable).
        """
        instances = locate(query, self._index())
        folder = spool / _safe(instances[0].series_uid)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            wanted = {f"{_safe(instance.sop_instance_uid)}.dcm": instance.path for instance in instances}
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
            uid = _safe(read_instance_header(path).sop_instance_uid)
            try:
                _bring(path, self._root / f"{uid}.dcm", link=False)
            except OSError as error:
                raise _unreachable("storing in the archive's folder failed", error) from None

    def remove(self, named: NamedObject) -> None:
        """Delete what was stored here. Raises Failed ARCHIVE_UNREACHABLE (retryable)."""
        try:
            (self._root / f"{_safe(named.sop_instance_uid)}.dcm").unlink(missing_ok=True)
        except OSError as error:
            raise _unreachable("deleting in the archive's folder failed", error) from None

    def ping(self) -> None:
        """Raises Failed ARCHIVE_UNREACHABLE (retryable) where the folder isn't there or can't be read."""
        try:
            with os.scandir(self._root):
                pass
        except OSError as error:
            raise _unreachable("the archive's folder can't be read", error) from None

    def _index(self) -> list[InstanceHeader]:
        """Headers of every DICOM file below the root; files that can't be read as DICOM are passed over."""
        try:
            if not self._root.is_dir():
                raise NotADirectoryError
            files = {path: _stamp(path) for path in sorted(self._root.rglob("*")) if path.is_file()}
            if self._headers and not files:  # a mount point without its share
                raise FileNotFoundError
            found = {path: self._header(path, stamp) for path, stamp in files.items()}
        except OSError as error:
            raise _unreachable("the archive's folder can't be read", error) from None
        self._headers = {path: (files[path], header) for path, header in found.items()}
        return [header for header in found.values() if header is not None]

    def _header(self, path: Path, stamp: _Stamp) -> InstanceHeader | None:
        known = self._headers.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            return read_instance_header(path) if is_dicom(path) else None
        except ChromogenError:
            return None


def _bring(source: Path, target: Path, *, link: bool = True) -> None:
    """Make `target` the same as `source`: whole or not at all, whatever stops it."""
    if target.exists() and _same(source, target):
        return
    part = target.with_name(f"{target.name}.{os.getpid()}{PART}")  # two workers may bring the same file
    part.unlink(missing_ok=True)
    try:
        if not (link and _linked(source, part)):
            shutil.copyfile(source, part)
            _flushed(part)
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


def _flushed(path: Path) -> None:
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


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _safe(uid: str) -> str:
    if not _UID.fullmatch(uid) or ".." in uid or uid.startswith("."):
        raise Refused(
            Reason.SLIDE_DAMAGED, "a DICOM file has no valid instance or series UID: have its sender correct it"
        )
    return uid


def _unreachable(what: str, error: OSError) -> Failed:
    why = os.strerror(error.errno) if error.errno else "it is not there"
    message = f"{what} ({why}): see to the folder or share"
    return Failed(ServiceReason.ARCHIVE_UNREACHABLE, message, retryable=True)
