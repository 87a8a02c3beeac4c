"""What the header of one level says (VL Whole Slide Microscopy Image, PS3.3, A.32.8), without its pixels.

The positions of the frames of a sparse level are left out: pydicom makes four objects of each, 10 s for 60,000 frames,
where wsidicom finds the numbers among the bytes in 0.1 s (see `wsidicom_image`).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from pydicom.dataset import Dataset
from pydicom.filereader import read_partial, read_sequence_item
from pydicom.uid import UID

from inference.errors import Reason, Refused
from inference.geometry import Size
from server.slides.dicom_header import InstanceHeader, code_string, guarded, identify
from server.slides.frames import LARGEST_FRAME, Frames, Layout

PER_FRAME_GROUPS = 0x52009230
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_EXPLICIT_SEQUENCE_HEADER, _IMPLICIT_SEQUENCE_HEADER = 12, 8  # PS3.5, 7.1.2 and 7.1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelHeader:
    """One instance: a level, or the part of one that a concatenation puts into one file."""

    who: InstanceHeader
    layout: Layout
    syntax: UID
    photometric: str
    samples: int
    bits: int
    planar: bool
    frames: int
    """Frames of this instance."""
    tiled_full: bool
    """Whether the order of the frames says where they lie; otherwise their positions follow (`positions_follow`)."""
    positions_follow: bool
    ends_at: int
    """Byte at which the header stops: the positions where they follow, else the pixels."""
    focal_planes: int
    optical_path_count: int
    optical_paths: tuple[str, ...]
    """Identifiers, in the order of the file; none where the file describes none."""
    depth_um: float
    """Where the plane lies in the slide's coordinates; 0 where the file doesn't say or gives each frame its own."""
    spacing_um: tuple[float, float] | None
    """Width and height of a pixel, µm."""
    specimens: tuple[str, ...]
    icc_profile: bytes | None = field(repr=False)
    dataset: Dataset = field(repr=False)


class DicomLevel(Frames, Protocol):
    """One level of a slide, open: its header (the first, where it is split over files) and its frames."""

    @property
    def header(self) -> LevelHeader: ...

    @property
    def sop_instance_uids(self) -> tuple[str, ...]: ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings (UPPER_SNAKE) about the choice of frames."""
        ...

    def close(self) -> None: ...


def read_level_header(path: Path) -> LevelHeader:
    """Read a level's header up to its positions or pixels. Raises Refused SLIDE_DAMAGED, WRONG_COLOUR_SPACE."""
    return guarded(path, lambda: _read(path))


def damaged(path: Path, what: str) -> Refused:
    return Refused(Reason.SLIDE_DAMAGED, f"{path.name} {what}: fetch it again from the archive")


def wrong_colour(header: LevelHeader) -> Refused:
    found = f"{header.samples} x {header.bits} bit {header.photometric}" + (" by plane" if header.planar else "")
    message = (
        f"{header.who.path.name} is {found} in {header.syntax.name}: only colour can be "
        f"scored, 3 x 8 bit RGB or as JPEG has it"
    )
    return Refused(Reason.WRONG_COLOUR_SPACE, message)


