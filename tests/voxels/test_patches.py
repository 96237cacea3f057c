"""Probabilities averaged over patches of one surface."""

import numpy as np
import pytest

from lidarpan.voxels.grid import Grid
from lidarpan.voxels.patches import KERB_M, LAYER_M, PATCH_M, average_in_patches

GRID = Grid((-3.0, 1.5, -2.1), (9.0, 7.5, 3.0), (0.15, 0.15, 0.15))


def street(seed, count=400):
    """Random voxels of a small, off-centre, oblong grid."""
    rng = np.random.default_rng(seed)
    indices = np.unique(rng.integers(0, (12, 9, 8), (count, 3)), axis=0).astype(np.int32)
    height = (indices[:, 2] + rng.random(len(indices))) * 0.15 - 2.1
    probabilities = rng.dirichlet(np.ones(5), len(indices)).astype(np.float32)
    return indices, height.astype(np.float32), rng.random(len(indices)) < 0.5, probabilities


def slow(probabilities, indices, height, is_ground):
    """Every voxel looks at every other."""
    out = np.empty_like(probabilities)
    cell = indices[:, :2] // round(PATCH_M / 0.15)
    for v in range(len(indices)):
        there = (cell == cell[v]).all(axis=1) & (is_ground == is_ground[v])
        if is_ground[v]:
            level = np.floor((height - height[there].min()) / np.float32(KERB_M))
        else:
            level = indices[:, 2] // round(LAYER_M / 0.15)
        out[v] = probabilities[there & (level == level[v])].mean(axis=0)
    return out


@pytest.mark.parametrize("seed", range(4))
def test_the_mean_of_a_patch_is_that_of_its_voxels(seed):
    indices, height, is_ground, probabilities = street(seed)
    before = probabilities.copy()
    got = average_in_patches(probabilities, indices, height, is_ground, GRID)
    assert np.allclose(got, slow(probabilities, indices, height, is_ground), atol=1e-5)
    assert (probabilities == before).all()
    assert np.allclose(got.sum(axis=1), 1, atol=1e-5)


def test_no_voxel_is_no_trouble():
    none = np.zeros((0, 3), np.int32)
    got = average_in_patches(
        np.zeros((0, 4), np.float32), none, np.zeros(0, np.float32), np.zeros(0, bool), GRID
    )
    assert got.shape == (0, 4)


def test_order_does_not_matter():
    indices, height, is_ground, probabilities = street(9)
    turn = np.random.default_rng(1).permutation(len(indices))
    once = average_in_patches(probabilities, indices, height, is_ground, GRID)
    again = average_in_patches(
        probabilities[turn], indices[turn], height[turn], is_ground[turn], GRID
    )
    assert np.allclose(again, once[turn], atol=1e-6)


def test_no_average_crosses_a_kerb():
    """A road and a pavement 12 cm above it, in one cell and one row of voxels."""
    indices = np.array([[0, 0, 3], [1, 0, 3], [2, 0, 3], [3, 0, 3]], np.int32)
    height = np.array([-1.62, -1.61, -1.5, -1.5], np.float32)
    road = np.array([0.9, 0.6, 0.2, 0.1], np.float32)
    probabilities = np.stack([road, 1 - road], axis=1)
    got = average_in_patches(probabilities, indices, height, np.ones(4, bool), GRID)
    assert np.allclose(got[:, 0], [0.75, 0.75, 0.15, 0.15])


def test_a_wall_does_not_take_from_the_ground_below():
    indices = np.array([[0, 0, 2], [0, 0, 3]], np.int32)
    height = np.array([-1.75, -1.6], np.float32)
    probabilities = np.array([[1, 0], [0, 1]], np.float32)
    got = average_in_patches(probabilities, indices, height, np.array([True, False]), GRID)
    assert (got == probabilities).all()
