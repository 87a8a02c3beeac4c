"""Intervals of drawn slides hold what was drawn, by compartment: the network's and the grading's errors are in them.

Of H-score and percent positive alike.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from inference.analyze import Options, analyze
from inference.analyzers.nuclear import NUCLEAR, REGION_NAMES, by_grade
from inference.assay import assay_of
from inference.draw import draw_slide
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


def told(side: int, seed: int, wanted: float, engine: LocalEngine, folder: Path) -> Told:
    """Of one slide of side x side px."""
    drawing = draw_slide(size=Size(width=side, height=side), seed=seed, h_score=wanted)
    slide = PictureSlide(drawing.read(Region(x=0, y=0, width=side, height=side)), HALF_A_MICROMETRE)
    file, profile = folder / f"{seed}.parquet", built_in(assay_of("ER"))
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


def slides(side: int, wanted: Sequence[float], folder: Path) -> list[Told]:
    engine = LocalEngine(IHC_TILE, threads=1)
    return [told(side, 40 + seed, h, engine, folder) for seed, h in enumerate(wanted)]


def test_of_a_few_small_slides_every_compartment_has_an_interval_that_holds_its_truth(tmp_path: Path) -> None:
    for slide in slides(1000, (20, 260), tmp_path):
        for case, (truth, interval) in slide.items():
            assert holds(truth, interval), (case, truth, interval)
            assert interval is not None
            assert interval[1] - interval[0] < 100


@pytest.mark.skipif(not os.environ.get("SOAK"), reason="twenty slides: SOAK=1")
def test_by_compartment_nine_in_ten_intervals_hold_the_truth(tmp_path: Path) -> None:
    wanted = [20 + 13 * i for i in range(20)]
    found = slides(1600, wanted, tmp_path)
    for case in CASES:
        held = sum(holds(*slide[case]) for slide in found)
        assert held >= 0.9 * len(wanted), (case, held)
