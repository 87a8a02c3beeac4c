"""A validated result is said so by every report, and no longer to be for research use only."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import hl7
import pytest

from server.domain.choice import ProfileChoice, Validated
from server.domain.result import Result
from server.domain.states import ResultState
from server.domain.views import ResultView
from server.hl7.oru import build_oru
from server.report import pdf
from server.report.identity import RESEARCH_USE_ONLY, use_of
from server.report.result_json import result_json
from server.report.sr import build_sr
from tests.made import made_header, made_order, made_result
from tests.made_he import made_he_result


@pytest.fixture
def result(tmp_path: Path) -> Result:
    held = Validated(id="6d0c2c5e-0000-4000-8000-000000000000", slides=24, on=date(2026, 6, 1))
    return replace(made_result(tmp_path), choice=ProfileChoice(validated=held))


def test_each_report_says_that_the_laboratory_validated_it(result: Result) -> None:
    said = "Validated by the laboratory, 24 slides, 2026-06-01"
    assert use_of(result) == said
    notes = [str(n[3]) for n in hl7.parse(build_oru(result, made_order()).decode()).segments("NTE")]
    assert notes[0] == f"{said}: a pathologist decides."
    assert not any("esearch use only" in note for note in notes)
    report = build_sr(result, None, [made_header()])
    assert said in [str(e.value) for e in report.iterall() if e.keyword == "TextValue"]
    assert report.SeriesDescription.endswith("Validated")
    assert RESEARCH_USE_ONLY not in str(report)
    assert result_json(result)["research_use_only"] is False


def test_without_a_validation_each_says_research_use_only(tmp_path: Path) -> None:
    made = replace(made_result(tmp_path), choice=ProfileChoice())
    assert use_of(made) == RESEARCH_USE_ONLY
    assert result_json(made)["research_use_only"] is True


def test_the_printed_page_says_what_the_assay_says_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(pdf, "_text", lambda canvas, text, *a, **k: written.append(text))
    view = ResultView(result=made_he_result(tmp_path, 30), lab="LAB", state=ResultState.PRELIMINARY)
    pdf.pdf_of(pdf.Report(view=view, order=None, picture=None))
    assert "H&E: not validated on patient material" in " ".join(written)


@pytest.mark.parametrize("held", [True, False])
def test_the_printed_page_says_the_same(result: Result, monkeypatch: pytest.MonkeyPatch, held: bool) -> None:
    made = result if held else replace(result, choice=None)
    written: list[str] = []
    monkeypatch.setattr(pdf, "_text", lambda canvas, text, *a, **k: written.append(text))
    view = ResultView(result=made, lab="LAB", state=ResultState.PRELIMINARY)
    pdf.pdf_of(pdf.Report(view=view, order=None, picture=None))
    said, other = ("Validated by the laboratory", RESEARCH_USE_ONLY)[:: 1 if held else -1]
    assert any(text.startswith(said) and "decides nothing" in text for text in written)
    assert not any(other in text for text in written)
