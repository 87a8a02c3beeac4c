"""DICOM files as few write them: without preamble or header, packed, big endian."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian

from inference.errors import Reason, Refused
from inference.geometry import Region
from server.report.source import read_source
from server.slides import unpacked_file
from server.slides.dicom_stream import begins_like_dicom
from server.slides.scanner import scanner_of
from tests.opened import open_slide


@pytest.fixture
def rgb(kit) -> np.ndarray:
    return kit.picture(200, 130)


@pytest.fixture
def plain(kit, rgb, tmp_path) -> Path:
    """Uncompressed, explicit little endian; frames of 63 x 63 px: an odd number of bytes."""
    level = kit.raw(rgb, more={"Manufacturer": "Invented scanners"})
    level.side, level.frames = 63, [frame.tobytes() for frame in kit.cut(rgb, 63)]
    return level.write(tmp_path / "plain")


def without_preamble(plain: Path, target: Path) -> None:
    target.write_bytes(plain.read_bytes()[132:])


def without_header(plain: Path, target: Path) -> None:
    header = dcmread(plain)
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = False, True
    write_dataset(out, header)
    target.write_bytes(out.getvalue())


def without_header_implicit(plain: Path, target: Path) -> None:
    header = dcmread(plain)
    header["PixelData"].VR = "OW"
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = True, True
    write_dataset(out, header)
    target.write_bytes(out.getvalue())


def deflated(plain: Path, target: Path) -> None:
    header = dcmread(plain)
    header.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    header.save_as(target, enforce_file_format=True)


def big_endian(plain: Path, target: Path, vr: str = "OB") -> None:
    header = dcmread(plain)
    if vr == "OW":
        pixels = header.PixelData + b"\0" * (len(header.PixelData) % 2)
        header.PixelData = np.frombuffer(pixels, "<u2").byteswap().tobytes()
    header["PixelData"].VR = vr
    header.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dcmwrite(target, header, implicit_vr=False, little_endian=False)


def big_endian_words(plain: Path, target: Path) -> None:
    big_endian(plain, target, "OW")


WAYS = [without_preamble, without_header, without_header_implicit, deflated, big_endian, big_endian_words]


@pytest.mark.parametrize("way", WAYS)
def test_it_is_read_as_the_plain_file_is(plain, rgb, tmp_path, way):
    target = tmp_path / "slide" / "1"
    target.parent.mkdir()
    way(plain, target)
    for path in (target, target.parent):
        slide = open_slide(path)
        found = slide.read(Region(x=0, y=0, width=200, height=130))
        slide.close()
        np.testing.assert_array_equal(found, rgb)
        assert slide.facts.sop_instance_uids == open_slide(plain).facts.sop_instance_uids
    assert [h.SOPInstanceUID for h in read_source(target.parent)] == list(slide.facts.sop_instance_uids)
    assert scanner_of(target.parent) == "Invented scanners"


@pytest.mark.parametrize("way", [deflated, big_endian])
def test_frames_with_places_of_their_own_too(kit, tmp_path, way):
    rgb = kit.picture(128, 128)
    level = kit.raw(rgb, places=[(1, 1), (0, 0), (1, 0), (0, 1)])
    frames = [f.tobytes() for f in kit.cut(rgb, 64)]
    level.frames = [frames[3], frames[0], frames[1], frames[2]]
    way(level.write(tmp_path / "plain"), tmp_path / "a.dcm")
    np.testing.assert_array_equal(open_slide(tmp_path / "a.dcm").read(Region(x=0, y=0, width=128, height=128)), rgb)


def test_pydicom_writes_and_reads_the_same_big_endian_words(plain, tmp_path):
    big_endian_words(plain, tmp_path / "a")
    assert dcmread(tmp_path / "a").file_meta.TransferSyntaxUID == ExplicitVRBigEndian
    assert np.array_equal(dcmread(tmp_path / "a").pixel_array, dcmread(plain).pixel_array)


def test_no_more_is_unpacked_than_the_image_needs(plain, tmp_path, monkeypatch):
    deflated(plain, tmp_path / "a")
    monkeypatch.setattr(unpacked_file, "MOST_UNPACKED", 1000)
    with pytest.raises(Refused, match="of pixels: have the archive convert it") as refused:
        open_slide(tmp_path / "a")
    assert refused.value.reason is Reason.UNSUPPORTED_SYNTAX


def test_a_packed_file_that_never_ends_is_read_as_far_as_its_header_says(plain, rgb, tmp_path, monkeypatch):
    deflated(plain, tmp_path / "a")
    whole = (tmp_path / "a").read_bytes()
    at = 144 + int.from_bytes(whole[140:144], "little")
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    more = packing.compress(zlib.decompress(whole[at:], -zlib.MAX_WBITS) + bytes(300_000_000)) + packing.flush()
    (tmp_path / "a").write_bytes(whole[:at] + more)
    written: list[int] = []
    unlink = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda p, **k: (written.append(p.stat().st_size), unlink(p, **k)))
    slide = open_slide(tmp_path / "a")
    np.testing.assert_array_equal(slide.read(Region(x=0, y=0, width=200, height=130)), rgb)
    assert written
    assert max(written) < 4_000_000


def test_a_damaged_packing_is_said(plain, tmp_path):
    deflated(plain, tmp_path / "a")
    whole = bytearray((tmp_path / "a").read_bytes())
    whole[400:440] = b"\xff" * 40
    (tmp_path / "a").write_bytes(whole)
    with pytest.raises(Refused) as refused:
        open_slide(tmp_path / "a")
    assert refused.value.reason is Reason.SLIDE_DAMAGED


@pytest.mark.parametrize(
    "head", [b"", b"\x08\0", b"\x08\0\x05\0", b"\x08\0\x03\0CS\x0a\0", b"%PDF-1.7", b"II*\0" + bytes(200), b"\0" * 200]
)
def test_what_begins_otherwise_is_no_dicom(head):
    assert not begins_like_dicom(head)


def test_syntaxes_are_as_they_were_written(plain):
    assert dcmread(plain).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
