"""Which instances an order means."""

from dataclasses import replace
from pathlib import Path

import pytest

from inference.errors import Reason
from server.archive.locate import locate
from server.domain.errors import Refused, ServiceReason
from server.domain.order import SlideReference
from server.slides.dicom_header import WHOLE_SLIDE_IMAGE, InstanceHeader

BASE = InstanceHeader(
    path=Path("a.dcm"),
    sop_class_uid=WHOLE_SLIDE_IMAGE,
    sop_instance_uid="1.1",
    series_uid="1",
    study_uid="9",
    container_id="TEST-C1",
    flavour="VOLUME",
)
HALF = replace(BASE, sop_instance_uid="1.2")
LABEL = replace(BASE, sop_instance_uid="1.3", flavour="LABEL")
REPORT = replace(BASE, sop_instance_uid="1.4", sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33", flavour="")
OTHER = replace(BASE, sop_instance_uid="2.1", series_uid="2", container_id="TEST-C2")
ELSEWHERE = replace(BASE, sop_instance_uid="3.1", series_uid="3", study_uid="8", container_id="TEST-C1")
ARCHIVE = [REPORT, OTHER, LABEL, HALF, BASE]


@pytest.mark.parametrize(
    "reference",
    [
        SlideReference(series_uid="1"),
        SlideReference(container_id="TEST-C1"),
        SlideReference(study_uid="9", container_id="TEST-C1"),
        SlideReference(study_uid="9", series_uid="1", container_id="TEST-C1"),
    ],
)
def test_levels_and_label_of_the_series_are_found_by_any_identifier(reference):
    assert locate(reference, ARCHIVE) == [BASE, HALF, LABEL]


def test_an_instance_kept_twice_is_taken_once():
    assert len(locate(SlideReference(series_uid="1"), [BASE, replace(BASE, path=Path("copy.dcm"))])) == 1


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (SlideReference(), "names no slide"),
        (SlideReference(series_uid="7"), "no image with the series UID"),
        (SlideReference(series_uid="1", container_id="TEST-C2"), "series UID and container identifier"),
        (SlideReference(study_uid="7", series_uid="1"), "series UID and study UID"),
    ],
)
def test_a_slide_that_is_not_there_is_refused_and_no_identifier_repeated(reference, says):
    with pytest.raises(Refused, match=says) as caught:
        locate(reference, ARCHIVE)
    assert caught.value.reason == ServiceReason.SLIDE_NOT_FOUND
    assert "TEST-C" not in str(caught.value)


def test_a_label_without_levels_is_refused_and_named():
    with pytest.raises(Refused, match="only: another object, label") as caught:
        locate(SlideReference(series_uid="1"), [LABEL, REPORT])
    assert caught.value.reason == ServiceReason.SLIDE_NOT_FOUND


@pytest.mark.parametrize(
    ("reference", "archive"),
    [(SlideReference(study_uid="9"), ARCHIVE), (SlideReference(container_id="TEST-C1"), [*ARCHIVE, ELSEWHERE])],
)
def test_a_slide_scanned_twice_is_refused_unless_its_series_is_named(reference, archive):
    with pytest.raises(Refused, match="order by series UID") as caught:
        locate(reference, archive)
    assert caught.value.reason == Reason.SEVERAL_SLIDES
    assert locate(replace(reference, series_uid="1"), archive) == [BASE, HALF, LABEL]
