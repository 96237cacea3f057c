"""The query head: sets of objects from sparse voxels."""

import numpy as np
import pytest
import torch

from lidarpan.model.network import PanopticNetwork
from lidarpan.model.queries import Answer, QueryHead, ScanQueries, _Voxels
from lidarpan.model.query_claims import Claims
from lidarpan.model.sparse.modules import SparseTensor

SIZES = {"channels": (8, 12, 16), "encoder_blocks": (1, 1, 1), "decoder_blocks": (1, 1)}
SHAPE = (24, 16, 8)


def query_network(**sizes):
    torch.manual_seed(0)
    head = QueryHead((1, 3), SIZES["channels"], 8, 0.5, channels=16, **sizes)
    return PanopticNetwork(5, **SIZES, bev_channels=8, bev_blocks=1, queries=head)


def voxels(seed=0, batch=0, count=300):
    rng = np.random.default_rng(seed)
    cells = np.unique(rng.integers(0, SHAPE, (count, 3)), axis=0)
    indices = np.column_stack([np.full(len(cells), batch), cells]).astype(np.int32)
    features = torch.from_numpy(rng.normal(0, 1, (len(cells), 13))).float()
    return features, torch.from_numpy(indices)


def test_shapes_of_every_layer():
    features, indices = voxels()
    outputs = query_network(layers=3, learned=5, sampled=7)(
        SparseTensor(features, indices, SHAPE, 1)
    )
    (scan,) = outputs.queries
    assert len(scan.layers) == 4
    for answer in scan.layers:
        count = len(answer.classes)
        assert 5 <= count <= 12
        assert answer.classes.shape == (count, 3)
        assert answer.masks.shape == (count, len(features))
        assert answer.center_m.shape == (count, 2)
    middle = (indices[:, 1:3] + 0.5 - torch.tensor(SHAPE[:2]) / 2) * 0.5
    torch.testing.assert_close(scan.position_m, middle)


def test_the_formula_of_a_mask():
    head = query_network(learned=2, sampled=1).queries
    queries, center = torch.randn(3, 16), torch.randn(3, 2)
    things = torch.tensor([[0.5, 0.2], [0.0, 0.0], [0.1, 0.3], [0.99, 0.01]])
    seen = _Voxels(torch.randn(4, 16), torch.randn(4, 2) * 3, things)
    log_odds = np.log([0.7 / 0.3, 0.01 / 0.99, 0.4 / 0.6, 0.99 / 0.01])
    got = head._masks(queries, center, seen)
    for q in range(3):
        bias, sharp, gain = head.shape(queries[q])
        for v in range(4):
            away = min(float((center[q] - seen.center_m[v]).square().sum()), 100)
            want = head.embed(queries[q]) @ seen.features[v] / 4 + bias + gain * log_odds[v]
            want = want - torch.nn.functional.softplus(sharp) * away
            assert float(got[q, v].detach()) == pytest.approx(float(want.detach()), abs=1e-4)


def test_a_query_begins_as_what_the_other_heads_say():
    """Voxels of things that point to its center, and the class that most of these have."""
    head = query_network(learned=2, sampled=1).queries
    at_m = torch.tensor([[0.0, 0.5], [0.0, 0.5], [0.0, 0.0], [9.0, 0.0]])
    things = torch.tensor([[0.1, 0.8], [0.2, 0.7], [0.0, 0.05], [0.9, 0.0]])
    said = head._answer(
        torch.randn(2, 16), torch.zeros(2, 2), _Voxels(torch.zeros(4, 16), at_m, things)
    )
    assert (said.masks > 0).tolist() == [[True, True, False, False]] * 2
    assert said.classes.argmax(dim=1).tolist() == [1, 1]
    nothing = head._answer(
        torch.randn(2, 16), torch.full((2, 2), 99.0), _Voxels(torch.zeros(4, 16), at_m, things * 0)
    )
    assert not (nothing.masks > 0).any()
    assert nothing.classes.argmax(dim=1).tolist() == [2, 2]


