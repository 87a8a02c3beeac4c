"""A page of a TIFF that has a level's size is one only where it shows the slide."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from inference.errors import Failed, Reason, Refused
from inference.geometry import Region, Size
from tests.opened import open_slide

UM = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}  # 0.5 µm/px


def smaller(rgb: np.ndarray, by: int) -> np.ndarray:
    return cv2.resize(rgb, (rgb.shape[1] // by, rgb.shape[0] // by), interpolation=cv2.INTER_AREA)


def tissue(kit) -> np.ndarray:
    """Waves on glass."""
    rgb = np.full((512, 768, 3), 240, np.uint8)
    rgb[64:400, 128:640] = kit.picture(640, 480, 3)[100:436, 80:592]
    return rgb


def write(path: Path, *pages: np.ndarray, below: bool = False, **more: object) -> Path:
    """Each picture a page; `below` puts all but the first into the first one's own directory."""
    options = {"photometric": "rgb", "tile": (64, 64), "compression": "zlib", "metadata": None, **UM, **more}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(np.ascontiguousarray(pages[0]), **options, subifds=len(pages) - 1 if below else None)
        for page in pages[1:]:
            tiff.write(np.ascontiguousarray(page), **options, subfiletype=1)
    return path


def levels(path: Path) -> list[float]:
    slide = open_slide(path)
    return [level.mpp for level in slide.facts.levels]


OTHERS = {
    "mirrored": lambda rgb: rgb[:, ::-1],
    "upside-down": lambda rgb: rgb[::-1],
    "blank": lambda rgb: np.full_like(rgb, 240),
    "another colour": lambda rgb: (rgb * [0.8, 0.9, 1.0]).astype(np.uint8),
    "moved": lambda rgb: np.roll(rgb, 100, axis=1),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize("by", [2, 8])
def test_a_page_of_another_picture_is_left_out_and_warned_of(kit, tmp_path, name, below, by):
    rgb = tissue(kit)
    path = write(tmp_path / "a.tif", rgb, smaller(rgb, 4), smaller(OTHERS[name](rgb), by), below=below)
    assert (levels(path), open_slide(path).facts.notes) == ([0.5, 2.0], ("LEVELS_LEFT_OUT",))


def test_pages_of_the_same_picture_are_its_levels(kit, tmp_path):
    rgb = tissue(kit)
    path = write(tmp_path / "a.tif", rgb, *(smaller(rgb, by) for by in (2, 4, 8)), compression="jpeg")
    assert (levels(path), open_slide(path).facts.notes) == ([0.5, 1.0, 2.0, 4.0], ())


def test_a_wrong_page_that_is_nearest_to_the_model_s_resolution_is_not_scored(kit, tmp_path):
    fine = kit.picture(512, 512)
    options = {"resolution": (40_000, 40_000)}  # 0.25 µm/px: the second page would be read at 0.5
    path = write(tmp_path / "a.tif", fine, smaller(kit.picture(512, 512, 2)[::-1], 2), **options)
    slide = open_slide(path)
    assert slide.working.size == Size(width=256, height=256)
    found = slide.read(Region(x=0, y=0, width=256, height=256)).astype(int)
    assert np.abs(found - smaller(fine, 2)).mean() < 1


def test_two_pictures_of_one_size_are_refused(kit, tmp_path):
    rgb = tissue(kit)
    with pytest.raises(Refused, match="768 x 512 px, 768 x 512 px") as refused:
        open_slide(write(tmp_path / "a.tif", rgb, rgb[:, ::-1]))
    assert refused.value.reason is Reason.SEVERAL_SLIDES


def test_one_picture_twice_is_read_and_warned_of(kit, tmp_path):
    rgb = tissue(kit)
    path = write(tmp_path / "a.tif", rgb, cv2.GaussianBlur(rgb, (0, 0), 1))
    assert open_slide(path).facts.notes == ("SEVERAL_IMAGES_OF_A_LEVEL",)


def test_a_page_that_cannot_be_read_is_left_to_be_found_where_it_is_needed(kit, tmp_path):
    rgb = tissue(kit)
    path = write(tmp_path / "a.tif", rgb, smaller(rgb, 4), compression="jpeg")
    with tifffile.TiffFile(path) as tiff:
        at = tiff.pages[1].dataoffsets[0], sum(tiff.pages[1].databytecounts)
    data = bytearray(path.read_bytes())
    data[at[0] : at[0] + at[1]] = bytes(at[1])
    path.write_bytes(data)
    assert levels(path) == [0.5, 2.0]


def test_a_disk_that_fails_while_pages_are_compared_is_waited_for(kit, tmp_path, monkeypatch):
    path = write(tmp_path / "a.tif", tissue(kit), smaller(tissue(kit), 4))

    def fails(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("server.slides.frames.os.pread", fails)
    with pytest.raises(Failed) as failed:
        open_slide(path)
    assert failed.value.retryable
