"""The structured report holds what the result holds, no more, and the same bytes every time."""

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian

from inference.analyzers.nuclear import NUCLEAR, PERCENT_POSITIVE
from inference.assay import assay_of
from inference.grade import DensityThresholds
from inference.measures import ALL, Score
from server.domain.order import EntityIdentifier
from server.domain.profile import built_in
from server.domain.result import Result, ResultId
from server.report import codes
from server.report.identity import derived_uid, write
from server.report.source import KEPT_HEADER, keep_header, read_source
from server.report.sr import build_sr
from tests.made import CONTAINER, SPECIMEN, made_header, made_order, made_result

SITES = {region.code: region.name for region in NUCLEAR.regions}
CLINICAL = assay_of("ER").clinical_region
FIRST, SECOND, _ = SITES.values()
BUILT_IN = built_in(assay_of("ER"))
COUNTS = {"COUNT_NUCLEI", *(f"COUNT_GRADE_{g}" for g in range(4))}


def read_back(report: object, tmp_path: Path) -> hd.sr.Comprehensive3DSR:
    write(report, tmp_path / "sr.dcm")
    return hd.sr.srread(tmp_path / "sr.dcm")


def numbers(report: hd.sr.Comprehensive3DSR) -> dict[str, dict[str, float]]:
    """Region to code value to number, but for the area of tissue."""
    return {
        SITES[group.finding_sites[0].value.value]: {
            m.name.value: m.value for m in group.get_measurements() if m.name.value != codes.AREA.value
        }
        for group in report.content.get_image_measurement_groups()
    }


def expected(result: Result, region: str) -> dict[str, float]:
    """The rows of a region, and the limits of each interval."""
    said: dict[str, float] = {}
    for row in result.scores:
        if row.region == region and row.value is not None:
            said[row.code] = row.value
            if row.interval is not None:
                said |= {f"{row.measure}_CI95_LOW": row.interval[0], f"{row.measure}_CI95_HIGH": row.interval[1]}
    return said


def test_every_number_of_the_result_reads_back(tmp_path: Path) -> None:
    result = made_result(tmp_path, warnings=("OUT_OF_SCOPE", "FEW_NUCLEI"))
    found = numbers(read_back(build_sr(result, made_order(), [made_header()]), tmp_path))
    assert found == {region: expected(result, region) for region in SITES.values()}
    assert set(found[CLINICAL]) == {
        "HSCORE",
        "HSCORE_CI95_LOW",
        "HSCORE_CI95_HIGH",
        "85329-1",
        "PERCENT_POSITIVE_CI95_LOW",
        "PERCENT_POSITIVE_CI95_HIGH",
        "ALLRED_PS",
        "ALLRED_IS",
        "ALLRED_TOTAL",
        "IRS",
        *COUNTS,
    }


def test_counts_stand_first(tmp_path: Path) -> None:
    report = read_back(build_sr(made_result(tmp_path), made_order(), [made_header()]), tmp_path)
    for group in report.content.get_image_measurement_groups():
        assert {m.name.value for m in group.get_measurements()[: len(COUNTS)]} == COUNTS


