"""DICOM levels that go through wsidicom: split over files, with positions of their own, in rare encodings."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import ImplicitVRLittleEndian
from wsidicom.codec import Encoder
from wsidicom.codec.settings import Channels, HTJpeg2000Settings, JpegLosslessSettings, JpegXlSettings, RleSettings

from inference.errors import ChromogenError, Reason, Refused
from inference.geometry import Region, Size
from inference.slide import FrameUnreadable
from server.slides.dicom_level import read_level_header
from server.slides.wsidicom_image import read_by_wsidicom
from tests.opened import open_framed, open_slide

RGB = Channels.RGB
LOSSLESS = [RleSettings(), JpegLosslessSettings(channels=RGB), JpegLosslessSettings(predictor=4, channels=RGB)]
LOSSY = [JpegXlSettings(level=90, channels=RGB)]


def whole(path: Path, **options) -> np.ndarray:
    slide = open_framed(path, **options)
    size = slide.working.size
    try:
        return slide.read(Region(x=0, y=0, width=size.width, height=size.height))
    finally:
        slide.close()


def refused(path: Path) -> Refused:
    with pytest.raises(Refused) as caught:
        open_slide(path)
    assert "\n" not in str(caught.value)
    assert "TEST-INVENTED" not in str(caught.value)
    return caught.value


def item(**values: object) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def at(x: int, y: int, *, z: float | None = None, path: str | None = None, **more: object) -> Dataset:
    """The groups of a frame whose first pixel is (x, y) from 0."""
    position = item(ColumnPositionInTotalImagePixelMatrix=x + 1, RowPositionInTotalImagePixelMatrix=y + 1)
    if z is not None:
        position.ZOffsetInSlideCoordinateSystem = z
    groups = item(PlanePositionSlideSequence=[position], **more)
    if path is not None:
        groups.OpticalPathIdentificationSequence = [item(OpticalPathIdentifier=path)]
    return groups


def sparse(level, groups: list[Dataset], **more: object):
    """A level of the kit whose frames have these groups."""
    level.more = {"DimensionOrganizationType": "TILED_SPARSE", "PerFrameFunctionalGroupsSequence": groups, **more}
    return level


def parts(
    kit,
    rgb: np.ndarray,
    folder: Path,
    counts: list[int],
    *,
    say_total: bool = True,
    say_offset: bool = True,
    **values: object,
) -> list[Path]:
    """A raw level split over files of `counts` frames."""
    level, first, written = kit.raw(rgb, **values), 0, []
    frames = level.frames
    for k, count in enumerate(counts):
        level.number, level.frames = f"1{k}", frames[first : first + count]
        level.more = {
            "SOPInstanceUIDOfConcatenationSource": "2.25.4711.8",
            "ConcatenationUID": "2.25.4711.7",
            "InConcatenationNumber": k + 1,
        }
        if say_offset:
            level.more["ConcatenationFrameOffsetNumber"] = first
        if say_total:
            level.more["InConcatenationTotalNumber"] = len(counts)
        written.append(level.write(folder / f"{len(counts) - k}.dcm"))  # the last part has the first name
        first += count
    return written


@pytest.mark.parametrize("say_total", [True, False])
@pytest.mark.parametrize("counts", [[2, 4], [1, 1, 3, 1], [5, 1]])
def test_a_level_split_over_files_is_read_as_one(kit, tmp_path, counts, say_total):
    rgb = kit.picture(150, 100)
    parts(kit, rgb, tmp_path, counts, say_total=say_total)
    np.testing.assert_array_equal(whole(tmp_path), rgb)
    facts = open_slide(tmp_path).facts
    assert [level.size for level in facts.levels] == [Size(width=150, height=100)]
    assert facts.sop_instance_uids == tuple(f"2.25.4711.1.1{k}" for k in range(len(counts)))
    assert facts.notes == ()


def test_parts_that_do_not_say_where_they_begin_follow_each_other_by_number(kit, tmp_path):
    rgb = kit.picture(150, 100)
    written = parts(kit, rgb, tmp_path, [2, 3, 1], say_offset=False)
    np.testing.assert_array_equal(whole(tmp_path), rgb)
    written[1].unlink()
    assert refused(tmp_path).reason == Reason.SLIDE_DAMAGED


def test_a_split_level_and_a_whole_one_make_one_slide(kit, tmp_path):
    rgb = kit.picture(256, 128)
    parts(kit, rgb, tmp_path, [3, 5])
    kit.raw(rgb[::2, ::2], number="2", um=(1.0, 1.0)).write(tmp_path / "half.dcm")
    facts = open_slide(tmp_path).facts
    assert [level.mpp for level in facts.levels] == [0.5, 1.0]
    np.testing.assert_array_equal(whole(tmp_path), rgb)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_split_level_of_which_a_part_is_missing_is_refused(kit, tmp_path, missing):
    parts(kit, kit.picture(150, 100), tmp_path, [2, 2, 2])[missing].unlink()
    error = refused(tmp_path)
    assert error.reason == Reason.SLIDE_DAMAGED
    assert "one of 3 files" in error.message


def test_one_part_of_a_level_is_refused_with_the_way_out(kit, tmp_path):
    path = parts(kit, kit.picture(150, 100), tmp_path, [2, 4])[1]
    assert "name the folder that holds all" in refused(path).message


def test_parts_that_differ_are_refused(kit, tmp_path):
    parts(kit, kit.picture(150, 100), tmp_path, [2, 4])
    wide = kit.picture(150, 100)
    (tmp_path / "other").mkdir()
    other = parts(kit, wide, tmp_path / "other", [2, 4])[0]
    data = other.read_bytes()
    other.unlink()
    matrix = b"\x48\x00\x06\x00UL\x04\x00"  # Total Pixel Matrix Columns
    assert matrix in data
    changed = data.replace(matrix + (150).to_bytes(4, "little"), matrix + (151).to_bytes(4, "little"))
    (tmp_path / "2.dcm").write_bytes(changed)
    assert refused(tmp_path).reason == Reason.SLIDE_DAMAGED


def test_a_concatenation_of_one_file_is_an_ordinary_level(kit, tmp_path):
    rgb = kit.picture(150, 100)
    parts(kit, rgb, tmp_path, [6])
    np.testing.assert_array_equal(whole(tmp_path), rgb)


def test_sparse_frames_beside_the_grid_are_put_where_they_say(kit, tmp_path):
    rgb = kit.picture(200, 90)
    spots = [(0, 0), (64, 0), (111, 5), (136, 26)]
    padded = np.pad(rgb, ((0, 64), (0, 64), (0, 0)))
    level = kit.raw(rgb)
    level.frames = [padded[y : y + 64, x : x + 64].tobytes() for x, y in spots]
    out = whole(sparse(level, [at(x, y) for x, y in spots]).write(tmp_path / "a.dcm"))
    covered = np.zeros(rgb.shape[:2], bool)
    for x, y in spots:
        covered[y : y + 64, x : x + 64] = True
    np.testing.assert_array_equal(out[covered], rgb[covered])
    assert (out[~covered] == 255).all()
    assert covered.mean() < 0.9


def test_of_frames_that_overlap_the_last_is_seen(kit, tmp_path):
    level = kit.raw(np.zeros((64, 100, 3), np.uint8))
    level.frames = [np.full((64, 64, 3), value, np.uint8).tobytes() for value in (10, 200)]
    out = whole(sparse(level, [at(0, 0), at(30, 0)]).write(tmp_path / "a.dcm"))
    assert (out[:, :30] == 10).all()
    assert (out[:, 30:94] == 200).all()
    assert (out[:, 94:] == 255).all()


def test_scattered_frames_of_half_the_pixel_size_are_averaged_over_boxes(kit, tmp_path):
    rgb = kit.picture(128, 64)
    level = kit.raw(rgb, um=(0.25, 0.25))
    padded = np.pad(rgb, ((0, 0), (0, 64), (0, 0)))
    spots = [0, 33, 64, 97]
    level.frames = [padded[:, x : x + 64].tobytes() for x in spots]
    out = whole(sparse(level, [at(x, 0) for x in spots]).write(tmp_path / "a.dcm"))
    assert out.shape == (32, 64, 3)
    assert np.abs(out - rgb.reshape(32, 2, 64, 2, 3).mean((1, 3))).max() <= 0.5


def test_of_sparse_focal_planes_in_any_order_the_middle_one_is_read(kit, tmp_path):
    planes = {z: kit.picture(128, 64, seed) for seed, z in enumerate((12.0, 13.5, 15.0))}
    order = [(15.0, 1), (12.0, 0), (13.5, 1), (13.5, 0), (12.0, 1), (15.0, 0)]
    level = kit.raw(planes[12.0])
    level.frames = [kit.cut(planes[z], 64)[column].tobytes() for z, column in order]
    path = sparse(level, [at(64 * column, 0, z=z) for z, column in order]).write(tmp_path / "a.dcm")
    np.testing.assert_array_equal(whole(path), planes[13.5])
    assert open_slide(path).facts.notes == ("SEVERAL_FOCAL_PLANES",)


@pytest.mark.parametrize("table", ["none", "basic", "extended"])
@pytest.mark.parametrize("undefined_lengths", [False, True])
def test_sparse_frames_are_found_by_every_kind_of_offset_table(kit, tmp_path, table, undefined_lengths):
    rgb = kit.picture(192, 128)
    places = [(x, y) for y in (0, 64) for x in (0, 64, 128)]
    level = sparse(kit.level(rgb, table=table), [at(x, y, z=0.5 * x) for x, y in places])
    path, plain = tmp_path / "a.dcm", whole(kit.level(rgb).write(tmp_path / "plain.dcm"))
    level.write(path)
    if undefined_lengths:
        ds = dcmread(path)
        ds["PerFrameFunctionalGroupsSequence"].is_undefined_length = True
        for group in ds.PerFrameFunctionalGroupsSequence:
            group.is_undefined_length_sequence_item = True
        ds.save_as(path)
    np.testing.assert_array_equal(whole(path), plain)


@pytest.mark.parametrize("has_table", [True, False])
def test_sparse_frames_in_several_pieces_are_refused(kit, tmp_path, has_table):
    level, path = kit.level(kit.picture(128, 64)), tmp_path / "a.dcm"
    ds = dcmread(sparse(level, [at(0, 0), at(64, 0)]).write(path))
    ds.PixelData = encapsulate(list(level.frames), fragments_per_frame=2, has_bot=has_table)
    ds.save_as(path)
    assert refused(path).reason == (Reason.UNSUPPORTED_SYNTAX if has_table else Reason.SLIDE_DAMAGED)


def test_sparse_frames_of_implicit_syntax_are_read(kit, tmp_path):
    rgb, path = kit.picture(128, 64), tmp_path / "a.dcm"
    level = kit.raw(rgb)
    level.frames = level.frames[::-1]
    ds = dcmread(sparse(level, [at(64, 0), at(0, 0)]).write(path))
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ds.save_as(path, implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(whole(path), rgb)


def test_tiles_that_each_have_a_depth_of_their_own_are_all_read(kit, tmp_path):
    """A scanner that follows the tissue writes one plane, at depths that differ from tile to tile."""
    rgb = kit.picture(192, 64)
    path = sparse(kit.raw(rgb), [at(0, 0, z=1.25), at(64, 0, z=3.5), at(128, 0, z=2.0)]).write(tmp_path / "a.dcm")
    np.testing.assert_array_equal(whole(path), rgb)
    assert open_slide(path).facts.notes == ()


def test_of_several_optical_paths_the_first_of_the_slide_is_read(kit, tmp_path):
    wanted, other = kit.picture(128, 64, 1), kit.picture(128, 64, 2)
    level = kit.raw(wanted)
    level.frames = [f.tobytes() for picture in (other, wanted) for f in kit.cut(picture, 64)]
    groups = [at(64 * k, 0, path=name) for name in ("dark", "bright") for k in (0, 1)]
    described = [item(OpticalPathIdentifier=name) for name in ("bright", "dark")]
    path = sparse(level, groups, OpticalPathSequence=described).write(tmp_path / "a.dcm")
    np.testing.assert_array_equal(whole(path), wanted)
    assert open_slide(path).facts.notes == ("SEVERAL_OPTICAL_PATHS",)


def test_frames_in_order_are_read_by_it_though_they_repeat_their_positions(kit, tmp_path):
    """TILED_FULL with per-frame groups: the order counts, and the groups needn't say where."""
    rgb = kit.picture(128, 64)
    level = kit.raw(
        rgb, more={"PerFrameFunctionalGroupsSequence": [item(FrameContentSequence=[item()]) for _ in range(2)]}
    )
    np.testing.assert_array_equal(whole(level.write(tmp_path / "a.dcm")), rgb)


