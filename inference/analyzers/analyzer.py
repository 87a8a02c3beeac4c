"""What every analyzer says of its kind of assay. Nothing outside of it knows how many regions, grades or columns
there are.

Cells fall into `groups`: by region and by what the criteria make of them. Counts by group are what scores, fields,
maps and pictures are made of, whether they come from the file or, exactly the same, from the histograms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from inference.cells.histograms import Histograms, HistogramSpec
from inference.cells.values import Cells, CellSchema, IntArray
from inference.control_kind import ControlKind
from inference.criteria import Criteria
from inference.errors import Reason
from inference.infer import Engine, TileAnswer
from inference.measures import Measure, Region, Score
from inference.pattern import Pattern
from inference.slide import Rgb
from inference.stain import IHC_STAINS, Stains
from inference.white import WhitePoint

SCALE_UNKNOWN = "SCALE_UNKNOWN"
"""How dark this laboratory's pictures show DAB was fitted by nobody, and the score hangs on it."""
NOT_VALIDATED = "NOT_VALIDATED"
"""A remark on scores that no laboratory has validated on patient material; it goes once one has."""

Groups = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Cells that are drawn alike: `name` in annotations, `title` as QuPath's class, `filled` a disc, else a ring."""

    name: str
    title: str
    description: str
    region: str
    colour: Colour
    filled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSegment:
    """A layer of the low-power map: set where a cell of one of `groups` (their places in `Analyzer.groups`) lies."""

    name: str
    description: str
    region: str
    groups: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A slide that doesn't look like the stain it is ordered as: the reason, and what to check."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Legend:
    """Below an overlay: names with their colours, and a line of what else the marks say.

    `by` says for a person what the groups are by.
    """

    marks: tuple[tuple[str, Colour], ...]
    note: str
    by: str = "group"


