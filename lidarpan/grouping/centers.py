"""Object centers from BEV heatmaps or shifted points, and points to their nearest center."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lidarpan.grouping.cells import assign_cells, shifted_key, slot_of

Array = NDArray[Any]


@njit(cache=True)
def find_peaks(heatmap: Array, threshold: float, reach: int) -> Array:
    """Cells above the threshold that no cell within `reach` cells exceeds (ties: the first wins).

    (X, Y) float32 -> (K, 2) int32 cells, row by row.
    """
    size_x, size_y = heatmap.shape
    peaks = np.empty((64, 2), np.int32)
    count = 0
    for x in range(size_x):
        for y in range(size_y):
            value = heatmap[x, y]
            if not value > threshold:
                continue
            highest = True
            for other_x in range(max(x - reach, 0), min(x + reach + 1, size_x)):
                for other_y in range(max(y - reach, 0), min(y + reach + 1, size_y)):
                    other = heatmap[other_x, other_y]
                    earlier = other_x < x or (other_x == x and other_y < y)
                    if other > value or (other == value and earlier):
                        highest = False
            if highest:
                if count == len(peaks):
                    longer = np.empty((2 * count, 2), np.int32)
                    longer[:count] = peaks
                    peaks = longer
                peaks[count, 0], peaks[count, 1] = x, y
                count += 1
    return peaks[:count]


@njit(cache=True)
def count_peaks(xy: Array, label: Array, side: Array, reach: int, least: int) -> Array:
    """Peaks of the histogram of points over square cells, at their points' mean.

    A sparse `find_peaks` on counts: any extent. Ties go to the cell with the lower (x, y).
    xy (N, 2) m, label (N,) uint8, side (C,) m (0 = leave out; classes share one histogram, so
    all sides are equal) -> (K, 2) float64 m.
    """
    shared = np.array([0.0, side.max()])
    one = np.empty(len(label), np.uint8)
    for i in range(len(label)):
        one[i] = 1 if side[label[i]] > 0.0 else 0
    point_to_cell, coordinates, keys, cells = assign_cells(xy, one, shared)
    total = np.zeros((len(coordinates), 3), np.float64)
    for i in range(len(xy)):
        if point_to_cell[i] >= 0:
            v = point_to_cell[i]
            total[v, 0] += xy[i, 0]
            total[v, 1] += xy[i, 1]
            total[v, 2] += 1.0
    peaks = np.empty((len(coordinates), 2), np.float64)
    count = 0
    for v in range(len(coordinates)):
        highest = total[v, 2] >= least
        for dx in range(-reach, reach + 1):
            for dy in range(-reach, reach + 1):
                if not highest:
                    break
                slot = slot_of(keys, shifted_key(coordinates, v, dx, dy))
                if keys[slot] >= 0:
                    other = total[cells[slot], 2]
                    earlier = dx < 0 or (dx == 0 and dy < 0)
                    highest = not (other > total[v, 2] or (other == total[v, 2] and earlier))
        if highest:
            peaks[count] = total[v, :2] / total[v, 2]
            count += 1
    return peaks[:count]


@njit(cache=True)
def nearest_center(xy: Array, label: Array, centers: Array, radius: Array) -> Array:
    """Index of the nearest center within the radius of the point's class, -1 where none.

    xy (N, 2) m, label (N,) uint8, centers (K, 2) m, radius (C,) m, 0 = leave out -> (N,) int32.
    Centers are searched outwards in x from the point; ties go to the lower index.
    """
    by_x = np.argsort(centers[:, 0], kind="mergesort")
    sorted_x = centers[by_x, 0]
    sorted_y = centers[by_x, 1]
    nearest = np.full(len(xy), -1, np.int32)
    for i in range(len(xy)):
        if radius[label[i]] <= 0.0:
            continue
        x, y = np.float64(xy[i, 0]), np.float64(xy[i, 1])
        best = radius[label[i]] ** 2
        middle = np.searchsorted(sorted_x, x)
        for direction in (-1, 1):
            k = middle if direction == 1 else middle - 1
            while 0 <= k < len(by_x):
                dx = sorted_x[k] - x
                if dx * dx > best:
                    break
                square = dx * dx + (sorted_y[k] - y) ** 2
                if square < best or (square == best and (nearest[i] < 0 or by_x[k] < nearest[i])):
                    best = square
                    nearest[i] = by_x[k]
                k += direction
    return nearest


@njit(cache=True)
def shift_means(seeds: Array, label: Array, xy: Array, weight: Array, bandwidth: Array) -> Array:
    """One flat-kernel mean shift: every seed to the weighted mean of points of its class near it.

    seeds (V, 2) m, label (V,) uint8, xy (V, 2) m the points, weight (V,), bandwidth (C,) m
    -> (V, 2) float64. A seed with no point near it stays.
    """
    by_x = np.argsort(xy[:, 0], kind="mergesort")
    sorted_x = xy[by_x, 0]
    moved = seeds.copy()
    for i in range(len(seeds)):
        reach = bandwidth[label[i]]
        total = sum_x = sum_y = 0.0
        k = np.searchsorted(sorted_x, seeds[i, 0] - reach)
        while k < len(by_x) and sorted_x[k] <= seeds[i, 0] + reach:
            j = by_x[k]
            dx, dy = xy[j, 0] - seeds[i, 0], xy[j, 1] - seeds[i, 1]
            if label[j] == label[i] and dx * dx + dy * dy <= reach * reach:
                total += weight[j]
                sum_x += weight[j] * xy[j, 0]
                sum_y += weight[j] * xy[j, 1]
            k += 1
        if total > 0.0:
            moved[i, 0], moved[i, 1] = sum_x / total, sum_y / total
    return moved
