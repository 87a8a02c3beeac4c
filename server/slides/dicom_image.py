"""One level of a slide by the fast path: one file, frames in the order of their places, encodings decoded here.

What is otherwise (`is_indexable`) goes through wsidicom (`wsidicom_image`).
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from inference.slide import Rgb
from server.slides.codec import Encoding, decode
from server.slides.codestream import Colour
from server.slides.dicom_header import guarded
from server.slides.dicom_index import FrameIndex, NoPixels, read_index
from server.slides.dicom_level import PIXELS, LevelHeader, damaged, wrong_colour
from server.slides.dicom_stream import open_dicom_file, read_until
from server.slides.frames import FrameFile, Layout
from server.slides.unpacked_file import open_unpacked

ENCODINGS: dict[str, Encoding] = {
    ImplicitVRLittleEndian: Encoding.RAW,
    ExplicitVRLittleEndian: Encoding.RAW,
    ExplicitVRBigEndian: Encoding.RAW,
    JPEGBaseline8Bit: Encoding.JPEG,
    JPEGExtended12Bit: Encoding.JPEG,  # only its 8-bit form passes the check of BitsAllocated
    JPEGLossless: Encoding.JPEG_LOSSLESS,
    JPEGLosslessSV1: Encoding.JPEG_LOSSLESS,
    JPEG2000: Encoding.JPEG2000,
    JPEG2000Lossless: Encoding.JPEG2000,
    HTJ2K: Encoding.JPEG2000,
    HTJ2KLossless: Encoding.JPEG2000,
    HTJ2KLosslessRPCL: Encoding.JPEG2000,
    JPEGLSLossless: Encoding.JPEG_LS,
    JPEGLSNearLossless: Encoding.JPEG_LS,
}

# Photometric interpretations (PS3.3, C.7.6.3.1.2) by encoding: what they say of the decoded samples.
COLOURS: dict[Encoding, dict[str, Colour]] = {
    Encoding.RAW: {"RGB": Colour.RGB, "YBR_FULL": Colour.YCBCR},
    Encoding.RAW_PLANAR: {"RGB": Colour.RGB, "YBR_FULL": Colour.YCBCR},
    Encoding.JPEG: {
        "RGB": Colour.RGB,
        "YBR_FULL_422": Colour.YCBCR,
        "YBR_FULL": Colour.YCBCR,
        "YBR_PARTIAL_422": Colour.YCBCR,  # retired, and said of JPEG that is full range
        "YBR_PARTIAL_420": Colour.YCBCR,
    },
    Encoding.JPEG_LOSSLESS: {"RGB": Colour.RGB},
    Encoding.JPEG2000: {
        "RGB": Colour.RGB,
        "YBR_ICT": Colour.RGB,
        "YBR_RCT": Colour.RGB,
        "YBR_FULL": Colour.YCBCR,
        "YBR_FULL_422": Colour.YCBCR,
    },
    Encoding.JPEG_LS: {"RGB": Colour.RGB, "YBR_FULL": Colour.YCBCR},
}

Numbers = npt.NDArray[np.int64]
"""(rows, columns) of the grid: the frame there, from 0; -1 for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomImage:
    """One level: implements `server.slides.dicom_level.DicomLevel`."""

    header: LevelHeader
    encoding: Encoding
    colour: Colour
    numbers: Numbers
    index: FrameIndex
    file: FrameFile
    notes: tuple[str, ...]

    @property
    def layout(self) -> Layout:
        return self.header.layout

    @property
    def sop_instance_uids(self) -> tuple[str, ...]:
        return (self.header.who.sop_instance_uid,)

    @property
    def lengths(self) -> npt.NDArray[np.int64] | None:
        return self.index.lengths_of(self.numbers) if self.index.encapsulated else None

    def decode(self, column: int, row: int, shrink: int) -> Rgb | None:
        data = self.index.read(self.file, int(self.numbers[row, column]))
        return decode(data, self.encoding, self.colour, self.layout.frame, shrink)

    def close(self) -> None:
        self.file.close()


def is_indexable(header: LevelHeader) -> bool:
    """Whether the fast path reads this level. A concatenation's total of 1 makes it whole in one file."""
    whole = (
        header.who.parts <= 1
        and header.who.first_frame == 0
        and (not header.who.concatenation_uid or header.who.parts == 1)
    )
    return whole and not header.positions_follow and header.syntax in ENCODINGS


def wsidicom_takes(header: LevelHeader) -> bool:
    """Not files that don't say which kind of image they hold, nor JPEG 2000 under JPEG's name of the colours, nor what
    is packed or big endian.
    """
    plain = not header.packed and header.syntax.is_little_endian
    return (
        plain
        and bool(header.who.flavour)
        and not (ENCODINGS[header.syntax] is Encoding.JPEG2000 and header.photometric == "YBR_FULL_422")
    )


