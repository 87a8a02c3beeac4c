"""The tiles or strips of a TIFF's page as frames, and which pages can be read so."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tifffile import COMPRESSION, PHOTOMETRIC, PLANARCONFIG, TiffPage

from inference.errors import Reason, Refused
from inference.geometry import Size
from inference.slide import Rgb
from server.slides.codec import Encoding, Undecodable, box_average, decode, on_white, rgb_of_ycbcr
from server.slides.codestream import Colour
from server.slides.frames import LARGEST_FRAME, FrameFile, Layout
from server.slides.same_picture import Shrunk, remembered, show_the_same

_JPEG2000 = {
    COMPRESSION.JPEG2000,
    COMPRESSION.JPEG_2000_LOSSY,
    COMPRESSION.APERIO_JP2000_RGB,
    COMPRESSION.APERIO_JP2000_YCBC,
}

_PACKED = {
    COMPRESSION.NONE,
    COMPRESSION.LZW,
    COMPRESSION.PACKBITS,
    COMPRESSION.DEFLATE,
    COMPRESSION.ADOBE_DEFLATE,
    COMPRESSION.LZMA,
    COMPRESSION.ZSTD,
    COMPRESSION.ZSTD_DEPRECATED,
}
_ASSOCIATED, _UNASSOCIATED = 1, 2  # ExtraSamples: alpha (TIFF 6.0, section 18)
_SUBSAMPLING = 530  # YCbCrSubSampling; (2, 2) where it isn't given (TIFF 6.0, section 21)


@dataclass(frozen=True, slots=True, kw_only=True)
class TiffFrames:
    """The tiles or strips of one page. `tables` are a JPEG page's, without their ends (start and end of image)."""

    page: TiffPage = field(repr=False)
    file: FrameFile
    layout: Layout
    offsets: Sequence[int] = field(repr=False)
    lengths: Sequence[int] = field(repr=False)
    colour: Colour
    tables: bytes = field(repr=False)

    def decode(self, column: int, row: int, shrink: int) -> Rgb | None:
        number = row * self.layout.columns + column
        if self.page.planarconfig != PLANARCONFIG.CONTIG:
            return self._planes(number, shrink)
        data = self._bytes(number)
        if data is None:
            return None
        if self.page.compression == COMPRESSION.JPEG:
            return decode(self._with_tables(data), Encoding.JPEG, self.colour, self._frame(row), shrink)
        if self.page.compression in _JPEG2000:
            return decode(data, Encoding.JPEG2000, self.colour, self._frame(row), shrink)
        return box_average(self._by_tifffile(data, number), shrink)

    @property
    def tiled_jpeg(self) -> bool:
        """Are they tiles, square and of JPEG?"""
        square = self.layout.frame.width == self.layout.frame.height
        return square and self.page.is_tiled and self.page.compression == COMPRESSION.JPEG

    def jpeg(self, column: int, row: int) -> bytes | None:
        """The whole stream of one of `tiled_jpeg`; None where the slide has no frame. Raises Undecodable."""
        data = self._bytes(row * self.layout.columns + column)
        return None if data is None else self._with_tables(data)

    def _with_tables(self, data: bytes) -> bytes:
        return data[:2] + self.tables + data[2:] if self.tables else data

    def _frame(self, row: int) -> Size:
        """Tiles are whole; the last strip ends with the picture."""
        if self.page.is_tiled:
            return self.layout.frame
        height = min(self.layout.frame.height, self.layout.size.height - row * self.layout.frame.height)
        return Size(width=self.layout.frame.width, height=height)

    def _bytes(self, number: int) -> bytes | None:
        """None where the slide has no such frame. Raises Undecodable."""
        if number >= len(self.offsets):
            raise Undecodable("not in the file")
        data = self.file.read(self.offsets[number], self.lengths[number])
        if len(data) < self.lengths[number]:
            raise Undecodable("cut off")
        return data or None

    def _planes(self, number: int, shrink: int) -> Rgb | None:
        """Red, green and blue that are stored apart, all frames of one before the next."""
        numbers = [number + plane * self.layout.rows * self.layout.columns for plane in range(3)]
        data = [self._bytes(k) for k in numbers]
        if not all(data):
            return None
        planes = [self._by_tifffile(d, k) for d, k in zip(data, numbers, strict=True) if d is not None]
        return box_average(np.concatenate(planes, axis=2), shrink)

    def _by_tifffile(self, data: bytes, number: int) -> Rgb:
        try:
            pixels = self.page.decode(data, number)[0]
        except Exception as error:  # codecs raise errors of their own
            raise Undecodable("segment") from error
        rgb: Rgb = on_white(np.asarray(pixels)[0], multiplied=tuple(self.page.extrasamples) == (_ASSOCIATED,))
        return rgb_of_ycbcr(rgb) if self.colour is Colour.YCBCR else rgb


