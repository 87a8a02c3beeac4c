"""What was drawn on a slide stands in the report where it lies, with the area inside of it."""

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest

from inference.area import Area, box_area
from inference.geometry import Region
from server.domain.change import Change, DrawnRegion, RegionClass
from server.report.identity import write
from server.report.source import geometry
from server.report.sr import build_sr
from tests.made import MPP, made_header, made_result

SQUARE = ((10.0, 20.0), (110.0, 20.0), (110.0, 70.0), (10.0, 70.0))


def regions_of(report, tmp_path: Path):
    write(report, tmp_path / "sr.dcm")
    content = hd.sr.srread(tmp_path / "sr.dcm").content
    return [(g.roi, g.get_measurements()[0].value) for g in content.get_planar_roi_measurement_groups()]


def test_what_a_pathologist_drew_is_said_and_what_is_left_out_is_not(tmp_path):
    drawn = tuple(DrawnRegion(kind=kind, points=SQUARE) for kind in (RegionClass.TUMOUR, RegionClass.EXCLUDE))
    result = replace(made_result(tmp_path), change=Change(by="p", why="w", regions=drawn))
    header = made_header()
    ((region, um2),) = regions_of(build_sr(result, None, [header]), tmp_path)
    assert um2 == pytest.approx(100 * 50 * MPP**2, abs=0.5)
    x, y = np.array([*SQUARE, SQUARE[0]]).T - 0.5
    np.testing.assert_allclose(region.value, geometry(header, mpp=MPP).to_slide(x, y), atol=1e-6)
    assert region.frame_of_reference_uid == header.FrameOfReferenceUID


def test_what_was_named_to_be_scored_is_said_without_its_holes(tmp_path):
    hole = tuple((x / 2 + 20, y / 2 + 20) for x, y in SQUARE)
    apart = tuple((x + 200, y) for x, y in SQUARE)
    areas = [Area(name="tumour", rings=(SQUARE, hole, apart)), box_area("region", Region(x=0, y=0, width=8, height=4))]
    found = regions_of(build_sr(made_result(tmp_path), None, [made_header()], areas=areas), tmp_path)
    assert [um2 for _, um2 in found] == pytest.approx([5000 * MPP**2, 5000 * MPP**2, 32 * MPP**2], abs=0.5)


def test_a_report_of_a_whole_slide_names_no_region(tmp_path):
    assert regions_of(build_sr(made_result(tmp_path), None, [made_header()]), tmp_path) == []
