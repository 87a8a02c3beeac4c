"""Fields of a microscope as they come: a running score over those seen, each place of the slide once.

Fields that overlap an earlier one are laid on it by correlation of small pictures; cells that lie on what was seen
before are not counted again. A field that fits none is taken for another place. Fields of control tissue are judged
and never counted; while one that was expected isn't found, there is no running score.

A microscope has one white: fields without glass are graded by the brightest white point so far, of fields or of control
fields. Those graded before a brighter one was seen stay as they were: `COLOUR_CAST` had been said of them where their
own was coloured.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from inference.analyzers.analyzer import Analyzer
from inference.cells.histograms import Histograms
from inference.cells.values import Cells, IntArray, Mask
from inference.control import Control, ControlStatus, control_of, judged
from inference.control_kind import ControlKind
from inference.criteria import Criteria
from inference.geometry import Region
from inference.measures import Measure, Score
from inference.slide import Rgb, Slide
from inference.white import WhitePoint, brighter, white_of

SMALL = 256
"""Pixels along the longer side of the pictures that are compared."""
LOOKED_AT = 12
"""Fields before that a new one is compared with, the last first."""
COARSE, WHITENED = 4.0, 0.7
"""Of small pictures: what is coarser than so many px is left out; how far all frequencies count alike."""
ALIKE, LEAST_OVERLAP = 0.5, 0.12
"""Correlation of what two fields both show, and the share of a field that this is, at least."""

Plane = npt.NDArray[np.float32]
Place = tuple[float, float]
"""x, y of a field's corner in px, on a plane of its own for each group of fields that hang together."""


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A field: the group of fields it hangs together with, where it lies there, its size in px."""

    group: int
    place: Place
    size: Place


@dataclass(slots=True, kw_only=True)
class Running:
    """What a microscope has shown so far, scored by one assay's analyzer and criteria. Not for several threads."""

    analyzer: Analyzer
    criteria: Criteria
    measures: Sequence[Measure]
    histograms: Histograms = field(init=False)
    white: WhitePoint | None = None
    counts: list[IntArray] = field(default_factory=list)
    _seen: list[_Seen] = field(default_factory=list)
    _last: deque[tuple[Plane, _Seen]] = field(default_factory=lambda: deque(maxlen=LOOKED_AT))
    _controls: dict[ControlKind, Histograms] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.histograms = Histograms.empty(self.analyzer.histograms)

    @property
    def fields(self) -> int:
        return len(self._seen)

    def white_with(self, slide: Slide) -> WhitePoint:
        """The stream's white, now that this field or control field is seen too; earlier scores aren't redone."""
        own = white_of(slide)
        self.white = own if self.white is None else brighter(self.white, own)
        return self.white

    def add(self, picture: Rgb, cells: Cells) -> Cells:
        """Take a field in; returns those of its cells, in px of it, that lie where nothing was seen before."""
        small, scale = _small(picture)
        here = self._placed(small, scale, (float(picture.shape[1]), float(picture.shape[0])))
        new = cells.taken(~self._covered(here, cells))
        self._seen.append(here)
        self._last.append((small, here))
        self.histograms.add(new, self.analyzer.histograms)
        groups = self.analyzer.group_of(new, self.criteria)
        self.counts.append(np.bincount(groups, minlength=len(self.analyzer.groups)).astype(np.int64))
        return new

    def add_field(self, slide: Slide, cells: Cells) -> Cells:
        """The same of a slide that is one field, its cells in px of its largest level."""
        grid = slide.working
        whole = slide.read(Region(x=0, y=0, width=grid.size.width, height=grid.size.height))
        return self.add(whole, cells.placed(grid.from_base(cells.x), grid.from_base(cells.y)))

    def add_control(self, kind: ControlKind, cells: Cells) -> None:
        """Take in a field of control tissue that must show `kind`; all fields of a kind are judged together."""
        specs = self.analyzer.histograms
        self._controls.setdefault(kind, Histograms.empty(specs)).add(cells, specs)

    @property
    def control(self) -> Control:
        """Of all control fields so far; absent where there were none."""
        analyzer, measures, criteria = self.analyzer, self.measures, self.criteria
        return control_of([judged(k, found, analyzer, measures, criteria) for k, found in self._controls.items()])

    @property
    def withheld(self) -> bool:
        """Did a control fail?"""
        return self.control.status is ControlStatus.FAILED

    @property
    def totals(self) -> IntArray:
        """Cells seen so far by group, (G,)."""
        return np.asarray(np.sum([np.zeros(len(self.analyzer.groups), np.int64), *self.counts], axis=0), np.int64)

    def scores(self) -> tuple[Score, ...]:
        """Over all fields; intervals by fields. None where a control failed."""
        if self.withheld:
            return ()
        return self.analyzer.scores(self.measures, self.totals, np.array(self.counts) if self.counts else None)

    def remarks(self, mpp: float) -> tuple[str, ...]:
        """What stands beside the scores."""
        return self.analyzer.remarks(self.totals, np.array(self.counts) if self.counts else None, mpp)

    def _placed(self, small: Plane, scale: float, size: Place) -> _Seen:
        for shown, before in reversed(self._last):
            if shown.shape == small.shape and (moved := shift(shown, small)) is not None:
                place = (before.place[0] + moved[0] / scale, before.place[1] + moved[1] / scale)
                return _Seen(before.group, place, size)
        return _Seen(1 + max((s.group for s in self._seen), default=-1), (0.0, 0.0), size)

    def _covered(self, here: _Seen, cells: Cells) -> Mask:
        covered = np.zeros(len(cells), bool)
        for before in self._seen:
            if before.group == here.group:
                x, y = (v + here.place[i] - before.place[i] for i, v in enumerate((cells.x, cells.y)))
                covered |= (x >= -0.5) & (x < before.size[0] - 0.5) & (y >= -0.5) & (y < before.size[1] - 0.5)
        return covered


def shift(first: Plane, second: Plane) -> Place | None:
    """By how many px the corner of `second` lies right of and below that of `first`; None where they don't overlap."""
    height, width = first.shape
    padded = (2 * height, 2 * width)
    of_both = np.fft.rfft2(first, padded) * np.conj(np.fft.rfft2(second, padded))
    found = np.fft.irfft2(of_both / np.maximum(np.abs(of_both), 1e-6) ** WHITENED, padded)
    y, x = (int(v) for v in np.unravel_index(int(found.argmax()), found.shape))
    dx, dy = x - 2 * width if x >= width else x, y - 2 * height if y >= height else y
    return (float(dx), float(dy)) if _alike(first, second, dx, dy) else None


def _alike(first: Plane, second: Plane, dx: int, dy: int) -> bool:
    """Do both show the same where they overlap, if that is much?"""
    height, width = first.shape
    rows, columns = height - abs(dy), width - abs(dx)
    if rows <= 0 or columns <= 0 or rows * columns < LEAST_OVERLAP * height * width:
        return False
    a = first[max(dy, 0) : max(dy, 0) + rows, max(dx, 0) : max(dx, 0) + columns]
    b = second[max(-dy, 0) : max(-dy, 0) + rows, max(-dx, 0) : max(-dx, 0) + columns]
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(np.sqrt((a * a).sum() * (b * b).sum()), 1e-6)) > ALIKE


def _small(picture: Rgb) -> tuple[Plane, float]:
    """What is fine in its grey, and its pixels per pixel of the picture."""
    scale = min(SMALL / max(picture.shape[:2]), 1.0)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    small = np.asarray(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.float32)
    return np.asarray(small - cv2.GaussianBlur(small, (0, 0), COARSE), np.float32), scale
