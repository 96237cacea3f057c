"""Scan rings to a closed surface: what lies between two beams that hit the same flat thing."""

from __future__ import annotations

import numpy as np
from numba import njit

from lidarpan.structures import FloatArray, IntArray


@njit(cache=True)
def join_rings(
    order: IntArray,
    column: IntArray,
    range_m: FloatArray,
    height_m: FloatArray,
    group: IntArray,
    shape: tuple[int, int],
    step_m: float,
    gap: tuple[float, float, float],
    max_slope: float,
) -> IntArray:
    """Fill the cells between neighbouring points of one column of beams, on a polar grid.

    Two points of a column with none between them are joined when they are of the same group, the
    slope from one to the other is small, and they are no further apart than
    near + growth * range ** 2 (rings on flat ground spread with the square of the range) and most.

    Args:
        order: (N,) int32 indices of points, by column, then by range.
        column: (N,) int32 in [0, shape[0]).
        range_m: (N,) float32 metres, horizontal.
        height_m: (N,) float32 metres.
        group: (N,) int32; points of group -1 join nothing.
        shape: columns and range steps of the grid.
        step_m: length of a range step, metres.
        gap: (near, growth, most), metres, 1 / metre and metres.
        max_slope: height over length.

    Returns:
        (columns, steps) int32 index of the nearer of the two points, -1 where nothing was joined.
    """
    grid = np.full(shape, -1, np.int32)
    near, growth, most = gap
    for k in range(len(order) - 1):
        i, j = order[k], order[k + 1]
        if column[i] != column[j] or group[i] < 0 or group[i] != group[j]:
            continue
        length = range_m[j] - range_m[i]
        allowed = min(most, near + growth * range_m[i] * range_m[j])
        if length > allowed or abs(height_m[j] - height_m[i]) > 0.06 + max_slope * length:
            continue
        middle = (range_m[i] + range_m[j]) / 2
        first, last = int(range_m[i] / step_m), min(shape[1] - 1, int(range_m[j] / step_m))
        for s in range(first, last + 1):
            grid[column[i], s] = i if (s + 0.5) * step_m < middle else j
    return grid


@njit(cache=True)
def close_columns(grid: IntArray, group: IntArray, reach: int) -> IntArray:
    """Close narrow gaps between columns: a cell with the same group on both sides is filled.

    Args:
        grid: (A, R) int32 from `join_rings`.
        group: (N,) int32 of the points.
        reach: how far to look to each side, columns.

    Returns:
        (A, R) int32 with the point of the nearer side, ties to the right.
    """
    out = grid.copy()
    num_columns, num_steps = grid.shape
    for a in range(num_columns):
        for s in range(num_steps):
            if grid[a, s] >= 0:
                continue
            left, right, nearer = -1, -1, -1
            for d in range(1, reach + 1):
                if right < 0:
                    right = grid[(a - d) % num_columns, s]
                if left < 0:
                    left = grid[(a + d) % num_columns, s]
                if nearer < 0:
                    nearer = right if right >= 0 else left
            if left >= 0 and right >= 0 and group[left] == group[right]:
                out[a, s] = nearer
    return out


@njit(cache=True)
def _azimuth(y: float, x: float) -> float:
    """Arc tangent of y / x over the whole turn by a polynomial, to 2e-5 rad."""
    low, high = min(abs(x), abs(y)), max(abs(x), abs(y))
    t = low / high if high > 0 else 0.0
    u = t * t
    odd = 0.1935435 + u * (-0.1164329 + u * (0.0526533 - u * 0.0117212))
    angle = t * (0.9999773 + u * (-0.3326235 + u * odd))
    if abs(y) > abs(x):
        angle = np.pi / 2 - angle
    if x < 0:
        angle = np.pi - angle
    return -angle if y < 0 else angle


@njit(cache=True)
def polar_to_square(grid: IntArray, step_m: float, edge: int, meters_per_cell: float) -> IntArray:
    """Look up a polar grid from above; forward is up, left is left.

    Args:
        grid: (A, R) int32; column a covers azimuths from a to a + 1 in units of 2 pi / A.
        step_m: length of a range step, metres.
        edge: of the square, cells; the sensor is in its middle.
        meters_per_cell: of the square.

    Returns:
        (edge, edge) int32, -1 outside the grid.
    """
    out = np.full((edge, edge), -1, np.int32)
    num_columns, num_steps = grid.shape
    per_rad = num_columns / (2 * np.pi)
    for r in range(edge):
        x = (edge / 2 - r - 0.5) * meters_per_cell
        for c in range(edge):
            y = (edge / 2 - c - 0.5) * meters_per_cell
            s = int(np.sqrt(x * x + y * y) / step_m)
            if s < num_steps:
                out[r, c] = grid[int(_azimuth(y, x) * per_rad + num_columns) % num_columns, s]
    return out
