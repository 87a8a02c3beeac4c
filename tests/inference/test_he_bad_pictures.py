"""Bad H&E, drawn, through the network that ships: frozen, crushed, under a pen, blank; and seams between tiles."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from inference.analyze import Options, analyze, find_cells
from inference.analyzers.he import HE
from inference.cells.file import read_cells
from inference.cells.values import Cells, joined
from inference.draw.he import HeDrawing, Plan
from inference.draw.scanner import Scanner
from inference.engines.local import LocalEngine
from inference.errors import Reason, Refused
from inference.model import read_model, shipped_models
from inference.slide import Rgb
from inference.tile import TileShape
from tests.inference.he_engine import PictureSlide

SIDE = 800


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return LocalEngine(read_model(shipped_models(), "he_nuclei"), threads=1)


@pytest.fixture(scope="module")
def well() -> Rgb:
    return HeDrawing(Plan(side_um=SIDE / 4, tissue=0.97), Scanner(jpeg=None), seed=5).pixels()


@pytest.fixture(scope="module")
def nuclei(well: Rgb, engine: LocalEngine) -> int:
    return len(find_cells(PictureSlide(pixels=well), engine, HE, 0.0))


def frozen(well: Rgb) -> tuple[Rgb, npt.NDArray[np.bool_]]:
    """A picture as a frozen section has it, blurred and torn by crystals, and where these are."""
    side = len(well)
    random, ice = np.random.default_rng(2), np.zeros((side, side), np.uint8)
    for x, y, long in random.integers((0, 0, 8), (side, side, 30), (120, 3)).tolist():
        cv2.ellipse(ice, (x, y), (long, 3 * long // 5), 7.0 * x, 0, 360, 1, cv2.FILLED)
    soft = cv2.GaussianBlur(ice.astype(np.float32), (0, 0), 2)[..., None]
    return (cv2.GaussianBlur(well, (0, 0), 3) * (1 - soft) + 243 * soft).astype(np.uint8), ice > 0


def read(
    pixels: Rgb, engine: LocalEngine, folder: Path, *, refuse: bool = True, **options: TileShape
) -> tuple[Cells, tuple[str, ...]]:
    """Its nuclei, and the warnings of a slide that is nothing else."""
    path = folder / "cells.parquet"
    found = analyze(PictureSlide(pixels=pixels), engine, HE, path, Options(refuse_mismatch=refuse, **options))
    return joined(list(read_cells(path, HE.schema))), found.warnings


def within(cells: Cells, mask: npt.NDArray[np.bool_]) -> int:
    row, column = (np.rint(v).astype(int).clip(0, SIDE - 1) for v in (cells.y, cells.x))
    return int(mask[row, column].sum())


def test_holes_of_ice_are_no_nuclei(well: Rgb, engine: LocalEngine, nuclei: int, tmp_path: Path) -> None:
    """Most nuclei that are left are found, next to none in a hole."""
    picture, ice = frozen(well)
    cells, _ = read(picture, engine, tmp_path)
    assert within(cells, ice) < 0.02 * len(cells)
    assert len(cells) > 0.75 * nuclei


def test_tissue_crushed_to_streaks_is_warned_of(well: Rgb, engine: LocalEngine, tmp_path: Path) -> None:
    """Nuclei drawn out are counted wrongly, and the slide is said to be out of focus where nothing sharp is left."""
    streak = np.zeros((81, 81), np.float32)
    cv2.line(streak, (5, 25), (75, 55), 1, 3)
    smeared = cv2.filter2D(well, -1, streak / streak.sum(), borderType=cv2.BORDER_REFLECT)
    crushed = np.minimum(0.8 * smeared, 0.3 * well + 0.56 * smeared)
    _, warnings = read(crushed.astype(np.uint8), engine, tmp_path)
    assert "OUT_OF_FOCUS" in warnings
    assert "OUT_OF_FOCUS" not in read(well, engine, tmp_path)[1]


@pytest.mark.parametrize("ink", [(40, 150, 60), (30, 60, 190), (25, 25, 25)])
def test_nothing_under_a_pen_is_a_nucleus(
    well: Rgb, engine: LocalEngine, nuclei: int, tmp_path: Path, ink: tuple[int, int, int]
) -> None:
    """Green, blue or black, the slide is said to have ink."""
    line = np.zeros((SIDE, SIDE), np.uint8)
    cv2.line(line, (0, 200), (SIDE, 600), 1, 200)
    through = well.astype(np.float32) ** 0.3 * 255**0.7 * (np.array(ink) / 255)
    inked = np.where(line[..., None] > 0, through, well).astype(np.uint8)
    cells, warnings = read(inked, engine, tmp_path, refuse=False)  # so much of it that eosin is hardly seen
    assert within(cells, line > 0) <= 2
    assert len(cells) > (1 - 1.5 * line.mean()) * nuclei
    assert "INK" in warnings
    assert "INK" not in read(well, engine, tmp_path)[1]


def test_blank_glass_has_no_nuclei_and_is_refused_as_a_slide(engine: LocalEngine, tmp_path: Path) -> None:
    dusty = np.random.default_rng(1).normal(244, 3, (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
    assert len(find_cells(PictureSlide(pixels=dusty), engine, HE, 0.0)) == 0
    with pytest.raises(Refused) as refused:
        read(dusty, engine, tmp_path)
    assert refused.value.reason is Reason.NO_TISSUE


def test_tiles_of_three_sizes_find_the_same_nuclei(well: Rgb, engine: LocalEngine, tmp_path: Path) -> None:
    """In number, but for one; and but for 3 % each within 1 µm and of the same class (docs/models/he.md, Seams)."""
    shapes = [TileShape(core=core, halo=64, stride=64) for core in (256, 320, 576)]
    part = np.ascontiguousarray(well[:576, :576])
    first, *others = [read(part, engine, tmp_path, shape=shape)[0] for shape in shapes]
    assert len(first) > 100
    for other in others:
        apart = np.hypot(first.x[:, None] - other.x, first.y[:, None] - other.y)
        same = (apart.min(axis=1) < 4) & (first["kind"] == other["kind"][apart.argmin(axis=1)])
        assert abs(len(first) - len(other)) <= 1
        assert (~same).sum() <= 0.03 * len(first)
