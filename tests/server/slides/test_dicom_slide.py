"""DICOM slides: the same pixels whatever the syntax, the order of frames or the kind of offset table."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom import Dataset

from inference.errors import Reason, Refused
from inference.geometry import Region, Size
from inference.slide import FrameUnreadable
from server.slides.framed_slide import DAMAGED_COLOUR
from tests.opened import open_framed, open_slide


def whole(path: Path, **options) -> np.ndarray:
    slide = open_framed(path, **options)
    size = slide.working.size
    try:
        return slide.read(Region(x=0, y=0, width=size.width, height=size.height))
    finally:
        slide.close()


def refused(path: Path, **options) -> Refused:
    with pytest.raises(Refused) as caught:
        open_slide(path, **options)
    assert "\n" not in str(caught.value)
    return caught.value


def test_uncompressed_and_lossless_frames_are_read_exactly(kit, tmp_path):
    rgb = kit.picture(150, 100)
    np.testing.assert_array_equal(whole(kit.raw(rgb).write(tmp_path / "raw.dcm")), rgb)
    np.testing.assert_array_equal(whole(kit.lossless(rgb).write(tmp_path / "j2k.dcm")), rgb)


def test_jpeg_frames_are_read_within_the_loss_of_jpeg(kit, tmp_path):
    rgb = kit.picture(150, 100)
    assert np.abs(whole(kit.level(rgb).write(tmp_path / "a.dcm")).astype(int) - rgb).mean() < 4


@pytest.mark.parametrize("table", ["none", "fragments", "extended"])
def test_every_kind_of_offset_table_gives_the_same_pixels(kit, tmp_path, table):
    rgb = kit.picture(150, 100)
    basic = whole(kit.level(rgb).write(tmp_path / "basic.dcm"))
    np.testing.assert_array_equal(whole(kit.level(rgb, table=table).write(tmp_path / "other.dcm")), basic)


def test_sparse_frames_lie_where_they_say_and_the_rest_is_white(kit, tmp_path):
    rgb = kit.picture(192, 128)
    frames = [f.tobytes() for f in kit.cut(rgb, 64)]
    level = kit.raw(rgb, places=[(2, 1), (0, 0)])
    level.frames = [frames[5], frames[0]]
    out = whole(level.write(tmp_path / "sparse.dcm"))
    np.testing.assert_array_equal(out[:64, :64], rgb[:64, :64])
    np.testing.assert_array_equal(out[64:, 128:], rgb[64:, 128:])
    assert (out[:64, 64:] == 255).all()
    assert (out[64:, :128] == 255).all()


def test_of_several_focal_planes_the_middle_one_is_read(kit, tmp_path):
    planes = [kit.picture(128, 64, seed) for seed in (1, 2, 3)]
    level = kit.raw(planes[0], more={"TotalPixelMatrixFocalPlanes": 3})
    level.frames = [f.tobytes() for plane in planes for f in kit.cut(plane, 64)]
    path = level.write(tmp_path / "planes.dcm")
    np.testing.assert_array_equal(whole(path), planes[1])
    assert "SEVERAL_FOCAL_PLANES" in open_slide(path).facts.notes


def test_of_planes_in_files_of_their_own_the_middle_one_of_the_first_optical_path_is_read(kit, tmp_path):
    pictures = {}
    for k, (name, depth) in enumerate([("b", 1.5), ("a", 3.0), ("a", 0.0), ("b", 0.0), ("a", 1.5), ("b", 3.0)]):
        origin, path = Dataset(), Dataset()
        origin.ZOffsetInSlideCoordinateSystem, path.OpticalPathIdentifier = depth, name
        pictures[name, depth] = kit.picture(64, 64, seed=k)
        more = {"TotalPixelMatrixOriginSequence": [origin], "OpticalPathSequence": [path]}
        kit.raw(pictures[name, depth], number=str(k), more=more).write(tmp_path / f"{k}.dcm")
    np.testing.assert_array_equal(whole(tmp_path), pictures["a", 1.5])
    assert open_slide(tmp_path).facts.notes == ("SEVERAL_IMAGES_OF_A_LEVEL",)


def test_a_jpeg_level_declared_rgb_without_markers_is_not_taken_for_ycbcr(kit, tmp_path):
    rgb = kit.picture(64, 64)
    stream = bytes(imagecodecs.jpeg8_encode(rgb, level=95, colorspace="RGB", outcolorspace="RGB"))
    bare = bytearray(
        stream[:2] + stream[2 + 2 + int.from_bytes(stream[4:6], "big") :] if stream[3] in (0xE0, 0xEE) else stream
    )
    for marker in (
        b"\xff\xc0",
        b"\xff\xda",
    ):  # components named R, G, B would tell libjpeg; Aperio numbers them 0, 1, 2
        at = bare.index(marker)
        first, stride = (at + 10, 3) if marker == b"\xff\xc0" else (at + 5, 2)
        for k in range(3):
            bare[first + k * stride] = k + 1
    level = kit.instance(size=(64, 64), frames=[bytes(bare)], photometric="RGB")
    assert np.abs(whole(level.write(tmp_path / "rgb.dcm")).astype(int) - rgb).mean() < 3


def test_a_folder_is_one_slide_whose_label_and_overview_are_told_apart(kit, tmp_path):
    rgb = kit.picture(256, 128)
    kit.level(rgb, number="1").write(tmp_path / "base.dcm")
    kit.level(rgb[::2, ::2], number="2", um=(1.0, 1.0)).write(tmp_path / "half.dcm")
    for number, flavour in (("3", "LABEL"), ("4", "OVERVIEW"), ("5", "THUMBNAIL")):
        kit.level(kit.picture(64, 64), number=number, flavour=flavour).write(tmp_path / f"{flavour}.dcm")
    (tmp_path / "notes.txt").write_text("not DICOM")
    facts = open_slide(tmp_path).facts
    assert [level.size for level in facts.levels] == [Size(width=256, height=128), Size(width=128, height=64)]
    assert [level.mpp for level in facts.levels] == [0.5, 1.0]
    assert facts.sop_instance_uids == ("2.25.4711.1.1", "2.25.4711.1.2")
    assert (facts.study_uid, facts.series_uid) == ("2.25.4711.9", "2.25.4711.1")
    assert (facts.container_id, facts.specimen_id) == ("TEST-CONTAINER", "TEST-SPECIMEN")
    assert facts.notes == ()
    assert facts.sha256 is None


def test_a_slide_without_specimen_or_optical_path_is_read_with_a_warning(kit, tmp_path):
    path = kit.level(kit.picture(64, 64), specimen="", optical_path=False).write(tmp_path / "a.dcm")
    assert open_slide(path).facts.notes == ("NO_SPECIMEN", "NO_OPTICAL_PATH")


def test_two_series_in_a_folder_are_refused(kit, tmp_path):
    for series in ("1", "2"):
        kit.level(kit.picture(64, 64), series=series).write(tmp_path / f"{series}.dcm")
    assert refused(tmp_path).reason == Reason.SEVERAL_SLIDES


def test_several_slides_that_are_all_too_coarse_are_refused_as_that(kit, tmp_path):
    for number, series, um in (("1", "1", 0.7), ("2", "1", 1.4), ("1", "2", 0.9)):
        level = kit.level(kit.picture(64, 64), series=series, number=number, um=(um, um))
        level.write(tmp_path / f"{series}.{number}.dcm")
    error = refused(tmp_path)
    assert error.reason == Reason.TOO_COARSE
    assert "2 slides" in error.message
    assert "the finest has 0.7" in error.message


@pytest.mark.parametrize(("um", "options"), [((0.625, 0.625), {}), (None, {}), ((0.7, 0.7), {"mpp": 0.5})])
def test_several_slides_of_which_one_may_be_fine_enough_are_refused_as_several(kit, tmp_path, um, options):
    kit.level(kit.picture(64, 64), series="1", um=(0.7, 0.7)).write(tmp_path / "1.dcm")
    kit.level(kit.picture(64, 64), series="2", um=um).write(tmp_path / "2.dcm")
    assert refused(tmp_path, **options).reason == Reason.SEVERAL_SLIDES


@pytest.mark.parametrize("flavour", ["LABEL", "OVERVIEW", "THUMBNAIL"])
def test_a_label_alone_is_not_a_slide(kit, tmp_path, flavour):
    error = refused(kit.level(kit.picture(64, 64), flavour=flavour).write(tmp_path / "a.dcm"))
    assert error.reason == Reason.NOT_A_SLIDE
    assert flavour.lower() in error.message


def test_a_single_frame_photograph_is_not_a_slide(kit, tmp_path):
    photograph = kit.level(kit.picture(64, 64), sop_class="1.2.840.10008.5.1.4.1.1.77.1.4")
    assert refused(photograph.write(tmp_path / "a.dcm")).reason == Reason.NOT_A_SLIDE


@pytest.mark.parametrize(
    "damage", [b"1.2.840.10\n08.5.1.4.1.1.77.1.6", b"1.2.840.10008.5.1.4.1.1.77.9.9", b"TEST-INVENTED 5.1.4.1.1.77.1.6"]
)
def test_an_object_of_no_known_kind_is_not_a_slide_and_not_quoted(kit, tmp_path, damage):
    path = kit.level(kit.picture(64, 64), flavour="").write(tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.5.1.4.1.1.77.1.6", damage))
    error = refused(path)
    assert error.reason == Reason.NOT_A_SLIDE
    assert "an unknown object" in error.message
    assert "TEST-INVENTED" not in error.message


def test_a_volume_of_a_single_frame_is_a_slide(kit, tmp_path):
    rgb = kit.picture(64, 50)
    np.testing.assert_array_equal(whole(kit.raw(rgb).write(tmp_path / "a.dcm")), rgb)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"um": None}, Reason.NO_PIXEL_SIZE),
        ({"um": (0.5, 0.52)}, Reason.NO_PIXEL_SIZE),
        ({"um": (1e-27, 1e-27)}, Reason.NO_PIXEL_SIZE),
        ({"um": (1e-8, 1e-8)}, Reason.NO_PIXEL_SIZE),
        ({"um": (1e9, 1e9)}, Reason.NO_PIXEL_SIZE),
        ({"um": (0.7, 0.7)}, Reason.TOO_COARSE),
        ({"photometric": "MONOCHROME2"}, Reason.WRONG_COLOUR_SPACE),
        ({"more": {"SamplesPerPixel": 1}}, Reason.WRONG_COLOUR_SPACE),
        ({"more": {"BitsAllocated": 16}}, Reason.WRONG_COLOUR_SPACE),
        ({"syntax": "1.2.840.10008.1.2.4.100"}, Reason.UNSUPPORTED_SYNTAX),
        ({"more": {"NumberOfFrames": 2_000_000_000}}, Reason.SLIDE_DAMAGED),
        ({"more": {"TotalPixelMatrixColumns": 4_000_000_000}}, Reason.SLIDE_DAMAGED),
        ({"more": {"TotalPixelMatrixRows": 0}}, Reason.SLIDE_DAMAGED),
        ({"more": {"Rows": None}}, Reason.SLIDE_DAMAGED),
        ({"more": {"TotalPixelMatrixFocalPlanes": 9}}, Reason.SLIDE_DAMAGED),
        ({"more": {"InConcatenationNumber": 1, "InConcatenationTotalNumber": 2}}, Reason.SLIDE_DAMAGED),
    ],
)
def test_what_cannot_be_scored_rightly_is_refused_with_its_reason(kit, tmp_path, values, reason):
    error = refused(kit.level(kit.picture(128, 64), **values).write(tmp_path / "a.dcm"))
    assert error.reason == reason
    assert "TEST-INVENTED" not in str(error)


def test_a_volume_that_shows_the_label_is_no_level_beside_others(kit, tmp_path):
    """An overview of the whole glass that calls itself VOLUME would be read, or stretch the pyramid."""
    rgb = kit.picture(256, 128)
    label = {"SpecimenLabelInImage": "YES"}
    kit.level(rgb, number="1", more={"SpecimenLabelInImage": "NO"}).write(tmp_path / "a.dcm")
    kit.level(kit.picture(512, 256), number="2", um=(0.25, 0.25), more=label).write(tmp_path / "b.dcm")
    slide = open_slide(tmp_path)
    assert [level.size.width for level in slide.facts.levels] == [256]
    (tmp_path / "alone").mkdir()
    alone = open_slide(kit.level(rgb, number="3", more=label).write(tmp_path / "alone" / "c.dcm"))
    assert alone.facts.size.width == 256


@pytest.mark.parametrize(
    ("width_um", "height_um", "warned"),
    [(0.25, 0.25, True), (1.0, 1.0, True), (0.5, 0.5, False), (0.53, 0.53, False), (0.25, 0.2, False)],
)
def test_a_volume_that_makes_the_pixels_another_size_is_warned_of(kit, tmp_path, width_um, height_um, warned):
    """As where each level says the base's spacing. A volume that makes no squares is a converter's."""
    volume = {"ImagedVolumeWidth": 0.128 * width_um, "ImagedVolumeHeight": 0.064 * height_um}
    slide = open_slide(kit.level(kit.picture(128, 64), um=(0.5, 0.5), more=volume).write(tmp_path / "a.dcm"))
    assert slide.facts.mpp == 0.5
    assert ("PIXEL_SIZE_CONTRADICTED" in slide.facts.notes) is warned


@pytest.mark.parametrize("um", [1e-27, 1e-8, 1e12])
@pytest.mark.parametrize("which", [0, 1])
def test_a_level_of_impossible_pixels_is_refused_or_left_out_and_never_a_defect(kit, tmp_path, um, which):
    """Issue 12, 17."""
    kit.level(kit.picture(256, 128), um=(um, um) if which == 0 else (0.5, 0.5)).write(tmp_path / "a.dcm")
    kit.level(kit.picture(128, 64), um=(um, um) if which == 1 else (1.0, 1.0)).write(tmp_path / "b.dcm")
    try:
        assert open_framed(tmp_path).working.mpp == 0.5
    except Refused as error:
        assert error.reason in (Reason.NO_PIXEL_SIZE, Reason.TOO_COARSE)  # noqa: PT017  either is right


def test_a_given_pixel_size_overrides_the_file(kit, tmp_path):
    path = kit.level(kit.picture(128, 64), um=(0.5, 0.7)).write(tmp_path / "a.dcm")
    assert open_slide(path, mpp=0.25).working.mpp == 0.5


def test_a_damaged_frame_is_named_and_the_others_stay_readable(kit, tmp_path):
    rgb = kit.picture(192, 128)
    level = kit.level(rgb)
    good = whole(kit.level(rgb).write(tmp_path / "good.dcm"))
    level.frames = [*level.frames[:4], level.frames[4][: len(level.frames[4]) // 2], level.frames[5]]
    slide = open_framed(level.write(tmp_path / "bad.dcm"))
    for _ in range(2):
        with pytest.raises(FrameUnreadable, match=r"frame 4 \(level 0, column 1, row 1\) doesn't decode"):
            slide.read(Region(x=64, y=64, width=10, height=10))
    assert slide.decoded == 1
    np.testing.assert_array_equal(slide.read(Region(x=0, y=0, width=192, height=64)), good[:64])
    np.testing.assert_array_equal(slide.read(Region(x=128, y=64, width=64, height=64)), good[64:, 128:])


def test_an_overview_shows_damage_in_the_colour_of_tissue(kit, tmp_path):
    level = kit.raw(np.full((64, 128, 3), 255, np.uint8))
    jpeg = kit.level(np.full((64, 128, 3), 255, np.uint8))
    jpeg.frames = [jpeg.frames[0], b"\xff\xd8 not a frame "]
    overview, grid = open_slide(jpeg.write(tmp_path / "bad.dcm")).overview(4.0)
    assert grid.size == Size(width=16, height=8)
    assert (overview[:, :8] > 250).all()
    assert (overview[:, 8:] == DAMAGED_COLOUR).all()
    assert (open_slide(level.write(tmp_path / "good.dcm")).overview(4.0)[0] == 255).all()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("table", ["basic", "none"])
def test_of_a_cut_file_the_missing_frames_are_named_or_it_is_refused(kit, tmp_path, share, table):
    path = kit.level(kit.picture(192, 192), table=table).write(tmp_path / "a.dcm")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises((Refused, FrameUnreadable)) as caught:
        open_slide(path).read(Region(x=0, y=0, width=192, height=192))
    assert caught.value.reason == Reason.SLIDE_DAMAGED


def test_a_damaged_header_is_refused_without_the_text_of_the_library(kit, tmp_path):
    path = kit.level(kit.picture(64, 64)).write(tmp_path / "a.dcm")
    data = path.read_bytes()
    path.write_bytes(data[:128] + b"DICM" + b"\xff" * 200 + b"TEST-INVENTED" * 20)
    error = refused(path)
    assert error.reason in (Reason.SLIDE_DAMAGED, Reason.NOT_A_SLIDE)
    assert "TEST-INVENTED" not in str(error)
