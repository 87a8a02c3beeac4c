"""The mean of networks is the mean of each of their tensors."""

import pytest

pytest.importorskip("torch", reason="torch comes with the train extra")

import torch

from inference.training.soup import mean


def test_each_tensor_is_the_mean_and_a_count_the_last_one_s() -> None:
    networks = [{"a": torch.full((2,), v), "n": torch.tensor(i)} for i, v in enumerate((1.0, 3.0))]
    found = mean(networks)
    assert found["a"].tolist() == [2, 2]
    assert found["n"].item() == 1


def test_networks_of_different_tensors_are_refused() -> None:
    with pytest.raises(ValueError, match="different tensors"):
        mean([{"a": torch.zeros(2)}, {"a": torch.zeros(3)}])