def read_image(header: LevelHeader, numbers: Numbers | None = None) -> DicomImage:
    """Index the frames of a level. Raises Refused SLIDE_DAMAGED, WRONG_COLOUR_SPACE."""
    encoding = encoding_of(header)
    colour = colour_of(header, encoding)
    file = frame_file(header)
    try:
        return DicomImage(
            header=header,
            encoding=encoding,
            colour=colour,
            numbers=numbers_in_order(header, header.frames) if numbers is None else numbers,
            index=guarded(header.who.path, lambda: _index(header, file)),
            file=file,
            notes=notes_of(planes=header.focal_planes, paths=header.optical_path_count),
        )
    except BaseException:
        file.close()
        raise


def frame_file(header: LevelHeader) -> FrameFile:
    """Raises as `unpacked_file.open_unpacked`."""
    if not header.packed:
        return FrameFile(header.who.path)
    return open_unpacked(header.who.path, header=header.ends_at, pixels=header.frames * header.layout.frame.area * 3)


def read_placed_image(header: LevelHeader) -> DicomImage:
    """A level whose frames have positions of their own, on the grid, read by pydicom, which is slow for many.

    Raises as `read_image`.
    """
    path = header.who.path

    def read() -> tuple[Dataset, int]:
        with open_dicom_file(path) as stream:
            return read_until(stream, lambda tag, vr, length: tag in PIXELS), stream.tell()

    dataset, at = guarded(path, read)
    numbers = guarded(path, lambda: _numbers_by_position(header, dataset))
    return read_image(replace(header, dataset=dataset, ends_at=at), numbers)


def _numbers_by_position(header: LevelHeader, dataset: Dataset) -> Numbers:
    layout = header.layout
    numbers = np.full((layout.rows, layout.columns), -1, dtype=np.int64)
    for number, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        position = group.PlanePositionSlideSequence[0]
        x = int(position.ColumnPositionInTotalImagePixelMatrix) - 1
        y = int(position.RowPositionInTotalImagePixelMatrix) - 1
        if min(x, y) < 0 or x % layout.frame.width or y % layout.frame.height:
            raise damaged(header.who.path, "has frames beside its grid")
        numbers[y // layout.frame.height, x // layout.frame.width] = number
    return numbers


def encoding_of(header: LevelHeader) -> Encoding:
    """Of a syntax in ENCODINGS."""
    return Encoding.RAW_PLANAR if header.planar else ENCODINGS[header.syntax]


def _index(header: LevelHeader, file: FrameFile) -> FrameIndex:
    size, implicit = header.layout.frame.area * 3, header.syntax.is_implicit_VR
    try:
        return read_index(
            file,
            header.ends_at,
            header.dataset,
            frames=header.frames,
            frame_bytes=size,
            implicit=implicit,
            big=not header.syntax.is_little_endian,
        )
    except NoPixels:
        raise damaged(header.who.path, "ends before its pixels") from None


def colour_of(header: LevelHeader, encoding: Encoding) -> Colour:
    """What the decoded samples are. Raises Refused WRONG_COLOUR_SPACE."""
    colour = COLOURS[encoding].get(header.photometric)
    if colour is None:
        raise wrong_colour(header)
    return colour


def numbers_in_order(header: LevelHeader, frames: int) -> Numbers:
    """Which frame lies where, of the optical path and focal plane that are read, where all frames come in order.

    `frames` is the count of the level. Raises Refused SLIDE_DAMAGED where it doesn't fit the size, or ends before that
    plane.
    """
    layout = header.layout
    area = layout.rows * layout.columns
    planes, shown = header.focal_planes, min(header.shown, header.optical_path_count - 1)
    plane = planes // 2 if header.focal_plane is None else header.focal_plane - 1
    first = (shown * planes + plane) * area  # columns run fastest, then rows, planes, paths (PS3.3, C.7.6.17.3)
    if frames % area:  # the size or the number is wrong, and with the size each frame's place
        size, due = f"{layout.size.width} x {layout.size.height} px", area * planes * header.optical_path_count
        raise damaged(header.who.path, f"says that it has {frames} frames, where {size} take {due}")
    if frames <= first:
        raise damaged(header.who.path, f"has {frames} frames where {area * planes * (shown + 1)} are due")
    return np.arange(first, first + area, dtype=np.int64).reshape(layout.rows, layout.columns)


def notes_of(*, planes: int, paths: int) -> tuple[str, ...]:
    """Warnings for a level that holds more pictures than the one that is read."""
    return ("SEVERAL_FOCAL_PLANES",) * (planes > 1) + ("SEVERAL_OPTICAL_PATHS",) * (paths > 1)
