"""The same pixels by two readers: ours, and OpenSlide or pydicom, which share no code with it."""

from collections.abc import Callable
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from pydicom import dcmread
from pydicom.pixels import pixel_array
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from inference.errors import Reason, Refused
from inference.geometry import Region
from tests.opened import open_framed, open_slide

openslide = pytest.importorskip("openslide", reason="openslide-python is not installed: pip install '.[formats]'")
SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data"
SIDE = 512
MOST_APART = 2.0
"""Mean difference in grey levels."""


def ours(path: Path, mpp: float | None = None) -> np.ndarray:
    slide = open_framed(path, mpp=mpp, allow_coarse=True)
    assert slide.source.shrink == 1
    size = slide.working.size
    return slide.read(Region(x=0, y=0, width=size.width, height=size.height)).astype(int)


def by_openslide(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The first level's top left, on white."""
    with openslide.OpenSlide(str(path)) as slide:
        region = np.asarray(slide.read_region((0, 0), 0, size)).astype(int)
    return region[..., :3] + 255 - region[..., 3:]  # OpenSlide multiplies colours by alpha


def ycbcr(rgb: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]])


TIFFS: dict[str, dict[str, object]] = {
    "plain": {},
    "lzw with predictor": {"compression": "lzw", "predictor": True},
    "deflate": {"compression": "deflate"},
    "zstd": {"compression": "zstd"},
    "jpeg": {"compression": "jpeg"},
    "jpeg ycbcr 4:2:0": {"compression": "jpeg", "photometric": "ycbcr", "subsampling": (2, 2)},
    "ycbcr as it is": {"photometric": "ycbcr", "subsampling": (1, 1)},
    "ycbcr by lzw": {"photometric": "ycbcr", "subsampling": (1, 1), "compression": "lzw"},
    "by plane": {"planarconfig": "separate"},
    "strips": {"tile": None, "rowsperstrip": 100},
}


@pytest.mark.parametrize("name", TIFFS)
def test_openslide_reads_the_same_of_a_tiff(tmp_path: Path, kit, name: str) -> None:
    more: dict[str, object] = {"photometric": "rgb", "tile": (128, 128), "metadata": None} | TIFFS[name]
    rgb = kit.picture(SIDE, SIDE)
    raw = ycbcr(rgb) if name.startswith("ycbcr") else rgb
    pixels = raw.transpose(2, 0, 1) if name == "by plane" else raw
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(pixels, **{k: v for k, v in more.items() if v is not None})
    found = ours(tmp_path / "a.tif", mpp=0.5)
    try:
        other = by_openslide(tmp_path / "a.tif", (SIDE, SIDE))
    except openslide.OpenSlideUnsupportedFormatError:
        assert name in ("strips", "zstd"), name
        other = rgb
    assert np.abs(found - other).mean() < MOST_APART


def test_ycbcr_of_fewer_samples_is_refused_where_no_codec_spreads_them(tmp_path: Path, kit) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        extra = [(530, 3, 2, (2, 2), True)]
        pixels = ycbcr(kit.picture(SIDE, SIDE))
        tiff.write(pixels, tile=(128, 128), metadata=None, photometric="rgb", extratags=extra)
    data = (tmp_path / "a.tif").read_bytes()
    photometric = b"\x06\x01\x03\x00\x01\x00\x00\x00"
    (tmp_path / "a.tif").write_bytes(data.replace(photometric + b"\x02", photometric + b"\x06"))
    with pytest.raises(Refused, match="fewer samples of chroma") as refused:
        open_slide(tmp_path / "a.tif", mpp=0.5)
    assert refused.value.reason is Reason.UNSUPPORTED_SYNTAX


REAL = {
    "slides/CMU-1-Small-Region.svs": None,
    "slides/tcga-cr-7395-01a-01-ts1.svs": 0.5,
    "slides-failing/svs-33003-422.svs": None,
    "slides-failing/ome-mm.ome.tif": None,
}


@pytest.mark.parametrize("name", REAL)
def test_openslide_reads_the_same_of_a_scanner_s_file(name: str) -> None:
    if not (SHARED / name).exists():
        pytest.skip(f"../shared/data/{name} is not there")
    slide = open_framed(SHARED / name, mpp=REAL[name] or 0.5)
    found = slide.read(Region(x=300, y=400, width=700, height=600)).astype(int)
    with openslide.OpenSlide(str(SHARED / name)) as other:
        factor = round(slide.working.scale)
        region = other.read_region((300 * factor, 400 * factor), 0, (700 * factor, 600 * factor)).convert("RGB")
        theirs = cv2.resize(np.asarray(region), (700, 600), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(found - theirs).mean() < MOST_APART


def _jls(frame: np.ndarray) -> bytes:
    return bytes(imagecodecs.jpegls_encode(frame))


SYNTAXES: dict[str, tuple[str, str, Callable[[np.ndarray], bytes]]] = {
    "raw": (ExplicitVRLittleEndian, "RGB", lambda frame: frame.tobytes()),
    "raw by plane": (ExplicitVRLittleEndian, "RGB", lambda frame: frame.transpose(2, 0, 1).tobytes()),
    "raw ycbcr": (ExplicitVRLittleEndian, "YBR_FULL", lambda frame: ycbcr(frame).tobytes()),
    "jpeg": (JPEGBaseline8Bit, "YBR_FULL_422", lambda frame: bytes(imagecodecs.jpeg8_encode(frame, level=90))),
    "jpeg 2000": (
        JPEG2000Lossless,
        "YBR_RCT",
        lambda frame: bytes(imagecodecs.jpeg2k_encode(frame, level=0, codecformat="j2k")),
    ),
    "jpeg-ls": (JPEGLSLossless, "RGB", _jls),
}


@pytest.mark.parametrize("name", SYNTAXES)
def test_pydicom_reads_the_same_of_each_syntax(tmp_path: Path, kit, name: str) -> None:
    syntax, photometric, encode = SYNTAXES[name]
    rgb = kit.picture(256, 128)
    frames = [encode(frame) for frame in kit.cut(rgb, 64)]
    planar = {"PlanarConfiguration": 1} if name == "raw by plane" else {}
    instance = kit.instance(
        size=(256, 128), frames=frames, syntax=syntax, photometric=photometric, flavour="VOLUME", more=planar
    )
    path, found = instance.write(tmp_path / "a.dcm"), None
    found = ours(path)
    for number in range(8):
        row, column = divmod(number, 4)
        theirs = pixel_array(path, index=number)
        mine = found[64 * row : 64 * row + 64, 64 * column : 64 * column + 64]
        assert np.abs(mine - theirs).mean() < MOST_APART


@pytest.mark.filterwarnings("ignore")
def test_pydicom_reads_the_same_of_run_lengths(tmp_path: Path, kit) -> None:
    frames = [frame.tobytes() for frame in kit.cut(kit.picture(256, 128), 64)]
    raw = kit.instance(size=(256, 128), frames=frames, syntax=ExplicitVRLittleEndian, photometric="RGB")
    header = dcmread(raw.write(tmp_path / "a.dcm"))
    header.compress(RLELossless)
    header.save_as(tmp_path / "a.dcm")
    found = ours(tmp_path / "a.dcm")
    assert np.abs(found[:64, :64] - pixel_array(tmp_path / "a.dcm", index=0)).mean() < MOST_APART
