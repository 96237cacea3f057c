"""Mean and variance of columns, and what follows them, in one pass each over the rows."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from lidarpan.model.sparse.tiles import take_ticket

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

BLOCK = 256
"""Rows that are summed together in float32; blocks are joined in float64, always in one order."""


def column_moments(x: Floats, threads: int) -> tuple[Doubles, Doubles]:
    """Mean and variance of each column, the same bits for any number of threads.

    Blocks are joined as in Chan, Golub and LeVeque, "Algorithms for computing the sample
    variance", 1983, eq. 2.1.

    Args:
        x: (V, C) float32, V at least 1.
        threads: number of threads.

    Returns:
        (C,) and (C,) float64.
    """
    parts = np.empty((-(-len(x) // BLOCK), 2, x.shape[1]), np.float32)
    _block_moments(x, parts, threads)
    return _join_blocks(parts, len(x))


@njit(cache=True, nogil=True, parallel=True)
def _block_moments(x: Floats, parts: Floats, threads: int) -> None:
    counter = np.zeros(1, np.int64)
    for _ in prange(threads):
        block = take_ticket(counter)
        while block < len(parts):
            rows = x[block * BLOCK : min((block + 1) * BLOCK, len(x))]
            _moments(rows, parts[block, 0], parts[block, 1])
            block = take_ticket(counter)


@njit(cache=True, nogil=True)
def _moments(x: Floats, mean: Floats, square: Floats) -> None:
    """Mean and sum of squared deviations of each column, four rows at a time, one after another."""
    num, columns = x.shape
    mean[:] = 0
    square[:] = 0
    even = num - num % 4
    for row in range(0, even, 4):
        for c in range(columns):
            mean[c] = mean[c] + x[row, c] + x[row + 1, c] + x[row + 2, c] + x[row + 3, c]
    for row in range(even, num):
        for c in range(columns):
            mean[c] += x[row, c]
    share = np.float32(1 / num)
    for c in range(columns):
        mean[c] *= share
    for row in range(0, even, 4):
        for c in range(columns):
            a, b = x[row, c] - mean[c], x[row + 1, c] - mean[c]
            d, e = x[row + 2, c] - mean[c], x[row + 3, c] - mean[c]
            square[c] = square[c] + a * a + b * b + d * d + e * e
    for row in range(even, num):
        for c in range(columns):
            a = x[row, c] - mean[c]
            square[c] += a * a


@njit(cache=True, nogil=True)
def _join_blocks(parts: Floats, num_rows: int) -> tuple[Doubles, Doubles]:
    """Mean and variance of all rows from those of blocks (B, 2, C), in float64."""
    blocks, columns = len(parts), parts.shape[2]
    last = num_rows - BLOCK * (blocks - 1)
    mean, spread = np.zeros(columns), np.zeros(columns)
    for block in range(blocks):
        count = np.float64(BLOCK if block < blocks - 1 else last)
        for c in range(columns):
            mean[c] += count * parts[block, 0, c]
    mean /= num_rows
    for block in range(blocks):
        count = np.float64(BLOCK if block < blocks - 1 else last)
        for c in range(columns):
            away = parts[block, 0, c] - mean[c]
            spread[c] += parts[block, 1, c] + count * (away * away)
    return mean, spread / num_rows


@njit(cache=True, nogil=True, parallel=True)
def scale_rows(
    x: Floats,
    scale: Floats,
    shift: Floats,
    residual: Floats,
    rectify: bool,
    out: Floats,
    threads: int,
) -> None:
    """Write act(x * scale + shift + residual) to out.

    Args:
        x: (V, C) float32.
        scale: (C,) float32.
        shift: (C,) float32.
        residual: (V, C) or (0, C) float32.
        rectify: whether act clips at zero; else it does nothing.
        out: (V, C) float32, written; it may be x.
        threads: number of threads.
    """
    counter = np.zeros(1, np.int64)
    columns = x.shape[1]
    low = np.float32(0) if rectify else np.float32(-np.inf)
    for _ in prange(threads):
        block = take_ticket(counter)
        while block * BLOCK < len(x):
            for row in range(block * BLOCK, min((block + 1) * BLOCK, len(x))):
                if len(residual):
                    for c in range(columns):
                        out[row, c] = max(x[row, c] * scale[c] + shift[c] + residual[row, c], low)
                else:
                    for c in range(columns):
                        out[row, c] = max(x[row, c] * scale[c] + shift[c], low)
            block = take_ticket(counter)
