"""Points sorted into the occupied cells of a grid: a bit per cell, and counting bits for ranks."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lidarpan.voxels.bits import count_before, rank_of, set_bit

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]


@njit(cache=True, nogil=True)
def voxelize(points: Floats, low: Floats, cell: Floats, shape: Longs) -> tuple[Ints, Ints, Ints]:
    """Occupied cells in ascending (x, y, z) order and the row of each point's cell.

    Every (x, y) column has a bit, and every occupied one a bit per height, in words of 64. A
    cell's row is the number of bits before its own: those of earlier words, summed once, and those
    below it in its word. Linear in the points and, in bits, in the columns.

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
    heights = (size_z + 63) // 64 * 64  # bits of a column
    column_bits = np.zeros((size_x * size_y + 63) // 64, np.uint64)
    place_of = np.empty(num_points, np.int64)  # column * heights + z
    for i in range(num_points):
        x = np.floor((points[i, 0] - low[0]) / cell[0])
        y = np.floor((points[i, 1] - low[1]) / cell[1])
        z = np.floor((points[i, 2] - low[2]) / cell[2])
        place_of[i] = -1
        if x >= 0 and x < size_x and y >= 0 and y < size_y and z >= 0 and z < size_z:
            column = np.int64(x) * size_y + np.int64(y)
            place_of[i] = column * heights + np.int64(z)
            set_bit(column_bits, column)
    columns_before = count_before(column_bits)
    column_of = np.empty(columns_before[-1], np.int64)
    bits = np.zeros(len(column_of) * heights // 64, np.uint64)
    for i in range(num_points):
        if place_of[i] >= 0:
            column, z = place_of[i] // heights, place_of[i] % heights
            rank = rank_of(column_bits, columns_before, column)
            column_of[rank] = column
            place_of[i] = rank * heights + z
            set_bit(bits, place_of[i])
    before = count_before(bits)
    cells = np.empty((before[-1], 3), np.int32)
    counts = np.zeros(before[-1], np.int32)
    point_to_voxel = np.full(num_points, -1, np.int32)
    for i in range(num_points):
        place = place_of[i]
        if place >= 0:
            row = rank_of(bits, before, place)
            point_to_voxel[i] = row
            counts[row] += 1
            if counts[row] == 1:
                column = column_of[place // heights]
                cells[row, 0] = column // size_y
                cells[row, 1] = column % size_y
                cells[row, 2] = place % heights
    return cells, point_to_voxel, counts
