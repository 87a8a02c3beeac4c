"""Whatever a scanner left out of its header or wrote wrongly into it, a slide that is scored can be reported."""

import warnings
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import DataElement, Dataset, Sequence, dcmread
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ExplicitVRLittleEndian

from inference.errors import Reason, Refused
from server.domain.result import Result
from server.report.ann import build_ann
from server.report.reportable import frame_of_reference, reportable, valid
from server.report.seg import build_seg
from server.report.source import check_same_specimen, read_source
from server.report.sr import build_sr
from tests.made import MPP, made_header, made_order, made_result

# What highdicom copies from a slide, or reads of it, beside what the made header has.
MORE = {
    "TimezoneOffsetFromUTC": "+0100",
    "IssuerOfPatientID": "LAB",
    "IssuerOfPatientIDQualifiersSequence": "SQ",
    "OtherPatientIDsSequence": "SQ",
    "PatientSize": "1.7",
    "PatientWeight": "70",
    "StudyDescription": "invented",
    "SeriesDescription": "invented",
    "SeriesDate": "20260227",
    "AcquisitionDateTime": "20260227101500",
    "LossyImageCompression": "01",
    "LossyImageCompressionMethod": "ISO_10918_1",
    "ProcedureCodeSequence": "SQ",
    "ReferencedStudySequence": "SQ",
    "ClinicalTrialSponsorName": "invented",
    "PyramidUID": "2.25.1",
    "OpticalPathSequence": "SQ",
    "PerFrameFunctionalGroupsSequence": "SQ",
    "DimensionOrganizationSequence": "SQ",
}
WRONG = ["x" * 70, "26.02.2026", "1\\2\\3\\4\\5\\6\\7", "-1", "é\tà\x01"]
LONG = ("SQ", "OB", "OW", "UN", "UT", "UC", "UR")  # their length is written in four bytes
NUMBERS = ["US", "FD"]
REFUSED = {"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Columns", "Rows"}
REFUSED |= {"TotalPixelMatrixColumns", "TotalPixelMatrixRows"}


def full_header() -> Dataset:
    header = made_header()
    for keyword, value in MORE.items():
        setattr(header, keyword, [_coded()] if value == "SQ" else value)
    return header


def _coded() -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "99TEST", "invented"
    return item


def mutated(header: Dataset, keyword: str) -> Iterator[Dataset]:
    """The header without an attribute, with it empty, as other kinds of value, and with values that are none."""
    tag, vr = tag_for_keyword(keyword), dictionary_VR(keyword).split(" or ")[0]
    assert tag is not None
    without = Dataset({k: v for k, v in header.items() if k != tag})
    yield without
    yield _with(without, DataElement(tag, vr, [] if vr == "SQ" else None))
    yield _with(without, DataElement(tag, "SQ", Sequence([Dataset()])))
    yield _with(without, DataElement(tag, "SQ", Sequence([Dataset(), _coded()])))
    for text in WRONG:
        yield _with(without, DataElement(tag, "LO", text, validation_mode=IGNORE))
    for kind in NUMBERS:
        yield _with(without, DataElement(tag, kind, [1, 2, 3] if kind == "US" else float("nan")))


def _with(header: Dataset, element: DataElement) -> Dataset:
    out = Dataset(header)
    out[element.tag] = element
    return out


def through_a_file(header: Dataset, *, of_kind: tuple[BaseTag, str] | None = None) -> Dataset:
    """As pydicom reads it; `of_kind` is an element written as text and the kind of value that it says it is."""
    header.ensure_file_meta()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    content = BytesIO()
    with warnings.catch_warnings(action="ignore"):
        header.save_as(content, enforce_file_format=False, implicit_vr=False, little_endian=True)
        data = content.getvalue()
        if of_kind is not None:
            tag = of_kind[0].group.to_bytes(2, "little") + of_kind[0].element.to_bytes(2, "little")
            data = data.replace(tag + b"LO", tag + of_kind[1].encode())
        return dcmread(BytesIO(data), force=True)


def all_read(header: Dataset, keyword: str) -> Iterator[Dataset]:
    """Every mutation as it is read from a file, wrong text both as text and as the kind that the attribute is."""
    tag, vr = Tag(keyword), dictionary_VR(keyword).split(" or ")[0]
    for changed in mutated(header, keyword):
        yield through_a_file(changed)
        if tag in changed and changed[tag].VR == "LO" and vr not in (*LONG, "LO"):
            yield through_a_file(changed, of_kind=(tag, vr))


