"""Nuclear stains (ER, PR, Ki-67, p53): nuclei of stroma and epithelium, graded by the colour of each."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from inference import quality
from inference.analyzers.analyzer import SCALE_UNKNOWN, Group, Groups, Legend, MapSegment, Mismatch, Usual
from inference.analyzers.analyzer import Colour as Shade
from inference.analyzers.gamma import gamma_moves_far
from inference.analyzers.weak import stain_weak
from inference.analyzers.whitened import OF_OUTLINE, WhiteningEngine
from inference.cells.by_hand import overruled
from inference.cells.histograms import Histograms, HistogramSpec
from inference.cells.values import Cells, CellSchema, Column, IntArray, made_cells
from inference.control_kind import ControlKind
from inference.criteria import Criteria
from inference.errors import Reason, Refused
from inference.grade import (
    DENSITIES,
    GRADE_NAMES,
    GRADES,
    HUES,
    VALUES,
    Colour,
    DensityThresholds,
    Grades,
    HueValueThresholds,
    NucleusDensityThresholds,
    Thresholds,
    grades,
    grades_by_density,
    grades_by_hue_value,
)
from inference.guideline import ER_STATUS, KI67_GROUP, PGR_STATUS, category_of
from inference.infer import Engine, TileAnswer
from inference.measures import ALL, ONE, PERCENT, SCORE_UNIT, Measure, Region, Score, scored
from inference.outline import OUTLINE, RAYS
from inference.pattern import Pattern
from inference.score import CountScore, score
from inference.slide import Rgb
from inference.white import WhitePoint

COMPARTMENTS = ("stroma", "epithelium")
REGIONS = (
    Region(name="stroma", code="STROMA", display="Stroma"),
    Region(name="epithelium", code="EPITHELIUM", display="Epithelium"),
    Region(name=ALL, code="ALL_COMPARTMENTS", display="Stroma and epithelium together"),
)
REGION_NAMES = tuple(region.name for region in REGIONS)
SCHEMA = CellSchema(
    name="nuclear",
    version=2,
    columns=(
        Column(name="compartment", dtype="uint8", meaning="0 stroma, 1 epithelium", low=0, high=1),
        Column(name="confidence", dtype="float32", meaning="probability of a nucleus of it", low=0, high=1),
        Column(name="hue", dtype="uint16", meaning="mean hue", unit="deg", low=0, high=HUES - 1),
        Column(name="value", dtype="uint8", meaning="mean brightness", low=0, high=VALUES - 1),
        Column(name="dab_od_centi", dtype="uint16", meaning="DAB optical density x 100", low=0, high=DENSITIES - 1),
        Column(
            name="white_hue", dtype="uint16", meaning="hue by white point and ground", unit="deg", low=0, high=HUES - 1
        ),
        Column(name="white_value", dtype="uint8", meaning="brightness by the white point", low=0, high=VALUES - 1),
        Column(
            name="white_od_centi",
            dtype="uint16",
            meaning="DAB optical density by the white point x 100",
            low=0,
            high=DENSITIES - 1,
        ),
    ),
    optional=(
        Column(name="nucleus", dtype="float32", meaning="probability of a nucleus of any kind", low=0, high=1),
        Column(name=OUTLINE, dtype="uint8", meaning="radii in 0.05 um along 24 rays from the centre", width=RAYS),
        Column(name="area_um2", dtype="float32", meaning="area within the outline", unit="um2", low=0),
        Column(
            name="nucleus_od_centi",
            dtype="uint16",
            meaning="mean DAB optical density within the outline x 100",
            low=0,
            high=DENSITIES - 1,
        ),
        Column(
            name="white_nucleus_od_centi",
            dtype="uint16",
            meaning="that within the outline by the white point x 100",
            low=0,
            high=DENSITIES - 1,
        ),
    ),
)
COLUMNS = {
    (HueValueThresholds.method, Colour.RAW): ("hue", "value"),
    (HueValueThresholds.method, Colour.WHITE_POINT): ("white_hue", "white_value"),
    (DensityThresholds.method, Colour.RAW): ("dab_od_centi",),
    (DensityThresholds.method, Colour.WHITE_POINT): ("white_od_centi",),
    (NucleusDensityThresholds.method, Colour.RAW): ("nucleus_od_centi",),
    (NucleusDensityThresholds.method, Colour.WHITE_POINT): ("white_nucleus_od_centi",),
}
"""What criteria of a kind and colour grade by."""
TABLES = {
    ("hue", "value"): "hue_value",
    ("dab_od_centi",): "density",
    ("white_hue", "white_value"): "white_hue_value",
    ("white_od_centi",): "white_density",
    ("nucleus_od_centi",): "nucleus_density",
    ("white_nucleus_od_centi",): "white_nucleus_density",
}
OF_OUTLINES = {OF_OUTLINE, "white_nucleus_od_centi"}


def _histogram(*columns: str) -> HistogramSpec:
    shape = (HUES, VALUES) if len(columns) == 2 else (DENSITIES,)
    return HistogramSpec(name=TABLES[columns], columns=("compartment", *columns), shape=(2, *shape))


HISTOGRAMS = (
    _histogram("hue", "value"),
    _histogram("dab_od_centi"),
    _histogram("white_hue", "white_value"),
    _histogram("white_od_centi"),
)
NUCLEUS_DENSITIES = (_histogram("nucleus_od_centi"), _histogram("white_nucleus_od_centi"))
"""Where there are outlines."""
GRADE_COLOURS: tuple[Shade, ...] = ((40, 90, 220), (250, 215, 60), (245, 130, 30), (200, 20, 20))
GROUPS = tuple(
    Group(
        name=f"{compartment} {grade}",
        title=f"{compartment}: {grade} {GRADE_NAMES[grade]}",
        description=f"Nuclei of the {compartment}, grade {grade} ({GRADE_NAMES[grade]})",
        region=compartment,
        colour=GRADE_COLOURS[grade],
        filled=compartment == "epithelium",
    )
    for compartment in COMPARTMENTS
    for grade in range(GRADES)
)
"""That of compartment c and grade g lies at c * GRADES + g."""
SEGMENTS = (
    MapSegment(
        name="stroma",
        description="At least one nucleus of the stroma",
        region="stroma",
        groups=frozenset(range(GRADES)),
    ),
    MapSegment(
        name="epithelium",
        description="At least one nucleus of the epithelium",
        region="epithelium",
        groups=frozenset(range(GRADES, 2 * GRADES)),
    ),
    MapSegment(
        name="positive",
        description="At least one nucleus of grade 1 or above",
        region=ALL,
        groups=frozenset(i for i in range(2 * GRADES) if i % GRADES),
    ),
)
NOT_IHC = Mismatch(
    reason=Reason.NOT_IHC,
    message="the slide looks like H&E, not an immunostain; check which slide was ordered",
)
MISPLACED = {Pattern.MEMBRANE: "on membranes", Pattern.BESIDE: "around nuclei"}

H_SCORE = Measure(code="HSCORE", display="H-score", unit=SCORE_UNIT, title="H-score", interval=True)
PERCENT_POSITIVE = Measure(
    code="PERCENT_POSITIVE",
    display="Positive nuclei, percent",
    unit=PERCENT,
    title="positive %",
    interval=True,
)
ALLRED_PS = Measure(code="ALLRED_PS", display="Allred proportion score", unit=SCORE_UNIT, whole=True)
ALLRED_IS = Measure(code="ALLRED_IS", display="Allred intensity score", unit=SCORE_UNIT, whole=True)
ALLRED_TOTAL = Measure(code="ALLRED_TOTAL", display="Allred total score", unit=SCORE_UNIT, title="Allred", whole=True)
IRS = Measure(
    code="IRS", display="Immunoreactive score (Remmele and Stegner)", unit=SCORE_UNIT, title="IRS", whole=True
)
NUCLEI = Measure(code="COUNT_NUCLEI", display="Nuclei counted", unit=ONE, title="nuclei", whole=True)
GRADE_COUNTS = tuple(
    Measure(code=f"COUNT_GRADE_{g}", display=f"Nuclei of grade {g}, {name}", unit=ONE, whole=True)
    for g, name in enumerate(GRADE_NAMES)
)
COUNTS = (NUCLEI, *GRADE_COUNTS)
STATUSES = (ER_STATUS, PGR_STATUS, KI67_GROUP)
MEASURES = (H_SCORE, PERCENT_POSITIVE, *STATUSES, ALLRED_PS, ALLRED_IS, ALLRED_TOTAL, IRS, *COUNTS)
"""All that can be given; each assay names its own."""

H_SCORE_ERROR = {"stroma": 14.8, "epithelium": 16.0, ALL: 13.6}
"""Standard deviation that finding and grading add to a measured H-score, points: 1.25 (of a normal error) times the
mean absolute error of a validation tile (docs/models/validation.json: 11.8, 10.0, 10.8). How far the errors of a
slide's tiles go together isn't known, so they aren't taken to cancel out.
"""

CONTROLS = (
    ControlKind(name="positive", measure=PERCENT_POSITIVE, low=10),
    ControlKind(name="negative", measure=PERCENT_POSITIVE, high=5),
)
"""Ours, where a laboratory has no ranges of its own."""


class NuclearAnalyzer(Usual):
    """`inference.analyzers.analyzer.Analyzer` for nuclear stains."""

    kind = "nuclear"
    schema = SCHEMA
    structure = "nucleus"
    stain = "immunohistochemistry"
    histograms: tuple[HistogramSpec, ...] = HISTOGRAMS
    regions = REGIONS
    groups = GROUPS
    segments = SEGMENTS
    measures = MEASURES
    scoped_regions = frozenset(COMPARTMENTS)
    legend = Legend(
        marks=tuple((f"{g} {name}", GRADE_COLOURS[g]) for g, name in enumerate(GRADE_NAMES)),
        note="disc epithelium, ring stroma",
        by="compartment and grade",
    )
    criteria: tuple[type[Criteria], ...] = (HueValueThresholds, DensityThresholds, NucleusDensityThresholds)
    least_cells = 100
    controls = CONTROLS
    uncalibrated = (SCALE_UNKNOWN,)
    file_stem = "nuclei"

    def cells_of(self, answer: TileAnswer, mpp: float) -> Cells:
        c = answer.columns
        return made_cells(
            SCHEMA,
            c["x"],
            c["y"],
            compartment=c["label"],
            confidence=c["confidence"],
            hue=c["hue"],
            value=c["value"],
            dab_od_centi=c["dab_od_centi"],
            white_hue=c["white_hue"],
            white_value=c["white_value"],
            white_od_centi=c["white_od_centi"],
        )

    def engine_for(self, engine: Engine, white: WhitePoint) -> Engine:
        """Its answers hold colours by the white point too."""
        return WhiteningEngine(engine, white)

    def mismatch(self, overview: Rgb) -> Mismatch | None:
        """H&E: nothing of it is brown or blue."""
        return NOT_IHC if quality.looks_like_he(overview) else None

    def misplaced(self, pattern: Pattern) -> Mismatch | None:
        if where := MISPLACED.get(pattern):
            message = f"the stain lies {where}, not in nuclei; check which slide was ordered"
            return Mismatch(reason=Reason.NOT_NUCLEAR, message=message)
        return None

    def stain_weak(self, histograms: Histograms) -> bool:
        return stain_weak(histograms[TABLES["white_hue", "white_value"]].sum(axis=0))

    def scale_matters(self, measures: Sequence[Measure], histograms: Histograms, criteria: Criteria) -> bool:
        """Not of percent positive: no gamma turns a hue."""
        thresholds = _thresholds(criteria)
        return H_SCORE in measures and gamma_moves_far(_table(histograms, thresholds).sum(axis=0), thresholds)

    def group_of(self, cells: Cells, criteria: Criteria) -> Groups:
        grade = graded(cells, _thresholds(criteria))
        return overruled(cells, (cells["compartment"] * np.uint8(GRADES) + grade).astype(np.uint8))

    def counts(self, histograms: Histograms, criteria: Criteria) -> IntArray:
        thresholds = _thresholds(criteria)
        if isinstance(thresholds, HueValueThresholds):
            grade = grades_by_hue_value(np.arange(HUES)[:, None], np.arange(VALUES)[None], thresholds)
        else:
            grade = grades_by_density(np.arange(DENSITIES), thresholds)
        table = _table(histograms, thresholds)
        counted = [int(row[grade == g].sum()) for row in table for g in range(GRADES)]
        return np.array(counted, np.int64) + histograms.by_hand(len(GROUPS))

    def scores(self, measures: Sequence[Measure], counts: IntArray, fields: IntArray | None) -> tuple[Score, ...]:
        return tuple(row for name in REGION_NAMES for row in _rows(measures, name, _scored(counts, fields, name)))

    def field_score(self, measures: Sequence[Measure], fields: IntArray) -> npt.NDArray[np.float64]:
        """Of all nuclei the H-score, 0 to 300, or, where the assay gives none, percent positive."""
        by_field = by_grade(fields, ALL)
        weights = (0, 100, 200, 300) if H_SCORE in measures else (0, 100, 100, 100)
        weighted: npt.NDArray[np.float64] = (by_field @ np.array(weights)) / by_field.sum(axis=1)
        return weighted

    def spot_json(self, measures: Sequence[Measure], score: float) -> dict[str, Any]:
        """`h_score` or `percent_positive`, as in `compartments`."""
        return {"h_score" if H_SCORE in measures else "percent_positive": score}

    def extra_json(self, scores: Sequence[Score]) -> dict[str, Any]:
        """`compartments`: the scores of each region under the names that programs know them by."""
        there = {row.region for row in scores}
        told = {name: _compartment(scores, name) if name in there or name == ALL else None for name in REGION_NAMES}
        return {"compartments": told}


NUCLEAR = NuclearAnalyzer()


def by_grade(counts: IntArray, region: str) -> IntArray:
    """Counts (..., G) by group as (..., 4) by grade of a region."""
    table = counts.reshape(*counts.shape[:-1], len(COMPARTMENTS), GRADES)
    return table.sum(axis=-2) if region == ALL else table[..., COMPARTMENTS.index(region), :]


def _scored(counts: IntArray, fields: IntArray | None, region: str) -> CountScore:
    by_field = None if fields is None else by_grade(fields, region)
    return score(by_grade(counts, region), by_field, H_SCORE_ERROR[region])


def _thresholds(criteria: Criteria) -> Thresholds:
    assert isinstance(criteria, HueValueThresholds | DensityThresholds), "a profile is chosen by its kind of criteria"
    return criteria


def graded_columns(thresholds: Thresholds) -> tuple[str, ...]:
    """The columns that they grade by: of hue and value two, of density one."""
    return COLUMNS[thresholds.method, thresholds.colour]


def graded(cells: Cells, thresholds: Thresholds) -> Grades:
    """The grade of each cell, (n,). Raises Refused OUTLINES_MISSING, COLOUR_MISSING."""
    names = graded_columns(thresholds)
    if not set(names) <= set(cells.columns):
        raise _not_measured(names, outlined=OF_OUTLINE in cells.columns)
    return grades([cells[name] for name in names], thresholds)


def table_of(criteria: Criteria) -> str:
    """The name of the histogram that counts cells by what the criteria grade by."""
    return TABLES[graded_columns(_thresholds(criteria))]


def _table(histograms: Histograms, thresholds: Thresholds) -> IntArray:
    """Raises Refused OUTLINES_MISSING, COLOUR_MISSING."""
    names = graded_columns(thresholds)
    if TABLES[names] not in histograms.tables:
        raise _not_measured(names, outlined=TABLES[OF_OUTLINE,] in histograms.tables)
    return histograms[TABLES[names]]


def _not_measured(names: tuple[str, ...], *, outlined: bool) -> Refused:
    """Why, of cells that were measured before they were, or without outlines."""
    if OF_OUTLINES & set(names) and not outlined:
        message = "the profile grades by the density within outlines, which were not made: analyse again with outlines"
        return Refused(Reason.OUTLINES_MISSING, message)
    message = "the profile grades colours by the white point, which weren't measured: analyse the slide again"
    return Refused(Reason.COLOUR_MISSING, message)


def _rows(measures: Sequence[Measure], region: str, s: CountScore) -> Iterator[Score]:
    """The measures that are wanted, in their order."""
    allred = s.allred
    values: dict[str, float | None] = {
        H_SCORE.code: s.h_score,
        PERCENT_POSITIVE.code: s.percent_positive,
        ALLRED_PS.code: None if allred is None else allred.ps,
        ALLRED_IS.code: None if allred is None else allred.is_,
        ALLRED_TOTAL.code: None if allred is None else allred.total,
        IRS.code: s.irs,
        NUCLEI.code: s.n,
        **{measure.code: count for measure, count in zip(GRADE_COUNTS, s.counts, strict=True)},
    }
    intervals = {H_SCORE.code: s.h_score_ci95, PERCENT_POSITIVE.code: s.percent_positive_ci95}
    for measure in measures:
        if measure.regions and region not in measure.regions:
            continue
        if measure in STATUSES:
            yield scored(measure, region, s.n, category=category_of(measure.code, s.n - s.counts[0], s.n))
            continue
        interval = intervals.get(measure.code) if measure.interval else None
        yield scored(measure, region, s.n, values[measure.code], interval=interval)


def _compartment(scores: Sequence[Score], region: str) -> dict[str, Any]:
    """None becomes null: a compartment without nuclei has no score, and what the assay doesn't measure is null too."""
    rows = {s.measure: s for s in scores if s.region == region}
    values = {name: row.value for name, row in rows.items()}
    whole = {name: None if value is None else int(value) for name, value in values.items()}
    counts = [whole.get(measure.code) for measure in GRADE_COUNTS]
    parts = {"ps": ALLRED_PS, "is": ALLRED_IS, "total": ALLRED_TOTAL}
    allred = {name: whole.get(measure.code) for name, measure in parts.items()}
    return {
        "n": next((row.n for row in rows.values()), None),
        "counts": None if None in counts else counts,
        "h_score": values.get(H_SCORE.code),
        "h_score_ci95": _interval(rows.get(H_SCORE.code)),
        "percent_positive": values.get(PERCENT_POSITIVE.code),
        "percent_positive_ci95": _interval(rows.get(PERCENT_POSITIVE.code)),
        "allred": None if set(allred.values()) == {None} else allred,
        "irs": whole.get(IRS.code),
    }


def _interval(row: Score | None) -> list[float] | None:
    return None if row is None or row.interval is None else list(row.interval)
