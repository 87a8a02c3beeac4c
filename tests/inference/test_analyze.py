"""The four steps over a slide, with an engine that finds drawn dots exactly: what the steps themselves must hold."""

import threading
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.analysis import ModelFacts
from inference.analyze import Options, analyze
from inference.analyzers.nuclear import NUCLEAR
from inference.cells.file import read_cells
from inference.cells.values import joined
from inference.errors import ChromogenError, Failed, Reason, Refused
from inference.geometry import Region, Size
from inference.infer import TileAnswer
from inference.tile import TileShape, plan
from tests.made_slide import ArraySlide
from tests.models import IHC_TILE, STRIDE

DOT = (70, 60, 160)
TISSUE = (200, 190, 200)


class DotEngine:
    """Finds every dot of the colour DOT; answers in whatever order threads finish. Places: at most `places` a tile."""

    model = IHC_TILE
    facts = ModelFacts(name="dots", version="1", sha256="0" * 64, graphs=(), engine="test")
    workers = 3

    def __init__(self, places: int = 10_000, fail_after: int | None = None) -> None:
        self._places, self._left, self._lock = places, fail_after, threading.Lock()

    def detect(self, tiles: npt.NDArray[np.uint8], faintest: float) -> list[TileAnswer]:
        with self._lock:
            if self._left is not None:
                self._left -= len(tiles)
                if self._left < 0:
                    raise Failed(Reason.ENGINE_FAILED, "told to fail")
        return [self._one(tile) for tile in tiles]

    def _one(self, tile: npt.NDArray[np.uint8]) -> TileAnswer:
        mask = (tile == np.array(DOT, np.uint8)).all(axis=2).astype(np.uint8)
        count, _, _, centres = cv2.connectedComponentsWithStats(mask)
        xy = centres[1:][: self._places].astype(np.float32)
        n = len(xy)
        columns = {
            "x": xy[:, 0],
            "y": xy[:, 1],
            "label": np.zeros(n, np.int32),
            "confidence": np.ones(n, np.float32),
            "hue": np.full(n, 220, np.int32),
            "value": np.full(n, 160, np.int32),
            "dab_od_centi": np.zeros(n, np.int32),
        }
        return TileAnswer(columns=columns, found=count - 1)


def tiles_of(core: int, halo: int = STRIDE) -> TileShape:
    return TileShape(core=core, halo=halo, stride=STRIDE)


def dotted(width: int, height: int, seed: int = 0, step: int = 16) -> tuple[ArraySlide, set[tuple[int, int]]]:
    """A slide that is all tissue with single-pixel dots, some of them at seams and corners, and where they are."""
    random = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), TISSUE, np.uint8)
    dots = {
        (int(x + random.integers(0, 8)), int(y + random.integers(0, 8)))
        for x in range(0, width, step)
        for y in range(0, height, step)
    }
    dots = {d for d in dots if d[0] < width and d[1] < height}
    for corner in ((0, 0), (width - 1, height - 1), (width - 1, 0)):
        dots = {d for d in dots if abs(d[0] - corner[0]) > 1 or abs(d[1] - corner[1]) > 1} | {corner}
    for x, y in dots:
        pixels[y, x] = DOT
    return ArraySlide(pixels), dots


def found(file: Path) -> set[tuple[int, int]]:
    cells = joined(list(read_cells(file, NUCLEAR.schema)))
    listed = list(zip(cells.x.astype(int).tolist(), cells.y.astype(int).tolist(), strict=True))
    assert len(listed) == len(set(listed)), "a nucleus was counted twice"
    return set(listed)


