"""A failed control withholds the score in ORU, SR and API; a passed one scores. Orders come by HL7, parts are real."""

import os
from collections.abc import Iterator

import pytest
from chromogen.v1 import result_pb2
from highdicom.sr import Comprehensive3DSR

from inference.errors import Refused
from server.domain.access import Caller, Role
from server.domain.profile import built_in
from server.services.results import ResultService
from server.store.result_repository import PostgresResultRepository
from tests.control_slide import BOX_MM, LABORATORIES, WithControl, write
from tests.e2e.hospital import Hospital, hospital_of, site_of, values

pytestmark = pytest.mark.postgres
CASES = 10 if os.environ.get("SOAK") else 2
PATHOLOGIST = Caller(subject="p", lab="LAB", roles=frozenset({Role.PATHOLOGIST}))


@pytest.fixture(scope="module")
def hospital() -> Iterator[Hospital]:
    with hospital_of(site_of(LABORATORIES % BOX_MM)) as made:
        yield made


@pytest.mark.parametrize("seed", range(CASES))
def test_a_passed_control_scores_the_case_alone(hospital: Hospital, seed: int) -> None:
    slide = WithControl(seed, control=200)
    write(hospital.folder / "archive", f"passed-{seed}", slide)
    hospital.order(f"P-{seed}", f"passed-{seed}")
    hospital.run()
    result = hospital.result(f"P-{seed}")
    assert (result.control.status, result.control.withheld) == ("passed", "")
    (told,) = hospital.told(f"P-{seed}")
    assert (str(told.segment("OBR")[25]), values(told, "CONTROL_STATUS")) == ("P", ["passed"])
    assert float(values(told, "HSCORE")[0]) == pytest.approx(150, abs=25)
    n = result.analysis.n  # without the control's: there are about half as many more
    assert n == pytest.approx(slide.nuclei(), rel=0.12)
    answered = hospital.api(result)
    assert answered.control.status == result_pb2.CONTROL_STATUS_PASSED
    assert [(c.expected, c.found, c.passed) for c in answered.control.cores] == [("positive", "positive", True)]
    assert answered.scores
    report = Comprehensive3DSR.from_dataset(hospital.report(result))
    evaluations = [e for g in report.content.get_image_measurement_groups() for e in g.get_qualitative_evaluations()]
    assert ("CONTROL_STATUS", "CONTROL_PASSED") in [(e.name.value, e.value.value) for e in evaluations]


@pytest.mark.parametrize("seed", range(CASES))
def test_a_failed_control_withholds_the_score_everywhere(hospital: Hospital, seed: int) -> None:
    write(hospital.folder / "archive", f"failed-{seed}", WithControl(seed, control=0))
    hospital.order(f"F-{seed}", f"failed-{seed}")
    hospital.run()
    result = hospital.result(f"F-{seed}")
    assert (result.scores, result.control.withheld) == ((), "CONTROL_FAILED")
    (told,) = hospital.told(f"F-{seed}")
    assert str(told.segment("OBR")[25]) == "X"
    assert (values(told, "REFUSAL"), values(told, "CONTROL_STATUS")) == (["CONTROL_FAILED"], ["failed"])
    assert values(told, "CONTROL") == ["expected positive, found negative, failed"]
    assert [str(o[2]) for o in told.segments("OBX") if str(o[2]) in ("NM", "SN")] == []
    assert any("withheld" in str(n[3]) and "not a score of 0" in str(n[3]) for n in told.segments("NTE"))
    answered = hospital.api(result)
    assert (list(answered.scores), answered.control.withheld) == ([], "CONTROL_FAILED")
    assert answered.control.detail.startswith("the control expected positive was found negative")
    report = hospital.report(result)
    assert "CONTROL_FAILED" in str(report)
    (group,) = Comprehensive3DSR.from_dataset(report).content.get_image_measurement_groups()
    assert group.get_measurements() == []
    said = [(e.name.value, e.value.value) for e in group.get_qualitative_evaluations()]
    assert ("CONTROL_STATUS", "CONTROL_FAILED") in said
    service = ResultService(PostgresResultRepository(hospital.service.database), hospital.service.reporting)
    with pytest.raises(Refused, match=r"RESULT_STATE.*withheld"):
        service.sign(PATHOLOGIST, result.id, "")
    with pytest.raises(Refused, match=r"RESULT_STATE.*withheld"):
        service.rescore(PATHOLOGIST, result.id, built_in(result.assay))


