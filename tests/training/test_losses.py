import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.config import LossConfig
from lidarpan.model.network import HeadOutputs
from lidarpan.training.data import Batch
from lidarpan.training.losses import (
    PanopticLoss,
    bev_cross_entropy,
    heatmap_focal,
    heatmap_target,
    lovasz_softmax,
)
from lidarpan.voxels.grid import Grid

GRID = Grid((0.0, 0.0, 0.0), (4.0, 4.0, 1.0), (0.5, 0.5, 0.5))


def jaccard_loss(wrong, foreground):
    """1 - IoU when the pixels of the set `wrong` are misclassified."""
    foreground, wrong = set(foreground), set(wrong)
    intersection = len(foreground - wrong)
    union = len(foreground | wrong)
    return 1 - intersection / union


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_lovasz_equals_its_definition(seed):
    """The Lovász extension by its definition: sort errors, weigh by steps of the set function."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 8)
    probabilities = rng.dirichlet(np.ones(3), 8)
    expected = []
    for c in np.unique(labels):
        foreground = np.flatnonzero(labels == c)
        errors = np.abs((labels == c) - probabilities[:, c])
        order = np.argsort(-errors, kind="stable")
        total, before = 0.0, 0.0
        for i in range(8):
            now = jaccard_loss(order[: i + 1], foreground)
            total += errors[order[i]] * (now - before)
            before = now
        expected.append(total)
    got = lovasz_softmax(torch.tensor(probabilities), torch.tensor(labels))
    assert float(got) == pytest.approx(np.mean(expected), abs=1e-9)


def test_lovasz_extremes():
    labels = torch.tensor([0, 1, 1])
    assert float(lovasz_softmax(torch.eye(2)[labels], labels)) == 0
    assert float(lovasz_softmax(torch.eye(2)[1 - labels], labels)) == 1


def test_heatmap_target_peaks_at_the_nearest_cell_of_the_same_scan():
    columns = torch.tensor([[0, 0, 0], [0, 1, 0], [0, 9, 9], [1, 0, 0]])
    columns_m = columns[:, 1:].float() + 0.5
    centers = torch.tensor([[0.0, 1.4, 0.5, 1.0]])
    target = heatmap_target(columns, centers, columns_m)
    assert target[1] == 1
    assert float(target[0]) == pytest.approx(np.exp(-(0.9**2) / 2), rel=1e-4)
    assert target[2] < 1e-3
    assert target[3] == 0


def test_focal_prefers_the_truth():
    target = torch.tensor([1.0, 0.5, 0.0])
    good, bad = torch.tensor([4.0, -1.0, -4.0]), torch.tensor([-4.0, 4.0, 4.0])
    assert heatmap_focal(good, target) < 0.1 < heatmap_focal(bad, target)


def outputs_and_batch():
    torch.manual_seed(0)
    outputs = HeadOutputs(
        semantic=torch.randn(4, 3, requires_grad=True),
        offset_m=torch.zeros(4, 2, requires_grad=True),
        columns=torch.tensor([[0, 0, 0], [0, 2, 1]]),
        voxel_to_column=torch.tensor([0, 0, 1, 1]),
        heatmap=torch.zeros(2, requires_grad=True),
        bev_offset_m=torch.zeros(2, 2, requires_grad=True),
        bev=torch.randn(2, 5, requires_grad=True),
    )
    batch = Batch(
        features=torch.zeros(4, 13),
        indices=torch.zeros(4, 4, dtype=torch.int32),
        semantic=torch.tensor([1, 0, 2, 3]),
        instance=torch.tensor([0, -1, -1, -1]),
        voxel_m=torch.tensor([[1.0, 1.0, 0.0]] * 4),
        centers=torch.tensor([[0.0, 3.0, 4.0, 1.0, 1.0]]),
        rays=torch.zeros(0, 5),
        batch_size=1,
    )
    return outputs, batch


@pytest.mark.parametrize("kind", ["focal", "mse"])
@pytest.mark.parametrize("learned", [False, True])
def test_terms_and_gradients(kind, learned):
    outputs, batch = outputs_and_batch()
    factors = LossConfig(heatmap=2.0, offset=0.5, heatmap_kind=kind, learned_uncertainty=learned)
    loss = PanopticLoss(torch.ones(3), factors)
    terms = loss(outputs, batch, GRID)
    # Voxel 0 lies at (1, 1), its column's middle at (0.5, 0.5); the center at (3, 4).
    assert float(terms["offset"]) == pytest.approx((2 + 3) / 2 + 0.5 * (2.5 + 3.5) / 2)
    weighted = terms["cross_entropy"] + terms["lovasz"] + 2 * terms["heatmap"]
    assert float(terms["total"]) == pytest.approx(float(weighted + 0.5 * terms["offset"]), rel=1e-5)
    terms["total"].backward()
    assert outputs.semantic.grad is not None
    assert (outputs.semantic.grad[1] == 0).all()  # void is not learned from
    if learned:
        assert loss.log_variance.grad.abs().sum() > 0


def test_nothing_to_learn_is_zero_not_nan():
    outputs, batch = outputs_and_batch()
    empty = batch._replace(
        semantic=batch.semantic * 0, instance=batch.instance * 0 - 1, centers=batch.centers[:0]
    )
    loss = PanopticLoss(torch.ones(3), LossConfig(offset=1.0))
    assert float(loss(outputs, empty, GRID)["total"]) == 0


def test_columns_learn_the_shares_of_their_classes():
    logits = torch.randn(3, 4, requires_grad=True)
    column = torch.tensor([0, 0, 0, 0, 1, 1, 2])
    semantic = torch.tensor([1, 1, 1, 4, 2, 0, 0])  # the third column has no label
    log = logits.log_softmax(1)
    want = -((0.75 * log[0, 0] + 0.25 * log[0, 3]) + log[1, 1]) / 2
    got = bev_cross_entropy(logits, column, semantic)
    torch.testing.assert_close(got, want)
    got.backward()
    assert (logits.grad[2] == 0).all()
    nothing = bev_cross_entropy(logits, column, torch.zeros_like(semantic))
    assert float(nothing) == 0


def test_the_head_on_columns_belongs_to_the_loss():
    outputs, batch = outputs_and_batch()
    terms = {"cross_entropy": 1.0, "lovasz": 1.0, "heatmap": 1.0, "offset": 1.0}
    loss = PanopticLoss(torch.ones(3), LossConfig(**terms, bev_semantic=0.5), bev_channels=5)
    result = loss(outputs, batch, GRID)
    others = sum(result[name] for name in terms)
    torch.testing.assert_close(result["total"], others + 0.5 * result["bev_semantic"])
    result["total"].backward()
    assert outputs.bev.grad.abs().sum() > 0
    assert loss.bev_head.weight.grad.abs().sum() > 0
