"""Membrane stains (HER2 of the breast): cells by how much of their membrane is stained, and how strongly."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from inference import quality
from inference.analyzers import her2
from inference.analyzers.analyzer import (
    NOT_VALIDATED,
    SCALE_UNKNOWN,
    Group,
    Groups,
    Legend,
    MapSegment,
    Mismatch,
    Usual,
)
from inference.analyzers.her2 import CLASSES, LOWS, SCORES, Her2
from inference.analyzers.membrane_cells import measured_cells
from inference.analyzers.membrane_columns import (
    COMPLETE,
    COMPLETENESS,
    DENSITY,
    DENSITY_UNIT,
    HISTOGRAMS,
    NONE_BELOW,
    SCHEMA,
    cells_of_measured,
    densities,
    gain,
    step_name,
)
from inference.analyzers.membrane_criteria import MembraneCriteria
from inference.cells.by_hand import overruled
from inference.cells.histograms import Histograms
from inference.cells.values import Cells, IntArray
from inference.control_kind import ControlKind
from inference.criteria import Criteria
from inference.errors import Reason
from inference.infer import TileAnswer
from inference.measures import ALL, ONE, PERCENT, SCORE_UNIT, Measure, Region, Score, scored
from inference.pattern import Pattern
from inference.slide import Rgb

TUMOUR = "tumour"
REGIONS = (
    Region(name=TUMOUR, code="TUMOUR", display="Tumour cells"),
    Region(name=ALL, code="ALL_CELLS", display="All cells"),
)
COARSE_MPP = 0.375
"""From here on the faint membranes of a 1+ can be missed."""
EOSIN_SATURATION, SOME_BROWN = 0.12, 0.01
"""The pale ground of an immunostain may be pinkish: eosin is stronger, and where something is brown it is none."""

NOT_SCORABLE, OTHER = len(CLASSES), len(CLASSES) + 1
COLOURS = (
    (60, 110, 220),
    (250, 230, 120),
    (250, 180, 60),
    (235, 110, 60),
    (200, 190, 30),
    (220, 120, 0),
    (160, 20, 20),
)
GROUPS = (
    *(
        Group(
            name=f"{TUMOUR} {name}",
            title=f"{TUMOUR}: {name.replace('_', ' ')}",
            description=f"Tumour cells, membrane stained: {name.replace('_', ' ')}",
            region=TUMOUR,
            colour=colour,
            filled=not name.endswith("incomplete"),
        )
        for name, colour in zip(CLASSES, COLOURS, strict=True)
    ),
    Group(
        name=f"{TUMOUR} not scorable",
        title=f"{TUMOUR}: not scorable",
        description="Tumour cells whose membrane can't be judged",
        region=TUMOUR,
        colour=(150, 150, 150),
        filled=False,
    ),
    Group(name="other", title="other", description="Other cells", region="other", colour=(120, 200, 120), filled=False),
)
SEGMENTS = (
    MapSegment(
        name="stained",
        description="At least one tumour cell with a stained membrane",
        region=TUMOUR,
        groups=frozenset(range(1, len(CLASSES))),
    ),
    MapSegment(
        name="intense complete",
        description="At least one tumour cell with an intense complete membrane",
        region=TUMOUR,
        groups=frozenset({her2.INTENSE_C}),
    ),
)

SCORE = Measure(code="HER2_SCORE", display="HER2 score", title="HER2", categories=SCORES)
LOW = Measure(code="HER2_LOW", display="HER2-low", title="HER2-low", categories=LOWS)
OTHER_SCORE = Measure(
    code="HER2_OTHER_SCORE",
    display="HER2 score on the other side of 10 %, which an interval spans",
    title="or",
    categories=(*SCORES, "none"),
)
REFLEX = Measure(code="HER2_REFLEX", display="HER2 reflex testing", categories=("in situ hybridisation", "none"))
SHARES = tuple(
    Measure(
        code=f"HER2_SHARE_{name.upper()}",
        display=f"Membrane {name.replace('_', ' ')}",
        unit=PERCENT,
        title=f"{name.replace('_', ' ').replace('complete', 'c.')} %",
        interval=True,
    )
    for name in CLASSES
)
H_SCORE = Measure(code="HER2_HSCORE", display="Membrane H-score", unit=SCORE_UNIT, title="H-score")
CELLS = Measure(code="COUNT_CELLS", display="Tumour cells scored", unit=ONE, title="cells", whole=True)
LEFT_OUT = Measure(
    code="COUNT_NOT_SCORABLE", display="Tumour cells that can't be judged", unit=ONE, title="left out", whole=True
)
OTHERS = Measure(code="COUNT_OTHER_CELLS", display="Other cells", unit=ONE, whole=True)
MEASURES = (SCORE, LOW, OTHER_SCORE, REFLEX, *SHARES, H_SCORE, CELLS, LEFT_OUT, OTHERS)

RULE_SILENT, NEAR_BOUNDARY, RESOLUTION_LOW = "RULE_SILENT", "NEAR_BOUNDARY", "RESOLUTION_LOW"
WHOLE_TISSUE = "WHOLE_TISSUE"
LEAST_CELLS = 100
MOST_BLUSH = 0.30
LEAST_TUMOUR = 0.22
"""Share of tumour cells among all: in drawn stroma without any 0.15 to 0.21 are taken for such."""
UNVALIDATED = "HER2: not validated on patient material; research use only."
WHOLE_NOTE = (
    "The score is of every cell that looks like an epithelial one, by its nucleus or the membrane round it: in-situ"
    " tumour and healthy glands count, most of the stroma doesn't. Draw the invasive tumour, without what is in situ,"
    " to have a score of it."
)
NOTES = (
    "HER2: the floor of 1 % for intense complete staining, and the score of patterns on which the guideline is silent"
    " (RULE_SILENT), are this software's and not the guideline's.",
)


class MembraneAnalyzer(Usual):
    """`inference.analyzers.analyzer.Analyzer` for membrane stains."""

    kind = "membrane"
    schema = SCHEMA
    structure = "cell"
    stain = "immunohistochemistry"
    histograms = HISTOGRAMS
    regions = REGIONS
    groups = GROUPS
    segments = SEGMENTS
    measures = MEASURES
    legend = Legend(
        marks=tuple((name.replace("_", " "), colour) for name, colour in zip(CLASSES, COLOURS, strict=True)),
        note="disc complete or none, ring incomplete",
        by="membrane",
    )
    criteria: tuple[type[Criteria], ...] = (MembraneCriteria,)
    least_cells = LEAST_CELLS
    file_stem = "cells"
    controls = tuple(
        ControlKind(name=score, measure=SCORE, region=TUMOUR, category=score) for score in reversed(SCORES)
    )
    notes = NOTES
    unvalidated = UNVALIDATED
    uncalibrated = (SCALE_UNKNOWN,)
    whole_note = WHOLE_NOTE
    remark_words = frozenset({RULE_SILENT, NEAR_BOUNDARY, RESOLUTION_LOW, NOT_VALIDATED})
    whole_remarks = (WHOLE_TISSUE,)
    drawn_alone = True

    def cells_of(self, answer: TileAnswer, mpp: float) -> Cells:
        haematoxylin, dab = (densities(answer.maps[name]) for name in ("haematoxylin", "dab"))
        return cells_of_measured(measured_cells(haematoxylin, dab * np.float32(gain(mpp)), mpp))

    def mismatch(self, overview: Rgb) -> Mismatch | None:
        if quality.looks_like_he(overview, EOSIN_SATURATION) and quality.brown_share(overview) < SOME_BROWN:
            message = "the slide looks like H&E, not an immunostain; check which slide was ordered"
            return Mismatch(reason=Reason.NOT_IHC, message=message)
        return None

    def misplaced(self, pattern: Pattern) -> Mismatch | None:
        if pattern is Pattern.NUCLEAR:
            message = "the stain lies in nuclei, not on membranes; check which slide was ordered"
            return Mismatch(reason=Reason.NOT_MEMBRANE, message=message)
        return None

    def group_of(self, cells: Cells, criteria: Criteria) -> Groups:
        c = _criteria(criteria)
        extent = np.digitize(cells[COMPLETENESS[c.step]], (NONE_BELOW, COMPLETE))
        return overruled(cells, _group(cells["tumour"], cells["scorable"], extent, cells[DENSITY[c.step]], c))

    def counts(self, histograms: Histograms, criteria: Criteria) -> IntArray:
        c = _criteria(criteria)
        table = histograms[step_name("stain", c.step)].sum(axis=2)
        tumour, scorable, extent, density = np.indices(table.shape)
        groups = _group(tumour, scorable, extent, density, c)
        counted = np.bincount(groups.ravel(), table.ravel(), len(GROUPS)).astype(np.int64)
        return np.asarray(counted + histograms.by_hand(len(GROUPS)), np.int64)

    def scores(self, measures: Sequence[Measure], counts: IntArray, fields: IntArray | None) -> tuple[Score, ...]:
        return (*_rows(measures, counts, fields), *_rows_of_all(measures, counts))

    def field_score(self, measures: Sequence[Measure], fields: IntArray) -> npt.NDArray[np.float64]:
        """The membrane H-score, 0 where a field has no tumour cell that can be judged."""
        mine = fields[:, : len(CLASSES)]
        weighted: npt.NDArray[np.float64] = mine @ her2.H_WEIGHTS / np.maximum(mine.sum(axis=1), 1)
        return weighted

    def spot_json(self, measures: Sequence[Measure], score: float) -> dict[str, Any]:
        return {"membrane_h_score": score}

    def extra_json(self, scores: Sequence[Score]) -> dict[str, Any]:
        return {}

    def remarks(self, counts: IntArray, fields: IntArray | None, mpp: float) -> tuple[str, ...]:
        found = _her2(counts, fields)
        said = {
            NOT_VALIDATED: True,
            RULE_SILENT: found is not None and found.silent,
            NEAR_BOUNDARY: found is not None and found.other is not None,
            RESOLUTION_LOW: mpp > COARSE_MPP,
        }
        return tuple(word for word, there in said.items() if there)

    def unscorable(self, histograms: Histograms, counts: IntArray) -> Mismatch | None:
        """CYTOPLASMIC_BLUSH above 30 % of the tumour cells, TOO_FEW_CELLS below 100 or where they are as few among all
        as are taken for such in stroma alone.
        """
        table = histograms[step_name("stain", 0)]
        tumour, blushed, n = int(table[1].sum()), int(table[1, :, 1].sum()), int(counts[: len(CLASSES)].sum())
        if tumour and blushed > MOST_BLUSH * tumour:
            message = (
                f"{100 * blushed / tumour:.0f} % of the tumour cells have stained cytoplasm: stain the slide again"
            )
            return Mismatch(reason=Reason.CYTOPLASMIC_BLUSH, message=message)
        if n < LEAST_CELLS:
            message = f"{n} tumour cells can be judged, {LEAST_CELLS} are needed: check the slide, or draw the tumour"
            return Mismatch(reason=Reason.TOO_FEW_CELLS, message=message)
        if tumour < LEAST_TUMOUR * table.sum():
            message = (
                f"{tumour} of {table.sum()} cells look like a tumour's, no more than in stroma alone: check the slide,"
                " or draw the tumour"
            )
            return Mismatch(reason=Reason.TOO_FEW_CELLS, message=message)
        return None

    def scored_columns(self, cells: Cells, criteria: Criteria) -> Mapping[str, npt.NDArray[Any]]:
        """`completeness` 0 to 1, `membrane_od`, the true density of the stained part's crest, and `class`."""
        c = _criteria(criteria)
        extent = np.digitize(cells[COMPLETENESS[c.step]], (NONE_BELOW, COMPLETE))
        kind = _classes(extent, cells[DENSITY[c.step]], c)
        return {
            "completeness": (cells[COMPLETENESS[c.step]] / 100).astype(np.float32),
            "membrane_od": c.true(cells[DENSITY[c.step]] * DENSITY_UNIT).astype(np.float32),
            "class": np.array(CLASSES)[kind],
        }


