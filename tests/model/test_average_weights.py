import pytest
import torch
from average_weights import average

from lidarpan.structures import InputError


def test_tensors_are_averaged_and_counters_kept():
    first = {"weight": torch.tensor([0.0, 4.0]), "steps": torch.tensor(3)}
    second = {"weight": torch.tensor([2.0, 0.0]), "steps": torch.tensor(9)}
    mean = average(first, second, 0.25)
    assert mean["weight"].tolist() == [0.5, 3.0]
    assert mean["steps"] == 9
    assert average(first, second, 1.0)["weight"].tolist() == [2.0, 0.0]


def test_weights_of_other_networks_are_refused():
    one, other = {"a": torch.zeros(2)}, {"a": torch.zeros(3)}
    with pytest.raises(InputError, match="differ in a"):
        average(one, other, 0.5)
    with pytest.raises(InputError, match="differ in b"):
        average(one, {**one, "b": torch.zeros(1)}, 0.5)
    with pytest.raises(InputError, match="share from 0 to 1"):
        average(one, one, 1.5)
