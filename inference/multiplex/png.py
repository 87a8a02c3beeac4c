"""PNG files of 8-bit RGB written row by row: encoders of libraries want all pixels of a picture at once.

20,000 x 20,000 px are 1.2 GB of pixels, and seven such pictures leave together.
"""

import struct
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from isal import isal_zlib

from inference.geometry import Size
from inference.slide import Rgb

_MAGIC = b"\x89PNG\r\n\x1a\n"
_UP = 2  # PNG specification 9.2: a byte less that above it
_LEVEL = 1  # of 0 to 3: five times as fast as zlib's fastest, 2 % larger


class PngWriter:
    """A context; the file is whole when it is left without error, and gone else."""

    def __init__(self, path: Path, *, width: int, height: int) -> None:
        self._path, self._width = path, width
        self._above: Rgb = np.zeros((1, width, 3), np.uint8)
        self._deflate = isal_zlib.compressobj(_LEVEL)
        self._file = path.open("wb")
        self._file.write(_MAGIC)
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))

    def write(self, rows: Rgb) -> None:
        """The next rows, (n, width, 3)."""
        filtered = np.empty((len(rows), 1 + 3 * self._width), np.uint8)
        filtered[:, 0] = _UP
        above = np.concatenate([self._above, rows[:-1]])
        np.subtract(rows.reshape(len(rows), -1), above.reshape(len(rows), -1), out=filtered[:, 1:])
        self._above = rows[-1:].copy()
        self._chunk(b"IDAT", self._deflate.compress(filtered.tobytes()))

    def __enter__(self) -> "PngWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._chunk(b"IDAT", self._deflate.flush())
            self._chunk(b"IEND", b"")
        self._file.close()
        if kind is not None:
            self._path.unlink(missing_ok=True)

    def _chunk(self, name: bytes, data: bytes) -> None:
        self._file.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", isal_zlib.crc32(name + data)))


class ViewWriter:
    """A context as PngWriter, for a picture that is `shrink` times as large: squares of pixels are averaged to one.

    Pixels beyond the last whole square are left out.
    """

    def __init__(self, path: Path, size: Size, shrink: int) -> None:
        self._shrink, self._width, self._left = shrink, size.width // shrink, size.height // shrink
        self._file = PngWriter(path, width=self._width, height=self._left)
        self._waiting: Rgb = np.empty((0, self._width * shrink, 3), np.uint8)

    def write(self, rows: Rgb) -> None:
        """The next rows of the large picture."""
        self._waiting = np.concatenate([self._waiting, rows[:, : self._width * self._shrink]])
        n = min(len(self._waiting) // self._shrink, self._left)
        if n:
            ready, self._waiting = np.split(self._waiting, [n * self._shrink])
            self._file.write(np.asarray(cv2.resize(ready, (self._width, n), interpolation=cv2.INTER_AREA), np.uint8))
            self._left -= n

    def __enter__(self) -> "ViewWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)
