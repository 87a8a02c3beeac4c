"""Opens a slide from a path, by what the file holds and not by what it is called.

DICOM (a file, or a folder of a slide's instances), SVS and other TIFF, PNG and JPEG. TIFF is read by tifffile and not
by OpenSlide, because tifffile hands out encoded frames, which the fast decoder decodes once each at the scaling that is
needed: 364 MP a core-second where OpenSlide's regions come at 42 to 58.
"""

import glob
from pathlib import Path
from typing import Protocol

from inference.errors import Reason, Refused
from inference.model import Resolution
from inference.slide import Slide
from server.slides.dicom_slide import open_dicom
from server.slides.dicom_stream import BEGINNING, begins_like_dicom
from server.slides.framed_slide import FramedSlide
from server.slides.image_slide import JPEG_MAGIC, PNG_MAGIC, open_picture
from server.slides.openslide_slide import format_by_openslide, open_by_openslide
from server.slides.pixel_size import check_given
from server.slides.tiff_slide import MAGICS, open_tiff
from server.slides.view import View


def open_slide(
    path: Path,
    resolution: Resolution,
    *,
    mpp: float | None = None,
    icc: bool = False,
    view: View | None = None,
    untried: frozenset[str] = frozenset(),
) -> Slide:
    """Open a slide for reading near the working resolution of a model.

    Parameters
    ----------
    path : a DICOM file or folder, SVS, TIFF, NDPI, PNG or JPEG.
    resolution : the model's; what is finer is brought to it, what is coarser than it takes is refused.
    mpp : µm per pixel of the largest level; overrides what the file says, and is required for PNG and JPEG.
    icc : convert the pixels from the slide's ICC profile to sRGB.
    view : which pyramid, optical path and focal plane of a DICOM slide; by rule where it isn't given.
    untried : formats, by OpenSlide's names, that are read though no file of theirs was ever tried.

    Raises
    ------
    Refused
        NOT_A_SLIDE, SEVERAL_SLIDES, SLIDE_DAMAGED, UNSUPPORTED_SYNTAX, WRONG_COLOUR_SPACE, NOT_BRIGHTFIELD,
        NO_PIXEL_SIZE, TOO_COARSE.
    """
    return open_framed(path, resolution, mpp=mpp, icc=icc, view=view, untried=untried)


def open_framed(
    path: Path,
    resolution: Resolution,
    *,
    mpp: float | None = None,
    icc: bool = False,
    view: View | None = None,
    untried: frozenset[str] = frozenset(),
) -> FramedSlide:
    """`open_slide` for those who look inside: counts of decoded frames."""
    if mpp is not None:
        check_given(mpp)
    try:
        opener = _opener(path, untried)
        if opener is None:
            return open_dicom(path, resolution, mpp=mpp, icc=icc, view=view)
        _check_one_view(path, view)
        return opener(path, resolution, mpp=mpp, icc=icc)
    except OSError as error:
        raise Refused(
            Reason.NOT_A_SLIDE, f"{path.name} can't be opened: {error.strerror or 'see to the disk'}"
        ) from None


class _Opener(Protocol):
    def __call__(self, path: Path, resolution: Resolution, *, mpp: float | None, icc: bool) -> FramedSlide: ...


def _check_one_view(path: Path, view: View | None) -> None:
    if view not in (None, View()):
        message = f"{path.name} is no DICOM slide: pyramids, optical paths and focal planes can be named only of one"
        raise Refused(Reason.SEVERAL_SLIDES, message)


def _opener(path: Path, untried: frozenset[str]) -> _Opener | None:
    """None for DICOM."""
    if path.is_dir():
        return None
    with path.open("rb") as file:
        head = file.read(BEGINNING)
    if begins_like_dicom(head):
        return None
    tiff, picture = head.startswith(MAGICS), head.startswith((PNG_MAGIC, JPEG_MAGIC))
    vendor = format_by_openslide(path, head, tiff=tiff, picture=picture)
    if vendor:
        return lambda path, *a, **more: open_by_openslide(path, vendor, *a, untried=untried, **more)
    if tiff and _is_vsi(path):
        message = "is Olympus VSI, whose pixels lie in files beside it and aren't read: export it as DICOM or OME-TIFF"
        raise Refused(Reason.UNSUPPORTED_SYNTAX, f"{path.name} {message}")
    if tiff or picture:
        return open_tiff if tiff else open_picture
    what = "is empty" if not head else "is neither DICOM, SVS, TIFF, PNG nor JPEG"
    raise Refused(Reason.NOT_A_SLIDE, f"{path.name} {what}: name a slide, or the folder of its DICOM instances")


def _is_vsi(path: Path) -> bool:
    """A TIFF of the label and an overview; the slide lies in a folder beside it."""
    return path.suffix.lower() == ".vsi" or any(path.parent.glob(f"_{glob.escape(path.stem)}_/stack*/*.ets"))
