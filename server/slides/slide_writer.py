"""Writes slides as DICOM: one file a level, frames streamed to disk, lower levels made from the one above as it passes.

No library kept here writes a whole slide from frames: wsidicom saves from a slide it has opened or from a whole array
in memory, highdicom has no writer for this class. Frames pass through once: each row of a level is decoded, halved by 2
x 2 averaging, and handed on to the next level, so memory holds two rows of frames a level, however large the slide.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from struct import pack
from typing import BinaryIO, Protocol

import cv2
import imagecodecs
import numpy as np
import simplejpeg
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite

from inference.errors import Failed, Reason, Refused
from inference.geometry import Region, Size
from inference.slide import Rgb
from server.slides.codestream import Colour
from server.slides.slide_header import TRANSFER_SYNTAX, LevelFacts, SlideWords, header

FRAME = 512
SUBSAMPLING = "422"
LARGEST_BASIC_OFFSET = 2**32 - 1

ITEM, SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
PIXEL_DATA_OB_UNDEFINED = b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff"


class Pixels(Protocol):
    """Something with a size whose pixels can be read: a drawing, laid tiles."""

    @property
    def size(self) -> Size: ...

    def read(self, region: Region) -> Rgb: ...


class FrameSource(Protocol):
    """A level as encoded frames: baseline JPEG of `frame` x `frame` px (an even number), all coded in one colour, those
    at the edges filled up.
    """

    @property
    def size(self) -> Size: ...

    @property
    def frame(self) -> int: ...

    def rows(self) -> Iterator[Sequence[bytes]]:
        """Rows of frames from the top, each from the left; each call begins anew with the same bytes."""
        ...


class JpegFrames:
    """Pixels as frames; what a frame holds beyond the edge repeats the edge."""

    def __init__(self, pixels: Pixels, *, quality: int = 90, frame: int = FRAME) -> None:
        self._pixels, self._quality, self.frame = pixels, quality, frame

    @property
    def size(self) -> Size:
        return self._pixels.size

    def rows(self) -> Iterator[Sequence[bytes]]:
        for y in range(0, self.size.height, self.frame):
            yield [self._encoded(x, y) for x in range(0, self.size.width, self.frame)]

    def _encoded(self, x: int, y: int) -> bytes:
        region = Region(x=x, y=y, width=self.frame, height=self.frame).clipped(self.size)
        return encode(_filled_up(self._pixels.read(region), self.frame, self.frame), self._quality)


def write_dicom_slide(
    folder: Path,
    frames: FrameSource,
    *,
    mpp: float,
    identity: SlideWords,
    levels: int = 3,
    quality: int = 90,
    colour: Colour = Colour.YCBCR,
) -> list[Path]:
    """Write `level-0.dcm` (the frames as they are) and up to `levels` - 1 halved ones; returns the files, largest
    first.

    `mpp` µm/px of the largest level, `quality` of the JPEG of the lower ones, `colour` what all frames are coded in. A
    level of one frame is the last. On an error nothing half-written remains. Raises Failed OUTPUT_NOT_WRITABLE, Refused
    SLIDE_DAMAGED where a frame doesn't decode.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pyramid = _Pyramid(folder, frames, levels, quality, colour)
        try:
            pyramid.fill(frames)
            return pyramid.finish(mpp, identity)
        finally:
            pyramid.clear()
    except OSError as error:
        raise Failed(
            Reason.OUTPUT_NOT_WRITABLE, f"the slide can't be written to {folder}: free space or name another folder"
        ) from error


def encode(rgb: Rgb, quality: int, colour: Colour = Colour.YCBCR) -> bytes:
    """Baseline JPEG of (h, w, 3) RGB: YCbCr 4:2:2, or red, green and blue as they are."""
    if colour is Colour.RGB:
        return bytes(imagecodecs.jpeg8_encode(rgb, level=quality, colorspace="RGB", outcolorspace="RGB"))
    data: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=quality, colorsubsampling=SUBSAMPLING)
    return data


