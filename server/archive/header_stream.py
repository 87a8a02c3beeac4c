"""What stands before an instance's pixels, of an instance that is still coming: the rest needn't come."""

from collections.abc import Iterable
from io import BytesIO

from server.archive.multipart import Broken
from server.domain.errors import ChromogenError
from server.slides.dicom_level import PIXELS
from server.slides.dicom_stream import MOST_HEADER, read_until
from server.slides.quiet import quiet


class NoHeader(Exception):
    """Where the pixels begin can't be told: the instance is packed, damaged, or its header is too long."""


def header_of(chunks: Iterable[bytes]) -> bytes:
    """Up to where its pixels begin; no more chunks are taken than are needed for that.

    Raises NoHeader, and as `chunks`.
    """
    stream = _Coming(chunks)
    try:
        with quiet():
            read_until(stream, lambda tag, vr, length: tag in PIXELS)
    except (ChromogenError, Broken):
        raise
    except Exception:  # pydicom raises what its value parsers raise
        raise NoHeader from None
    at = stream.tell()
    if not stream.read(1):
        raise NoHeader  # it has no pixels
    return stream.getvalue()[:at]


class _Coming(BytesIO):
    """A file of which as much has come as was read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        super().__init__()
        self._chunks, self._came = iter(chunks), 0

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise NoHeader  # a packed one is read whole
        while self._came - self.tell() < size and (chunk := next(self._chunks, None)) is not None:
            self._take(chunk)
        return super().read(size)

    def _take(self, chunk: bytes) -> None:
        at = self.tell()
        self.seek(self._came)
        self.write(chunk)
        self.seek(at)
        self._came += len(chunk)
        if self._came > MOST_HEADER:
            raise NoHeader