def test_a_slide_without_its_control_is_withheld_where_the_laboratory_says_so(hospital: Hospital) -> None:
    write(hospital.folder / "archive", "bare", WithControl(1, control=None))
    hospital.order("A-1", "bare")
    hospital.run()
    result = hospital.result("A-1")
    assert (result.scores, result.control.withheld, result.control.status) == ((), "CONTROL_ABSENT", "absent")
    (told,) = hospital.told("A-1")
    assert values(told, "REFUSAL") == ["CONTROL_ABSENT"]


def test_an_order_whose_score_was_withheld_is_begun_anew_when_it_comes_again(hospital: Hospital) -> None:
    write(hospital.folder / "archive", "again", WithControl(3, control=0))
    hospital.order("R-1", "again")
    hospital.run()
    first = hospital.result("R-1")
    for file in (hospital.folder / "archive" / "again").iterdir():
        file.unlink()
    write(hospital.folder / "archive", "again", WithControl(3, control=200))  # stained again, scanned again
    hospital.order("R-1", "again")
    hospital.run()
    second = hospital.result("R-1")
    assert first.id != second.id
    assert (first.control.status, second.control.status, bool(second.scores)) == ("failed", "passed", True)
    assert [str(m.segment("OBR")[25]) for m in hospital.told("R-1")] == ["X", "P"]
    hospital.order("R-1", "again")  # DONE with a score: nothing more happens
    hospital.run()
    assert hospital.result("R-1").id == second.id


def test_the_control_slide_of_a_run_counts_for_its_cases_and_marker_alone(hospital: Hospital) -> None:
    archive = hospital.folder / "archive"
    write(archive, "run-good", WithControl(5, control=None, section=220))
    write(archive, "run-bad", WithControl(6, control=None, section=0))
    write(archive, "case-ER", WithControl(7, control=None))
    write(archive, "case-PR", WithControl(7, control=None), marker="PR")
    for number, slide, said in (
        ("K-1", "run-good", {"staining_run": "RUN-1", "control_kind": "positive"}),
        ("K-2", "run-bad", {"staining_run": "RUN-2", "control_kind": "positive"}),
    ):
        hospital.order(number, slide, lab="RUNS", **said)
    hospital.run()
    orders = {"1": ("RUN-1", "ER"), "2": ("RUN-2", "ER"), "3": ("RUN-1", "PR"), "4": ("RUN-9", "ER"), "5": ("", "ER")}
    for number, (run, marker) in orders.items():
        hospital.order(number, f"case-{marker}", lab="RUNS", staining_run=run, marker=marker)
    hospital.run()
    found = {number: hospital.result(number) for number in orders}
    assert {number: (r.control.status.value, r.control.withheld) for number, r in found.items()} == {
        "1": ("passed", ""),
        "2": ("failed", "CONTROL_FAILED"),
        "3": ("absent", ""),
        "4": ("absent", ""),
        "5": ("absent", ""),
    }
    assert found["1"].control.run is not None
    assert found["1"].control.run.result_id == hospital.result("K-1").id
    assert found["3"].control.detail == "no control slide of its staining run was scored for PR"
    assert "CONTROL_ABSENT" in found["3"].warnings
    assert hospital.result("K-2").scores  # of the control slide itself: they say how it was stained
    assert hospital.api(found["2"], "RUNS").control.run_result_id == hospital.result("K-2").id
