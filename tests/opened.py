"""Slides opened for reading near 0.5 µm/px, as the shipped nuclear model has it: for tests that are about readers.

Each is closed when its test ends (`tests/conftest.py`), if that didn't close it.
"""

from dataclasses import replace
from math import inf
from pathlib import Path

from inference.slide import Slide
from server.slides import opening
from server.slides.framed_slide import FramedSlide
from server.slides.view import View
from tests.models import HALF_A_MICROMETRE

_OPEN: list[Slide] = []


def close_all() -> None:
    while _OPEN:
        _OPEN.pop().close()


def open_slide(path: Path, *, mpp: float | None = None, icc: bool = False, view: View | None = None) -> Slide:
    slide = opening.open_slide(path, HALF_A_MICROMETRE, mpp=mpp, icc=icc, view=view)
    _OPEN.append(slide)
    return slide


def open_framed(
    path: Path,
    *,
    mpp: float | None = None,
    icc: bool = False,
    allow_coarse: bool = False,
    view: View | None = None,
) -> FramedSlide:
    """`allow_coarse` takes slides that are too coarse to score, as they are."""
    resolution = replace(HALF_A_MICROMETRE, coarsest=inf, kept_within=inf) if allow_coarse else HALF_A_MICROMETRE
    slide = opening.open_framed(path, resolution, mpp=mpp, icc=icc, view=view)
    _OPEN.append(slide)
    return slide
