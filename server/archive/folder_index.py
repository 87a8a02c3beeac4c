"""What lies in a folder archive: each file's header is read once, and again when the file is another."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from server.domain.errors import ChromogenError, Refused, ServiceReason
from server.slides.dicom_header import InstanceHeader, is_dicom, read_instance_header

Stamp = tuple[int, int, int]
"""Inode, time of the last change (ns), size."""


@dataclass(slots=True)
class _Known:
    stamp: Stamp
    header: InstanceHeader | None


@dataclass(slots=True)
class FolderIndex:
    """Of the files below `root`. Links are followed: those to files, and relative ones to folders."""

    root: Path
    absolute: int = 0
    """Links to folders elsewhere that aren't followed, as they are absolute."""
    _known: dict[str, _Known] = field(default_factory=dict)

    def found(self) -> list[tuple[InstanceHeader, Stamp]]:
        """Every DICOM file; what can't be read as DICOM is passed over.

        Raises OSError where the folder isn't there, or is empty and wasn't: a mount point without its share.
        """
        absolute = list[str]()
        looked_at = {entry.path: self._of(entry) for entry in _files(self.root, absolute)}
        if self._known and not looked_at:
            raise FileNotFoundError
        there = {path: known for path, known in looked_at.items() if known is not None}
        self._known, self.absolute = there, len(absolute)
        return [(known.header, known.stamp) for known in there.values() if known.header is not None]

    def note(self, path: Path, header: InstanceHeader) -> None:
        """A file that was stored just now."""
        self._known[str(path)] = _Known(_stamp(path.stat()), header)

    def _of(self, entry: "os.DirEntry[str]") -> _Known | None:
        """None for what went away meanwhile."""
        known = self._known.get(entry.path)
        try:
            stamp = _stamp(entry.stat())
            return known if known is not None and known.stamp == stamp else _Known(stamp, _header(Path(entry.path)))
        except FileNotFoundError:
            return None


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