MEMBRANE = MembraneAnalyzer()


def _criteria(criteria: Criteria) -> MembraneCriteria:
    assert isinstance(criteria, MembraneCriteria), "a profile is chosen by its kind of criteria"
    return criteria


def _classes(extent: npt.NDArray[Any], density: npt.NDArray[Any], c: MembraneCriteria) -> npt.NDArray[np.int64]:
    """The place in CLASSES; `extent` 0 none, 1 incomplete, 2 complete; `density` in DENSITY_UNIT."""
    cuts = [c.shown(true) / DENSITY_UNIT for true in (c.moderate_from, c.intense_from)]
    band = np.digitize(density, cuts)
    return np.where(extent == 0, her2.NONE, 1 + band + 3 * (extent == 2)).astype(np.int64)


def _group(
    tumour: npt.NDArray[Any],
    scorable: npt.NDArray[Any],
    extent: npt.NDArray[Any],
    density: npt.NDArray[Any],
    c: MembraneCriteria,
) -> Groups:
    judged = np.where(scorable == 1, _classes(extent, density, c), NOT_SCORABLE)
    return np.where(tumour == 1, judged, OTHER).astype(np.uint8)


def _her2(counts: IntArray, fields: IntArray | None) -> Her2 | None:
    by_class = slice(0, len(CLASSES))
    return her2.her2_of(counts[by_class].tolist(), None if fields is None else fields[:, by_class])


