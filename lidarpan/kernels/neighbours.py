"""Which rows of two sparse grids meet under each offset of a convolution's kernel."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]

BLOCK_ROWS = 256  # output rows whose pairs are listed together


@njit(cache=True, nogil=True)
def column_starts(cells: Ints, shape: Longs, batch_size: int) -> Ints:
    """First row of every (batch, x, y) column of sorted cells.

    Args:
        cells: (V, 4) int32 [batch, x, y, z] in ascending order.
        shape: (3,) int64 X, Y, Z.
        batch_size: B.

    Returns:
        (B * X * Y + 1,) int32.
    """
    size_x, size_y = shape[0], shape[1]
    starts = np.zeros(batch_size * size_x * size_y + 1, np.int32)
    for row in range(len(cells)):
        column = (cells[row, 0] * size_x + cells[row, 1]) * size_y + cells[row, 2]
        starts[column + 1] += 1
    for column in range(len(starts) - 1):
        starts[column + 1] += starts[column]
    return starts


@njit(cache=True, nogil=True, parallel=True)
def list_pairs(
    in_cells: Ints,
    in_starts: Ints,
    in_shape: Longs,
    out_cells: Ints,
    offsets: Longs,
    scale: Longs,
    divisor: Longs,
) -> tuple[Ints, Ints, Longs]:
    """Pairs (input row, output row), by block of output rows, then by offset, then by output row.

    Output cell o meets input cell (o * scale + offset_k) / divisor where the division is exact.

    Args:
        in_cells: (Vin, 4) int32 [batch, x, y, z], ascending.
        in_starts: what `column_starts` says of in_cells.
        in_shape: (3,) int64 X, Y, Z of the input.
        out_cells: (Vout, 4) int32 [batch, x, y, z].
        offsets: (K, 3) int64.
        scale: (3,) int64.
        divisor: (3,) int64.

    Returns:
        pair_in (M,) int32, pair_out (M,) int32 and starts (blocks, K + 1) int64: the pairs of
        block b and offset k are starts[b, k] to starts[b, k + 1]. Between blocks lie gaps.
    """
    num_rows, num_offsets = len(out_cells), len(offsets)
    blocks = (num_rows + BLOCK_ROWS - 1) // BLOCK_ROWS
    starts = np.zeros((blocks, num_offsets + 1), np.int64)
    pair_in = np.empty(num_rows * num_offsets, np.int32)
    pair_out = np.empty(num_rows * num_offsets, np.int32)
    size_x, size_y, size_z = in_shape[0], in_shape[1], in_shape[2]
    for block in prange(blocks):
        begin = block * BLOCK_ROWS
        end = min(begin + BLOCK_ROWS, num_rows)
        position = begin * num_offsets
        for k in range(num_offsets):
            starts[block, k] = position
            for row in range(begin, end):
                x = out_cells[row, 1] * scale[0] + offsets[k, 0]
                y = out_cells[row, 2] * scale[1] + offsets[k, 1]
                z = out_cells[row, 3] * scale[2] + offsets[k, 2]
                if x < 0 or y < 0 or z < 0:
                    continue
                if x % divisor[0] or y % divisor[1] or z % divisor[2]:
                    continue
                x, y, z = x // divisor[0], y // divisor[1], z // divisor[2]
                if x >= size_x or y >= size_y or z >= size_z:
                    continue
                column = (out_cells[row, 0] * size_x + x) * size_y + y
                for candidate in range(in_starts[column], in_starts[column + 1]):
                    if in_cells[candidate, 3] >= z:
                        if in_cells[candidate, 3] == z:
                            pair_in[position] = candidate
                            pair_out[position] = row
                            position += 1
                        break
        starts[block, num_offsets] = position
    return pair_in, pair_out, starts


@njit(cache=True, nogil=True)
def strided_cells(
    cells: Ints, shape: Longs, batch_size: int, kernel: Longs, stride: Longs, padding: Longs
) -> Ints:
    """Cells of the coarser grid that see at least one cell under the kernel, ascending.

    Args:
        cells: (V, 4) int32 [batch, x, y, z].
        shape: (3,) int64 X, Y, Z of the coarser grid.
        batch_size: B.
        kernel: (3,) int64.
        stride: (3,) int64.
        padding: (3,) int64.

    Returns:
        (W, 4) int32 [batch, x, y, z].
    """
    size_x, size_y, size_z = shape[0], shape[1], shape[2]
    seen = np.zeros(batch_size * size_x * size_y * size_z, np.bool_)
    used = np.zeros(batch_size * size_x * size_y, np.bool_)
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    count = 0
    for row in range(len(cells)):
        for axis in range(3):
            place = cells[row, axis + 1] + padding[axis]
            low[axis] = max(0, (place - kernel[axis]) // stride[axis] + 1)
            high[axis] = min(shape[axis] - 1, place // stride[axis])
        for x in range(low[0], high[0] + 1):
            for y in range(low[1], high[1] + 1):
                column = (cells[row, 0] * size_x + x) * size_y + y
                for z in range(low[2], high[2] + 1):
                    used[column] = True
                    if not seen[column * size_z + z]:
                        seen[column * size_z + z] = True
                        count += 1
    out = np.empty((count, 4), np.int32)
    position = 0
    for column in range(len(used)):
        if used[column]:
            for z in range(size_z):
                if seen[column * size_z + z]:
                    out[position, 0] = column // (size_x * size_y)
                    out[position, 1] = column // size_y % size_x
                    out[position, 2] = column % size_y
                    out[position, 3] = z
                    position += 1
    return out


@njit(cache=True, nogil=True)
def find_fault(cells: Ints, shape: Longs, batch_size: int) -> int:
    """First row that does not ascend or lies outside the grid, or -1.

    Args:
        cells: (V, 4) int32 [batch, x, y, z].
        shape: (3,) int64 X, Y, Z.
        batch_size: B.
    """
    before = np.int64(-1)
    for row in range(len(cells)):
        b, x, y, z = cells[row, 0], cells[row, 1], cells[row, 2], cells[row, 3]
        if b < 0 or x < 0 or y < 0 or z < 0:
            return row
        if b >= batch_size or x >= shape[0] or y >= shape[1] or z >= shape[2]:
            return row
        key = ((b * shape[0] + x) * shape[1] + y) * shape[2] + z
        if key <= before:
            return row
        before = key
    return -1