def build_all(result: Result, source: list[Dataset]) -> None:
    with warnings.catch_warnings(action="ignore"):  # of a name with one component, for one
        for report in (build_sr(result, None, source), build_ann(result, source), build_seg(result, source)):
            assert report is not None
            report.save_as(BytesIO(), enforce_file_format=True)


@pytest.mark.parametrize("keyword", sorted({e.keyword for e in full_header()} - {"SpecificCharacterSet"}))
def test_whatever_an_attribute_holds_every_report_is_built_or_the_slide_refused_before(
    keyword: str, tmp_path: Path
) -> None:
    result, tried, built = made_result(tmp_path), 0, set[str]()
    for read in all_read(full_header(), keyword):
        tried += 1
        if keyword in REFUSED and is_refused(read):
            continue
        fit = reportable(read, mpp=MPP)
        if fit.to_json() not in built and not _of_other_size(fit):
            built.add(fit.to_json())
            build_all(result, [read])
    assert tried >= 5


@pytest.mark.parametrize(
    "keyword", ["PatientID", "IssuerOfPatientID", "ContainerIdentifier", "SpecimenDescriptionSequence"]
)
def test_whatever_identity_holds_the_specimen_is_compared_or_not(keyword: str) -> None:
    for read in all_read(full_header(), keyword):
        with suppress(Refused):
            check_same_specimen(made_order(), [valid(read)])


def is_refused(header: Dataset) -> bool:
    try:
        reportable(header, mpp=MPP)
    except Refused as refused:
        return refused.reason is Reason.NOT_A_SLIDE
    return False


def _of_other_size(header: Dataset) -> bool:
    made = made_header()
    return any(header[k].value != made[k].value for k in ("TotalPixelMatrixColumns", "TotalPixelMatrixRows"))


@pytest.mark.parametrize("keyword", ["SpecimenDescriptionSequence", "SharedFunctionalGroupsSequence"])
def test_so_too_for_what_stands_in_its_sequences(keyword: str, tmp_path: Path) -> None:
    result, built = made_result(tmp_path), set[str]()
    for inner in sorted({e.keyword for e in full_header()[keyword].value[0]}):
        for item in mutated(full_header()[keyword].value[0], inner):
            header = full_header()
            header[keyword] = DataElement(header[keyword].tag, "SQ", Sequence([item]))
            read = through_a_file(header)
            if (fit := reportable(read, mpp=MPP)).to_json() not in built:
                built.add(fit.to_json())
                build_all(result, [read])
    assert len(built) > 1


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "ImageType", "TotalPixelMatrixOriginSequence"])
def test_what_is_missing_is_given(keyword: str) -> None:
    header = made_header()
    delattr(header, keyword)
    assert reportable(header, mpp=MPP).get(keyword)


def test_a_frame_of_reference_of_ours_is_the_same_for_all_of_a_series() -> None:
    first, second = made_header(), made_header(width=5000)
    del first.FrameOfReferenceUID, second.FrameOfReferenceUID
    uids = {reportable(h, mpp=MPP).FrameOfReferenceUID for h in (first, second)}
    assert uids == {frame_of_reference(first.SeriesInstanceUID)}
    assert frame_of_reference("2.25.1") != frame_of_reference("2.25.2")


def test_a_spacing_that_frames_have_of_their_own_is_given_to_all() -> None:
    header = made_header()
    del header.SharedFunctionalGroupsSequence
    (shared,) = reportable(header, mpp=0.5).SharedFunctionalGroupsSequence
    assert shared.PixelMeasuresSequence[0].PixelSpacing == [0.0005, 0.0005]


def test_what_is_valid_stays_as_it_is() -> None:
    fit = reportable(made_header(), mpp=MPP)
    for element in made_header():
        if element.keyword not in ("SpecificCharacterSet", "ReferringPhysicianName"):
            assert fit[element.keyword].value == element.value, element.keyword


@pytest.mark.parametrize("uid", ["", "1.2.abc", "x" * 70])
def test_a_slide_without_identity_is_refused_in_one_line_that_names_it(uid: str) -> None:
    header = made_header()
    header["StudyInstanceUID"] = DataElement("StudyInstanceUID", "UI", uid, validation_mode=IGNORE)
    with pytest.raises(Refused, match="has no valid StudyInstanceUID") as refused:
        reportable(header, mpp=MPP)
    assert refused.value.reason is Reason.NOT_A_SLIDE


def test_a_header_read_from_a_folder_is_valid_already(tmp_path: Path) -> None:
    header = made_header()
    header["StudyDate"] = DataElement("StudyDate", "DA", "27.2.26", validation_mode=IGNORE)
    header.ensure_file_meta()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with warnings.catch_warnings(action="ignore"):
        header.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    (read,) = read_source(tmp_path)
    assert "StudyDate" not in read
