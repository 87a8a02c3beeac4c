"""Annotations as programs write them: what classes mean, where points lie, and every mistake named."""

import json

import pytest

from inference.analyzers.nuclear import COMPARTMENTS, GROUPS
from inference.annotations import Kind, Mark, kind_of, read_csv, read_geojson, read_names
from inference.calibration.cleaning import cleaned
from inference.errors import Refused
from inference.geometry import Region, Size
from inference.grade import GRADES

FIRST, SECOND = COMPARTMENTS
SIZE = Size(width=100, height=80)


def mark(x: float, y: float, compartment: int = 0, grade: int | None = 1) -> Mark:
    return Mark(x=x, y=y, kind=Kind(compartment=compartment, grade=grade))


def test_the_classes_that_chromogen_writes_itself_are_understood() -> None:
    for i, group in enumerate(GROUPS):
        kind = Kind(compartment=i // GRADES, grade=i % GRADES)
        assert kind_of(group.title, {}, "f") == kind_of(group.name, {}, "f") == kind


@pytest.mark.parametrize(
    ("name", "compartment", "grade"),
    [("Tumor: 2+", 1, 2), ("Tumour: Negative", 1, 0), (FIRST.upper(), 0, None), ("3+", None, 3), ("other: weak", 0, 1)],
)
def test_classes_are_read_by_their_words(name: str, compartment: int | None, grade: int | None) -> None:
    assert kind_of(name, {}, "f") == Kind(compartment=compartment, grade=grade)


@pytest.mark.parametrize("name", ["Region*", "", "weak strong", f"{FIRST} {SECOND}"])
def test_a_class_that_says_nothing_or_two_things_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="--classes"):
        kind_of(name, {}, "f")


def test_classes_of_ones_own_are_mapped_or_passed_over() -> None:
    table = {"A": {"class": SECOND, "grade": 2}, "B": f"{FIRST} 0", "C": None, "D": [FIRST, 3]}
    names = read_names(json.dumps(table), "classes.json")
    assert [names[n] for n in "ABD"] == [Kind(compartment=c, grade=g) for c, g in ((1, 2), (0, 0), (0, 3))]
    found = read_csv("x,y,class,grade\n1,2,A,\n3,4,C,\n5,6,B,3\n", names, "f")
    assert found == [mark(1, 2, 1, 2), mark(5, 6, 0, 3)]
    for bad in ("[]", "no json", '{"A": 7}', '{"A": {"colour": 1}}'):
        with pytest.raises(Refused, match="ANNOTATION_INVALID"):
            read_names(bad, "classes.json")


