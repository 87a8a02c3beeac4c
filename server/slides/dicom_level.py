"""What the header of one level says (VL Whole Slide Microscopy Image, PS3.3, A.32.8), without its pixels.

The positions of the frames of a sparse level are left out: pydicom makes four objects of each, 10 s for 60,000 frames,
where wsidicom finds the numbers among the bytes in 0.1 s (see `wsidicom_image`).
"""

import struct
from dataclasses import dataclass, field
from io import SEEK_END
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.filereader import read_sequence_item
from pydicom.uid import UID

from inference.errors import Reason, Refused
from inference.geometry import Size
from server.slides.dicom_header import HEADER_ONLY, InstanceHeader, code_string, guarded, identify
from server.slides.dicom_stream import is_packed, open_dicom_file, read_until
from server.slides.frames import LARGEST_FRAME, Frames, Layout
from server.slides.optical_path import OpticalPath, items, read_optical_paths
from server.slides.place import Place, read_place, spacing_um

PER_FRAME_GROUPS = 0x52009230
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_EXPLICIT_SEQUENCE_HEADER, _IMPLICIT_SEQUENCE_HEADER = 12, 8  # PS3.5, 7.1.2 and 7.1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelHeader:
    """One instance: a level, or the part of one that a concatenation puts into one file."""

    who: InstanceHeader
    layout: Layout
    syntax: UID
    """Of what is packed (deflated) that of what is in it."""
    packed: bool
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
    optical_paths: tuple[OpticalPath, ...]
    """In the order of the file; none where the file describes none."""
    shown: int
    """Which optical path is read: the first bright-field one, or the one that the caller names."""
    focal_plane: int | None
    """Which focal plane is read, from 1; None for the one in the middle."""
    place: Place
    spacing_um: tuple[float, float] | None
    """Width and height of a pixel, µm."""
    specimens: tuple[str, ...]
    dataset: Dataset = field(repr=False)

    @property
    def pixels_left(self) -> bool:
        """Whether its pixels were left where they are: this is its header alone."""
        return self.who.path.name.endswith(HEADER_ONLY)

    @property
    def path_shown(self) -> OpticalPath | None:
        return self.optical_paths[self.shown] if self.optical_paths else None

    @property
    def path_name(self) -> str:
        """Of the optical path that is read; empty where the file describes none."""
        return self.path_shown.identifier if self.path_shown else ""

    @property
    def icc_profile(self) -> bytes | None:
        return self.path_shown.icc_profile if self.path_shown else None


class DicomLevel(Frames, Protocol):
    """One level of a slide, open: its header (the first, where it is split over files) and its frames."""

    @property
    def header(self) -> LevelHeader: ...

    @property
    def sop_instance_uids(self) -> tuple[str, ...]: ...

    @property
    def lengths(self) -> npt.NDArray[np.int64] | None:
        """(rows, columns): bytes of each encoded frame, 0 for none; None where that isn't known, or all are as long."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings (UPPER_SNAKE) about the choice of frames."""
        ...

    def close(self) -> None: ...


def read_level_header(path: Path, who: InstanceHeader | None = None) -> LevelHeader:
    """Read a level's header up to its positions or pixels; `who` is what `read_instance_header` said of the file, if it
    was asked. Raises Refused SLIDE_DAMAGED, WRONG_COLOUR_SPACE.
    """
    return guarded(path, lambda: _read(path, who))


def damaged(path: Path, what: str) -> Refused:
    return Refused(Reason.SLIDE_DAMAGED, f"{path.name} {what}: fetch it again from the archive")


def wrong_colour(header: LevelHeader) -> Refused:
    found = f"{header.samples} x {header.bits} bit {header.photometric}" + (" by plane" if header.planar else "")
    message = (
        f"{header.who.path.name} is {found} in {header.syntax.name}: only colour can be "
        f"scored, 3 x 8 bit RGB or as JPEG has it"
    )
    return Refused(Reason.WRONG_COLOUR_SPACE, message)


def _read(path: Path, who: InstanceHeader | None) -> LevelHeader:
    packed = is_packed(path)
    with open_dicom_file(path) as stream:
        dataset = read_until(stream, lambda tag, vr, length: tag == PER_FRAME_GROUPS or tag in PIXELS)
        ends_at = stream.tell()
        syntax = UID(dataset.file_meta.TransferSyntaxUID)
        if not syntax.is_valid:
            raise damaged(path, "names no transfer syntax")
        first = _first_group(stream, syntax, stream.seek(0, SEEK_END) if packed else path.stat().st_size, ends_at)
    layout = _layout(path, dataset)
    frames = int(dataset.get("NumberOfFrames") or (layout.rows * layout.columns if first is None else 1))
    if not packed and not path.name.endswith(HEADER_ONLY) and frames * 8 > path.stat().st_size:
        raise damaged(path, f"claims {frames} frames in {path.stat().st_size} bytes")
    if layout.rows * layout.columns > 64 * frames + 1_000_000:
        raise damaged(path, f"claims {layout.rows * layout.columns} places for {frames} frames")
    paths, said = read_optical_paths(dataset), str(dataset.get("DimensionOrganizationType") or "").strip()
    header = LevelHeader(
        who=who or identify(path, dataset, described=False),
        layout=layout,
        syntax=syntax,
        packed=packed,
        photometric=code_string(dataset.get("PhotometricInterpretation")) or "of unknown colour",
        samples=int(dataset.get("SamplesPerPixel") or 0),
        bits=int(dataset.get("BitsAllocated") or 0),
        planar=bool(int(dataset.get("PlanarConfiguration") or 0)) and not syntax.is_compressed,
        frames=frames,
        tiled_full=first is None or (said == "TILED_FULL" and not _is_placed(first)),
        positions_follow=first is not None,
        ends_at=ends_at,
        focal_planes=max(1, int(dataset.get("TotalPixelMatrixFocalPlanes") or 1)),
        optical_path_count=max(1, int(dataset.get("NumberOfOpticalPaths") or 1)),
        optical_paths=paths,
        shown=next((k for k, path in enumerate(paths) if path.brightfield), 0),
        focal_plane=None,
        place=read_place(dataset),
        spacing_um=spacing_um(dataset, [] if first is None else [first]),
        specimens=tuple(str(s.get("SpecimenIdentifier") or "") for s in items(dataset, "SpecimenDescriptionSequence")),
        dataset=dataset,
    )
    if (header.samples, header.bits) != (3, 8):
        raise wrong_colour(header)
    return header


def _first_group(stream: BinaryIO, syntax: UID, end: int, at: int) -> Dataset | None:
    """The first item of the per-frame groups, where these begin at that byte (they may hold the pixel size).

    None without.
    """
    stream.seek(at)
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


def _is_placed(group: Dataset) -> bool:
    """Whether a frame says where it lies: that counts, whatever the order of the frames is said to be."""
    return any("ColumnPositionInTotalImagePixelMatrix" in p for p in items(group, "PlanePositionSlideSequence"))


def _layout(path: Path, dataset: Dataset) -> Layout:
    size = Size(width=int(dataset.TotalPixelMatrixColumns), height=int(dataset.TotalPixelMatrixRows))
    frame = Size(width=int(dataset.Columns), height=int(dataset.Rows))
    if min(size.width, size.height, frame.width, frame.height) < 1 or frame.area > LARGEST_FRAME:
        raise damaged(path, f"says it is {size.width} x {size.height} px in frames of {frame.width} x {frame.height}")
    return Layout(size=size, frame=frame)
