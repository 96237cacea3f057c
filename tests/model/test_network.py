import itertools

import numpy as np
import pytest
import torch

from lidarpan.model.bev import find_columns
from lidarpan.model.checkpoint import fit_weights, load_weights, save_weights
from lidarpan.model.network import PanopticNetwork
from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.weights import load_network
from lidarpan.structures import InputError
from lidarpan.voxels.features import FAR_M, NEAR_M, NUM_FEATURES, PATCH_M, voxel_features
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.voxelize import voxelize

GRID = Grid((-8.0, -4.0, -2.0), (8.0, 4.0, 2.0), (0.25, 0.25, 0.25))  # not square
SIZES = {
    "channels": (8, 12, 16),
    "encoder_blocks": (1, 1, 1),
    "decoder_blocks": (1, 1),
    "bev_channels": 8,
    "bev_blocks": 1,
}


def scene(seed=0, num_points=2000):
    rng = np.random.default_rng(seed)
    points = rng.uniform((-8, -4, -2), (8, 4, 2), (num_points, 3)).astype(np.float32)
    voxels = voxelize(points, GRID)
    features = voxel_features(points, rng.random(num_points, np.float32), voxels, GRID)
    return points, voxels, features


def tensor(voxels, features, batch=0):
    indices = np.full((len(voxels.indices), 4), batch, np.int32)
    indices[:, 1:] = voxels.indices
    return torch.from_numpy(features), torch.from_numpy(indices)


def test_features_equal_the_slow_twin():
    points, voxels, features = scene(num_points=300)
    assert features.shape == (voxels.num_voxels, NUM_FEATURES)
    for v in range(0, voxels.num_voxels, 17):
        own = points[voxels.point_to_voxel == v]
        middle = GRID.center_of(voxels.indices[v : v + 1])[0]
        np.testing.assert_allclose(features[v, :3], (own.mean(0) - middle) / 0.125, atol=1e-4)
        assert features[v, 3] == pytest.approx(own[:, 2].mean() / 3, abs=1e-5)
        assert features[v, 6] == pytest.approx(np.log1p(len(own)) / 3, abs=1e-5)
        assert features[v, 7] == pytest.approx(own[:, 2].std() / 0.125, abs=1e-4)
    height = features[:, 3] * 3
    for column, cell_m, scale in ((8, NEAR_M, 0.3), (9, FAR_M, 3.0)):
        stride = round(cell_m / 0.25)
        cells = voxels.indices[:, :2] // stride
        for v in range(0, voxels.num_voxels, 17):
            around = np.abs(cells - cells[v]).max(axis=1) <= 1
            lows = {}
            for cell, z in zip(map(tuple, cells[around]), height[around], strict=True):
                lows[cell] = min(z, lows.get(cell, np.inf))
            rising = sorted(lows.values())
            agree = [b for a, b in itertools.pairwise(rising) if b - a <= 1.0]
            expected = (height[v] - (agree[0] if agree else rising[1])) / scale
            if column == 8:
                expected = np.clip(expected, -1, 3)
            assert features[v, column] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("depths", [(-1.5,), (-1.9, -0.6)])
def test_features_show_a_kerb_and_ignore_stray_echoes(depths):
    x, y = np.mgrid[-7.9:7.9:0.1, -3.9:3.9:0.1].reshape(2, -1)
    z = np.where(y > 1, 0.12, 0.0)  # a sidewalk beside a road
    stray = np.array([[0.05 + 1.2 * k, 0.05, depth] for k, depth in enumerate(depths)])
    points = np.concatenate([np.stack([x, y, z], axis=1), stray]).astype(np.float32)
    voxels = voxelize(points, GRID)
    features = voxel_features(points, np.full(len(points), 0.3, np.float32), voxels, GRID)
    near = features[voxels.point_to_voxel[: len(x)], 8] * 0.3
    beside = (y > 1.01) & (y < 2.2)
    np.testing.assert_allclose(near[beside], 0.12, atol=0.02)
    np.testing.assert_allclose(near[(y < 0.99)], 0.0, atol=0.02)


