"""`chromogen convert`: an SVS or TIFF is the same slide as DICOM."""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
import tifffile
from click.testing import CliRunner, Result
from PIL import ImageCms
from pydicom.encaps import generate_frames
from wsidicom import WsiDicom

from inference.draw import draw_slide
from inference.errors import ChromogenError, Failed, Reason
from inference.geometry import Region, Size
from inference.model import Resolution
from inference.slide import Rgb
from server.cli.convert import convert
from server.slides.codestream import Colour, declare_colour
from server.slides.opening import open_framed

SIZE = Size(width=701, height=500)
TILE = 128
ANY = Resolution(working=0.01, finest=0.0, coarsest=float("inf"))
PER_CM = {"resolution": (40_000, 40_000), "resolutionunit": "CENTIMETER"}  # 0.25 µm
JPEGS = {
    "ycbcr 4:2:2": {"subsampling": (2, 1)},
    "ycbcr 4:2:0": {"subsampling": (2, 2)},
    "rgb": {"photometric": "rgb"},
}


@pytest.fixture(scope="module")
def drawn() -> Rgb:
    return draw_slide(size=SIZE, seed=4, h_score=150).read(Region(x=0, y=0, width=SIZE.width, height=SIZE.height))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(convert, [*map(str, arguments)], standalone_mode=False)


def done(*arguments: object) -> Result:
    result = run(*arguments)
    assert result.exception is None, result.exception
    return result


def refusal(*arguments: object) -> ChromogenError:
    result = run(*arguments)
    assert isinstance(result.exception, ChromogenError), result.exception
    return result.exception


def write_jpeg_tiff(path: Path, rgb: Rgb, *, photometric: str = "ycbcr", subsampling: tuple[int, int] = (1, 1)) -> Path:
    options = {"photometric": photometric, "subsampling": subsampling} if photometric == "ycbcr" else {}
    tiles = tiles_of(rgb, photometric, subsampling)
    shape = {"shape": rgb.shape, "dtype": np.uint8, "tile": (TILE, TILE), "compression": "jpeg"}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(iter(tiles), **shape, **{"photometric": photometric} | options, metadata=None, **PER_CM)
    return path


