"""Encoded frames to pixels: one function for each encoding, all of them strict.

A decoder that meets damage must say so. libjpeg-turbo fills the rest of a truncated frame with grey and only warns;
`strict` makes that an error here, because grey pixels would be scored as tissue without nuclei. The size that a stream
claims is compared with the frame's before anything is allocated, so a hostile stream cannot ask for gigabytes.

A frame is asked for at 1/1, 1/2, 1/4 or 1/8 (`shrink`). JPEG is decoded at that size (DCT scaling); the others,
lossless JPEG among them, are decoded whole and averaged over boxes, which is the same picture on the same pixel grid.
"""

from enum import StrEnum
from io import BytesIO
from typing import cast

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from inference.geometry import Size
from inference.slide import Rgb
from server.slides.codestream import SOI, Colour, chroma_factors, codestream, colour_of_jpeg2000, with_colour

SHRINKS = (1, 2, 4, 8)
BYTES_PER_PIXEL = 3

_EOI = b"\xff\xd9"
_SOF55 = b"\xf7"
_MOST_FILL = 3
"""Bytes other than 0 that may follow the end of a JPEG-LS stream."""


class Undecodable(Exception):
    """The bytes of one frame are missing, damaged or not what the header of the slide says.

    Kept inside this package.
    """


class Encoding(StrEnum):
    """How the bytes of a frame hold its pixels."""

    JPEG = "JPEG"
    JPEG_LOSSLESS = "JPEG_LOSSLESS"
    JPEG2000 = "JPEG2000"
    JPEG_LS = "JPEG_LS"
    PNG = "PNG"
    RAW = "RAW"
    RAW_PLANAR = "RAW_PLANAR"


def decode(data: bytes, encoding: Encoding, colour: Colour, frame: Size, shrink: int) -> Rgb:
    """Pixels of a frame: (ceil(height / shrink), ceil(width / shrink), 3) for JPEG, rounded down for the others.

    `colour` is what the container says of the samples; what a JPEG or JPEG 2000 stream proves goes before it
    (`codestream`). Raises Undecodable.
    """
    try:
        if encoding is Encoding.JPEG:
            return _jpeg(with_colour(data, colour), frame, shrink)
        whole = _whole(data, encoding, colour, frame)
    except Undecodable:
        raise
    except Exception as error:  # decoders raise ValueError, RuntimeError and classes of their own
        raise Undecodable(encoding) from error
    if _coded(data, encoding, colour) is Colour.YCBCR:
        whole = rgb_of_ycbcr(whole)
    return box_average(whole, shrink)


def _coded(data: bytes, encoding: Encoding, colour: Colour) -> Colour:
    """What the decoded samples are."""
    if encoding is Encoding.JPEG2000:
        return colour_of_jpeg2000(data, colour)
    return Colour.RGB if encoding in (Encoding.JPEG, Encoding.JPEG_LOSSLESS, Encoding.PNG) else colour


