"""What reports take from the slide: which headers, the specimen check, geometry, and real headers that break the
standard.
"""

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread

from inference.errors import Reason, Refused
from inference.geometry import Size
from server.domain.errors import ServiceReason
from server.domain.patients import PatientRules
from server.domain.result import Result
from server.report.ann import build_ann
from server.report.identity import derived_uid, write
from server.report.seg import build_seg
from server.report.source import (
    SlideGeometry,
    check_same_patient,
    check_same_specimen,
    geometry,
    main_image,
    read_source,
)
from server.report.sr import build_sr
from tests.made import CONTAINER, MPP, WIDTH, made_header, made_order, made_result

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
REAL = ["multi_frame_jpeg_camelyon_challenge_image.dcm", "syntaxes/jpeg.dcm", "syntaxes/raw.dcm"]


def test_read_source_gives_volume_images_largest_first_and_passes_over_the_rest(tmp_path: Path) -> None:
    for name, header in {
        "a": made_header(width=5_000, height=3_000),
        "b": made_header(),
        "label": made_header(width=400, height=400, kind="LABEL"),
    }.items():
        _write_slide(header, tmp_path / f"{name}.dcm")
    (tmp_path / "notes.txt").write_text("not DICOM")
    (tmp_path / "empty.dcm").write_bytes(b"")
    assert [h.TotalPixelMatrixColumns for h in read_source(tmp_path)] == [WIDTH, 5_000]
    assert len(read_source(tmp_path / "b.dcm")) == 1


def test_read_source_refuses_a_folder_without_a_slide(tmp_path: Path) -> None:
    (tmp_path / "x.dcm").write_bytes(b"\0" * 200)
    with pytest.raises(Refused) as refused:
        read_source(tmp_path)
    assert refused.value.reason is Reason.NOT_A_SLIDE


@pytest.mark.skipif(not (DATA / "slides").exists(), reason="../shared/data/slides is absent")
def test_read_source_passes_over_an_annotation_object_and_other_formats() -> None:
    found = {h.SOPInstanceUID for h in read_source(DATA / "slides")}
    uids = {p.name: dcmread(p, stop_before_pixels=True).SOPInstanceUID for p in (DATA / "slides").glob("*.dcm")}
    assert uids["wsi_annotation.dcm"] not in found
    assert uids["multi_frame_jpeg_camelyon_challenge_image.dcm"] in found


@pytest.mark.parametrize(
    ("container", "specimen"),
    [(CONTAINER, "S26-TEST-1-A"), ("", "S26-TEST-1-A"), (CONTAINER, ""), ("", ""), (f" {CONTAINER} ", "")],
)
def test_the_same_specimen_passes_and_what_the_order_leaves_out_is_not_compared(container: str, specimen: str) -> None:
    check_same_specimen(made_order(container_id=container, specimen_id=specimen), [made_header()])


@pytest.mark.parametrize(
    ("container", "specimen"), [("S26-TEST-9", "S26-TEST-1-A"), (CONTAINER, "S26-TEST-1-B"), ("s26-test-1-a-2", "")]
)
def test_another_specimen_or_container_is_refused_without_naming_it(container: str, specimen: str) -> None:
    with pytest.raises(Refused) as refused:
        check_same_specimen(made_order(container_id=container, specimen_id=specimen), [made_header()])
    assert refused.value.reason is ServiceReason.SPECIMEN_MISMATCH
    assert "S26" not in refused.value.message


def test_one_order_that_names_two_containers_is_refused() -> None:
    order = made_order()
    torn = replace(order, request=replace(order.request, slide=replace(order.request.slide, container_id="S26-TEST-9")))
    with pytest.raises(Refused):
        check_same_specimen(torn, [made_header()])


def test_a_slide_that_names_no_specimen_is_not_refused() -> None:
    bare = made_header()
    del bare.ContainerIdentifier, bare.SpecimenDescriptionSequence
    check_same_specimen(made_order(), [bare])


def test_an_sr_for_another_specimen_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        build_sr(made_result(tmp_path), made_order(specimen_id="S26-TEST-1-B"), [made_header()])
    assert refused.value.reason is ServiceReason.SPECIMEN_MISMATCH


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "TotalPixelMatrixRows"])
def test_an_image_without_identity_is_refused(tmp_path: Path, keyword: str) -> None:
    header = made_header()
    delattr(header, keyword)
    with pytest.raises(Refused) as refused:
        main_image(made_result(tmp_path), [header])
    assert refused.value.reason is Reason.NOT_A_SLIDE