def tiles_of(rgb: Rgb, photometric: str, subsampling: tuple[int, int]) -> Iterator[bytes]:
    """Black beyond the edges, as some scanners have it."""
    height, width = (-(-side // TILE) * TILE for side in rgb.shape[:2])
    whole = np.zeros((height, width, 3), np.uint8)
    whole[: rgb.shape[0], : rgb.shape[1]] = rgb
    coded = {"outcolorspace": "RGB"} if photometric == "rgb" else {"subsampling": subsampling}
    for y in range(0, height, TILE):
        for x in range(0, width, TILE):
            tile = np.ascontiguousarray(whole[y : y + TILE, x : x + TILE])
            yield bytes(imagecodecs.jpeg8_encode(tile, level=85, colorspace="RGB", **coded))


def pixels(path: Path) -> Rgb:
    slide = open_framed(path, ANY)
    try:
        return slide.read(Region(x=0, y=0, width=slide.facts.size.width, height=slide.facts.size.height))
    finally:
        slide.close()


def headers(folder: Path) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def apart(one: Rgb, other: Rgb) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize("kind", JPEGS)
def test_tiles_of_jpeg_are_kept_as_they_are(kind: str, drawn: Rgb, tmp_path: Path) -> None:
    source = write_jpeg_tiff(tmp_path / "slide.tif", drawn, **JPEGS[kind])
    assert "the slide's own" in done(source, "--out", tmp_path / "out").stdout
    assert np.array_equal(pixels(tmp_path / "out"), pixels(source))
    base = headers(tmp_path / "out")[0]
    assert base.PhotometricInterpretation == ("RGB" if kind == "rgb" else "YBR_FULL_422")
    with tifffile.TiffFile(source) as tiff:
        page, file = tiff.pages.first, source.read_bytes()
        held = [file[at : at + n] for at, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
    kept = generate_frames(base.PixelData, number_of_frames=base.NumberOfFrames)
    assert [frame.rstrip(b"\0") for frame in kept] == held


@pytest.mark.parametrize("kind", ["ycbcr 4:2:2", "rgb", "lossless", "strips"])
def test_both_readers_see_the_slide_at_every_level(kind: str, drawn: Rgb, tmp_path: Path) -> None:
    source = tmp_path / "slide.tif"
    if kind in JPEGS:
        write_jpeg_tiff(source, drawn, **JPEGS[kind])
    else:
        tile = {"tile": (TILE, TILE)} if kind == "lossless" else {"rowsperstrip": 100}
        tifffile.imwrite(source, drawn, photometric="rgb", compression="zlib", metadata=None, **tile, **PER_CM)
    done(source, "--out", tmp_path / "out", "--quality", 95)  # a drawing's noise is hard on JPEG: 2.3 at 90
    found = open_framed(tmp_path / "out", ANY)
    levels, notes = found.facts.levels, found.facts.notes
    found.close()
    assert notes == ()
    assert levels[0].size == SIZE
    assert [level.mpp for level in levels] == pytest.approx([0.25 * 2**k for k in range(len(levels))])
    assert max(levels[-1].size.width, levels[-1].size.height) <= (TILE if kind in JPEGS else 512)
    assert apart(pixels(tmp_path / "out"), pixels(source)) < (0.01 if kind in JPEGS else 2)
    with WsiDicom.open(tmp_path / "out") as slide:
        seen = np.asarray(slide.read_region((0, 0), 0, (SIZE.width, SIZE.height)).convert("RGB"))
        assert slide.pyramids[0].base_level.mpp.width == pytest.approx(0.25)
        half = np.asarray(slide.read_region((0, 0), 1, (351, 250)).convert("RGB"))
    assert apart(seen, pixels(source)) < 2
    assert apart(half[:, -1], seen[:, -1].reshape(250, 2, 3).mean(1)) < 10, "black from beyond the edge"
    assert apart(half[:, :350], seen[:, :700].reshape(250, 2, 350, 2, 3).mean((1, 3))) < 3


def test_nothing_is_invented(drawn: Rgb, tmp_path: Path) -> None:
    source = write_jpeg_tiff(tmp_path / "SECRET-name.tif", drawn)
    said = done(source, "--out", tmp_path / "out").stderr
    assert "when it was scanned" in said
    assert "no ICC profile" in said
    for ds in headers(tmp_path / "out"):
        assert [str(ds[k].value) for k in ("PatientName", "PatientID", "AccessionNumber", "PatientSex")] == [""] * 4
        assert (ds.PatientBirthDate, ds.Manufacturer, ds.ContainerIdentifier) == ("", "unknown", "unknown")
        assert ds.SOPInstanceUID.startswith("2.25.")
        assert not ds.SpecimenDescriptionSequence[0].SpecimenPreparationSequence
        ds.PixelData = b""
        assert "SECRET" not in str(ds)
        assert "INVENTED" not in str(ds)


def test_what_is_given_and_what_the_file_says_is_said(drawn: Rgb, tmp_path: Path) -> None:
    words = "Aperio Image Library\r\nmade|AppMag = 40|MPP = 0.25|Date = 03/02/24|Time = 10:11:12|ScanScope ID = SS77"
    profile = srgb()
    options = {"photometric": "rgb", "tile": (TILE, TILE), "metadata": None, "iccprofile": profile}
    tifffile.imwrite(tmp_path / "a.svs", drawn, description=words, extratags=[(271, 2, 0, "Maker", True)], **options)
    given = {"accession": "A-1", "patient-id": "P-1", "patient-name": "DOE^JANE", "container": "C-1", "stain": "ER"}
    options_given = [word for name, value in given.items() for word in (f"--{name}", value)]
    result = done(tmp_path / "a.svs", "--out", tmp_path / "out", *options_given)
    assert "warning" not in result.stderr
    ds = headers(tmp_path / "out")[0]
    assert (ds.AccessionNumber, ds.PatientID, str(ds.PatientName)) == ("A-1", "P-1", "DOE^JANE")
    assert (ds.ContainerIdentifier, ds.SpecimenDescriptionSequence[0].SpecimenIdentifier) == ("C-1", "C-1")
    assert (ds.Manufacturer, ds.DeviceSerialNumber, ds.AcquisitionDateTime) == ("Maker", "SS77", "20240302101112")
    assert bytes(ds.OpticalPathSequence[0].ICCProfile).rstrip(b"\0") == profile.rstrip(b"\0")
    step = ds.SpecimenDescriptionSequence[0].SpecimenPreparationSequence[0]
    assert "ER" in str(step)
    again = done(tmp_path / "a.svs", "--out", tmp_path / "again")
    assert again.exception is None
    assert headers(tmp_path / "again")[0].SeriesInstanceUID != ds.SeriesInstanceUID


def srgb() -> bytes:
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def test_a_pixel_size_of_many_digits_stays(drawn: Rgb, tmp_path: Path) -> None:
    source = write_jpeg_tiff(tmp_path / "slide.tif", drawn)
    done(source, "--out", tmp_path / "out", "--mpp", 1 / 3.1)
    found = open_framed(tmp_path / "out", ANY)
    found.close()
    assert found.facts.mpp == pytest.approx(1 / 3.1, rel=1e-9)
    for ds in headers(tmp_path / "out"):
        spacing = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
        assert max(len(str(side.original_string)) for side in spacing) <= 16


def test_a_tile_that_is_coded_otherwise_or_missing_is_made_to_fit(drawn: Rgb, tmp_path: Path) -> None:
    tiles = list(tiles_of(drawn, "ycbcr", (2, 1)))
    plain = np.ascontiguousarray(drawn[:TILE, TILE : 2 * TILE])
    tiles[1] = declare_colour(
        bytes(imagecodecs.jpeg8_encode(plain, level=90, colorspace="RGB", outcolorspace="RGB")), Colour.RGB
    )
    tiles[2] = b""
    options = {"photometric": "ycbcr", "subsampling": (2, 1), "compression": "jpeg", "tile": (TILE, TILE)}
    shape = {"shape": drawn.shape, "dtype": np.uint8, "metadata": None}
    tifffile.imwrite(tmp_path / "slide.tif", iter(tiles), **options, **shape, **PER_CM)
    done(tmp_path / "slide.tif", "--out", tmp_path / "out")
    seen = pixels(tmp_path / "out")
    assert apart(seen, pixels(tmp_path / "slide.tif")) < 0.5
    assert seen[:TILE, 2 * TILE : 3 * TILE].min() == 255
    with WsiDicom.open(tmp_path / "out") as slide:
        other = np.asarray(slide.read_region((TILE, 0), 0, (TILE, TILE)).convert("RGB"))
    assert apart(other, plain) < 4


def test_bad_input_is_one_error_and_leaves_nothing(drawn: Rgb, tmp_path: Path) -> None:
    bare, out = tmp_path / "bare.tif", tmp_path / "out"
    tifffile.imwrite(bare, drawn, photometric="rgb", tile=(TILE, TILE), metadata=None)
    assert refusal(bare, "--out", out).reason is Reason.NO_PIXEL_SIZE
    (tmp_path / "text").write_text("nothing of the kind")
    assert refusal(tmp_path / "text", "--out", out).reason is Reason.NOT_A_SLIDE
    assert refusal(tmp_path / "absent", "--out", out).reason is Reason.NOT_A_SLIDE
    assert not out.exists()
    done(bare, "--mpp", "0.25", "--out", out)
    dicom = refusal(out / "level-0.dcm", "--out", tmp_path / "more")
    assert "DICOM already" in dicom.message
    assert "folder" in refusal(out, "--out", tmp_path / "more").message
    before = {path: path.read_bytes() for path in out.iterdir()}
    assert refusal(bare, "--mpp", "0.25", "--out", out).reason is Reason.OUTPUT_NOT_WRITABLE
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    assert "at most 16" in str(run(bare, "--out", tmp_path / "more", "--accession", "A" * 17).exception)
    assert "backslash" in str(run(bare, "--out", tmp_path / "more", "--container", "A\\B").exception)
    assert not (tmp_path / "more").exists()


@pytest.mark.parametrize("at", [0, 5])
def test_a_damaged_tile_is_refused(at: int, drawn: Rgb, tmp_path: Path) -> None:
    source = write_jpeg_tiff(tmp_path / "slide.tif", drawn)
    with tifffile.TiffFile(source) as tiff:
        offset, length = tiff.pages.first.dataoffsets[at], tiff.pages.first.databytecounts[at]
    with source.open("r+b") as file:
        file.seek(offset + length // 2)
        file.write(b"\xff\xd9" * (length // 4))
    assert refusal(source, "--out", tmp_path / "out").reason is Reason.SLIDE_DAMAGED
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_one_error_and_leaves_nothing(drawn: Rgb, tmp_path: Path) -> None:
    source = write_jpeg_tiff(tmp_path / "slide.tif", drawn)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        result = run(source, "--out", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert isinstance(result.exception, Failed)
    assert result.exception.reason is Reason.OUTPUT_NOT_WRITABLE
    assert not (tmp_path / "out").exists()


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["ycbcr 4:2:2", "rgb"])
def test_dciodvfy_finds_no_error(kind: str, drawn: Rgb, tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        assert os.environ.get("CI") != "true", "dciodvfy is missing: apt-get install dicom3tools"
        pytest.skip("dciodvfy is missing: apt-get install dicom3tools")
    source = write_jpeg_tiff(tmp_path / "slide.tif", drawn, **JPEGS[kind])
    done(source, "--out", tmp_path / "bare")
    done(source, "--out", tmp_path / "named", "--container", "C-1", "--accession", "A-1", "--stain", "HE")
    for path in [*sorted((tmp_path / "bare").iterdir())[:2], tmp_path / "named" / "level-0.dcm"]:
        said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        assert "Error" not in said.stderr + said.stdout
        assert "VLWholeSlideMicroscopyImage" in said.stderr + said.stdout
