"""What an encoded frame proves about its colours; the container's word counts where it proves nothing.

A container may be wrong: photometric RGB over JPEG that is YCbCr, or Aperio's "YCbCr" over JPEG 2000 that a decoder has
to turn to RGB anyway to fill its subsampled chroma. Subsampled samples can't be red, green and blue.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

SOI = b"\xff\xd8"
_APP0, _APP14, _SOS, _BASELINE = 0xE0, 0xEE, 0xDA, 0xC0
_SOF = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}  # ITU-T T.81, table B.1
_STANDALONE = {0x01, *range(0xD0, 0xD9)}

J2K_SIZE = b"\xff\x4f\xff\x51"  # start of codestream, then the SIZ segment (ISO/IEC 15444-1, A.5.1)
_SOT = 0xFF90
_COD = 0xFF52
_SRGB, _SYCC = 16, 18  # enumerated colour spaces of a JP2 file (ISO/IEC 15444-1, I.5.3.3)


class Colour(StrEnum):
    """What samples are; YCBCR is full range, ITU-R BT.601."""

    RGB = "RGB"
    YCBCR = "YCBCR"


@dataclass(frozen=True, slots=True, kw_only=True)
class _JpegSays:
    """`names` of the components; `rest` is where the first segment begins that is no marker of colour."""

    jfif: bool = False
    adobe: int | None = None
    names: bytes = b""
    subsampled: bool = False


def colour_of_jpeg(stream: bytes, declared: Colour) -> Colour:
    """Of a JPEG stream with three components."""
    said = _jpeg_says(stream)
    if said.subsampled or said.jfif:
        return Colour.YCBCR
    if said.adobe is not None:
        return Colour.YCBCR if said.adobe else Colour.RGB
    return Colour.RGB if said.names == b"RGB" else declared


def declare_colour(stream: bytes, colour: Colour) -> bytes:
    """The stream with an Adobe marker that says how its components are coded, and no other marker that does.

    libjpeg takes components numbered 1, 2, 3 for YCbCr where nothing else is said; Aperio stores RGB that way.
    """
    transform = 0 if colour is Colour.RGB else 1
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])
    kept, begun = [SOI + adobe], len(SOI)
    for marker, start, end in _segments(stream):
        if marker in (_APP0, _APP14):
            kept.append(stream[begun:start])
            begun = end
    return b"".join((*kept, stream[begun:]))


def is_baseline(stream: bytes, width: int, height: int) -> bool:
    """Is it a whole JPEG stream of the baseline process (SOF0), three components of 8 bit, and of that size?"""
    said = bytes([8]) + height.to_bytes(2, "big") + width.to_bytes(2, "big") + bytes([3])
    found = [(marker, stream[start + 4 : start + 10]) for marker, start, _ in _segments(stream) if marker in _SOF]
    return found == [(_BASELINE, said)]


def with_colour(stream: bytes, declared: Colour) -> bytes:
    """A JPEG stream that every decoder takes for what it is. As it came, where libjpeg would do so anyway."""
    said = _jpeg_says(stream)
    colour = colour_of_jpeg(stream, declared)
    by_libjpeg = (
        Colour.YCBCR if said.jfif or (said.adobe or (said.adobe is None and said.names != b"RGB")) else Colour.RGB
    )
    return stream if colour is by_libjpeg else declare_colour(stream, colour)


def _jpeg_says(stream: bytes) -> _JpegSays:
    jfif, adobe = False, None
    for marker, start, end in _segments(stream):
        body = stream[start + 4 : end]
        if marker == _APP0 and body.startswith(b"JFIF\0"):
            jfif = True
        elif marker == _APP14 and body.startswith(b"Adobe") and len(body) >= 12:
            adobe = body[11]
        elif marker in _SOF and len(body) >= 6 + 3 * 3 and body[5] == 3:
            names, factors = body[6:15:3], body[7:15:3]
            return _JpegSays(jfif=jfif, adobe=adobe, names=names, subsampled=len(set(factors)) > 1)
    return _JpegSays(jfif=jfif, adobe=adobe)


def _segments(stream: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, first byte and end of each segment before the first scan."""
    at = len(SOI)
    while at + 4 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker == 0xFF or marker in _STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == _SOS:
            return
        end = at + 2 + max(2, int.from_bytes(stream[at + 2 : at + 4], "big"))
        yield marker, at, end
        at = end


def codestream(data: bytes) -> bytes:
    """A JPEG 2000 codestream, without the boxes of a JP2 file around it; empty where there is none."""
    at = data.find(J2K_SIZE, 0, 4096)
    return data[at:] if at >= 0 else b""


def colour_of_jpeg2000(data: bytes, declared: Colour) -> Colour:
    """Of the samples that a decoder makes of the codestream in `data`: it undoes the codestream's own transform, and
    has to convert subsampled chroma.
    """
    stream = codestream(data)
    if _is_subsampled(stream) or _is_transformed(stream):
        return Colour.RGB
    box = data.find(b"colr", 0, len(data) - len(stream))
    if box >= 0 and data[box + 4] == 1:
        return {_SRGB: Colour.RGB, _SYCC: Colour.YCBCR}.get(int.from_bytes(data[box + 7 : box + 11], "big"), declared)
    return declared


def chroma_factors(stream: bytes) -> tuple[int, int]:
    """Columns and rows of a JPEG 2000 codestream's first component for one sample of its second and third; (1, 1) where
    these two differ.

    SIZ gives precision and the two sampling factors of each component, from byte 42 of the stream on.
    """
    factors = stream[43:51]
    if len(factors) < 8 or 0 in (*factors[0:2], *factors[3:5]) or factors[3:5] != factors[6:8]:
        return 1, 1
    return factors[3] // factors[0], factors[4] // factors[1]


def _is_subsampled(stream: bytes) -> bool:
    factors = stream[43:51]
    return len(factors) == 8 and len({factors[0:2], factors[3:5], factors[6:8]}) > 1


def _is_transformed(stream: bytes) -> bool:
    """Whether COD says that a multiple component transform was used (A.6.1); it stands in the main header."""
    at = 2
    while at + 4 <= len(stream):
        marker, length = (int.from_bytes(stream[at + k : at + k + 2], "big") for k in (0, 2))
        if marker == _COD:
            return stream[at + 8 : at + 9] == b"\x01"
        if marker == _SOT or length < 2:
            break
        at += 2 + length
    return False
