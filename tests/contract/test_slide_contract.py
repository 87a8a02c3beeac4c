"""What every open slide does, whatever file it lies in: one set of checks on DICOM, TIFF and PNG of one picture.

DICOM comes in order in one file (`dicom`, by our index) and by wsidicom: split over files by wsidicom itself (`parts`),
with positions in any order (`sparse`), and with frames that overlap beside the grid (`scattered`). NDPI comes by
OpenSlide.
"""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import simplejpeg
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import ExplicitVRLittleEndian
from wsidicom import ConcatenationByFrames, WsiDicom

from inference.errors import Reason
from inference.geometry import Region, Size
from inference.slide import FrameUnreadable, Slide
from server.demo.slide_header import SlideIdentity
from server.slides.framed_slide import FramedSlide
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.ndpi import write_ndpi
from tests.opened import open_framed

WIDTH, HEIGHT, FRAME = 700, 500, 128
BY_OPENSLIDE = ["ndpi"] if find_spec("openslide") else []
KINDS = ["dicom", "tiff", "png", "parts", "sparse", "scattered", *BY_OPENSLIDE]
FINE = ["dicom fine", "tiff fine", "png fine", "parts fine", "scattered fine", "dicom resampled", "tiff resampled"]
SAME_FRAMES = ["tiff", "parts", "sparse"]
PART, STEP = 7, 100  # frames of a part of `parts`; px from one frame of `scattered` to the next
MPP = {"fine": 0.25, "resampled": 0.37}


class Picture:
    """A synthetic picture that can be read like a drawing."""

    size = Size(width=WIDTH, height=HEIGHT)

    def __init__(self) -> None:
        y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
        waves = np.stack([np.sin(x / 19 + y / 53), np.cos(y / 29), np.sin((x - y) / 43)], axis=-1)
        noise = np.random.default_rng(3).normal(0, 6, (HEIGHT, WIDTH, 1))
        self.rgb = np.clip(150 + 70 * waves + noise, 0, 255).astype(np.uint8)

    def read(self, region: Region) -> np.ndarray:
        return self.rgb[region.y : region.bottom, region.x : region.right]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """The same JPEG frames as DICOM and TIFF, and what they decode to as PNG and as overlapping frames."""
    folder = tmp_path_factory.mktemp("slides")
    source = JpegFrames(Picture(), quality=85, frame=FRAME)
    write_dicom_slide(folder / "dicom", source, mpp=0.5, identity=SlideIdentity(key="contract"), levels=3)
    with WsiDicom.open(folder / "dicom") as slide:
        slide.save(folder / "parts", include_levels=[0], concatenation=ConcatenationByFrames(PART))
    frames = [frame for row in source.rows() for frame in row]
    options = {"compression": "jpeg", "photometric": "ycbcr", "subsampling": (2, 1), "tile": (FRAME, FRAME)}
    um = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(folder / "slide.tif", iter(frames), shape=(HEIGHT, WIDTH, 3), dtype="uint8", **options, **um)
    decoded = np.vstack([np.hstack([simplejpeg.decode_jpeg(f) for f in row]) for row in source.rows()])[:HEIGHT, :WIDTH]
    (folder / "slide.png").write_bytes(imagecodecs.png_encode(np.ascontiguousarray(decoded)))
    write_sparse(folder / "dicom" / "level-0.dcm", folder / "sparse.dcm")
    write_scattered(folder / "dicom" / "level-0.dcm", decoded, folder / "scattered.dcm")
    write_ndpi(folder / "slide.ndpi", Picture().rgb)
    names = {"dicom": "dicom", "parts": "parts", "tiff": "slide.tif", "png": "slide.png", "ndpi": "slide.ndpi"}
    return {kind: folder / names.get(kind, f"{kind}.dcm") for kind in KINDS}


