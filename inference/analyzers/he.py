"""H&E: nuclei by class, how many there are of each and how densely they lie."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from inference import quality
from inference.analyzers.analyzer import NOT_VALIDATED, Group, Groups, Legend, MapSegment, Mismatch, Usual
from inference.analyzers.he_cells import SCHEMA, he_cells
from inference.analyzers.he_criteria import HeCriteria
from inference.cells.by_hand import overruled
from inference.cells.histograms import Histograms, HistogramSpec
from inference.cells.values import Cells, IntArray
from inference.control_kind import ControlKind
from inference.criteria import Criteria
from inference.errors import Reason
from inference.infer import TileAnswer
from inference.instances import KINDS
from inference.interval import ratio_interval, wilson
from inference.measures import ALL, ONE, PER_MM2, PERCENT, Measure, Region, Score, scored
from inference.pattern import Pattern
from inference.slide import Rgb
from inference.stain import HE_STAINS

OTHER, INFLAMMATORY, EPITHELIAL, SPINDLE = range(len(KINDS))
UNCLASSIFIED = len(KINDS)
NAMES = (*KINDS, "unclassified")
COLOURS = ((150, 110, 60), (30, 140, 60), (220, 60, 60), (50, 90, 210), (150, 150, 150))
REGIONS = (Region(name=ALL, code="ALL_NUCLEI", display="All nuclei"),)
GROUPS = tuple(
    Group(name=name, title=name, description=f"Nuclei in H&E: {name}", region=ALL, colour=colour)
    for name, colour in zip(NAMES, COLOURS, strict=True)
)
SEGMENTS = tuple(
    MapSegment(name=name, description=f"At least one nucleus: {name}", region=ALL, groups=frozenset({place}))
    for place, name in enumerate(KINDS)
)
HISTOGRAMS = (HistogramSpec(name="class", columns=("kind", "certainty"), shape=(len(KINDS), 101)),)


def _measure(what: str, display: str, **more: Any) -> Measure:
    return Measure(code=f"HE_{what}", display=display, **more)


SHARES = tuple(
    _measure(f"SHARE_{name.upper()}", f"Nuclei, {name}", unit=PERCENT, title=f"{name} %", interval=True)
    for name in KINDS
)
INFILTRATING = _measure(
    "INFILTRATING_SHARE",
    "Inflammatory of infl. + epith.",
    unit=PERCENT,
    title="infiltrating %",
    interval=True,
)
COUNTS = tuple(
    _measure(f"COUNT_{name.upper()}", f"Nuclei counted, {name}", unit=ONE, title=name, whole=True) for name in NAMES
)
TOTAL = _measure("COUNT_NUCLEI", "Nuclei counted", unit=ONE, title="nuclei", whole=True)
DENSITIES = tuple(
    _measure(f"DENSITY_{name.upper()}", f"Nuclei a mm2, {name}", unit=PER_MM2, by_area=count.code)
    for name, count in zip(KINDS, COUNTS, strict=False)
)
DENSITY = _measure("DENSITY_NUCLEI", "Nuclei a mm2", unit=PER_MM2, title="a mm2", by_area=TOTAL.code)
MEASURES = (SHARES[INFLAMMATORY], INFILTRATING, *SHARES[:1], *SHARES[2:], *COUNTS, TOTAL, *DENSITIES, DENSITY)

LEAST_NUCLEI = 200
COARSE_MPP = 0.375
"""From here on a picture is enlarged, and shows less than the network was trained on."""
MOST_RED, MOST_BLUE = 0.71, 0.85
"""Optical densities by that in green: without eosin red is higher, with DAB blue. CoNSeP's tiles have 0.32 to 0.68 and
0.33 to 0.74, EndoNuke's 0.64 to 0.97 and 0.96 or more, drawn HER2 0.74 to 0.87 and 0.68 to 0.90. Unstained
ones 0.81 to 0.88 and 0.50 to 0.67."""
NODE_RED, NODE_BLUE = 0.79, 0.62
"""Where nuclei lie as densely as in a lymph node there is little eosin: more red is no reason to refuse, where there is
no more blue than haematoxylin has."""
RESOLUTION_LOW, WHOLE_TISSUE = "RESOLUTION_LOW", "WHOLE_TISSUE"
UNVALIDATED = "H&E: not validated on patient material; research use only."
NOTES = (
    "H&E: the infiltrating share is that of inflammatory nuclei among inflammatory and epithelial ones of the region,"
    " healthy epithelium included; it isn't the stromal TIL score of the working group's guideline.",
    "H&E: nuclei a mm2 are by the area of tissue; in a drawn region, by the area drawn, glass in it included.",
)


class HeAnalyzer(Usual):
    """`inference.analyzers.analyzer.Analyzer` for haematoxylin and eosin."""

    kind = "he"
    schema = SCHEMA
    structure = "nucleus"
    stain = "haematoxylin and eosin"
    stains = HE_STAINS
    histograms = HISTOGRAMS
    regions = REGIONS
    groups = GROUPS
    segments = SEGMENTS
    measures = MEASURES
    mapped = DENSITY
    legend = Legend(marks=tuple(zip(NAMES, COLOURS, strict=True)), note="discs by class", by="class")
    criteria: tuple[type[Criteria], ...] = (HeCriteria,)
    least_cells = LEAST_NUCLEI
    file_stem = "cells"
    controls: tuple[ControlKind, ...] = ()
    notes = NOTES
    unvalidated = UNVALIDATED
    remark_words = frozenset({NOT_VALIDATED, RESOLUTION_LOW})
    whole_remarks = (WHOLE_TISSUE,)

    def cells_of(self, answer: TileAnswer, mpp: float) -> Cells:
        return he_cells(answer, mpp)

    def mismatch(self, overview: Rgb) -> Mismatch | None:
        red, blue = quality.density_ratios(overview)
        if (red <= MOST_RED and blue <= MOST_BLUE) or (red <= NODE_RED and blue <= NODE_BLUE):
            return None
        seen = "it is brown" if blue > MOST_BLUE else "no eosin is seen"
        message = f"the slide doesn't look like H&E ({seen}); check which slide was ordered"
        return Mismatch(reason=Reason.NOT_HE, message=message)

    def misplaced(self, pattern: Pattern) -> Mismatch | None:
        return None

    def group_of(self, cells: Cells, criteria: Criteria) -> Groups:
        return overruled(cells, _group(cells["kind"], cells["certainty"], criteria))

    def counts(self, histograms: Histograms, criteria: Criteria) -> IntArray:
        table = histograms["class"]
        places = np.indices(table.shape)
        groups = _group(places[0], places[1], criteria)
        counted = np.bincount(groups.ravel(), table.ravel(), len(GROUPS)).astype(np.int64)
        return np.asarray(counted + histograms.by_hand(len(GROUPS)), np.int64)

    def scores(self, measures: Sequence[Measure], counts: IntArray, fields: IntArray | None) -> tuple[Score, ...]:
        return tuple(_rows(measures, counts, fields))

    def field_score(self, measures: Sequence[Measure], fields: IntArray) -> npt.NDArray[np.float64]:
        """Inflammatory nuclei, percent."""
        return np.asarray(100 * fields[:, INFLAMMATORY] / fields.sum(axis=1), np.float64)

    def spot_json(self, measures: Sequence[Measure], score: float) -> dict[str, Any]:
        return {"share_inflammatory": score}

    def extra_json(self, scores: Sequence[Score]) -> dict[str, Any]:
        return {}

    def remarks(self, counts: IntArray, fields: IntArray | None, mpp: float) -> tuple[str, ...]:
        return (NOT_VALIDATED, RESOLUTION_LOW) if mpp > COARSE_MPP else (NOT_VALIDATED,)

    def scored_columns(self, cells: Cells, criteria: Criteria) -> Mapping[str, npt.NDArray[Any]]:
        """`class` by name."""
        return {"class": np.array(NAMES)[self.group_of(cells, criteria)]}


HE = HeAnalyzer()


def _group(kind: npt.NDArray[Any], certainty: npt.NDArray[Any], criteria: Criteria) -> Groups:
    assert isinstance(criteria, HeCriteria), "a profile is chosen by its kind of criteria"
    return np.where(certainty >= criteria.least_percent, kind, UNCLASSIFIED).astype(np.uint8)


def _rows(measures: Sequence[Measure], counts: IntArray, fields: IntArray | None) -> Iterator[Score]:
    """Those by area have no value yet: `inference.measures.with_densities` gives it."""
    n = int(counts.sum())
    everything, both = tuple(range(len(GROUPS))), (INFLAMMATORY, EPITHELIAL)
    of: dict[str, tuple[int, tuple[int, ...]]] = {m.code: (place, everything) for place, m in enumerate(SHARES)}
    of[INFILTRATING.code] = (INFLAMMATORY, both)
    number = {m.code: int(counts[place]) for place, m in enumerate(COUNTS)} | {TOTAL.code: n}
    for measure in measures:
        if measure.code in of:
            part, whole = of[measure.code]
            yield _share(measure, counts, fields, part, whole)
        else:
            yield scored(measure, ALL, n, None if measure.by_area else number[measure.code])


def _share(measure: Measure, counts: IntArray, fields: IntArray | None, part: int, whole: tuple[int, ...]) -> Score:
    among = int(counts[list(whole)].sum())
    if among == 0:
        return scored(measure, ALL, 0)
    interval = None
    if fields is not None:
        interval = ratio_interval(100 * fields[:, part], fields[:, list(whole)].sum(axis=1), most=100)
        if interval is not None:  # fields that are all without one don't say that there is none anywhere
            low, high = wilson(int(counts[part]), among)
            interval = min(interval[0], 100 * low), max(interval[1], 100 * high)
    return scored(measure, ALL, among, 100 * int(counts[part]) / among, interval=interval)
