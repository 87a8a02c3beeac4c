"""Annotations hold every cell of the file once, where it is, in the analyzer's group."""

import resource
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest

from inference.analyzers.nuclear import NUCLEAR
from inference.cells.file import read_cells
from inference.cells.values import Cells
from inference.grade import HueValueThresholds
from server.domain.result import Result
from server.report.ann import Coordinates, build_ann
from server.report.identity import derived_uid, write
from server.report.source import geometry
from tests.made import MPP, made_header, made_result


def read_back(
    result: Result, tmp_path: Path, coordinates: Coordinates = Coordinates.PIXELS
) -> hd.ann.MicroscopyBulkSimpleAnnotations:
    report = build_ann(result, [made_header()], coordinates=coordinates)
    assert report is not None
    write(report, tmp_path / "ann.dcm")
    return hd.ann.annread(tmp_path / "ann.dcm")


def whole(result: Result) -> Cells:
    (cells,) = read_cells(result.cells_file, NUCLEAR.schema)
    return cells


def test_groups_count_what_the_histograms_count(tmp_path: Path) -> None:
    result = made_result(tmp_path, n=2_000)
    counts = NUCLEAR.counts(result.analysis.histograms, result.profile.criteria)
    found = {g.label: g.number_of_annotations for g in read_back(result, tmp_path).get_annotation_groups()}
    assert found == {group.name: n for group, n in zip(NUCLEAR.groups, counts, strict=True)}


@pytest.mark.parametrize("coordinates", list(Coordinates))
def test_points_and_confidence_read_back_where_they_were(tmp_path: Path, coordinates: Coordinates) -> None:
    result = made_result(tmp_path, n=400)
    nuclei = whole(result)
    key = NUCLEAR.group_of(nuclei, result.profile.criteria)
    groups = {g.label: g for g in read_back(result, tmp_path, coordinates).get_annotation_groups()}
    for k, name in enumerate(group.name for group in NUCLEAR.groups):
        chosen = key == k
        points = np.concatenate(groups[name].get_graphic_data(coordinates.value))
        if coordinates is Coordinates.PIXELS:
            assert points == pytest.approx(np.stack([nuclei.x[chosen], nuclei.y[chosen]], axis=1) + 0.5, abs=2e-3)
        else:
            slide = geometry(made_header(), mpp=MPP)
            assert points == pytest.approx(slide.to_slide(nuclei.x[chosen], nuclei.y[chosen]), abs=1e-5)
        names, values, units = groups[name].get_measurements()
        assert ([n.value for n in names], [u.value for u in units]) == (["CONFIDENCE"], ["1"])
        assert (values[:, 0] == nuclei["confidence"][chosen]).all()


def test_three_dimensional_points_agree_with_highdicoms_own_transform(tmp_path: Path) -> None:
    result, header = made_result(tmp_path, n=50), made_header()
    nuclei = whole(result)
    origin = header.TotalPixelMatrixOriginSequence[0]
    transform = hd.spatial.PixelToReferenceTransformer(
        image_position=[origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem, 0],
        image_orientation=header.ImageOrientationSlide,
        pixel_spacing=header.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing,
    )
    indices = np.stack([nuclei.x, nuclei.y], axis=1).round().astype(int)
    assert geometry(header, mpp=MPP).to_slide(*indices.T.astype(float)) == pytest.approx(transform(indices))


def test_empty_groups_are_left_out_and_numbers_stay_in_sequence(tmp_path: Path) -> None:
    groups = read_back(made_result(tmp_path, n=300, only_compartment=1), tmp_path).get_annotation_groups()
    assert [g.label for g in groups] == [g.name for g in NUCLEAR.groups[4:]]
    assert [g.number for g in groups] == [1, 2, 3, 4]


def test_a_single_nucleus_is_one_group_of_one_point(tmp_path: Path) -> None:
    (group,) = read_back(made_result(tmp_path, n=1), tmp_path).get_annotation_groups()
    assert group.number_of_annotations == 1


def test_no_nuclei_give_no_annotations(tmp_path: Path) -> None:
    assert build_ann(made_result(tmp_path, n=0), [made_header()]) is None


def test_confidence_may_be_left_out(tmp_path: Path) -> None:
    report = build_ann(made_result(tmp_path), [made_header()], confidence=False)
    assert report is not None
    assert all("MeasurementsSequence" not in g for g in report.AnnotationGroupSequence)


def test_uids_derive_from_the_result_and_the_image_is_referenced(tmp_path: Path) -> None:
    result = made_result(tmp_path)
    report = read_back(result, tmp_path)
    assert report.SOPInstanceUID == derived_uid(result.id, "ANN")
    assert report.AnnotationGroupSequence[0].AnnotationGroupUID == derived_uid(
        result.id, f"ANN/{NUCLEAR.groups[0].name}"
    )
    assert report.ReferencedImageSequence[0].ReferencedSOPInstanceUID == made_header().SOPInstanceUID
    assert report.PixelOriginInterpretation == "VOLUME"


def test_s4_it_says_that_it_is_for_research_only(tmp_path: Path) -> None:
    report = read_back(made_result(tmp_path), tmp_path)
    assert report.ContentDescription == "Research use only"
    assert report.SeriesDescription.endswith("Research use only")


def test_only_three_dimensional_annotations_carry_the_frame_of_reference(tmp_path: Path) -> None:
    result = made_result(tmp_path)
    assert read_back(result, tmp_path, Coordinates.SLIDE).FrameOfReferenceUID == made_header().FrameOfReferenceUID
    assert "FrameOfReferenceUID" not in read_back(result, tmp_path)


@pytest.mark.parametrize("coordinates", list(Coordinates))
def test_building_twice_gives_the_same_bytes(tmp_path: Path, coordinates: Coordinates) -> None:
    result = made_result(tmp_path)
    read_back(result, tmp_path, coordinates)
    first = (tmp_path / "ann.dcm").read_bytes()
    read_back(result, tmp_path, coordinates)
    assert (tmp_path / "ann.dcm").read_bytes() == first


def test_another_profile_moves_nuclei_between_groups_and_loses_none(tmp_path: Path) -> None:
    result = made_result(tmp_path, n=1_000)
    other = HueValueThresholds(hue=130, left=60, right=200)
    moved = replace(result, profile=replace(result.profile, criteria=other))
    sizes = [[g.number_of_annotations for g in read_back(r, tmp_path).get_annotation_groups()] for r in (result, moved)]
    assert sizes[0] != sizes[1]
    assert sum(sizes[0]) == sum(sizes[1]) == 1_000


def test_a_hundred_thousand_cells_take_less_than_a_tenth_of_the_memory_that_a_million_may(tmp_path: Path) -> None:
    """I-5: 1,000,000 in at most 1.5 GB."""
    result = made_result(tmp_path, n=100_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = build_ann(result, [made_header()])
    assert report is not None
    write(report, tmp_path / "ann.dcm")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000
    assert (tmp_path / "ann.dcm").stat().st_size < 12.5 * 100_000