def box_average(rgb: Rgb, factor: int) -> Rgb:
    """Means over boxes of factor x factor pixels from the top left; what does not fill a box is left out.

    A side that is shorter than a box makes one.
    """
    if factor == 1:
        return rgb
    height, width = max(1, rgb.shape[0] // factor), max(1, rgb.shape[1] // factor)
    small = cv2.resize(rgb[: height * factor, : width * factor], (width, height), interpolation=cv2.INTER_AREA)
    return cast(Rgb, small)


def _jpeg(data: bytes, frame: Size, shrink: int) -> Rgb:
    height, width, space, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    if (height, width) != (frame.height, frame.width) or space not in ("RGB", "YCbCr"):
        raise Undecodable(f"a {space} stream of {width} x {height}")
    wanted = -(-height // shrink), -(-width // shrink)
    rgb: Rgb = simplejpeg.decode_jpeg(data, "RGB", min_height=wanted[0], min_width=wanted[1], strict=True)
    if rgb.shape != (*wanted, 3):
        raise Undecodable(f"decoded to {rgb.shape}")
    return rgb


def _whole(data: bytes, encoding: Encoding, colour: Colour, frame: Size) -> Rgb:
    if encoding is Encoding.RAW:
        return _raw(data, frame)
    if encoding is Encoding.RAW_PLANAR:
        return _raw_planar(data, frame)
    if encoding is Encoding.JPEG_LOSSLESS:
        return _jpeg(with_colour(data, colour), frame, 1)
    if encoding is Encoding.JPEG2000:
        _check_j2k_size(data, frame)
        rgb = _jpeg2000(codestream(data))  # its boxes would have it converted to RGB
    elif encoding is Encoding.JPEG_LS:
        rgb = imagecodecs.jpegls_decode(_checked_jls(data, frame))
    else:
        rgb = imagecodecs.png_decode(data)
        rgb = on_white(rgb)
    if rgb.shape != (frame.height, frame.width, 3) or rgb.dtype != np.uint8:
        raise Undecodable(f"decoded to {rgb.shape} of {rgb.dtype}")
    return rgb


def _jpeg2000(stream: bytes) -> npt.NDArray[np.uint8]:
    """imagecodecs spreads chroma of half the width (4:2:2) or of half both sides (4:2:0) alone;
    Pillow any.
    """
    if chroma_factors(stream) in ((1, 1), (2, 1), (2, 2)):
        return np.asarray(imagecodecs.jpeg2k_decode(stream))
    with Image.open(BytesIO(stream)) as picture:
        return np.asarray(picture)


def on_white(picture: npt.NDArray[np.uint8], *, multiplied: bool = False) -> npt.NDArray[np.uint8]:
    """Without its alpha channel, if it has one: what is transparent was not photographed, and shows white like bare
    glass. `multiplied` where the colours were multiplied by alpha already (TIFF's associated alpha).
    """
    if picture.ndim != 3 or picture.shape[2] != 4:
        return picture
    rgb, alpha = picture[..., :3], picture[..., 3:].astype(np.uint16)
    if (alpha == 255).all():
        return np.ascontiguousarray(rgb)
    if multiplied:
        lain: Rgb = np.minimum(rgb + (255 - alpha), 255).astype(np.uint8)
        return lain
    return ((rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _raw(data: bytes, frame: Size) -> Rgb:
    expected = frame.area * BYTES_PER_PIXEL
    if len(data) < expected:
        raise Undecodable(f"{len(data)} of {expected} bytes")
    return np.frombuffer(data, np.uint8, expected).reshape(frame.height, frame.width, 3)


def _raw_planar(data: bytes, frame: Size) -> Rgb:
    """Red of the whole frame, then green, then blue (PS3.3, C.7.6.3.1.3)."""
    planes = _raw(data, frame).reshape(BYTES_PER_PIXEL, frame.height, frame.width)
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def _check_j2k_size(data: bytes, frame: Size) -> None:
    stream = codestream(data)
    if len(stream) < 24:
        raise Undecodable("no JPEG 2000 codestream")
    right, bottom, left, top = (int.from_bytes(stream[o : o + 4], "big") for o in (8, 12, 16, 20))
    if (right - left, bottom - top) != (frame.width, frame.height):
        raise Undecodable(f"a codestream of {right - left} x {bottom - top}")


def _checked_jls(data: bytes, frame: Size) -> bytes:
    """The stream up to its end: some writers fill frames up to an even length with a byte of their own.

    Compares the first frame header (SOF55: precision, lines, samples a line, components; ITU-T T.87, C.2.2), and looks
    for the end, because CharLS takes up to 17 s to find out that a frame of 64 x 64 px is cut off.
    """
    at = len(SOI)
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != _SOF55:
        at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    if data[at + 4 : at + 10] != bytes([8, *frame.height.to_bytes(2, "big"), *frame.width.to_bytes(2, "big"), 3]):
        raise Undecodable("no JPEG-LS stream of the frame's size")
    end = data.rfind(_EOI)
    if end < 0 or len(data.rstrip(b"\0")) - (end + len(_EOI)) > _MOST_FILL:
        raise Undecodable("cut off")
    return data[: end + len(_EOI)]


def rgb_of_ycbcr(ycbcr: Rgb) -> Rgb:
    """Full-range YCbCr (ITU-R BT.601), (height, width, 3) uint8, to RGB."""
    return cast(Rgb, cv2.cvtColor(np.ascontiguousarray(ycbcr[..., [0, 2, 1]]), cv2.COLOR_YCrCb2RGB))