@settings(max_examples=15, deadline=None)
@given(st.integers(40, 700), st.integers(40, 700), st.integers(1, 8), st.integers(1, 2), st.integers(1, 5))
def test_every_nucleus_is_kept_once_whatever_tiles_and_batches(
    tmp_path_factory: pytest.TempPathFactory, width: int, height: int, core: int, halo: int, batch: int
) -> None:
    slide, dots = dotted(width, height)
    file = tmp_path_factory.mktemp("n") / "nuclei.parquet"
    options = Options(shape=tiles_of(core * STRIDE, halo * STRIDE), batch=batch)
    result = analyze(slide, DotEngine(), NUCLEAR, file, options)
    assert found(file) == dots
    assert result.n == len(dots)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_a_region_holds_exactly_its_own_nuclei(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    slide, dots = dotted(300, 200, step=9)
    x, y = data.draw(st.integers(0, 250)), data.draw(st.integers(0, 150))
    region = Region(x=x, y=y, width=data.draw(st.integers(50, 300 - x)), height=data.draw(st.integers(50, 200 - y)))
    file = tmp_path_factory.mktemp("n") / "nuclei.parquet"
    analyze(slide, DotEngine(), NUCLEAR, file, Options(shape=tiles_of(64), region=region))
    assert found(file) == {d for d in dots if region.x <= d[0] < region.right and region.y <= d[1] < region.bottom}


@pytest.mark.parametrize(
    ("region", "why"),
    [
        ((0, 0, 0, 10), "empty"),
        ((0, 0, 10, -1), "empty"),
        ((-1, 0, 10, 10), "outside"),
        ((290, 0, 20, 10), "outside"),
        ((0, 500, 9, 9), "outside"),
    ],
)
def test_a_region_that_is_empty_or_reaches_outside_is_refused(
    tmp_path: Path, region: tuple[int, int, int, int], why: str
) -> None:
    slide, _ = dotted(300, 200)
    x, y, width, height = region
    options = Options(region=Region(x=x, y=y, width=width, height=height))
    with pytest.raises(Refused, match=f"REGION_INVALID.*{why}"):
        analyze(slide, DotEngine(), NUCLEAR, tmp_path / "n.parquet", options)


def test_glass_alone_is_refused(tmp_path: Path) -> None:
    slide = ArraySlide(np.full((400, 400, 3), 243, np.uint8))
    with pytest.raises(Refused, match="NO_TISSUE"):
        analyze(slide, DotEngine(), NUCLEAR, tmp_path / "n.parquet", Options())
    assert list(tmp_path.iterdir()) == []


def test_an_he_slide_is_refused_where_asked_and_warned_of_otherwise(tmp_path: Path) -> None:
    pixels = np.full((400, 400, 3), (215, 150, 190), np.uint8)
    with pytest.raises(Refused, match="NOT_IHC"):
        analyze(ArraySlide(pixels), DotEngine(), NUCLEAR, tmp_path / "n.parquet", Options(refuse_mismatch=True))
    assert "NOT_IHC" in analyze(ArraySlide(pixels), DotEngine(), NUCLEAR, tmp_path / "n.parquet", Options()).warnings


def test_an_unreadable_tile_is_named_and_past_a_share_the_slide_is_refused(tmp_path: Path) -> None:
    slide, dots = dotted(64 * 20, 64 * 10)
    one = ArraySlide(
        slide.read(Region(x=0, y=0, width=1280, height=640)), broken=(Region(x=70, y=70, width=20, height=20),)
    )
    result = analyze(one, DotEngine(), NUCLEAR, tmp_path / "n.parquet", Options(shape=tiles_of(64, 0)))
    assert (result.tiles.unreadable, result.tiles.analysed) == (1, 199)
    assert "TILES_UNREADABLE" in result.warnings
    assert found(tmp_path / "n.parquet") == {d for d in dots if not (64 <= d[0] < 128 and 64 <= d[1] < 128)}
    many = ArraySlide(
        slide.read(Region(x=0, y=0, width=1280, height=640)), broken=(Region(x=0, y=0, width=1280, height=20),)
    )
    with pytest.raises(Refused, match=r"TILES_UNREADABLE: 20 of 200 tiles don't decode: tile 0 at working px \(0, 0\)"):
        analyze(many, DotEngine(), NUCLEAR, tmp_path / "m.parquet", Options(shape=tiles_of(64, 0)))
    assert not (tmp_path / "m.parquet").exists()


def test_an_engine_that_fails_in_mid_slide_leaves_no_partial_result(tmp_path: Path) -> None:
    slide, _ = dotted(640, 640)
    with pytest.raises(ChromogenError, match="ENGINE_FAILED"):
        analyze(slide, DotEngine(fail_after=30), NUCLEAR, tmp_path / "n.parquet", Options(shape=tiles_of(64)))
    assert list(tmp_path.iterdir()) == []


def test_more_peaks_than_places_are_reported(tmp_path: Path) -> None:
    slide, _ = dotted(320, 320)
    result = analyze(slide, DotEngine(places=5), NUCLEAR, tmp_path / "n.parquet", Options(shape=tiles_of(160)))
    assert result.tiles.overflowed == 4
    assert "PEAKS_OVERFLOWED" in result.warnings


def test_progress_rises_to_one_and_may_stop_the_analysis(tmp_path: Path) -> None:
    slide, _ = dotted(320, 320)
    shares: list[float] = []
    analyze(slide, DotEngine(), NUCLEAR, tmp_path / "n.parquet", Options(shape=tiles_of(64)), shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analyze(slide, DotEngine(), NUCLEAR, tmp_path / "m.parquet", Options(shape=tiles_of(64)), stop)
    assert not (tmp_path / "m.parquet").exists()


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 31))
def test_cores_cover_a_picture_without_overlap(width: int, height: int, core: int) -> None:
    size = Size(width=width, height=height)
    tiles = plan(size, tiles_of(core * STRIDE), Region(x=0, y=0, width=width, height=height), None)
    assert sum(t.core.size.area for t in tiles) == size.area
    assert all(t.x % STRIDE == 0 and t.y % STRIDE == 0 and t.core.inside(size) for t in tiles)


def test_sides_off_the_stride_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        tiles_of(100)
