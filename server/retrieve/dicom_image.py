"""One level of a slide: a VL Whole Slide Microscopy Image instance (PS3.3, A.32.8), its grid of frames and their bytes."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from inference.errors import Reason, Refused
from inference.geometry import Size
from inference.slide import Rgb
from server.retrieve.codec import Colour, Encoding, declare_colour, decode, says_colour
from server.retrieve.dicom_header import InstanceHeader, guarded, identify
from server.retrieve.dicom_index import FrameIndex, NoPixels, read_index
from server.retrieve.frames import LARGEST_FRAME, FrameFile, Layout

ENCODINGS: dict[str, Encoding] = {
    ImplicitVRLittleEndian: Encoding.RAW,
    ExplicitVRLittleEndian: Encoding.RAW,
    JPEGBaseline8Bit: Encoding.JPEG,
    JPEGExtended12Bit: Encoding.JPEG,  # only its 8-bit form passes the check of BitsAllocated
    JPEG2000: Encoding.JPEG2000,
    JPEG2000Lossless: Encoding.JPEG2000,
    HTJ2K: Encoding.JPEG2000,
    HTJ2KLossless: Encoding.JPEG2000,
    HTJ2KLosslessRPCL: Encoding.JPEG2000,
    JPEGLSLossless: Encoding.JPEG_LS,
    JPEGLSNearLossless: Encoding.JPEG_LS,
}

# Photometric interpretations (PS3.3, C.7.6.3.1.2) by encoding: what the decoded samples are.
COLOURS: dict[Encoding, dict[str, Colour]] = {
    Encoding.RAW: {"RGB": Colour.RGB, "YBR_FULL": Colour.YCBCR},
    Encoding.JPEG: {"RGB": Colour.RGB, "YBR_FULL_422": Colour.YCBCR, "YBR_FULL": Colour.YCBCR},
    Encoding.JPEG2000: {"RGB": Colour.RGB, "YBR_ICT": Colour.RGB, "YBR_RCT": Colour.RGB, "YBR_FULL": Colour.YCBCR},
    Encoding.JPEG_LS: {"RGB": Colour.RGB, "YBR_FULL": Colour.YCBCR},
}

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomImage:
    """One level. `numbers` is (rows, columns) int64: the frame, from 0, at each place of the grid, -1 for none."""

    who: InstanceHeader
    layout: Layout
    spacing_um: tuple[float, float] | None
    """Width and height of a pixel, µm."""
    encoding: Encoding
    colour: Colour
    numbers: Positions
    index: FrameIndex
    file: FrameFile
    specimens: tuple[str, ...] = ()
    has_optical_path: bool = False
    icc_profile: bytes | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    def decode(self, column: int, row: int, shrink: int) -> Rgb | None:
        number = int(self.numbers[row, column])
        if number < 0:
            return None
        data = self.index.read(self.file, number)
        if self.encoding is Encoding.JPEG and self.colour is Colour.RGB and not says_colour(data):
            data = declare_colour(data, Colour.RGB)
        return decode(data, self.encoding, self.colour, self.layout.frame, shrink)


def read_image(path: Path) -> DicomImage:
    """Read the header and frame index of a level. Raises Refused: not 3 x 8 bit, unknown syntax, damaged."""
    file = FrameFile(path)
    try:
        return guarded(path, lambda: _read(path, file))
    except BaseException:
        file.close()
        raise


def _read(path: Path, file: FrameFile) -> DicomImage:
    with path.open("rb") as stream:
        header = dcmread(stream, stop_before_pixels=True)
        at = stream.tell()
    syntax = UID(header.file_meta.TransferSyntaxUID)
    encoding = _encoding(path, syntax)
    colour = _colour(path, header, encoding)
    layout = _layout(path, header)
    count = int(header.get("NumberOfFrames") or 1)
    if count * 8 > file.size:
        raise _damaged(path, f"claims {count} frames in {file.size} bytes")
    if int(header.get("InConcatenationTotalNumber") or 1) > 1 or int(header.get("ConcatenationFrameOffsetNumber") or 0) > 0:
        message = f"{path.name} is part of a level split over files (a concatenation): have the archive join it"
        raise Refused(Reason.UNSUPPORTED_SYNTAX, message)
    numbers, notes = _numbers(path, header, layout, count)
    try:
        index = read_index(
            file,
            at,
            header,
            frames=count,
            frame_bytes=layout.frame.area * 3,
            implicit=syntax.is_implicit_VR,
        )
    except NoPixels:
        raise _damaged(path, "ends before its pixels") from None
    return DicomImage(
        who=identify(path, header),
        layout=layout,
        spacing_um=_spacing_um(header),
        encoding=encoding,
        colour=colour,
        numbers=numbers,
        index=index,
        file=file,
        specimens=tuple(str(s.get("SpecimenIdentifier") or "") for s in header.get("SpecimenDescriptionSequence") or []),
        has_optical_path=bool(header.get("OpticalPathSequence")),
        icc_profile=_icc_profile(header),
        notes=notes,
    )


def _encoding(path: Path, syntax: UID) -> Encoding:
    encoding = ENCODINGS.get(syntax)
    if encoding is None:
        message = f"{path.name} has the transfer syntax {syntax.name}: have the archive convert it to JPEG Baseline or JPEG 2000"
        raise Refused(Reason.UNSUPPORTED_SYNTAX, message)
    return encoding


def _colour(path: Path, header: Dataset, encoding: Encoding) -> Colour:
    photometric = str(header.get("PhotometricInterpretation") or "missing")
    colour = COLOURS[encoding].get(photometric)
    samples, bits = int(header.get("SamplesPerPixel") or 0), int(header.get("BitsAllocated") or 0)
    planar = int(header.get("PlanarConfiguration") or 0) if encoding is Encoding.RAW else 0
    if colour is None or (samples, bits, planar) != (3, 8, 0):
        found = f"{samples} x {bits} bit, {photometric}" + (", by plane" if planar else "")
        raise Refused(Reason.WRONG_COLOUR_SPACE, f"{path.name} is {found}: only colour of 3 x 8 bit can be scored")
    return colour


def _layout(path: Path, header: Dataset) -> Layout:
    size = Size(width=int(header.TotalPixelMatrixColumns), height=int(header.TotalPixelMatrixRows))
    frame = Size(width=int(header.Columns), height=int(header.Rows))
    if min(size.width, size.height, frame.width, frame.height) < 1 or frame.area > LARGEST_FRAME:
        raise _damaged(path, f"says it is {size.width} x {size.height} px in frames of {frame.width} x {frame.height}")
    return Layout(size=size, frame=frame)


def _numbers(path: Path, header: Dataset, layout: Layout, count: int) -> tuple[Positions, tuple[str, ...]]:
    """Which frame lies where, of the first optical path and the middle focal plane, and what to warn of."""
    shape = layout.rows, layout.columns
    if layout.rows * layout.columns > 64 * count + 1_000_000:
        raise _damaged(path, f"claims {layout.rows * layout.columns} places for {count} frames")
    if str(header.get("DimensionOrganizationType") or "") != "TILED_FULL" and header.get("PerFrameFunctionalGroupsSequence"):
        return _sparse_numbers(path, header, layout), ()
    area = layout.rows * layout.columns
    paths, planes = (
        max(1, int(header.get("NumberOfOpticalPaths") or 1)),
        max(1, int(header.get("TotalPixelMatrixFocalPlanes") or 1)),
    )
    first = (planes // 2) * area  # columns run fastest, then rows, focal planes, optical paths (PS3.3, C.7.6.17.3)
    numbers = np.arange(first, first + area, dtype=np.int64).reshape(shape)
    if count <= first:  # fewer than due in the plane itself: those missing are found when they are read
        raise _damaged(path, f"has {count} frames where {area * planes * paths} are due")
    return numbers, _notes(planes, paths)


def _notes(planes: int, paths: int) -> tuple[str, ...]:
    return ("SEVERAL_FOCAL_PLANES",) * (planes > 1) + ("SEVERAL_OPTICAL_PATHS",) * (paths > 1)


def _sparse_numbers(path: Path, header: Dataset, layout: Layout) -> Positions:
    numbers = np.full((layout.rows, layout.columns), -1, dtype=np.int64)
    for number, group in enumerate(header.PerFrameFunctionalGroupsSequence):
        position = group.PlanePositionSlideSequence[0]
        column, x = divmod(int(position.ColumnPositionInTotalImagePixelMatrix) - 1, layout.frame.width)
        row, y = divmod(int(position.RowPositionInTotalImagePixelMatrix) - 1, layout.frame.height)
        if x or y or not (0 <= column < layout.columns and 0 <= row < layout.rows):
            message = f"{path.name} has frames beside the grid of its tiles: have it converted to TILED_FULL"
            raise Refused(Reason.UNSUPPORTED_SYNTAX, message)
        if numbers[row, column] < 0:
            numbers[row, column] = number
    return numbers


def _spacing_um(header: Dataset) -> tuple[float, float] | None:
    """From Pixel Spacing (rows first, mm), else from the volume that is imaged (mm); None where neither is given."""
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in (header.get(groups) or [])[:1]:
            for measures in (group.get("PixelMeasuresSequence") or [])[:1]:
                spacing = measures.get("PixelSpacing")
                if spacing and min(spacing) > 0:
                    return 1000 * float(spacing[1]), 1000 * float(spacing[0])
    width, height = float(header.get("ImagedVolumeWidth") or 0), float(header.get("ImagedVolumeHeight") or 0)
    if min(width, height) <= 0:
        return None
    return 1000 * width / int(header.TotalPixelMatrixColumns), 1000 * height / int(header.TotalPixelMatrixRows)


def _icc_profile(header: Dataset) -> bytes | None:
    for optical_path in (header.get("OpticalPathSequence") or [])[:1]:
        return optical_path.get("ICCProfile") or None
    return None


def _damaged(path: Path, what: str) -> Refused:
    return Refused(Reason.SLIDE_DAMAGED, f"{path.name} {what}: fetch it again from the archive")
