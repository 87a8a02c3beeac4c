"""TIFF slides: levels, pixel sizes, colours, damage."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from inference.errors import Reason, Refused
from inference.geometry import Region, Size
from inference.slide import FrameUnreadable
from tests.opened import open_framed, open_slide

UM = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}  # 0.5 µm/px


def whole(path: Path, **options) -> np.ndarray:
    slide = open_slide(path, **options)
    size = slide.working.size
    return slide.read(Region(x=0, y=0, width=size.width, height=size.height))


def refused(path: Path, **options) -> Refused:
    with pytest.raises(Refused) as caught:
        open_slide(path, **options)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd", "jpeg2000", "png"])
@pytest.mark.parametrize("tile", [None, (64, 64)])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_lossless_tiff_is_read_exactly(kit, tmp_path, compression, tile, bigtiff):
    rgb = kit.picture(150, 100)
    path = tmp_path / "a.tif"
    options = {"rowsperstrip": 32} if tile is None else {"tile": tile}
    tifffile.imwrite(path, rgb, compression=compression, photometric="rgb", bigtiff=bigtiff, **options, **UM)
    np.testing.assert_array_equal(whole(path), rgb)


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_jpeg_colours_are_those_that_tifffile_decodes(kit, tmp_path, photometric, tile):
    rgb = kit.picture(150, 100)
    path = tmp_path / "a.tif"
    options = {"rowsperstrip": 32} if tile is None else {"tile": tile}
    tifffile.imwrite(
        path, rgb, compression="jpeg", compressionargs={"level": 90}, photometric=photometric, **options, **UM
    )
    out = whole(path).astype(int)
    assert np.abs(out - tifffile.imread(path)).max() <= 3
    if photometric == "rgb":  # told YCbCr, tifffile takes what it is given for that and stores it as it is
        assert np.abs(out - rgb).mean() < 4


@pytest.mark.parametrize("subifds", [True, False])
def test_the_levels_of_a_pyramid_are_found_and_other_pages_are_not(kit, tmp_path, subifds):
    rgb = kit.picture(512, 256)
    path = tmp_path / "a.tif"
    options = {"tile": (64, 64), "photometric": "rgb"}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(rgb, subifds=2 if subifds else None, **options, **UM)
        tiff.write(rgb[::2, ::2], subfiletype=1, **options)
        tiff.write(rgb[::4, ::4], subfiletype=1, **options)
        tiff.write(kit.picture(100, 100), **options)
        tiff.write(kit.picture(128, 64), photometric="rgb")
    facts = open_slide(path).facts
    assert [level.size for level in facts.levels] == [Size(width=512 // k, height=256 // k) for k in (1, 2, 4)]
    assert facts.mpp == pytest.approx(0.5)
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    np.testing.assert_array_equal(whole(path, mpp=0.25), rgb[::2, ::2])


@pytest.mark.parametrize(
    ("options", "mpp"),
    [
        ({"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}, 0.5),
        ({"resolution": (50_800, 50_800), "resolutionunit": "INCH"}, 0.5),
        ({"description": "Aperio Image Library v11|AppMag = 20|MPP = 0.4990"}, 0.499),
        ({"metadata": {"axes": "YXS", "PhysicalSizeX": 0.45, "PhysicalSizeY": 0.45}, "ome": True}, 0.45),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
        ({"resolution": (600, 600), "resolutionunit": "INCH"}, None),
        ({"resolution": (20_000, 20_000), "resolutionunit": "NONE"}, None),
        ({"description": "Aperio Image Library v11|AppMag = 20"}, None),
        (
            {"metadata": {"axes": "YXS", "PhysicalSizeX": 450, "PhysicalSizeXUnit": "nm"}, "ome": True},
            None,
        ),  # only one side
        ({"resolution": (20_000, 40_000), "resolutionunit": "CENTIMETER"}, None),
        ({}, None),
    ],
)
def test_the_pixel_size_comes_from_aperio_ome_or_the_resolution_tags_if_these_are_a_microscopes(
    kit, tmp_path, options, mpp
):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, kit.picture(128, 64), photometric="rgb", tile=(64, 64), **options)
    if mpp is None:
        error = refused(path)
        assert error.reason == Reason.NO_PIXEL_SIZE
        assert "--mpp" in error.message
    else:
        assert open_slide(path).facts.mpp == pytest.approx(mpp)
    assert open_slide(path, mpp=0.5).facts.mpp == 0.5


@pytest.mark.parametrize(
    ("pixels", "options", "reason"),
    [
        (np.zeros((64, 64), np.uint8), {}, Reason.WRONG_COLOUR_SPACE),
        (np.zeros((64, 64, 3), np.uint16), {"photometric": "rgb"}, Reason.WRONG_COLOUR_SPACE),
        (
            np.zeros((64, 64, 4), np.uint8),
            {"photometric": "rgb", "extrasamples": ["unspecified"]},
            Reason.WRONG_COLOUR_SPACE,
        ),
        (np.zeros((64, 64, 3), np.float32), {"photometric": "rgb"}, Reason.WRONG_COLOUR_SPACE),
    ],
)
def test_what_is_not_colour_of_8_bit_is_refused(tmp_path, pixels, options, reason):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, **options, **UM)
    assert refused(path).reason == reason


def test_a_tile_without_bytes_is_white_and_a_damaged_one_is_named(kit, tmp_path):
    rgb = kit.picture(192, 128)
    tiles = [kit.jpeg(tile) for tile in kit.cut(rgb, 64)]
    path = tmp_path / "a.tif"
    tiles[4] = tiles[4][:300]
    tiles[1] = b""
    options = {"compression": "jpeg", "photometric": "ycbcr", "subsampling": (2, 1), "tile": (64, 64)}
    tifffile.imwrite(path, iter(tiles), shape=rgb.shape, dtype="uint8", **options, **UM)
    slide = open_framed(path)
    assert (slide.read(Region(x=64, y=0, width=64, height=64)) == 255).all()
    with pytest.raises(FrameUnreadable, match=r"frame 4 \(level 0, column 1, row 1\)"):
        slide.read(Region(x=64, y=64, width=1, height=1))
    assert np.abs(slide.read(Region(x=128, y=64, width=64, height=64)).astype(int) - rgb[64:, 128:]).mean() < 4


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.95])
def test_of_a_cut_tiff_the_missing_frames_are_named_or_it_is_refused(kit, tmp_path, share):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, kit.picture(300, 300), photometric="rgb", tile=(64, 64), compression="zlib", **UM)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises((Refused, FrameUnreadable)) as caught:
        whole(path)
    assert caught.value.reason == Reason.SLIDE_DAMAGED


@pytest.mark.parametrize("tile", [None, (64, 64)])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_colours_stored_in_planes_are_put_together(kit, tmp_path, tile, compression):
    rgb, path = kit.picture(150, 100), tmp_path / "a.tif"
    options = {"rowsperstrip": 32} if tile is None else {"tile": tile}
    planes = np.ascontiguousarray(np.moveaxis(rgb, 2, 0))
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", compression=compression, **options, **UM)
    np.testing.assert_array_equal(whole(path), rgb)


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
def test_what_is_transparent_is_white(kit, tmp_path, kind):
    rgb, path = kit.picture(128, 64), tmp_path / "a.tif"
    rgba = np.dstack([rgb, np.full((64, 128), 255, np.uint8)])
    rgba[:, 64:, 3] = 0
    tifffile.imwrite(path, rgba, photometric="rgb", extrasamples=[kind], tile=(64, 64), **UM)
    out = whole(path)
    np.testing.assert_array_equal(out[:, :64], rgb[:, :64])
    assert (out[:, 64:] == 255).all()


@pytest.mark.parametrize("multiplied", [False, True])
def test_half_transparent_pixels_lie_on_white_whether_alpha_was_multiplied_in_or_not(kit, tmp_path, multiplied):
    rgb, alpha = kit.picture(128, 64), np.full((64, 128, 1), 128, np.uint8)
    colours = (rgb.astype(int) * 128 // 255).astype(np.uint8) if multiplied else rgb
    kinds = ["assocalpha" if multiplied else "unassalpha"]
    pixels = np.concatenate([colours, alpha], axis=2)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=kinds, tile=(64, 64), **UM)
    expected = rgb.astype(int) * 128 / 255 + 127
    assert np.abs(whole(tmp_path / "a.tif") - expected).max() <= 1
