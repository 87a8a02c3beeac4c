"""Nuclear stains with outlines: the engine's answers gain each nucleus's outline, the analyzer its columns."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from inference.analyzers.analyzer import Analyzer
from inference.analyzers.measuring import MeasuringEngine
from inference.analyzers.nuclear import HISTOGRAMS, NUCLEAR, NUCLEUS_DENSITIES, SCHEMA, NuclearAnalyzer
from inference.cells.file import columns_of
from inference.cells.histograms import HistogramSpec
from inference.cells.values import Cells, CellSchema, made_cells
from inference.criteria import Criteria
from inference.errors import Reason, Refused
from inference.grade import NucleusDensityThresholds
from inference.infer import Engine, TileAnswer
from inference.outline import OUTLINE, Seeds, outlines
from inference.slide import Rgb

WITH_OUTLINES = SCHEMA.having([column.name for column in SCHEMA.optional])


class OutlinedNuclear(NuclearAnalyzer):
    """The nuclear analyzer for answers of an `OutliningEngine`."""

    histograms: tuple[HistogramSpec, ...] = (*HISTOGRAMS, *NUCLEUS_DENSITIES)

    def __init__(self, schema: CellSchema = WITH_OUTLINES) -> None:
        """`schema` lacks optional columns where it is that of an older file; what is counted over them is left out."""
        self.schema = schema
        names = set(schema.names)
        self.histograms = tuple(spec for spec in OutlinedNuclear.histograms if names.issuperset(spec.columns))

    def cells_of(self, answer: TileAnswer, mpp: float) -> Cells:
        plain, columns = super().cells_of(answer, mpp), answer.columns
        more = {column.name: columns[column.name] for column in SCHEMA.optional}
        return made_cells(WITH_OUTLINES, plain.x, plain.y, **plain.columns, **more)


OUTLINED = OutlinedNuclear()


class OutliningEngine(MeasuringEngine):
    """An engine whose answers hold outlines too; they are found in the threads that call it, so beside the network."""

    def __init__(self, engine: Engine, *, mpp: float) -> None:
        """`mpp` of the tiles."""
        super().__init__(engine)
        self._mpp = mpp

    def measured(self, tile: Rgb, answer: TileAnswer) -> TileAnswer:
        model, columns = self._engine.model, answer.columns
        assert model.finder is not None, "what has cells has a graph that finds them"
        nucleus = columns[model.finder.probability]
        seeds = Seeds(x=columns["x"], y=columns["y"], counted=nucleus >= model.counting_threshold)
        found = outlines(tile, seeds, mpp=self._mpp, halo=model.tile.halo)
        more: dict[str, npt.NDArray[Any]] = {
            "nucleus": nucleus,
            OUTLINE: found.radii,
            "area_um2": found.area_um2,
            "nucleus_od_centi": found.od_centi,
        }
        return replace(answer, columns={**columns, **more})


def outlined(analyzer: Analyzer, engine: Engine, *, mpp: float) -> tuple[Analyzer, Engine]:
    """Both with outlines, for tiles of `mpp` µm/px. Raises Refused OUTLINES_UNSUPPORTED."""
    check_outlines(analyzer)
    return OUTLINED, OutliningEngine(engine, mpp=mpp)


def as_in_file(analyzer: Analyzer, cells_file: Path) -> Analyzer:
    """The one with outlines, where the cells of a file have them, and with the columns that they have."""
    columns = columns_of(cells_file)
    if not has_outlines(analyzer) or OUTLINE not in columns:
        return analyzer
    return OUTLINED if columns.issuperset(WITH_OUTLINES.names) else OutlinedNuclear(SCHEMA.having(columns))


def check_outlines(analyzer: Analyzer) -> None:
    """Raises Refused OUTLINES_UNSUPPORTED for other than nuclear stains."""
    if not has_outlines(analyzer):
        message = f"outlines are found of nuclei of nuclear stains, not of {analyzer.kind} ones: ask without outlines"
        raise Refused(Reason.OUTLINES_UNSUPPORTED, message)


def has_outlines(analyzer: Analyzer) -> bool:
    """Can outlines be found for this kind of assay?"""
    return analyzer is NUCLEAR


def needs_outlines(criteria: Criteria) -> bool:
    """Do the criteria grade by them?"""
    return isinstance(criteria, NucleusDensityThresholds)
