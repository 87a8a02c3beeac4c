"""SVS and other TIFF slides, by tifffile.

tifffile rather than OpenSlide: it tells where the encoded frames lie, so that the fast decoder decodes each of them
once and at the scaling that is wanted. OpenSlide hands out decoded regions, which was measured at 42 to 58 MP a
core-second where this way reaches 364.
"""

import re
from pathlib import Path

from tifffile import TiffFile

from inference.errors import ChromogenError, Reason, Refused
from inference.model import Resolution
from inference.slide import Level, SlideFacts
from server.slides.colour import icc_digest, to_srgb
from server.slides.digest import sha256_of
from server.slides.framed_slide import FramedSlide
from server.slides.frames import FrameFile
from server.slides.pixel_size import square
from server.slides.plan import level_scales
from server.slides.quiet import quiet
from server.slides.tiff_frames import PagesByPixels, check_page, page_frames
from server.slides.tiff_pages import slide_pages
from server.slides.tiff_spacing import spacing_um, xmp_texts

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # TIFF and BigTIFF

# OME's, Leica's and Ventana's words for light that is none of bright field; Ventana's and Trestle's for tiles that
# overlap
_FLUORESCENCE = re.compile(
    r"IlluminationType=\"Epifluorescence|ContrastMethod=\"Fluorescence|<illuminationSource>\s*fluorescence|\bMode=\"FL\""
)
_OVERLAP = re.compile(r"\bOverlap[XY]\s*=\s*[\"']-?[1-9]|\bOverlapsXY\s*=[\s0]*-?[1-9]")


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
        _check_brightfield(path, tiff)
        (base, *reduced), notes = slide_pages(path, tiff, PagesByPixels(path, file))
        check_page(path, base)
        levels = [page_frames(file, page) for page in (base, *reduced)]
        base_mpp = square(path.name, spacing_um(tiff, base), mpp)
        profile = base.iccprofile
    scales = level_scales([level.layout.size for level in levels])
    facts = SlideFacts(
        mpp=base_mpp,
        size=levels[0].layout.size,
        levels=tuple(Level(size=v.layout.size, mpp=base_mpp * s) for v, s in zip(levels, scales, strict=True)),
        sha256=sha256_of(path),
        icc_sha256=icc_digest(profile),
        notes=("NO_ICC_PROFILE",) * (icc and not profile) + notes,
    )
    transform = to_srgb(profile) if icc and profile else None
    return FramedSlide(levels, facts, resolution, close=file.close, transform=transform, profile=profile)


def _check_brightfield(path: Path, tiff: TiffFile) -> None:
    texts = [tiff.pages.first.description or "", *xmp_texts(tiff)]
    if any(map(_FLUORESCENCE.search, texts)):
        message = "shows fluorescence, not bright field: only bright-field slides can be scored"
        raise Refused(Reason.NOT_BRIGHTFIELD, f"{path.name} {message}")
    if any(map(_OVERLAP.search, texts)):
        message = "has tiles that overlap and are to be stitched: have it converted to DICOM"
        raise Refused(Reason.UNSUPPORTED_SYNTAX, f"{path.name} {message}")
