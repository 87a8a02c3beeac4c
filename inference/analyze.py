"""The four steps over a slide: tissue, tiles, networks, keep.

No profile is needed: any scores the same nuclei later.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference import quality
from inference.analysis import Analysis, ModelFacts, TileCounts
from inference.analyzers.analyzer import Analyzer, Mismatch
from inference.analyzers.outlined import check_outlines, outlined
from inference.area import Area
from inference.cells.file import CellWriter
from inference.cells.histograms import Histograms
from inference.cells.values import Cells, Mask, joined
from inference.checkpoint import Checkpoint, CheckpointFile, TileFound, key_of
from inference.errors import Reason, Refused
from inference.geometry import Region
from inference.infer import Engine, Seen, TileAnswer, in_order
from inference.mismatch import mismatch_of, mismatch_of_look, refuse
from inference.quality import Warning
from inference.scale import look, shape_for
from inference.slide import FrameUnreadable, Rgb, Slide, SlideFacts
from inference.tile import Tile, TileShape, batches, in_core, owned, pixels, plan, shown
from inference.tissue import Tissue, find_tissue
from inference.white import WhitePoint, white_of

PROBABILITY = "nucleus"
"""Of an answer's columns: what the counting threshold is held against."""
Progress = Callable[[float], None]
"""Called with the share of tiles done, 0 to 1; whatever it raises stops the analysis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to analyse; none of these changes a score beyond the stated tolerance. `region` in px of the largest level.

    `shape` None takes the model's, or a smaller one for a small picture. `refuse_mismatch` refuses a slide of another
    kind of stain before any inference; else it is warned of. `outlines` are found too, where asked for. Only cells
    `within` an area are taken, where one is named, and none within those of `without`; where `among` names areas, only
    cells within one of those.
    """

    shape: TileShape | None = None
    batch: int = 1
    region: Region | None = None
    refuse_mismatch: bool = False
    outlines: bool = False
    within: Area | None = None
    without: tuple[Area, ...] = ()
    among: tuple[Area, ...] = ()

    def holds(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Mask:
        """Which points, px of the largest level, its areas let through, (n,)."""
        inside = np.ones(len(x), bool) if self.within is None else self.within.holds(x, y)
        if self.among:
            inside &= np.any([area.holds(x, y) for area in self.among], axis=0)
        for area in self.without:
            inside &= ~area.holds(x, y)
        return inside


def analyze(
    slide: Slide,
    engine: Engine,
    analyzer: Analyzer,
    cells_file: Path,
    options: Options,
    progress: Progress = lambda _: None,
    checkpoint: Checkpoint | None = None,
) -> Analysis:
    """Find and measure every cell of a slide; they stream to `cells_file`, which appears only when all is done.

    With a `checkpoint` tiles are noted as they are done, and those that an earlier attempt has noted aren't computed
    again: the cells, their order and the histograms are the same either way.

    Raises Refused (NO_TISSUE, OUTLINES_UNSUPPORTED, the analyzer's mismatch, REGION_INVALID, TILES_UNREADABLE) or
    Failed (ENGINE_FAILED); then no file is left.
    """
    began = time.perf_counter()
    region = working_region(slide, options.region)
    if options.outlines:
        check_outlines(analyzer)
    tissue, white = _tissue_in(slide, region, options), white_of(slide)
    mismatch = mismatch_of(analyzer, slide, tissue)
    if options.refuse_mismatch:
        refuse(mismatch, tissue)
    seen = look(slide, engine, tissue, options.shape)
    mismatch = mismatch or mismatch_of_look(analyzer, seen, engine.model.counting_threshold, white)
    if options.refuse_mismatch:
        refuse(mismatch, tissue)
    engine, large = seen.fitted(engine), seen.by > 1
    shape = shape_for(engine, options.shape, slide.working.size)
    if options.outlines:
        analyzer, engine = outlined(analyzer, engine, mpp=slide.working.mpp)
    measuring, facts = analyzer.engine_for(engine, white), replace(slide.facts, white_point=white.rgb)
    tiles = plan(slide.working.size, shape, region, tissue)
    planned = time.perf_counter()
    run = _Run(slide=slide, facts=facts, analyzer=analyzer, options=options, tissue=tissue, shape=shape, tiles=tiles)
    run.cast, run.large = cast_doubted(analyzer, engine, white), large
    key = key_of(facts, engine.facts, analyzer.schema, shape, tiles, tissue) if checkpoint else b""
    with (
        CellWriter(cells_file, analyzer.schema, mpp=slide.facts.mpp) as writer,
        nullcontext() if checkpoint is None else CheckpointFile(checkpoint, key, analyzer.schema) as noted,
    ):
        run.infer(measuring, options.batch, writer, noted, progress)
        run.check_readable()
    return run.analysis(engine.facts, mismatch, run.seconds(began, planned))


def not_analysed(
    slide: Slide,
    engine: Engine,
    analyzer: Analyzer,
    cells_file: Path,
    options: Options,
    progress: Progress = lambda _: None,
    checkpoint: Checkpoint | None = None,
) -> Analysis:
    """What is left to say of a slide that isn't analysed: no tile, no cell, and a file without any."""
    with CellWriter(cells_file, analyzer.schema, mpp=slide.facts.mpp):
        progress(1.0)
    return Analysis(
        slide=slide.facts,
        model=engine.facts,
        histograms=Histograms.empty(analyzer.histograms),
        tissue_mm2=0.0,
        tiles=TileCounts(planned=0, analysed=0, unreadable=0, overflowed=0),
        seconds={"total": 0.0},
        warnings=slide.facts.notes,
    )


def _tissue_in(slide: Slide, region: Region, options: Options) -> Tissue:
    """Raises Refused NO_TISSUE."""
    tissue = find_tissue(slide, region, within=options.within, without=options.without, among=options.among)
    if tissue.area_mm2 == 0:
        raise Refused(Reason.NO_TISSUE, "no tissue was found; check that this is the right slide, or name a --region")
    return tissue


def working_region(slide: Slide, region: Region | None) -> Region:
    """A region of the largest level as one of the working grid (all of it for None). Raises Refused REGION_INVALID."""
    working = slide.working
    if region is None:
        return Region(x=0, y=0, width=working.size.width, height=working.size.height)
    size = slide.facts.size
    asked = f"{region.x},{region.y},{region.width},{region.height}"
    if region.empty:
        raise Refused(Reason.REGION_INVALID, f"region {asked} is empty; width and height must be above 0")
    if not region.inside(size):
        raise Refused(
            Reason.REGION_INVALID, f"region {asked} reaches outside of the slide ({size.width} x {size.height} px)"
        )
    x, y = int(region.x / working.scale), int(region.y / working.scale)
    right, bottom = (max(int(np.ceil(v / working.scale)), 1) for v in (region.right, region.bottom))
    return Region(x=x, y=y, width=right - x, height=bottom - y).clipped(working.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered:
    """The cells of one tile, whether there were more peaks than places, and where its peaks lie whose probability the
    model says, with whether each was counted only just; all in px of the tile.
    """

    cells: Cells
    overflowed: int
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    just: Mask


@dataclass(slots=True, kw_only=True)
class _Run:
    """What grows while tiles go by."""

    slide: Slide
    facts: SlideFacts
    analyzer: Analyzer
    options: Options
    tissue: Tissue
    shape: TileShape
    tiles: list[Tile]
    histograms: Histograms = field(init=False)
    sharpness: dict[int, float] = field(default_factory=dict)
    unreadable: dict[int, str] = field(default_factory=dict)
    overflowed: int = 0
    judged: int = 0
    just: int = 0
    threshold: float = 0.0
    cast: bool = False
    large: bool = False
    reading: float = 0.0
    keeping: float = 0.0

    def __post_init__(self) -> None:
        self.histograms = Histograms.empty(self.analyzer.histograms)

    def infer(
        self, engine: Engine, batch: int, writer: CellWriter, noted: CheckpointFile | None, progress: Progress
    ) -> None:
        """Every tile that no earlier attempt has done, in order."""
        before = 0 if noted is None else self.take_up(noted, writer)
        groups = list(batches(self.tiles[before:], batch))
        self.threshold = engine.model.counting_threshold
        answers = in_order(engine, self.read(groups), self.threshold, self.measured)
        for done, (group, answer) in enumerate(zip(groups, answers, strict=True), 1):
            self.keep(group, answer, writer, noted)
            progress(min(before + done * batch, len(self.tiles)) / len(self.tiles))

    def check_readable(self) -> None:
        """Raises Refused TILES_UNREADABLE."""
        if len(self.unreadable) > quality.MOST_UNREADABLE * len(self.tiles):
            first, of = next(iter(self.unreadable.values())), f"{len(self.unreadable)} of {len(self.tiles)}"
            raise Refused(Reason.TILES_UNREADABLE, f"{of} tiles don't decode: {first}")

    def read(self, groups: list[list[Tile]]) -> Iterator[list[Seen]]:
        """Pixels of each group; an unreadable tile is white, noted by name, and finds nothing."""
        for group in groups:
            began = time.perf_counter()
            seen = [Seen(self._read_one(tile), shown(self.slide, tile, self.shape)) for tile in group]
            self.reading += time.perf_counter() - began
            yield seen

    def _read_one(self, tile: Tile) -> Rgb:
        try:
            image = pixels(self.slide, tile, self.shape)
        except FrameUnreadable as error:
            self.unreadable[tile.index] = (
                f"tile {tile.index} at working px ({tile.core.x}, {tile.core.y}): {error.message}"
            )
            return np.full((self.shape.side, self.shape.side, 3), 255, np.uint8)
        self.sharpness[tile.index] = quality.sharpness(image, self.slide.working.mpp)
        return image

    def measured(self, answer: TileAnswer) -> "_Answered":
        cells = self.analyzer.cells_of(answer, self.slide.working.mpp)
        said = answer.columns if PROBABILITY in answer.columns else dict.fromkeys(("x", "y", PROBABILITY), ())
        x, y, probable = (np.asarray(said[name], np.float64) for name in ("x", "y", PROBABILITY))
        just = probable < self.threshold + quality.JUST_COUNTED
        return _Answered(cells=cells, overflowed=int(answer.overflowed), x=x, y=y, just=just)

    def keep(
        self, group: list[Tile], answers: "list[_Answered]", writer: CellWriter, noted: CheckpointFile | None
    ) -> None:
        """Cells of the tiles' cores that lie in tissue go to the file and the histograms, and are noted."""
        began = time.perf_counter()
        for tile, answer in zip(group, answers, strict=True):
            mine, just = owned(tile, answer.cells, self.slide, self.tissue), self.just_of(tile, answer)
            found = TileFound(
                cells=mine.taken(self.options.holds(mine.x, mine.y)),
                overflowed=answer.overflowed,
                judged=len(just),
                just=int(just.sum()),
                sharpness=self.sharpness.get(tile.index),
                unreadable=self.unreadable.get(tile.index),
            )
            self.take(tile, found, writer)
            if noted is not None:
                noted.add(found)
        self.keeping += time.perf_counter() - began

    def just_of(self, tile: Tile, answer: "_Answered") -> Mask:
        """Whether each peak was counted only just, of those alone whose cells are kept."""
        x, y = answer.x + tile.x, answer.y + tile.y
        mine = in_core(tile, x, y, self.tissue)
        to_base = self.slide.working.to_base
        return answer.just[mine][self.options.holds(to_base(x[mine]), to_base(y[mine]))]

    def take_up(self, noted: CheckpointFile, writer: CellWriter) -> int:
        """How many tiles an earlier attempt had done; its findings are ours."""
        taken = 0
        for tile, found in zip(self.tiles, noted.found(), strict=False):
            self.take(tile, found, writer)
            taken += 1
        return taken

    def take(self, tile: Tile, found: TileFound, writer: CellWriter) -> None:
        """A tile's findings, of now or of an earlier attempt."""
        self.overflowed += found.overflowed
        self.judged, self.just = self.judged + found.judged, self.just + found.just
        if found.sharpness is not None:
            self.sharpness[tile.index] = found.sharpness
        if found.unreadable is not None:
            self.unreadable[tile.index] = found.unreadable
        writer.add(found.cells)
        self.histograms.add(found.cells, self.analyzer.histograms)

    def analysis(self, model: ModelFacts, mismatch: Mismatch | None, seconds: dict[str, float]) -> Analysis:
        """What all tiles came to."""
        return Analysis(
            slide=self.facts,
            model=model,
            histograms=self.histograms,
            tissue_mm2=self.tissue.area_mm2,
            tiles=self.counts(),
            seconds=seconds,
            warnings=self.warnings(mismatch),
        )

    def counts(self) -> TileCounts:
        return TileCounts(
            planned=len(self.tiles),
            analysed=len(self.tiles) - len(self.unreadable),
            unreadable=len(self.unreadable),
            overflowed=self.overflowed,
        )

    def seconds(self, began: float, planned: float) -> dict[str, float]:
        """By step, until now."""
        ended = time.perf_counter()
        return {
            "tissue": planned - began,
            "read": self.reading,
            "keep": self.keeping,
            "tiles": ended - planned,
            "total": ended - began,
        }

    def warnings(self, mismatch: Mismatch | None) -> tuple[str, ...]:
        """Those of the reader, the mismatch, and what the tiles showed."""
        first = () if mismatch is None else (mismatch.reason.value,)
        found = {
            Warning.TOO_LITTLE_TISSUE: self.tissue.area_mm2 < quality.LEAST_TISSUE_MM2,
            Warning.TOO_FEW_NUCLEI: self.histograms.n < self.analyzer.least_cells,
            Warning.COUNT_UNSURE: self.judged >= self.analyzer.least_cells
            and self.just > quality.UNSURE_SHARE * self.judged,
            Warning.LARGE_NUCLEI: self.large,
            Warning.STAIN_WEAK: self.analyzer.stain_weak(self.histograms),
            Warning.COLOUR_SUSPECT: quality.background_coloured(self.tissue.overview),
            Warning.COLOUR_CAST: self.cast,
            Warning.OUT_OF_FOCUS: bool(self.sharpness)
            and float(np.median(list(self.sharpness.values()))) < quality.BLURRED,
            Warning.INK: quality.ink_share(self.tissue.overview) > quality.INK_SHARE,
            Warning.TILES_UNREADABLE: bool(self.unreadable),
            Warning.PEAKS_OVERFLOWED: self.overflowed > 0,
        }
        return (*self.slide.facts.notes, *first, *(w.value for w, there in found.items() if there))


def cast_doubted(analyzer: Analyzer, engine: Engine, white: WhitePoint) -> bool:
    """Is COLOUR_CAST to be said: does the analyzer grade by colour, and is the white far from grey, or unknown?"""
    return white.cast and analyzer.engine_for(engine, white) is not engine


def find_cells(
    slide: Slide,
    engine: Engine,
    analyzer: Analyzer,
    faintest: float,
    *,
    white: WhitePoint | None = None,
    outlines: bool = False,
    fit: bool = True,
) -> Cells:
    """All cells of a small picture: no tissue mask, no counting threshold, probability at least `faintest`.

    Colours are by `white`, where the caller knows more than this picture shows; else by the picture's own. Pixels are
    as they come where they aren't to `fit` the picture's nuclei: one of many that must be seen alike.
    """
    engine = look(slide, engine, None).fitted(engine) if fit else engine
    if outlines:
        analyzer, engine = outlined(analyzer, engine, mpp=slide.working.mpp)
    engine = analyzer.engine_for(engine, white or white_of(slide))
    shape = engine.model.tile.fitting(slide.working.size)
    tiles = plan(slide.working.size, shape, working_region(slide, None), None)
    read = ([Seen(pixels(slide, tile, shape), shown(slide, tile, shape))] for tile in tiles)
    found = in_order(engine, read, faintest, lambda answer: analyzer.cells_of(answer, slide.working.mpp))
    return joined([owned(tile, cells, slide, None) for tile, (cells,) in zip(tiles, found, strict=True)])
