"""The table of ablations: a run is trained and measured once, a row says what the figures are."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch comes with the train extra")

from inference.training.he.ablate import FIGURES, RUNS, SHOWN, Run, measured, table
from inference.training.he.recipe import Recipe
from inference.training.he.train import KEPT
from tests.inference.training.he.made import lay_tile, lay_tiles

BASE = [name for name, run in RUNS.items() if run == Run(seed=run.seed)]


@pytest.mark.parametrize("run", [Run(), Run(attention=False), Run(network="small_unshared")])
def test_a_run_that_is_measured_isnt_trained_again(tmp_path: Path, run: Run) -> None:
    lay_tile(tmp_path, 5)  # of the fold that is left out
    tiles = lay_tiles(tmp_path, range(1, 2))
    recipe, out = Recipe(steps=1, batch=1, side=128), tmp_path / "run"
    first = measured(run, recipe, tiles, out, fast=False)
    assert set(SHOWN) <= set(first)
    (out / KEPT).unlink()
    assert measured(run, recipe, tiles, out, fast=False) == first
    assert sorted(path.name for path in out.iterdir()) == [FIGURES, "log.jsonl"]


def test_the_table_says_how_far_the_seeds_lie_apart() -> None:
    figures = {name: dict.fromkeys(SHOWN, 0.1 * i) for i, name in enumerate([*BASE, "attention off"], start=1)}
    rows = table(figures).splitlines()
    assert len(BASE) == 3
    assert len(rows) == 2 + 4 + 1
    assert rows[-2].startswith("| attention off | 0.400 |")
    assert rows[-1].startswith("| base, 3 seeds | 0.100 to 0.300 |")
    assert "seeds" not in table({BASE[0]: figures[BASE[0]]})