def test_no_image_or_another_size_than_the_one_scored_is_refused(tmp_path: Path) -> None:
    result = made_result(tmp_path)
    with pytest.raises(Refused):
        main_image(result, [])
    with pytest.raises(Refused) as refused:
        main_image(result, [made_header(width=WIDTH + 1)])
    assert refused.value.reason is Reason.SEVERAL_SLIDES


def test_the_callers_header_is_left_as_it_was(tmp_path: Path) -> None:
    header, before = made_header(), made_header()
    main_image(made_result(tmp_path), [header])
    assert header == before


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "TEST-INVENTED^Zoë"),
        (["", "ISO 2022 IR 87"], "TEST-INVENTED^Tarou=山田^太郎"),
        ("ISO_IR 144", "TEST-INVENTED^Зоя"),
        ("ISO_IR 192", "TEST-INVENTED^Ζωή"),
    ],
)
def test_names_survive_from_whatever_character_set_the_slide_is_written_in(
    charset: str | list[str], name: str, tmp_path: Path
) -> None:
    header = made_header()
    header.SpecificCharacterSet, header.PatientName = charset, name
    header.SpecimenDescriptionSequence[0].SpecimenShortDescription = name.split("^")[1].split("=")[0]
    _write_slide(header, tmp_path / "slide.dcm")
    result, source = made_result(tmp_path), read_source(tmp_path / "slide.dcm")
    for report in (build_sr(result, None, source), build_ann(result, source), build_seg(result, source)):
        assert report is not None
        write(report, tmp_path / "report.dcm")
        back = dcmread(tmp_path / "report.dcm")
        assert back.SpecificCharacterSet == "ISO_IR 192"
        assert str(back.PatientName) == name
        assert back.SpecimenDescriptionSequence[0].SpecimenShortDescription == name.split("^")[1].split("=")[0]


def test_a_sex_that_the_standard_does_not_know_is_left_empty(tmp_path: Path) -> None:
    header = made_header()
    header.PatientSex = "U"
    assert not build_sr(made_result(tmp_path), None, [header]).PatientSex


def test_geometry_follows_orientation_and_origin() -> None:
    slide = geometry(made_header(), mpp=MPP)  # columns grow along -y, rows along -x
    at = slide.to_slide(np.array([0.0, 100.0, 0.0]), np.array([0.0, 0.0, 200.0]))
    assert at == pytest.approx(np.array([[20, 40, 0], [20, 40 - 100 * MPP / 1000, 0], [20 - 200 * MPP / 1000, 40, 0]]))


@given(
    turn=st.sampled_from([(1, 0, 0, 0, 1, 0), (0, -1, 0, -1, 0, 0), (-1, 0, 0, 0, -1, 0), (0, 1, 0, 1, 0, 0)]),
    origin=st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
    spacing=st.tuples(st.floats(1e-4, 0.1), st.floats(1e-4, 0.1)),
    pixel=st.tuples(st.integers(0, 200_000), st.integers(0, 200_000)),
)
def test_geometry_agrees_with_highdicoms_own_transform(
    turn: tuple[int, ...], origin: tuple[float, float], spacing: tuple[float, float], pixel: tuple[int, int]
) -> None:
    slide = SlideGeometry(
        origin=np.array([*origin, 0.0]),
        along_row=np.array(turn[:3], float),
        along_column=np.array(turn[3:], float),
        spacing=spacing,
        columns=1,
        rows=1,
    )
    transform = hd.spatial.PixelToReferenceTransformer([*origin, 0.0], [float(t) for t in turn], list(spacing))
    assert slide.to_slide(*np.array([pixel], float).T) == pytest.approx(transform(np.array([pixel])), abs=1e-6)


def test_geometry_without_any_of_it_is_upright_at_the_pixel_size_given() -> None:
    bare = Dataset()
    bare.TotalPixelMatrixColumns, bare.TotalPixelMatrixRows = 10, 20
    assert geometry(bare, mpp=0.5).to_slide(np.array([2.0]), np.array([4.0])) == pytest.approx(
        np.array([[0.001, 0.002, 0]])
    )


