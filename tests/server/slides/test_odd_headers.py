"""What other writers make of tables, numbers and names that the standard fixes: read rightly all the same."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate, encapsulate_extended

from inference.errors import Reason, Refused
from inference.geometry import Region
from tests.opened import open_framed, open_slide


def read(path: Path) -> np.ndarray:
    slide = open_framed(path)
    size = slide.working.size
    return slide.read(Region(x=0, y=0, width=size.width, height=size.height))


OFFSETS: dict[str, Callable[[list[int]], list[int]]] = {
    "to the payload": lambda offsets: [at + 8 for at in offsets],
    "from the table": lambda offsets: [at + 8 + 4 * len(offsets) for at in offsets],
    "from the file's beginning": lambda offsets: [at + 3000 for at in offsets],
    "beyond the file": lambda offsets: [*offsets[:-1], 2**31],
    "backwards": lambda offsets: offsets[::-1],
    "nought": lambda offsets: [0] * len(offsets),
}


@pytest.mark.parametrize("name", OFFSETS)
@pytest.mark.parametrize("extended", [False, True])
def test_a_table_of_wrong_offsets_is_not_believed(tmp_path: Path, kit, name: str, extended: bool) -> None:
    level = kit.level(kit.picture(256, 192), table="extended" if extended else "basic")
    expected = read(level.write(tmp_path / "right.dcm"))
    header = dcmread(tmp_path / "right.dcm")
    count = header.NumberOfFrames
    if extended:
        table = list(struct.unpack(f"<{count}Q", encapsulate_extended(level.frames)[1]))
        header.ExtendedOffsetTable = struct.pack(f"<{count}Q", *OFFSETS[name](table))
    else:
        data = encapsulate(level.frames)
        table = list(struct.unpack(f"<{count}L", data[8 : 8 + 4 * count]))
        header.PixelData = data[:8] + struct.pack(f"<{count}L", *OFFSETS[name](table)) + data[8 + 4 * count :]
    header.save_as(tmp_path / "wrong.dcm")
    np.testing.assert_array_equal(read(tmp_path / "wrong.dcm"), expected)


def test_a_level_that_does_not_count_its_frames_has_those_of_its_grid(tmp_path: Path, kit) -> None:
    expected = read(kit.level(kit.picture(256, 192)).write(tmp_path / "a.dcm"))
    header = dcmread(tmp_path / "a.dcm")
    del header.NumberOfFrames
    header.save_as(tmp_path / "a.dcm")
    np.testing.assert_array_equal(read(tmp_path / "a.dcm"), expected)


@pytest.mark.parametrize("flavour", ["volume", " VOLUME ", "Volume"])
@pytest.mark.parametrize("photometric", ["ybr_full_422", "YBR_PARTIAL_422"])
@pytest.mark.filterwarnings("ignore")  # pydicom's, of what it is to write
def test_words_in_lower_case_mean_the_same(tmp_path: Path, kit, flavour: str, photometric: str) -> None:
    level = kit.level(kit.picture(256, 192))
    expected = read(level.write(tmp_path / "a.dcm"))
    level.flavour, level.photometric = flavour, photometric
    np.testing.assert_array_equal(read(level.write(tmp_path / "b.dcm")), expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("flavour", ["label", "Overview", "thumbnail"])
def test_a_label_in_lower_case_is_no_level(tmp_path: Path, kit, flavour: str) -> None:
    kit.level(kit.picture(256, 192), flavour=flavour).write(tmp_path / "a.dcm")
    with pytest.raises(Refused, match=f"only: {flavour.lower()}") as refused:
        open_slide(tmp_path / "a.dcm")
    assert refused.value.reason is Reason.NOT_A_SLIDE


@pytest.mark.parametrize(("more", "due"), [({"TotalPixelMatrixColumns": 257}, 15), ({"NumberOfFrames": 11}, 12)])
def test_a_number_of_frames_that_does_not_fit_the_size_is_refused(tmp_path: Path, kit, more, due: int) -> None:
    level = kit.level(kit.picture(256, 192), more=more)
    with pytest.raises(Refused, match=f"says that it has 1[12] frames, where 25[67] x 192 px take {due}") as refused:
        open_slide(level.write(tmp_path / "a.dcm"))
    assert refused.value.reason is Reason.SLIDE_DAMAGED


@pytest.mark.parametrize("said", ["TILED_FULL", "TILED_SPARSE", "3D"])
def test_frames_lie_where_each_says_it_does_whatever_is_said_of_their_order(tmp_path: Path, kit, said: str) -> None:
    rgb = kit.picture(256, 192)
    level, order = kit.raw(rgb), np.random.default_rng(1).permutation(12).tolist()
    level.frames = [level.frames[k] for k in order]
    level.places = [(k % 4, k // 4) for k in order]
    level.more = {"DimensionOrganizationType": said}
    np.testing.assert_array_equal(read(level.write(tmp_path / "a.dcm")), rgb)