def test_a_pixel_size_that_only_the_frames_give_is_found(kit, tmp_path):
    measures = {"PixelMeasuresSequence": [item(PixelSpacing=[0.00025, 0.00025])]}
    level = sparse(kit.raw(kit.picture(128, 64), um=None), [at(0, 0, **measures), at(64, 0, **measures)])
    assert open_slide(level.write(tmp_path / "a.dcm")).facts.mpp == 0.25


@pytest.mark.parametrize("groups", [[at(0, 0), at(128, 0)], [at(0, 0), at(-1, 0)], [at(0, 0)], [at(0, 0), item()]])
def test_positions_that_cannot_be_are_refused(kit, tmp_path, groups):
    error = refused(sparse(kit.raw(kit.picture(128, 64)), groups).write(tmp_path / "a.dcm"))
    assert error.reason == Reason.SLIDE_DAMAGED


@pytest.mark.parametrize(
    "settings", [*LOSSLESS, *LOSSY, HTJpeg2000Settings(levels=0)], ids=lambda s: s.transfer_syntax.name
)
@pytest.mark.parametrize("um", [0.5, 0.25])
def test_rare_encodings_are_read(kit, tmp_path, settings, um):
    rgb, path = kit.picture(192, 128), tmp_path / "a.dcm"
    encoded_level(kit, rgb, settings, um=(um, um)).write(path)
    plain = whole(kit.raw(rgb, um=(um, um)).write(tmp_path / "raw.dcm"))
    worst = np.abs(whole(path).astype(int) - plain).max()
    assert worst <= (20 if settings in LOSSY else 0)