def test_derived_uids_are_valid_stable_and_apart(tmp_path: Path) -> None:
    first, second = made_result(tmp_path), made_result(tmp_path, seed=1)
    uids = {derived_uid(r.id, part) for r in (first, second) for part in ("SR", "ANN", "SR/series")}
    assert len(uids) == 6
    assert all(len(uid) <= 64 and uid.startswith("2.25.") for uid in uids)
    assert derived_uid(first.id, "SR") == derived_uid(first.id, "SR")


@pytest.mark.parametrize("name", REAL)
def test_real_headers_without_patient_specimen_or_origin_still_carry_all_three_reports(
    name: str, tmp_path: Path
) -> None:
    path = DATA / "slides" / name
    if not path.exists():
        pytest.skip("../shared/data/slides is absent")
    header = dcmread(path, stop_before_pixels=True)
    size = Size(width=header.TotalPixelMatrixColumns, height=header.TotalPixelMatrixRows)
    result = _of_size(made_result(tmp_path), size)
    for kind, report in {
        "sr": build_sr(result, None, [header]),
        "ann": build_ann(result, [header]),
        "seg": build_seg(result, [header]),
    }.items():
        assert report is not None
        write(report, tmp_path / f"{kind}.dcm")
        assert dcmread(tmp_path / f"{kind}.dcm").StudyInstanceUID == header.StudyInstanceUID


def _of_size(result: Result, size: Size) -> Result:
    return replace(result, analysis=replace(result.analysis, slide=replace(result.analysis.slide, size=size)))


def _write_slide(header: Dataset, path: Path) -> None:
    header.ensure_file_meta()
    header.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    write(header, path)


KNOWN = ("INVENTED-1", "LAB")


@pytest.mark.parametrize(
    ("asked", "slide", "answer"),
    [
        (KNOWN, KNOWN, ""),
        (KNOWN, ("INVENTED-2", "LAB"), "identifier is not the slide's"),
        (KNOWN, ("INVENTED-2", ""), "identifier is not the slide's"),
        (KNOWN, ("INVENTED-2", "ELSEWHERE"), "identifier is not the slide's"),
        (KNOWN, ("INVENTED-1", "ELSEWHERE"), "issued by another authority"),
        (KNOWN, ("INVENTED-1", "LAB-HIS"), ""),  # a name of the same
        (KNOWN, ("INVENTED-1", ""), "PATIENT_ISSUER_MISSING"),
        (("INVENTED-1", ""), KNOWN, "PATIENT_ISSUER_MISSING"),
        (("INVENTED-1", ""), ("INVENTED-1", ""), "PATIENT_ISSUER_MISSING"),
        (KNOWN, ("", ""), "PATIENT_ID_MISSING"),
        (KNOWN, ("", "LAB"), "PATIENT_ID_MISSING"),
    ],
)
def test_12_5_patients_are_compared_by_identifier_and_by_who_issued_it(
    asked: tuple[str, str], slide: tuple[str, str], answer: str
) -> None:
    header, order, issuers = made_header(), made_order(), frozenset({"LAB", "LAB-HIS"})
    header.PatientID, header.IssuerOfPatientID = slide
    patient = replace(order.request.patient, id=asked[0], id_authority=asked[1])
    order = replace(order, request=replace(order.request, patient=patient))
    if " " in answer:
        with pytest.raises(Refused, match=answer) as refused:
            check_same_patient(order, [header], PatientRules(issuers=issuers))
        assert "INVENTED" not in refused.value.message
        return
    warnings = check_same_patient(order, [header], PatientRules(issuers=issuers))
    assert warnings == ((answer,) if answer else ())
    if warnings:
        with pytest.raises(Refused, match="which the site asks for"):
            check_same_patient(order, [header], PatientRules(issuers=issuers, required=True))


def test_without_rules_of_the_site_two_names_are_two_authorities() -> None:
    header, order = made_header(), made_order()
    header.PatientID, header.IssuerOfPatientID = "INVENTED-1", "LAB-HIS"
    patient = replace(order.request.patient, id="INVENTED-1", id_authority="LAB")
    with pytest.raises(Refused, match="another authority"):
        check_same_patient(replace(order, request=replace(order.request, patient=patient)), [header], PatientRules())