class Analyzer(Protocol):
    """Stateless; safe to share between threads. `G` is the number of groups."""

    @property
    def kind(self) -> str:
        """Its name, such as `nuclear`."""
        ...

    @property
    def schema(self) -> CellSchema: ...

    @property
    def structure(self) -> str:
        """What a cell of it is in coded reports: `nucleus` or `cell`."""
        ...

    @property
    def stain(self) -> str:
        """How its slides are stained, as coded reports say it: `immunohistochemistry`, or a name of its own."""
        ...

    @property
    def stains(self) -> Stains:
        """That a picture of its slides can be shown of alone."""
        ...

    @property
    def histograms(self) -> tuple[HistogramSpec, ...]: ...

    @property
    def regions(self) -> tuple[Region, ...]:
        """In the order of the rows; `all` among them."""
        ...

    @property
    def groups(self) -> tuple[Group, ...]: ...

    @property
    def segments(self) -> tuple[MapSegment, ...]: ...

    @property
    def measures(self) -> tuple[Measure, ...]:
        """All that `scores` can give."""
        ...

    @property
    def legend(self) -> Legend: ...

    @property
    def mapped(self) -> Measure | None:
        """What its map over the slide is of; None: the first of the assay's measures."""
        ...

    @property
    def criteria(self) -> tuple[type[Criteria], ...]:
        """The kinds of criteria that it scores by."""
        ...

    @property
    def least_cells(self) -> int:
        """Below so many its scores are warned of (TOO_FEW_NUCLEI)."""
        ...

    @property
    def file_stem(self) -> str:
        """Of the cells' file: `nuclei` or `cells`."""
        ...

    @property
    def controls(self) -> tuple[ControlKind, ...]:
        """The kinds of control tissue that it can judge, none where it has no controls, and what each must show where a
        laboratory says nothing else; the first is what a control slide is taken for. Their ranges don't overlap.
        """
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that every report of it says."""
        ...

    @property
    def unvalidated(self) -> str:
        """A sentence that every report of it says until a laboratory has validated the profile; empty: none."""
        ...

    @property
    def uncalibrated(self) -> tuple[str, ...]:
        """Words that stand beside scores by the profile that ships, which no laboratory's slides were measured for."""
        ...

    def scale_matters(self, measures: Sequence[Measure], histograms: Histograms, criteria: Criteria) -> bool:
        """Would a score of these cells be another on a scanner that shows the same stain darker or paler? Else the
        words of `uncalibrated` aren't said.
        """
        ...

    @property
    def whole_note(self) -> str:
        """What the score is of where nobody drew it, in a sentence; empty: of all cells."""
        ...

    @property
    def whole_remarks(self) -> tuple[str, ...]:
        """Words that stand beside scores of the whole tissue, where nobody drew what is to be scored."""
        ...

    @property
    def drawn_alone(self) -> bool:
        """Are its scores those of the drawn clinical region alone, and not to be signed before somebody drew it?"""
        ...

    @property
    def scoped_regions(self) -> frozenset[str]:
        """Regions that the model tells apart where the assay's scope is met, and nowhere else."""
        ...

    @property
    def remark_words(self) -> frozenset[str]:
        """All that `remarks` can say."""
        ...

    def cells_of(self, answer: TileAnswer, mpp: float) -> Cells:
        """The cells of one tile of `mpp` µm/px, in pixels of the tile, from what the model answered."""
        ...

    def engine_for(self, engine: Engine, white: WhitePoint) -> Engine:
        """An engine whose answers hold all that `cells_of` takes, of a slide with that white point."""
        ...

    def mismatch(self, overview: Rgb) -> Mismatch | None:
        """What is wrong where the low-power picture looks like a stain that this kind of assay isn't for."""
        ...

    def misplaced(self, pattern: Pattern) -> Mismatch | None:
        """What is wrong where brown lies in other parts of cells than it is measured in."""
        ...

    def stain_weak(self, histograms: Histograms) -> bool:
        """Is the whole slide's stain so weak that its scores are doubtful?"""
        ...

    def group_of(self, cells: Cells, criteria: Criteria) -> Groups:
        """The place in `groups` of each cell, (n,)."""
        ...

    def counts(self, histograms: Histograms, criteria: Criteria) -> IntArray:
        """Cells by group, (G,) int64: as counting `group_of` of every cell would give."""
        ...

    def scores(self, measures: Sequence[Measure], counts: IntArray, fields: IntArray | None) -> tuple[Score, ...]:
        """Rows for each region and measure from counts (G,); `fields` (k, G) are the same cells by spatial field.

        Intervals come from the fields; None: no intervals.
        """
        ...

    def field_score(self, measures: Sequence[Measure], fields: IntArray) -> npt.NDArray[np.float64]:
        """The one of an assay's measures by which its fields (k, G), all with cells, are compared: (k,)."""
        ...

    def spot_json(self, measures: Sequence[Measure], score: float) -> dict[str, Any]:
        """What JSON says of the score of a field beside `score`: by the name of the measure that it is of."""
        ...

    def extra_json(self, scores: Sequence[Score]) -> dict[str, Any]:
        """What JSON says of this kind beside the rows."""
        ...

    def remarks(self, counts: IntArray, fields: IntArray | None, mpp: float) -> tuple[str, ...]:
        """Words (UPPER_SNAKE) that stand beside the scores of these counts, of a slide seen at `mpp` µm/px."""
        ...

    def unscorable(self, histograms: Histograms, counts: IntArray) -> Mismatch | None:
        """Why what was found can't be scored at all."""
        ...

    def scored_columns(self, cells: Cells, criteria: Criteria) -> Mapping[str, npt.NDArray[Any]]:
        """Columns, numbers or texts, that the file of a scored slide's cells has beside those of the schema."""
        ...


class Usual:
    """What most kinds of assay answer; an analyzer may build on it."""

    stains: Stains = IHC_STAINS
    mapped: Measure | None = None
    notes: tuple[str, ...] = ()
    unvalidated: str = ""
    uncalibrated: tuple[str, ...] = ()
    whole_note: str = ""
    whole_remarks: tuple[str, ...] = ()
    drawn_alone: bool = False
    scoped_regions: frozenset[str] = frozenset()
    remark_words: frozenset[str] = frozenset()

    def engine_for(self, engine: Engine, white: WhitePoint) -> Engine:
        return engine

    def misplaced(self, pattern: Pattern) -> Mismatch | None:
        return None

    def stain_weak(self, histograms: Histograms) -> bool:
        return False

    def remarks(self, counts: IntArray, fields: IntArray | None, mpp: float) -> tuple[str, ...]:
        return ()

    def scale_matters(self, measures: Sequence[Measure], histograms: Histograms, criteria: Criteria) -> bool:
        return True

    def unscorable(self, histograms: Histograms, counts: IntArray) -> Mismatch | None:
        return None

    def scored_columns(self, cells: Cells, criteria: Criteria) -> Mapping[str, npt.NDArray[Any]]:
        return {}
