"""Counts by area after a person changed a result, or it was scored anew; what has to be drawn before it is signed."""

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from inference.analyzers.he import DENSITY, TOTAL
from inference.analyzers.he_criteria import HeCriteria
from inference.assay import Assay, assay_of
from inference.draw.he import HeDrawing, Plan
from inference.draw.scanner import Scanner
from inference.drawn_area import area_px
from inference.geometry import Size
from inference.measures import ALL
from inference.tissue import tissue_mask
from server.domain.access import Caller
from server.domain.change import CellChange, DrawnRegion, RegionClass
from server.domain.errors import Refused, ServiceReason
from server.domain.order import Order
from server.domain.profile import built_in
from server.domain.repositories import ResultRepository
from server.domain.result import Result, ResultId
from server.domain.states import ResultState
from server.domain.views import ResultView
from server.services.analysis import AnalysisService, Method, Picture
from server.services.changes import ChangeService, Wanted
from server.services.results import ResultService, check_drawn
from tests.inference.he_engine import PictureSlide, ThresholdEngine
from tests.made import CREATED_AT, MPP
from tests.made_he import made_he_result

N, TUMOUR, EXCLUDE = 2_000, RegionClass.TUMOUR, RegionClass.EXCLUDE
BOX = ((1_000.0, 1_000.0), (9_000.0, 1_000.0), (9_000.0, 7_000.0), (1_000.0, 7_000.0))
HALF = ((1_000.0, 1_000.0), (5_000.0, 1_000.0), (5_000.0, 7_000.0), (1_000.0, 7_000.0))
BOX_MM2 = 8_000 * 6_000 * MPP**2 / 1e6


@dataclass
class Kept:
    """A repository in memory of results that nobody signed."""

    results: dict[ResultId, Result] = field(default_factory=dict)

    def get(self, actor: Caller, result_id: ResultId) -> ResultView:
        if result_id not in self.results:
            raise Refused(ServiceReason.RESULT_UNKNOWN, "no such result")
        return ResultView(result=self.results[result_id], state=ResultState.PRELIMINARY, lab="lab")

    def order_of(self, actor: Caller, result_id: ResultId) -> Order | None:
        return None

    def keep(self, actor: Caller, result: Result, lab: str) -> ResultView:
        self.results[result.id] = result
        return self.get(actor, result.id)


@dataclass
class Laboratory:
    first: Result
    kept: Kept
    folder: Path

    def change(self, of: Result, **wanted: Any) -> Result:
        service = ChangeService(cast(ResultRepository, self.kept), self.folder, now=lambda: CREATED_AT)
        return service.change(CALLER, of.id, Wanted(why="to see", **wanted), "").result


CALLER = cast(Caller, type("Made", (), {"subject": "a.pathologist"})())


@pytest.fixture
def laboratory(tmp_path: Path) -> Laboratory:
    """With one H&E result, as a worker left it."""
    first = made_he_result(tmp_path, N)
    return Laboratory(first=first, kept=Kept({first.id: first}), folder=tmp_path)


def density(result: Result, region: str = ALL) -> float | None:
    row = result.score(DENSITY, region)
    assert row is not None
    return row.value


def count(result: Result, region: str = ALL) -> float:
    row = result.score(TOTAL, region)
    assert row is not None
    assert row.value is not None
    return row.value


def test_counts_by_area_stay_where_criteria_or_single_cells_are_changed(laboratory: Laboratory) -> None:
    first, mm2 = laboratory.first, laboratory.first.analysis.tissue_mm2
    profile = replace(first.profile, criteria=HeCriteria(least_probability=0.5), revision=2)
    service = ResultService(cast(ResultRepository, laboratory.kept), cast(Any, None), now=lambda: CREATED_AT)
    anew = service.rescore(CALLER, first.id, profile)
    assert density(anew.result) == pytest.approx(N / mm2)
    changed = laboratory.change(first, cells=(CellChange(row=3, group=None), CellChange(row=4, group=0)))
    assert density(changed) == pytest.approx((N - 1) / mm2)


