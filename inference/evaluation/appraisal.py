"""A detector measured on annotated pictures: the metric with intervals, counting, agreement,
reliability, robustness.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from inference.analyze import find_cells
from inference.analyzers.nuclear import NUCLEAR
from inference.analyzers.whitened import white_columns
from inference.cells.values import Cells, made_cells
from inference.criteria import Criteria
from inference.evaluation.agreement import Agreement, agreement
from inference.evaluation.counting import Counting, Graded, by_compartment
from inference.evaluation.interval import Interval, intervals
from inference.evaluation.metric import Evaluation, Points, evaluate
from inference.evaluation.reliability import Reliability, reliability
from inference.evaluation.robustness import CURVES, changed
from inference.grade import GRADES, Grades
from inference.infer import Engine
from inference.model import Model
from inference.picture import PictureSlide
from inference.slide import Rgb
from inference.stain import hue_value_density, mean_rgb
from inference.white import white_of

FAINTEST = 0.01  # nucleus probability from which a peak takes part in the metric

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotated:
    """A picture and its keypoints, in px of the picture."""

    picture: Rgb
    points: Points


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraisal:
    """All figures of one set; see the modules that they come from."""

    evaluation: Evaluation
    intervals: dict[str, Interval]
    counting: dict[str, Counting]
    agreement: Agreement
    reliability: Reliability


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The metric of the set at one level of one curve of `inference.evaluation.robustness`."""

    curve: str
    unit: str
    level: float
    mAP: float  # noqa: N815 - the field's spelling
    epithelium: float
    agnostic: float
    f1: float


def appraise(
    engine: Engine, tiles: Sequence[Annotated], *, mpp: float, criteria: Criteria, progress: Progress
) -> Appraisal:
    """Measure an engine.

    Annotated points are graded by the same square, colours and criteria as the nuclei it finds.
    """
    predicted, counted, truth = [], [], []
    for done, tile in enumerate(tiles, 1):
        predicted.append(points_of(_found(tile.picture, engine, mpp, FAINTEST)))
        cells = _found(tile.picture, engine, mpp, engine.model.counting_threshold)
        counted.append(Graded(points=points_of(cells), grade=_graded(cells, criteria)))
        truth.append(Graded(points=tile.points, grade=_graded(_measured(tile, engine.model, mpp), criteria)))
        progress(done / len(tiles))
    annotated = [t.points for t in tiles]
    return Appraisal(
        evaluation=evaluate(predicted, annotated, mpp=mpp),
        intervals=intervals(predicted, annotated, mpp=mpp),
        counting=by_compartment(counted, truth, mpp=mpp),
        agreement=agreement([g.points for g in counted], annotated, mpp=mpp),
        reliability=reliability(predicted, annotated, mpp=mpp),
    )


def robustness(engine: Engine, tiles: Sequence[Annotated], *, mpp: float, progress: Progress) -> list[Changed]:
    """The metric at every level of every curve."""
    results = []
    levels = [(curve, level) for curve in CURVES for level in curve.levels]
    for done, (curve, level) in enumerate(levels, 1):
        moved = [changed(curve, t.picture, t.points, level) for t in tiles]
        factor = level if curve.scales else 1.0
        predicted = [points_of(_found(picture, engine, mpp, FAINTEST)) for picture, _ in moved]
        # the pixels of a scaled picture are smaller than the engine is told, so is the radius that it's measured by
        e = evaluate(predicted, [points for _, points in moved], mpp=mpp / factor)
        results.append(
            Changed(
                curve=curve.name,
                unit=curve.unit,
                level=level,
                mAP=e.mAP,
                epithelium=e.epithelium,
                agnostic=e.agnostic,
                f1=e.f1,
            )
        )
        progress(done / len(levels))
    return results


def points_of(cells: Cells) -> Points:
    """Detected nuclei as keypoints of the metric."""
    xy = np.stack([cells.x, cells.y], axis=1)
    return Points(xy=xy, label=cells["compartment"].astype(np.int64), confidence=cells["confidence"].astype(np.float64))


def _found(picture: Rgb, engine: Engine, mpp: float, faintest: float) -> Cells:
    slide = PictureSlide(picture, engine.model.resolution, mpp=mpp)
    return find_cells(slide, engine, NUCLEAR, faintest)


def _graded(cells: Cells, criteria: Criteria) -> Grades:
    return NUCLEAR.group_of(cells, criteria) % GRADES


def _measured(tile: Annotated, model: Model, mpp: float) -> Cells:
    """The annotated points as nuclei, measured on the working grid like any other."""
    slide = PictureSlide(tile.picture, model.resolution, mpp=mpp)
    grid = slide.working
    x, y = grid.from_base(tile.points.xy[:, 0]), grid.from_base(tile.points.xy[:, 1])
    hue, value, density = hue_value_density(mean_rgb(slide.pixels, x, y))
    return made_cells(
        NUCLEAR.schema,
        tile.points.xy[:, 0],
        tile.points.xy[:, 1],
        compartment=tile.points.label,
        confidence=tile.points.confidence,
        hue=hue,
        value=value,
        dab_od_centi=density,
        **white_columns(slide.pixels, x, y, white_of(slide).rgb),
    )
