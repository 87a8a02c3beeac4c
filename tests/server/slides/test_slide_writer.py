"""Slides written as DICOM are what a reader and a validator make of them."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
import simplejpeg
import tifffile
from wsidicom import WsiDicom

from inference.draw import draw_slide
from inference.errors import Failed
from inference.geometry import Region, Size
from inference.slide import Rgb
from server.demo.slide_header import SlideIdentity
from server.slides import slide_writer
from server.slides.slide_writer import JpegFrames, encode, write_dicom_slide
from tests.laid import LaidTiles, lay_tiles, write_tiff_slide

SIZE = Size(width=1500, height=1100)
IDENTITY = SlideIdentity(key="test")


@pytest.fixture(scope="module")
def frames() -> JpegFrames:
    return JpegFrames(draw_slide(size=SIZE, seed=2, h_score=150), frame=256)


@pytest.fixture(scope="module")
def written(frames: JpegFrames, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_dicom_slide(tmp_path_factory.mktemp("slide"), frames, mpp=0.5, identity=IDENTITY)


def decoded(frames: JpegFrames) -> Rgb:
    rows = [np.concatenate([simplejpeg.decode_jpeg(f) for f in row], axis=1) for row in frames.rows()]
    return np.concatenate(rows)[: SIZE.height, : SIZE.width]


def test_a_reader_finds_levels_sizes_and_pixel_sizes(written: list[Path]) -> None:
    with WsiDicom.open(written[0].parent) as slide:
        levels = list(slide.pyramids[0])
        assert [(level.size.width, level.size.height) for level in levels] == [(1500, 1100), (750, 550), (375, 275)]
        assert [level.mpp.width for level in levels] == pytest.approx([0.5, 1.0, 2.0])


def test_a_reader_sees_the_pixels_of_the_frames(written: list[Path], frames: JpegFrames) -> None:
    with WsiDicom.open(written[0].parent) as slide:
        seen = np.asarray(slide.read_region((0, 0), 0, (SIZE.width, SIZE.height)).convert("RGB"))
    assert np.abs(seen.astype(int) - decoded(frames)).mean() < 0.6  # decoders differ in how they spread chroma


def test_lower_levels_are_means_of_four_pixels(written: list[Path], frames: JpegFrames) -> None:
    expected = cv2.resize(decoded(frames), (750, 550), interpolation=cv2.INTER_AREA)
    with WsiDicom.open(written[0].parent) as slide:
        seen = np.asarray(slide.read_region((0, 0), 1, (750, 550)).convert("RGB"))
    assert np.abs(seen.astype(int) - expected).mean() < 2.5


def test_frames_are_kept_as_they_are(written: list[Path], frames: JpegFrames) -> None:
    ds = pydicom.dcmread(written[0])
    kept = list(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=ds.NumberOfFrames))
    given = [f for row in frames.rows() for f in row]
    assert len(kept) == len(given)
    assert all(k.rstrip(b"\0") == g.rstrip(b"\0") for k, g in zip(kept, given, strict=True))


def test_offsets_outgrowing_32_bits_go_to_an_extended_table(
    frames: JpegFrames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slide_writer, "LARGEST_BASIC_OFFSET", 10)
    paths = write_dicom_slide(tmp_path, frames, mpp=0.5, identity=IDENTITY, levels=1)
    ds = pydicom.dcmread(paths[0])
    assert len(ds.ExtendedOffsetTable) == 8 * ds.NumberOfFrames
    last = pydicom.encaps.get_frame(
        ds.PixelData, 29, number_of_frames=30, extended_offsets=(ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths)
    )
    assert simplejpeg.decode_jpeg_header(last)[:2] == (256, 256)
    with WsiDicom.open(tmp_path) as slide:
        seen = np.asarray(slide.read_region((1300, 900), 0, (200, 200)).convert("RGB"))
    assert np.abs(seen.astype(int) - decoded(frames)[900:, 1300:]).mean() < 0.6


def test_levels_share_study_series_container_specimen_and_frame_of_reference(written: list[Path]) -> None:
    sets = [pydicom.dcmread(p, stop_before_pixels=True) for p in written]
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "ContainerIdentifier", "PatientID"):
        assert len({getattr(ds, keyword) for ds in sets}) == 1
    assert len({ds.SOPInstanceUID for ds in sets}) == 3
    assert sets[0].StudyInstanceUID == IDENTITY.study_uid
    assert sets[0].SeriesInstanceUID == IDENTITY.series_uid
    assert sets[0].SpecimenDescriptionSequence[0].SpecimenIdentifier == IDENTITY.specimen_id
    assert "INVENTED" in str(sets[0].PatientName)


def test_the_same_identity_writes_the_same_bytes(written: list[Path], frames: JpegFrames, tmp_path: Path) -> None:
    again = write_dicom_slide(tmp_path, frames, mpp=0.5, identity=IDENTITY)
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in written]


def test_another_key_names_another_slide() -> None:
    other = SlideIdentity(key="other")
    assert other.series_uid != IDENTITY.series_uid
    assert all(pydicom.uid.UID(u).is_valid for u in (other.series_uid, other.study_uid, other.uid("level/0")))


def test_a_slide_of_one_frame_has_one_level(tmp_path: Path) -> None:
    drawing = draw_slide(size=Size(width=300, height=260), seed=1, h_score=100)
    assert [p.name for p in write_dicom_slide(tmp_path, JpegFrames(drawing), mpp=0.5, identity=IDENTITY)] == [
        "level-0.dcm"
    ]


class Breaking:
    """Frames that end in an error of the disk's kind after the first row."""

    size, frame = Size(width=64, height=128), 64

    def rows(self) -> Iterator[Sequence[bytes]]:
        yield [encode(np.full((64, 64, 3), 200, np.uint8), 90)]
        raise OSError(28, "No space left on device")


