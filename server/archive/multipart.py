"""multipart/related as DICOMweb has it (PS3.18, 8.6.1.2.1): one part read as it comes, one written as it goes. Pure.

An instance may be larger than memory, so no part is ever held whole.
"""

import re
from collections.abc import Iterable, Iterator

MOST_HEAD = 64 * 1024
"""Bytes before a part's content, at most."""


class Broken(Exception):
    """What came isn't one whole part; the text says why, and holds nothing of the content."""


def boundary_of(content_type: str) -> bytes | None:
    """Of a multipart/related answer; None for any other type, and where it names none."""
    kind, _, parameters = content_type.partition(";")
    if kind.strip().lower() != "multipart/related":
        return None
    found = re.search(r'boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))', parameters, re.IGNORECASE)
    return (found[1] or found[2]).encode("latin-1", "replace") if found else None


def only_part(chunks: Iterable[bytes], boundary: bytes) -> Iterator[bytes]:
    """The content of the one part there is, in pieces. Raises Broken where it ends early, or another follows."""
    reader = _Reader(chunks)
    reader.until(b"--" + boundary)
    head = reader.until(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length:[ \t]*(\d{1,18})[ \t]*\r?$", head + b"\r\n")
    end = b"\r\n--" + boundary
    if length is None:
        yield from reader.content_until(end)
    else:
        yield from reader.content_of(int(length[1]))
        if reader.exactly(len(end)) != end:
            raise Broken("the part is longer than it says")
    if reader.exactly(2) != b"--":
        raise Broken("more than one instance was sent")


def body(boundary: bytes, content: Iterable[bytes]) -> Iterator[bytes]:
    """One instance as the body of a request."""
    yield opening(boundary)
    yield from content
    yield closing(boundary)


def opening(boundary: bytes) -> bytes:
    return b"--" + boundary + b"\r\nContent-Type: application/dicom\r\n\r\n"


def closing(boundary: bytes) -> bytes:
    return b"\r\n--" + boundary + b"--\r\n"


class _Reader:
    """Bytes that come in chunks of any size."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._buffer = iter(chunks), b""

    def until(self, mark: bytes) -> bytes:
        """What comes before `mark`, which is passed over."""
        while (at := self._buffer.find(mark)) < 0:
            if len(self._buffer) > MOST_HEAD:
                raise Broken("it is no multipart/related message")
            self._more()
        before, self._buffer = self._buffer[:at], self._buffer[at + len(mark) :]
        return before

    def exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def content_of(self, count: int) -> Iterator[bytes]:
        while count > 0:
            if not self._buffer:
                self._more()
            taken, self._buffer = self._buffer[:count], self._buffer[count:]
            count -= len(taken)
            yield taken

    def content_until(self, end: bytes) -> Iterator[bytes]:
        """Up to `end`, which is passed over; it may lie across chunks."""
        while (at := self._buffer.find(end)) < 0:
            keep = len(end) - 1
            if len(self._buffer) > keep:
                yield self._buffer[:-keep]
                self._buffer = self._buffer[-keep:]
            self._more()
        last, self._buffer = self._buffer[:at], self._buffer[at + len(end) :]
        yield last

    def _more(self) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise Broken("it ended before the instance was whole")
        self._buffer = self._buffer + chunk if self._buffer else chunk
