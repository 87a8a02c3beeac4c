"""An assay that nobody knows of: analyzer, criteria, engine and row in this file, its model in `manifest.json`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from inference.analysis import ModelFacts
from inference.analyzers.analyzer import Group, Groups, Legend, MapSegment, Mismatch, Usual
from inference.assay import Assay, BuiltIn, Scope
from inference.cells.histograms import Histograms, HistogramSpec
from inference.cells.values import Cells, CellSchema, Column, IntArray, made_cells
from inference.criteria import Criteria, Values, check_names, whole
from inference.infer import TileAnswer
from inference.measures import ALL, ONE, PERCENT, Interval, Measure, Region, Score, scored
from inference.model import Model, read_model
from inference.slide import Rgb

FOLDER = Path(__file__).parent
MARKER, MODEL = "MADEUP", FOLDER.name
EVERY_PX = 40

SCHEMA = CellSchema(
    name="made_up",
    version=2,
    columns=(
        Column(name="confidence", dtype="float32", meaning="probability that it is there", low=0, high=1),
        Column(name="lobes", dtype="uint8", meaning="how many lobes it has", low=1, high=4),
        Column(name="glow", dtype="uint16", meaning="how much it glows", unit="%", low=0, high=100),
    ),
)
NEST, SEA = "nest", "sea"
REGIONS = (
    Region(name=NEST, code="MADEUP_NEST", display="Nest, made up"),
    Region(name=SEA, code="MADEUP_SEA", display="Sea, made up"),
    Region(name=ALL, code="MADEUP_ALL", display="Nest and sea together, made up"),
)
LIGHTS = ("dim", "bright")
GROUPS = tuple(
    Group(
        name=f"{region} {light}",
        title=f"{region}: {light}",
        description=f"Made-up cells of the {region}, {light}",
        region=region,
        colour=(40 + 100 * i, 90, 200),
        filled=region == NEST,
    )
    for region in (NEST, SEA)
    for i, light in enumerate(LIGHTS)
)
SEGMENTS = (
    MapSegment(name="lit", description="At least one bright made-up cell", region=ALL, groups=frozenset({1, 3})),
    MapSegment(name=NEST, description="At least one made-up cell of the nest", region=NEST, groups=frozenset({0, 1})),
)
VERDICT = Measure(code="MADEUP_VERDICT", display="Made-up verdict", title="verdict", categories=LIGHTS)
SHARE = Measure(
    code="MADEUP_SHARE", display="Bright made-up cells, percent", unit=PERCENT, title="bright %", interval=True
)
COUNT = Measure(code="MADEUP_COUNT", display="Made-up cells counted", unit=ONE, title="cells", whole=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class GlowCriteria:
    """Bright from `cut` on; `lamp` says by which light, a text."""

    method: ClassVar[str] = "made_up_glow"
    cut: int
    lamp: str

    @classmethod
    def read(cls, values: Values) -> "GlowCriteria":
        check_names(cls.method, values, ("cut", "lamp"))
        return cls(cut=whole(values, "cut"), lamp=str(values["lamp"]))

    def values(self) -> dict[str, int | float | str]:
        return {"cut": self.cut, "lamp": self.lamp}

    def parameters(self) -> dict[str, str]:
        return {"glow_from": str(self.cut), "lamp": self.lamp}


class MadeUpAnalyzer(Usual):
    """`inference.analyzers.analyzer.Analyzer`: two regions by the number of lobes, bright or dim by the glow."""

    kind = "made_up"
    schema = SCHEMA
    structure = "cell"
    stain = "made-up shine"
    histograms = (HistogramSpec(name="lobes_glow", columns=("lobes", "glow"), shape=(5, 101)),)
    regions = REGIONS
    groups = GROUPS
    segments = SEGMENTS
    measures = (VERDICT, SHARE, COUNT)
    legend = Legend(marks=(("dim", (40, 90, 200)), ("bright", (140, 90, 200))), note="disc nest, ring sea")
    criteria: tuple[type[Criteria], ...] = (GlowCriteria,)
    least_cells = 1_000_000
    controls = ()
    file_stem = "cells"

    def cells_of(self, answer: TileAnswer, mpp: float) -> Cells:
        c = answer.columns
        return made_cells(SCHEMA, c["x"], c["y"], confidence=c["sure"], lobes=c["lobes"], glow=c["glow"])

    def mismatch(self, overview: Rgb) -> Mismatch | None:
        return None

    def group_of(self, cells: Cells, criteria: Criteria) -> Groups:
        return _group(cells["lobes"], cells["glow"], criteria)

    def counts(self, histograms: Histograms, criteria: Criteria) -> IntArray:
        table = histograms["lobes_glow"]
        lobes, glow = np.indices(table.shape)
        return np.bincount(_group(lobes, glow, criteria).ravel(), table.ravel(), len(GROUPS)).astype(np.int64)

    def scores(self, measures: Sequence[Measure], counts: IntArray, fields: IntArray | None) -> tuple[Score, ...]:
        return tuple(_row(m, r.name, counts, fields) for r in REGIONS for m in measures)

    def field_score(self, measures: Sequence[Measure], fields: IntArray) -> npt.NDArray[np.float64]:
        return np.asarray(100 * (fields[:, 1] + fields[:, 3]) / fields.sum(axis=1), np.float64)

    def spot_json(self, measures: Sequence[Measure], score: float) -> dict[str, Any]:
        return {"brightness": score}

    def extra_json(self, scores: Sequence[Score]) -> dict[str, Any]:
        return {}


def _group(lobes: npt.NDArray[Any], glow: npt.NDArray[Any], criteria: Criteria) -> Groups:
    assert isinstance(criteria, GlowCriteria)
    return (2 * (lobes < 3) + (glow >= criteria.cut)).astype(np.uint8)


def _row(measure: Measure, region: str, counts: IntArray, fields: IntArray | None) -> Score:
    of = [i for i, group in enumerate(GROUPS) if region in (ALL, group.region)]
    n, bright = int(counts[of].sum()), int(counts[[i for i in of if i % 2]].sum())
    share = 100 * bright / n if n else None
    if measure is VERDICT:
        return scored(measure, region, n, category=None if share is None else "bright" if share > 50 else "dim")
    if measure is COUNT:
        return scored(measure, region, n, n)
    interval: Interval | None = None if fields is None or share is None else (max(share - 1, 0), min(share + 1, 100))
    return scored(measure, region, n, share, interval=interval)


class MadeUpEngine:
    """`inference.infer.Engine`: the same cells in every tile, whatever its pixels, each with its own numbers."""

    workers = 2

    def __init__(self, model: Model) -> None:
        self.model = model
        self.facts = ModelFacts(
            name=model.name, version=model.version, sha256=model.digest(), graphs=model.digests(), engine="test"
        )

    def detect(self, tiles: npt.NDArray[np.uint8], faintest: float) -> list[TileAnswer]:
        return [self._one(tiles.shape[1], faintest) for _ in tiles]

    def _one(self, side: int, faintest: float) -> TileAnswer:
        y, x = (v.ravel().astype(np.float32) for v in np.mgrid[20:side:EVERY_PX, 20:side:EVERY_PX])
        i = np.arange(len(x))
        sure = (0.3 + 0.7 * (i % 7) / 6).astype(np.float32)
        columns = {"x": x, "y": y, "sure": sure, "lobes": 1 + i % 4, "glow": i * 13 % 101}
        kept = sure >= faintest
        return TileAnswer({name: values[kept] for name, values in columns.items()}, found=int(kept.sum()))


def made_up_assay(lamp: str = "daylight") -> Assay:
    return Assay(
        marker=MARKER,
        names=frozenset({"Made-up stain"}),
        analyzer=MadeUpAnalyzer(),
        model=MODEL,
        measures=(VERDICT, SHARE, COUNT),
        clinical_region=NEST,
        built_in=BuiltIn(name="made-up", revision=4, criteria=GlowCriteria(cut=35, lamp=lamp), source="a test"),
        scope=Scope(sites=frozenset({"2739003"})),
    )


def made_up_model() -> Model:
    return read_model(FOLDER.parent, MODEL)
