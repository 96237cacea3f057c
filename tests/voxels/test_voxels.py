import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.structures import InputError
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.voxelize import voxelize

GRID = Grid((-3.0, 1.0, -2.0), (4.0, 6.0, 0.4), (0.5, 0.25, 0.2))
TALL = Grid((-3.0, 1.0, -2.0), (4.0, 6.0, 5.2), (0.5, 0.25, 0.05))  # 144 cells high


def slow_voxelize(points, grid):
    cells, inside = grid.cell_of(points), grid.contains(points)
    found = sorted({tuple(c) for c in cells[inside].tolist()})
    row = {cell: i for i, cell in enumerate(found)}
    point_to_voxel = [
        row[tuple(c)] if ok else -1 for c, ok in zip(cells.tolist(), inside, strict=True)
    ]
    counts = [point_to_voxel.count(i) for i in range(len(found))]
    return np.array(found, np.int32).reshape(-1, 3), point_to_voxel, counts


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 400),
    st.integers(0, 2**32 - 1),
    st.floats(0.2, 30),
    st.sampled_from([GRID, TALL]),
)
def test_same_as_sorting_the_cells(count, seed, spread, grid):
    points = np.random.default_rng(seed).normal(0, spread, (count, 3)).astype(np.float32)
    voxels = voxelize(points, grid)
    indices, point_to_voxel, counts = slow_voxelize(points, grid)
    np.testing.assert_array_equal(voxels.indices, indices)
    np.testing.assert_array_equal(voxels.point_to_voxel, point_to_voxel)
    np.testing.assert_array_equal(voxels.num_points, counts)
    assert (
        voxels.indices.dtype == voxels.point_to_voxel.dtype == voxels.num_points.dtype == np.int32
    )


def test_points_have_no_say_in_the_order():
    rng = np.random.default_rng(3)
    points = rng.uniform(-4, 6, (5000, 3)).astype(np.float32)
    order = rng.permutation(len(points))
    first, second = voxelize(points, GRID), voxelize(points[order], GRID)
    np.testing.assert_array_equal(first.indices, second.indices)
    np.testing.assert_array_equal(first.point_to_voxel[order], second.point_to_voxel)


def test_bounds_are_half_open():
    low, high = np.float32(GRID.min_m), np.float32(GRID.max_m)
    points = np.stack([low, high, low - np.float32(1e-3), high - np.float32(1e-3)])
    voxels = voxelize(points, GRID)
    assert voxels.point_to_voxel.tolist() == [0, -1, -1, 1]
    assert voxels.indices.tolist() == [[0, 0, 0], [13, 19, 11]]


def test_nothing_inside():
    for points in (np.zeros((0, 3), np.float32), np.full((4, 3), 99, np.float32)):
        voxels = voxelize(points, GRID)
        assert voxels.num_voxels == 0
        assert voxels.indices.shape == (0, 3)
        assert (voxels.point_to_voxel == -1).all()


def test_not_finite_points_are_outside():
    points = np.array([[np.nan, 2, -1], [np.inf, 2, -1], [0, 2, -1], [3e38, 2, -1]], np.float32)
    assert voxelize(points, GRID).point_to_voxel.tolist() == [-1, -1, 0, -1]


def test_wrong_points_are_refused():
    with pytest.raises(InputError, match="float32"):
        voxelize(np.zeros((4, 3)), GRID)
    with pytest.raises(InputError, match="float32"):
        voxelize(np.zeros((4, 4), np.float32), GRID)


@pytest.mark.data
def test_real_scan(real_data):
    file = real_data / "semantickitti/sequences/00/velodyne/000000.bin"
    points = np.fromfile(file, np.float32).reshape(-1, 4)[:, :3].copy()
    grid = Grid((-48.0, -48.0, -4.0), (48.0, 48.0, 2.4), (0.2, 0.2, 0.2))
    voxels = voxelize(points, grid)
    inside = grid.contains(points)
    np.testing.assert_array_equal(voxels.point_to_voxel >= 0, inside)
    np.testing.assert_array_equal(
        voxels.indices[voxels.point_to_voxel[inside]], grid.cell_of(points[inside])
    )
    assert voxels.num_points.sum() == inside.sum()


def test_columns_higher_than_a_word_of_bits():
    grid = Grid((0.0, 0.0, -10.0), (3.0, 2.0, 10.0), (0.5, 0.5, 0.125))
    points = np.random.default_rng(4).uniform([0, 0, -10], [3, 2, 10], (3000, 3))
    voxels = voxelize(points.astype(np.float32), grid)
    indices, point_to_voxel, counts = slow_voxelize(points.astype(np.float32), grid)
    assert grid.shape[2] == 160
    np.testing.assert_array_equal(voxels.indices, indices)
    np.testing.assert_array_equal(voxels.point_to_voxel, point_to_voxel)
    np.testing.assert_array_equal(voxels.num_points, counts)
