"""A DICOM file as bytes: how one begins, and what is packed (deflated) read as if it weren't.

Files without preamble, or without the header of a file at all, are read too: some archives' exports have neither
(PS3.10, 7.1 wants both).
"""

import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom.datadict import dictionary_VR
from pydicom.dataset import FileDataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from inference.errors import Reason, Refused

PREAMBLE, MAGIC = 128, b"DICM"
BEGINNING = PREAMBLE + len(MAGIC)
"""Bytes that `begins_like_dicom` looks at."""

MOST_HEADER = 64 * 1024 * 1024
"""Bytes of a packed file that are unpacked for its header."""

_DEFLATED = b"1.2.840.10008.1.2.1.99"
_PLAIN = b"1.2.840.10008.1.2.1".ljust(len(_DEFLATED), b"\0")
_META, _META_LENGTH = b"\x02\x00\x00\x00UL\x04\x00", 12
_FIRST_READ = 4096
_CHUNK = 1 << 20
_LAST_FIRST_ELEMENT, _LONGEST_FIRST = 0x18, 64  # a data set begins with one of group 0008, up to SOP Instance UID

Stop = Callable[[BaseTag, str | None, int], bool]


def begins_like_dicom(head: bytes) -> bool:
    """Of a file's first BEGINNING bytes."""
    if head[PREAMBLE:BEGINNING] == MAGIC or head.startswith(_META):
        return True
    return any(_is_first_element(head, order) for order in ("little", "big"))


def _is_first_element(head: bytes, order: str) -> bool:
    """Whether it is an element as a data set without a file's header begins with."""
    group, element = (int.from_bytes(head[at : at + 2], "big" if order == "big" else "little") for at in (0, 2))
    if len(head) < 8 or group != 8 or element > _LAST_FIRST_ELEMENT or not _in_dictionary(element):
        return False
    if head[4:6] == dictionary_VR(8 << 16 | element).encode():
        return True
    return order == "little" and 0 < int.from_bytes(head[4:8], "little") <= _LONGEST_FIRST


def _in_dictionary(element: int) -> bool:
    try:
        return bool(dictionary_VR(8 << 16 | element))
    except KeyError:
        return False


def open_dicom_file(path: Path) -> BinaryIO:
    """The file from its beginning; of a packed one a copy in memory, unpacked as far as a header may go.

    Raises OSError; Refused SLIDE_DAMAGED.
    """
    file = path.open("rb")
    at = _packed_from(file)
    if at is None:
        return file
    with file:
        return _unpacked(file, at, BytesIO(), MOST_HEADER, path.name)


def is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return _packed_from(file) is not None


def unpack_into(path: Path, target: BinaryIO, most: int) -> None:
    """Write a packed file unpacked, up to `most` bytes. Raises as `open_dicom_file`."""
    with path.open("rb") as file:
        at = _packed_from(file)
        assert at is not None, "only packed files are unpacked"
        _unpacked(file, at, target, most, path.name)


def _packed_from(file: BinaryIO) -> int | None:
    """Where what is packed begins; None where nothing is. Leaves the file at its beginning."""
    head = file.read(_FIRST_READ)
    file.seek(0)
    meta = BEGINNING if head[PREAMBLE:BEGINNING] == MAGIC else 0
    if _DEFLATED not in head or head[meta : meta + len(_META)] != _META:
        return None
    begins = meta + _META_LENGTH + int.from_bytes(head[meta + len(_META) : meta + _META_LENGTH], "little")
    return begins if _DEFLATED in head[:begins] else None


def _unpacked(file: BinaryIO, at: int, target: BinaryIO, most: int, name: str) -> BinaryIO:
    """The header of the file says afterwards that nothing is packed, and is as long as it was."""
    target.write(file.read(at).replace(_DEFLATED, _PLAIN, 1))
    packed, left = zlib.decompressobj(-zlib.MAX_WBITS), most
    try:
        while left > 0 and not packed.eof and (data := packed.unconsumed_tail or file.read(_CHUNK)):
            plain = packed.decompress(data, min(left, _CHUNK))
            target.write(plain)
            left -= len(plain)
    except zlib.error:
        message = f"{name} is packed (deflated), and the packing is damaged: fetch it again from the archive"
        raise Refused(Reason.SLIDE_DAMAGED, message) from None
    target.seek(0)
    return target


def read_until(stream: BinaryIO, stop: Stop, specific_tags: list[BaseTag | int] | None = None) -> FileDataset:
    """What stands before an element; the transfer syntax is found out where the file doesn't say it.

    Raises whatever pydicom does.
    """
    found = read_partial(stream, stop, force=True, specific_tags=specific_tags)
    if "TransferSyntaxUID" not in found.file_meta:
        found.file_meta.TransferSyntaxUID = _syntax_of(*found.original_encoding)
    return found


def _syntax_of(implicit: bool | None, little: bool | None) -> UID:
    if not little:
        return ExplicitVRBigEndian
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
