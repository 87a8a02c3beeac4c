"""What a laboratory's rules and records make of the controls of a case; pixels and engine are dots."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from inference.assay import assay_of
from inference.control import ControlStatus, CoreFound
from inference.control_kind import Place
from inference.errors import Refused
from inference.grade import HueValueThresholds
from server.control_gate import Asked, Gate, gate_of_order
from server.domain.choice import Preparation
from server.domain.control import (
    AbsentControl,
    ChartKey,
    ControlPoint,
    ControlRange,
    ControlRules,
    PlaceRule,
    RunControl,
)
from server.domain.errors import ServiceReason
from server.domain.order import Specimen
from server.domain.profile import built_in
from tests.inference.test_analyze import DOT, TISSUE, DotEngine
from tests.made_slide import ArraySlide

ER = assay_of("ER")
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
BLUE, BROWN = HueValueThresholds(hue=130, left=60, right=105), HueValueThresholds(hue=230, left=60, right=105)
"""The dots have hue 220: unstained under the one, stained under the other."""
SIDE = 800
MM = SIDE * 0.5 / 1000


@dataclass(frozen=True, slots=True)
class Records:
    """What is kept."""

    ranges: tuple[ControlRange, ...] = ()
    run: RunControl | None = None
    pending: bool = False
    points: tuple[ControlPoint, ...] = ()

    def control_ranges(self, lab: str, marker: str) -> Sequence[ControlRange]:
        return [r for r in self.ranges if r.marker == marker]

    def run_control(self, lab: str, marker: str, staining_run: str) -> RunControl | None:
        return self.run

    def control_pending(self, lab: str, marker: str, staining_run: str) -> bool:
        return self.pending

    def control_points(self, lab: str, key: ChartKey, limit: int) -> Sequence[ControlPoint]:
        return self.points


def dots(*tissue: tuple[int, int]) -> ArraySlide:
    """Tissue with dots from one column to another, glass elsewhere."""
    pixels = np.full((SIDE, SIDE, 3), 250, np.uint8)
    for left, right in tissue:
        pixels[:, left:right] = TISSUE
        for x in range(left + 10, right - 10, 20):
            for y in range(10, SIDE, 20):
                pixels[y : y + 3, x : x + 3] = DOT
    return ArraySlide(pixels)


WITH_CONTROL, BARE = dots((0, 200), (400, 800)), dots((400, 800))
BOX = Place(kinds=("negative",), box_mm=(0, 0, MM / 4, MM))
RULES = ControlRules(expected=True, places=(PlaceRule(place=BOX),))
WITHHOLD = replace(RULES, absent=AbsentControl.WITHHOLD)
RUN = RunControl(result_id="R", measured_at=NOW - timedelta(hours=1), status=ControlStatus.PASSED)


def gate(
    slide: ArraySlide = WITH_CONTROL,
    criteria: HueValueThresholds = BLUE,
    rules: ControlRules = RULES,
    records: Records = Records(),
    **specimen: str,
) -> Gate:
    asked = Asked(
        lab="L",
        assay=ER,
        specimen=Specimen(**specimen),
        preparation=Preparation(clone="SP1", stainer="S-1"),
        rules=rules,
        today=date(2026, 3, 2),
        now=NOW,
    )
    return gate_of_order(slide, DotEngine(), replace(built_in(ER), criteria=criteria), asked, records)


def limits(**changed: object) -> ControlRange:
    given = {
        "id": 1,
        "lab": "L",
        "marker": "ER",
        "kind": "negative",
        "measure": "PERCENT_POSITIVE",
        "high": 5.0,
    } | changed
    return ControlRange(**given)  # type: ignore[arg-type]


def test_control_tissue_by_position_passes_or_fails() -> None:
    passed, failed = gate(), gate(criteria=BROWN)
    assert (passed.control.status, passed.open, passed.warnings) == (ControlStatus.PASSED, True, ())
    assert (failed.control.status, failed.open, failed.warnings) == (ControlStatus.FAILED, False, ("CONTROL_FAILED",))
    assert len(passed.areas) == 1
    assert (passed.control.clone, passed.control.stainer) == ("SP1", "S-1")


@pytest.mark.parametrize(
    ("rules", "withheld", "warnings"),
    [
        (RULES, "", ("CONTROL_ABSENT",)),
        (WITHHOLD, "CONTROL_ABSENT", ("CONTROL_ABSENT",)),
        (ControlRules(), "", ()),
    ],
)
def test_an_absent_control_is_flagged_or_withheld_by_rule(
    rules: ControlRules, withheld: str, warnings: tuple[str, ...]
) -> None:
    found = gate(BARE, rules=rules)
    assert (found.control.status, found.control.withheld) == (ControlStatus.ABSENT, withheld)
    assert found.warnings == warnings


def test_tissue_apart_from_the_section_is_control_tissue() -> None:
    apart = ControlRules(expected=True, places=(PlaceRule(place=Place(kinds=("negative",), apart_mm=0.05)),))
    found = gate(rules=apart)
    assert (found.control.status, len(found.areas)) == (ControlStatus.PASSED, 1)
    assert found.areas[0].box.right <= 400
    assert gate(BARE, rules=apart).control.status is ControlStatus.ABSENT
    farther = ControlRules(expected=True, places=(PlaceRule(place=Place(kinds=("negative",), apart_mm=0.2)),))
    assert gate(rules=farther).control.status is ControlStatus.ABSENT  # nearer than that it is the section's
    two = dots((0, 100), (200, 300), (400, 800))
    mixed = ControlRules(expected=True, places=(PlaceRule(place=Place(kinds=("positive", "negative"), apart_mm=0.03)),))
    assert [c.expected for c in gate(two, rules=mixed).control.cores] == ["positive", "negative"]
    unmatched = gate(rules=mixed)  # one piece, two kinds: it is neither control nor case
    assert (unmatched.control.status, len(unmatched.areas)) == (ControlStatus.ABSENT, 1)
    assert "CONTROL_UNMATCHED" in unmatched.warnings


def test_a_laboratory_s_range_goes_before_what_ships_the_most_specific_first() -> None:
    wide, of_clone, other = limits(high=100.0), limits(id=2, clone="sp1", high=1.0, low=0.5), limits(id=3, clone="6F11")
    assert gate(criteria=BROWN, records=Records((wide,))).control.status is ControlStatus.PASSED
    assert gate(records=Records((wide, of_clone, other))).control.status is ControlStatus.FAILED
    taken_back = replace(of_clone, id=4, retired=True)
    assert gate(records=Records((wide, of_clone, other, taken_back))).control.status is ControlStatus.PASSED
    of_run = limits(id=5, staining_run="RUN-1", low=50.0, high=60.0)
    assert gate(records=Records((wide, of_run), run=RUN), staining_run="RUN-1").control.status is ControlStatus.FAILED
    assert gate(records=Records((wide, of_run), run=RUN), staining_run="RUN-2").control.status is ControlStatus.PASSED


def test_a_range_of_another_marker_is_not_this_one_s() -> None:
    assert gate(records=Records((limits(marker="PR", low=50.0, high=None),))).control.status is ControlStatus.PASSED


def test_a_control_out_of_date_judges_nothing() -> None:
    over = limits(valid_until=date(2026, 3, 1))
    found = gate(rules=WITHHOLD, records=Records((over,)))
    assert (found.control.status, found.control.withheld) == (ControlStatus.ABSENT, "CONTROL_ABSENT")
    assert "was valid until 2026-03-01: set it anew" in found.control.detail
    assert len(found.areas) == 1  # still no tissue of the case's
    assert gate(records=Records((replace(over, valid_until=date(2026, 3, 2)),))).control.status is ControlStatus.PASSED
    early = Records((limits(valid_from=date(2026, 3, 3)),))
    assert gate(records=early).control.status is ControlStatus.ABSENT


def test_the_control_slide_of_the_run_counts_for_so_many_hours() -> None:
    def found(hours: float, status: ControlStatus = ControlStatus.PASSED) -> Gate:
        run = replace(RUN, measured_at=NOW - timedelta(hours=hours), status=status)
        return gate(BARE, rules=WITHHOLD, records=Records(run=run), staining_run="RUN-1")

    assert (found(23.9).control.status, found(23.9).open) == (ControlStatus.PASSED, True)
    assert (found(24.1).control.withheld, "out of date" in found(24.1).control.detail) == ("CONTROL_ABSENT", True)
    assert found(1, ControlStatus.FAILED).control.withheld == "CONTROL_FAILED"
    assert found(1, ControlStatus.ABSENT).control.withheld == "CONTROL_ABSENT"


def test_a_failed_control_slide_withholds_though_tissue_on_the_slide_passed() -> None:
    failed = replace(RUN, status=ControlStatus.FAILED)
    found = gate(records=Records(run=failed), staining_run="RUN-1")
    assert (found.control.own.status, found.control.withheld) == (ControlStatus.PASSED, "CONTROL_FAILED")


def test_a_case_waits_for_a_control_slide_that_waits() -> None:
    with pytest.raises(Refused) as refused:
        gate(BARE, records=Records(pending=True), staining_run="RUN-1")
    assert refused.value.reason == ServiceReason.CONTROL_PENDING


def test_a_drift_is_warned_of() -> None:
    steady = tuple(
        ControlPoint(at=NOW - timedelta(days=i), result_id="r", value=20.0 + i % 3, n=100, passed=True)
        for i in range(20)
    )
    assert "CONTROL_DRIFT" in gate(records=Records(points=steady)).warnings  # 0 is found
    near = tuple(replace(p, value=(p.value - 21) / 10) for p in steady)
    assert gate(records=Records(points=near)).warnings == ()


def test_a_kind_that_the_stain_lacks_and_a_box_off_the_slide_are_refused() -> None:
    for place, said in (
        (Place(kinds=("3+",), box_mm=(0, 0, 1, 1)), "this stain knows positive, negative"),
        (Place(kinds=("negative",), box_mm=(9, 9, 1, 1)), "lies off the slide"),
    ):
        rules = ControlRules(expected=True, places=(PlaceRule(place=place, markers=("ER",)),))
        with pytest.raises(Refused, match=f"CONTROL_INVALID.*{said}"):
            gate(rules=rules)


def test_what_a_control_slide_came_to_is_kept_with_its_cores() -> None:
    core = CoreFound(expected="negative", found="negative", passed=True, measure="PERCENT_POSITIVE", n=9)
    found = gate(BARE, records=Records(run=replace(RUN, cores=(core,))), staining_run="RUN-1")
    assert found.control.cores == (core,)
    assert found.control.run is not None