def test_a_drawn_region_has_counts_by_what_was_drawn_and_all_tissue_its_own(laboratory: Laboratory) -> None:
    drawn = laboratory.change(laboratory.first, regions=(DrawnRegion(kind=TUMOUR, points=BOX),))
    assert density(drawn) == pytest.approx(N / drawn.analysis.tissue_mm2)
    assert density(drawn, TUMOUR) == pytest.approx(count(drawn, TUMOUR) / BOX_MM2)
    assert 0 < count(drawn, TUMOUR) < N


def test_what_is_left_out_of_a_region_is_no_area_of_it_and_all_tissue_has_none_then(laboratory: Laboratory) -> None:
    regions = (DrawnRegion(kind=TUMOUR, points=BOX), DrawnRegion(kind=EXCLUDE, points=HALF))
    drawn = laboratory.change(laboratory.first, regions=regions)
    assert density(drawn) is None
    assert density(drawn, TUMOUR) == pytest.approx(count(drawn, TUMOUR) / (BOX_MM2 / 2))


def test_warned_of_until_a_tumour_is_drawn_and_again_where_that_is_taken_back(laboratory: Laboratory) -> None:
    drawn = laboratory.change(laboratory.first, regions=(DrawnRegion(kind=TUMOUR, points=BOX),))
    back = laboratory.change(drawn, cells=(CellChange(row=3, group=None),))
    assert ["WHOLE_TISSUE" in r.warnings for r in (laboratory.first, drawn, back)] == [True, False, True]


@pytest.mark.parametrize(("marker", "signed"), [("HE", True), ("HER2", False)])
def test_he_of_the_whole_tissue_is_signed_and_her2_is_not(laboratory: Laboratory, marker: str, signed: bool) -> None:
    assay: Assay = assay_of(marker)
    result = replace(laboratory.first, marker=marker, warnings=assay.analyzer.whole_remarks)
    assert "WHOLE_TISSUE" in result.warnings
    with nullcontext() if signed else pytest.raises(Refused, match="draw the tumour"):
        check_drawn(result)


def test_an_area_is_that_of_polygons_together_on_the_slide_by_the_even_odd_rule() -> None:
    size = Size(width=100, height=100)
    square = np.array([(10.0, 10.0), (30.0, 10.0), (30.0, 30.0), (10.0, 30.0)])
    triangle = np.array([(0.0, 0.0), (40.0, 0.0), (0.0, 40.0)])
    crossed = np.array([(0.0, 0.0), (20.0, 20.0), (20.0, 0.0), (0.0, 20.0)])
    beyond = square + 80
    assert area_px([square, square + 10], size) == pytest.approx(2 * 400 - 100, rel=1e-3)
    assert area_px([triangle], size) == pytest.approx(800, rel=1e-3)
    assert area_px([crossed], size) == pytest.approx(200, rel=1e-3)
    assert area_px([beyond], size) == pytest.approx(100, rel=1e-3)
    assert area_px([beyond + 50], size) == 0
    assert area_px([square], size, [square + np.array([10, 0])]) == pytest.approx(200, rel=1e-3)


def test_small_regions_far_apart_have_their_own_areas() -> None:
    """Two annotations at the ends of a slide: lines across it all would miss what is so small."""
    for side in (37, 200, 410, 1003):
        first = np.array([(10, 13), (10 + side, 13), (10 + side, 13 + side), (10, 13 + side)], np.float64)
        both = [first, first + np.array([5000, 95_950])]
        assert area_px(both, Size(width=100_000, height=100_000)) == pytest.approx(2 * side**2, rel=1e-6)


def test_a_picture_s_counts_are_by_the_tissue_in_it() -> None:
    pixels = HeDrawing(Plan(side_um=200, tissue=0.5), Scanner(mpp=0.25), seed=11).pixels()
    slide, none = PictureSlide(pixels=pixels), cast(Any, None)
    service = AnalysisService(lambda _: ThresholdEngine(), lambda *_: slide, none)
    method = Method(assay=assay_of("HE"), profile=built_in(assay_of("HE")))
    found = service.analyze(Picture(data=b"png", mpp=0.25), method, lambda: None)
    row = next(row for row in found.scores if row.measure == DENSITY.code)
    overview, grid = slide.overview(2.0)
    tissue = tissue_mask(overview, grid.mpp).mean() * 0.2**2
    assert 0.01 < tissue < 0.035, "half of it is glass"
    assert row.value == pytest.approx(len(found.cells) / tissue, rel=0.02)