def test_features_take_the_second_lowest_where_no_two_agree():
    points = np.array([[0.1, 0.1, -1.8], [1.4, 0.1, 0.0], [2.6, 0.1, 1.8]], np.float32)
    voxels = voxelize(points, GRID)
    features = voxel_features(points, np.full(3, 0.3, np.float32), voxels, GRID)
    near = features[voxels.point_to_voxel, 8] * 0.3
    np.testing.assert_allclose(near, [-0.3, 0.0, 0.0], atol=1e-5)  # cut at -0.3 and 0.9


def test_features_tell_bright_rough_grass_from_asphalt_at_any_gain():
    rng = np.random.default_rng(0)
    x, y = np.mgrid[-7.9:7.9:0.06, -3.9:3.9:0.06].reshape(2, -1)
    grass = y > 1
    z = np.where(grass, 0.1 + rng.normal(0, 0.02, len(x)), rng.normal(0, 0.002, len(x))) + 0.05
    points = np.stack([x, y, z], axis=1).astype(np.float32)
    brightness = np.where(grass, 0.4, 0.2) + rng.normal(0, 0.02, len(x))
    voxels = voxelize(points, GRID)
    looks = []
    for gain in (1.0, 0.3):
        features = voxel_features(points, (gain * brightness).astype(np.float32), voxels, GRID)
        looks.append(features[voxels.point_to_voxel, 10:])
    np.testing.assert_allclose(looks[0], looks[1], atol=1e-4)
    shine, rough, uneven = looks[0].T
    deep, road = y > 2.2, y < 0
    np.testing.assert_allclose(shine[deep], 1.0, atol=0.1)
    np.testing.assert_allclose(shine[road], 0.0, atol=0.1)
    assert rough[deep].min() > 0.7 > 0.2 > rough[road].max()
    assert uneven[deep].min() > 0.02 > uneven[road].max()


def test_ground_look_equals_the_slow_twin():
    points, voxels, features = scene(num_points=400)
    intensity = np.random.default_rng(1).random(len(points)).astype(np.float32)
    features = voxel_features(points, intensity, voxels, GRID)
    inside = voxels.point_to_voxel >= 0
    points, intensity = points[inside], intensity[inside]
    owner = voxels.point_to_voxel[inside]
    own = [owner == v for v in range(voxels.num_voxels)]
    variance = np.array([points[m, 2].var() for m in own])
    bright = np.array([intensity[m].mean() for m in own])
    count = np.array([m.sum() for m in own])
    reach = np.array([np.hypot(*points[m, :2].mean(0)) for m in own])
    step = np.clip(features[:, 8] * 0.3, -0.3, 0.9)
    ground = step < 0.25
    usual = np.median(bright[ground & (reach < 20)])
    cells = voxels.indices[:, :2] // round(PATCH_M / 0.25)
    for v in range(0, voxels.num_voxels, 13):
        near = ground & (np.abs(cells - cells[v]).max(axis=1) <= 1)
        if not near.any():
            assert (features[v, 10:] == 0).all()
            continue
        shine = (count * bright)[near].sum() / count[near].sum() / usual - 1
        rough = np.sqrt((count * variance)[near].sum() / count[near].sum()) / 0.02
        assert features[v, 10] == pytest.approx(np.clip(shine, -1, 2), abs=1e-3)
        assert features[v, 11] == pytest.approx(min(rough, 3), abs=1e-3)
        if step[near].min() > -0.3:  # the feature of the step is cut there
            assert features[v, 12] == pytest.approx(min(step[near].std() / 0.1, 3), abs=1e-2)


def test_features_of_a_single_voxel_are_finite():
    points = np.array([[1.0, 1.0, 0.5]], np.float32)
    voxels = voxelize(points, GRID)
    features = voxel_features(points, np.array([0.5], np.float32), voxels, GRID)
    assert features.shape == (1, NUM_FEATURES)
    assert np.isfinite(features).all()
    assert features[0, 7:].tolist() == [0] * 6


