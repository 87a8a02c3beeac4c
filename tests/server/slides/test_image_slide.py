"""Pictures with a pixel size; resampling; ICC profiles."""

import hashlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from inference.errors import Reason, Refused
from inference.geometry import Region, Size
from tests.opened import open_framed, open_slide


def write(path: Path, rgb: np.ndarray) -> Path:
    path.write_bytes(imagecodecs.png_encode(rgb))
    return path


def refused(path: Path, **options) -> Refused:
    with pytest.raises(Refused) as caught:
        open_slide(path, **options)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_png_is_read_exactly_and_named_by_its_digest(kit, tmp_path):
    path = write(tmp_path / "a.png", kit.picture(33, 21))
    slide = open_slide(path, mpp=0.5)
    np.testing.assert_array_equal(slide.read(Region(x=0, y=0, width=33, height=21)), kit.picture(33, 21))
    assert slide.facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert slide.facts.size == Size(width=33, height=21)


def test_a_fine_png_is_averaged_and_a_fine_jpeg_decoded_smaller(kit, tmp_path):
    rgb = kit.picture(65, 33)
    png = open_framed(write(tmp_path / "a.png", rgb), mpp=0.25)
    assert png.working.size == Size(width=32, height=16)
    means = rgb[:32, :64].reshape(16, 2, 32, 2, 3).mean((1, 3))
    assert np.abs(png.read(Region(x=0, y=0, width=32, height=16)) - means).max() <= 0.5
    (tmp_path / "a.jpg").write_bytes(kit.jpeg(rgb))
    jpeg = open_framed(tmp_path / "a.jpg", mpp=0.25)
    assert jpeg.source.shrink == 2
    assert np.abs(jpeg.read(Region(x=0, y=0, width=32, height=16)) - means).mean() < 4


def test_a_picture_without_a_pixel_size_is_refused(kit, tmp_path):
    error = refused(write(tmp_path / "a.png", kit.picture(10, 10)))
    assert error.reason == Reason.NO_PIXEL_SIZE
    assert "--mpp" in error.message


@pytest.mark.parametrize("mpp", [0, -1.0, float("nan"), float("inf"), 1e-300, 1e-6, 1e6])
def test_a_pixel_size_that_is_none_is_refused(kit, tmp_path, mpp):
    assert refused(write(tmp_path / "a.png", kit.picture(10, 10)), mpp=mpp).reason == Reason.NO_PIXEL_SIZE


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "I;16"])
def test_a_picture_that_is_not_colour_of_8_bit_is_refused(tmp_path, mode):
    Image.new(mode, (16, 16)).save(tmp_path / "a.png")
    assert refused(tmp_path / "a.png", mpp=0.5).reason == Reason.WRONG_COLOUR_SPACE


@pytest.mark.parametrize("mpp", [0.5, 0.25, 0.37])
def test_a_png_with_an_alpha_channel_that_hides_nothing_is_read_like_one_without(kit, tmp_path, mpp):
    Image.fromarray(kit.picture(40, 20)).save(tmp_path / "rgb.png")
    Image.fromarray(kit.picture(40, 20)).convert("RGBA").save(tmp_path / "rgba.png")
    plain, opaque = (open_slide(tmp_path / f"{name}.png", mpp=mpp) for name in ("rgb", "rgba"))
    region = Region(x=0, y=0, width=plain.working.size.width, height=plain.working.size.height)
    np.testing.assert_array_equal(opaque.read(region), plain.read(region))
    assert opaque.facts.size == plain.facts.size
    if mpp == 0.5:
        np.testing.assert_array_equal(opaque.read(region), kit.picture(40, 20))


@pytest.mark.parametrize(("alpha", "shown"), [(0, (255, 255, 255)), (51, (244, 224, 214)), (255, (200, 100, 50))])
def test_what_is_transparent_shows_white_like_glass(kit, tmp_path, alpha, shown):
    image = Image.fromarray(kit.picture(40, 20)).convert("RGBA")
    image.putpixel((39, 19), (200, 100, 50, alpha))
    image.save(tmp_path / "a.png")
    out = open_slide(tmp_path / "a.png", mpp=0.5).read(Region(x=0, y=0, width=40, height=20))
    assert tuple(out[19, 39]) == shown
    np.testing.assert_array_equal(out[:19], kit.picture(40, 20)[:19])


def test_a_png_that_declares_one_colour_transparent_shows_it_white(kit, tmp_path):
    """The tRNS chunk, PNG specification 11.3.2.1."""
    rgb = kit.picture(40, 20)
    image = Image.fromarray(rgb)
    image.save(tmp_path / "unused.png", transparency=(1, 2, 3))
    image.save(tmp_path / "used.png", transparency=tuple(rgb[3, 5].tolist()))
    region = Region(x=0, y=0, width=40, height=20)
    np.testing.assert_array_equal(open_slide(tmp_path / "unused.png", mpp=0.5).read(region), rgb)
    assert tuple(open_slide(tmp_path / "used.png", mpp=0.5).read(region)[3, 5]) == (255, 255, 255)


