"""Which rows of two sparse grids meet under each offset of a convolution's kernel."""

from __future__ import annotations

import numba
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from lidarpan.voxels.bits import rank_cells

# OpenMP first: torch has it loaded, and looking at an old TBB prints a warning.
numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]

BLOCK_ROWS = 256  # output rows whose pairs are listed together


@njit(cache=True, nogil=True)
def column_starts(cells: Ints, batch_size: int) -> tuple[Ints, Longs]:
    """First row of every (batch, x, y) column of sorted cells, within the box they occupy.

    Args:
        cells: (V, 4) int32 [batch, x, y, z] in ascending order.
        batch_size: B.

    Returns:
        (B * X * Y + 1,) int32, and the box (4,) int64: lowest x and y, size X and Y in columns.
    """
    box = np.zeros(4, np.int64)
    if len(cells) > 0:
        for axis in range(2):
            box[axis] = cells[:, 1 + axis].min()
            box[2 + axis] = cells[:, 1 + axis].max() - box[axis] + 1
    starts = np.zeros(batch_size * box[2] * box[3] + 1, np.int32)
    for row in range(len(cells)):
        x, y = cells[row, 1] - box[0], cells[row, 2] - box[1]
        starts[(cells[row, 0] * box[2] + x) * box[3] + y + 1] += 1
    for column in range(len(starts) - 1):
        starts[column + 1] += starts[column]
    return starts, box


@njit(cache=True, nogil=True, parallel=True)
def list_pairs(
    in_cells: Ints,
    in_starts: Ints,
    in_box: Longs,
    out_cells: Ints,
    kernel: Longs,
    stride: Longs,
    padding: Longs,
) -> tuple[Ints, Ints, Longs]:
    """Pairs (input row, output row), by block of output rows, then by offset, then by output row.

    Output cell o meets input cell o * stride - padding + k under kernel position k. The kernel's
    columns are looked up once per output cell and read over their heights.

    Args:
        in_cells: (Vin, 4) int32 [batch, x, y, z], ascending.
        in_starts: what `column_starts` says of in_cells.
        in_box: (4,) int64, likewise.
        out_cells: (Vout, 4) int32 [batch, x, y, z].
        kernel: (3,) int64.
        stride: (3,) int64.
        padding: (3,) int64.

    Returns:
        pair_in (M,) int32, pair_out (M,) int32 and starts (blocks, K + 1) int64: the pairs of
        block b and offset k are starts[b, k] to starts[b, k + 1]. Between blocks lie gaps.
    """
    num_rows, height = len(out_cells), kernel[2]
    num_offsets = kernel[0] * kernel[1] * height
    blocks = (num_rows + BLOCK_ROWS - 1) // BLOCK_ROWS
    starts = np.zeros((blocks, num_offsets + 1), np.int64)
    # Every block has room for one more than its pairs: see the last loop.
    room = BLOCK_ROWS * num_offsets + 1
    pair_in = np.empty(blocks * room, np.int32)
    pair_out = np.empty(blocks * room, np.int32)
    for block in prange(blocks):
        begin = block * BLOCK_ROWS
        end = min(begin + BLOCK_ROWS, num_rows)
        found = np.full((num_offsets, BLOCK_ROWS), -1, np.int32)
        for row in range(begin, end):
            low_z = out_cells[row, 3] * stride[2] - padding[2]
            for i in range(kernel[0]):
                x = out_cells[row, 1] * stride[0] - padding[0] + i - in_box[0]
                if x < 0 or x >= in_box[2]:
                    continue
                for j in range(kernel[1]):
                    y = out_cells[row, 2] * stride[1] - padding[1] + j - in_box[1]
                    if y < 0 or y >= in_box[3]:
                        continue
                    first_k = (i * kernel[1] + j) * height
                    place = (out_cells[row, 0] * in_box[2] + x) * in_box[3] + y
                    for candidate in range(in_starts[place], in_starts[place + 1]):
                        above = in_cells[candidate, 3] - low_z
                        if above >= height:
                            break
                        if above >= 0:
                            found[first_k + above, row - begin] = candidate
        position = block * room
        for k in range(num_offsets):
            starts[block, k] = position
            for row in range(begin, end):  # written always, kept if found: no branch to guess
                pair_in[position] = found[k, row - begin]
                pair_out[position] = row
                position += found[k, row - begin] >= 0
        starts[block, num_offsets] = position
    return pair_in, pair_out, starts


@njit(cache=True, nogil=True)
def turn_pairs(
    pair_in: Ints, pair_out: Ints, starts: Longs, num_in: int
) -> tuple[Ints, Ints, Longs]:
    """The same pairs seen from the input: by block of input rows, then by offset.

    Args:
        pair_in: (M,) int32 rows of what becomes the output.
        pair_out: (M,) int32 rows of what becomes the input.
        starts: (blocks, K + 1) int64 as `list_pairs` gives them.
        num_in: number of rows that pair_in counts.

    Returns:
        pair_in, pair_out and starts as `list_pairs` gives them.
    """
    num_offsets = starts.shape[1] - 1
    blocks = (num_in + BLOCK_ROWS - 1) // BLOCK_ROWS
    ends = np.zeros((blocks, num_offsets + 1), np.int64)
    for block in range(len(starts)):
        for k in range(num_offsets):
            for p in range(starts[block, k], starts[block, k + 1]):
                ends[pair_in[p] // BLOCK_ROWS, k + 1] += 1
    total = 0
    for block in range(blocks):
        for k in range(num_offsets + 1):
            total += ends[block, k]
            ends[block, k] = total
    turned = ends.copy()
    ins, outs = np.empty(total, np.int32), np.empty(total, np.int32)
    for block in range(len(starts)):
        for k in range(num_offsets):
            for p in range(starts[block, k], starts[block, k + 1]):
                place = ends[pair_in[p] // BLOCK_ROWS, k]
                ins[place], outs[place] = pair_out[p], pair_in[p]
                ends[pair_in[p] // BLOCK_ROWS, k] += 1
    return ins, outs, turned


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
    most = 1  # coarser cells that see one cell
    for axis in range(3):
        most *= (kernel[axis] + stride[axis] - 1) // stride[axis]
    seen = np.empty((len(cells) * most, 4), np.int32)
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    count = 0
    for row in range(len(cells)):
        for axis in range(3):
            place = cells[row, axis + 1] + padding[axis]
            low[axis] = max(0, (place - kernel[axis]) // stride[axis] + 1)
            high[axis] = min(shape[axis] - 1, place // stride[axis])
        for x in range(low[0], high[0] + 1):
            for y in range(low[1], high[1] + 1):
                for z in range(low[2], high[2] + 1):
                    seen[count, 0], seen[count, 1] = cells[row, 0], x
                    seen[count, 2], seen[count, 3] = y, z
                    count += 1
    column = np.empty(count, np.int64)
    for i in range(count):
        column[i] = (seen[i, 0] * shape[0] + seen[i, 1]) * shape[1] + seen[i, 2]
    rows, distinct = rank_cells(
        column, seen[:count, 3].copy(), batch_size * shape[0] * shape[1], shape[2]
    )
    out = np.empty((distinct, 4), np.int32)
    for i in range(count):
        out[rows[i]] = seen[i]
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