def test_csv_counts_from_the_first_pixels_centre_and_takes_names_and_numbers() -> None:
    text = f"\ufeffx, y ,class,grade\n1.5,2,{SECOND},3\n0,0,0,0\n9,9,2,1+\n"
    assert read_csv(text, {}, "f") == [mark(1.5, 2, 1, 3), mark(0, 0, 0, 0), mark(9, 9, 0, 1)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lacks class, x, y"),
        ("x,y\n1,2", "lacks class"),
        ("x,y,class,grade\n1,2,0,4", "line 2: grade '4'"),
        ("x,y,class,grade\n1,2,0,1\nnan,2,0,1", "line 3: 'nan' isn't a coordinate"),
        ("x,y,class,grade\n1,2,7,1", "class 7"),
        ("x,y,class,grade\n1,2,immune,1", "'immune'"),
    ],
)
def test_a_bad_csv_is_refused_by_its_line(text: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        read_csv(text, {}, "f.csv")


def feature(kind: str, coordinates: object, name: str = f"{FIRST} 1+") -> dict[str, object]:
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": {"classification": {"name": name}}}


def test_geojson_counts_from_the_pixels_corner_and_polygons_stand_for_their_centre() -> None:
    features = [
        feature("Point", [1.5, 2.5]),
        feature("MultiPoint", [[0.5, 0.5], [3.5, 4.5]]),
        feature("Polygon", [[[0, 0], [4, 0], [4, 2], [0, 2], [0, 0]]]),
        feature("MultiPolygon", [[[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]]]),
    ]
    places = [(1, 2), (0, 0), (3, 4), (1.5, 0.5), (0.5, 0.5)]
    for text in (json.dumps({"type": "FeatureCollection", "features": features}), json.dumps(features)):
        assert [(m.x, m.y) for m in read_geojson(text, {}, "f")] == places
    named = {**feature("Point", [1, 1]), "properties": {"classification": {"names": ["Tumor", "2+"]}}}
    assert read_geojson(json.dumps(named), {}, "f") == [mark(0.5, 0.5, 1, 2)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "isn't JSON"),
        ("7", "isn't a GeoJSON"),
        ('{"features": [{}]}', "feature 1 has no geometry"),
        (json.dumps([feature("LineString", [[0, 0], [1, 1]])]), "is a LineString"),
        (json.dumps([feature("Point", [])]), "coordinates aren't"),
        (json.dumps([{**feature("Point", [1, 1]), "properties": {}}]), "has no class"),
    ],
)
def test_a_bad_geojson_is_refused_by_its_feature(text: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        read_geojson(text, {}, "f.geojson")


def test_a_nucleus_marked_twice_counts_once_and_contradictory_marks_not_at_all() -> None:
    marks = [mark(10, 10), mark(10.5, 10), mark(30, 30, grade=1), mark(30, 31, grade=2), mark(50, 50)]
    found = cleaned(marks, SIZE, None, mpp=0.5, where="f")
    assert (found.duplicates, found.contradictory) == (1, 2)
    assert found.annotated is not None
    assert found.annotated.xy.tolist() == [[10, 10], [50, 50]]


def test_marks_outside_of_the_image_are_refused_and_those_outside_of_the_region_passed_over() -> None:
    inside = [mark(10, 10), mark(40, 40)]
    found = cleaned(inside, SIZE, Region(x=0, y=0, width=20, height=20), mpp=0.5, where="f").annotated
    assert found is not None
    assert found.xy.tolist() == [[10, 10]]
    for outside in (mark(100, 10), mark(10, -1)):
        with pytest.raises(Refused, match=r"1 of 3 nuclei lie outside of the image, 100 x 80 px"):
            cleaned([*inside, outside], SIZE, None, mpp=0.5, where="f")


def test_nuclei_of_which_some_have_no_grade_or_no_compartment_are_refused_and_none_graded_is_none() -> None:
    with pytest.raises(Refused, match="1 of 2 nuclei have no grade"):
        cleaned([mark(1, 1), mark(9, 9, grade=None)], SIZE, None, mpp=0.5, where="f")
    nowhere = Mark(x=1, y=1, kind=Kind(compartment=None, grade=1))
    with pytest.raises(Refused, match="names no compartment"):
        cleaned([nowhere], SIZE, None, mpp=0.5, where="f")
    assert cleaned([mark(1, 1, grade=None)], SIZE, None, mpp=0.5, where="f").annotated is None


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Polygon", "coordinates": [[]]},
        {"type": "MultiPolygon", "coordinates": [[[]]]},
        {"type": "Point", "coordinates": [10**400, 1]},
    ],
)
def test_a_geometry_without_corners_or_off_every_plane_is_refused(geometry: object) -> None:
    feature = {"properties": {"classification": {"name": "3+"}}, "geometry": geometry}
    with pytest.raises(Refused, match="ANNOTATION_INVALID"):
        read_geojson(json.dumps([feature]), {}, "f")


def test_json_that_is_nested_deeper_than_a_stack_is_refused() -> None:
    for read in (lambda text: read_geojson(text, {}, "f"), lambda text: read_names(text, "f")):
        with pytest.raises(Refused, match="isn't JSON"):
            read("[" * 100_000)
