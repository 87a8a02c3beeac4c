"""One level of a slide by wsidicom: what the fast path (`dicom_image`) doesn't read.

Levels split over files (concatenations), frames with positions of their own (TILED_SPARSE, on the grid or beside it,
with focal planes or optical paths in any order), and the transfer syntaxes that wsidicom decodes and we don't (RLE,
JPEG XL). wsidicom finds the frames, their bytes and positions; encodings that `codec` knows are decoded there, so that
a slide has the same pixels by either way. Planes are chosen here: wsidicom puts a frame beside the grid into the place
it begins in, and takes the plane nearest to half the depth for the middle one.

There are two ways because the fast one joins frames that are stored in several pieces, reads a file that is cut off as
far as it goes, and starts at once, where importing wsidicom takes 0.9 s. Measured when it was chosen: 400 encoded
frames took 3.5 ms by our index and 107 ms through `WsiDicom.read_encoded_tile`; through wsidicom's readers, which are
used here, they take 8.
"""

import struct
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from os import strerror
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.uid import RLELossless
from wsidicom.codec import Codec
from wsidicom.file import WsiDicomFileSource
from wsidicom.file.io import WsiDicomReader
from wsidicom.geometry import Size as WsidicomSize

from inference.errors import ChromogenError, Failed, Reason, Refused
from inference.slide import Rgb
from server.slides.codec import Undecodable, box_average, decode, rgb_of_ycbcr
from server.slides.codestream import Colour
from server.slides.dicom_header import guarded
from server.slides.dicom_image import ENCODINGS, Numbers, colour_of, encoding_of, notes_of, numbers_in_order
from server.slides.dicom_level import LevelHeader, damaged, wrong_colour
from server.slides.frames import Frames, Layout
from server.slides.scattered import ScatteredFrames

Decode = Callable[[bytes, int], Rgb]
"""Encoded bytes and a shrink to pixels; raises Undecodable."""

_RLE_HEADER = struct.Struct("<16L")  # number of segments, where each begins (PS3.5, G.5)
_ITEM_LENGTH = 4  # bytes before an item that say how long it is (PS3.5, 7.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class WsidicomImage:
    """One level: implements `server.slides.dicom_level.DicomLevel`."""

    header: LevelHeader
    sop_instance_uids: tuple[str, ...]
    notes: tuple[str, ...]
    frames: Frames
    bytes_of: "_Files"

    @property
    def layout(self) -> Layout:
        return self.header.layout

    @property
    def lengths(self) -> npt.NDArray[np.int64] | None:
        return self.frames.lengths if isinstance(self.frames, _Grid) and self.header.syntax.is_encapsulated else None

    def decode(self, column: int, row: int, shrink: int) -> Rgb | None:
        return self.frames.decode(column, row, shrink)

    def close(self) -> None:
        self.bytes_of.close()


def read_by_wsidicom(parts: Sequence[LevelHeader]) -> WsidicomImage:
    """Open a level that lies in one or several files.

    Raises Refused: SLIDE_DAMAGED (also where a part is missing), UNSUPPORTED_SYNTAX, WRONG_COLOUR_SPACE.
    """
    parts = _with_offsets(sorted(parts, key=lambda part: (part.who.first_frame, part.who.part)))
    base = parts[0]
    _check_complete(parts)
    decode = _decoder(base)
    files = _Files()
    try:
        return guarded(base.who.path, lambda: _open(parts, files, decode))
    except BaseException:
        files.close()
        raise


def _open(parts: Sequence[LevelHeader], files: "_Files", decode: Decode) -> WsidicomImage:
    for part in parts:
        files.add(part)
    base = parts[0]
    frames, notes = (_in_order if base.tiled_full else _placed)(parts, files, decode)
    uids = tuple(part.who.sop_instance_uid for part in parts)
    return WsidicomImage(header=base, sop_instance_uids=uids, notes=notes, frames=frames, bytes_of=files)


def _with_offsets(parts: Sequence[LevelHeader]) -> Sequence[LevelHeader]:
    """Parts that are numbered but don't say where they begin follow each other."""
    numbered = sorted(part.who.part for part in parts) == list(range(1, len(parts) + 1))
    if len(parts) == 1 or not numbered or any(part.who.first_frame for part in parts):
        return parts
    begins = accumulate((part.frames for part in parts[:-1]), initial=0)
    return [replace(p, who=replace(p.who, first_frame=at)) for p, at in zip(parts, begins, strict=True)]


