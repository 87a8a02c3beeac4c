"""The map shows, at low power and in the slide's own frame of reference, where cells of each segment are."""

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest

from inference.analyzers.nuclear import NUCLEAR
from inference.cells.file import read_cells
from inference.geometry import Size
from inference.grade import GRADES
from inference.slide import Level
from server.domain.result import Result
from server.report.identity import derived_uid, write
from server.report.seg import build_seg, cell_pixels, density_map
from server.report.source import geometry
from tests.made import HEIGHT, MPP, WIDTH, made_header, made_result


def read_back(result: Result, tmp_path: Path) -> hd.seg.Segmentation:
    report = build_seg(result, [made_header()])
    assert report is not None
    write(report, tmp_path / "seg.dcm")
    return hd.seg.segread(tmp_path / "seg.dcm")


def drawn(result: Result, side: int) -> np.ndarray:
    """The same map, nucleus by nucleus."""
    found = np.zeros((-(-HEIGHT // side), -(-WIDTH // side), 3), np.uint8)
    for nuclei in read_cells(result.cells_file, NUCLEAR.schema):
        grade = NUCLEAR.group_of(nuclei, result.profile.criteria) % GRADES
        for k in range(len(nuclei)):
            row, column = int((nuclei.y[k] + 0.5) // side), int((nuclei.x[k] + 0.5) // side)
            found[row, column, nuclei["compartment"][k]] = 1
            if grade[k] > 0:
                found[row, column, 2] = 1
    return found


def test_every_pixel_reads_back_as_the_nuclei_file_says(tmp_path: Path) -> None:
    result = made_result(tmp_path, n=700)
    report = read_back(result, tmp_path)
    assert (report.get_total_pixel_matrix(combine_segments=False) == drawn(result, 128)).all()
    assert [report.get_segment_description(k).segment_label for k in (1, 2, 3)] == [s.name for s in NUCLEAR.segments]


def test_pixels_are_thirty_two_micrometres_and_whole_pixels_of_the_slide() -> None:
    slide = geometry(made_header(), mpp=MPP)
    assert cell_pixels(slide) == 128
    assert cell_pixels(replace(slide, spacing=(0.00047, 0.00047))) == 68
    assert cell_pixels(replace(slide, spacing=(0.1, 0.1))) == 1


def test_the_map_lies_on_the_slide_where_the_nuclei_lie(tmp_path: Path) -> None:
    report = read_back(made_result(tmp_path), tmp_path)
    origin = report.TotalPixelMatrixOriginSequence[0]
    spacing = report.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
    transform = hd.spatial.ImageToReferenceTransformer(
        image_position=[origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem, 0],
        image_orientation=report.ImageOrientationSlide,
        pixel_spacing=spacing,
    )
    corner_of_map = transform(np.array([[0.0, 0.0]]))
    corner_of_slide = geometry(made_header(), mpp=MPP).to_slide(np.array([-0.5]), np.array([-0.5]))
    assert corner_of_map == pytest.approx(corner_of_slide, abs=1e-6)
    assert list(spacing) == [0.032, 0.032]
    assert report.FrameOfReferenceUID == made_header().FrameOfReferenceUID


def test_nuclei_on_the_edges_stay_in_the_map(tmp_path: Path) -> None:
    result = made_result(tmp_path, n=300)
    small = replace(geometry(made_header(), mpp=MPP), columns=WIDTH - 1_000, rows=HEIGHT - 1_000)
    found = density_map(result, small, 128)
    assert found[..., :2].any(axis=2).sum() <= 300
    assert found.shape == (-(-(HEIGHT - 1_000) // 128), -(-(WIDTH - 1_000) // 128), 3)


def test_a_compartment_without_nuclei_is_an_empty_frame_of_its_own(tmp_path: Path) -> None:
    report = read_back(made_result(tmp_path, only_compartment=0), tmp_path)
    matrix = report.get_total_pixel_matrix(combine_segments=False)
    assert report.NumberOfFrames == 3
    assert matrix[..., 0].any()
    assert not matrix[..., 1].any()


@pytest.mark.parametrize("mpp", [8.0, 4.03, 32.0])
def test_a_small_level_is_painted_in_its_own_pixels(tmp_path: Path, mpp: float) -> None:
    result = made_result(tmp_path, n=700)
    slide, scale = result.analysis.slide, mpp / MPP
    levels = [Level(size=Size(width=int(WIDTH / s), height=int(HEIGHT / s)), mpp=MPP * s) for s in (1, scale, 1000)]
    with_levels = replace(slide, levels=tuple(levels))
    report = read_back(replace(result, analysis=replace(result.analysis, slide=with_levels)), tmp_path)
    found, squares = report.get_total_pixel_matrix(combine_segments=False), drawn(result, 128)
    assert found.shape == (levels[1].size.height, levels[1].size.width, 3)
    for row, column in ((0, 0), (17, 40), (found.shape[0] - 1, found.shape[1] - 1)):
        at = int((row + 0.5) * scale // 128), int((column + 0.5) * scale // 128)
        assert (found[row, column] == squares[at]).all()
    assert found.mean((0, 1)) == pytest.approx(squares.mean((0, 1)), rel=0.05)
    (measures,) = report.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert list(measures.PixelSpacing) == pytest.approx([mpp / 1000, mpp / 1000])


def test_no_nuclei_give_no_map(tmp_path: Path) -> None:
    assert build_seg(made_result(tmp_path, n=0), [made_header()]) is None


def test_it_stays_small_on_the_largest_slides(tmp_path: Path) -> None:
    width, height = 200_000, 180_000
    result = made_result(tmp_path, n=5_000)
    large = replace(
        result,
        analysis=replace(result.analysis, slide=replace(result.analysis.slide, size=Size(width=width, height=height))),
    )
    report = build_seg(large, [made_header(width=width, height=height)])
    assert report is not None
    write(report, tmp_path / "seg.dcm")
    assert (tmp_path / "seg.dcm").stat().st_size < 1_000_000


def test_s4_it_says_that_it_is_for_research_only(tmp_path: Path) -> None:
    report = read_back(made_result(tmp_path), tmp_path)
    assert report.ContentDescription == "Research use only"
    assert report.SeriesDescription.endswith("Research use only")


def test_uids_derive_from_the_result_and_building_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    result = made_result(tmp_path)
    report = read_back(result, tmp_path)
    first = (tmp_path / "seg.dcm").read_bytes()
    read_back(result, tmp_path)
    assert (tmp_path / "seg.dcm").read_bytes() == first
    assert report.SOPInstanceUID == derived_uid(result.id, "SEG")
    assert report.get_segment_description(1).tracking_uid == derived_uid(result.id, f"SEG/{NUCLEAR.segments[0].name}")