def test_nothing_half_written_remains(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="OUTPUT_NOT_WRITABLE"):
        write_dicom_slide(tmp_path, Breaking(), mpp=0.5, identity=IDENTITY)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.touch()
    with pytest.raises(Failed, match="taken"):
        write_dicom_slide(taken, Breaking(), mpp=0.5, identity=IDENTITY)


@pytest.mark.peer
def test_dciodvfy_finds_no_error(written: list[Path]) -> None:
    if shutil.which("dciodvfy") is None:
        assert os.environ.get("CI") != "true", "dciodvfy is missing: apt-get install dicom3tools"
        pytest.skip("dciodvfy is missing: apt-get install dicom3tools")
    for path in written:
        said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        assert "Error" not in said.stderr + said.stdout
        assert "VLWholeSlideMicroscopyImage" in said.stderr + said.stdout


@pytest.mark.parametrize("real", [True, False])
def test_laid_tiles_are_one_slide_as_dicom_and_as_tiff(tmp_path: Path, real: bool) -> None:
    size = Size(width=1300, height=1024)
    frames = lay_tiles(tmp_path / "dicom", size=size, real=real)
    if real and LaidTiles(size).source != "endonuke":
        pytest.skip("../shared/data/endonuke is absent")
    write_tiff_slide(tmp_path / "slide.tiff", frames)
    with tifffile.TiffFile(tmp_path / "slide.tiff") as tiff:
        page = tiff.pages.first
        assert page.shape == (1024, 1300, 3)
        assert page.tags["XResolution"].value[0] / page.tags["XResolution"].value[1] == 20_000
        places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    file = (tmp_path / "slide.tiff").read_bytes()
    held = [file[offset : offset + n] for offset, n in places]
    ds = pydicom.dcmread(tmp_path / "dicom" / "level-0.dcm")
    kept = list(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=ds.NumberOfFrames))
    assert [k.rstrip(b"\0") for k in kept] == [h.rstrip(b"\0") for h in held]
    assert np.asarray(LaidTiles(size, real=real).read(Region(x=0, y=0, width=1300, height=1024))).std() > 20
