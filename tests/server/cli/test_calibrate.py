"""`chromogen calibrate` on small drawn pictures: out comes a profile that `score` takes; bad input is refused."""

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner, Result

from inference.analyzers.nuclear import COMPARTMENTS, NUCLEAR
from inference.assay import assay_of
from inference.draw import draw_slide
from inference.errors import Refused
from inference.geometry import Region, Size
from inference.grade import HueValueThresholds, grades_by_hue_value
from inference.measures import ALL
from inference.stain import hue_value_density, mean_rgb
from server.cli.calibrate import beside, calibrate
from server.cli.manifest import read_manifest
from server.cli.profile_file import read_profile
from server.cli.score import score
from server.report.ann import build_ann
from server.report.read_ann import read_ann
from tests.made import made_header, made_result

SIDE = 512
HIDDEN = HueValueThresholds(hue=128, left=62, right=108)
STAINED = (60, 140, 220)
HEADER = "slide,image,mpp,annotation\n"


def marks_of(picture: np.ndarray, truth: Any) -> list[tuple[float, float, str, int]]:
    hue, value, _ = hue_value_density(mean_rgb(picture, truth.x, truth.y))
    grade = grades_by_hue_value(hue, value, HIDDEN)
    rows = zip(truth.x, truth.y, truth.compartment, grade, strict=True)
    return [(float(x), float(y), COMPARTMENTS[int(c)], int(g)) for x, y, c, g in rows]


def own_class(compartment: str, grade: int) -> str:
    """A name that says nothing to others."""
    return f"k-{'pq'[COMPARTMENTS.index(compartment)]}{'wxyz'[grade]}"


def as_csv(marks: list[tuple[float, float, str, int]]) -> str:
    return "x,y,class,grade\n" + "".join(f"{x:.2f},{y:.2f},{c},{g}\n" for x, y, c, g in marks)


