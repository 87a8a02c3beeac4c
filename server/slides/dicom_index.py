"""Where the frames of a DICOM image lie in its file: read once, then each frame is one read (PS3.5, A.4).

The offset tables are used where they are there and plausible, because scanning a file of gigabytes for its items
touches all of it; otherwise the items are walked.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from server.slides.codec import Undecodable
from server.slides.frames import FrameFile

UNDEFINED = 0xFFFFFFFF
_PIXEL_DATA, _ITEM = b"\xe0\x7f\x10\x00", b"\xfe\xff\x00\xe0"
_STARTS = (b"\xff\xd8", b"\xff\x4f")  # SOI of JPEG and JPEG-LS, SOC of JPEG 2000
_HEADER = 8
_LOOKED_AT = 16


class NoPixels(Exception):
    """The file holds no pixel data where it must follow, or holds it in an unknown way."""


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """Byte ranges [start, end) of each frame, (n,) int64, with their item headers if `encapsulated`.

    -1 where cut off.
    """

    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    encapsulated: bool
    swapped: bool = False
    """Whether the two bytes of each word stand the other way round: words of a big endian file (PS3.5, A.3)."""

    def read(self, file: FrameFile, number: int) -> bytes:
        """The bytes of a frame, counted from 0. Raises Undecodable, Failed."""
        if not 0 <= number < len(self.start) or self.start[number] < 0:
            raise Undecodable("not in the file")
        if self.swapped:
            return self._swapped(file, int(self.start[number]), int(self.end[number]))
        length = int(self.end[number] - self.start[number])
        data = file.read(int(self.start[number]), length)
        if len(data) < length:
            raise Undecodable("cut off")
        return b"".join(_payloads(data)) if self.encapsulated else data

    def lengths_of(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Bytes of frames that are counted from 0; 0 of those that aren't there."""
        lengths = np.append(self.end - self.start, 0)
        inside = (numbers >= 0) & (numbers < len(self.start))
        found: npt.NDArray[np.int64] = lengths[np.where(inside, numbers, len(self.start))]
        return found

    def _swapped(self, file: FrameFile, start: int, end: int) -> bytes:
        odd = (start - int(self.start[0])) % 2
        data = file.read(start - odd, (end - start + odd + 1) // 2 * 2)
        if len(data) < end - start + odd:
            raise Undecodable("cut off")
        return np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype("<u2").tobytes()[odd : odd + end - start]


def read_index(
    file: FrameFile, at: int, header: Dataset, *, frames: int, frame_bytes: int, implicit: bool, big: bool = False
) -> FrameIndex:
    """Index `frames` frames from the pixel data element at byte `at`; `frame_bytes` is the size of one uncompressed.

    Raises NoPixels.
    """
    head = file.read(at, 12)
    start, length = _element(_little(head) if big else head, implicit)
    start += at
    if length != UNDEFINED:
        starts = start + np.arange(frames, dtype=np.int64) * frame_bytes
        return FrameIndex(starts, starts + frame_bytes, False, swapped=big and head[4:6] == b"OW")
    basic, first = _basic_offsets(file, start)
    offsets = _extended_offsets(header) or basic
    if len(offsets) == frames and all(a < b for a, b in pairwise(offsets)) and _meet_items(file, first, offsets):
        return _from_offsets(file, first, offsets)
    return _from_items(file, first, frames)


def _little(head: bytes) -> bytes:
    """The header of an element of a big endian file as a little endian one has it."""
    return head[1::-1] + head[3:1:-1] + head[4:8] + head[:7:-1] if len(head) == 12 else b""


def _element(head: bytes, implicit: bool) -> tuple[int, int]:
    """Bytes before the value of the element, and its length."""
    if len(head) < 12 or head[:4] != _PIXEL_DATA:
        raise NoPixels("no pixel data")
    return (8, int.from_bytes(head[4:8], "little")) if implicit else (12, int.from_bytes(head[8:12], "little"))


def _basic_offsets(file: FrameFile, at: int) -> tuple[tuple[int, ...], int]:
    """The basic offset table (maybe empty), and where the first item after it begins."""
    head = file.read(at, _HEADER)
    if head[:4] != _ITEM or len(head) < _HEADER:
        raise NoPixels("no offset table")
    length = int.from_bytes(head[4:], "little")
    table = file.read(at + _HEADER, min(length, file.size))
    return struct.unpack(f"<{len(table) // 4}L", table[: len(table) // 4 * 4]), at + _HEADER + length


def _extended_offsets(header: Dataset) -> tuple[int, ...]:
    table = header.get("ExtendedOffsetTable", b"")
    return struct.unpack(f"<{len(table) // 8}Q", table[: len(table) // 8 * 8])


def _meet_items(file: FrameFile, first: int, offsets: tuple[int, ...]) -> bool:
    """Whether an item begins at the last offset and at some others: writers count from other places than the standard
    says, to the payload or from the file's beginning, and then all are off.
    """
    some = {*offsets[:: max(1, len(offsets) // _LOOKED_AT)], offsets[-1]}
    return all(file.read(first + offset, len(_ITEM)) == _ITEM for offset in some)


def _from_offsets(file: FrameFile, first: int, offsets: tuple[int, ...]) -> FrameIndex:
    start = first + np.asarray(offsets, dtype=np.int64)
    last = first + offsets[-1]
    for at, length in _items(file, last):
        last = at + _HEADER + length
    return FrameIndex(start, np.append(start[1:], max(last, first + offsets[-1] + _HEADER)), True)


def _from_items(file: FrameFile, first: int, frames: int) -> FrameIndex:
    """One item a frame, or, where there are more, a new frame at each item that begins a stream."""
    items = list(_items(file, first))
    if len(items) > frames:
        items = _merged(file, items)
    start = np.full(frames, -1, dtype=np.int64)
    end = np.full(frames, -1, dtype=np.int64)
    for k, (at, length) in enumerate(items[:frames]):
        start[k], end[k] = at, at + _HEADER + length
    return FrameIndex(start, end, True)


def _merged(file: FrameFile, items: list[tuple[int, int]]) -> list[tuple[int, int]]:
    frames: list[tuple[int, int]] = []
    for at, length in items:
        if frames and file.read(at + _HEADER, 2) not in _STARTS:
            begun = frames[-1][0]
            frames[-1] = begun, at + length - begun
        else:
            frames.append((at, length))
    return frames


def _items(file: FrameFile, at: int) -> Iterator[tuple[int, int]]:
    """Positions and payload lengths of items, until something that is none (the delimiter, the end of a cut file)."""
    while True:
        head = file.read(at, _HEADER)
        if len(head) < _HEADER or head[:4] != _ITEM:
            return
        length = int.from_bytes(head[4:], "little")
        yield at, length
        at += _HEADER + length


def _payloads(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + _HEADER <= len(data) and data[at : at + 4] == _ITEM:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at + _HEADER : at + _HEADER + length]
        at += _HEADER + length
