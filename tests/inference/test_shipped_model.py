"""The shipped networks: sizes, odd pictures, and how far int8, float32 and the runtimes may be apart.

Tolerances (stated in docs/models/nuclei.md): between runtimes and precisions at most 1 % of the nuclei and 1 point of
H-score.
"""

import functools
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import onnxruntime
import pytest

from inference.analyze import find_cells
from inference.analyzers.nuclear import NUCLEAR
from inference.cells.values import Cells
from inference.draw import draw_slide
from inference.engines.graphs import loaded
from inference.engines.local import LocalEngine
from inference.engines.triton import filled
from inference.geometry import Region, Size
from inference.grade import GRADES, HueValueThresholds
from inference.model import FLOAT32, RUNNING, shipped_models
from inference.picture import PictureSlide
from inference.score import h_score
from inference.slide import Rgb
from inference.tile import pixels, plan
from tests.models import FINDER, HALF_A_MICROMETRE, IHC_TILE, SHAPE

THRESHOLDS = HueValueThresholds(hue=130, left=60, right=105)
MOST_BYTES = 60_000_000
VERSIONS = (RUNNING, FLOAT32)
LEAST = IHC_TILE.counting_threshold


@functools.cache
def engine(version: str = RUNNING) -> LocalEngine:
    return LocalEngine(IHC_TILE, threads=1, version=version)


@functools.cache
def drawn() -> Rgb:
    """1024 x 1024 px of a drawn slide, several hundred nuclei of all grades."""
    drawing = draw_slide(size=Size(width=2048, height=2048), seed=5, h_score=150)
    return drawing.read(Region(x=512, y=512, width=1024, height=1024))


def found(picture: Rgb, version: str = RUNNING) -> Cells:
    return found_by(engine(version), picture, LEAST)


def found_by(engine: LocalEngine, picture: Rgb, faintest: float) -> Cells:
    return find_cells(PictureSlide(picture, HALF_A_MICROMETRE), engine, NUCLEAR, faintest)


def scored(cells: Cells) -> float:
    grade = NUCLEAR.group_of(cells, THRESHOLDS) % GRADES
    value = h_score(tuple(np.bincount(grade, minlength=GRADES).tolist()))
    assert value is not None
    return value


def test_all_graphs_together_are_smaller_than_sixty_megabytes() -> None:
    assert sum(p.stat().st_size for p in shipped_models().rglob("*.onnx")) < MOST_BYTES


def test_int8_counts_and_scores_as_float32_does() -> None:
    int8, float32 = found(drawn()), found(drawn(), FLOAT32)
    assert len(float32) > 300
    assert len(int8) == pytest.approx(len(float32), rel=0.01)
    assert scored(int8) == pytest.approx(scored(float32), abs=1)


def test_cores_that_share_a_picture_find_the_same_whatever_else_runs() -> None:
    """Three pictures at once, each tile's work over two threads, against one at a time on one thread: bit for bit."""
    shared, pictures = (
        LocalEngine(IHC_TILE, threads=2, together=True),
        [drawn()[i : i + 448, i : i + 448] for i in (0, 192, 576)],
    )
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda p: found_by(shared, p, 0.3), pictures * 2))
    for cells, picture in zip(together, pictures * 2, strict=True):
        alone = found_by(engine(), picture, 0.3)
        assert len(alone) > 30
        np.testing.assert_array_equal([cells.x, cells.y], [alone.x, alone.y])
        for name in NUCLEAR.schema.names:
            np.testing.assert_array_equal(cells[name], alone[name])


@pytest.mark.parametrize("version", VERSIONS)
def test_onnx_runtime_counts_as_openvino_does(version: str) -> None:
    graph = IHC_TILE.graph_bytes(FINDER, version)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    tile = drawn()[None, :512, :512]
    at = FINDER.output_names.index(FINDER.probability)
    answers = session.run(None, {"tiles": tile}), loaded(FINDER, graph).answer(tile)
    counted = [int((answer[at] >= LEAST).sum()) for answer in answers]
    assert counted[0] > 50
    assert counted[0] == pytest.approx(counted[1], rel=0.01, abs=1)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_batch_changes_no_number_of_a_tiles_answer(version: str) -> None:
    tiles = np.stack([drawn()[y : y + 256, x : x + 256] for y in (0, 256) for x in (0, 256)])
    together = engine(version).detect(tiles, 0.01)
    for tile, answer in zip(tiles, together, strict=True):
        alone = engine(version).detect(tile[None], 0.01)[0]
        for name in ("x", "y", "nucleus", "confidence", "hue", "value", "dab_od_centi"):
            assert np.array_equal(alone.columns[name], answer.columns[name]), name


@pytest.mark.parametrize("level", [0, 255, 128])
def test_a_plain_picture_holds_no_nuclei(level: int) -> None:
    assert len(found(np.full((200, 200, 3), level, np.uint8))) == 0


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (31, 33), (201, 199), (333, 47)])
def test_pictures_smaller_than_the_halo_and_of_odd_sizes_are_answered_inside_of_them(size: tuple[int, int]) -> None:
    cells = found(np.ascontiguousarray(drawn()[: size[0], : size[1]]))
    assert ((cells.x >= -0.5) & (cells.x < size[1] - 0.5)).all()
    assert ((cells.y >= -0.5) & (cells.y < size[0] - 0.5)).all()


def test_small_pictures_filled_up_to_a_server_s_tile_keep_their_nuclei() -> None:
    """What is right and below of the picture isn't its own, in process too, and may change a nucleus at that edge."""
    size = Size(width=256, height=256)
    shape = SHAPE.fitting(size)
    [tile] = plan(size, shape, Region(x=0, y=0, width=256, height=256), None)
    counts = []
    for y, x in ((y, x) for y in (0, 256) for x in (0, 256, 512, 768)):
        own = pixels(
            PictureSlide(np.ascontiguousarray(drawn()[y : y + 256, x : x + 256]), HALF_A_MICROMETRE), tile, shape
        )[None]
        both = (engine().detect(given, LEAST)[0].columns for given in (own, filled(own, SHAPE.side)))
        counts.append([int(((c["x"] < shape.side - 32.5) & (c["y"] < shape.side - 32.5)).sum()) for c in both])
    alone, with_more = np.array(counts).T
    assert alone.sum() > 500
    assert np.abs(alone - with_more).sum() <= 0.02 * alone.sum()


def test_a_tile_with_more_peaks_than_places_says_how_many_there_were() -> None:
    random = np.random.default_rng(2)
    tile = random.integers(0, 256, (1, 32, 32, 3), np.uint8)  # 16 places
    crowded = np.repeat(np.repeat(random.integers(60, 250, (1, 8, 8, 3), np.uint8), 4, axis=1), 4, axis=2)
    for picture in (tile, crowded):
        answer = engine().detect(picture, 1e-6)[0]
        assert answer.found >= len(answer.columns["x"])
        assert answer.overflowed == (answer.found > 16)


def test_two_thousand_nuclei_on_one_production_tile_fit_their_places() -> None:
    picture = np.full((1024, 1024, 3), (228, 222, 230), np.uint8)
    places = [(12 + 22 * i, 12 + 22 * j) for i in range(45) for j in range(45)]
    for x, y in places[:2000]:
        cv2.circle(picture, (x, y), 6, (95, 85, 150), -1)
    answer = engine().detect(picture[None], LEAST)[0]
    assert not answer.overflowed
    assert 1000 < len(answer.columns["x"]) < 4000
