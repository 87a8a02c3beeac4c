"""The frames' file of a packed (deflated) image: unpacked on the disk for as long as the slide is open."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from inference.errors import Failed, Reason, Refused
from server.slides.dicom_stream import unpack_into
from server.slides.frames import FrameFile

MOST_UNPACKED = 4 * 1024**3
"""Bytes of an image that is unpacked; what is larger is to be converted by its archive."""
_BESIDE_PIXELS = 1 << 20


def open_unpacked(path: Path, *, header: int, pixels: int) -> FrameFile:
    """`header` and `pixels` are the bytes that the image needs of both: more is never unpacked.

    Raises Refused UNSUPPORTED_SYNTAX, SLIDE_DAMAGED; Failed OUTPUT_NOT_WRITABLE (retryable) where the disk is full.
    """
    if pixels > MOST_UNPACKED:
        size = f"{pixels / 1024**3:.1f} GB"
        message = f"{path.name} is packed (deflated) and has {size} of pixels: have the archive convert it to JPEG 2000"
        raise Refused(Reason.UNSUPPORTED_SYNTAX, message)
    handle, name = tempfile.mkstemp(prefix="chromogen-", suffix=".dcm")
    try:
        with os.fdopen(handle, "wb+") as target:
            unpack_into(path, target, header + pixels + _BESIDE_PIXELS)
        return FrameFile(Path(name))
    except OSError as error:
        message = f"{path.name} can't be unpacked into {tempfile.gettempdir()} ({error.strerror}): see to the disk"
        raise Failed(Reason.OUTPUT_NOT_WRITABLE, message, retryable=True) from None
    finally:
        with suppress(OSError):
            Path(name).unlink()  # the open file stays until it is closed