def _check_complete(parts: Sequence[LevelHeader]) -> None:
    base, due = parts[0], max(part.who.parts for part in parts)
    begins = [0, *accumulate(part.frames for part in parts)]
    if len(parts) < due or any(part.who.first_frame != at for part, at in zip(parts, begins, strict=False)):
        what = f"is one of {due or 'several'} files that make up a level (a concatenation), and not all are here"
        raise Refused(
            Reason.SLIDE_DAMAGED, f"{base.who.path.name} {what}: name the folder that holds all, or fetch the others"
        )
    alike = {(part.layout, part.syntax, part.photometric, part.tiled_full) for part in parts}
    if len(alike) > 1:
        raise damaged(base.who.path, "and the other files of its level differ in size, syntax or colour")


def _in_order(parts: Sequence[LevelHeader], files: "_Files", decode: Decode) -> tuple[Frames, tuple[str, ...]]:
    base = parts[0]
    numbers = numbers_in_order(base, sum(part.frames for part in parts))
    notes = notes_of(planes=base.focal_planes, paths=base.optical_path_count)
    return _Grid(layout=base.layout, numbers=numbers, files=files, frame=decode), notes


def _placed(parts: Sequence[LevelHeader], files: "_Files", decode: Decode) -> tuple[Frames, tuple[str, ...]]:
    layout, positions = parts[0].layout, files.positions()
    width, height = layout.frame.width, layout.frame.height
    x, y = positions.x, positions.y
    if min(x.min(), y.min()) < 0 or x.max() >= layout.size.width or y.max() >= layout.size.height:
        raise damaged(parts[0].who.path, "has frames outside of its pixels")
    chosen, notes = _chosen(positions, parts[0])
    x, y = x[chosen], y[chosen]
    if (x % width).any() or (y % height).any():
        return ScatteredFrames(layout, x, y, lambda k: decode(files.read(int(chosen[k])), 1)), notes
    numbers = np.full((layout.rows, layout.columns), -1, dtype=np.int64)
    numbers[y // height, x // width] = chosen
    return _Grid(layout=layout, numbers=numbers, files=files, frame=decode), notes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Positions:
    """Of each frame, (n,): first pixel from 0, depth in µm, identifier of the optical path."""

    x: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]
    z: npt.NDArray[np.float64]
    path: npt.NDArray[np.str_]