def write_sparse(level: Path, out: Path) -> None:
    """A level with its frames in any order, each with its position."""
    ds = dcmread(level)
    frames = list(generate_frames(ds.PixelData, number_of_frames=ds.NumberOfFrames))
    order = np.random.default_rng(5).permutation(len(frames))
    columns = -(-WIDTH // FRAME)
    ds.PixelData = encapsulate([frames[k] for k in order])
    place(ds, [(k % columns * FRAME, k // columns * FRAME) for k in order.tolist()])
    ds.save_as(out)


def write_scattered(level: Path, rgb: np.ndarray, out: Path) -> None:
    """A level of uncompressed frames that overlap, every STEP pixels."""
    ds = dcmread(level)
    ds.file_meta.TransferSyntaxUID, ds.PhotometricInterpretation = ExplicitVRLittleEndian, "RGB"
    full = np.pad(rgb, ((0, FRAME), (0, FRAME), (0, 0)))
    at = [(x, y) for y in range(0, HEIGHT, STEP) for x in range(0, WIDTH, STEP)]
    ds.PixelData = b"".join(full[y : y + FRAME, x : x + FRAME].tobytes() for x, y in at)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = False
    place(ds, at)
    ds.save_as(out)


def place(ds: Dataset, at: list[tuple[int, int]]) -> None:
    ds.DimensionOrganizationType, ds.NumberOfFrames, groups = "TILED_SPARSE", len(at), []
    for x, y in at:
        position, group = Dataset(), Dataset()
        position.ColumnPositionInTotalImagePixelMatrix, position.RowPositionInTotalImagePixelMatrix = x + 1, y + 1
        group.PlanePositionSlideSequence = [position]
        groups.append(group)
    ds.PerFrameFunctionalGroupsSequence = groups


def opened(files: dict[str, Path], name: str) -> FramedSlide:
    """A kind at 0.5 µm/px; with `fine` taken for 0.25, with `resampled` for 0.37."""
    kind, _, finer = name.partition(" ")
    path = files[kind]
    if finer and kind == "dicom":
        path = path / "level-0.dcm"  # its lower levels would be taken instead
    return open_framed(path, mpp=MPP.get(finer, 0.5))


@pytest.fixture(params=[*KINDS, *FINE])
def slide(request, files) -> Iterator[FramedSlide]:
    found = opened(files, request.param)
    yield found
    found.close()


def whole(slide: Slide) -> np.ndarray:
    size = slide.working.size
    return slide.read(Region(x=0, y=0, width=size.width, height=size.height))


@pytest.mark.parametrize("name", [*KINDS, *FINE])
def test_any_region_is_the_crop_of_the_whole(files, name):
    slide = opened(files, name)
    full, size = whole(slide), slide.working.size

    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        x, y = data.draw(st.integers(0, size.width - 1)), data.draw(st.integers(0, size.height - 1))
        width, height = data.draw(st.integers(1, size.width - x)), data.draw(st.integers(1, size.height - y))
        out = slide.read(Region(x=x, y=y, width=width, height=height))
        assert (out.shape, out.dtype) == ((height, width, 3), np.uint8)
        np.testing.assert_array_equal(out, full[y : y + height, x : x + width])

    check()


@pytest.mark.parametrize("finer", ["", " fine", " resampled"])
@pytest.mark.parametrize("kind", SAME_FRAMES)
def test_slides_of_the_same_frames_have_identical_pixels(files, kind, finer):
    np.testing.assert_array_equal(whole(opened(files, "dicom" + finer)), whole(opened(files, kind + finer)))


@pytest.mark.parametrize("kind", ["png", "scattered"])
def test_dicom_and_the_decoded_picture_have_identical_pixels(files, kind):
    np.testing.assert_array_equal(whole(opened(files, "dicom")), whole(opened(files, kind)))


def test_the_working_grid_is_near_half_a_micrometre(slide):
    assert 0.4 <= slide.working.mpp <= 0.625
    assert slide.working.mpp == pytest.approx(slide.facts.mpp * slide.working.scale)
    assert slide.working.size.width == pytest.approx(slide.facts.size.width / slide.working.scale, abs=1)


def test_coordinates_go_to_the_largest_level_and_back(slide):
    for v in (-0.5, 0.0, 12.25, 699.0):
        assert slide.working.from_base(slide.working.to_base(v)) == pytest.approx(v)
    assert slide.working.to_base(-0.5) == -0.5


def test_what_is_seen_lies_where_the_grid_says(slide):
    """Each working pixel is near the pixel of the base that `to_base` names."""
    base = Picture().rgb.astype(float)
    out, grid = whole(slide).astype(float), slide.working
    y = np.clip(np.rint(grid.to_base(np.arange(grid.size.height))).astype(int), 0, HEIGHT - 1)
    x = np.clip(np.rint(grid.to_base(np.arange(grid.size.width))).astype(int), 0, WIDTH - 1)
    here = np.abs(out - base[y][:, x]).mean()
    assert here < 7
    for shift in (-3, 3):
        assert here < np.abs(out - base[y][:, np.clip(x + shift, 0, WIDTH - 1)]).mean()


@pytest.mark.parametrize(
    "outside",
    [(-1, 0, 5, 5), (0, -1, 5, 5), (0, 0, 5, 0), (0, 0, 0, 5), (0, 0, -2, 5), (10**6, 0, 1, 1), (0, 0, 10**6, 1)],
)
def test_a_region_outside_of_the_grid_is_an_error(slide, outside):
    x, y, width, height = outside
    with pytest.raises(ValueError, match="not inside the working grid"):
        slide.read(Region(x=x, y=y, width=width, height=height))


@pytest.mark.parametrize("mpp", [0.1, 0.5, 1.0, 3.3, 8.0, 64.0])
def test_an_overview_shows_the_whole_slide_fine_enough(slide, mpp):
    out, grid = slide.overview(mpp)
    assert out.shape == (grid.size.height, grid.size.width, 3)
    assert grid.mpp == pytest.approx(slide.facts.mpp * grid.scale)
    assert grid.mpp <= max(mpp * 1.02, slide.facts.mpp)
    assert grid.size.width == max(1, int(slide.facts.size.width / grid.scale))
    assert np.abs(out.mean((0, 1)) - Picture().rgb.mean((0, 1))).max() < (3 if grid.size.height > 30 else 30)


@pytest.mark.parametrize("mpp", [0.0, -1.0, float("nan")])
def test_an_overview_at_no_resolution_is_an_error(slide, mpp):
    with pytest.raises(ValueError, match="no resolution"):
        slide.overview(mpp)


@pytest.mark.parametrize(("core", "halo"), [(200, 24), (96, 48)])
def test_a_sweep_of_tiles_with_halos_decodes_each_frame_once(files, core, halo):
    for name in ("dicom", "tiff", "parts", "sparse", "scattered", "dicom fine", "tiff resampled"):
        slide = opened(files, name)
        size = slide.working.size
        for y in range(0, size.height, core):
            for x in range(0, size.width, core):
                slide.read(Region(x=x, y=y, width=core, height=core).grown(halo).clipped(size))
        assert slide.decoded == -(-WIDTH // FRAME) * -(-HEIGHT // FRAME)


def test_the_same_damaged_frame_is_named_alike_in_every_file(files, tmp_path):
    """The bytes of one frame are overwritten: the message names frame, column and row of the level."""
    source = JpegFrames(Picture(), quality=85, frame=FRAME)
    victim = list(source.rows())[1][2]
    said = []
    for kind in ("dicom", *SAME_FRAMES):
        bad = tmp_path / kind
        shutil.copytree(files[kind], bad) if files[kind].is_dir() else shutil.copy(files[kind], bad)
        holding = [
            path for path in (bad.rglob("*.dcm") if bad.is_dir() else [bad]) if victim[200:] in path.read_bytes()
        ]
        assert len(holding) == 1
        holding[0].write_bytes(holding[0].read_bytes().replace(victim[200:], bytes(len(victim) - 200)))
        with pytest.raises(FrameUnreadable) as caught:
            whole(open_framed(bad))
        assert caught.value.reason == Reason.SLIDE_DAMAGED
        said.append(caught.value.message)
    assert said == ["frame 8 (level 0, column 2, row 1) doesn't decode"] * 4
