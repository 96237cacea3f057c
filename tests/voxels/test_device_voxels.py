"""Voxels, brightness, features and patches in torch, beside the kernels that they are twins of."""

import numpy as np
import pytest
import torch

from lidarpan.bench.scans import street_scan
from lidarpan.voxels.device_features import features_on_device
from lidarpan.voxels.device_intensity import rank_brightness_on_device
from lidarpan.voxels.device_patches import average_in_patches_on_device
from lidarpan.voxels.device_voxels import voxelize_on_device
from lidarpan.voxels.features import voxel_features
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.intensity import rank_brightness
from lidarpan.voxels.keys import NO_CELL, add_rows, cell_keys, cells_of, distinct_keys
from lidarpan.voxels.patches import average_in_patches
from lidarpan.voxels.voxelize import voxelize

GRID = Grid((-30.0, -40.5, -3.0), (33.0, 36.0, 4.2), (0.15, 0.15, 0.15))  # off centre
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]
SPARE = 300  # rows behind the points


def scans():
    street = street_scan(9000, seed=2)
    yield street.points, street.intensity
    corner = np.array(GRID.min_m, np.float32)
    edges = corner + np.arange(40, dtype=np.float32)[:, None] * np.float32(0.15)
    yield np.tile(edges, (3, 1)), np.repeat([0.1, 0.5, 0.1], 40).astype(np.float32)
    yield np.full((5, 3), 500, np.float32), np.ones(5, np.float32)  # nothing inside
    yield street.points[:1], street.intensity[:1]


def on_device(points, intensity, device):
    """With rows to spare that hold what must not be read."""
    spare = np.full((SPARE, 3), np.nan, np.float32)
    is_point = torch.arange(len(points) + SPARE, device=device) < len(points)
    points = torch.from_numpy(np.concatenate([points, spare])).to(device)
    intensity = torch.from_numpy(np.concatenate([intensity, spare[:, 0]])).to(device)
    return points, intensity, is_point


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("number", range(4))
def test_voxels_features_and_patches_are_those_of_the_kernels(device, number):
    points, intensity = list(scans())[number]
    wanted = voxelize(points, GRID)
    bright = rank_brightness(points, intensity)
    features = voxel_features(points, bright, wanted, GRID)
    there, light, is_point = on_device(points, intensity, device)
    room, count = wanted.num_voxels + 70, wanted.num_voxels
    found = voxelize_on_device(there, is_point, GRID, room)
    assert int(found.count) == int(found.found) == count
    assert found.indices[:count, 1:].tolist() == wanted.indices.tolist()
    assert found.num_points.tolist() == [*wanted.num_points.tolist(), *[0] * 70]
    rows = np.where(wanted.point_to_voxel < 0, room, wanted.point_to_voxel)
    assert found.point_to_voxel.tolist() == [*rows.tolist(), *[room] * SPARE]
    light = rank_brightness_on_device(there, light, is_point)
    np.testing.assert_allclose(light[: len(points)].cpu(), bright, atol=1e-6)
    seen, height = features_on_device(there, light, found, GRID)
    np.testing.assert_allclose(seen[:count].cpu(), features, atol=1e-5, rtol=1e-5)

    rng = np.random.default_rng(number)
    probabilities = rng.dirichlet(np.ones(5), count).astype(np.float32)
    is_ground = probabilities[:, 0] > 0.2
    low = height[:count].cpu().numpy()
    mean = average_in_patches(probabilities, wanted.indices, low, is_ground, GRID)
    padded = torch.zeros(room, 5, device=device)
    padded[:count] = torch.from_numpy(probabilities)
    ground = padded[:, 0] > 0.2
    averaged = average_in_patches_on_device(padded, height, ground, found, GRID)
    np.testing.assert_allclose(averaged[:count].cpu(), mean, atol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_too_many_cells_are_counted_and_left_out(device):
    points, intensity = next(scans())
    wanted = voxelize(points, GRID)
    there, _, is_point = on_device(points, intensity, device)
    found = voxelize_on_device(there, is_point, GRID, 100)
    assert int(found.found) == wanted.num_voxels > 100
    assert int(found.count) == 100
    assert found.indices[:, 1:].tolist() == wanted.indices[:100].tolist()
    kept = wanted.point_to_voxel[(wanted.point_to_voxel >= 0) & (wanted.point_to_voxel < 100)]
    assert int((found.point_to_voxel < 100).sum()) == len(kept)


def test_one_intensity_is_none():
    points, _ = next(scans())
    there, light, is_point = on_device(points, np.full(len(points), 0.3, np.float32), "cpu")
    light[:9] = torch.linspace(0, 1, 9)
    assert not rank_brightness_on_device(there, light, is_point).any()


def test_keys_there_and_back():
    shape = (5, 7, 3)
    generator = torch.Generator().manual_seed(0)
    cells = torch.stack([torch.randint(n, (60,), generator=generator) for n in (2, *shape)], 1)
    keys = cell_keys(cells, shape)
    assert cells_of(keys, shape).tolist() == cells.tolist()
    padded = torch.cat([keys, keys.new_full((4,), NO_CELL)])
    distinct, count = distinct_keys(padded)
    wanted = sorted({tuple(cell) for cell in cells.tolist()})
    assert cells_of(distinct[: int(count)], shape).tolist() == [list(cell) for cell in wanted]
    assert distinct[int(count) :].eq(NO_CELL).all()
    assert distinct_keys(keys[:0])[1].tolist() == [0]


def test_sums_do_not_depend_on_the_order():
    generator = torch.Generator().manual_seed(1)
    values = torch.rand(500, 2, generator=generator) - 0.5
    place = torch.randint(8, (500,), generator=generator)
    order = torch.randperm(500, generator=generator)
    sums = add_rows(values, place, 7, bits=40)
    assert sums.equal(add_rows(values[order], place[order], 7, bits=40))
    for k in range(7):
        torch.testing.assert_close(sums[k], values[place == k].double().sum(0), atol=1e-9, rtol=0)
