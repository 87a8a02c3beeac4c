"""The structured report holds what the result holds, no more, and the same bytes every time."""

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from inference.grade import DensityThresholds
from inference.score import CompartmentScore, score
from server.domain.order import EntityIdentifier
from server.domain.profile import ANY, BUILT_IN, ProfileKey
from server.domain.result import Result, ResultId
from server.report import codes
from server.report.codes import Code
from server.report.identity import derived_uid, write
from server.report.sr import build_sr, measurements
from tests.made import CONTAINER, SPECIMEN, made_header, made_order, made_result

SITES = {"STROMA": "stroma", "EPITHELIUM": "epithelium", "ALL_COMPARTMENTS": "all"}


def read_back(report: object, tmp_path: Path) -> hd.sr.Comprehensive3DSR:
    write(report, tmp_path / "sr.dcm")
    return hd.sr.srread(tmp_path / "sr.dcm")


def numbers(report: hd.sr.Comprehensive3DSR) -> dict[str, dict[str, float]]:
    """Compartment to code value to number."""
    return {
        SITES[group.finding_sites[0].value.value]: {m.name.value: m.value for m in group.get_measurements()}
        for group in report.content.get_image_measurement_groups()
    }


def expected(of: CompartmentScore, percent: Code) -> dict[str, float]:
    return {code.value: value for code, value in measurements(of, percent)}


def test_every_number_of_the_result_reads_back(tmp_path: Path) -> None:
    result = made_result(tmp_path, warnings=("OUT_OF_SCOPE", "FEW_NUCLEI"))
    found = numbers(read_back(build_sr(result, made_order(), [made_header()]), tmp_path))
    assert found["stroma"] == expected(result.scores.stroma, codes.PERCENT_POSITIVE)
    assert found["all"] == expected(result.scores.all, codes.PERCENT_POSITIVE)
    epithelium, of = found["epithelium"], result.scores.epithelium
    assert epithelium["HSCORE"] == of.h_score
    assert (epithelium["HSCORE_CI95_LOW"], epithelium["HSCORE_CI95_HIGH"]) == of.h_score_ci95
    assert epithelium["85329-1"] == of.percent_positive
    assert tuple(epithelium[f"COUNT_GRADE_{g}"] for g in range(4)) == of.counts
    assert epithelium["COUNT_NUCLEI"] == of.n
    assert of.allred is not None
    assert tuple(epithelium[f"ALLRED_{k}"] for k in ("PS", "IS", "TOTAL")) == (
        of.allred.ps,
        of.allred.is_,
        of.allred.total,
    )
    assert epithelium["IRS"] == of.irs
    assert len(epithelium) == 13


