"""The H&E network as configured, its attention, its loss, and a run that goes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch comes with the train extra")

import torch

from inference.errors import Reason, Refused
from inference.training.he import data
from inference.training.he.attention import CrissCross
from inference.training.he.export import multiply_adds
from inference.training.he.loss import Weights, costs, loss_of
from inference.training.he.model import HeNet, load, network, start_from
from inference.training.he.recipe import Recipe
from inference.training.he.train import KEPT, batch, begin, resume, save, train
from inference.training.model import NucleusNet
from tests.inference.training.he.made import lay_tiles

NETWORKS = ("shared", "patent", "small_patent", "small_unshared", "small_trunk")
NO_TEACHER = torch.zeros(1, 8, 8, 8)
COUNTS = np.array([10, 160, 160, 40])


def attention(passes: int, reach: int = 99) -> CrissCross:
    torch.manual_seed(1)
    module = CrissCross(16, passes=passes, reach=reach)
    module.weight.data.fill_(1)
    return module.eval()


def changed_by_one_position(module: CrissCross) -> torch.Tensor:
    """(h, w): where the answer moves when position (2, 3) does."""
    x = torch.randn(1, 16, 6, 7)
    other = x.clone()
    other[0, :, 2, 3] += 1
    with torch.no_grad():
        return (module(x) - module(other)).abs().amax(dim=(0, 1)) > 1e-6


def test_one_pass_reaches_row_and_column_and_two_reach_all() -> None:
    cross = torch.zeros(6, 7, dtype=torch.bool)
    cross[2], cross[:, 3] = True, True
    assert torch.equal(changed_by_one_position(attention(1)), cross)
    assert changed_by_one_position(attention(2)).all()


def test_attention_sees_no_further_than_its_reach() -> None:
    moved = changed_by_one_position(attention(1, reach=2))
    assert torch.equal(moved[2], (torch.arange(7) - 3).abs() <= 2)


def test_attention_is_the_mean_over_row_and_column_where_all_are_alike() -> None:
    module = attention(1)
    x = torch.randn(1, 16, 1, 1).expand(1, 16, 6, 7).contiguous()
    with torch.no_grad():
        torch.testing.assert_close(module(x), x + module.value(x))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_answers_seven_maps_at_full_size(name: str) -> None:
    net = HeNet(network(name)).eval()
    side = 2 * net.net.stride
    with torch.no_grad():
        assert net(torch.rand(1, 3, side, side + net.net.stride)).shape == (1, 7, side, side + net.net.stride)


def test_three_branches_share_one_attention_and_nothing_else() -> None:
    net = HeNet(network("patent"))
    assert [branch.maps for branch in net.branches] == [("nucleus",), ("distance",), ("kind",)]
    assert sum(isinstance(m, CrissCross) for m in net.modules()) == 1
    assert HeNet(network("patent", attention=False)).attention is None
    own = HeNet(network("small_unshared"))
    assert len({id(own.attention_of(i)) for i in range(3)} - {id(None)}) == 3
    assert all(net.attention_of(i) is net.attention for i in range(3))


def test_what_is_compared_with_each_other_costs_alike() -> None:
    patent, own, trunk = (multiply_adds(HeNet(network(f"small_{name}"))) for name in ("patent", "unshared", "trunk"))
    assert own == patent
    assert trunk == pytest.approx(patent, rel=0.1)


def test_a_network_starts_with_what_the_nuclear_one_learnt() -> None:
    known, net = NucleusNet(), HeNet(network("shared"))
    taken = start_from(net, known.state_dict())
    assert taken > 100
    branch = net.branches[0]
    assert torch.equal(branch.encode[2][0].conv1.weight, known.encode[1][0].conv1.weight)
    weight = dict(branch.named_parameters())["down.1.0.weight"]
    assert torch.equal(weight[:24, :3], known.down[0][0].weight)
    assert not weight[:24, 3:].any()
    assert weight[24:, 3:].any()


def target(kind: int) -> torch.Tensor:
    planes = torch.zeros(1, 5, 8, 8)
    planes[:, 3] = -1
    planes[:, 0, 2:6, 2:6], planes[:, 3, 2:6, 2:6], planes[:, 4, 2:6, 2:6] = 1, kind, 1
    return planes


def answer(kind: int) -> torch.Tensor:
    maps = torch.zeros(1, 7, 8, 8)
    maps[:, 0] = -20
    maps[:, 0, 2:6, 2:6] = 20
    maps[:, 3 + kind] = 20
    return maps


def test_a_right_answer_costs_nothing_and_a_missed_rare_kind_most() -> None:
    weights, inside, matrix = Weights(smoothing=0), torch.ones(1, 8, 8), costs(COUNTS)
    parts = loss_of(answer(0), target(0), inside, NO_TEACHER, matrix, weights)
    assert all(float(part) < 1e-3 for part in parts.values())
    rare = loss_of(answer(1), target(0), inside, NO_TEACHER, matrix, weights)["cost"]
    common = loss_of(answer(0), target(1), inside, NO_TEACHER, matrix, weights)["cost"]
    assert float(rare) == pytest.approx(0.5 * 4)
    assert float(common) == pytest.approx(0.5 / 4)
    assert "cost" not in loss_of(answer(0), target(0), inside, NO_TEACHER, matrix, Weights(cost=0))


def test_what_is_outside_of_the_tile_doesnt_count() -> None:
    inside = torch.zeros(1, 8, 8)
    inside[:, 6:] = 1
    parts = loss_of(answer(0), target(1), inside, NO_TEACHER, costs(COUNTS), Weights(smoothing=0))
    assert float(parts["kind"]) == float(parts["cost"]) == float(parts["distance"]) == 0


def test_the_cycle_rises_and_falls_to_nothing() -> None:
    recipe = Recipe(steps=100, rate=1.0)
    rates = [recipe.rate_at(recipe.progress(step, 0)) for step in range(101)]
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates.index(max(rates)) == 5
    assert rates[-1] <= 1e-3
    assert rates[0] < 0.1
    assert replace(recipe, minutes=1.0).progress(3, 45) == 0.75


def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    tiles = lay_tiles(tmp_path)
    recipe = Recipe(steps=2, batch=1)
    state = begin("shared", recipe, None)
    train(state, replace(recipe, steps=1), tiles, tmp_path / "run", every=1, fast=False)
    again = begin("shared", recipe, None)
    resume(again, tmp_path / "run" / KEPT)
    assert again.step == 1
    train(again, recipe, tiles, tmp_path / "run", every=1, fast=False)
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 2
    assert load(tmp_path / "run" / KEPT).net == network("shared")
    with pytest.raises(ValueError, match="is of the network shared"):
        resume(begin("patent", recipe, None), tmp_path / "run" / KEPT)


def test_what_a_step_draws_depends_on_seed_and_step_only(tmp_path: Path) -> None:
    tiles, recipe = lay_tiles(tmp_path), Recipe(batch=1)
    first, same, later = (batch(tiles, recipe, step)[0] for step in (3, 3, 4))
    assert torch.equal(first, same)
    assert not torch.equal(first, later)
    assert batch(tiles, replace(recipe, side=128), 3)[1].shape == (1, 5, 128, 128)
    assert data.counts(tiles).sum() == sum(len(t.centre) for t in tiles)


def test_a_foreign_checkpoint_or_nan_is_refused(tmp_path: Path) -> None:
    state = begin("shared", Recipe(), None)
    state.average.branches[0].head.bias.data.fill_(float("nan"))
    save(state, tmp_path / "nan.pt")
    torch.save({"net": 1}, tmp_path / "foreign.pt")
    for name in ("nan.pt", "foreign.pt", "missing.pt"):
        with pytest.raises(Refused) as refused:
            load(tmp_path / name)
        assert refused.value.reason is Reason.MODEL_INVALID
