"""Turned, mirrored and scaled copies, and their answers brought back to the scan's own voxels."""

import numpy as np
import pytest

from lidarpan.model.copies import COPIES, Copy, average_copies
from lidarpan.model.outputs import PreparedScan, VoxelOutputs
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.voxelize import voxelize

GRID = Grid((-9.0, -9.0, -3.0), (9.0, 9.0, 3.0), (0.15, 0.15, 0.15))
CENTER = np.array([2.0, -1.0], np.float32)


def prepare(points, grid=GRID):
    intensity = np.zeros(len(points), np.float32)
    return PreparedScan(points, voxelize(points, grid), intensity[:, None], intensity)


def scene(seed=0, count=600):
    rng = np.random.default_rng(seed)
    return rng.uniform((-4, -4, -2), (4, 4, 1), (count, 3)).astype(np.float32)


def answer(prepared, center, grid=GRID):
    """A network that knows: the class is the sign of the height, the offset leads to the center."""
    up = (prepared.voxel_height() > -0.5).astype(np.float32)
    offset = center - grid.center_of(prepared.voxels.indices)[:, :2]
    columns = np.zeros((1, 3), np.int64)
    return VoxelOutputs(np.stack([up, 1 - up], 1), offset, columns, np.zeros(1, np.float32))


@pytest.mark.parametrize("copy", COPIES)
def test_the_ground_stays_and_lengths_scale(copy):
    points = scene()
    moved = copy.apply(points, -1.73)
    assert moved.dtype == np.float32
    lengths = np.linalg.norm(np.diff(moved, axis=0), axis=1)
    assert np.allclose(
        lengths, copy.scale * np.linalg.norm(np.diff(points, axis=0), axis=1), atol=1e-4
    )
    flat = np.array([[3.0, 1.0, -1.73]], np.float32)
    assert copy.apply(flat, -1.73)[0, 2] == pytest.approx(-1.73)
    assert np.linalg.det(copy.matrix) == pytest.approx(
        copy.scale**2 * (-1 if copy.mirrored else 1), rel=1e-5
    )


@pytest.mark.parametrize("copy", COPIES)
def test_centers_come_back_to_where_they_were(copy):
    prepared = prepare(scene())
    seen = GRID.zoomed(copy.voxels)
    turned = prepare(copy.apply(prepared.points, -1.73), seen)
    own = answer(prepared, CENTER)
    said = answer(turned, copy.matrix @ CENTER, seen)
    got = average_copies(prepared, own, [(copy, turned, said)], GRID)
    assert np.allclose(got.offset_m, own.offset_m, atol=1e-3)
    assert np.allclose(got.probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_mean_is_over_the_points_of_a_voxel():
    """A slow twin: point by point, then voxel by voxel."""
    copy = Copy(0.7, scale=1.1)
    prepared = prepare(scene(3, 300))
    turned = prepare(copy.apply(prepared.points, -1.73))
    rng = np.random.default_rng(1)
    own, said = answer(prepared, CENTER), answer(turned, CENTER)
    said.probabilities[:] = rng.dirichlet([1, 1], len(said.probabilities))
    got = average_copies(prepared, own, [(copy, turned, said)], GRID).probabilities
    for v in range(prepared.voxels.num_voxels):
        points = np.flatnonzero(prepared.voxels.point_to_voxel == v)
        mean = said.probabilities[turned.voxels.point_to_voxel[points]].mean(axis=0)
        assert np.allclose(got[v], (own.probabilities[v] + mean) / 2, atol=1e-5)


def test_points_that_leave_the_grid_in_a_copy_keep_their_own_answer():
    points = np.array([[8.9, 8.9, 0], [1, 1, 0]], np.float32)
    prepared = prepare(points)
    copy = Copy(np.pi / 4)
    turned = prepare(copy.apply(points, -1.73))
    assert (turned.voxels.point_to_voxel < 0).sum() == 1
    own, said = answer(prepared, CENTER), answer(turned, CENTER)
    said.probabilities[:] = 0.5
    got = average_copies(prepared, own, [(copy, turned, said)], GRID)
    far = prepared.voxels.point_to_voxel[0]
    near = prepared.voxels.point_to_voxel[1]
    assert (got.probabilities[far] == own.probabilities[far]).all()
    assert np.allclose(got.probabilities[near], (own.probabilities[near] + 0.5) / 2)


def test_no_copy_changes_nothing():
    prepared = prepare(scene())
    own = answer(prepared, CENTER)
    got = average_copies(prepared, own, [], GRID)
    assert (got.probabilities == own.probabilities).all()
    assert np.allclose(got.offset_m, own.offset_m, atol=1e-6)
