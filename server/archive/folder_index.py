"""What lies in a folder archive: each file's header is read once, and again when the file is another."""

import errno
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from server.archive.kept_index import KeptIndex, Known, Stamp
from server.domain.errors import ChromogenError, Refused, ServiceReason
from server.slides.dicom_header import InstanceHeader, is_dicom, read_instance_header

KEEP_S = 60.0
"""Between two writings of what was read, at least."""
EMPTY = "it is empty, and had files: mount its share, or where it was emptied on purpose put any file into it"


@dataclass(slots=True)
class FolderIndex:
    """Of the files below `root`; `kept`: also on the disk, for other processes and later starts.

    Links are followed: those to files, and relative ones to folders.
    """

    root: Path
    kept: KeptIndex | None = None
    absolute: int = 0
    """Links to folders elsewhere that aren't followed, as they are absolute."""
    _before: dict[str, Known] | None = None
    _unkept: int = 0
    _keep_at: float = 0.0

    def found(self) -> list[tuple[InstanceHeader, Stamp]]:
        """Every DICOM file; what can't be read as DICOM is passed over.

        Raises OSError where the folder isn't there, or is empty and wasn't: a mount point without its share.
        """
        absolute, there = list[str](), dict[str, Known]()
        first_kept = time.monotonic() + KEEP_S
        for entry in _files(self.root, absolute):
            if (known := self._of(entry)) is not None:
                there[entry.path] = known
                if self._unkept and time.monotonic() >= first_kept:  # a process that ends now hasn't read for nothing
                    self._keep({**self._known, **there})
        if self._known and not there:
            raise _emptied()
        self._before, self.absolute = there, len(absolute)
        self._keep(there)
        return [(known.header, known.stamp) for known in there.values() if known.header is not None]

    def note(self, path: Path, header: InstanceHeader) -> None:
        """A file that was stored just now."""
        self._known[str(path)] = Known(_stamp(path.stat()), header)
        self._unkept += 1

    def check_there(self) -> None:
        """Raises OSError as `found`, without a look at the files: before something is put into the folder."""
        with os.scandir(self.root) as listing:
            bare = next(listing, None) is None
        if bare and (self._known or (self.kept and self.kept.read())):  # another process may have seen some since
            raise _emptied()

    @property
    def _known(self) -> dict[str, Known]:
        if self._before is None:
            self._before = self.kept.read() if self.kept else {}
        return self._before

    def _of(self, entry: "os.DirEntry[str]") -> Known | None:
        """None for what went away meanwhile."""
        known = self._known.get(entry.path)
        try:
            stamp = _stamp(entry.stat())
            if known is not None and known.stamp == stamp:
                return known
            self._unkept += 1
            return Known(stamp, _header(Path(entry.path)))
        except FileNotFoundError:
            return None

    def _keep(self, known: dict[str, Known]) -> None:
        """What was read anew, now and then: of a folder of many thousands each time is too often."""
        if self.kept is None or not self._unkept or time.monotonic() < self._keep_at:
            return
        self.kept.write(known)
        self._unkept, self._keep_at = 0, time.monotonic() + KEEP_S


def _emptied() -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, EMPTY)


def check_links(root: Path, path: Path, apart: Sequence[Path]) -> Path:
    """The file itself. A link must stay in the archive's folder, or be relative and not lead into one of `apart`.

    An absolute one leads elsewhere on every machine that mounts the archive. Raises Refused SLIDE_NOT_FOUND.
    """
    real, own = path.resolve(), root.resolve()
    if real.is_relative_to(own):
        return real
    links = [way for way in (path, *path.parents) if way.is_relative_to(root) and way != root and way.is_symlink()]
    if any(link.readlink().is_absolute() for link in links):
        raise _linked("an absolute link that leads out of the archive's folder")
    if any(real.is_relative_to(folder.resolve()) for folder in apart):
        raise _linked("a link into another archive, or into the data folder")
    return real


def _linked(what: str) -> Refused:
    message = f"the slide's file in the archive is {what}: put the file there, or a relative link to it"
    return Refused(ServiceReason.SLIDE_NOT_FOUND, message)


def _files(root: Path, absolute: list[str]) -> Iterator["os.DirEntry[str]"]:
    """Every file, in the order of their names within a folder; folders that may not be read are passed over.

    Absolute links to folders elsewhere are added to `absolute`.
    """
    own, left, seen = root.resolve(), [str(root)], set[Path]()
    while left:
        for entry in _listed(left.pop(), root):
            if entry.is_symlink() and not _leads_to_file(entry):
                if _leads_elsewhere(entry, own, seen):
                    (absolute if Path(entry.path).readlink().is_absolute() else left).append(entry.path)
            elif entry.is_dir():
                left.append(entry.path)
            elif entry.is_file():
                yield entry


def _listed(folder: str, root: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as listing:
            return sorted(listing, key=lambda entry: entry.name)
    except (PermissionError, FileNotFoundError):
        if folder == str(root):
            raise
        return []


def _leads_to_file(link: "os.DirEntry[str]") -> bool:
    return Path(link.path).is_file()  # a link to itself is none; DirEntry raises


def _leads_elsewhere(link: "os.DirEntry[str]", own: Path, seen: set[Path]) -> bool:
    """To a folder, for the first time: what lies in the archive is found without."""
    path = Path(link.path)
    if not path.is_dir() or (real := path.resolve()) in seen:
        return False
    if not path.readlink().is_absolute():
        seen.add(real)
    return not real.is_relative_to(own) and not own.is_relative_to(real)


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_ino, status.st_mtime_ns, status.st_size


def _header(path: Path) -> InstanceHeader | None:
    try:
        return read_instance_header(path) if is_dicom(path) else None
    except ChromogenError:
        return None
