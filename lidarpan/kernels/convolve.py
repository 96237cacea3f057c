"""Sparse convolution over pairs of rows: gather, multiply and scatter in one pass, no buffers.

Pairs (input row, output row) are listed by block of output rows and, inside a block, by kernel
offset (see `neighbours`). A block's output rows and their neighbours stay in the cache while
all offsets pass over them. Threads take blocks by ticket; every output row is summed in the
order of the offsets whatever the number of threads, so results are the same bits every time.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from lidarpan.kernels.tiles import LANES, add_outer, add_rows, take_ticket

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]

OFFSETS_PER_TASK = 3  # offsets of one kernel column: they meet nearly the same rows
L1_BYTES = 24 * 1024  # of the first cache, for the rows of a chunk of pairs


def panel_width(channels: int) -> int:
    """Columns that one register tile covers; `channels` is rounded up to a multiple of it."""
    vectors = -(-channels // LANES)
    return LANES * next(n for n in (3, 2, 1) if vectors % n == 0)


@njit(cache=True, nogil=True)
def _block_rows(
    x: Floats,
    pair_in: Ints,
    pair_out: Ints,
    first: int,
    last: int,
    w: Floats,
    w_start: int,
    out: Floats,
    column: int,
    width: int,
) -> None:
    p = first
    if width == 24:
        while p + 4 <= last:
            add_rows(x, pair_in, w, w_start, out, pair_out, column, p, 4, 3)
            p += 4
        while p < last:
            add_rows(x, pair_in, w, w_start, out, pair_out, column, p, 1, 3)
            p += 1
    elif width == 16:
        while p + 6 <= last:
            add_rows(x, pair_in, w, w_start, out, pair_out, column, p, 6, 2)
            p += 6
        while p < last:
            add_rows(x, pair_in, w, w_start, out, pair_out, column, p, 1, 2)
            p += 1
    else:
        while p + 12 <= last:
            add_rows(x, pair_in, w, w_start, out, pair_out, column, p, 12, 1)
            p += 12
        while p < last:
            add_rows(x, pair_in, w, w_start, out, pair_out, column, p, 1, 1)
            p += 1


@njit(cache=True, nogil=True, parallel=True)
def convolve(
    x: Floats,
    panels: Floats,
    pair_in: Ints,
    pair_out: Ints,
    starts: Longs,
    out: Floats,
    threads: int,
) -> None:
    """out[o] += sum over pairs (i, o) of offset k of x[i] @ W[k].

    Args:
        x: (Vin, Cin) float32.
        panels: (K, P, Cin, width) float32, W[k] cut into column panels, P * width = Cout.
        pair_in: (M,) int32 input rows.
        pair_out: (M,) int32 output rows; pairs that share an output row lie in one block.
        starts: (blocks, K + 1) int64 first pair of each offset, and the end of the last.
        out: (Vout, Cout) float32, added to.
        threads: number of threads.
    """
    blocks, offsets = starts.shape[0], starts.shape[1] - 1
    num_panels, cin, width = panels.shape[1], panels.shape[2], panels.shape[3]
    flat = panels.reshape(-1)
    counter = np.zeros(1, np.int64)
    for _ in prange(threads):
        block = take_ticket(counter)
        while block < blocks:
            for k in range(offsets):
                first, last = starts[block, k], starts[block, k + 1]
                for panel in range(num_panels):
                    w_start = (k * num_panels + panel) * cin * width
                    _block_rows(
                        x, pair_in, pair_out, first, last, flat, w_start, out, panel * width, width
                    )
            block = take_ticket(counter)


@njit(cache=True, nogil=True)
def _block_outer(
    x: Floats,
    pair_in: Ints,
    pair_out: Ints,
    first: int,
    last: int,
    g: Floats,
    column: int,
    flat: Floats,
    w_start: int,
    width: int,
) -> None:
    cin = x.shape[1]
    count = last - first
    c = 0
    if width == 24:
        while c + 4 <= cin:
            add_outer(x, pair_in, c, g, pair_out, column, first, count, flat, w_start, 4, 3)
            c += 4
        while c < cin:
            add_outer(x, pair_in, c, g, pair_out, column, first, count, flat, w_start, 1, 3)
            c += 1
    elif width == 16:
        while c + 6 <= cin:
            add_outer(x, pair_in, c, g, pair_out, column, first, count, flat, w_start, 6, 2)
            c += 6
        while c < cin:
            add_outer(x, pair_in, c, g, pair_out, column, first, count, flat, w_start, 1, 2)
            c += 1
    else:
        while c + 12 <= cin:
            add_outer(x, pair_in, c, g, pair_out, column, first, count, flat, w_start, 12, 1)
            c += 12
        while c < cin:
            add_outer(x, pair_in, c, g, pair_out, column, first, count, flat, w_start, 1, 1)
            c += 1


@njit(cache=True, nogil=True, parallel=True)
def convolve_weight_grad(
    x: Floats,
    g: Floats,
    pair_in: Ints,
    pair_out: Ints,
    starts: Longs,
    width: int,
    grad: Floats,
    threads: int,
) -> None:
    """grad[k] += sum over pairs (i, o) of offset k of outer(x[i], g[o]).

    Args:
        x: (Vin, Cin) float32.
        g: (Vout, Cout) float32, Cout a multiple of width.
        pair_in: (M,) int32.
        pair_out: (M,) int32.
        starts: (blocks, K + 1) int64.
        width: columns of a tile: 8, 16 or 24.
        grad: (K, Cin, Cout) float32, added to.
        threads: number of threads.
    """
    blocks, offsets = starts.shape[0], starts.shape[1] - 1
    cin, cout = x.shape[1], g.shape[1]
    flat = grad.reshape(-1)
    num_panels = cout // width
    groups = (offsets + OFFSETS_PER_TASK - 1) // OFFSETS_PER_TASK
    chunk = max(32, L1_BYTES // (4 * (cin + width)))
    counter = np.zeros(1, np.int64)
    for _ in prange(threads):
        task = take_ticket(counter)
        while task < groups * num_panels:
            # The middle offset has the most pairs: begin there.
            begin = (task // num_panels + groups // 2) % groups * OFFSETS_PER_TASK
            column = task % num_panels * width
            for block in range(blocks):
                for k in range(begin, min(begin + OFFSETS_PER_TASK, offsets)):
                    end = starts[block, k + 1]
                    for first in range(starts[block, k], end, chunk):
                        last = min(first + chunk, end)
                        w_start = k * cin * cout
                        _block_outer(
                            x, pair_in, pair_out, first, last, g, column, flat, w_start, width
                        )
            task = take_ticket(counter)
