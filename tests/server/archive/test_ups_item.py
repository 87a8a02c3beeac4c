"""The order that an item of a worklist asks for, or why it can't be one."""

import warnings
from datetime import date
from typing import Any

import pytest
from pydicom.dataset import Dataset

from server.archive.ups_item import read_item, request_for
from server.domain.errors import ChromogenError, Refused
from server.domain.order import Patient, Priority, Request, SlideReference
from tests.ups_peer import coded, made_item

UID = "1.2.9"


def asked(**more: Any) -> Request:
    return request_for(read_item(UID, made_item("1.2.3", "1.2", **more)), "work", "NORTH")


def slide(study_uid: str, series_uid: str) -> Dataset:
    item = Dataset()
    with warnings.catch_warnings(action="ignore"):
        item.StudyInstanceUID, item.SeriesInstanceUID = study_uid, series_uid
    return item


def requested(**more: str) -> Dataset:
    item = Dataset()
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return item


def test_it_asks_for_the_order_of_its_code_slide_and_patient_under_its_own_uid() -> None:
    request = asked()
    assert (request.lab, request.sender.application, request.message_control_id) == ("NORTH", "work", UID)
    assert (request.marker, request.procedure_code, request.priority) == ("ER", "ER", Priority.STAT)
    assert (request.placer_order_number.identifier, request.placer_request) == ("PL-UPS", UID)
    assert request.slide == SlideReference(study_uid="1.2", series_uid="1.2.3", accession_number="A-UPS")
    assert request.patient == Patient(
        id="P-UPS",
        id_authority="NORTH",
        family_name="Invented",
        given_name="Item",
        birth_date=date(1960, 1, 2),
        sex="F",
    )
    assert asked() == request


@pytest.mark.parametrize(
    ("code", "marker"),
    [
        (coded("85329-1", "LN", "whatever"), "ER"),
        (coded("KI67", "99LOCAL", "Ki-67 index"), "KI67"),
        (coded("1234", "99LOCAL", "HER2"), "HER2"),
    ],
)
def test_the_stain_is_named_by_the_workitem_s_code(code: Dataset, marker: str) -> None:
    assert asked(ScheduledWorkitemCodeSequence=[code]).marker == marker


def test_a_workitem_that_names_no_stain_leaves_it_to_the_procedure_that_was_requested() -> None:
    general, request = coded("110005", "DCM", "Interpretation"), requested(AccessionNumber="A-UPS")
    request.RequestedProcedureCodeSequence = [coded("PR", "99LOCAL", "Progesterone receptor")]
    found = asked(ScheduledWorkitemCodeSequence=[general], ReferencedRequestSequence=[request])
    assert (found.marker, found.procedure_code) == ("PR", "PR")
    assert found.placer_order_number.identifier == UID


def test_without_a_slide_it_is_found_by_its_case() -> None:
    assert asked(InputInformationSequence=[]).slide == SlideReference(accession_number="A-UPS")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"ScheduledWorkitemCodeSequence": [coded("CD3", "99LOCAL", "CD3 count")]}, "ASSAY_UNSUPPORTED"),
        ({"ScheduledWorkitemCodeSequence": []}, "MARKER_UNKNOWN"),
        ({"ScheduledWorkitemCodeSequence": [coded("ER", "99LOCAL", "PR score")]}, "MARKER_UNKNOWN"),
        ({"InputInformationSequence": [], "ReferencedRequestSequence": []}, "FIELD_MISSING"),
        ({"InputInformationSequence": [slide("1.2", "1.2.3"), slide("1.2", "1.2.4")]}, "MESSAGE_INVALID"),
        ({"InputInformationSequence": [slide("1.2", "../x")]}, "MESSAGE_INVALID"),
        ({"PatientID": "x" * 201}, "MESSAGE_INVALID"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*value.*:UserWarning")
def test_what_can_t_be_scored_is_refused_by_what_is_wrong_with_it(more: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refused) as refused:
        asked(**more)
    assert refused.value.reason == reason
    assert "OBR" not in refused.value.message


@pytest.mark.parametrize(("day", "found"), [("19600102", date(1960, 1, 2)), ("00010101", None), ("", None)])
def test_a_date_of_birth_that_isn_t_known_is_none(day: str, found: date | None) -> None:
    assert asked(PatientBirthDate=day).patient.birth_date == found


def test_what_has_no_state_is_no_item() -> None:
    with pytest.raises(ChromogenError, match="Procedure Step State"):
        read_item(UID, Dataset())