@settings(max_examples=8, deadline=None)
@given(row=st.lists(st.integers(0, 2_000_000), min_size=4, max_size=4))
def test_scores_of_any_counts_read_back_to_the_last_digit(
    row: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("sr")
    result = made_result(folder, n=1)
    any_score = score(np.array(row), np.array([row, row[::-1]]))
    found = numbers(
        read_back(
            build_sr(replace(result, scores=replace(result.scores, stroma=any_score)), None, [made_header()]), folder
        )
    )
    assert found["stroma"] == expected(any_score, codes.PERCENT_POSITIVE)


def test_units_are_those_of_the_table(tmp_path: Path) -> None:
    report = read_back(build_sr(made_result(tmp_path), made_order(), [made_header()]), tmp_path)
    table = {c.value: c.unit for c in codes.table()}
    for group in report.content.get_image_measurement_groups():
        for measurement in group.get_measurements():
            unit = table[measurement.name.value]
            assert unit is not None
            assert (measurement.unit.value, measurement.unit.scheme_designator) == (unit.value, "UCUM")


def test_no_nuclei_give_counts_and_no_score(tmp_path: Path) -> None:
    result = made_result(tmp_path, n=0)
    found = numbers(read_back(build_sr(result, None, [made_header()]), tmp_path))
    assert found["all"] == {"COUNT_NUCLEI": 0, **{f"COUNT_GRADE_{g}": 0 for g in range(4)}}


def test_a_compartment_without_nuclei_has_no_score_beside_one_that_has(tmp_path: Path) -> None:
    result = made_result(tmp_path, only_compartment=0)
    found = numbers(read_back(build_sr(result, None, [made_header()]), tmp_path))
    assert "HSCORE" in found["stroma"]
    assert "HSCORE" not in found["epithelium"]


def test_an_interval_that_could_not_be_made_is_left_out(tmp_path: Path) -> None:
    result = made_result(tmp_path)
    bare = replace(result, scores=replace(result.scores, all=replace(result.scores.all, h_score_ci95=None)))
    found = numbers(read_back(build_sr(bare, None, [made_header()]), tmp_path))
    assert not any(name.startswith("HSCORE_CI95") for name in found["all"])


@pytest.mark.parametrize(
    ("marker", "site", "code"),
    [
        ("ER", "76752008", "85329-1"),
        ("KI67", "76752008", "85330-9"),
        ("PR", "69695003", "14230-7"),
        ("P53", "", "PERCENT_POSITIVE"),
    ],
)
def test_the_epitheliums_percentage_has_the_markers_code_and_only_it(
    tmp_path: Path, marker: str, site: str, code: str
) -> None:
    order = made_order(marker=marker, site_code=site)
    found = numbers(read_back(build_sr(made_result(tmp_path), order, [made_header()]), tmp_path))
    assert code in found["epithelium"]
    assert "PERCENT_POSITIVE" in found["stroma"]
    assert "PERCENT_POSITIVE" in found["all"]


def test_without_an_order_the_marker_is_the_profiles(tmp_path: Path) -> None:
    profile = replace(BUILT_IN, key=ProfileKey(lab=ANY, marker="KI67"))
    result = made_result(tmp_path, profile=profile)
    assert "29593-1" in numbers(read_back(build_sr(result, None, [made_header()]), tmp_path))["epithelium"]


def test_s4_it_is_preliminary_for_research_only_and_carries_the_warnings(tmp_path: Path) -> None:
    result = made_result(tmp_path, warnings=("OUT_OF_SCOPE", "FEW_NUCLEI"))
    report = read_back(build_sr(result, None, [made_header()]), tmp_path)
    assert (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) == (
        "PARTIAL",
        "UNVERIFIED",
        "PRELIMINARY",
    )
    evaluations = report.ContentSequence[-1]
    texts = [(i.ConceptNameCodeSequence[0].CodeValue, i.TextValue) for i in evaluations.ContentSequence]
    assert texts == [("INTENDED_USE", "Research use only"), ("WARNING", "OUT_OF_SCOPE"), ("WARNING", "FEW_NUCLEI")]


def test_patient_study_specimen_and_container_are_the_slides(tmp_path: Path) -> None:
    header = made_header()
    report = read_back(build_sr(made_result(tmp_path), made_order(), [header]), tmp_path)
    for keyword in (
        "PatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
        "StudyDate",
        "AccessionNumber",
    ):
        assert report[keyword].value == header[keyword].value, keyword
    assert str(report.PatientName) == "TEST-INVENTED^Zoë"
    texts = {i.ConceptNameCodeSequence[0].CodeValue: i.get("TextValue", i.get("UID")) for i in report.ContentSequence}
    assert texts["121041"] == SPECIMEN
    assert texts["111700"] == CONTAINER
    assert texts["121039"] == header.SpecimenDescriptionSequence[0].SpecimenUID
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == header.SOPInstanceUID


def test_s3_the_algorithm_is_named_with_software_hash_profile_thresholds_and_colour_profile(tmp_path: Path) -> None:
    density = replace(BUILT_IN, name="od", revision=3, thresholds=DensityThresholds(weak=20, moderate=40, strong=60))
    result = made_result(tmp_path, profile=density)
    coloured = replace(result.analysis, slide=replace(result.analysis.slide, icc_sha256="cd" * 32))
    report = read_back(build_sr(replace(result, analysis=coloured), None, [made_header()]), tmp_path)
    group = report.content.get_image_measurement_groups()[0]
    items = [(i.name.value, i.value) for i in group[0].ContentSequence if i.name.value.startswith("11100")]
    assert {("111001", "chromogen made-up"), ("111003", "9.8.7 (model 1.0.0)")} <= set(items)
    assert report.SoftwareVersions == "9.8.7"
    parameters = {value for name, value in items if name == "111002"}
    assert {"model_sha256=" + "ab" * 32, "profile=od/3", "od_centi_strong=60", "icc_sha256=" + "cd" * 32} <= parameters


def test_the_orders_numbers_are_referenced_and_what_does_not_fit_is_left_empty(tmp_path: Path) -> None:
    order = made_order()
    request = read_back(build_sr(made_result(tmp_path), order, [made_header()]), tmp_path).ReferencedRequestSequence[0]
    assert request.PlacerOrderNumberImagingServiceRequest == "P-4711"
    assert request.FillerOrderNumberImagingServiceRequest == order.id
    assert request.RequestedProcedureDescription == "Oestrogenrezeptor µ (invented)"
    wild = replace(
        order,
        request=replace(
            order.request, placer_order_number=EntityIdentifier(identifier="a\\b"), procedure_text="x" * 65
        ),
    )
    request = read_back(build_sr(made_result(tmp_path), wild, [made_header()]), tmp_path).ReferencedRequestSequence[0]
    assert not request.PlacerOrderNumberImagingServiceRequest
    assert not request.RequestedProcedureDescription


def test_tracking_uids_and_instance_uid_derive_from_the_result(tmp_path: Path) -> None:
    result = made_result(tmp_path)
    report = read_back(build_sr(result, None, [made_header()]), tmp_path)
    assert report.SOPInstanceUID == derived_uid(result.id, "SR")
    groups = report.content.get_image_measurement_groups()
    assert [g.tracking_uid for g in groups] == [derived_uid(result.id, f"SR/{name}") for name in SITES.values()]


def test_a_result_made_again_names_its_predecessors_report(tmp_path: Path) -> None:
    result = made_result(tmp_path)
    earlier = ResultId("00000000-0000-4000-8000-000000000001")
    report = read_back(build_sr(replace(result, predecessor=earlier), None, [made_header()]), tmp_path)
    series = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == derived_uid(earlier, "SR")


def test_building_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    result = made_result(tmp_path, warnings=("OUT_OF_SCOPE",))
    assert _bytes(result, tmp_path / "1.dcm") == _bytes(result, tmp_path / "2.dcm")


def _bytes(result: Result, path: Path) -> bytes:
    write(build_sr(result, made_order(), [made_header()]), path)
    return path.read_bytes()


@pytest.mark.parametrize(("offset", "hour"), [("+0100", "10"), ("-0530", "04"), ("nonsense", "09")])
def test_times_are_in_the_offset_that_the_slide_names(tmp_path: Path, offset: str, hour: str) -> None:
    header = made_header()
    header.add_new("TimezoneOffsetFromUTC", "SH", offset)
    write(build_sr(made_result(tmp_path), None, [header]), tmp_path / "sr.dcm")
    assert str(dcmread(tmp_path / "sr.dcm").ContentTime)[:2] == hour


def test_a_slide_with_two_specimens_is_said_to_be_of_neither(tmp_path: Path) -> None:
    header = made_header()
    header.SpecimenDescriptionSequence = [
        *header.SpecimenDescriptionSequence,
        *made_header().SpecimenDescriptionSequence,
    ]
    report = read_back(build_sr(made_result(tmp_path), None, [header]), tmp_path)
    assert "121039" not in {i.ConceptNameCodeSequence[0].CodeValue for i in report.ContentSequence}
    assert report.ContainerIdentifier == CONTAINER
