"""The heights of a piece of ground, cell by cell, in one pass."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lidarpan.structures import FloatArray


@njit(cache=True)
def lay_heights(
    code: NDArray[np.uint8],
    land: FloatArray,
    rise: FloatArray,
    rough: FloatArray,
    swell: FloatArray,
    fine: FloatArray,
    broad: FloatArray,
    first_x: int,
    first_y: int,
) -> FloatArray:
    """Height of every cell: the land, the surface's own height and its roughness.

    Args:
        code: (X, Y) uint8 surface of each cell.
        land: (A, B) float32 heights of the land at every (X / (A - 1))-th cell's corner, metres.
        rise: (S,) float32 height of each surface over the land.
        rough: (S,) float32 standard deviation of its unevenness from cell to cell.
        swell: (S,) float32 of its unevenness from metre to metre.
        fine: (P, P) float32 periodic noise of cells, standard normal.
        broad: (P, P) float32 periodic noise of metres, standard normal.
        first_x: place of cell (0, 0) in the noise.
        first_y: place of it.

    Returns:
        (X, Y) float32 metres.
    """
    size_x, size_y = code.shape
    step_x = (land.shape[0] - 1) / size_x
    step_y = (land.shape[1] - 1) / size_y
    period = fine.shape[0]
    height = np.empty((size_x, size_y), np.float32)
    for i in range(size_x):
        at = (i + 0.5) * step_x
        row = min(int(at), land.shape[0] - 2)
        x = np.float32(at - row)
        noise_row = (i + first_x) % period
        for j in range(size_y):
            along = (j + 0.5) * step_y
            column = min(int(along), land.shape[1] - 2)
            y = np.float32(along - column)
            low = land[row, column] * (1 - y) + land[row, column + 1] * y
            high = land[row + 1, column] * (1 - y) + land[row + 1, column + 1] * y
            surface = code[i, j]
            noise_column = (j + first_y) % period
            height[i, j] = (
                low * (1 - x) + high * x + rise[surface]
                + rough[surface] * fine[noise_row, noise_column]
                + swell[surface] * broad[noise_row, noise_column]
            )  # fmt: skip
    return height
