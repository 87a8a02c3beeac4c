"""HER2 by HL7 on drawn slides with four control cores: passed, the case is scored; one core stained as another's, it is
withheld in ORU, SR, API and on the page.
"""

import os
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import pytest
from chromogen.v1 import result_pb2
from highdicom.sr import Comprehensive3DSR

from inference.draw.her2 import Core, Her2Drawing, Plan
from inference.draw.scanner import Scanner
from server.demo.lis import LAB
from server.domain.result import Result
from server.web.page_json import rows_json, short_json
from tests.control_slide import write
from tests.e2e.browsing import CHROMIUM
from tests.e2e.hospital import Hospital, hospital_of, site_of, values
from tests.e2e.scored_page import Drawn, case_open, page_of
from tests.e2e.test_her2_controls import CASE, CENTRES, CORES, MPP, RADIUS_UM, SIDE_UM

pytestmark = pytest.mark.postgres
CASES = 10 if os.environ.get("SOAK") else 1
STAINED_AS = (("3+", "1+"), ("0", "2+"), ("2+", "0"), ("1+", "3+"), ("3+", "0"))
"""A core, and the score that it is stained as: by no scale it passes."""
HALF_MM = 0.08
LABORATORY = """
[laboratories.%s]
archives = ["a"]
[laboratories.%s.controls]
absent = "withhold"
%s
"""


def site(lab: str) -> str:
    boxes = {
        name: [x / 1000 - HALF_MM, y / 1000 - HALF_MM, 2 * HALF_MM, 2 * HALF_MM] for name, (x, y) in CENTRES.items()
    }
    rule = '[[laboratories.%s.controls.tissue]]\nmarkers = ["HER2"]\nkinds = ["%s"]\nbox_mm = %s\n'
    return site_of(LABORATORY % (lab, lab, "".join(rule % (lab, name, box) for name, box in boxes.items())))


def drawn(seed: int, stained_as: dict[str, str]) -> Drawn:
    """A pale laboratory's slide; `stained_as` says of which core's score another one is."""
    cores = [
        Core(name=name, x_um=x, y_um=y, radius_um=RADIUS_UM - 30, mix=CORES[stained_as.get(name, name)])
        for name, (x, y) in CENTRES.items()
    ]
    plan = Plan(side_um=SIDE_UM, mix=CASE, cell_um=13, cores=cores, tumour_share=0.75)
    scanner = Scanner(mpp=MPP, density_scale=0.45 + 0.05 * (seed % 10), noise=1.0)
    return Drawn(pixels=Her2Drawing(plan, scanner, seed=31 + seed).pixels())


@pytest.fixture(scope="module")
def hospital() -> Iterator[Hospital]:
    with hospital_of(site("LAB")) as made:
        yield made


def ordered(hospital: Hospital, number: str, slide: Drawn) -> Result:
    write(hospital.folder / "archive", number, slide, marker="HER2", mpp=MPP)
    hospital.order(number, number, marker="HER2/neu")
    hospital.run()
    return hospital.result(number)


def evaluations(hospital: Hospital, result: Result) -> dict[str, str]:
    report = Comprehensive3DSR.from_dataset(hospital.report(result))
    groups = report.content.get_image_measurement_groups()
    return {e.name.value: e.value.value for group in groups for e in group.get_qualitative_evaluations()}


@pytest.mark.parametrize("seed", range(CASES))
def test_cores_that_pass_score_the_case(hospital: Hospital, seed: int) -> None:
    result = ordered(hospital, f"P-{seed}", drawn(seed, {}))
    assert (result.control.status, result.control.withheld) == ("passed", "")
    (told,) = hospital.told(f"P-{seed}")
    assert (str(told.segment("OBR")[25]), values(told, "CONTROL_STATUS")) == ("P", ["passed"])
    assert values(told, "CONTROL") == [f"expected {name}, found {name}, passed" for name in CORES]
    assert values(told, "HER2_SCORE") == ["LA11843-2^3+^LN"]
    shares = {row.measure: row.value for row in result.scores if row.measure.startswith("HER2_SHARE")}
    assert sum(filter(None, shares.values())) == pytest.approx(100)
    for code, share in shares.items():
        assert float(values(told, code)[0]) == pytest.approx(share, abs=0.06)
    answered = hospital.api(result)
    assert answered.control.status == result_pb2.CONTROL_STATUS_PASSED
    assert answered.scores
    said = evaluations(hospital, result)
    assert said["CONTROL_STATUS"] == "CONTROL_PASSED"
    assert said["HER2_SCORE"] == "LA11843-2"
    assert all(code in hospital.report(result).to_json() for code in shares)


@pytest.mark.parametrize(("seed", "core"), list(enumerate(islice(cycle(STAINED_AS), CASES))))
def test_a_core_stained_as_another_withholds_the_score_everywhere(
    hospital: Hospital, seed: int, core: tuple[str, str]
) -> None:
    result = ordered(hospital, f"F-{seed}", drawn(seed, dict([core])))
    assert (result.scores, result.control.withheld) == ((), "CONTROL_FAILED")
    (told,) = hospital.told(f"F-{seed}")
    assert str(told.segment("OBR")[25]) == "X"
    assert (values(told, "REFUSAL"), values(told, "CONTROL_STATUS")) == (["CONTROL_FAILED"], ["failed"])
    assert [str(o[3]) for o in told.segments("OBX") if str(o[3]).startswith("HER2_")] == []
    assert [str(o[2]) for o in told.segments("OBX") if str(o[2]) in ("NM", "SN")] == []
    answered = hospital.api(result)
    assert (list(answered.scores), answered.control.withheld) == ([], "CONTROL_FAILED")
    said = evaluations(hospital, result)
    assert said["CONTROL_STATUS"] == "CONTROL_FAILED"
    assert not any(code.startswith("HER2_") for code in said)
    assert "HER2_SHARE" not in hospital.report(result).to_json()
    view = hospital.view(result)
    assert (short_json(view)["withheld"], short_json(view)["score"]) == ("CONTROL_FAILED", None)
    assert rows_json(result.scores, result.assay) == []


@pytest.mark.peer
@pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")
def test_the_page_shows_why_and_no_score(tmp_path: Path) -> None:
    pixels = drawn(0, dict(STAINED_AS[:1])).pixels
    with (
        page_of(pixels, tmp_path, mpp=MPP, marker="HER2", ordered="HER2/neu", site=site(LAB)) as at,
        case_open(at) as page,
    ):
        said = page.locator(".headline").inner_text()
        assert "Withheld" in said
        assert "not a score of 0" in said
        assert "expected 3+" in said
        assert page.locator('.number[data-code="HER2_SCORE"]').inner_text() == "Withheld"
        assert page.locator(".scores td").count() == 0
