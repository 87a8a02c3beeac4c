"""SVS and other TIFF slides, by tifffile.

tifffile rather than OpenSlide: it tells where the encoded frames lie, so that the fast decoder decodes each of them
once and at the scaling that is wanted. OpenSlide hands out decoded regions, which was measured at 42 to 58 MP a
core-second where this way reaches 364.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tifffile import COMPRESSION, PHOTOMETRIC, PLANARCONFIG, RESUNIT, TiffFile, TiffPage

from inference.errors import ChromogenError, Reason, Refused
from inference.geometry import Size
from inference.model import Resolution
from inference.slide import Level, Rgb, SlideFacts
from server.slides.codec import Encoding, Undecodable, box_average, decode, rgb_of_ycbcr
from server.slides.codestream import Colour
from server.slides.colour import icc_digest, to_srgb
from server.slides.digest import sha256_of
from server.slides.framed_slide import FramedSlide
from server.slides.frames import LARGEST_FRAME, FrameFile, Layout
from server.slides.pixel_size import square
from server.slides.plan import level_scales
from server.slides.quiet import quiet

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # TIFF and BigTIFF

_JPEG2000 = {
    COMPRESSION.JPEG2000,
    COMPRESSION.JPEG_2000_LOSSY,
    COMPRESSION.APERIO_JP2000_RGB,
    COMPRESSION.APERIO_JP2000_YCBC,
}

COARSEST_TAG_UM = 10.0
"""Resolution tags of coarser pixels are a printer's (72 to 600 dots an inch), not a microscope's."""

_APERIO_MPP = re.compile(r"\bMPP\s*=\s*([0-9]*\.?[0-9]+)")
_OME_SIZE = re.compile(r'PhysicalSize([XY])="([0-9.eE+-]+)"')
_OME_UNIT = re.compile(r'PhysicalSize[XY]Unit="(?!µm|μm|&#181;m|um)')


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
        if number >= len(self.offsets):
            raise Undecodable("not in the file")
        if self.lengths[number] == 0:
            return None
        data = self.file.read(self.offsets[number], self.lengths[number])
        if len(data) < self.lengths[number]:
            raise Undecodable("cut off")
        if self.page.compression == COMPRESSION.JPEG:
            stream = data[:2] + self.tables + data[2:] if self.tables else data
            return decode(stream, Encoding.JPEG, self.colour, self._frame(row), shrink)
        if self.page.compression in _JPEG2000:
            return decode(data, Encoding.JPEG2000, self.colour, self._frame(row), shrink)
        return box_average(self._by_tifffile(data, number), shrink)

    def _frame(self, row: int) -> Size:
        """Tiles are whole; the last strip ends with the picture."""
        if self.page.is_tiled:
            return self.layout.frame
        height = min(self.layout.frame.height, self.layout.size.height - row * self.layout.frame.height)
        return Size(width=self.layout.frame.width, height=height)

    def _by_tifffile(self, data: bytes, number: int) -> Rgb:
        try:
            pixels = self.page.decode(data, number)[0]
        except Exception as error:  # codecs raise errors of their own
            raise Undecodable("segment") from error
        rgb: Rgb = np.asarray(pixels)[0]
        return rgb_of_ycbcr(rgb) if self.colour is Colour.YCBCR else rgb


def open_tiff(path: Path, resolution: Resolution, *, mpp: float | None, icc: bool) -> FramedSlide:
    """Open a TIFF slide. Raises Refused: no pixel size, not 3 x 8 bit, too coarse, damaged."""
    file = FrameFile(path)
    try:
        return _open(path, file, resolution, mpp=mpp, icc=icc)
    except ChromogenError:
        file.close()
        raise
    except Exception:  # tifffile raises whatever a damaged directory makes it stumble over
        file.close()
        raise Refused(
            Reason.SLIDE_DAMAGED, f"{path.name} is cut off or damaged: copy it again from its source"
        ) from None


def _open(path: Path, file: FrameFile, resolution: Resolution, *, mpp: float | None, icc: bool) -> FramedSlide:
    with quiet(), TiffFile(path) as tiff:
        base, *reduced = _level_pages(tiff)
        _check(path, base)
        levels = [_frames(file, page) for page in (base, *reduced)]
        base_mpp = square(path.name, _spacing_um(tiff, base), mpp)
        profile = base.iccprofile
    scales = level_scales([level.layout.size for level in levels])
    facts = SlideFacts(
        mpp=base_mpp,
        size=levels[0].layout.size,
        levels=tuple(Level(size=v.layout.size, mpp=base_mpp * s) for v, s in zip(levels, scales, strict=True)),
        sha256=sha256_of(path),
        icc_sha256=icc_digest(profile),
        notes=("NO_ICC_PROFILE",) if icc and not profile else (),
    )
    transform = to_srgb(profile) if icc and profile else None
    return FramedSlide(levels, facts, resolution, close=file.close, transform=transform)


def _level_pages(tiff: TiffFile) -> list[TiffPage]:
    """The first page, and those tiled like it that show the same picture smaller; largest first."""
    base: TiffPage = tiff.pages.first
    found = {(base.imagewidth, base.imagelength): base}
    for page in _other_pages(tiff, base):
        if base.is_tiled and page.is_tiled and _same_picture(base, page):
            found.setdefault((page.imagewidth, page.imagelength), page)
    return sorted(found.values(), key=lambda p: -p.imagewidth * p.imagelength)


def _other_pages(tiff: TiffFile, base: TiffPage) -> Iterator[TiffPage]:
    if base.pages is not None:
        yield from (page.aspage() for page in base.pages)
    for index in range(1, len(tiff.pages)):
        yield tiff.pages[index].aspage()


def _same_picture(base: TiffPage, page: TiffPage) -> bool:
    """Smaller by the same ratio along both sides, within the rounding of a level's size, and stored alike."""
    ratio = base.imagewidth / page.imagewidth
    alike = (page.samplesperpixel, page.bitspersample, page.planarconfig) == (
        base.samplesperpixel,
        base.bitspersample,
        base.planarconfig,
    )
    return ratio > 1 and alike and abs(base.imagelength / ratio - page.imagelength) <= 2