def _read(path: Path) -> LevelHeader:
    with path.open("rb") as stream:
        dataset = read_partial(stream, lambda tag, vr, length: tag == PER_FRAME_GROUPS or tag in _PIXELS)
        ends_at = stream.tell()
        syntax = UID(dataset.file_meta.TransferSyntaxUID)
        if not syntax.is_valid:
            raise damaged(path, "names no transfer syntax")
        first = _first_group(stream, syntax, path.stat().st_size)
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames * 8 > path.stat().st_size:
        raise damaged(path, f"claims {frames} frames in {path.stat().st_size} bytes")
    layout = _layout(path, dataset)
    if layout.rows * layout.columns > 64 * frames + 1_000_000:
        raise damaged(path, f"claims {layout.rows * layout.columns} places for {frames} frames")
    header = LevelHeader(
        who=identify(path, dataset),
        layout=layout,
        syntax=syntax,
        photometric=code_string(dataset.get("PhotometricInterpretation")) or "of unknown colour",
        samples=int(dataset.get("SamplesPerPixel") or 0),
        bits=int(dataset.get("BitsAllocated") or 0),
        planar=bool(int(dataset.get("PlanarConfiguration") or 0)) and not syntax.is_compressed,
        frames=frames,
        tiled_full=str(dataset.get("DimensionOrganizationType") or "") == "TILED_FULL" or first is None,
        positions_follow=first is not None,
        ends_at=ends_at,
        focal_planes=max(1, int(dataset.get("TotalPixelMatrixFocalPlanes") or 1)),
        optical_path_count=max(1, int(dataset.get("NumberOfOpticalPaths") or 1)),
        optical_paths=tuple(
            str(path.get("OpticalPathIdentifier") or "") for path in dataset.get("OpticalPathSequence") or []
        ),
        depth_um=_depth_um(dataset),
        spacing_um=_spacing_um(dataset, [] if first is None else [first]),
        specimens=tuple(
            str(s.get("SpecimenIdentifier") or "") for s in dataset.get("SpecimenDescriptionSequence") or []
        ),
        icc_profile=_icc_profile(dataset),
        dataset=dataset,
    )
    if (header.samples, header.bits, header.planar) != (3, 8, False):
        raise wrong_colour(header)
    return header


def _first_group(stream: BinaryIO, syntax: UID, end: int) -> Dataset | None:
    """The first item of the per-frame groups that the stream stands before (they may hold the pixel size).

    None without.
    """
    head = stream.read(_IMPLICIT_SEQUENCE_HEADER)
    group, element = struct.unpack("<HH" if syntax.is_little_endian else ">HH", head[:4].ljust(4, b"\0"))
    if (group << 16 | element) != PER_FRAME_GROUPS:
        return None
    stream.seek(0 if syntax.is_implicit_VR else _EXPLICIT_SEQUENCE_HEADER - _IMPLICIT_SEQUENCE_HEADER, 1)
    return (
        read_sequence_item(stream, syntax.is_implicit_VR, syntax.is_little_endian, "iso8859")
        if stream.tell() < end
        else None
    )


def _layout(path: Path, dataset: Dataset) -> Layout:
    size = Size(width=int(dataset.TotalPixelMatrixColumns), height=int(dataset.TotalPixelMatrixRows))
    frame = Size(width=int(dataset.Columns), height=int(dataset.Rows))
    if min(size.width, size.height, frame.width, frame.height) < 1 or frame.area > LARGEST_FRAME:
        raise damaged(path, f"says it is {size.width} x {size.height} px in frames of {frame.width} x {frame.height}")
    return Layout(size=size, frame=frame)


def _spacing_um(dataset: Dataset, first: Sequence[Dataset]) -> tuple[float, float] | None:
    """From Pixel Spacing (rows first, mm), else from the volume that is imaged (mm); None where neither is given."""
    for group in (*(dataset.get("SharedFunctionalGroupsSequence") or [])[:1], *first):
        for measures in (group.get("PixelMeasuresSequence") or [])[:1]:
            spacing = measures.get("PixelSpacing")
            if spacing and min(spacing) > 0:
                return 1000 * float(spacing[1]), 1000 * float(spacing[0])
    width, height = float(dataset.get("ImagedVolumeWidth") or 0), float(dataset.get("ImagedVolumeHeight") or 0)
    if min(width, height) <= 0:
        return None
    return 1000 * width / int(dataset.TotalPixelMatrixColumns), 1000 * height / int(dataset.TotalPixelMatrixRows)


def _depth_um(dataset: Dataset) -> float:
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
    places = [place for group in shared for place in group.get("PlanePositionSlideSequence") or []]
    given = [
        p.get("ZOffsetInSlideCoordinateSystem")
        for p in (*(dataset.get("TotalPixelMatrixOriginSequence") or []), *places)
    ]
    return next((float(z) for z in given if z is not None), 0.0)


def _icc_profile(dataset: Dataset) -> bytes | None:
    for optical_path in (dataset.get("OpticalPathSequence") or [])[:1]:
        return optical_path.get("ICCProfile") or None
    return None
