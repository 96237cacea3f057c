"""Sparse convolution over pairs of rows: gather, multiply and scatter in one pass, no buffers.

Pairs (input row, output row) are listed by block of output rows and, inside a block, by kernel
offset (see `neighbours`). A block's output rows and their neighbours stay in the cache while
all offsets pass over them. Threads take blocks by ticket; every output row is summed in the
order of the offsets whatever the number of threads, so results are the same bits every time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from lidarpan.model.sparse.neighbours import BLOCK_ROWS
from lidarpan.model.sparse.tiles import IS_WIDE, LANES, add_outer, add_rows, take_ticket

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]

MAX_SLICES = 8  # partial sums of a weight's gradient, and about the number of its tasks
L1_BYTES = 24 * 1024  # of the first cache, for the rows of a chunk of pairs


ROWS_16, ROWS_24 = (12, 8) if IS_WIDE else (6, 4)
"""Rows of the tiles of 16 and 24 columns; those of 32 and 48, where there are any, have 8."""


def panel_width(channels: int) -> int:
    """Columns that one tile of a convolution covers; `channels` is rounded up to a multiple."""
    if IS_WIDE:
        for width in (48, 32):
            if channels % width == 0:
                return width
    return grad_width(channels)


def grad_width(channels: int) -> int:
    """Columns that one tile of a weight's gradient covers; `channels` is rounded up likewise."""
    vectors = -(-channels // LANES)
    return LANES * next(n for n in (3, 2, 1) if vectors % n == 0)


def _rows_of(width: int, most: int) -> Any:
    """A loop over pairs for panels of one width: `most` at a time, then four, then the rest."""

    @njit(cache=True, nogil=True)
    def run(
        x: Floats, pair_in: Ints, pair_out: Ints, first: int, last: int, w: Floats, w_start: int,
        out: Floats, column: int,
    ) -> None:  # fmt: skip
        p = first
        while p + most <= last:
            add_rows(x, pair_in, w, w_start, out, pair_out, column, p, most, width)
            p += most
        while p + 4 <= last:
            add_rows(x, pair_in, w, w_start, out, pair_out, column, p, 4, width)
            p += 4
        if last - p == 3:
            add_rows(x, pair_in, w, w_start, out, pair_out, column, p, 3, width)
        elif last - p == 2:
            add_rows(x, pair_in, w, w_start, out, pair_out, column, p, 2, width)
        elif last - p == 1:
            add_rows(x, pair_in, w, w_start, out, pair_out, column, p, 1, width)

    return run


_rows_48, _rows_32 = _rows_of(48, 8), _rows_of(32, 8)
_rows_24, _rows_16, _rows_8 = _rows_of(24, ROWS_24), _rows_of(16, ROWS_16), _rows_of(8, 12)


@njit(cache=True, nogil=True)
def _block_rows(
    x: Floats, pair_in: Ints, pair_out: Ints, first: int, last: int, w: Floats, w_start: int,
    out: Floats, column: int, width: int,
) -> None:  # fmt: skip
    if width == 48:
        _rows_48(x, pair_in, pair_out, first, last, w, w_start, out, column)
    elif width == 32:
        _rows_32(x, pair_in, pair_out, first, last, w, w_start, out, column)
    elif width == 24:
        _rows_24(x, pair_in, pair_out, first, last, w, w_start, out, column)
    elif width == 16:
        _rows_16(x, pair_in, pair_out, first, last, w, w_start, out, column)
    else:
        _rows_8(x, pair_in, pair_out, first, last, w, w_start, out, column)


@njit(cache=True, nogil=True, parallel=True)
def convolve(
    x: Floats,
    panels: Floats,
    pair_in: Ints,
    pair_out: Ints,
    starts: Longs,
    bias: Floats,
    residual: Floats,
    rectify: bool,
    out: Floats,
    threads: int,
) -> None:
    """out[o] = act(bias + residual[o] + sum over pairs (i, o) of offset k of x[i] @ W[k]).

    Args:
        x: (Vin, Cin) float32.
        panels: (K, P, Cin, width) float32, W[k] cut into column panels, P * width = Cout.
        pair_in: (M,) int32 input rows.
        pair_out: (M,) int32 output rows: block b's pairs are of its BLOCK_ROWS rows.
        starts: (blocks, K + 1) int64 first pair of each offset, and the end of the last.
        bias: (Cout,) float32.
        residual: (Vout, C) or (0, C) float32, C at most Cout.
        rectify: whether act clips at zero; else it does nothing.
        out: (Vout, Cout) float32, written.
        threads: number of threads.
    """
    blocks, offsets = starts.shape[0], starts.shape[1] - 1
    num_panels, cin, width = panels.shape[1], panels.shape[2], panels.shape[3]
    flat = panels.reshape(-1)
    counter = np.zeros(1, np.int64)
    for _ in prange(threads):
        block = take_ticket(counter)
        while block < blocks:
            begin, end = block * BLOCK_ROWS, min((block + 1) * BLOCK_ROWS, len(out))
            for row in range(begin, end):
                out[row] = bias
                if len(residual):
                    out[row, : residual.shape[1]] += residual[row]
            for k in range(offsets):
                first, last = starts[block, k], starts[block, k + 1]
                for panel in range(num_panels):
                    w_start = (k * num_panels + panel) * cin * width
                    _block_rows(
                        x, pair_in, pair_out, first, last, flat, w_start, out, panel * width, width
                    )
            if rectify:
                for row in range(begin, end):
                    for c in range(out.shape[1]):
                        out[row, c] = max(out[row, c], np.float32(0))
            block = take_ticket(counter)


def _outer_of(vectors: int, most: int) -> Any:
    """A loop over input channels for tiles of so many vectors: `most`, then four, then the rest."""

    @njit(cache=True, nogil=True)
    def run(
        x: Floats, pair_in: Ints, pair_out: Ints, first: int, count: int, g: Floats, column: int,
        flat: Floats, start: int,
    ) -> None:  # fmt: skip
        cin = x.shape[1]
        c = 0
        while c + most <= cin:
            add_outer(x, pair_in, c, g, pair_out, column, first, count, flat, start, most, vectors)
            c += most
        while c + 4 <= cin:
            add_outer(x, pair_in, c, g, pair_out, column, first, count, flat, start, 4, vectors)
            c += 4
        if cin - c == 3:
            add_outer(x, pair_in, c, g, pair_out, column, first, count, flat, start, 3, vectors)
        elif cin - c == 2:
            add_outer(x, pair_in, c, g, pair_out, column, first, count, flat, start, 2, vectors)
        elif cin - c == 1:
            add_outer(x, pair_in, c, g, pair_out, column, first, count, flat, start, 1, vectors)

    return run


_outer_24, _outer_16, _outer_8 = _outer_of(3, 4), _outer_of(2, 6), _outer_of(1, 12)


@njit(cache=True, nogil=True)
def _block_outer(
    x: Floats, pair_in: Ints, pair_out: Ints, first: int, last: int, g: Floats, column: int,
    flat: Floats, w_start: int, width: int,
) -> None:  # fmt: skip
    if width == 24:
        _outer_24(x, pair_in, pair_out, first, last - first, g, column, flat, w_start)
    elif width == 16:
        _outer_16(x, pair_in, pair_out, first, last - first, g, column, flat, w_start)
    else:
        _outer_8(x, pair_in, pair_out, first, last - first, g, column, flat, w_start)


def weight_grad_tasks(rows: int, offsets: int, cin: int, cout: int) -> tuple[int, int]:
    """(slices, offsets per task) of `convolve_weight_grad` for a level of `rows` output rows.

    Many rows and a small weight: slices of the rows with a partial sum each, so that every row
    comes to the cache once. Few rows and a large weight: one slice, the offsets divided. The
    choice depends on sizes alone, so that results do not depend on the number of threads.
    """
    slices = min(max(rows * (cin + cout) // (4 * offsets * cin * cout), 1), MAX_SLICES)
    groups = min(-(-MAX_SLICES // slices), offsets)
    return slices, -(-offsets // groups)


@njit(cache=True, nogil=True, parallel=True)
def convolve_weight_grad(
    x: Floats,
    g: Floats,
    pair_in: Ints,
    pair_out: Ints,
    starts: Longs,
    width: int,
    offsets_per_task: int,
    grad: Floats,
    threads: int,
) -> None:
    """Sum over s of grad[s, k] += sum over pairs (i, o) of offset k of outer(x[i], g[o]).

    Args:
        x: (Vin, Cin) float32.
        g: (Vout, Cout) float32, Cout a multiple of width.
        pair_in: (M,) int32.
        pair_out: (M,) int32.
        starts: (blocks, K + 1) int64.
        width: columns of a tile: 8, 16 or 24.
        offsets_per_task: offsets that a thread takes at a time.
        grad: (S, K, Cin, Cout) float32, added to: slice s has the s-th part of the blocks.
        threads: number of threads.
    """
    blocks, offsets = starts.shape[0], starts.shape[1] - 1
    slices, cin, cout = grad.shape[0], x.shape[1], g.shape[1]
    flat = grad.reshape(-1)
    groups = (offsets + offsets_per_task - 1) // offsets_per_task
    chunk = max(32, L1_BYTES // (4 * (cin + width)))
    counter = np.zeros(1, np.int64)
    for _ in prange(threads):
        task = take_ticket(counter)
        while task < groups * slices:
            # The middle offset has the most pairs: begin there.
            begin = (task // slices + groups // 2) % groups * offsets_per_task
            part = task % slices
            for block in range(part * blocks // slices, (part + 1) * blocks // slices):
                for k in range(begin, min(begin + offsets_per_task, offsets)):
                    w_start = (part * offsets + k) * cin * cout
                    end = starts[block, k + 1]
                    for first in range(starts[block, k], end, chunk):
                        last = min(first + chunk, end)
                        for column in range(0, cout, width):
                            _block_outer(
                                x, pair_in, pair_out, first, last, g, column, flat, w_start, width
                            )
            task = take_ticket(counter)
