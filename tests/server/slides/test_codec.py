"""Encoded frames: sizes at each scaling, damage that must be noticed, streams that ask for too much."""

import imagecodecs
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.geometry import Size
from server.slides.codec import SHRINKS, Encoding, Undecodable, box_average, decode
from server.slides.codestream import Colour

CHROMA = ["444", "422", "420"]
SQUARE = Size(width=64, height=64)


def size_of(rgb: np.ndarray) -> Size:
    return Size(width=rgb.shape[1], height=rgb.shape[0])


def jpeg_lossless(rgb: np.ndarray) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(rgb, lossless=True, colorspace="RGB", outcolorspace="RGB"))


@pytest.mark.parametrize("encode", [imagecodecs.jpegls_encode, jpeg_lossless])
@pytest.mark.parametrize("shrink", [1, 2, 4])
def test_lossless_frames_are_the_picture_averaged_over_boxes(kit, encode, shrink):
    rgb = kit.picture(64, 64)
    encoding = Encoding.JPEG_LS if encode is imagecodecs.jpegls_encode else Encoding.JPEG_LOSSLESS
    np.testing.assert_array_equal(decode(encode(rgb), encoding, Colour.RGB, SQUARE, shrink), box_average(rgb, shrink))


@pytest.mark.parametrize("size", [(64, 48), (48, 64), (1, 1)])
def test_a_jpeg_ls_frame_of_another_size_is_not_decoded(kit, size):
    data = bytes(imagecodecs.jpegls_encode(kit.picture(*size)))
    with pytest.raises(Undecodable):
        decode(data, Encoding.JPEG_LS, Colour.RGB, SQUARE, 1)


@settings(max_examples=30, deadline=None)
@given(
    width=st.integers(8, 90),
    height=st.integers(8, 90),
    shrink=st.sampled_from(SHRINKS),
    chroma=st.sampled_from(["444", "422", "420"]),
)
def test_a_scaled_jpeg_has_its_size_rounded_up(width, height, shrink, chroma):
    rgb = np.full((height, width, 3), (200, 90, 40), np.uint8)
    data = simplejpeg.encode_jpeg(rgb, colorsubsampling=chroma)
    out = decode(data, Encoding.JPEG, Colour.YCBCR, size_of(rgb), shrink)
    assert out.shape == (-(-height // shrink), -(-width // shrink), 3)
    assert np.abs(out.astype(int) - (200, 90, 40)).max() < 6


@pytest.mark.parametrize("shrink", [2, 4, 8])
def test_scaled_jpeg_is_the_average_of_the_boxes_it_covers(kit, shrink):
    rgb = kit.picture(64, 64)
    data = simplejpeg.encode_jpeg(rgb, quality=98, colorsubsampling="444")
    out = decode(data, Encoding.JPEG, Colour.YCBCR, SQUARE, shrink).astype(int)
    assert np.abs(out - box_average(rgb, shrink)).mean() < 2


@pytest.mark.timeout(20)  # CharLS alone takes up to 17 s over a frame that is cut off
@pytest.mark.parametrize("encoding", sorted(Encoding))
@pytest.mark.parametrize("share", [0.0, 0.1, 0.22, 0.5, 0.62, 0.9, 0.97])
def test_a_truncated_frame_does_not_decode(kit, encoding, share):
    rgb = np.random.default_rng(1).integers(0, 64, (64, 64, 3), dtype=np.uint8)
    whole = {
        Encoding.JPEG: kit.jpeg,
        Encoding.JPEG_LOSSLESS: jpeg_lossless,
        Encoding.JPEG2000: kit.jpeg2000,
        Encoding.JPEG_LS: imagecodecs.jpegls_encode,
        Encoding.PNG: imagecodecs.png_encode,
        Encoding.RAW: np.ndarray.tobytes,
        Encoding.RAW_PLANAR: np.ndarray.tobytes,
    }[encoding](rgb)
    assert decode(whole, encoding, Colour.RGB, SQUARE, 1).shape == (64, 64, 3)
    with pytest.raises(Undecodable):
        decode(whole[: int(len(whole) * share)], encoding, Colour.RGB, SQUARE, 1)


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 2000), junk=st.binary(min_size=1, max_size=40))
def test_whatever_is_written_over_a_jpeg_it_decodes_to_its_size_or_not_at_all(at, junk):
    rgb = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = bytearray(simplejpeg.encode_jpeg(rgb, quality=70))
    data[at : at + len(junk)] = junk
    try:
        out = decode(bytes(data), Encoding.JPEG, Colour.YCBCR, SQUARE, 1)
    except Undecodable:
        return
    assert out.shape == (64, 64, 3)


@pytest.mark.parametrize("encoding", [Encoding.JPEG, Encoding.JPEG2000])
def test_a_stream_of_another_size_than_its_frame_is_refused_before_it_is_decoded(kit, encoding):
    encode = kit.jpeg if encoding is Encoding.JPEG else kit.jpeg2000
    with pytest.raises(Undecodable):
        decode(encode(kit.picture(128, 64)), encoding, Colour.RGB, SQUARE, 1)


def test_a_grey_jpeg_in_a_colour_slide_does_not_decode():
    grey = simplejpeg.encode_jpeg(np.zeros((64, 64, 1), np.uint8), colorspace="GRAY")
    with pytest.raises(Undecodable):
        decode(grey, Encoding.JPEG, Colour.RGB, SQUARE, 1)


@pytest.mark.parametrize("encoding", [Encoding.RAW, Encoding.JPEG_LS])
def test_full_range_ycbcr_becomes_rgb(kit, encoding):
    rgb = kit.picture(64, 64).astype(float)
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    luma = 0.299 * r + 0.587 * g + 0.114 * b  # ITU-R BT.601, as in JFIF
    ycbcr = np.rint(np.stack([luma, (b - luma) / 1.772 + 128, (r - luma) / 1.402 + 128], -1)).astype(np.uint8)
    data = ycbcr.tobytes() if encoding is Encoding.RAW else bytes(imagecodecs.jpegls_encode(ycbcr))
    out = decode(data, encoding, Colour.YCBCR, SQUARE, 1)
    assert np.abs(out - rgb).max() <= 2


def test_bytes_after_the_end_of_a_jpeg_ls_stream_are_fill(kit):
    rgb = kit.picture(64, 64)
    stream = bytes(imagecodecs.jpegls_encode(rgb))
    for fill in (b"\x00", b"\xff", b"\x20", b"\x00\x00\x00\x00"):
        np.testing.assert_array_equal(decode(stream + fill, Encoding.JPEG_LS, Colour.RGB, SQUARE, 1), rgb)


@pytest.mark.parametrize("size", [(1, 1), (15, 3), (3, 40)])
def test_what_is_smaller_than_a_box_is_its_mean(size):
    width, height = size
    out = box_average(np.full((height, width, 3), 200, np.uint8), 16)
    assert out.shape == (max(1, height // 16), max(1, width // 16), 3)
    assert (out == 200).all()