def _rows(measures: Sequence[Measure], counts: IntArray, fields: IntArray | None) -> Iterator[Score]:
    """Of the tumour cells, in the order that is wanted."""
    by_class = counts[: len(CLASSES)].tolist()
    n, found = sum(by_class), _her2(counts, fields)
    categories = _categories(found)
    values: dict[str, float | None] = {m.code: 100 * by_class[i] / n if n else None for i, m in enumerate(SHARES)}
    values |= {H_SCORE.code: her2.membrane_h_score(by_class), CELLS.code: n}
    values |= {LEFT_OUT.code: int(counts[NOT_SCORABLE])}
    for measure in measures:
        if measure.categorical:
            yield scored(measure, TUMOUR, n, category=categories.get(measure.code))
        elif measure is not OTHERS:
            interval = None
            if measure in SHARES and fields is not None and n:
                interval = her2.share_interval(fields[:, : len(CLASSES)], (SHARES.index(measure),))
            yield scored(measure, TUMOUR, n, values[measure.code], interval=interval)


def _categories(found: Her2 | None) -> dict[str, str]:
    if found is None:
        return {}
    reflex = "in situ hybridisation" if found.reflex else "none"
    return {
        SCORE.code: found.score,
        LOW.code: found.low,
        OTHER_SCORE.code: found.other or "none",
        REFLEX.code: reflex,
    }


def _rows_of_all(measures: Sequence[Measure], counts: IntArray) -> Iterator[Score]:
    if OTHERS in measures:
        yield scored(OTHERS, ALL, int(counts.sum()), int(counts[OTHER]))