class _LevelSpool:
    """The frames of one level as encapsulated items in a file of their own, until all are there and the header can be
    written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = path.open("w+b")
        self.lengths: list[int] = []

    def add(self, frame: bytes) -> None:
        padded = frame + bytes(len(frame) % 2)
        self._file.write(ITEM + pack("<I", len(padded)))
        self._file.write(padded)
        self.lengths.append(len(padded))

    def write(self, path: Path, ds: Dataset) -> None:
        """The instance, with a basic offset table, or an extended one where offsets outgrow 32 bits (PS3.5 A.4)."""
        offsets = np.cumsum([0, *(n + 8 for n in self.lengths[:-1])], dtype=np.uint64)
        basic = b""
        if int(offsets[-1]) <= LARGEST_BASIC_OFFSET:
            basic = offsets.astype("<u4").tobytes()
        else:
            ds.ExtendedOffsetTable = offsets.astype("<u8").tobytes()
            ds.ExtendedOffsetTableLengths = np.asarray(self.lengths, "<u8").tobytes()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = TRANSFER_SYNTAX
        with path.open("wb") as out:
            dcmwrite(out, ds, enforce_file_format=True)
            out.write(PIXEL_DATA_OB_UNDEFINED + ITEM + pack("<I", len(basic)) + basic)
            self._file.seek(0)
            shutil.copyfileobj(self._file, out, 1 << 20)
            out.write(SEQUENCE_END + pack("<I", 0))

    def clear(self) -> None:
        with suppress(OSError):  # a full disk fails here once more, for what was still to be written
            self._file.close()
        self._path.unlink(missing_ok=True)


class _Pyramid:
    """The levels while they are being written."""

    def __init__(self, folder: Path, frames: FrameSource, levels: int, quality: int, colour: Colour) -> None:
        self._folder, self._frame, self._quality, self._colour = folder, frames.frame, quality, colour
        self._sizes = _level_sizes(frames.size, frames.frame, levels)
        self._strips: list[list[Rgb]] = [[] for _ in self._sizes]
        self._spools: list[_LevelSpool] = []
        self._parts: list[Path] = []
        for i in range(len(self._sizes)):
            self._spools.append(_LevelSpool(folder / f"level-{i}.frames.part"))

    def fill(self, frames: FrameSource) -> None:
        for row in frames.rows():
            self._take(0, row)
        for i in range(1, len(self._sizes)):
            self._flush(i)

    def finish(self, mpp: float, identity: SlideWords) -> list[Path]:
        """Write the instances under passing names, then all under their own."""
        for i, (size, spool) in enumerate(zip(self._sizes, self._spools, strict=True)):
            facts = LevelFacts(
                index=i,
                size=size,
                mpp=mpp * 2**i,
                frame=self._frame,
                frames=len(spool.lengths),
                compressed=sum(spool.lengths),
                colour=self._colour,
            )
            self._parts.append(self._folder / f"level-{i}.dcm.part")
            spool.write(self._parts[-1], header(identity, facts))
        return [part.replace(part.with_suffix("")) for part in self._parts]

    def clear(self) -> None:
        for spool in self._spools:
            spool.clear()
        for part in self._parts:
            part.unlink(missing_ok=True)

    def _take(self, level: int, row: Sequence[bytes]) -> None:
        """Keep a row of frames, and give the level below its half."""
        for frame in row:
            self._spools[level].add(frame)
        if level + 1 < len(self._sizes):
            above = len(self._spools[level].lengths) // len(row) - 1
            halves = [_halved(self._edged(level, at, above, _decode(frame))) for at, frame in enumerate(row)]
            self._strips[level + 1].append(np.concatenate(halves, axis=1))
            if len(self._strips[level + 1]) == 2:
                self._flush(level + 1)

    def _edged(self, level: int, column: int, row: int, rgb: Rgb) -> Rgb:
        """A frame; what lies one pixel beyond an odd side repeats the last one inside: half of a pixel below is made of
        it, and another writer's filling may be black.
        """
        size = self._sizes[level]
        width, height = size.width - column * self._frame, size.height - row * self._frame
        if width % 2 and width < self._frame:
            rgb[:, width] = rgb[:, width - 1]
        if height % 2 and height < self._frame:
            rgb[height] = rgb[height - 1]
        return rgb

    def _flush(self, level: int) -> None:
        """Encode the waiting strips of half a frame's height as one row of frames."""
        if not self._strips[level]:
            return
        strip = np.concatenate(self._strips[level])
        self._strips[level] = []
        columns = -(-self._sizes[level].width // self._frame)
        strip = _filled_up(strip[:, : columns * self._frame], columns * self._frame, self._frame)
        parts = np.split(strip, columns, axis=1)
        self._take(level, [encode(part, self._quality, self._colour) for part in parts])


def _level_sizes(size: Size, frame: int, levels: int) -> list[Size]:
    sizes = [size]
    while len(sizes) < levels and max(sizes[-1].width, sizes[-1].height) > frame:
        sizes.append(Size(width=-(-sizes[-1].width // 2), height=-(-sizes[-1].height // 2)))
    return sizes


def _decode(frame: bytes) -> Rgb:
    try:
        rgb: Rgb = simplejpeg.decode_jpeg(frame, "RGB")
    except ValueError:
        message = "a frame of the slide doesn't decode: copy it again from its source"
        raise Refused(Reason.SLIDE_DAMAGED, message) from None
    return rgb


def _halved(rgb: Rgb) -> Rgb:
    return np.asarray(cv2.resize(rgb, (rgb.shape[1] // 2, rgb.shape[0] // 2), interpolation=cv2.INTER_AREA), np.uint8)


def _filled_up(rgb: Rgb, width: int, height: int) -> Rgb:
    """Repeat the last column and row up to a size."""
    down, right = height - rgb.shape[0], width - rgb.shape[1]
    if down == 0 and right == 0:
        return rgb
    return np.asarray(cv2.copyMakeBorder(rgb, 0, down, 0, right, cv2.BORDER_REPLICATE), np.uint8)
