"""docs/hl7-interface.md says what the code does (I-8)."""

import re
from pathlib import Path

import pytest

from inference.assay import assays
from server.domain.order import ProcessingId
from server.domain.states import LIVE, OrderState
from server.hl7.acknowledge import ERROR_CODES, INTERNAL_ERROR, REJECTED, RESPONSES
from server.hl7.er7 import CHARACTERS_AT_MOST, CHARSETS, HEADER_AT_MOST, LINES_AT_MOST
from server.hl7.listener import CONNECTIONS, FRAME_TIMEOUT_S, MESSAGE_LIMIT
from server.hl7.markers import CODES, TEXTS
from server.hl7.oml import ACCEPTED_TYPES
from server.hl7.order_reply import CANCELLING, ORDER_NOT_FOUND, STATUSES
from server.hl7.oru import RESEARCH_USE_ONLY
from server.hl7.specimen import WITHDRAWN
from server.hl7.structure import EARLIER_RESULTS, NOT_A_NEW_ORDER, NOT_A_NEW_REQUEST, SEGMENTS_AT_MOST
from server.report import codes
from server.report.codes import MODEL_SHA256, PAGE, PROFILE, REFUSAL

GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "hl7-interface.md").read_text()
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in GUIDE.splitlines() if line.startswith("|")]


def row(first: str) -> list[str]:
    return next(r for r in ROWS if r[0].startswith(first))


@pytest.mark.parametrize("marker", ["ER", "PR", "KI67", "P53", "HER2"])
def test_the_guide_lists_each_markers_codes(marker: str) -> None:
    _, loinc, snomed, _ = row(marker)
    ordered = {known for known, ordered in codes.markers_by_code().items() if ordered == marker}
    assert set(loinc.split(", ")) - {""} == {value for scheme, value in ordered if scheme is codes.Scheme.LOINC}
    assert set(snomed.split(", ")) - {""} == {value for scheme, value in ordered if scheme is codes.Scheme.SNOMED_CT}


def test_the_guide_lists_each_refusal_with_its_acknowledgment_and_number() -> None:
    numbers = {str(reason): number for reason, (number, _) in ERROR_CODES.items()}
    for reason in {*numbers, *map(str, REJECTED)}:
        assert row(reason)[1:3] == ["AR" if reason in REJECTED else "AE", numbers.get(reason, INTERNAL_ERROR[0])]


def test_the_guide_names_messages_answers_limits_and_character_sets() -> None:
    for code, event in ACCEPTED_TYPES:
        assert f"`{code}^{event}`" in GUIDE
    for answer in RESPONSES.values():
        assert f"`{'^'.join(answer.split('^')[:2])}`" in GUIDE
    assert (row("message")[1], row("connections")[1]) == (f"{MESSAGE_LIMIT >> 20} MiB", str(CONNECTIONS))
    assert row("time for one frame")[1] == f"{FRAME_TIMEOUT_S:.0f} s"
    for term in {t for t, _ in CHARSETS.values() if not t.startswith("8859/")}:
        assert f"`{term}`" in GUIDE


def test_the_guide_says_what_may_follow_an_order_and_what_contradicts_it() -> None:
    for said in (*(EARLIER_RESULTS - {""}), *NOT_A_NEW_ORDER, *NOT_A_NEW_REQUEST, *WITHDRAWN, *ProcessingId):
        assert f"`{said}`" in GUIDE
    assert f"more than {SEGMENTS_AT_MOST} segments" in GUIDE
    assert f"{CHARACTERS_AT_MOST:,}; of MSH {HEADER_AT_MOST:,}" in GUIDE
    assert row("lines of a message")[1] == f"{LINES_AT_MOST:,}"
    for component in (*(code for code, _ in CODES), *TEXTS):
        assert re.search(rf"\b4\.{component}\b", GUIDE)


def test_the_guide_has_each_answer_to_a_cancellation() -> None:
    answers = {control: ", ".join(f"`{wish[i]}`" for wish in CANCELLING.values()) for i, control in enumerate("yn")}
    for state, status in STATUSES.items():
        done = "y" if state in LIVE | {OrderState.CANCELLED} else "n"
        status = STATUSES[OrderState.CANCELLED] if done == "y" else status
        (found,) = (r for r in ROWS if len(r) == 4 and str(state) in r[0] and r[1].startswith("`") and "`" in r[2])
        assert found[1:3] == [answers[done], f"`{status}`"]
    assert row("none is meant")[1:3] == [answers["n"], f"`{ORDER_NOT_FOUND}`"]


def test_the_guide_names_every_quantity_of_a_result() -> None:
    quantities = [c for c in codes.table() if c.scheme is codes.Scheme.CHROMOGEN and c.unit is not None]
    for of_one_cell in (codes.DETECTION_CONFIDENCE, codes.OUTLINED_DENSITY):  # DICOM only
        quantities.remove(of_one_cell)
    for code in [*quantities, PROFILE, MODEL_SHA256, PAGE, REFUSAL, codes.ALGORITHM_NAME, codes.ALGORITHM_VERSION]:
        assert f"`{code.value}`" in GUIDE
    assert RESEARCH_USE_ONLY in GUIDE


def test_the_guide_names_the_clinical_region_of_each_marker() -> None:
    for assay in assays():
        assert f"`{assay.clinical_region}`" in row("NTE after OBR")[1]