def test_a_picture_of_16_bit_colour_is_refused(tmp_path):
    path = write(tmp_path / "a.png", np.zeros((9, 9, 3), np.uint16))
    assert refused(path, mpp=0.5).reason == Reason.WRONG_COLOUR_SPACE


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_grey_or_printers_jpeg_is_refused(tmp_path, mode):
    Image.new(mode, (16, 16)).save(tmp_path / "a.jpg")
    assert refused(tmp_path / "a.jpg", mpp=0.5).reason == Reason.WRONG_COLOUR_SPACE


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("share", [0.001, 0.02, 0.5, 0.95])
def test_a_cut_picture_is_refused(kit, tmp_path, suffix, share):
    rgb = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = imagecodecs.png_encode(rgb) if suffix == "png" else kit.jpeg(rgb)
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(data[: max(9, int(len(data) * share))])
    assert refused(path, mpp=0.5).reason == Reason.SLIDE_DAMAGED


def test_a_picture_that_claims_to_be_huge_is_refused_before_it_is_decoded(kit, tmp_path):
    data = bytearray(imagecodecs.png_encode(kit.picture(8, 8)))
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    (tmp_path / "a.png").write_bytes(data)
    assert refused(tmp_path / "a.png", mpp=0.5).reason == Reason.NOT_A_SLIDE


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_resampled_pixel_does_not_depend_on_the_region_that_was_asked_for(kit, tmp_path, data):
    slide = open_framed(write(tmp_path / "a.png", kit.picture(301, 217)), mpp=0.37)
    size = slide.working.size
    assert size == Size(width=int(301 * 0.37 / 0.5), height=int(217 * 0.37 / 0.5))
    x, y = data.draw(st.integers(0, size.width - 1)), data.draw(st.integers(0, size.height - 1))
    region = Region(
        x=x, y=y, width=data.draw(st.integers(1, size.width - x)), height=data.draw(st.integers(1, size.height - y))
    )
    full = slide.read(Region(x=0, y=0, width=size.width, height=size.height))
    np.testing.assert_array_equal(slide.read(region), full[region.y : region.bottom, region.x : region.right])


def test_resampling_keeps_every_place_where_it_was(tmp_path):
    ramp = np.zeros((40, 200, 3), np.uint8)
    ramp[..., 0] = np.arange(200)
    ramp[..., 1] = np.arange(40)[:, None] * 4
    slide = open_slide(write(tmp_path / "a.png", ramp), mpp=0.37)
    size = slide.working.size
    out = slide.read(Region(x=0, y=0, width=size.width, height=size.height)).astype(float)
    wanted = slide.working.to_base(np.arange(size.width))
    assert np.abs(out[5, :, 0] - wanted).max() < 0.6
    assert np.abs(out[:, 5, 1] - 4 * slide.working.to_base(np.arange(size.height))).max() < 0.7


def test_the_icc_profile_is_kept_and_used_only_where_asked_for(kit, tmp_path):
    swapped = _profile_with_red_and_blue_swapped()
    path = tmp_path / "a.png"
    Image.fromarray(kit.picture(64, 64)).save(path, icc_profile=swapped)
    box = Region(x=0, y=0, width=64, height=64)
    plain, converted = open_slide(path, mpp=0.5), open_slide(path, mpp=0.5, icc=True)
    assert plain.facts.icc_sha256 == hashlib.sha256(swapped).hexdigest()
    np.testing.assert_array_equal(plain.read(box), kit.picture(64, 64))
    assert np.abs(converted.read(box).astype(int) - kit.picture(64, 64)[..., ::-1]).mean() < 3


def test_asking_for_colour_conversion_without_a_profile_is_noted(kit, tmp_path):
    path = write(tmp_path / "a.png", kit.picture(10, 10))
    assert open_slide(path, mpp=0.5, icc=True).facts.notes == ("NO_ICC_PROFILE",)


def test_a_profile_that_is_none_is_refused_where_it_is_to_be_used(kit, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(kit.picture(10, 10)).save(path, icc_profile=b"not a profile at all")
    assert open_slide(path, mpp=0.5).facts.icc_sha256 is not None
    assert refused(path, mpp=0.5, icc=True).reason == Reason.WRONG_COLOUR_SPACE


def _profile_with_red_and_blue_swapped() -> bytes:
    """sRGB with the tags of its red and blue primaries exchanged: (r, g, b) in it is (b, g, r) in sRGB."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return data.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


@pytest.mark.parametrize("side", [1, 4, 15])
def test_a_picture_of_a_few_pixels_has_an_overview_of_one(tmp_path, side):
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(np.full((side, side, 3), 200, np.uint8)))
    overview, grid = open_slide(path, mpp=0.5).overview(8.0)
    assert overview.shape == (grid.size.height, grid.size.width, 3) == (1, 1, 3)
