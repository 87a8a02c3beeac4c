"""Training on invented tiles: it learns, it repeats itself, and a run that was stopped ends where
an unbroken one does.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference.errors import Reason, Refused
from inference.training.data import SPLIT_FILE, Tile
from inference.training.model import NucleusNet, load
from inference.training.recipe import Loss, Recipe, Schedule
from inference.training.train import Material, rate_at, train
from tests.inference.training.made_tiles import made_tile

MATERIAL = Material(training=[made_tile(i) for i in range(6)], validation=[made_tile(9)])
SHORT = Recipe(steps=4, batch=2, warm_up=0.25)


def trained(
    recipe: Recipe, out: Path, material: Material = MATERIAL, every: int = 100
) -> tuple[list[float], NucleusNet]:
    torch.manual_seed(recipe.seed)
    net = NucleusNet()
    return train(net, recipe, material, out, every=every), net


def test_the_loss_falls_within_a_few_steps(tmp_path: Path) -> None:
    losses, _ = trained(replace(SHORT, steps=14, rate=1e-3), tmp_path)
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


def test_the_same_seed_gives_the_same_losses_and_another_seed_others(tmp_path: Path) -> None:
    first, _ = trained(SHORT, tmp_path / "a")
    again, _ = trained(SHORT, tmp_path / "b")
    other, _ = trained(replace(SHORT, seed=2), tmp_path / "c")
    assert first == again
    assert first != other


class Stopped(Exception):
    pass


class UntilTheMachineGoesDown(list[Tile]):
    """Tiles that can be taken only so often (twice a crop: the tile, and its partner in a mosaic)."""

    left = 2 * 2 * SHORT.batch  # two steps

    def __getitem__(self, index: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise Stopped
        return super().__getitem__(index)


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, expected = trained(SHORT, tmp_path / "whole")
    with pytest.raises(Stopped):
        trained(
            SHORT, tmp_path / "cut", replace(MATERIAL, training=UntilTheMachineGoesDown(MATERIAL.training)), every=2
        )
    assert torch.load(tmp_path / "cut" / "last.pt", weights_only=True)["step"] == 2
    rest, net = trained(SHORT, tmp_path / "cut")
    assert rest == whole[2:]
    for a, b in zip(expected.state_dict().values(), net.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    "change", [{"loss": Loss.HUBER}, {"epithelium_weight": 4.0}, {"schedule": Schedule.PLATEAU, "warm_up": 2}]
)
def test_every_choice_of_the_recipe_trains(tmp_path: Path, change: dict[str, object]) -> None:
    losses, _ = trained(replace(SHORT, steps=2, **change), tmp_path)  # type: ignore[arg-type]
    assert np.isfinite(losses).all()


def test_a_teacher_changes_what_is_learnt(tmp_path: Path) -> None:
    torch.manual_seed(5)
    teacher = NucleusNet().eval()
    alone, _ = trained(replace(SHORT, steps=2, distil=0.5), tmp_path / "alone")
    taught, _ = trained(replace(SHORT, steps=2, distil=0.5), tmp_path / "taught", replace(MATERIAL, teachers=[teacher]))
    assert alone[0] != taught[0]


def test_the_rate_rises_to_its_height_and_falls_to_nearly_nothing() -> None:
    rates = [rate_at(step, Recipe(steps=100, warm_up=0.1)) for step in range(100)]
    assert int(np.argmax(rates)) == 10
    assert max(rates) == pytest.approx(Recipe().rate)
    assert rates[-1] < 1e-3 * max(rates)


def test_weights_with_nan_are_refused_at_load(tmp_path: Path) -> None:
    net = NucleusNet()
    with torch.no_grad():
        net.head.weight[0, 0] = float("nan")
    torch.save({"net": net.state_dict()}, tmp_path / "bad.pt")
    with pytest.raises(Refused, match="NaN") as refused:
        load(tmp_path / "bad.pt")
    assert refused.value.reason is Reason.MODEL_INVALID


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.pt").write_bytes(content)
    with pytest.raises(Refused, match="isn't a checkpoint"):
        load(tmp_path / "bad.pt")


@pytest.mark.parametrize("name", ["train", "calibrate", "export", "ablate", "simclr", "search"])
def test_every_command_explains_itself(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"inference.training.{name}", "--help"], capture_output=True, text=True, check=True
    )
    assert "usage:" in done.stdout


def test_the_split_names_each_validation_tile_once() -> None:
    names = json.loads(SPLIT_FILE.read_text())["validation"]
    assert len(names) == len(set(names)) == 34
