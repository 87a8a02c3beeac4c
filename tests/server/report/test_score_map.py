"""The parametric map says of each square what the cells in it score."""

from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread

from inference.analyzers.nuclear import NUCLEAR
from inference.assay import assay_of
from inference.cells.file import read_cells
from inference.grade import GRADES
from server.report.identity import derived_uid, write
from server.report.score_map import NO_CELLS, build_map, mapped_of
from server.report.source import geometry
from tests.made import HEIGHT, MPP, WIDTH, made_header, made_result
from tests.made_he import made_he_result


def test_every_square_is_the_h_score_of_its_nuclei(tmp_path: Path) -> None:
    result = made_result(tmp_path, n=700)
    report = build_map(result, [made_header()])
    assert report is not None
    write(report, tmp_path / "map.dcm")
    pixels = dcmread(tmp_path / "map.dcm").pixel_array
    side = round(128 / 1000 / geometry(made_header(), mpp=MPP).spacing[1])
    grades: dict[tuple[int, int], list[int]] = {}
    for nuclei in read_cells(result.cells_file, NUCLEAR.schema):
        grade = NUCLEAR.group_of(nuclei, result.profile.criteria) % GRADES
        for k in range(len(nuclei)):
            grades.setdefault((int((nuclei.y[k] + 0.5) // side), int((nuclei.x[k] + 0.5) // side)), []).append(
                int(grade[k])
            )
    assert sum(map(len, grades.values())) == 700
    for place in np.ndindex(pixels.shape):
        found = grades.get(place)  # type: ignore[call-overload]
        expected = NO_CELLS if found is None else 100 * sum(found) / len(found)
        assert pixels[place] == pytest.approx(expected, abs=1e-3)


def test_it_lies_on_the_slide_says_its_measure_and_is_the_same_again(tmp_path: Path) -> None:
    result, header = made_result(tmp_path), made_header()
    report = build_map(result, [header])
    assert report is not None
    assert report.SOPInstanceUID == derived_uid(result.id, "MAP")
    assert report.FrameOfReferenceUID == header.FrameOfReferenceUID
    assert (report.StudyInstanceUID, report.PatientID) == (header.StudyInstanceUID, header.PatientID)
    mapping = report.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "{score}"
    assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue == "HSCORE"
    for name in ("one", "two"):
        again = build_map(result, [header])
        assert again is not None
        write(again, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert isinstance(hd.imread(tmp_path / "one"), hd.Image)


def test_of_he_every_square_is_its_nuclei_by_its_area_on_the_slide(tmp_path: Path) -> None:
    result = made_he_result(tmp_path, 900)
    report = build_map(result, [made_header()])
    assert report is not None
    write(report, tmp_path / "map.dcm")
    pixels, side = dcmread(tmp_path / "map.dcm").pixel_array, round(128 / MPP / 1)
    assert pixels.shape == (-(-HEIGHT // side), -(-WIDTH // side))
    counted = np.zeros(pixels.shape)
    for cells in read_cells(result.cells_file, result.assay.analyzer.schema):
        np.add.at(counted, (((cells.y + 0.5) // side).astype(int), ((cells.x + 0.5) // side).astype(int)), 1)
    assert counted.sum() == 900
    assert HEIGHT % side  # the last row lies partly beyond the slide
    for row, column in np.ndindex(pixels.shape):
        high, wide = min(side, HEIGHT - row * side), min(side, WIDTH - column * side)
        expected = counted[row, column] / (high * wide * MPP**2 / 1e6) if counted[row, column] else NO_CELLS
        assert pixels[row, column] == pytest.approx(expected, rel=1e-5)
    mapping = report.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "/mm2"
    assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].LongCodeValue == "HE_DENSITY_NUCLEI"


def test_without_nuclei_there_is_no_map(tmp_path: Path) -> None:
    assert build_map(made_result(tmp_path, n=0), [made_header()]) is None


@pytest.mark.parametrize(("marker", "of_a_compartment"), [("ER", [0, 100, 200, 300]), ("P53", [0, 100, 100, 100])])
def test_the_measure_is_what_the_analyzer_says_it_is(marker: str, of_a_compartment: list[int]) -> None:
    mapped = mapped_of(assay_of(marker))
    assert mapped is not None
    assert mapped.measure is assay_of(marker).measures[0]
    assert mapped.weights.tolist() == of_a_compartment * 2
