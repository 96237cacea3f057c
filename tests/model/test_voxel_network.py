"""What a voxel network's choices do: prior, patches, copies; on a small one with random weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lidarpan.config import Config
from lidarpan.model.copies import COPIES, Copy
from lidarpan.model.outputs import VoxelOutputs
from lidarpan.model.weights import build_network
from lidarpan.pipeline import PanopticPipeline
from lidarpan.structures import InputError, Scan

SMALL = Config.model_validate(
    {
        "grid": {"min_m": [-9.6, -9.6, -3.2], "max_m": [9.6, 9.6, 3.2], "voxel_m": [0.3, 0.3, 0.4]},
        "network": {
            "channels": [8, 12],
            "encoder_blocks": [1, 1],
            "decoder_blocks": [1],
            "bev_channels": 8,
            "bev_blocks": 1,
        },
    }
)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    return build_network(SMALL)


@pytest.fixture(scope="module")
def scan():
    rng = np.random.default_rng(0)
    ground = np.column_stack([rng.uniform(-9, 9, (3000, 2)), np.full(3000, -1.73)])
    boxes = (
        rng.uniform(0, 1.5, (6, 200, 3))
        + np.r_[0, 0, -1.7]
        + rng.uniform(-7, 6, (6, 1, 3)) * [1, 1, 0]
    )
    points = np.concatenate([ground, boxes.reshape(-1, 3)]).astype(np.float32)
    return Scan(points, rng.random(len(points)).astype(np.float32))


def net(network, tta=False, **sections):
    tree = SMALL.model_dump()
    for name, values in sections.items():
        tree[name] |= values
    return PanopticPipeline.from_config(Config.model_validate(tree), network, tta=tta).network


def test_a_copy_that_is_the_scan_itself_changes_nothing(network, scan):
    plain = net(network)
    prepared = plain.prepare(scan)
    want = plain.run(prepared)
    plain.copies = (Copy(0.0),)
    got = plain.run(prepared)
    assert np.allclose(got.probabilities, want.probabilities, atol=1e-5)
    assert np.allclose(got.offset_m, want.offset_m, atol=1e-4)


def test_copies_are_asked_for_by_name(network, scan):
    plain, with_copies = net(network), net(network, tta=True)
    assert with_copies.copies == COPIES
    first = plain.run(plain.prepare(scan)).probabilities
    mean = with_copies.run(with_copies.prepare(scan)).probabilities
    assert mean.shape == first.shape
    assert not np.allclose(mean, first, atol=1e-3)


def test_the_prior_is_added_to_the_logits(network, scan):
    plain = net(network)
    corrected = net(network, prior={"power": 1.0, "trained": {"person": 0.5, "car": 0.01}})
    prepared = plain.prepare(scan)
    with torch.inference_mode():
        logits = plain.forward(plain.tensor_of(prepared)).semantic.numpy()
    want = np.exp(logits + corrected.prior)
    got = corrected.run(prepared).probabilities
    assert np.allclose(got, want / want.sum(axis=1, keepdims=True), atol=1e-5)
    assert corrected.prior[5] < 0 < corrected.prior[0]


@pytest.mark.parametrize("prior", [{"power": 0.0, "trained": {"person": 0.5}}, {"trained": {}}])
def test_a_prior_can_be_left_out(network, prior):
    assert net(network, prior=prior).prior is None


def test_patches_are_on_unless_told_otherwise(network, scan):
    smooth, sharp = net(network), net(network, fusion={"patches": False})
    prepared = smooth.prepare(scan)
    outputs = smooth.run(prepared)
    noise = np.random.default_rng(1).dirichlet(np.ones(19), len(outputs.probabilities))
    outputs = replace(outputs, probabilities=noise.astype(np.float32))
    assert sharp.ground is None
    assert (
        sharp.per_point(prepared, outputs).classes != smooth.per_point(prepared, outputs).classes
    ).any()
    same = outputs.in_patches(prepared, smooth.ground, smooth.grid)
    assert isinstance(same, VoxelOutputs)
    assert (
        sharp.per_point(prepared, same).classes == smooth.per_point(prepared, outputs).classes
    ).all()


def test_weights_tell_their_choices_and_the_caller_has_the_last_word():
    own = PanopticPipeline.from_weights("town", "cpu")
    told = PanopticPipeline.from_weights(
        "town", "cpu", min_score=0.7, patches=False, prior_power=0.0, tta=True
    )
    assert own.network.copies == ()
    assert own.network.ground == own.classes.ground
    assert told.network.copies == COPIES
    assert (told.min_score, told.network.ground, told.network.prior) == (0.7, None, None)
    with pytest.raises(InputError, match="min_score"):
        PanopticPipeline.from_weights("town", "cpu", min_score=1.5)
