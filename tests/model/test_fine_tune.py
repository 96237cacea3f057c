import pytest
import torch

from lidarpan.classes import load_class_table
from lidarpan.model.fine_tune import HEADS, begin_from
from lidarpan.model.network import PanopticNetwork
from lidarpan.structures import InputError

KITTI = load_class_table("semantickitti").names
NUSCENES = load_class_table("nuscenes").names
SIZES = {
    "channels": [4, 6],
    "encoder_blocks": [1, 1],
    "decoder_blocks": [1],
    "bev_channels": 4,
    "bev_blocks": 1,
}


def network(names, seed):
    torch.manual_seed(seed)
    return PanopticNetwork(len(names), **SIZES)


def test_rows_of_known_classes_go_over_by_name():
    old, new = network(KITTI, 0), network(NUSCENES, 1)
    fresh = {name: value.clone() for name, value in new.state_dict().items()}
    taken = begin_from(new, NUSCENES, old.state_dict(), KITTI, "old")
    assert taken.is_replaced
    assert "car" in taken.kept
    assert "barrier" in taken.fresh
    assert "begin anew (barrier" in str(taken)
    for head in HEADS:
        got, had = new.state_dict()[head], old.state_dict()[head]
        for row, name in enumerate(NUSCENES[1:]):
            wanted = had[KITTI.index(name) - 1] if name in KITTI else fresh[head][row]
            assert torch.equal(got[row], wanted)
    for name, value in old.state_dict().items():
        assert name in HEADS or torch.equal(new.state_dict()[name], value)


def test_classes_in_another_order_are_no_loss():
    turned = (KITTI[0], *reversed(KITTI[1:]))
    old, new = network(KITTI, 0), network(turned, 1)
    taken = begin_from(new, turned, old.state_dict(), KITTI, "old")
    assert not taken.is_replaced
    assert torch.equal(new.semantic_head.bias, old.semantic_head.bias.flip(0))


def test_the_same_classes_are_taken_as_they_are():
    old, new = network(KITTI, 0), network(KITTI, 1)
    begin_from(new, KITTI, old.state_dict(), KITTI, "old")
    assert all(torch.equal(v, new.state_dict()[k]) for k, v in old.state_dict().items())


def test_another_network_is_refused():
    state = network(KITTI, 0).state_dict()
    with pytest.raises(InputError, match="should be"):
        begin_from(
            PanopticNetwork(len(NUSCENES), **(SIZES | {"channels": [8, 6]})),
            NUSCENES,
            state,
            KITTI,
            "old",
        )
    with pytest.raises(InputError, match="damaged"):
        begin_from(network(NUSCENES, 0), NUSCENES, state, KITTI[:-1], "old")
