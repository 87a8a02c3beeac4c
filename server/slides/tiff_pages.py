"""Which pages of a TIFF are the slide: labels, macro pictures and thumbnails lie beside it, sometimes before it."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from tifffile import TiffFile, TiffPage

from inference.errors import Reason, Refused
from inference.geometry import Size
from server.slides.plan import scale_by_sizes
from server.slides.pyramids import ROUNDED_PX
from server.slides.view import SMALLER_PART

_BESIDE = r"(?:label|macro|overview|thumb(?:nail)?|probe|preview|barcode)"
_APERIO_KIND = re.compile(rf"^[^\n|]*\n\s*{_BESIDE}\b", re.IGNORECASE)
_SHORT_KIND = re.compile(rf"(?:^|[\W_]){_BESIDE}(?:$|[\W_])", re.IGNORECASE)
_QPTIFF_KIND = re.compile(rf"<ImageType>\s*{_BESIDE}\s*</ImageType>", re.IGNORECASE)
_SHORT = 80
"""Characters of a page's description that is only a name; longer ones hold names of files and people."""
_PAGE_NAME = 285
_OME_IMAGE = re.compile(
    r"<(?:\w+:)?Image\b([^>]*)>.*?<(?:\w+:)?Pixels\b[^>]*?\bSizeX=\"(\d+)\"[^>]*?\bSizeY=\"(\d+)\"", re.DOTALL
)
_NAME = re.compile(r"\bName=\"([^\"]*)\"")
_SCN_IMAGE = re.compile(r"<image\b.*?</image>", re.DOTALL)
_SCN_COLLECTION = re.compile(r"<collection\b[^>]*?\bsizeX=\"(\d+)\"[^>]*?\bsizeY=\"(\d+)\"")
_SCN_VIEW = re.compile(r"<view\b[^>]*?\bsizeX=\"(\d+)\"[^>]*?\bsizeY=\"(\d+)\"")
_SCN_IFD = re.compile(r"\bifd=\"(\d+)\"")

Pages = list[TiffPage]


class Pictures(Protocol):
    """What can be told of pages by looking at their pixels."""

    def show_the_same(self, finer: TiffPage, coarser: TiffPage) -> bool:
        """Whether nothing speaks against it at low power."""
        ...


def slide_pages(path: Path, tiff: TiffFile, pictures: Pictures) -> tuple[Pages, tuple[str, ...]]:
    """The slide's pages, largest first, and warnings (UPPER_SNAKE).

    The largest tiled pyramid; where nothing is tiled the largest picture. Raises Refused SEVERAL_SLIDES where another
    is about as large, or no page is a slide's.
    """
    named = _beside(tiff)
    pages = [page for page in all_pages(tiff) if page.index not in named and not _is_beside(page)]
    if not pages:
        raise Refused(Reason.NOT_A_SLIDE, f"{path.name} holds no slide, only a label, a macro picture or a thumbnail")
    groups = _grouped([page for page in pages if page.is_tiled], pictures) or [[max(pages, key=_area)]]
    chosen = max(groups, key=_weight)
    others = [group for group in groups if group is not chosen]
    again = [g for g in others if _same_size(g, chosen) and pictures.show_the_same(chosen[0], g[0])]
    if any(_weight(group) >= SMALLER_PART * _weight(chosen) for group in others if group not in again):
        message = f"holds several pictures as large as a slide: save the one to score on its own ({_sizes(groups)})"
        raise Refused(Reason.SEVERAL_SLIDES, f"{path.name} {message}")
    left_out = any(_is_level(chosen[0], group[0]) for group in others)
    return chosen, ("SEVERAL_IMAGES_OF_A_LEVEL",) * bool(again) + ("LEVELS_LEFT_OUT",) * left_out


def all_pages(tiff: TiffFile) -> Iterator[TiffPage]:
    """Each page of a file, and each below it."""
    for index in range(len(tiff.pages)):
        page = tiff.pages[index].aspage()
        yield page
        if page.pages is not None:
            yield from (below.aspage() for below in page.pages)


def _grouped(pages: Sequence[TiffPage], pictures: Pictures) -> list[Pages]:
    """Pages of one picture, each a level of it. What shows something else than the next finer page begins its own."""
    groups: list[Pages] = []
    for page in sorted(pages, key=lambda p: -_area(p)):
        for group in groups:
            if _is_level(group[0], page) and pictures.show_the_same(group[-1], page):
                if _area(page) != _area(group[-1]):
                    group.append(page)
                break
        else:
            groups.append([page])
    return groups


def _weight(group: Pages) -> int:
    """Area; a picture without levels must be four times as large as a pyramid to be worth the same."""
    return _area(group[0]) * (4 if len(group) > 1 else 1)


def _is_level(base: TiffPage, page: TiffPage) -> bool:
    """Whether it is the same picture smaller, within the rounding of a level's size, and stored alike."""
    kinds = [(p.samplesperpixel, p.bitspersample, p.planarconfig) for p in (base, page)]
    return kinds[0] == kinds[1] and scale_by_sizes(_size(base), _size(page), within=ROUNDED_PX) is not None


def _same_size(one: Pages, other: Pages) -> bool:
    return _size(one[0]) == _size(other[0])


def _size(page: TiffPage) -> Size:
    return Size(width=page.imagewidth, height=page.imagelength)


def _area(page: TiffPage) -> int:
    return _size(page).area


def _sizes(groups: Sequence[Pages]) -> str:
    return ", ".join(f"{g[0].imagewidth} x {g[0].imagelength} px" for g in groups)


def kind_beside(tiff: TiffFile, page: TiffPage) -> str:
    """What a page is beside the slide: label, macro, thumbnail ...; empty for one that may be the slide's."""
    return _word_beside(page) or ("overview" if page.index in _beside(tiff) else "")


def _is_beside(page: TiffPage) -> bool:
    return bool(_word_beside(page))


def _word_beside(page: TiffPage) -> str:
    """What a page's own words call it, if that is a label, macro picture or thumbnail."""
    text, name = page.description or "", page.tags.get(_PAGE_NAME)
    words = [text] if len(text) <= _SHORT else []
    words += [str(name.value)] if name is not None else []
    found = (
        _APERIO_KIND.match(text)
        or _QPTIFF_KIND.search(text)
        or next(filter(None, map(_SHORT_KIND.search, words)), None)
    )
    word = re.search(_BESIDE, found[0], re.IGNORECASE) if found else None
    return word[0].lower() if word else ""


def _beside(tiff: TiffFile) -> set[int]:
    """Numbers of pages that the first page's XML calls so: OME's names of images, SCN's picture of the whole slide."""
    text = tiff.pages.first.description or ""
    if tiff.is_ome:
        return _beside_in_ome(tiff, text)
    return _beside_in_scn(text) if tiff.is_scn else set()


def _beside_in_ome(tiff: TiffFile, text: str) -> set[int]:
    sizes = {
        (int(width), int(height))
        for attributes, width, height in _OME_IMAGE.findall(text)
        for name in _NAME.findall(attributes)
        if _SHORT_KIND.search(name)
    }
    pages = (tiff.pages[index].aspage() for index in range(len(tiff.pages)))
    return {page.index for page in pages if (page.imagewidth, page.imagelength) in sizes}


def _beside_in_scn(text: str) -> set[int]:
    whole = _SCN_COLLECTION.search(text)
    found = set[int]()
    for image in _SCN_IMAGE.findall(text):
        view = _SCN_VIEW.search(image)
        if whole and view and view.groups() == whole.groups():
            found |= {int(number) for number in _SCN_IFD.findall(image)}
    return found
