"""Areas drawn on a slide: what lies inside, and what a file of them may hold."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.area import Area, box_area, check_inside, read_areas
from inference.errors import Refused
from inference.geometry import Region, Size

NAMES = ("control positive", "control negative")
SQUARE = [[10, 10], [30, 10], [30, 30], [10, 30], [10, 10]]


def feature(coordinates: object, name: str = "control positive", kind: str = "Polygon") -> dict[str, object]:
    return {
        "type": "Feature",
        "properties": {"classification": {"name": name}},
        "geometry": {"type": kind, "coordinates": coordinates},
    }


def text_of(*features: object) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features})


def inside(area: Area, *points: tuple[float, float]) -> list[bool]:
    x, y = np.array(points, np.float64).T
    return area.holds(x, y).tolist()


def test_a_pixel_is_inside_by_its_centre_as_qupath_counts_from_corners() -> None:
    (area,) = read_areas(text_of(feature([SQUARE])), NAMES, "f")
    assert area.name == "control positive"
    assert inside(area, (10, 10), (29, 29), (9, 20), (30, 20)) == [True, True, False, False]
    assert area.box == Region(x=10, y=10, width=20, height=20)


def test_holes_and_parts_count_by_the_even_odd_rule() -> None:
    hole = [[15, 15], [25, 15], [25, 25], [15, 25], [15, 15]]
    other = [[50, 50], [60, 50], [60, 60], [50, 60], [50, 50]]
    (area,) = read_areas(text_of(feature([[SQUARE, hole], [other]], kind="MultiPolygon")), NAMES, "f")
    assert inside(area, (12, 12), (20, 20), (55, 55)) == [True, False, True]
    drawn = area.drawn((80, 80), 1.0)
    assert (drawn[12, 12], drawn[20, 20], drawn[55, 55], drawn[40, 40]) == (True, False, True, False)


@given(st.tuples(*[st.integers(0, 60)] * 2), st.tuples(*[st.integers(1, 40)] * 2))
def test_a_box_holds_its_pixels_and_no_others(corner: tuple[int, int], size: tuple[int, int]) -> None:
    box = Region(x=corner[0], y=corner[1], width=size[0], height=size[1])
    area = box_area("control negative", box)
    y, x = np.mgrid[0:110, 0:110]
    held = area.holds(x.ravel().astype(np.float64), y.ravel().astype(np.float64)).reshape(110, 110)
    wanted = np.zeros((110, 110), bool)
    wanted[box.y : box.bottom, box.x : box.right] = True
    assert np.array_equal(held, wanted)
    assert area.box == box


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "isn't JSON"),
        ("[" * 100_000, "isn't JSON"),
        (text_of(feature([[[10**400, 1], [2, 2], [1, 1]]])), "its coordinates aren't those of a Polygon"),
        (text_of(feature([[{"": 1}, [2, 2], [1, 1]]])), "its coordinates aren't those of a Polygon"),
        ("[]", "holds no area"),
        (text_of(), "holds no area"),
        (text_of(3), "feature 1 has no geometry"),
        (text_of(feature([SQUARE], "tumour")), "class 'tumour' is none of control positive, control negative"),
        (text_of(feature([SQUARE]), feature([1, 2], kind="Point")), "feature 2 is a Point"),
        (text_of(feature([[[1, 1], [2, 2], [1, 1]]])), "encloses nothing"),
        (text_of(feature([[["a", 1], [2, 2], [1, 1]]])), "its coordinates aren't those of a Polygon"),
        (text_of(feature([[[1, 1], [2, float("nan")], [9, 9]]])), "its coordinates aren't those of a Polygon"),
        (text_of(feature(None)), "its coordinates aren't those of a Polygon"),
    ],
)
def test_a_file_without_areas_is_refused_by_its_place(text: str, said: str) -> None:
    with pytest.raises(Refused, match="ANNOTATION_INVALID") as refused:
        read_areas(text, NAMES, "controls.geojson")
    assert "controls.geojson" in refused.value.message
    assert said in refused.value.message


def test_an_area_off_the_slide_is_refused() -> None:
    areas = read_areas(text_of(feature([SQUARE])), NAMES, "f")
    check_inside(areas, Size(width=30, height=30), "f")
    with pytest.raises(Refused, match=r"f, feature 1: control positive reaches outside of the slide \(29 x 30 px\)"):
        check_inside(areas, Size(width=29, height=30), "f")