def test_scans_of_a_batch_do_not_see_each_other():
    network = query_network(learned=4, sampled=6).eval()
    (f0, i0), (f1, i1) = voxels(1), voxels(2, batch=1)
    both = SparseTensor(torch.cat([f0, f1]), torch.cat([i0, i1]), SHAPE, 2)
    alone = SparseTensor(f1, i1 * torch.tensor([0, 1, 1, 1], dtype=torch.int32), SHAPE, 1)
    with torch.no_grad():
        together, single = network(both).queries[1], network(alone).queries[0]
    assert together.rows.tolist() == list(range(len(f0), len(f0) + len(f1)))
    for a, b in zip(together.layers, single.layers, strict=True):
        torch.testing.assert_close(a.masks, b.masks, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(a.classes, b.classes, rtol=1e-3, atol=1e-3)


def test_the_order_of_voxels_does_not_matter():
    """The head itself, on the torch engine's features: voxels in another order, masks alike."""
    network = query_network(learned=4, sampled=0).eval()
    features, indices = voxels(3)
    levels = network.unet(SparseTensor(features, indices, SHAPE, 1))
    order = torch.randperm(len(features))
    fine = levels[0].features
    from lidarpan.model.bev import find_columns
    from lidarpan.model.queries import Beginnings

    columns = find_columns(levels[1])
    count = len(columns.indices)
    begin = Beginnings(columns, torch.zeros(count, 8), torch.zeros(count), torch.zeros(count, 2), 1)
    both, offsets = torch.cat([fine, torch.randn(len(fine), 8)], 1), torch.randn(len(fine), 2)
    semantic = torch.randn(len(fine), 4)
    (plain,) = network.queries(levels, both, semantic, offsets, begin)
    mixed = SparseTensor(fine[order], indices[order], SHAPE, 1)
    (other,) = network.queries(
        [mixed, *levels[1:]], both[order], semantic[order], offsets[order], begin
    )
    torch.testing.assert_close(other.layers[-1].masks, plain.layers[-1].masks[:, order])
    torch.testing.assert_close(other.layers[-1].classes, plain.layers[-1].classes)


def test_gradients_by_finite_differences():
    """Of a layer and of the masks; what goes from layer to layer as a center is cut on purpose."""
    head = query_network(layers=1, learned=2, sampled=1).queries.double()
    layer = head.layers[0]
    hidden = torch.tensor([[True, False, False], [False, True, False]])
    rows = [torch.randn(n, 16, dtype=torch.float64, requires_grad=True) for n in (2, 2, 3, 3)]
    assert torch.autograd.gradcheck(lambda *x: layer(*x, hidden), rows)
    centers = [torch.randn(n, 2, dtype=torch.float64, requires_grad=True) for n in (2, 3)]

    things = torch.full((3, 2), 0.2, dtype=torch.float64)

    def masks(queries, center_m, features, at_m):
        return head._masks(queries, center_m, _Voxels(features, at_m, things))

    assert torch.autograd.gradcheck(masks, (rows[0], centers[0], rows[2], centers[1]))


def test_every_weight_gets_a_gradient():
    network = query_network(learned=4, sampled=6)
    features, indices = voxels(5)
    (scan,) = network(SparseTensor(features, indices, SHAPE, 1)).queries
    parts = [p for a in scan.layers for p in (a.classes, a.masks, a.center_m)]
    sum(part.square().sum() for part in parts).backward()
    silent = [
        n for n, p in network.queries.named_parameters() if p.grad is None or not p.grad.any()
    ]
    assert silent == []


def answer(probability, masks):
    """Classes by probability (Q, T), masks by logits (Q, V)."""
    rest = 1 - np.sum(probability, axis=1, keepdims=True)
    logits = torch.tensor(np.log(np.concatenate([probability, rest], axis=1) + 1e-9))
    masks = torch.tensor(masks, dtype=torch.float64)
    return Answer(logits, masks, torch.zeros(len(masks), 2))


def test_claims_of_sure_queries_only():
    said = answer(
        [[0.9, 0.05], [0.02, 0.03], [0.1, 0.8], [0.6, 0.1]],
        [[9, 9, 9, -9, -9], [9] * 5, [-9, -9, 2, 9, 9], [9, 9, -9, -9, -9]],
    )
    scan = ScanQueries(torch.arange(5), torch.zeros(5, 2), (said,), (1, 4))
    claims = Claims.of(scan, 6)
    # the fourth query's voxels are the first's; the second says that it is no object
    assert claims.ids.tolist() == [[1, 0], [1, 0], [1, 2], [2, 0], [2, 0]]
    np.testing.assert_allclose(
        claims.softmax, [[0] * 6, [0, 0.9, 0, 0, 0.05, 0], [0, 0.1, 0, 0, 0.8, 0]], atol=1e-6
    )


def test_no_query_is_sure_of_anything():
    said = answer([[0.01, 0.01]], [[9, 9]])
    scan = ScanQueries(torch.arange(2), torch.zeros(2, 2), (said,), (1, 4))
    claims = Claims.of(scan, 6)
    assert not claims.ids.any()
    assert claims.softmax.shape == (1, 6)


def test_points_that_no_object_claims_go_with_their_group():
    claims = Claims(
        np.array([[1, 2], [1, 0], [0, 0], [2, 0], [0, 0], [0, 0], [0, 0]], np.int32),
        np.array([[0, 0, 0], [0, 0.9, 0.1], [0, 0.2, 0.7]], np.float32),
    )
    groups = np.array([3, 3, 3, 3, 1, 2, 0], np.int32)
    whole = claims.completed(groups)
    # object 1 claims two points of group 3, object 2 one; groups 1 and 2 are objects of their own
    assert whole.ids[:, 0].tolist() == [1, 1, 1, 2, 3, 4, 0]
    assert whole.ids[:, 1].tolist() == [2, 0, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(whole.softmax[:3], claims.softmax)
    assert (whole.softmax[3:] == 1).all()
    assert len(whole.softmax) == 6
    assert Claims.completed(claims, groups * 0).ids.tolist() == claims.ids.tolist()
