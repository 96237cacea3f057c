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
    blocks = -(-len(x) // BLOCK)
    parts = np.empty((blocks, 2, x.shape[1]), np.float32)
    _block_moments(x, parts, threads)
    count = np.full((blocks, 1), BLOCK, np.float64)
    count[-1] = len(x) - BLOCK * (blocks - 1)
    mean = (count * parts[:, 0]).sum(axis=0) / len(x)
    spread = (parts[:, 1] + count * (parts[:, 0] - mean) ** 2).sum(axis=0)
    return mean, spread / len(x)


@njit(cache=True, nogil=True, parallel=True)
def _block_moments(x: Floats, parts: Floats, threads: int) -> None:
    counter = np.zeros(1, np.int64)
    columns = x.shape[1]
    for _ in prange(threads):
        block = take_ticket(counter)
        while block < len(parts):
            begin, end = block * BLOCK, min((block + 1) * BLOCK, len(x))
            mean, square = parts[block, 0], parts[block, 1]
            mean[:] = 0
            square[:] = 0
            for row in range(begin, end):
                for c in range(columns):
                    mean[c] += x[row, c]
            share = np.float32(1 / (end - begin))
            for c in range(columns):
                mean[c] *= share
            for row in range(begin, end):
                for c in range(columns):
                    away = x[row, c] - mean[c]
                    square[c] += away * away
            block = take_ticket(counter)


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
