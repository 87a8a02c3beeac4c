"""Which images of a series make the slide that is read, and which of several is chosen."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from inference.errors import Reason, Refused
from inference.geometry import Region, Size
from server.slides.view import View
from tests.opened import open_slide

HALF = (1.0, 1.0)
UPRIGHT = [1, 0, 0, 0, 1, 0]


def item(**values: object) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def at(x: float, y: float = 20.0, **more: object) -> dict[str, object]:
    """A place on the slide, mm."""
    origin = item(XOffsetInSlideCoordinateSystem=x, YOffsetInSlideCoordinateSystem=y)
    return {"TotalPixelMatrixOriginSequence": [origin], "ImageOrientationSlide": UPRIGHT, **more}


def code(value: str, scheme: str = "DCM") -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning="of light")


def lit(name: str, *kinds: str, **more: object) -> Dataset:
    return item(OpticalPathIdentifier=name, IlluminationTypeCodeSequence=[code(k) for k in kinds], **more)


BRIGHT, FLUORESCENT = lit("2", "111744"), lit("1", "111743")


def half(rgb: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rgb[::2, ::2])


def read(path: Path, **options: object) -> np.ndarray:
    slide = open_slide(path, **options)
    size = slide.working.size
    return slide.read(Region(x=0, y=0, width=size.width, height=size.height))


def refused(path: Path, **options: object) -> Refused:
    with pytest.raises(Refused) as caught:
        open_slide(path, **options)
    assert "\n" not in str(caught.value)
    return caught.value


def sizes(path: Path, **options: object) -> list[tuple[int, int, float]]:
    return [(v.size.width, v.size.height, v.mpp) for v in open_slide(path, **options).facts.levels]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (at(10), at(15)),
        (at(10), at(10, 30)),
        ({"PyramidUID": "2.25.1"}, {"PyramidUID": "2.25.2"}),
        (at(10, PyramidUID="2.25.1"), at(15, PyramidUID="2.25.2")),
        ({"FrameOfReferenceUID": "2.25.1"}, {"FrameOfReferenceUID": "2.25.2"}),
        (at(10), at(10, ImageOrientationSlide=[0, -1, 0, -1, 0, 0])),
    ],
)
def test_a_region_elsewhere_is_no_level_though_its_size_is_half(kit, tmp_path, one, other):
    whole, region = kit.picture(512, 512), kit.picture(256, 256, 2)
    kit.raw(whole, number="1", more=one).write(tmp_path / "1.dcm")
    kit.raw(half(half(whole)), number="2", um=(2.0, 2.0), more=one).write(tmp_path / "2.dcm")
    kit.raw(region, number="3", um=(0.5, 0.5), more=other).write(tmp_path / "3.dcm")
    assert sizes(tmp_path) == [(512, 512, 0.5), (128, 128, 2.0)]
    np.testing.assert_array_equal(read(tmp_path), whole)
    assert "SEVERAL_PYRAMIDS" in open_slide(tmp_path).facts.notes
    assert open_slide(tmp_path).facts.sop_instance_uids == ("2.25.4711.1.1", "2.25.4711.1.2")


def test_a_small_region_with_finer_pixels_is_not_taken_for_the_slide(kit, tmp_path):
    whole, region = kit.picture(512, 512), kit.picture(256, 256, 2)
    kit.raw(whole, number="1", more=at(10)).write(tmp_path / "1.dcm")
    kit.raw(region, number="2", um=(0.25, 0.25), more=at(10.05, 20.05)).write(tmp_path / "2.dcm")
    np.testing.assert_array_equal(read(tmp_path), whole)
    kit.raw(region, number="2", um=(0.25, 0.25), more=at(10)).write(tmp_path / "2.dcm")  # in the same corner
    np.testing.assert_array_equal(read(tmp_path), whole)


def test_two_regions_about_as_large_are_refused_and_named_and_each_can_be_chosen(kit, tmp_path):
    pictures = kit.picture(512, 512), kit.picture(448, 512, 2)
    kit.raw(pictures[0], number="1", more=at(10, PyramidUID="2.25.1")).write(tmp_path / "1.dcm")
    kit.raw(pictures[1], number="2", more=at(15, PyramidUID="2.25.2")).write(tmp_path / "2.dcm")
    error = refused(tmp_path)
    assert error.reason == Reason.SEVERAL_SLIDES
    assert "--pyramid (1: 512 x 512 px of 0.5 µm at 10, 20 mm, 2: 448 x 512 px of 0.5 µm at 15, 20 mm)" in error.message
    for number, uid, rgb in (("1", "2.25.1", pictures[0]), ("2", "2.25.2", pictures[1])):
        np.testing.assert_array_equal(read(tmp_path, view=View(pyramid=number)), rgb)
        np.testing.assert_array_equal(read(tmp_path, view=View(pyramid=uid)), rgb)
    error = refused(tmp_path, view=View(pyramid="3"))
    assert (error.reason, "no pyramid '3'" in error.message) == (Reason.SEVERAL_SLIDES, True)


def test_levels_whose_origin_is_off_by_their_own_pixel_belong_together(kit, tmp_path):
    whole = kit.picture(512, 512)
    kit.raw(whole, number="1", more=at(10)).write(tmp_path / "1.dcm")
    kit.raw(half(half(whole)), number="2", um=(2.0, 2.0), more=at(10.00075, 20.00075)).write(tmp_path / "2.dcm")
    assert sizes(tmp_path) == [(512, 512, 0.5), (128, 128, 2.0)]


@pytest.mark.parametrize("wide", [0, 32, 64])
@pytest.mark.parametrize("high", [0, 32])
@pytest.mark.parametrize("fill", [0, 255, "edge"])
def test_what_a_level_has_beyond_its_base_is_never_read_and_its_scale_is_its_spacings(kit, tmp_path, wide, high, fill):
    base, level = kit.picture(512, 512), half(kit.picture(512, 512))
    margins = ((0, high), (0, wide), (0, 0))
    options = {"mode": "edge"} if fill == "edge" else {"mode": "constant", "constant_values": fill}
    kit.raw(base, number="1", um=(0.25, 0.25)).write(tmp_path / "1.dcm")
    kit.raw(np.pad(level, margins, **options), number="2", um=(0.5, 0.5)).write(tmp_path / "2.dcm")
    slide = open_slide(tmp_path)
    assert sizes(tmp_path) == [(512, 512, 0.25), (256 + wide, 256 + high, 0.5)]
    assert (slide.working.size, slide.working.scale) == (Size(width=256, height=256), 2.0)
    np.testing.assert_array_equal(read(tmp_path), level)
    overview, grid = slide.overview(0.5)
    assert grid.size == Size(width=256, height=256)
    np.testing.assert_array_equal(overview, level)


def test_a_level_padded_by_one_in_a_hundred_keeps_its_scale(kit, tmp_path):
    level = kit.picture(1024, 512)
    kit.raw(np.repeat(np.repeat(level, 2, 0), 2, 1), number="1", um=(0.25, 0.25)).write(tmp_path / "1.dcm")
    padded = np.pad(level, ((0, 6), (0, 11), (0, 0)), constant_values=255)
    kit.raw(padded, number="2", um=(0.5, 0.5)).write(tmp_path / "2.dcm")
    working = open_slide(tmp_path).working
    assert (working.size, working.scale) == (Size(width=1024, height=512), 2.0)
    assert working.to_base(1023.0) == 2046.5


def test_a_level_that_shows_more_than_its_base_is_none(kit, tmp_path):
    larger = kit.picture(288, 256, 2)
    kit.raw(kit.picture(512, 512), number="1", um=(0.25, 0.25)).write(tmp_path / "1.dcm")
    kit.raw(larger, number="2", um=(0.5, 0.5)).write(tmp_path / "2.dcm")
    np.testing.assert_array_equal(read(tmp_path), larger)  # the larger area is the slide
    assert open_slide(tmp_path).facts.notes == ("LEVELS_LEFT_OUT",)


@pytest.mark.parametrize("um", [(8.0, 8.0), None])
@pytest.mark.parametrize("place", [{}, at(0, 0)])
def test_an_overview_that_is_marked_volume_is_left_out(kit, tmp_path, um, place):
    whole = kit.picture(512, 512)
    kit.raw(whole, number="1", more=at(10) if place else {}).write(tmp_path / "1.dcm")
    kit.raw(kit.picture(500, 250, 2), number="2", um=um, more=place).write(tmp_path / "2.dcm")
    assert sizes(tmp_path) == [(512, 512, 0.5)]
    assert open_slide(tmp_path).facts.notes == ("LEVELS_LEFT_OUT",)


def test_a_slide_that_says_nothing_of_its_spacing_is_not_left_out_for_a_small_part_that_does(kit, tmp_path):
    kit.raw(kit.picture(512, 512), number="1", um=None).write(tmp_path / "1.dcm")
    kit.raw(kit.picture(300, 200, 2), number="2").write(tmp_path / "2.dcm")
    assert refused(tmp_path).reason == Reason.NO_PIXEL_SIZE


def test_levels_that_say_nothing_of_their_spacing_belong_by_their_sizes(kit, tmp_path):
    whole = kit.picture(512, 512)
    kit.raw(whole, number="1").write(tmp_path / "1.dcm")
    kit.raw(half(whole), number="2", um=None).write(tmp_path / "2.dcm")
    kit.raw(kit.picture(256, 200, 2), number="3", um=None).write(tmp_path / "3.dcm")
    assert sizes(tmp_path) == [(512, 512, 0.5), (256, 256, 1.0)]


@pytest.mark.parametrize("spacing", [1.0, 0.9995, 1.0005, 1.004])
def test_a_level_whose_spacing_is_rounded_keeps_a_whole_scale(kit, tmp_path, spacing):
    whole = kit.picture(512, 512)
    kit.raw(whole, number="1").write(tmp_path / "1.dcm")
    kit.raw(half(whole), number="2", um=(spacing, spacing)).write(tmp_path / "2.dcm")
    assert sizes(tmp_path) == [(512, 512, 0.5), (256, 256, 1.0)]


@pytest.mark.parametrize(
    "light",
    [
        FLUORESCENT,
        lit("1", "111745"),
        lit("1", "111749"),
        item(OpticalPathIdentifier="1", OpticalPathDescription="DAPI"),
        item(OpticalPathIdentifier="1", IlluminationWaveLength=488.0),
        lit("1", "111744", IlluminationColorCodeSequence=[code("415770004", "SCT")]),
        item(OpticalPathIdentifier="1", IlluminationTypeCodeSequence=[item(CodeMeaning="Epifluorescence")]),
    ],
)
def test_what_is_not_lit_for_bright_field_is_refused_as_that(kit, tmp_path, light):
    path = kit.raw(kit.picture(128, 64), more={"OpticalPathSequence": [light]}).write(tmp_path / "a.dcm")
    assert refused(path).reason == Reason.NOT_BRIGHTFIELD


@pytest.mark.parametrize(
    "light",
    [
        BRIGHT,
        lit("1", "111741"),
        lit("1"),
        lit("1", "99-ours"),
        lit("1", "111744", IlluminationColorCodeSequence=[code("414298005", "SCT")]),
        lit("1", "111744", IlluminationColorCodeSequence=[code("R-102C0", "SRT")]),
    ],
)
def test_bright_field_is_read_also_where_its_light_is_not_said(kit, tmp_path, light):
    rgb = kit.picture(128, 64)
    path = kit.raw(rgb, more={"OpticalPathSequence": [light]}).write(tmp_path / "a.dcm")
    np.testing.assert_array_equal(read(path), rgb)


def test_of_paths_in_files_of_their_own_the_bright_field_one_is_read_and_another_can_be_named(kit, tmp_path):
    pictures = [kit.picture(128, 64, seed) for seed in (1, 2, 3)]
    for k, light in enumerate((FLUORESCENT, BRIGHT, lit("3", "111744"))):
        level = kit.raw(pictures[k], number=str(k), more={"OpticalPathSequence": [light]})
        level.write(tmp_path / f"{k}.dcm")
    np.testing.assert_array_equal(read(tmp_path), pictures[1])
    np.testing.assert_array_equal(read(tmp_path, view=View(optical_path="3")), pictures[2])
    assert refused(tmp_path, view=View(optical_path="1")).reason == Reason.NOT_BRIGHTFIELD
    assert "no optical path '9': name one of 1, 2, 3" in refused(tmp_path, view=View(optical_path="9")).message


def test_of_paths_in_one_file_too(kit, tmp_path):
    pictures = [kit.picture(128, 64, seed) for seed in (1, 2)]
    level = kit.raw(pictures[0], more={"OpticalPathSequence": [FLUORESCENT, BRIGHT], "NumberOfOpticalPaths": 2})
    level.frames = [f.tobytes() for rgb in pictures for f in kit.cut(rgb, 64)]
    path = level.write(tmp_path / "a.dcm")
    np.testing.assert_array_equal(read(path), pictures[1])
    assert open_slide(path).facts.notes == ("SEVERAL_OPTICAL_PATHS",)


def test_focal_planes_are_chosen_by_number_in_one_file_and_in_several(kit, tmp_path):
    planes = [kit.picture(128, 64, seed) for seed in (1, 2, 3)]
    level = kit.raw(planes[0], more={"TotalPixelMatrixFocalPlanes": 3})
    level.frames = [f.tobytes() for rgb in planes for f in kit.cut(rgb, 64)]
    (tmp_path / "one").mkdir()
    level.write(tmp_path / "one" / "a.dcm")
    (tmp_path / "several").mkdir()
    for k in (2, 0, 1):
        origin = item(ZOffsetInSlideCoordinateSystem=1.5 * k)
        more = {"TotalPixelMatrixOriginSequence": [origin]}
        kit.raw(planes[k], number=str(k), more=more).write(tmp_path / "several" / f"{k}.dcm")
    for path in (tmp_path / "one", tmp_path / "several"):
        np.testing.assert_array_equal(read(path), planes[1])
        for k in range(3):
            np.testing.assert_array_equal(read(path, view=View(focal_plane=k + 1)), planes[k])
        assert "no focal plane 4: name one from 1 to 3" in refused(path, view=View(focal_plane=4)).message


def test_a_picture_has_nothing_to_choose_from(kit, tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert refused(tmp_path / "a.png", mpp=0.5, view=View(pyramid="1")).reason == Reason.SEVERAL_SLIDES


def test_without_a_kind_of_image_all_are_levels_but_what_shows_the_label(kit, tmp_path):
    rgb = kit.picture(256, 128)
    for number, pixels, um, label in (("1", rgb, 0.5, "NO"), ("2", half(rgb), 1.0, "NO"), ("3", rgb, 0.5, "YES")):
        more = {"ImageType": None, "SpecimenLabelInImage": label}
        kit.raw(pixels, number=number, um=(um, um), more=more).write(tmp_path / f"{number}.dcm")
    assert sizes(tmp_path) == [(256, 128, 0.5), (128, 64, 1.0)]
    assert open_slide(tmp_path).facts.notes == ("NO_IMAGE_TYPE",)


def test_sparse_frames_are_read_though_the_file_names_no_kind_of_image(kit, tmp_path):
    rgb = kit.picture(128, 128)
    level = kit.raw(rgb, places=[(1, 1), (0, 0), (1, 0), (0, 1)], more={"ImageType": None})
    frames = [f.tobytes() for f in kit.cut(rgb, 64)]
    level.frames = [frames[3], frames[0], frames[1], frames[2]]
    np.testing.assert_array_equal(read(level.write(tmp_path / "a.dcm")), rgb)
