"""Points sorted into the occupied cells of a grid."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lidarpan.voxels.bits import rank_cells

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]


@njit(cache=True, nogil=True)
def voxelize(points: Floats, low: Floats, cell: Floats, shape: Longs) -> tuple[Ints, Ints, Ints]:
    """Occupied cells in ascending (x, y, z) order and the row of each point's cell.

    Args:
        points: (N, 3) float32.
        low: (3,) float32 lower corner of the grid.
        cell: (3,) float32 edge lengths.
        shape: (3,) int64 X, Y, Z.

    Returns:
        cells (V, 3) int32, point_to_voxel (N,) int32 with -1 outside, num_points (V,) int32.
    """
    num_points = len(points)
    size_x, size_y, size_z = shape[0], shape[1], shape[2]
    column = np.full(num_points, -1, np.int64)
    height = np.empty(num_points, np.int32)
    for i in range(num_points):
        x = np.floor((points[i, 0] - low[0]) / cell[0])
        y = np.floor((points[i, 1] - low[1]) / cell[1])
        z = np.floor((points[i, 2] - low[2]) / cell[2])
        if x >= 0 and x < size_x and y >= 0 and y < size_y and z >= 0 and z < size_z:
            column[i] = np.int64(x) * size_y + np.int64(y)
            height[i] = z
    point_to_voxel, num_voxels = rank_cells(column, height, size_x * size_y, size_z)
    cells = np.empty((num_voxels, 3), np.int32)
    counts = np.zeros(num_voxels, np.int32)
    for i in range(num_points):
        row = point_to_voxel[i]
        if row >= 0:
            counts[row] += 1
            if counts[row] == 1:
                cells[row, 0] = column[i] // size_y
                cells[row, 1] = column[i] % size_y
                cells[row, 2] = height[i]
    return cells, point_to_voxel, counts