def _check(path: Path, page: TiffPage) -> None:
    """Refuse what isn't 3 x 8 bit colour, planes stored apart, and frames that are too large to decode in one piece."""
    known = page.photometric in (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR)
    if (page.samplesperpixel, page.bitspersample, str(page.dtype)) != (3, 8, "uint8") or not known:
        found = f"{page.samplesperpixel} x {page.bitspersample} bit, {_name(page.photometric)}"
        raise Refused(Reason.WRONG_COLOUR_SPACE, f"{path.name} is {found}: only colour of 3 x 8 bit can be scored")
    if page.planarconfig != PLANARCONFIG.CONTIG or page.imagedepth != 1:
        raise Refused(Reason.UNSUPPORTED_SYNTAX, f"{path.name} stores its colours in separate planes: convert it")
    if _frame_size(page).area > LARGEST_FRAME or page.jpegheader:
        raise Refused(Reason.UNSUPPORTED_SYNTAX, f"{path.name} is not tiled: convert it to a tiled TIFF or DICOM")


def _name(value: Any) -> str:
    return str(getattr(value, "name", value))


def _frame_size(page: TiffPage) -> Size:
    if page.is_tiled:
        return Size(width=page.tilewidth, height=page.tilelength)
    return Size(width=page.imagewidth, height=min(page.rowsperstrip, page.imagelength))


def _frames(file: FrameFile, page: TiffPage) -> TiffFrames:
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
    """What decoded samples are; JPEG 2000 streams undo their own transform, but for Aperio's older kind."""
    if page.compression == COMPRESSION.JPEG:
        return Colour.YCBCR if page.photometric == PHOTOMETRIC.YCBCR else Colour.RGB
    return Colour.YCBCR if page.compression == COMPRESSION.APERIO_JP2000_YCBC else Colour.RGB


def _spacing_um(tiff: TiffFile, page: TiffPage) -> tuple[float, float] | None:
    """Width and height of a pixel of the first page, from Aperio's text, OME's, or the resolution tags."""
    if tiff.is_svs:
        found = _APERIO_MPP.search(page.description)
        return (float(found[1]), float(found[1])) if found and float(found[1]) > 0 else None
    if tiff.is_ome:
        sizes = {axis: float(text) for axis, text in reversed(_OME_SIZE.findall(page.description))}
        known = len(sizes) == 2 and min(sizes.values()) > 0 and not _OME_UNIT.search(page.description)
        return (sizes["X"], sizes["Y"]) if known else None
    return _tagged_um(page)


def _tagged_um(page: TiffPage) -> tuple[float, float] | None:
    if "XResolution" not in page.tags or page.resolutionunit not in (RESUNIT.INCH, RESUNIT.CENTIMETER):
        return None
    x, y = page.get_resolution(RESUNIT.MICROMETER)
    if min(x, y) <= 0 or max(1 / x, 1 / y) > COARSEST_TAG_UM:
        return None
    return 1 / x, 1 / y
