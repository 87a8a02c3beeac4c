"""The report on one page: the same bytes each time, the patient's name whole or not at all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.grade import DensityThresholds
from server.domain.order import Order
from server.domain.profile import Profile, ProfileKey
from server.domain.states import ResultState
from server.domain.views import ResultView
from server.report.pdf import Report, axes_of, pdf_of, printable
from tests.made import made_order, made_result

PICTURE = np.full((300, 400, 3), 200, np.uint8)


def report(tmp_path: Path, **more: object) -> Report:
    view = ResultView(result=made_result(tmp_path), lab="TEST-LAB", state=ResultState.PRELIMINARY)
    return replace(Report(view=view, order=made_order(), picture=PICTURE), **more)  # type: ignore[arg-type]


def named(family: str) -> Order:
    order = made_order()
    patient = replace(order.request.patient, family_name=family)
    return replace(order, request=replace(order.request, patient=patient))


def test_the_same_result_makes_the_same_page_to_the_byte(tmp_path: Path) -> None:
    first, second = pdf_of(report(tmp_path)), pdf_of(report(tmp_path))
    assert first == second
    assert first.startswith(b"%PDF-")
    assert first.count(b"/Type /Page\n") == 1


@pytest.mark.parametrize("family", ["", "X" * 120, "Żółć", "患者", "a\tb"])
def test_any_name_and_no_picture_make_a_page(tmp_path: Path, family: str) -> None:
    assert pdf_of(report(tmp_path, order=named(family), picture=None)).startswith(b"%PDF-")
    assert pdf_of(report(tmp_path, order=None)).startswith(b"%PDF-")


def test_a_name_is_printed_as_it_was_sent_or_not_at_all() -> None:
    assert printable("Müller, Zoë") == "Müller, Zoë"
    assert "?" not in printable("患者")
    assert "患" not in printable("患者")


def test_histograms_are_of_the_criteria_that_score(tmp_path: Path) -> None:
    result = made_result(tmp_path)
    hue, brightness = axes_of(result.analysis.histograms, {"method": "hue_value", "hue": 130, "left": 60, "right": 105})
    assert sum(hue.counts) == result.analysis.n > sum(brightness.counts)
    (density,) = axes_of(result.analysis.histograms, {"method": "dab_od", "weak": 0.2, "moderate": 0.4, "strong": 0.6})
    assert sum(density.counts) == result.analysis.n
    assert list(axes_of(result.analysis.histograms, {"method": "membrane"})) == []
    od = Profile(name="od", revision=1, key=ProfileKey(), criteria=DensityThresholds(weak=20, moderate=40, strong=60))
    view = ResultView(result=made_result(tmp_path, profile=od), lab="TEST-LAB", state=ResultState.FINAL, signed_by="a")
    assert pdf_of(Report(view=view, order=None, picture=None)).startswith(b"%PDF-")
