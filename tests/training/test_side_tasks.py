"""Ground height, hidden beams, and a curriculum of losses."""

import numpy as np
import pytest
import torch

from lidarpan.config import parse_config
from lidarpan.structures import InputError
from lidarpan.training.augment import Sample
from lidarpan.training.data import collate, make_batch
from lidarpan.training.losses import PanopticLoss
from lidarpan.training.side_tasks import GroundHeight, HiddenRange, hide_beams

TINY = {
    "grid": {"min_m": [-9.6, -9.6, -3.2], "max_m": [9.6] * 2 + [3.2], "voxel_m": [0.4] * 3},
    "network": {"channels": [8, 12], "encoder_blocks": [1, 1], "decoder_blocks": [1],
                "bev_channels": 8, "bev_blocks": 1},
}  # fmt: skip


def sample(seed=0):
    """A sphere of 5 m around the sensor, but for a wall at 3 m."""
    rng = np.random.default_rng(seed)
    azimuth, inclination = rng.uniform(-3, 3, 6000), rng.uniform(-0.5, 0.3, 6000)
    flat = np.cos(inclination)
    way = np.column_stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(inclination)])
    range_m = np.where(np.abs(azimuth) < 0.3, 3.0, 5.0)
    points = (way * range_m[:, None]).astype(np.float32)
    return Sample(points, rng.random(6000, dtype=np.float32), np.full(6000, 9, np.uint8),
                  np.zeros(6000, np.int32))  # fmt: skip


def test_hidden_beams_are_what_neighbours_say_but_at_edges():
    whole = sample()
    seen, rays = hide_beams(whole, np.random.default_rng(1))
    assert 0 < len(rays) <= 2000
    assert len(seen.points) < len(whole.points)
    kept = np.linalg.norm(seen.points, axis=1)[rays[:, 0].astype(int)]
    np.testing.assert_allclose(np.exp(rays[:, 3]), kept, rtol=1e-5)
    hidden = np.exp(rays[:, 3] + rays[:, 4])
    assert set(np.unique(hidden.round(3))) <= {3.0, 5.0}
    assert (np.abs(rays[:, 4]) < 1e-5).mean() > 0.9
    assert np.abs(rays[:, 1:3]).max() <= 3.01  # 0.03 rad
    nothing = Sample(whole.points[:0], whole.intensity[:0], whole.semantic[:0], whole.instance[:0])
    assert hide_beams(nothing, np.random.default_rng(1))[1].shape == (0, 5)


def test_rays_point_at_the_voxel_of_their_seen_point():
    config = parse_config(TINY, "test")
    grid, classes = config.grid.build(), config.build_classes()
    made = [hide_beams(sample(seed), np.random.default_rng(1)) for seed in (1, 2)]
    batch = collate([make_batch(seen, grid, classes, rays) for seen, rays in made])
    count = [len(rays) for _, rays in made]
    assert len(batch.rays) == sum(count)
    middle = batch.voxel_m[batch.rays[:, 0].long()]
    for b, (seen, rays) in enumerate(made):
        own = slice(b * count[0], b * count[0] + count[b])
        assert (batch.indices[batch.rays[own, 0].long(), 0] == b).all()
        points = torch.from_numpy(seen.points[rays[:, 0].astype(int)])
        assert (middle[own] - points).abs().max() <= 0.2001


def test_ground_height_of_a_cell_is_the_mean_of_its_ground():
    task = GroundHeight(2, ground=(9, 11))
    with torch.no_grad():
        task.head.weight.zero_()
        task.head.bias.fill_(-1.0)
    bev, column = torch.randn(3, 2), torch.tensor([0, 0, 0, 1, 2])
    semantic, height = torch.tensor([9, 11, 1, 1, 0]), torch.tensor([-2.0, -1.8, 5, 5, 5])
    assert float(task(bev, column, semantic, height).detach()) == pytest.approx(0.9 - 0.05)
    assert float(task(bev, column, semantic * 0, height).detach()) == 0


def test_the_hidden_range_can_be_learned():
    torch.manual_seed(0)
    task, features = HiddenRange(4), torch.randn(50, 4)
    rays = torch.cat([torch.arange(50.0)[:, None], torch.randn(50, 3), features[:, :1]], dim=1)
    optimizer = torch.optim.Adam(task.parameters(), lr=0.02)
    first = float(task(features, rays).detach())
    for _ in range(150):
        loss = task(features, rays)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < first / 5
    assert float(task(features, rays[:0]).detach()) == 0


def test_only_active_terms_count_and_side_tasks_learn():
    from lidarpan.model.sparse import choose_engine
    from lidarpan.model.weights import build_network

    config = parse_config(TINY | {"loss": {"ground_height": 0.5, "depth": 2.0}}, "test")
    grid, classes = config.grid.build(), config.build_classes()
    seen, rays = hide_beams(sample(), np.random.default_rng(1))
    batch = make_batch(seen, grid, classes, rays)
    loss = PanopticLoss.configured(config, torch.ones(19))
    outputs = build_network(config)(batch.voxels(grid, choose_engine("cpu")))
    terms = loss(outputs, batch, grid, ("ground_height", "depth"))
    torch.testing.assert_close(terms["total"], 0.5 * terms["ground_height"] + 2 * terms["depth"])
    terms["total"].backward()
    assert all(p.grad.abs().sum() > 0 for p in loss.depth_head.parameters())
    assert loss.ground_head.head.weight.grad.abs().sum() > 0


def test_stages_of_a_curriculum():
    stages = [{"until": 0.3, "terms": ["lovasz"]}, {"until": 0.6, "terms": ["heatmap", "offset"]}]
    training = parse_config({"training": {"stages": stages}}, "test").training
    assert training.active(0.0) == ("lovasz",)
    assert training.active(0.3) == ("heatmap", "offset")
    assert training.active(0.6) is None
    for wrong, message in (
        ([stages[1], stages[0]], "end one after another"),
        ([{"until": 0.5, "terms": ["lovas"]}], "no term of the loss is called 'lovas'"),
    ):
        with pytest.raises(InputError, match=message):
            parse_config({"training": {"stages": wrong}}, "test")
