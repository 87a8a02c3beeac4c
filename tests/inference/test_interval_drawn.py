"""Intervals of drawn slides hold what was drawn, by compartment: the network's and the grading's errors are in them.

Of H-score and percent positive alike.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from inference.analyze import Options, analyze
from inference.analyzers.nuclear import NUCLEAR, REGION_NAMES, by_grade
from inference.assay import assay_of
from inference.draw import Drawing, draw_difficult, draw_slide
from inference.draw.difficult import KINDS
from inference.engines.local import LocalEngine
from inference.fields import fields_of
from inference.geometry import Region, Size
from inference.measures import Interval
from inference.picture import PictureSlide
from inference.score import h_score, percent_positive
from server.domain.order import Specimen
from server.domain.profile import built_in
from server.scoring import scores_of
from tests.models import HALF_A_MICROMETRE, IHC_TILE

ENDOMETRIUM = Specimen(site_code="2739003", site_scheme="SCT", site_text="Endometrium")
MEASURES = {"HSCORE": h_score, "PERCENT_POSITIVE": percent_positive}
CASES = [(region, measure) for region in REGION_NAMES for measure in MEASURES]
Told = dict[tuple[str, str], tuple[float | None, Interval | None]]
"""By region and measure: what was drawn, and the interval."""


def told(drawing: Drawing, engine: LocalEngine, folder: Path) -> Told:
    """Of one slide."""
    whole = Region(x=0, y=0, width=drawing.size.width, height=drawing.size.height)
    slide = PictureSlide(drawing.read(whole), HALF_A_MICROMETRE)
    file, profile = folder / f"{drawing.seed}.parquet", built_in(assay_of("ER"))
    analysis = analyze(slide, engine, NUCLEAR, file, Options())
    fields = fields_of(file, NUCLEAR, profile.criteria, mpp=slide.facts.mpp)
    rows = scores_of(assay_of("ER"), analysis.histograms, profile, fields, ENDOMETRIUM)
    counts = drawing.truth.counts.reshape(-1)
    intervals = {(row.region, row.measure): row.interval for row in rows}
    return {
        (region, measure): (MEASURES[measure](tuple(by_grade(counts, region).tolist())), intervals[region, measure])
        for region, measure in CASES
    }


def holds(truth: float | None, interval: Interval | None) -> bool:
    return truth is not None and interval is not None and interval[0] <= truth <= interval[1]


def drawn(side: int, wanted: Sequence[float]) -> Iterator[Drawing]:
    """Usual slides, one for each H-score."""
    for seed, h in enumerate(wanted):
        yield draw_slide(size=Size(width=side, height=side), seed=40 + seed, h_score=h)


def difficult(side: int, wanted: Sequence[float]) -> Iterator[Drawing]:
    """Each kind of difficult slides in turn, in nests with stroma between, one for each H-score."""
    kinds = [replace(kind, nests=True) for kind in KINDS.values()]
    for seed, h in enumerate(wanted):
        yield draw_difficult(kinds[seed % len(kinds)], size=Size(width=side, height=side), seed=60 + seed, h_score=h)


def test_of_a_few_small_slides_every_compartment_has_an_interval_that_holds_its_truth(tmp_path: Path) -> None:
    engine = LocalEngine(IHC_TILE, threads=1)
    for drawing in drawn(1000, (20, 260)):
        for case, (truth, interval) in told(drawing, engine, tmp_path).items():
            assert holds(truth, interval), (case, truth, interval)
            assert interval is not None
            assert interval[1] - interval[0] < 100


@pytest.mark.skipif(not os.environ.get("SOAK"), reason="forty slides: SOAK=1")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("slides", "given"), [(drawn, 1.0), (difficult, 0.5)])
def test_by_compartment_nine_in_ten_intervals_hold_the_truth(
    slides: Callable[[int, Sequence[float]], Iterator[Drawing]], given: float, tmp_path: Path
) -> None:
    """Where a compartment has too few fields it has no interval: of large nuclei in small nests, often."""
    wanted = [20 + 13 * i for i in range(20)]
    engine = LocalEngine(IHC_TILE, threads=1)
    found = [told(drawing, engine, tmp_path) for drawing in slides(1600, wanted)]
    for case in CASES:
        there = [slide[case] for slide in found if slide[case][1] is not None]
        held = sum(holds(*one) for one in there)
        assert len(there) >= given * len(found), case
        assert held >= 0.9 * len(there), (case, held, there)