@settings(max_examples=8, deadline=None)
@given(counts=st.lists(st.integers(0, 2_000_000), min_size=len(NUCLEAR.groups), max_size=len(NUCLEAR.groups)))
def test_scores_of_any_counts_read_back_to_the_last_digit(
    counts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("sr")
    rows = NUCLEAR.scores(assay_of("ER").measures, np.array(counts), np.array([counts, counts[::-1]]))
    result = replace(made_result(folder, n=1), scores=rows)
    found = numbers(read_back(build_sr(result, None, [made_header()]), folder))
    assert found == {region: expected(result, region) for region in SITES.values()}


def test_a_store_that_made_floats_of_whole_numbers_changes_no_byte(tmp_path: Path) -> None:
    result = made_result(tmp_path)
    floats = tuple(replace(row, value=None if row.value is None else float(row.value)) for row in result.scores)
    assert _bytes(result, tmp_path / "1.dcm") == _bytes(replace(result, scores=floats), tmp_path / "2.dcm")


def test_p53_has_its_percentage_and_counts_alone(tmp_path: Path) -> None:
    result = made_result(tmp_path, marker="P53")
    found = numbers(read_back(build_sr(result, made_order(marker="P53"), [made_header()]), tmp_path))
    limits = (f"{PERCENT_POSITIVE.code}_CI95_LOW", f"{PERCENT_POSITIVE.code}_CI95_HIGH")
    assert {frozenset(said) for said in found.values()} == {frozenset({PERCENT_POSITIVE.code, *limits, *COUNTS})}


def test_a_category_and_codes_of_any_length_read_back(tmp_path: Path) -> None:
    """A made-up measure's: neither its code nor its words fit DICOM's shortest."""
    row = Score(
        measure="GLOW_OF_THE_WHOLE_SECTION",
        code="GLOW_OF_THE_WHOLE_SECTION",
        display="Glow, " * 20,
        region=ALL,
        unit="",
        n=3,
        category="very bright",
    )
    result = replace(made_result(tmp_path), scores=(row, replace(row, unit="%", category=None, value=1.5)))
    (group,) = read_back(build_sr(result, None, [made_header()]), tmp_path).content.get_image_measurement_groups()
    evaluation, (measured, _) = _evaluation(group, row.code), group.get_measurements()
    assert (evaluation.name.value, evaluation.value.meaning) == (row.code, "very bright")
    assert (measured.name.value, measured.value) == (row.code, 1.5)


def _evaluation(group: hd.sr.MeasurementsAndQualitativeEvaluations, code: str) -> hd.sr.CodeContentItem:
    (found,) = (e for e in group.get_qualitative_evaluations() if e.name.value == code)
    return found


def test_an_answer_of_a_public_list_bears_its_code(tmp_path: Path) -> None:
    row = Score(measure="HER2_SCORE", code="HER2_SCORE", display="HER2", region=ALL, unit="", n=3, category="2+")
    result = replace(made_result(tmp_path), scores=(row,))
    (group,) = read_back(build_sr(result, None, [made_header()]), tmp_path).content.get_image_measurement_groups()
    evaluation = _evaluation(group, row.code)
    assert (evaluation.value.value, evaluation.value.scheme_designator) == ("LA11842-4", "LN")


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
    assert found[ALL] == dict.fromkeys(COUNTS, 0)


def test_a_compartment_without_nuclei_has_no_score_beside_one_that_has(tmp_path: Path) -> None:
    result = made_result(tmp_path, only_compartment=0)
    found = numbers(read_back(build_sr(result, None, [made_header()]), tmp_path))
    assert "HSCORE" in found[FIRST]
    assert "HSCORE" not in found[SECOND]


def test_an_interval_that_could_not_be_made_is_left_out(tmp_path: Path) -> None:
    result = made_result(tmp_path)
    bare = replace(result, scores=tuple(replace(row, interval=None) for row in result.scores))
    found = numbers(read_back(build_sr(bare, None, [made_header()]), tmp_path))
    assert not any(name.startswith("HSCORE_CI95") for said in found.values() for name in said)


@pytest.mark.parametrize(
    ("marker", "site", "code"),
    [("ER", "76752008", "85329-1"), ("KI67", "76752008", "85330-9"), ("PR", "69695003", "14230-7")],
)
def test_the_clinical_regions_percentage_has_the_markers_code_and_only_it(
    tmp_path: Path, marker: str, site: str, code: str
) -> None:
    result = made_result(tmp_path, marker=marker, site_code=site)
    order = made_order(marker=marker, site_code=site)
    found = numbers(read_back(build_sr(result, order, [made_header()]), tmp_path))
    for region, said in found.items():
        assert (code in said, PERCENT_POSITIVE.code in said) == (region == CLINICAL, region != CLINICAL)


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
    assert texts == [
        ("INTENDED_USE", "Research use only"),
        ("CLINICAL_REGION", CLINICAL),
        ("WARNING", "OUT_OF_SCOPE"),
        ("WARNING", "FEW_NUCLEI"),
    ]


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
    density = replace(BUILT_IN, name="od", revision=3, criteria=DensityThresholds(weak=20, moderate=40, strong=60))
    result = made_result(tmp_path, profile=density)
    coloured = replace(result.analysis, slide=replace(result.analysis.slide, icc_sha256="cd" * 32))
    report = read_back(build_sr(replace(result, analysis=coloured), None, [made_header()]), tmp_path)
    group = report.content.get_image_measurement_groups()[0]
    items = [(i.name.value, i.value) for i in group[0].ContentSequence if i.name.value.startswith("11100")]
    assert {("111001", "chromogen made-up"), ("111003", "9.8.7 (model 1.0.0)")} <= set(items)
    assert report.SoftwareVersions == "9.8.7"
    parameters = {value for name, value in items if name == "111002"}
    assert {"model_sha256=" + "ab" * 32, "profile=od/3", "od_centi_strong=60", "icc_sha256=" + "cd" * 32} <= parameters
    assert {f"graph_{name}={sha256}" for name, sha256 in result.analysis.model.graphs} <= parameters


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


def test_the_area_of_tissue_is_said_once(tmp_path: Path) -> None:
    result = made_result(tmp_path)
    groups = read_back(build_sr(result, None, [made_header()]), tmp_path).content.get_image_measurement_groups()
    said = [(m.value, m.unit.value) for g in groups for m in g.get_measurements() if m.name.value == codes.AREA.value]
    assert said == [(result.analysis.tissue_mm2 * 1e6, "um2")]


def test_all_parts_of_a_concatenation_are_named(tmp_path: Path) -> None:
    """How many there are need not stand in the parts: what is kept of the first one says it."""
    parts = [made_header() for _ in range(3)]
    for number, part in enumerate(parts, 1):
        part.ConcatenationUID, part.InConcatenationNumber = "2.25.9", number
        part.SOPInstanceUID = f"2.25.90{number}"
        part.ensure_file_meta()
        part.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    result = made_result(tmp_path)
    uids = tuple(str(part.SOPInstanceUID) for part in parts)
    slide = replace(result.analysis.slide, sop_instance_uids=(*uids, "2.25.77"))
    result = replace(result, analysis=replace(result.analysis, slide=slide))
    keep_header(slide, parts, tmp_path)
    for source in (parts, read_source(tmp_path / KEPT_HEADER)):
        report = read_back(build_sr(result, None, source), tmp_path)
        (study,) = report.CurrentRequestedProcedureEvidenceSequence
        (series,) = study.ReferencedSeriesSequence
        assert [str(item.ReferencedSOPInstanceUID) for item in series.ReferencedSOPSequence] == list(uids)
