"""Which instances an order means."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inference.errors import Reason
from inference.model import Resolution
from server.archive.locate import locate
from server.domain.errors import Refused, ServiceReason
from server.domain.order import SlideReference
from server.domain.ports import SlideQuery
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


def located(reference: SlideReference, archive: list[InstanceHeader], **wanted: Any) -> list[InstanceHeader]:
    return locate(SlideQuery(slide=reference, **wanted), archive)


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
    assert located(reference, ARCHIVE) == [BASE, HALF, LABEL]


def test_an_instance_kept_twice_is_taken_once():
    assert len(located(SlideReference(series_uid="1"), [BASE, replace(BASE, path=Path("copy.dcm"))])) == 1


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
        located(reference, ARCHIVE)
    assert caught.value.reason == ServiceReason.SLIDE_NOT_FOUND
    assert "TEST-C" not in str(caught.value)


def test_a_label_without_levels_is_refused_and_named():
    with pytest.raises(Refused, match="only: another object, label") as caught:
        located(SlideReference(series_uid="1"), [LABEL, REPORT])
    assert caught.value.reason == ServiceReason.SLIDE_NOT_FOUND


@pytest.mark.parametrize(
    ("reference", "archive"),
    [(SlideReference(study_uid="9"), ARCHIVE), (SlideReference(container_id="TEST-C1"), [*ARCHIVE, ELSEWHERE])],
)
def test_a_slide_scanned_twice_is_refused_unless_its_series_is_named(reference, archive):
    with pytest.raises(Refused, match="order by series UID") as caught:
        located(reference, archive)
    assert caught.value.reason == Reason.SEVERAL_SLIDES
    assert located(replace(reference, series_uid="1"), archive) == [BASE, HALF, LABEL]


# --- which of several ---

RESOLUTION = Resolution(working=0.5, finest=0.4, coarsest=0.6)


def slide(series: str, **said: Any) -> InstanceHeader:
    return replace(BASE, series_uid=series, sop_instance_uid=f"{series}.1", spacing_um=(0.5, 0.5), **said)


ER, PR, PLAIN = slide("1", stains=("ER antibody, DAB",)), slide("2", stains=("PR antibody",)), slide("3")
HE = slide("4", stains=("hematoxylin stain", "water soluble eosin"))
COARSE = replace(slide("5", stains=ER.stains), spacing_um=(8.0, 8.0))
ER_AGAIN = replace(slide("6", stains=ER.stains), acquired="20260103101500")
DESCRIBED, CLONE = slide("7", descriptions=("block A1, ER",)), slide("8", stains=("Estrogen receptor",))
CASE = {"study_uid": "9"}
CHOICES: dict[str, tuple[list[InstanceHeader], dict[str, Any], str]] = {
    "by its stain": ([ER, PR, HE], {"marker": "ER"}, "1"),
    "by its stain's name": ([CLONE, PR, HE], {"marker": "ER"}, "8"),
    "by its description": ([DESCRIBED, PR], {"marker": "ER"}, "7"),
    "one that says nothing, of others that say otherwise": ([PLAIN, PR, HE], {"marker": "ER"}, "3"),
    "one that says so before one that says nothing": ([PLAIN, ER], {"marker": "ER"}, "1"),
    "by its specimen": (
        [replace(ER, specimens=("A-1",)), replace(ER_AGAIN, specimens=("B-1",))],
        {"marker": "ER", "specimen_id": "B-1"},
        "6",
    ),
    "by the level that is fine enough": ([COARSE, ER], {"marker": "ER", "resolution": RESOLUTION}, "1"),
    "a coarse one where it is the only one": ([COARSE], {"marker": "ER", "resolution": RESOLUTION}, "5"),
    "scanned twice": ([ER, ER_AGAIN], {"marker": "ER"}, "SEVERAL_SLIDES"),
    "none that says anything": ([PLAIN, DESCRIBED], {"marker": "PR"}, "SEVERAL_SLIDES"),
    "stained for others": ([PR, HE], {"marker": "ER"}, "SLIDE_NOT_FOUND"),
    "without a marker": ([ER, PR], {}, "SEVERAL_SLIDES"),
}


@pytest.mark.parametrize("name", CHOICES)
def test_of_a_case_s_slides_the_one_that_is_meant(name):
    archive, wanted, expected = CHOICES[name]
    try:
        found = located(SlideReference(**CASE), archive, **wanted)[0].series_uid
    except Refused as refused:
        found = str(refused.reason)
    assert found == expected


def test_what_is_ambiguous_names_the_candidates():
    with pytest.raises(Refused) as caught:
        located(SlideReference(**CASE), [ER, ER_AGAIN], marker="ER")
    assert "series 1, 0.5 µm/px; series 6, 0.5 µm/px, scanned 20260103): order by series UID" in caught.value.message


@pytest.mark.parametrize("named", [{"container_id": "TEST-C1"}, {"series_uid": "2"}])
def test_a_slide_that_is_named_and_stained_otherwise_is_refused(named):
    with pytest.raises(Refused, match="stained for another marker than ER") as caught:
        located(SlideReference(**named), [PR], marker="ER")
    assert caught.value.reason == ServiceReason.SPECIMEN_MISMATCH


def test_an_accession_number_finds_a_case_and_tells_containers_of_two_cases_apart():
    one, other = replace(ER, accession_number="S26-1"), replace(ER_AGAIN, accession_number="S26-2")
    assert located(SlideReference(accession_number="S26-2"), [one, other]) == [other]
    assert located(SlideReference(accession_number="S26-2", container_id="TEST-C1"), [one, other]) == [other]
    assert located(SlideReference(accession_number="LIS-7", container_id="TEST-C1"), [one]) == [one]
    with pytest.raises(Refused, match="no image with the accession number"):
        located(SlideReference(accession_number="S26-3"), [one, other])


def test_one_uid_for_two_images_is_refused():
    with pytest.raises(Refused, match="two different images under one SOP instance UID"):
        located(SlideReference(**CASE), [ER, replace(ER, series_uid="2")])
