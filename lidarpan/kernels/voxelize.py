"""Points sorted into the occupied cells of a grid by counting, one pass per axis group."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]


@njit(cache=True, nogil=True)
def voxelize(points: Floats, low: Floats, cell: Floats, shape: Longs) -> tuple[Ints, Ints, Ints]:
    """Occupied cells in ascending (x, y, z) order and the row of each point's cell.

    Points are counted into (x, y) columns, then every column's heights are marked and numbered
    from below: linear in points, columns and the height of occupied columns.

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
    column_of = np.empty(num_points, np.int32)
    height_of = np.empty(num_points, np.int32)
    ends = np.zeros(size_x * size_y + 1, np.int32)
    for i in range(num_points):
        x = np.floor((points[i, 0] - low[0]) / cell[0])
        y = np.floor((points[i, 1] - low[1]) / cell[1])
        z = np.floor((points[i, 2] - low[2]) / cell[2])
        column_of[i] = -1
        if x >= 0 and x < size_x and y >= 0 and y < size_y and z >= 0 and z < size_z:
            column_of[i] = np.int64(x) * size_y + np.int64(y)
            height_of[i] = np.int64(z)
            ends[column_of[i] + 1] += 1
    for column in range(len(ends) - 1):
        ends[column + 1] += ends[column]
    inside = ends[-1]
    order = np.empty(inside, np.int32)  # points by column
    for i in range(num_points):
        if column_of[i] >= 0:
            order[ends[column_of[i]]] = i
            ends[column_of[i]] += 1
    cells = np.empty((inside, 3), np.int32)
    counts = np.zeros(inside, np.int32)
    point_to_voxel = np.full(num_points, -1, np.int32)
    row_of = np.full(size_z, -1, np.int32)  # of each height in the current column
    voxel = 0
    begin = 0
    while begin < inside:
        column = column_of[order[begin]]
        end = ends[column]
        for p in range(begin, end):
            row_of[height_of[order[p]]] = 0
        for z in range(size_z):
            if row_of[z] == 0:
                row_of[z] = voxel
                cells[voxel, 0] = column // size_y
                cells[voxel, 1] = column % size_y
                cells[voxel, 2] = z
                voxel += 1
        for p in range(begin, end):
            row = row_of[height_of[order[p]]]
            point_to_voxel[order[p]] = row
            counts[row] += 1
        for p in range(begin, end):
            row_of[height_of[order[p]]] = -1
        begin = end
    return cells[:voxel].copy(), point_to_voxel, counts[:voxel].copy()