@pytest.mark.parametrize("settings", [*LOSSLESS, *LOSSY], ids=lambda s: s.transfer_syntax.name)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_cut_frame_of_these_is_named(kit, tmp_path, settings, share):
    level = encoded_level(kit, np.random.default_rng(2).integers(0, 256, (64, 192, 3), dtype=np.uint8), settings)
    level.frames = [level.frames[0], level.frames[1][: int(len(level.frames[1]) * share) // 2 * 2], level.frames[2]]
    slide = open_framed(level.write(tmp_path / "a.dcm"))
    with pytest.raises(FrameUnreadable, match=r"frame 1 \(level 0, column 1, row 0\) doesn't decode"):
        slide.read(Region(x=0, y=0, width=192, height=64))
    slide.read(Region(x=128, y=0, width=64, height=64))


def test_a_damaged_header_of_an_rle_frame_is_named_and_not_decoded(kit, tmp_path):
    """imagecodecs takes the places of its segments as they are; one beyond the frame ended the process."""
    for k, place in enumerate([0, 4, 8, 12, 16, 60]):
        level = encoded_level(kit, kit.picture(64, 64), RleSettings())
        frame = bytearray(level.frames[0])
        frame[place : place + 4] = b"\xff\xff\xff\x7f"
        level.frames = [bytes(frame)]
        with pytest.raises(FrameUnreadable):
            whole(level.write(tmp_path / f"{k}.dcm"))


def test_a_frame_of_another_size_than_the_header_says_is_named(kit, tmp_path):
    level = encoded_level(kit, kit.picture(64, 64), JpegLosslessSettings(channels=RGB))
    level.frames = encoded_level(kit, kit.picture(64, 64), JpegLosslessSettings(channels=RGB), side=32).frames[:1]
    with pytest.raises(FrameUnreadable):
        whole(level.write(tmp_path / "a.dcm"))


def test_an_encoding_of_unclear_colour_is_refused(kit, tmp_path):
    level = encoded_level(kit, kit.picture(64, 64), JpegLosslessSettings(channels=Channels.YBR))
    assert refused(level.write(tmp_path / "a.dcm")).reason == Reason.WRONG_COLOUR_SPACE


@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_of_a_cut_sparse_file_the_missing_frames_are_named_or_it_is_refused(kit, tmp_path, share):
    rgb = kit.picture(192, 192)
    path = sparse(kit.level(rgb), [at(x, y) for y in (0, 64, 128) for x in (0, 64, 128)]).write(tmp_path / "a.dcm")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises((Refused, FrameUnreadable)) as caught:
        whole(path)
    assert caught.value.reason == Reason.SLIDE_DAMAGED


@pytest.mark.parametrize("name", ["level", "raw", "lossless"])
def test_both_ways_read_the_same_pixels_of_an_ordinary_level(kit, tmp_path, name):
    path = getattr(kit, name)(kit.picture(150, 100)).write(tmp_path / "a.dcm")
    fast, slow = open_framed(path), read_by_wsidicom([read_level_header(path)])
    for row in range(2):
        for column in range(3):
            region = Region(x=64 * column, y=64 * row, width=64, height=64).clipped(fast.working.size)
            pixels = slow.decode(column, row, 1)
            np.testing.assert_array_equal(pixels[: region.height, : region.width], fast.read(region))
    slow.close()


@pytest.mark.parametrize("kind", ["ordinary", "sparse", "scattered", "rle", "split"])
def test_whatever_bytes_are_damaged_a_slide_is_read_or_refused_in_one_line(kit, tmp_path, kind):
    """Anything else that is raised, warned of or left open fails the test; what is damaged is drawn from the seed."""
    rgb, random, folder = kit.picture(192, 64), np.random.default_rng(7), tmp_path / "slide"
    folder.mkdir()
    if kind == "split":
        path = parts(kit, rgb, folder, [1, 2])[1]
    else:
        level = {
            "ordinary": lambda: kit.level(rgb),
            "sparse": lambda: sparse(kit.level(rgb), [at(x, 0, z=x / 2) for x in (0, 64, 128)]),
            "scattered": lambda: sparse(kit.raw(rgb), [at(x, 0) for x in (3, 70, 120)]),
            "rle": lambda: encoded_level(kit, rgb, RleSettings()),
        }[kind]()
        path = level.write(folder / "a.dcm")
    whole_file = path.read_bytes()
    pixels = whole_file.index(b"\xe0\x7f\x10\x00")
    said = []
    for _ in range(80):
        data, end = bytearray(whole_file), pixels + 100 if random.random() < 0.8 else len(whole_file)
        for place in random.integers(132, end, random.integers(1, 5)):
            data[place] = random.integers(0, 256)
        path.write_bytes(data)
        try:
            whole(folder, mpp=0.5)
        except ChromogenError as error:
            said.append(str(error))
    assert 20 < len(said) < 80
    assert not [line for line in said if "\n" in line or "TEST-INVENTED" in line]


def encoded_level(kit, rgb: np.ndarray, settings, *, side: int = 64, **values: object):
    """A picture as one level in the encoding of wsidicom's `settings`."""
    encoder = Encoder.create_for_settings(settings)
    return kit.instance(
        size=(rgb.shape[1], rgb.shape[0]),
        frames=[encoder.encode(frame) for frame in kit.cut(rgb, side)],
        syntax=str(encoder.transfer_syntax),
        photometric=encoder.photometric_interpretation,
        **values,
    )
