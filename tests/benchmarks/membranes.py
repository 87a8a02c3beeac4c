"""The table of docs/models/membrane.md: HER2 on drawn slides of known truth, by the analyzer as it stands.

    python -m tests.benchmarks.membranes cells [--varied] [--foreign] [--drawings 8] [--seed 900]
    python -m tests.benchmarks.membranes slides [--varied] [--foreign] [--laboratories 2] [--seed 900] [--mpp 0.25]

`cells`: drawings of 0.06 mm² of laboratories drawn at random, no region given, the laboratory's true density scale.
`slides`: of each laboratory four slides of known score to calibrate by, then others about every boundary; the tumour's
cells as if it had been drawn. `--varied` draws what the measurement wasn't tuned on: other widths and sizes, stain
vectors, blur, noise, compression, more or less stroma; `--foreign` in another way (tests/benchmarks/foreign.py). One
JSON line a row of the table.
"""

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference.analyze import Options, analyze
from inference.analyzers.her2 import CLASSES, her2_of
from inference.analyzers.membrane import MEMBRANE
from inference.analyzers.membrane_columns import SCHEMA
from inference.analyzers.membrane_criteria import LEAST_SCALE, MOST_SCALE, MembraneCriteria
from inference.calibration.membrane import Known, fit_scale
from inference.cells.file import read_cells
from inference.cells.histograms import histograms_of
from inference.cells.values import Cells, joined
from inference.draw.expression import WIDTHS_UM
from inference.draw.her2 import Her2Drawing, Plan
from inference.draw.scanner import Scanner, turned
from inference.engines.local import LocalEngine
from inference.evaluation.membranes import Appraisal, appraised
from inference.model import read_model, shipped_models
from inference.picture import PictureSlide
from tests.benchmarks.foreign import ForeignDrawing
from tests.benchmarks.measure import Clock, report

Random = np.random.Generator
EVERY = dict.fromkeys(CLASSES, 1.0) | {"none": 3.0}
KNOWN: Mapping[str, Mapping[str, float]] = {
    "0": {"none": 0.97, "faint_incomplete": 0.03},
    "1+": {"none": 0.75, "faint_incomplete": 0.25},
    "2+": {"none": 0.35, "faint_incomplete": 0.25, "moderate_incomplete": 0.1, "moderate_complete": 0.3},
    "3+": {"none": 0.15, "moderate_complete": 0.25, "intense_complete": 0.6},
}
"""What slides to calibrate by are drawn of: their score is what then is true, since neighbours share membranes."""
SIDE_UM, SLIDE_UM = 245.0, 424.0
SHARES = (0.03, 0.05, 0.15, 0.18, 0.25, 0.09, 0.11)
"""Of what parts two scores: clearly on one side of 10 %, and two beside it."""
FAR = 0.05
BOUNDARIES = (("0|1+", "faint_incomplete", {}), ("1+|2+", "moderate_complete", {"faint_incomplete": 0.3}))
BOUNDARIES = (*BOUNDARIES, ("2+|3+", "intense_complete", {"faint_incomplete": 0.2, "moderate_complete": 0.3}))
"""The class whose share parts them, and what else is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How slides are drawn."""

    varied: bool
    foreign: bool

    @property
    def drawing(self) -> type[Her2Drawing]:
        return ForeignDrawing if self.foreign else Her2Drawing


def scanner_of(random: Random, mpp: float, *, varied: bool) -> Scanner:
    """A laboratory."""
    usual = Scanner.any(random, mpp)
    if not varied:
        return usual
    return replace(
        usual,
        blur_um=float(random.uniform(0.15, 0.6)),
        noise=float(random.uniform(0.5, 6)),
        jpeg=int(random.integers(60, 96)),
        sharpening=float(random.uniform(0, 1.0)),
        ground=float(random.uniform(0.02, 0.14)),
        granular=float(random.uniform(0.05, 0.4)),
        white=tuple(random.uniform(215, 254) + random.normal(0, 5, 3)),
        haematoxylin=turned(usual.haematoxylin, random),
        dab=turned(usual.dab, random),
    )


