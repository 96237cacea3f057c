"""Points sorted into the occupied cells of a grid: a bit per cell, and counting bits for ranks."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]

_ONE = np.uint64(1)
_PAIRS = np.uint64(0x5555555555555555)
_FOURS = np.uint64(0x3333333333333333)
_EIGHTS = np.uint64(0x0F0F0F0F0F0F0F0F)


@njit(cache=True, nogil=True, inline="always")
def _count_bits(word: np.uint64) -> int:
    """Number of ones: sums of neighbouring 2, 4 and 8 bits, then of the eight bytes."""
    word = word - ((word >> np.uint64(1)) & _PAIRS)
    word = (word & _FOURS) + ((word >> np.uint64(2)) & _FOURS)
    word = (word + (word >> np.uint64(4))) & _EIGHTS
    word = word + (word >> np.uint64(8))
    word = word + (word >> np.uint64(16))
    word = word + (word >> np.uint64(32))
    return np.int64(word & np.uint64(0x7F))  # type: ignore[return-value]


@njit(cache=True, nogil=True)
def voxelize(points: Floats, low: Floats, cell: Floats, shape: Longs) -> tuple[Ints, Ints, Ints]:
    """Occupied cells in ascending (x, y, z) order and the row of each point's cell.

    Every (x, y) column has a bit per height, in words of 64. A cell's row is the number of bits
    before its own: those of earlier words, summed once, and those below it in its word. Linear
    in points and columns.

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
    words = (size_z + 63) // 64
    bits = np.zeros(size_x * size_y * words, np.uint64)
    place_of = np.empty(num_points, np.int64)  # 64 * word + bit
    for i in range(num_points):
        x = np.floor((points[i, 0] - low[0]) / cell[0])
        y = np.floor((points[i, 1] - low[1]) / cell[1])
        z = np.floor((points[i, 2] - low[2]) / cell[2])
        place_of[i] = -1
        if x >= 0 and x < size_x and y >= 0 and y < size_y and z >= 0 and z < size_z:
            place = (np.int64(x) * size_y + np.int64(y)) * words * 64 + np.int64(z)
            place_of[i] = place
            bits[place >> 6] |= _ONE << np.uint64(place & 63)
    rows = np.empty(len(bits), np.int32)  # bits before each word
    num_voxels = 0
    for word in range(len(bits)):
        rows[word] = num_voxels
        if bits[word]:
            num_voxels += _count_bits(bits[word])
    cells = np.empty((num_voxels, 3), np.int32)
    counts = np.zeros(num_voxels, np.int32)
    point_to_voxel = np.full(num_points, -1, np.int32)
    for i in range(num_points):
        place = place_of[i]
        if place >= 0:
            word = place >> 6
            below = bits[word] & ((_ONE << np.uint64(place & 63)) - _ONE)
            row = rows[word] + _count_bits(below)
            point_to_voxel[i] = row
            counts[row] += 1
            if counts[row] == 1:
                column = word // words
                cells[row, 0] = column // size_y
                cells[row, 1] = column % size_y
                cells[row, 2] = word % words * 64 + (place & 63)
    return cells, point_to_voxel, counts