def check_page(path: Path, page: TiffPage) -> None:
    """Refuse what isn't 3 x 8 bit colour, with or without alpha, and frames too large to decode in one piece."""
    known = page.photometric in (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR)
    samples = 3 if not _has_alpha(page) else 4
    if (page.samplesperpixel, page.bitspersample, str(page.dtype)) != (samples, 8, "uint8") or not known:
        found = f"{page.samplesperpixel} x {page.bitspersample} bit, {_name(page.photometric)}"
        raise Refused(Reason.WRONG_COLOUR_SPACE, f"{path.name} is {found}: only colour of 3 x 8 bit can be scored")
    apart = page.planarconfig != PLANARCONFIG.CONTIG
    if page.imagedepth != 1 or (apart and (samples == 4 or page.compression in (COMPRESSION.JPEG, *_JPEG2000))):
        raise Refused(Reason.UNSUPPORTED_SYNTAX, f"{path.name} stores its colours in separate planes: convert it")
    if page.compression in _PACKED and page.photometric == PHOTOMETRIC.YCBCR and _subsampling(page) != (1, 1):
        message = "stores its colours as YCbCr with fewer samples of chroma, not by JPEG: convert it"
        raise Refused(Reason.UNSUPPORTED_SYNTAX, f"{path.name} {message}")
    if _frame_size(page).area > LARGEST_FRAME or page.jpegheader:
        raise Refused(Reason.UNSUPPORTED_SYNTAX, f"{path.name} is not tiled: convert it to a tiled TIFF or DICOM")


def _subsampling(page: TiffPage) -> tuple[int, ...]:
    tag = page.tags.get(_SUBSAMPLING)
    return (2, 2) if tag is None else tuple(tag.value)


def _has_alpha(page: TiffPage) -> bool:
    """Of pixels as they are: JPEG's fourth component is no alpha."""
    return tuple(page.extrasamples) in ((_ASSOCIATED,), (_UNASSOCIATED,)) and page.compression not in (
        COMPRESSION.JPEG,
        *_JPEG2000,
    )


def _name(value: Any) -> str:
    return str(getattr(value, "name", value))


def _frame_size(page: TiffPage) -> Size:
    if page.is_tiled:
        return Size(width=page.tilewidth, height=page.tilelength)
    return Size(width=page.imagewidth, height=min(page.rowsperstrip, page.imagelength))


def page_frames(file: FrameFile, page: TiffPage) -> TiffFrames:
    size = Size(width=page.imagewidth, height=page.imagelength)
    tables = page.jpegtables[2:-2] if page.jpegtables else b""
    return TiffFrames(
        page=page,
        file=file,
        layout=Layout(size=size, frame=_frame_size(page)),
        offsets=page.dataoffsets,
        lengths=page.databytecounts,
        colour=_colour(page),
        tables=tables,
    )


def _colour(page: TiffPage) -> Colour:
    """What decoded samples are; JPEG 2000 streams undo their own transform, but for Aperio's older kind; samples that
    are stored as they are, or packed without loss, are what the page says.
    """
    if page.compression == COMPRESSION.JPEG or page.compression in _PACKED:
        return Colour.YCBCR if page.photometric == PHOTOMETRIC.YCBCR else Colour.RGB
    return Colour.YCBCR if page.compression == COMPRESSION.APERIO_JP2000_YCBC else Colour.RGB


class PagesByPixels:
    """Implements `server.slides.tiff_pages.Pictures` for the pages of one file."""

    def __init__(self, path: Path, file: FrameFile) -> None:
        self._path, self._file = path, file
        self._shrunk: dict[int, Shrunk] = {}

    def show_the_same(self, finer: TiffPage, coarser: TiffPage) -> bool:
        """What can't be read says nothing: it is refused where it is needed. Raises Failed where the disk fails."""
        about = self._path.stat()
        key = self._path, about.st_size, about.st_mtime_ns, finer.offset, coarser.offset
        try:
            return remembered(key, lambda: self._look(finer, coarser))
        except Refused:
            return True

    def _look(self, finer: TiffPage, coarser: TiffPage) -> bool:
        for page in (finer, coarser):
            check_page(self._path, page)
        ratio = max(1.0, finer.imagewidth / coarser.imagewidth)
        return show_the_same(self._small(finer), self._small(coarser), ratio)

    def _small(self, page: TiffPage) -> Shrunk:
        if page.offset not in self._shrunk:
            frames = page_frames(self._file, page)
            self._shrunk[page.offset] = Shrunk(frames, _lengths(frames))
        return self._shrunk[page.offset]


def _lengths(frames: TiffFrames) -> npt.NDArray[np.int64] | None:
    """(rows, columns): bytes of each frame, of the first plane where colours are stored apart."""
    layout, lengths = frames.layout, np.asarray(frames.lengths, np.int64)
    area = layout.rows * layout.columns
    return None if len(lengths) < area else lengths[:area].reshape(layout.rows, layout.columns)