def plan_of(random: Random, mix: Mapping[str, float], side_um: float, *, varied: bool) -> Plan:
    """A piece of tissue."""
    cell_um = float(random.uniform(11, 20))
    if not varied:
        return Plan(side_um=side_um, mix=mix, cell_um=cell_um)
    by = float(random.uniform(0.7, 1.4))
    return Plan(
        side_um=side_um,
        mix=mix,
        cell_um=float(random.uniform(10, 22)),
        widths_um=tuple(w * by for w in WIDTHS_UM),  # type: ignore[arg-type]
        tumour_share=float(random.uniform(0.45, 0.8)),
        lymphocytes=float(random.uniform(0.05, 0.3)),
        alike=float(random.uniform(0.4, 0.9)),
    )


class Bench:
    """Finds cells; `clock` of the finding alone."""

    def __init__(self) -> None:
        self.engine = LocalEngine(read_model(shipped_models(), "membrane"), threads=1)
        self.cpu_s = self.mm2 = 0.0

    def found(self, drawing: Her2Drawing) -> Cells:
        mpp = drawing.scanner.mpp
        slide = PictureSlide(drawing.pixels(), self.engine.model.resolution, mpp=mpp)
        with tempfile.TemporaryDirectory() as folder:
            file, clock = Path(folder) / "cells.parquet", Clock()
            analyze(slide, self.engine, MEMBRANE, file, Options())
            cost = clock.cost((drawing.plan.side_um / 1000) ** 2)
            cells = joined(list(read_cells(file, SCHEMA)))
        self.cpu_s, self.mm2 = self.cpu_s + cost.cpu_seconds, self.mm2 + cost.mm2
        return cells


def of_tumour(drawing: Her2Drawing, cells: Cells) -> Cells:
    """Those that a pathologist who draws the nests would draw in."""
    centre = np.asarray(drawing.cells.centre, np.float32)
    xy = np.stack([cells.x, cells.y], axis=1).astype(np.float32) * drawing.scanner.mpp
    nearest = [int(((centre - at) ** 2).sum(axis=1).argmin()) for at in xy]
    return cells.taken(drawing.tumour[nearest])


def counted(drawing: Her2Drawing) -> npt.NDArray[np.int64]:
    """Its true cells that can be judged by class, (7,)."""
    truth = drawing.truth
    return np.bincount(truth.kind[truth.scorable], minlength=len(CLASSES)).astype(np.int64)


def share_of(counts: npt.NDArray[np.int64], name: str) -> float:
    return float(counts[CLASSES.index(name)] / max(counts[: len(CLASSES)].sum(), 1))


def cells_table(way: Way, mpp: float, drawings: int, seed: int) -> None:
    """The table's rows of cells."""
    bench, seen = Bench(), []
    for i in range(drawings):
        random = np.random.default_rng(seed + i)
        scanner = scanner_of(random, mpp, varied=way.varied)
        drawing = way.drawing(plan_of(random, EVERY, SIDE_UM, varied=way.varied), scanner, seed + i)
        seen.append(appraised(bench.found(drawing), drawing.truth, true_scale(scanner), mpp))
    rows = {f.name: [getattr(one, f.name) for one in seen] for f in fields(Appraisal) if f.name != "kinds"}
    means = {name: round(float(np.mean(values)), 3) for name, values in rows.items()}
    report("membranes cells", mpp=mpp, **asdict(way), drawings=drawings, seed=seed, **means, **spent(bench))


def true_scale(scanner: Scanner) -> MembraneCriteria:
    return MembraneCriteria(od_scale=float(np.clip(1 / scanner.density_scale, LEAST_SCALE, MOST_SCALE)))


def spent(bench: Bench) -> dict[str, float]:
    return {"cpu_s_per_mm2": round(bench.cpu_s / bench.mm2, 2)}


