"""What a report of an image that is split over files refers to."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from server.domain.result import Result
from server.report.ann import build_ann
from server.report.score_map import build_map
from server.report.seg import build_seg
from server.report.source import KEPT_HEADER, keep_header, read_source
from tests.made import made_header, made_result

WHOLE, PARTS = "2.25.900", ("2.25.901", "2.25.902", "2.25.903")


def parts_of(*, whole: str) -> list[Dataset]:
    parts = [made_header() for _ in PARTS]
    for number, (part, uid) in enumerate(zip(parts, PARTS, strict=True), 1):
        part.ConcatenationUID, part.InConcatenationNumber = "2.25.9", number
        part.SOPInstanceUID = uid
        if whole:
            part.SOPInstanceUIDOfConcatenationSource = whole
        part.ensure_file_meta()
        part.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return parts


def made(tmp_path: Path) -> Result:
    result = made_result(tmp_path)
    slide = replace(result.analysis.slide, sop_instance_uids=(*PARTS, "2.25.77"))
    return replace(result, analysis=replace(result.analysis, slide=slide))


def named(report: Dataset, keyword: str) -> list[list[str]]:
    def found(dataset: Dataset) -> Iterator[list[str]]:
        for element in dataset:
            if element.VR != "SQ":
                continue
            if element.keyword == keyword:
                yield [str(item.ReferencedSOPInstanceUID) for item in element.value]
            for item in element.value:
                yield from found(item)

    return list(found(report))


@pytest.mark.parametrize("build", [build_seg, build_map])
def test_what_is_derived_from_pixels_names_each_part(tmp_path, build):
    result, parts = made(tmp_path), parts_of(whole=WHOLE)
    keep_header(result.analysis.slide, parts, tmp_path)
    for source in (parts, read_source(tmp_path / KEPT_HEADER)):
        report = build(result, source)
        sources = named(report, "SourceImageSequence")
        assert sources
        assert all(uids == list(PARTS) for uids in sources)
        assert named(report, "ReferencedInstanceSequence") == [list(PARTS)]


def test_annotations_are_of_the_whole_that_was_split(tmp_path):
    result, parts = made(tmp_path), parts_of(whole=WHOLE)
    keep_header(result.analysis.slide, parts, tmp_path)
    for source in (parts, read_source(tmp_path / KEPT_HEADER)):
        report = build_ann(result, source)
        assert report is not None
        assert named(report, "ReferencedImageSequence") == [[WHOLE]]
        assert named(report, "ReferencedInstanceSequence") == [[WHOLE, *PARTS]]


def test_where_the_whole_has_no_name_the_parts_are_named(tmp_path):
    report = build_ann(made(tmp_path), parts_of(whole=""))
    assert report is not None
    assert named(report, "ReferencedInstanceSequence") == [list(PARTS)]


@pytest.mark.parametrize("build", [build_ann, build_seg, build_map])
def test_an_image_in_one_file_is_named_once(tmp_path, build):
    header = made_header()
    report = build(made_result(tmp_path), [header])
    assert named(report, "ReferencedInstanceSequence") == [[str(header.SOPInstanceUID)]]