def _chosen(positions: _Positions, header: LevelHeader) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """The frames of the optical path that is read, at each place the one of middle depth or the focal plane that is
    named, in the order of the file.

    Each place is taken alone, because scanners that follow the tissue give every tile a depth of its own.
    """
    found = list(dict.fromkeys(positions.path.tolist()))
    named = [header.path_name, *(path.identifier for path in header.optical_paths)]
    path = next((name for name in named if name in found), found[0])
    mine = np.flatnonzero(positions.path == path)
    x, y, z = positions.x[mine], positions.y[mine], positions.z[mine]
    order = np.lexsort((z, y, x))
    begins = np.flatnonzero(np.append(True, (np.diff(x[order]) != 0) | (np.diff(y[order]) != 0)))
    counts = np.diff(np.append(begins, len(order)))
    plane = counts // 2 if header.focal_plane is None else np.minimum(header.focal_plane, counts) - 1
    chosen: npt.NDArray[np.int64] = np.sort(mine[order[begins + plane]])
    return chosen, notes_of(planes=int(counts.max()), paths=len(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """Frames on the grid; `numbers` counts through all files of the level."""

    layout: Layout
    numbers: Numbers
    files: "_Files"
    frame: Decode

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        lengths = np.append(self.files.lengths(), 0)
        inside = (self.numbers >= 0) & (self.numbers < len(lengths))
        found: npt.NDArray[np.int64] = lengths[np.where(inside, self.numbers, len(lengths) - 1)]
        return found

    def decode(self, column: int, row: int, shrink: int) -> Rgb | None:
        number = int(self.numbers[row, column])
        return None if number < 0 else self.frame(self.files.read(number), shrink)


class _Files:
    """The open files of a level, in the order of their frames."""

    def __init__(self) -> None:
        self._sources: list[WsiDicomFileSource] = []
        self._readers: list[WsiDicomReader] = []
        self._paths: list[Path] = []
        self._first: list[int] = []

    def add(self, part: LevelHeader) -> None:
        """Open a file and index its frames. Raises whatever wsidicom does."""
        source = WsiDicomFileSource.open(part.who.path)
        self._sources.append(source)
        (reader,) = source.readers
        if part.who.concatenation_uid and "ConcatenationFrameOffsetNumber" not in part.dataset:
            reader.dataset._dataset.ConcatenationFrameOffsetNumber = part.who.first_frame  # wsidicom needs it
        _check_frames(part, reader)
        self._readers.append(reader)
        self._paths.append(part.who.path)
        self._first.append(part.who.first_frame)

    def read(self, number: int) -> bytes:
        """The bytes of a frame. Raises Undecodable; Failed SLIDE_DAMAGED (retryable) where the disk fails."""
        part = bisect_right(self._first, number) - 1
        reader = self._readers[part]
        try:
            return bytes(reader.read_frame(number - self._first[part] + reader.frame_offset))
        except OSError as error:
            name = self._paths[part].name
            message = f"reading {name} failed ({strerror(error.errno or 0)}); see to the disk or share and try again"
            raise Failed(Reason.SLIDE_DAMAGED, message, retryable=True) from None
        except Exception as error:  # wsidicom's own, and those of the parsers under it
            raise Undecodable("not in the file") from error

    def lengths(self) -> npt.NDArray[np.int64]:
        """Bytes of each frame, in the order of the files."""
        found = [length for reader in self._readers for _, length in reader.frame_index]
        return np.asarray(found, np.int64)

    def positions(self) -> _Positions:
        """Raises Refused SLIDE_DAMAGED where a frame has none."""
        found = [reader.dataset.frame_positions for reader in self._readers]
        for reader, path, p in zip(self._readers, self._paths, found, strict=True):
            if len(p.columns) != reader.frame_count:
                raise damaged(path, f"gives {len(p.columns)} positions to {reader.frame_count} frames")
        return _Positions(
            x=np.concatenate([p.columns for p in found]) - 1,
            y=np.concatenate([p.rows for p in found]) - 1,
            z=np.concatenate([np.zeros(len(p.columns)) if p.z_offsets is None else p.z_offsets for p in found]),
            path=np.concatenate(
                [
                    np.full(len(p.columns), "") if p.optical_path_identifiers is None else p.optical_path_identifiers
                    for p in found
                ]
            ),
        )

    def close(self) -> None:
        for source in self._sources:
            source.close()


def _check_frames(part: LevelHeader, reader: WsiDicomReader) -> None:
    """Refuse files that are cut off, and frames in several pieces (fragments), which wsidicom runs together or
    miscounts.
    """
    path = part.who.path
    try:
        at, length = reader.frame_index[0]
    except Exception:  # wsidicom's own, and those of the parsers under it
        raise damaged(path, "is cut off, or has an offset table that doesn't fit its frames") from None
    if len(reader.frame_index) < part.frames:
        raise damaged(path, f"has {len(reader.frame_index)} frames of {part.frames}")
    if not part.syntax.is_encapsulated:
        return
    with path.open("rb") as file:
        file.seek(at - _ITEM_LENGTH)
        if int.from_bytes(file.read(_ITEM_LENGTH), "little") != length:
            message = (
                f"{path.name} stores each frame in several pieces: have the archive convert it to one piece a frame"
            )
            raise Refused(Reason.UNSUPPORTED_SYNTAX, message)


def _decoder(header: LevelHeader) -> Decode:
    if not Codec.is_supported(header.syntax, header.samples, header.bits, header.photometric):
        raise _unsupported(header.who.path, header)
    if header.syntax not in ENCODINGS:
        return _by_wsidicom(header)
    encoding = encoding_of(header)
    colour = colour_of(header, encoding)
    return lambda data, shrink: decode(data, encoding, colour, header.layout.frame, shrink)


def _by_wsidicom(header: LevelHeader) -> Decode:
    colours = {"RGB": Colour.RGB} | ({"YBR_FULL": Colour.YCBCR} if header.syntax == RLELossless else {})
    colour = colours.get(header.photometric)
    if colour is None:
        raise wrong_colour(header)
    frame = header.layout.frame
    size = WsidicomSize(frame.width, frame.height)
    decoder = Codec.create(header.syntax, header.samples, header.bits, size, header.photometric).decoder

    def decode(data: bytes, shrink: int) -> Rgb:
        if header.syntax == RLELossless:
            _check_rle(data)
        try:
            rgb = np.asarray(decoder.decode(data))
        except Exception as error:  # each codec raises its own
            raise Undecodable(header.syntax.name) from error
        if rgb.shape != (frame.height, frame.width, 3) or rgb.dtype != np.uint8:
            raise Undecodable(f"decoded to {rgb.shape} of {rgb.dtype}")
        return box_average(rgb_of_ycbcr(rgb) if colour is Colour.YCBCR else rgb, shrink)

    return decode


def _check_rle(data: bytes) -> None:
    """Three segments, one after the other: imagecodecs (2026.3) reads beyond the frame where its
    header says otherwise.
    """
    if len(data) < _RLE_HEADER.size:
        raise Undecodable("no RLE header")
    count, *begins = _RLE_HEADER.unpack_from(data)
    red, green, blue, *rest = begins
    if count != 3 or not _RLE_HEADER.size <= red < green < blue < len(data) or any(rest):
        raise Undecodable("damaged RLE header")


def _unsupported(path: Path, header: LevelHeader) -> ChromogenError:
    found = f"the transfer syntax {header.syntax.name} with {header.photometric}"
    return Refused(
        Reason.UNSUPPORTED_SYNTAX, f"{path.name} has {found}: have the archive convert it to JPEG Baseline or JPEG 2000"
    )