def as_geojson(marks: list[tuple[float, float, str, int]]) -> str:
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [x + 0.5, y + 0.5]},
            "properties": {"classification": {"name": own_class(c, g)}},
        }
        for x, y, c, g in marks
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three drawn pictures with annotations by two persons, one of whom writes GeoJSON with classes of their own."""
    made = tmp_path_factory.mktemp("calibrate")
    for i, h_score in enumerate(STAINED):
        drawing = draw_slide(size=Size(width=SIDE, height=SIDE), seed=i + 1, h_score=h_score)
        picture = drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE))
        cv2.imwrite(str(made / f"{i}.png"), picture[..., ::-1])
        marks = marks_of(picture, drawing.truth)
        (made / f"{i}.csv").write_text(as_csv(marks))
        (made / f"{i}.geojson").write_text(as_geojson(marks))
    classes = {own_class(c, g): {"class": c, "grade": g} for c in COMPARTMENTS for g in range(4)}
    (made / "classes.json").write_text(json.dumps(classes))
    return made


def manifest(folder: Path, text: str, name: str = "manifest.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def run(*arguments: object) -> Result:
    return CliRunner().invoke(calibrate, [str(a) for a in arguments], catch_exceptions=False)


def test_a_profile_is_fitted_that_score_takes(folder: Path, tmp_path: Path) -> None:
    lines = "".join(f"s{i},{i}.png,0.5,{i}.csv\n" for i in range(3))
    out = tmp_path / "er.json"
    done = run(manifest(folder, HEADER + lines), "--marker", "ER", "--by", "grades", "--out", out, "--json")
    found = json.loads(done.stdout, parse_constant=lambda v: pytest.fail(f"{v} isn't JSON"))
    assert set(found) >= {"thresholds", "left_out", "mean_error", "kappa", "n", "warnings"}
    assert found["thresholds"]["method"] == "hue_value"
    assert abs(found["thresholds"]["left"] - HIDDEN.left) <= 3
    assert abs(found["thresholds"]["right"] - HIDDEN.right) <= 3
    assert found["kappa"] > 0.9
    assert {r["compartment"] for r in found["left_out"]} == set(COMPARTMENTS)
    assert all(r["error"] == pytest.approx(abs(r["fitted"] - r["annotated"]), abs=1e-3) for r in found["left_out"])
    assert found["mean_error"] == pytest.approx(np.mean([r["error"] for r in found["left_out"]]), abs=1e-3)
    assert "FEW_SLIDES" in found["warnings"]
    assert "annotators" not in found
    profile = read_profile(out)
    assert (profile.key.marker, profile.label) == ("ER", "er/1")
    scored = CliRunner().invoke(
        score, [str(folder / "1.png"), "--mpp", "0.5", "--profile", str(out), "--json"], catch_exceptions=False
    )
    assert json.loads(scored.stdout)["profile"]["thresholds"] == found["thresholds"]
    with pytest.raises(Refused, match="is for ER, not for PR"):
        CliRunner().invoke(
            score,
            [str(folder / "1.png"), "--mpp", "0.5", "--marker", "PR", "--profile", str(out)],
            catch_exceptions=False,
        )


def test_two_annotators_have_two_profiles_and_their_agreement(folder: Path, tmp_path: Path) -> None:
    lines = "".join(
        f"s,{i}.png,0.5,{i}.{kind},{who}\n" for i in (0, 1) for who, kind in (("A", "csv"), ("B", "geojson"))
    )
    text = "slide,image,mpp,annotation,annotator\n" + lines
    out = tmp_path / "p.json"
    options = ("--marker", "ER", "--by", "grades", "--classes", folder / "classes.json", "--out", out)
    found = json.loads(run(manifest(folder, text), *options, "--json").stdout)["annotators"]
    assert (found["names"], found["similarity"], found["kappa"]) == (["A", "B"], 1.0, 1.0)
    assert set(found["h_score_difference"]) == {*COMPARTMENTS, ALL}
    assert found["thresholds"]["A"] == found["thresholds"]["B"]
    assert {p.name for p in tmp_path.iterdir()} == {"p.json", "p-A.json", "p-B.json"}
    shown = run(manifest(folder, text), *options)
    assert "annotators: " in shown.stdout
    assert "ONE_SLIDE" in shown.stderr


def test_a_region_with_scores_alone_is_fitted_by_h_score_and_in_boxes(folder: Path, tmp_path: Path) -> None:
    text = f"slide,image,mpp,annotation,region,h_score_{ALL}\n"
    text += "".join(f's{i},{i}.png,0.5,,"0,0,{SIDE},{SIDE}",{h}\n' for i, h in enumerate(STAINED))
    done = run(manifest(folder, text), "--marker", "PR", "--out", tmp_path / "p.json", "--json")
    found = json.loads(done.stdout)
    assert found["kappa"] is None
    assert {r["compartment"] for r in found["left_out"]} == {ALL}
    assert found["fit_error"] < 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "MANIFEST_INVALID.*lacks slide"),
        (HEADER, "MANIFEST_INVALID.*names no region"),
        ("slide,image,mpp,annotation,typo\ns,0.png,1,a,b", "unknown columns: typo"),
        (HEADER + "s,0.png,0.5", "line 2 has more or fewer fields"),
        (HEADER + "s,0.png,half,0.csv", "mpp 'half'"),
        (HEADER + "s,,0.5,0.csv", "names no slide or no image"),
        (HEADER + "s,0.png,0.5,", "neither an annotation nor a score"),
        (HEADER + "s,0.png,0.5,0.csv\ns,0.png,0.5,0.csv", "line 3 repeats line 2"),
        ("slide,image,mpp,annotation,annotator\ns,0.png,1,0.csv,A\nt,0.png,1,0.csv,B", "0.png is of slide s"),
        (HEADER + "s,0.png,0.5,0.csv\ns,./0.png,0.5,0.csv", "line 3 repeats line 2"),
        (HEADER + "s,0.png,0.5,empty.csv\nt,none.png,0.5,1.csv", r"NOT_A_SLIDE: line 3 \(none.png\)"),
        (HEADER + "s,0.png,0.5,empty.csv\nt,1.png,0.5,none.csv", r"ANNOTATION_INVALID: line 3 \(1.png\): none.csv"),
        (HEADER[:-1] + ',region\ns,0.png,0.5,0.csv,"1,2"', "REGION_INVALID.*line 2"),
        (HEADER + "s,0.png,,0.csv", r"NO_PIXEL_SIZE: line 2 \(0.png\).*column mpp"),
        (HEADER + "s,none.png,0.5,0.csv", "NOT_A_SLIDE.*none.png"),
        (HEADER + "s,0.png,0.5,none.csv", "none.csv isn't there"),
        (HEADER + "s,0.png,0.5,empty.csv", "empty.csv holds no nucleus"),
        (HEADER + "s,0.png,0.5,off.csv", "1 of 1 nuclei lie outside of the image"),
        (HEADER + "s,0.png,0.5,1.csv", "check the pixel size"),
        (HEADER + "s,0.png,0.5,ungraded.csv", "has no grades and the line no score"),
        (HEADER + "s,0.png,0.5,0.geojson", "ANNOTATION_INVALID"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(folder: Path, tmp_path: Path, text: str, said: str) -> None:
    (folder / "empty.csv").write_text("x,y,class,grade\n")
    (folder / "off.csv").write_text(f"x,y,class,grade\n{SIDE + 9},3,0,1\n")
    (folder / "ungraded.csv").write_text("x,y,class\n30,30,0\n")
    with pytest.raises(Refused, match=said) as refused:
        run(manifest(folder, text, f"bad-{abs(hash(text))}.csv"), "--marker", "ER", "--out", tmp_path / "p.json")
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_nothing_is_fitted(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"OUTPUT_NOT_WRITABLE.*nowhere"):
        run(manifest(folder, HEADER), "--marker", "ER", "--out", tmp_path / "nowhere" / "p.json")


def test_annotators_whose_names_make_the_same_file_have_two(tmp_path: Path) -> None:
    assert [p.name for p in beside(tmp_path / "p.json", ["Dr A", "Dr-A"])] == ["p-Dr-A.json", "p-Dr-A-2.json"]
    assert [p.name for p in beside(tmp_path / "p.json", ["", "B"])] == ["p-unnamed.json", "p-B.json"]


def test_an_annotator_whose_regions_alone_decide_nothing_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "one-grade.csv").write_text(re.sub(r",\d\n", ",2\n", (folder / "0.csv").read_text()))
    lines = "s,0.png,0.5,0.csv,A\ns,0.png,0.5,one-grade.csv,B\n"
    text = "slide,image,mpp,annotation,annotator\n" + lines
    with pytest.raises(Refused, match="CALIBRATION_IMPOSSIBLE: annotator B: "):
        run(manifest(folder, text, "one-grade-manifest.csv"), "--marker", "ER", "--out", tmp_path / "p.json")
    assert list(tmp_path.iterdir()) == []


HER2_HEADER = "slide,image,mpp,her2_score\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HER2_HEADER + "a,x.png,0.25,4+", "line 2: her2_score '4\\+' is none of 0, 1\\+, 2\\+, 3\\+"),
        (HER2_HEADER + "a,x.png,nan,3+", "mpp 'nan' isn't a pixel size"),
        (HER2_HEADER + "a,x.png,0.25,0\na,./x.png,0.25,3+", "line 3 repeats line 2"),
        (HER2_HEADER, "names no slide"),
        (HEADER, "its first line must be slide,image,mpp,her2_score"),
    ],
)
def test_bad_lines_of_slides_of_known_her2_score_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        run(manifest(tmp_path, text), "--marker", "HER2", "--out", tmp_path / "p.json")


def test_a_her2_slide_has_its_own_pixel_size(tmp_path: Path) -> None:
    picture = np.full((64, 64, 3), 240, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", picture, resolution=(40_000, 40_000), resolutionunit="CENTIMETER")
    with pytest.raises(Refused, match=r"MANIFEST_INVALID: line 2, a: mpp is 0.5 in the manifest and 0.25 in the slide"):
        run(manifest(tmp_path, HER2_HEADER + "a,a.tif,0.5,3+\n"), "--marker", "HER2", "--out", tmp_path / "p.json")


def test_columns_of_scores_are_named_after_the_regions_of_the_assay(tmp_path: Path) -> None:
    path = manifest(
        tmp_path, f'slide,image,mpp,annotation,h_score_{ALL},percent_positive_{COMPARTMENTS[0]}\ns,i,,,"7",9\n'
    )
    (row,) = read_manifest(path, assay_of("ER").analyzer)
    assert [(t.part, t.quantity.value, t.value) for t in row.targets] == [
        (ALL, "h_score", 7.0),
        (COMPARTMENTS[0], "percent_positive", 9.0),
    ]


def test_annotations_that_chromogen_sends_as_dicom_are_read_back(tmp_path: Path) -> None:
    result = made_result(tmp_path, n=60)
    report = build_ann(result, [made_header()])
    assert report is not None
    report.save_as(tmp_path / "ann.dcm")
    marks = read_ann(tmp_path / "ann.dcm", {})
    groups = {group.name for group in NUCLEAR.groups}
    assert len(marks) == 60
    assert {f"{COMPARTMENTS[m.kind.compartment or 0]} {m.kind.grade}" for m in marks} <= groups
    (tmp_path / "no.dcm").write_bytes(b"\0" * 128 + b"DICM and no more")
    with pytest.raises(Refused, match="isn't a DICOM annotation object"):
        read_ann(tmp_path / "no.dcm", {})
