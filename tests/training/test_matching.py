"""Queries matched to objects: against brute force, and on a toy scene."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.model.queries import Answer, ScanQueries
from lidarpan.training.matching import (
    Objects,
    match,
    matching_cost,
    overlap_loss,
    query_loss,
    true_objects,
)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(0, 4))
def test_the_cheapest_of_all_assignments(seed, num_queries, num_objects):
    cost = np.random.default_rng(seed).normal(0, 1, (num_queries, num_objects))
    rows, columns = match(cost)
    assert len(rows) == len(columns) == min(num_queries, num_objects)
    assert len(set(rows)) == len(rows)
    small, large = sorted(cost.shape)
    wide = cost if cost.shape[0] == small else cost.T
    best = min(
        (
            sum(wide[i, p[i]] for i in range(small))
            for p in itertools.permutations(range(large), small)
        ),
        default=0,
    )
    np.testing.assert_allclose(cost[rows, columns].sum(), best, atol=1e-9)


def random_case(seed=0, num_queries=6, num_voxels=30):
    """Three objects of ten voxels, of classes 2, 3 and 2, and queries that say anything."""
    generator = torch.Generator().manual_seed(seed)
    owner = torch.arange(num_voxels) // 10
    semantic = torch.tensor([2, 3, 2])[owner]
    centers = torch.tensor([[0, 5.0, 5, 1, 2], [0, 0.0, 3, 1, 3], [0, -4.0, 1, 1, 2]])
    voxel_m = torch.randn(num_voxels, 2, generator=generator)
    layers = tuple(
        Answer(
            torch.randn(num_queries, 3, generator=generator, requires_grad=True),
            torch.randn(num_queries, num_voxels, generator=generator, requires_grad=True),
            torch.randn(num_queries, 2, generator=generator, requires_grad=True),
        )
        for _ in range(2)
    )
    scan = ScanQueries(torch.arange(num_voxels), voxel_m + 1.0, layers, (2, 3))
    return scan, true_objects(scan, semantic, owner, voxel_m, centers)


def test_true_objects():
    scan, objects = random_case()
    assert objects.classes.tolist() == [0, 1, 0]
    assert objects.masks.sum(1).tolist() == [10, 10, 10]
    # the grid's middle lies a metre off the sensor
    torch.testing.assert_close(objects.center_m, torch.tensor([[6.0, 6], [1, 4], [-3, 2]]))
    unknown = true_objects(
        scan, torch.zeros(30).long(), torch.zeros(30).long(), scan.position_m, torch.zeros(1, 5)
    )
    assert len(unknown.classes) == 0
    assert not unknown.known.any()


def test_the_cost_equals_its_slow_twin():
    scan, objects = random_case()
    answer = scan.layers[0]
    cost = matching_cost(answer, objects)
    p, x = answer.classes.softmax(1), answer.masks
    for q in range(6):
        for k in range(3):
            true = objects.masks[k]
            m = x[q].sigmoid()
            dice = 1 - (2 * (m * true).sum() + 1) / (m.sum() + true.sum() + 1)
            focal = sum(
                (1 - m[v]) ** 2 * -m[v].log() if true[v] else m[v] ** 2 * -(1 - m[v]).log()
                for v in range(30)
            )
            away = (answer.center_m[q] - objects.center_m[k]).norm().clamp(max=5)
            want = 0.5 * away + 5 * dice + 5 * focal / 10 - 2 * p[q, objects.classes[k]]
            torch.testing.assert_close(cost[q, k], want, rtol=1e-4, atol=1e-4)


def test_the_order_of_queries_and_objects_does_not_matter():
    scan, objects = random_case()
    want = query_loss([scan], [objects])
    mixed, other = torch.tensor([3, 5, 0, 1, 4, 2]), torch.tensor([2, 0, 1])
    turned = ScanQueries(
        scan.rows,
        scan.position_m,
        tuple(Answer(a.classes[mixed], a.masks[mixed], a.center_m[mixed]) for a in scan.layers),
        scan.things,
    )
    shuffled = Objects(
        objects.classes[other], objects.masks[other], objects.center_m[other], objects.known
    )
    torch.testing.assert_close(query_loss([turned], [shuffled]), want)


def test_one_query_for_each_object():
    """Six free queries, three objects: minimised, three stand for one each and three for none."""
    scan, objects = random_case()
    free = [[t.detach().clone().requires_grad_() for t in (a.classes, a.masks, a.center_m)]
            for a in scan.layers]  # fmt: skip
    optimizer = torch.optim.Adam([t for layer in free for t in layer], lr=0.2)
    for _ in range(120):
        now = ScanQueries(
            scan.rows, scan.position_m, tuple(Answer(*layer) for layer in free), scan.things
        )
        loss = query_loss([now], [objects])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    classes, masks, center = (t.detach() for t in free[-1])
    is_object = classes.argmax(1) < 2
    assert int(is_object.sum()) == 3
    found = sorted(
        (masks[q] > 0).nonzero().squeeze(1).tolist() for q in is_object.nonzero().squeeze(1)
    )
    assert found == [list(range(10 * k, 10 * k + 10)) for k in range(3)]
    away = torch.cdist(center[is_object], objects.center_m)
    assert float(away.amin(1).max()) < 0.1


def test_nothing_to_find_is_a_finite_loss():
    scan, _ = random_case()
    nothing = true_objects(
        scan, torch.zeros(30).long(), torch.full((30,), -1), scan.position_m, torch.zeros(0, 5)
    )
    loss = query_loss([scan], [nothing])
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(a.masks.grad).all() for a in scan.layers)


def test_overlap_is_what_goes_beyond_one():
    sure = torch.tensor([[20.0, 0, 0], [20.0, 0, 0], [0, 0, 20.0]])  # the third is no object
    masks = torch.tensor([[20.0, 20, -20], [20.0, -20, -20], [20.0, 20, 20]])
    scan = ScanQueries(
        torch.arange(3), torch.zeros(3, 2), (Answer(sure, masks, masks[:, :2]),), (1, 2)
    )
    torch.testing.assert_close(overlap_loss([scan]), torch.tensor(1 / 3), atol=1e-4, rtol=1e-4)


def toy_scans(count=8, seed=0):
    """Ground, a wall, and two to four boxes that are cars, each from a few hundred points."""
    from lidarpan.training.augment import Sample

    out, rng = [], np.random.default_rng(seed)
    for _ in range(count):
        ground = np.column_stack([rng.uniform(-9, 9, (600, 2)), np.full(600, -1.73)])
        wall = np.column_stack([rng.uniform(-9, 9, 200), np.full(200, 8), rng.uniform(-1, 1, 200)])
        slots = rng.permutation([(x, y) for x in (-8, -2, 4) for y in (-8, -3, 2)])
        cars = [rng.uniform(0, 1, (120, 3)) * (3, 1.6, 1.4) + (*slot, -1.6)
                for slot in slots[: rng.integers(2, 5)]]  # fmt: skip
        points = np.concatenate([ground, wall, *cars]).astype(np.float32)
        sizes = [600, 200] + [120] * len(cars)
        semantic = np.repeat([9, 13] + [1] * len(cars), sizes).astype(np.uint8)
        instance = np.repeat([0, 0, *range(1, len(cars) + 1)], sizes).astype(np.int32)
        out.append(Sample(points, np.full(len(points), 0.5, np.float32), semantic, instance))
    return out


@pytest.mark.slow
def test_overfits_eight_scans(monkeypatch):
    """Objects come from the queries, not from grouping, which finds none here."""
    from lidarpan import PanopticPipeline, Scan
    from lidarpan.config import LossConfig, parse_config
    from lidarpan.metrics import PanopticQuality
    from lidarpan.model.sparse import choose_engine
    from lidarpan.model.weights import build_network
    from lidarpan.training.data import collate, make_batch
    from lidarpan.training.losses import PanopticLoss

    torch.manual_seed(0)
    config = parse_config(
        {
            "grid": {"min_m": [-9.6, -9.6, -3.2], "max_m": [9.6] * 2 + [3.2], "voxel_m": [0.4] * 3},
            "network": {
                "channels": [8, 16, 24], "encoder_blocks": [1] * 3, "decoder_blocks": [1] * 2,
                "bev_channels": 8, "bev_blocks": 1, "head": "queries",
                "queries": {"channels": 32, "layers": 2, "learned": 4, "sampled": 8},
            },
            "fusion": {"patches": False},
        },
        "test",
    )  # fmt: skip
    classes, grid, engine = config.build_classes(), config.grid.build(), choose_engine("cpu")
    network, scans = build_network(config), toy_scans()
    batch = collate([make_batch(scan, grid, classes) for scan in scans])
    loss = PanopticLoss(torch.ones(19), LossConfig())
    steps = 60
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps + 1)
    for _ in range(steps):
        terms = loss(network(batch.voxels(grid, engine)), batch, grid)
        optimizer.zero_grad()
        terms["total"].backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        schedule.step()
    monkeypatch.setattr(
        PanopticPipeline, "_group", lambda _, points, said: np.zeros(len(points), np.int32)
    )
    pipeline = PanopticPipeline.from_config(config, network)
    quality = PanopticQuality(classes.num_classes, classes.things, min_points=classes.min_points)
    for scan in scans:
        said = pipeline.predict(Scan(scan.points, scan.intensity))
        quality.update(said.semantic, said.instance, scan.semantic, scan.instance)
    result = quality.compute()
    present = [classes.id_of(name) for name in ("road", "building", "car")]
    assert result.class_pq[present].mean() >= 0.95
