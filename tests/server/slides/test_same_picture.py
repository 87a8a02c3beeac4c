"""A picture that claims the place of another is no level of it, whatever its header says."""

import cv2
import numpy as np
import pytest

from inference.errors import Failed, Reason, Refused
from server.slides.dicom_index import FrameIndex
from server.slides.view import View
from tests.opened import open_slide

PLACE = {"PyramidUID": "2.25.1", "FrameOfReferenceUID": "2.25.2"}


def smaller(rgb: np.ndarray, by: int, how: int = cv2.INTER_AREA) -> np.ndarray:
    return cv2.resize(rgb, (rgb.shape[1] // by, rgb.shape[0] // by), interpolation=how)


@pytest.fixture
def put(kit, tmp_path):
    """Writes a level that claims the same place as all others."""

    def write(number: str, rgb: np.ndarray, um: float) -> None:
        rgb = np.ascontiguousarray(rgb)
        kit.level(rgb, number=number, um=(um, um), more=PLACE).write(tmp_path / f"{number}.dcm")

    return write


def levels(path, **options) -> list[float]:
    return [level.mpp for level in open_slide(path, **options).facts.levels]


def tissue(kit) -> np.ndarray:
    """Waves on glass."""
    rgb = np.full((512, 768, 3), 240, np.uint8)
    rgb[64:400, 128:640] = kit.picture(640, 480, 3)[100:436, 80:592]
    return rgb


@pytest.mark.parametrize("how", [cv2.INTER_AREA, cv2.INTER_NEAREST, cv2.INTER_CUBIC])
def test_what_a_scanner_makes_of_a_level_is_one(kit, put, tmp_path, how):
    rgb = tissue(kit)
    paler = np.clip(smaller(rgb, 8, how).astype(int) * 1.1 - 12, 0, 255).astype(np.uint8)
    for number, pixels, um in (("1", rgb, 0.5), ("2", smaller(rgb, 2, how), 1.0), ("3", paler, 4.0)):
        put(number, pixels, um)
    assert levels(tmp_path) == [0.5, 1.0, 4.0]
    assert open_slide(tmp_path).facts.notes == ()


@pytest.mark.parametrize(
    "other",
    [
        lambda rgb: rgb[:, ::-1],
        lambda rgb: rgb[::-1],
        lambda rgb: np.full_like(rgb, 240),
        lambda rgb: 255 - rgb,
        lambda rgb: (rgb * [0.8, 0.9, 1.0]).astype(np.uint8),
        lambda rgb: np.roll(rgb, 100, axis=1),
    ],
    ids=["mirrored", "upside-down", "blank", "inverted", "another-colour", "moved"],
)
@pytest.mark.parametrize("by", [2, 8])
def test_another_picture_of_the_same_extent_is_left_out_and_warned_of(kit, put, tmp_path, other, by):
    rgb = tissue(kit)
    put("1", rgb, 0.5)
    put("2", smaller(rgb, 4), 2.0)
    put("3", smaller(other(rgb), by), 0.5 * by)
    slide = open_slide(tmp_path)
    assert (levels(tmp_path), slide.facts.notes) == ([0.5, 2.0], ("LEVELS_LEFT_OUT",))


@pytest.mark.parametrize("finer", [0.25, 0.5])
def test_two_pictures_that_may_both_be_scored_are_refused_unless_one_is_named(kit, put, tmp_path, finer):
    rgb = tissue(kit)
    put("1", cv2.resize(rgb, None, fx=0.5 / finer, fy=0.5 / finer), finer)
    put("2", rgb[:, ::-1], 0.5)
    with pytest.raises(Refused) as refused:
        open_slide(tmp_path)
    assert refused.value.reason is Reason.SEVERAL_SLIDES
    assert "holds different pictures of one place: name one by --pyramid (1: " in refused.value.message
    assert len({open_slide(tmp_path, view=View(pyramid=n)).facts.sop_instance_uids for n in ("1", "2")}) == 2


def test_the_same_picture_twice_is_read_and_warned_of(kit, put, tmp_path):
    rgb = tissue(kit)
    put("1", rgb, 0.5)
    put("2", cv2.GaussianBlur(rgb, (0, 0), 1), 0.5)
    assert open_slide(tmp_path).facts.notes == ("SEVERAL_IMAGES_OF_A_LEVEL",)


def test_a_picture_that_was_changed_on_the_disk_is_looked_at_again(kit, put, tmp_path):
    rgb = tissue(kit)
    put("1", rgb, 0.5)
    put("2", smaller(rgb, 4), 2.0)
    assert levels(tmp_path) == [0.5, 2.0]
    put("2", smaller(rgb[:, ::-1], 4), 2.0)
    assert levels(tmp_path) == [0.5]


def test_a_disk_that_fails_while_levels_are_compared_is_waited_for(kit, put, tmp_path, monkeypatch):
    rgb = tissue(kit)
    put("1", rgb, 0.5)
    put("2", smaller(rgb, 4), 2.0)

    def fails(*_: object) -> FrameIndex:
        raise Failed(Reason.SLIDE_DAMAGED, "reading 1.dcm failed", retryable=True)

    monkeypatch.setattr("server.slides.dicom_index.FrameIndex.read", fails)
    with pytest.raises(Failed) as failed:
        open_slide(tmp_path)
    assert failed.value.retryable


@pytest.mark.parametrize("by", [2, 4])
@pytest.mark.parametrize("at", [(100, 1500), (900, 200), (1700, 1000)])
@pytest.mark.parametrize(
    "other", [lambda rgb: rgb[:, ::-1], lambda rgb: np.full_like(rgb, 240)], ids=["moved", "blank"]
)
def test_tissue_is_looked_for_where_a_slide_is_nearly_all_glass(kit, put, tmp_path, at, by, other):
    rgb = np.full((2048, 2048, 3), 240, np.uint8)
    rgb[at[0] : at[0] + 160, at[1] : at[1] + 160] = kit.picture(160, 160, 3)
    put("1", rgb, 0.5)
    put("2", smaller(other(rgb), by), 0.5 * by)
    assert levels(tmp_path) == [0.5]
