"""`--outlines` of `score` and `detect`, and what files and reports of outlined cells hold."""

import json
from pathlib import Path

import cv2
import highdicom as hd
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from inference.analyze import Options
from inference.analyzers.nuclear import NUCLEAR
from inference.assay import assay_of
from inference.cells.file import read_cells
from inference.cells.values import Cells, joined
from inference.draw import draw_slide
from inference.engines.factory import make_engine
from inference.geometry import Region, Size
from inference.grade import DensityThresholds, NucleusDensityThresholds
from inference.outline import OUTLINE, RAYS, UNIT_UM, polygons
from inference.picture import PictureSlide
from server.cli.main import chromogen
from server.domain.profile import Profile, built_in
from server.report.ann import Coordinates, build_ann
from server.report.identity import write
from server.report.source import geometry
from server.scoring import score_slide
from tests.made import MPP, made_header, made_result

SIDE = 700
CUTS = {"weak": 0.2, "moderate": 0.5, "strong": 0.9}


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("outlines") / "drawn.png"
    drawing = draw_slide(size=Size(width=SIDE, height=SIDE), seed=4, h_score=150)
    cv2.imwrite(str(path), drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE))[..., ::-1])
    return path


@pytest.fixture(scope="module")
def scored(picture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scored")
    arguments = ["score", str(picture), "--mpp", "0.5", "--outlines", "--out", str(out)]
    assert CliRunner().invoke(chromogen, arguments, catch_exceptions=False).exit_code == 0
    return out


def cells_in(folder: Path) -> Cells:
    return joined(list(read_cells(folder / "nuclei.parquet", NUCLEAR.schema)))


def test_the_cells_file_has_outlines_beside_the_square(scored: Path) -> None:
    cells = cells_in(scored)
    assert len(cells) > 300
    assert cells[OUTLINE].shape == (len(cells), RAYS)
    assert pq.read_schema(scored / "nuclei.parquet").metadata[b"chromogen.cells"] == b"nuclear/2"
    assert 15 < np.median(cells["area_um2"]) < 60
    apart = np.abs(cells["nucleus_od_centi"].astype(int) - cells["dab_od_centi"])
    assert np.median(apart) < 15  # the same nucleus, by another measure


def test_the_scores_are_those_without_outlines(picture: Path, scored: Path, tmp_path: Path) -> None:
    arguments = ["score", str(picture), "--mpp", "0.5", "--out", str(tmp_path)]
    assert CliRunner().invoke(chromogen, arguments, catch_exceptions=False).exit_code == 0
    assert OUTLINE not in pq.read_schema(tmp_path / "nuclei.parquet").names
    first, second = (json.loads((folder / "result.json").read_text()) for folder in (scored, tmp_path))
    assert first["scores"] == second["scores"]


def test_the_geojson_holds_detections_as_qupath_reads_them(scored: Path) -> None:
    collection, cells = json.loads((scored / "nuclei.geojson").read_text()), cells_in(scored)
    assert collection["type"] == "FeatureCollection"
    assert len(collection["features"]) == len(cells)
    feature, radii = collection["features"][0], cells[OUTLINE][0]
    assert feature["geometry"]["type"] == "Polygon"
    [ring] = feature["geometry"]["coordinates"]
    assert (len(ring), ring[0]) == (RAYS + 1, ring[-1])
    assert ring[0] == pytest.approx([cells.x[0] + 0.5 + radii[0] * UNIT_UM / 0.5, cells.y[0] + 0.5], abs=0.06)
    properties = feature["properties"]
    assert properties["objectType"] == "detection"
    assert properties["classification"]["name"] in {group.title for group in NUCLEAR.groups}
    assert properties["measurements"]["area_um2"] == pytest.approx(float(cells["area_um2"][0]), rel=1e-3)
    assert {"confidence", "hue", "value", "dab_od_centi", "nucleus_od_centi"} <= set(properties["measurements"])


def test_detect_gives_corners_round_each_centre(picture: Path) -> None:
    done = CliRunner().invoke(chromogen, ["detect", str(picture), "--outlines"], catch_exceptions=False)
    nuclei = json.loads(done.stdout)["nuclei"]
    assert all(len(n["outline"]) == RAYS for n in nuclei)
    inside = [
        cv2.pointPolygonTest(np.array(n["outline"], np.float32), (n["x"], n["y"]), measureDist=False) for n in nuclei
    ]
    assert min(inside) == 1
    assert all(n["area_um2"] > 2 and 0 <= n["nucleus_od"] <= 3 for n in nuclei)


def by(criteria: DensityThresholds) -> Profile:
    return Profile(**{f: getattr(built_in(assay_of("ER")), f) for f in Profile.__slots__} | {"criteria": criteria})


def test_a_profile_that_grades_by_outlines_has_them_made(picture: Path, tmp_path: Path) -> None:
    assay = assay_of("ER")
    engine = make_engine("local", None, model=assay.model)
    pixels = cv2.imread(str(picture))[..., ::-1].copy()
    shown = {}
    for kind in (DensityThresholds, NucleusDensityThresholds):
        (tmp_path / kind.method).mkdir()
        slide = PictureSlide(pixels, engine.model.resolution)
        shown[kind] = score_slide(slide, engine, assay, by(kind.read(CUTS)), tmp_path / kind.method, options=Options())
    outlined = shown[NucleusDensityThresholds]
    assert OUTLINE in cells_in(tmp_path / NucleusDensityThresholds.method).columns
    assert [row.n for row in outlined.scores] == [row.n for row in shown[DensityThresholds].scores]
    assert outlined.scores[0].value != shown[DensityThresholds].scores[0].value


@pytest.mark.parametrize("coordinates", list(Coordinates))
def test_annotations_are_polygons_with_area_and_density(tmp_path: Path, coordinates: Coordinates) -> None:
    result = made_result(tmp_path, n=300, outlines=True)
    report = build_ann(result, [made_header()], coordinates=coordinates)
    assert report is not None
    write(report, tmp_path / "ann.dcm")
    groups = {g.label: g for g in hd.ann.annread(tmp_path / "ann.dcm").get_annotation_groups()}
    [cells] = read_cells(result.cells_file, NUCLEAR.schema)
    key = NUCLEAR.group_of(cells, result.profile.criteria)
    slide = geometry(made_header(), mpp=MPP)
    for place, group in enumerate(NUCLEAR.groups):
        chosen = cells.taken(key == place)
        corners = polygons(chosen[OUTLINE], chosen.x, chosen.y, mpp=MPP)
        shapes = np.stack(groups[group.name].get_graphic_data(coordinates.value))
        if coordinates is Coordinates.PIXELS:
            assert shapes == pytest.approx(corners + 0.5, abs=2e-3)
        else:
            assert shapes.reshape(-1, 3) == pytest.approx(slide.to_slide(*corners.reshape(-1, 2).T), abs=1e-5)
        names, values, units = groups[group.name].get_measurements()
        assert [n.value for n in names] == ["CONFIDENCE", "42798000", "NUCLEUS_DAB_OD"]
        assert [u.value for u in units] == ["1", "um2", "1"]
        assert values[:, 1] == pytest.approx(chosen["area_um2"])
