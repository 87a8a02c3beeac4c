"""Where control tissue is on a slide, and what lies in it: by position, or as what lies apart from the section."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from inference.analyze import Options, analyze
from inference.analyzers.analyzer import Analyzer
from inference.analyzers.outlined import OUTLINED
from inference.area import Area, Ring, box_area
from inference.cells.histograms import Histograms
from inference.cells.values import Mask
from inference.control import Core, kind_named
from inference.control_kind import BoxMm, ControlKind, Place
from inference.errors import Reason, Refused
from inference.geometry import Grid, Region
from inference.infer import Engine
from inference.slide import Slide
from inference.tissue import MASK_MPP, tissue_mask

LEAST_PIECE_MM2 = 0.01
RIM_PX = 3
"""So many pixels of the low-power picture round a piece are its own: as much as tissue is given for a margin."""
UNMATCHED = "CONTROL_UNMATCHED"
"""The warning of pieces apart that can't be told from one another: they are neither control nor case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """`cores` to be measured; `others` are left out of the case too, and `warnings` say so."""

    cores: tuple[Core, ...] = ()
    others: tuple[Area, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def areas(self) -> tuple[Area, ...]:
        return (*(core.area for core in self.cores), *self.others)


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """The tissue of a slide at low power."""

    mask: Mask
    grid: Grid

    @staticmethod
    def at(slide: Slide) -> "_Look":
        overview, grid = slide.overview(MASK_MPP)
        return _Look(tissue_mask(overview, grid.mpp), grid)

    def mm2(self, mask: Mask) -> float:
        return float(mask.sum()) * (self.grid.mpp / 1000) ** 2


def placed(slide: Slide, places: Sequence[Place], kinds: Sequence[ControlKind]) -> Placed:
    """The control tissue of a slide. A box without tissue holds none.

    Raises Refused CONTROL_INVALID for a kind that the assay doesn't have, and a box off the slide.
    """
    cores, others, warnings = list[Core](), list[Area](), list[str]()
    look = _Look.at(slide) if places else None
    for place in places:
        wanted = [kind_named(name, kinds) for name in place.kinds]
        assert look is not None
        if place.box_mm is not None:
            cores += _in_box(slide, look, place.box_mm, wanted[0])
            continue
        pieces = _apart(look, place.apart_mm or 0.0)
        if pieces and len(wanted) not in (1, len(pieces)):
            others += pieces
            warnings.append(UNMATCHED)
            continue
        each = wanted * len(pieces) if len(wanted) == 1 else wanted
        cores += [_core(area, kind) for area, kind in zip(pieces, each, strict=False)]
    return Placed(cores=tuple(cores), others=tuple(others), warnings=tuple(warnings))


def measured(slide: Slide, engine: Engine, analyzer: Analyzer, core: Core, *, outlines: bool = False) -> Histograms:
    """The cells of a core, with `outlines` where they are graded by these; none where no tissue is.

    Raises as `inference.analyze.analyze`.
    """
    with tempfile.TemporaryDirectory(prefix="chromogen-control-") as folder:
        options = Options(region=core.area.box.clipped(slide.facts.size), within=core.area, outlines=outlines)
        try:
            found = analyze(slide, engine, analyzer, Path(folder) / "cells.parquet", options)
        except Refused as error:
            if error.reason is not Reason.NO_TISSUE:
                raise
            return Histograms.empty((OUTLINED if outlines else analyzer).histograms)
    return found.histograms


def _core(area: Area, kind: ControlKind) -> Core:
    return Core(area=Area(name=kind.class_name, rings=area.rings), kind=kind)


def _in_box(slide: Slide, look: _Look, box_mm: BoxMm, kind: ControlKind) -> Iterator[Core]:
    """None where nothing but glass is there."""
    x, y, width, height = (round(1000 * v / slide.facts.mpp) for v in box_mm)
    size = slide.facts.size
    box = Region(x=x, y=y, width=width, height=height).clipped(size)
    if box.empty:
        message = f"the box for control tissue lies off the slide ({size.width} x {size.height} px): correct its place"
        raise Refused(Reason.CONTROL_INVALID, message)
    area = box_area(kind.class_name, box)
    height_px, width_px = look.mask.shape
    if look.mm2(look.mask & area.drawn((height_px, width_px), 1 / look.grid.scale)) >= LEAST_PIECE_MM2:
        yield Core(area=area, kind=kind)


def _apart(look: _Look, apart_mm: float) -> list[Area]:
    """Pieces of tissue at least so far from the largest, which is the section; those nearer to each other are one."""
    labels = _clusters(look.mask, 1000 * apart_mm / look.grid.mpp)
    sizes = np.bincount(labels[look.mask], minlength=int(labels.max()) + 1)
    section, least = int(sizes.argmax()), LEAST_PIECE_MM2 / (look.grid.mpp / 1000) ** 2
    found = [i for i in np.flatnonzero(sizes >= max(least, 1)).tolist() if i != section]
    return _in_line([_outline(look.mask & (labels == i), look.grid) for i in found])


def _clusters(mask: Mask, gap_px: float) -> npt.NDArray[np.int32]:
    """A number for each pixel: pixels of the mask with a gap below `gap_px` between them share it."""
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    joined = (mask | (distance < gap_px / 2)).astype(np.uint8)
    _, labels = cv2.connectedComponents(joined, connectivity=8)
    return np.asarray(labels, np.int32)


def _outline(piece: Mask, grid: Grid) -> Area:
    """Its outer edges, RIM_PX outside of it, in px of the largest level and within the slide."""
    side = 2 * RIM_PX + 1
    wide = cv2.dilate(piece.astype(np.uint8), np.ones((side, side), np.uint8))
    rings, _ = cv2.findContours(wide, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return Area(name="", rings=tuple(_ring(ring[:, 0].astype(np.float64), grid) for ring in rings))


def _ring(corners: npt.NDArray[np.float64], grid: Grid) -> Ring:
    last = (grid.size.width - 1, grid.size.height - 1)
    at_edge = [corners[:, i] == last[i] for i in range(2)]
    placed_ = [np.where(at_edge[i], grid.to_base(corners[:, i] + 0.5), grid.to_base(corners[:, i])) for i in range(2)]
    placed_ = [np.where(corners[:, i] == 0, -0.5, placed_[i]) for i in range(2)]
    return tuple((float(x), float(y)) for x, y in zip(*placed_, strict=True))


def _in_line(areas: list[Area]) -> list[Area]:
    """From left to right where they lie farther apart so than from top to bottom, else so."""
    boxes = [area.box for area in areas]
    across, down = [box.x + box.width / 2 for box in boxes], [box.y + box.height / 2 for box in boxes]
    if not areas:
        return areas
    along = across if np.ptp(across) > np.ptp(down) else down
    return [areas[i] for i in np.argsort(along, kind="stable").tolist()]
