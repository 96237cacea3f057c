"""Means over the points of voxels, and minima and sums over the cells of a coarser raster."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]


@njit(cache=True, nogil=True)
def voxel_moments(
    points: Floats, intensity: Floats, point_to_voxel: Ints, num_points: Ints
) -> Doubles:
    """Means of x, y, z and intensity, and the variance of z, of the points of each voxel.

    Args:
        points: (N, 3) float32.
        intensity: (N,) float32.
        point_to_voxel: (N,) row of each point's voxel, -1 = none.
        num_points: (V,) points of each voxel.

    Returns:
        (V, 5) float64; zeros for a voxel without points.
    """
    moments = np.zeros((len(num_points), 5))
    for i in range(len(points)):
        v = point_to_voxel[i]
        if v >= 0:
            moments[v, 0] += points[i, 0]
            moments[v, 1] += points[i, 1]
            moments[v, 2] += points[i, 2]
            moments[v, 3] += intensity[i]
    for v in range(len(num_points)):
        if num_points[v] > 0:
            for k in range(4):
                moments[v, k] /= num_points[v]
    for i in range(len(points)):
        v = point_to_voxel[i]
        if v >= 0:
            moments[v, 4] += (points[i, 2] - moments[v, 2]) ** 2 / num_points[v]
    return moments


@njit(cache=True, nogil=True)
def raster_cells(indices: Ints, stride: int) -> tuple[Ints, Ints]:
    """Raster cell of stride x stride voxels of each voxel, counted from the least one occupied.

    Args:
        indices: (V, 3) voxels.
        stride: voxels along the edge of a cell.

    Returns:
        (V, 2) int32 cells and (2,) int32, how many there are along x and y.
    """
    cells = np.empty((len(indices), 2), np.int32)
    low, size = np.zeros(2, np.int32), np.zeros(2, np.int32)
    if len(indices) > 0:
        for axis in range(2):
            low[axis] = indices[:, axis].min() // stride
            size[axis] = indices[:, axis].max() // stride - low[axis] + 1
    for v in range(len(indices)):
        cells[v, 0] = indices[v, 0] // stride - low[0]
        cells[v, 1] = indices[v, 1] // stride - low[1]
    return cells, size


@njit(cache=True, nogil=True)
def lowest_by_cell(height: Floats, cells: Ints, size: Ints) -> Floats:
    """The lowest voxel of each raster cell. -> (X, Y), inf where none.

    Args:
        height: (V,) metres.
        cells: (V, 2) of `raster_cells`.
        size: (2,) cells along x and y.
    """
    low = np.full((size[0], size[1]), np.float32(np.inf), np.float32)
    for v in range(len(height)):
        x, y = cells[v]
        low[x, y] = min(low[x, y], height[v])
    return low


@njit(cache=True, nogil=True)
def ground_around(low: Floats, near_m: float) -> Floats:
    """The ground that the lowest voxels of 3 x 3 raster cells agree on.

    Echoes from under the ground lie far from all others. So of the nine, in rising order, the
    first that lies within near_m over the one before is taken; where none does, the second; where
    there is but one, that one.

    Args:
        low: (X, Y) metres, inf where nothing is.
        near_m: metres.

    Returns:
        (X, Y) float32 metres, inf where nothing is in the cell itself.
    """
    out = np.full_like(low, np.float32(np.inf))
    near = np.empty(9, np.float32)
    for x in range(low.shape[0]):
        for y in range(low.shape[1]):
            if low[x, y] == np.inf:
                continue
            count = 0
            for i in range(max(x - 1, 0), min(x + 2, low.shape[0])):
                for j in range(max(y - 1, 0), min(y + 2, low.shape[1])):
                    if low[i, j] == np.inf:
                        continue
                    place = count
                    while place > 0 and near[place - 1] > low[i, j]:
                        near[place] = near[place - 1]
                        place -= 1
                    near[place] = low[i, j]
                    count += 1
            out[x, y] = near[min(1, count - 1)]
            for k in range(1, count):
                if near[k] - near[k - 1] <= near_m:
                    out[x, y] = near[k]
                    break
    return out


@njit(cache=True, nogil=True)
def sums_around(values: Doubles, chosen: Bools, cells: Ints, size: Ints) -> Doubles:
    """Sums of the chosen voxels' values over the 3 x 3 raster cells around each voxel.

    Args:
        values: (V, K) float64.
        chosen: (V,) which voxels count.
        cells: (V, 2) of `raster_cells`.
        size: (2,) cells along x and y.

    Returns:
        (V, K) float64.
    """
    count = values.shape[1]
    raster = np.zeros((size[0] + 2, size[1] + 2, count))  # with an empty rim
    for v in range(len(values)):
        if chosen[v]:
            x, y = cells[v, 0] + 1, cells[v, 1] + 1
            for k in range(count):
                raster[x, y, k] += values[v, k]
    sums = np.zeros_like(values)
    first = np.full((size[0] + 2, size[1] + 2), -1, np.int32)  # voxel of each cell that has the sum
    for v in range(len(values)):
        x, y = cells[v, 0] + 1, cells[v, 1] + 1
        if first[x, y] >= 0:
            sums[v] = sums[first[x, y]]
            continue
        first[x, y] = v
        for dx in range(-1, 2):
            for dy in range(-1, 2):
                for k in range(count):
                    sums[v, k] += raster[x + dx, y + dy, k]
    return sums


@njit(cache=True, nogil=True)
def sum_over_points(
    rows: Floats, point_to_row: Ints, point_to_voxel: Ints, num_voxels: int
) -> tuple[Floats, Ints]:
    """Sum of the rows of each voxel's points, and how many points have one.

    Args:
        rows: (W, K) float32.
        point_to_row: (N,), -1 = none.
        point_to_voxel: (N,), -1 = none.
        num_voxels: V.

    Returns:
        (V, K) float32 and (V,) int32.
    """
    sums = np.zeros((num_voxels, rows.shape[1]), np.float32)
    count = np.zeros(num_voxels, np.int32)
    for i in range(len(point_to_row)):
        w, v = point_to_row[i], point_to_voxel[i]
        if w >= 0 and v >= 0:
            count[v] += 1
            for k in range(rows.shape[1]):
                sums[v, k] += rows[w, k]
    return sums, count
