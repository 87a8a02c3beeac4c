"""Pictures of an image: the same whatever the bands, whole files, and a map that says what the network found."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inference.geometry import Region
from inference.model import Resolution
from inference.multiplex import bands, separated
from inference.multiplex.nuclei import USUAL_THRESHOLD, strength
from inference.multiplex.png import PngWriter
from inference.multiplex.raster import Nuclei, raster
from inference.multiplex.resampled import Resampled
from inference.multiplex.segmentation import Gates, read
from inference.outline import RAYS
from server.slides.whole_picture import MappedPicture

RESOLUTION = Resolution(working=0.5, finest=0.4, coarsest=0.625)


def made(n: int, side: int, seed: int = 0) -> Nuclei:
    random = np.random.default_rng(seed)
    step = 20
    x, y = (v.ravel()[:n] + 10.0 for v in np.meshgrid(np.arange(0, side - 20, step), np.arange(0, side - 20, step)))
    radii = random.uniform(6, 10, (len(x), RAYS)).astype(np.float32)
    chance = random.uniform(0.1, 1, len(x)).astype(np.float32)
    return Nuclei(x, y, radii, strength(chance, 0.55), random.integers(0, 2, len(x)).astype(bool))


def noise(side: int) -> np.ndarray:
    return np.random.default_rng(3).integers(30, 250, (side, side, 3), np.uint8)


@pytest.mark.parametrize("rows", [64, 100, 1000])
def test_bands_of_any_height_give_the_same_pictures_and_counts(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    side, nuclei = 400, made(400, 400)
    image = MappedPicture(noise(side), 0.25)
    layers = bands.separated_layers(image, nuclei, nuclei.strength > USUAL_THRESHOLD)
    gates = Gates(probability=USUAL_THRESHOLD, least=20)
    whole = layers(Region(x=0, y=0, width=side, height=side))
    monkeypatch.setattr(bands, "BAND_PX", rows * side)
    names = (*bands.SEPARATED, *bands.READ)
    counts = bands.write_pictures(image, layers, gates, tmp_path, names)
    expected = read(whole.seg, None, gates)
    assert counts.total == int(expected.kept.sum()) == int((nuclei.strength > USUAL_THRESHOLD).sum())
    assert counts.positive == int((expected.kept & expected.positive).sum())
    for name, picture in whole.others.items():
        assert (np.asarray(Image.open(tmp_path / f"{name}.png")) == picture).all()
    assert (np.asarray(Image.open(tmp_path / "SegOverlaid.png")) == bands.overlaid(whole.image, expected.classes)).all()


def test_nuclei_that_touch_are_parted_on_the_map() -> None:
    radii = np.full((2, RAYS), 8, np.float32)
    pair = Nuclei(
        np.array([20.0, 33.0]), np.array([20.0, 20.0]), radii, np.full(2, 250, np.float32), np.array([1, 0], bool)
    )
    seg = separated.probability_map(pair, raster(pair, Region(x=0, y=0, width=60, height=40)))
    found = read(seg, None, Gates(probability=USUAL_THRESHOLD, least=1))
    assert sorted(found.positive.tolist()) == [False, True]
    inner, outer = seg[20, 20, 0], seg[20, 14, 0]
    assert inner > outer > 0, "it falls towards the border"


@given(st.floats(0.01, 1), st.floats(0.01, 1))
def test_the_usual_threshold_parts_what_is_counted_from_what_is_not(a: float, b: float) -> None:
    shown = strength(np.array([a, b], np.float32), 0.55)
    assert (
        (shown * (1 - separated.FALL) > USUAL_THRESHOLD) == (np.array([a, b], np.float32) >= np.float32(0.55))
    ).all()
    assert (shown[0] <= shown[1]) == (np.float32(a) <= np.float32(b)) or np.float32(a) == np.float32(b)


@given(width=st.integers(1, 40), parts=st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_a_png_written_in_parts_is_read_as_it_was(
    width: int, parts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("png") / "a.png"
    pixels = np.random.default_rng(width).integers(0, 256, (sum(parts), width, 3), np.uint8)
    with PngWriter(path, width=width, height=len(pixels)) as file:
        for first, n in zip(np.cumsum([0, *parts[:-1]]).tolist(), parts, strict=True):
            file.write(pixels[first : first + n])
    assert (np.asarray(Image.open(path)) == pixels).all()


def test_a_png_that_fails_is_not_left(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full"), PngWriter(tmp_path / "a.png", width=3, height=3):
        raise OSError("the disk is full")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mpp", [0.1, 0.17, 0.25, 0.33, 0.5, 0.7, 1.0, 1.6])
def test_a_resampled_pixel_is_the_same_in_every_region(mpp: float) -> None:
    slide = Resampled(MappedPicture(noise(300), mpp), RESOLUTION)
    size = slide.working.size
    assert RESOLUTION.finest <= slide.working.mpp <= RESOLUTION.coarsest
    assert size.width * slide.working.scale == pytest.approx(300, abs=slide.working.scale)
    whole = slide.read(Region(x=0, y=0, width=size.width, height=size.height))
    for x, y, side in ((0, 0, 13), (7, 11, 5), (size.width - 9, size.height - 9, 9)):
        part = slide.read(Region(x=x, y=y, width=side, height=side))
        assert (part == whole[y : y + side, x : x + side]).all()
    with pytest.raises(ValueError, match="outside"):
        slide.read(Region(x=size.width - 3, y=0, width=4, height=4))
