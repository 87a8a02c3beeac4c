"""A slide whose label is of another specimen is refused; what a label merely doesn't say is no contradiction."""

from dataclasses import replace
from pathlib import Path

import pytest

from server.archive.label import check_label
from server.domain.errors import Refused, ServiceReason
from server.domain.order import SlideReference
from server.domain.ports import SlideQuery
from server.slides.dicom_header import WHOLE_SLIDE_IMAGE, InstanceHeader

LEVEL = InstanceHeader(
    path=Path("a.dcm"),
    sop_class_uid=WHOLE_SLIDE_IMAGE,
    sop_instance_uid="1.1",
    series_uid="1",
    study_uid="9",
    container_id="S26-1-A-2",
    specimens=("S26-1-A",),
    flavour="VOLUME",
)
LABEL = replace(LEVEL, sop_instance_uid="1.2", flavour="LABEL")
ORDER = SlideQuery(
    slide=SlideReference(container_id="S26-1-A-2", accession_number="S26-1"), specimen_id="S26-1-A", labels=True
)


@pytest.mark.parametrize(
    "said",
    [
        {"barcode": "S26-1-A-2"},
        {"barcode": "s26 1 a 2"},
        {"barcode": "LAB7|S26-1-A-2|ER"},
        {"barcode": "S26-1"},
        {"label_text": "Invented Hospital\nS26-1-A-2\nER SP1"},
        {"label_text": "ER clone SP1, 2026-03-01"},
        {"label_text": "S26-1-A-2, block of S26-7-B-1"},
        {},
    ],
)
def test_a_label_that_fits_or_says_nothing(said: dict[str, str]) -> None:
    check_label(ORDER, [LEVEL, replace(LABEL, **said)])


@pytest.mark.parametrize(
    "said",
    [
        {"barcode": "S26-7-B-1"},
        {"barcode": "S26-1-A-21"},
        {"barcode": "9-S26-1-A-2X"},
        {"barcode": "0815"},
        {"barcode": "S26-1-A-3"},
        {"label_text": "Invented Hospital\nS26-7-B-1\nER SP1"},
        {"label_text": "S27-1 ER"},
    ],
)
def test_a_label_of_another_specimen(said: dict[str, str]) -> None:
    for slide in ([LEVEL, replace(LABEL, **said)], [replace(LEVEL, **said)]):
        with pytest.raises(Refused) as refused:
            check_label(ORDER, slide)
        assert refused.value.reason == ServiceReason.SPECIMEN_MISMATCH
        assert not any(value in str(refused.value) for value in (*said.values(), "S26-1"))
        check_label(replace(ORDER, labels=False), slide)


def test_without_any_identifier_there_is_nothing_to_compare() -> None:
    query = SlideQuery(slide=SlideReference(series_uid="1"), labels=True)
    check_label(query, [replace(LEVEL, container_id="", specimens=(), barcode="0815")])


@pytest.mark.parametrize(("barcode", "fits"), [("S26-1-A-3", True), ("S26-12-A-3", False)])
def test_where_nobody_names_the_container_it_is_one_of_the_case(barcode: str, fits: bool) -> None:
    query = SlideQuery(slide=SlideReference(accession_number="S26-1"), labels=True)
    slide = [replace(LEVEL, container_id="", specimens=(), barcode=barcode)]
    if fits:
        check_label(query, slide)
        return
    with pytest.raises(Refused):
        check_label(query, slide)