def test_output_shapes_and_columns():
    _, voxels, features = scene()
    torch.manual_seed(0)
    network = PanopticNetwork(5, **SIZES)
    outputs = network(SparseTensor(*tensor(voxels, features), GRID.shape, 1))
    num_voxels = voxels.num_voxels
    assert outputs.semantic.shape == (num_voxels, 4)
    assert outputs.offset_m.shape == (num_voxels, 2)
    cells = {tuple(row) for row in (voxels.indices[:, :2] // 2).tolist()}
    assert {tuple(row) for row in outputs.columns[:, 1:].tolist()} == cells
    own = outputs.columns[outputs.voxel_to_column, 1:].numpy()
    assert (own == voxels.indices[:, :2] // 2).all()


def test_scans_of_a_batch_do_not_see_each_other():
    torch.manual_seed(0)
    network = PanopticNetwork(5, **SIZES).eval()
    parts = [tensor(*scene(seed)[1:], batch=b) for b, seed in enumerate((1, 2))]
    both = SparseTensor(
        torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts]), GRID.shape, 2
    )
    with torch.no_grad():
        together = network(both).semantic
        features, indices = parts[1]
        alone = network(
            SparseTensor(
                features, indices * torch.tensor([0, 1, 1, 1], dtype=torch.int32), GRID.shape, 1
            )
        ).semantic
    torch.testing.assert_close(together[-len(alone) :], alone, rtol=1e-4, atol=1e-4)


def test_every_weight_gets_a_gradient():
    _, voxels, features = scene()
    network = PanopticNetwork(5, **SIZES)
    outputs = network(SparseTensor(*tensor(voxels, features), GRID.shape, 1))
    heads = (outputs.semantic, outputs.offset_m, outputs.heatmap, outputs.bev_offset_m)
    sum(head.square().sum() for head in heads).backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_columns_lookup():
    indices = torch.tensor([[0, 1, 2, 0], [0, 1, 2, 5], [1, 0, 0, 3]], dtype=torch.int32)
    columns = find_columns(SparseTensor(torch.zeros(3, 1), indices, (2, 3, 6), 2))
    assert columns.indices.tolist() == [[0, 1, 2], [1, 0, 0]]
    assert columns.lookup[0, 1, 2] == 0
    assert columns.lookup[0, 0, 0] == -1


def test_weights_round_trip(tmp_path):
    network = PanopticNetwork(5, **SIZES)
    path = tmp_path / "w.safetensors"
    save_weights(path, network.state_dict(), {"note": "hello"})
    state, header = load_weights(path)
    assert header == {"note": "hello"}
    assert all(torch.equal(state[k], v) for k, v in network.state_dict().items())
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]
    save_weights(path, network.state_dict(), {}, half=True)
    half, _ = load_weights(path)
    assert half["semantic_head.weight"].dtype == torch.float32


def test_weights_errors(tmp_path):
    network = PanopticNetwork(5, **SIZES)
    path = tmp_path / "w.safetensors"
    with pytest.raises(InputError, match="no such weights file"):
        load_weights(path)
    path.write_bytes(b"not weights at all")
    with pytest.raises(InputError, match="not a whole safetensors file"):
        load_weights(path)
    save_weights(path, PanopticNetwork(7, **SIZES).state_dict(), {})
    with pytest.raises(InputError, match=r"semantic_head\.\w+ should be .*4.* got .*6"):
        fit_weights(network, load_weights(path)[0], "w")
    with pytest.raises(InputError, match="is missing"):
        fit_weights(network, {}, "w")
    from safetensors.torch import save_file

    spoiled = {k: v * float("nan") for k, v in network.state_dict().items()}
    save_weights(path, spoiled, {})
    with pytest.raises(InputError, match="wanted finite weights, got NaN"):
        load_weights(path)
    save_weights(path, network.state_dict(), {"config": {"network": {"channels": [3000] * 4}}})
    with pytest.raises(InputError):
        load_network(path, torch.device("cpu"))
    save_weights(path, network.state_dict(), {"config": 5})
    with pytest.raises(InputError, match="wanted a header with the configuration"):
        load_network(path, torch.device("cpu"))
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="written by lidarpan"):
        load_weights(path)