def slides_table(way: Way, mpp: float, laboratories: int, seed: int) -> None:
    """The table's rows of slides: right by boundary, those beside 10 % flagged, error of the share that parts."""
    bench = Bench()
    right: dict[str, list[bool]] = {name: [] for name, _, _ in BOUNDARIES}
    beside: list[tuple[bool, bool]] = []
    errors: list[float] = []
    scales: list[str] = []
    for lab in range(laboratories):
        random = np.random.default_rng(seed + 1000 * lab)
        scanner = scanner_of(random, mpp, varied=way.varied)

        def slide(mix: Mapping[str, float], number: int) -> Her2Drawing:
            plan = plan_of(random, mix, SLIDE_UM, varied=way.varied)  # noqa: B023  (called within the loop alone)
            return way.drawing(plan, scanner, seed + 1000 * lab + number)  # noqa: B023

        known = []
        for number, (score, mix) in enumerate(KNOWN.items()):
            drawing = slide(mix, number)
            cells, truth = of_tumour(drawing, bench.found(drawing)), counted(drawing)
            was = her2_of(truth.tolist())
            assert was is not None
            known.append(Known(name=score, histograms=histograms_of(cells, MEMBRANE.histograms), score=was.score))
        criteria = fit_scale(known).criteria
        scales.append(f"{criteria.od_scale:.2f} of {1 / scanner.density_scale:.2f}")
        for number, ((boundary, parting, others), share) in enumerate(product(BOUNDARIES, SHARES), 10):
            mix = {parting: share, **others}
            drawing = slide({**mix, "none": 1 - sum(mix.values())}, number)
            truth = counted(drawing)
            cells = of_tumour(drawing, bench.found(drawing))
            counts = MEMBRANE.counts(histograms_of(cells, MEMBRANE.histograms), criteria)[: len(CLASSES)]
            said, was = her2_of(counts.tolist(), by_field(cells, criteria, mpp)), her2_of(truth.tolist())
            assert said is not None
            assert was is not None
            true_share = share_of(truth, parting)
            if abs(true_share - 0.10) >= FAR:
                right[boundary].append(said.score == was.score)
            elif abs(true_share - 0.10) <= 0.02:
                beside.append((said.other is not None, said.score == was.score))
            if boundary != "0|1+":
                errors.append(abs(share_of(counts, parting) - true_share))
    report(
        "membranes slides",
        mpp=mpp,
        **asdict(way),
        laboratories=laboratories,
        scales=", ".join(scales),
        seed=seed,
        **{f"right {name}": f"{sum(rows)} of {len(rows)}" for name, rows in right.items()},
        flagged=f"{sum(flag for flag, _ in beside)} of {len(beside)}",
        flagged_or_right=f"{sum(flag or ok for flag, ok in beside)} of {len(beside)}",
        share_error=round(float(np.mean(errors)), 3),
        share_error_most=round(float(np.max(errors)), 3),
        **spent(bench),
    )


def by_field(cells: Cells, criteria: MembraneCriteria, mpp: float) -> npt.NDArray[np.int64]:
    """Cells by squares of about 100 µm and class, (k, 7)."""
    square = (np.floor(cells.x * mpp / 100) * 1000 + np.floor(cells.y * mpp / 100)).astype(np.int64)
    group = MEMBRANE.group_of(cells, criteria).astype(np.int64)
    mine = group < len(CLASSES)
    _, place = np.unique(square[mine], return_inverse=True)
    table = np.zeros((int(place.max(initial=0)) + 1, len(CLASSES)), np.int64)
    np.add.at(table, (place, group[mine]), 1)
    return table


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", choices=["cells", "slides"])
    parser.add_argument("--varied", action="store_true")
    parser.add_argument("--foreign", action="store_true")
    parser.add_argument("--mpp", type=float, nargs="+", default=[0.25, 0.5])
    parser.add_argument("--drawings", type=int, default=8)
    parser.add_argument("--laboratories", type=int, default=2)
    parser.add_argument("--seed", type=int, default=900)
    asked = parser.parse_args()
    way = Way(varied=asked.varied, foreign=asked.foreign)
    for mpp in asked.mpp:
        if asked.table == "cells":
            cells_table(way, mpp, asked.drawings, asked.seed)
        else:
            slides_table(way, mpp, asked.laboratories, asked.seed)


if __name__ == "__main__":
    main()
