"""How much of an object lies against walls, fences and plants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lidarpan.grouping.cells import assign_cells, key_of, slot_of, sort_by_group

Array = NDArray[Any]


LAYERS = 1024
MANY = 32  # neighbours are counted up to this


@njit(cache=True)
def buried_points(points: Array, kind: Array, radius: float, ratio: float) -> Array:
    """Points of kind 1 with many points of kind 2 within the radius, in 3D, beside their own.

    Many: at least one, and at least `ratio` times those of kind 1, both counted up to MANY.
    points (N, 3) float32 m, kind (N,) uint8, others are left out -> (N,) bool.
    """
    asks = (kind == 1).astype(np.uint8)
    asks_cell, coordinates, _, _ = assign_cells(points, asks, np.array([0.0, radius]))
    out = np.zeros(len(points), np.bool_)
    if len(coordinates) == 0:
        return out
    around, keys, cells, num_cells = cells_with_rim(coordinates)
    own = np.full(len(points), -1, np.int32)
    other = np.full(len(points), -1, np.int32)
    scale = 1.0 / radius
    for i in range(len(points)):
        if kind[i] == 1:
            own[i] = around[asks_cell[i], 4]
        elif kind[i] == 2:
            x, y = math.floor(points[i, 0] * scale), math.floor(points[i, 1] * scale)
            slot = slot_of(keys, key_of(1, x, y))
            if keys[slot] >= 0:
                other[i] = cells[slot]
    layer = layers_of(points, radius)
    own_order, own_start = sort_by_cell_and_layer(own, layer, num_cells)
    order, start = sort_by_cell_and_layer(other, layer, num_cells)
    for i in range(len(points)):
        if own[i] >= 0:
            near = around[asks_cell[i]]
            count = count_near(points, layer, i, near, order, start, radius)
            if count > 0:
                mine = count_near(points, layer, i, near, own_order, own_start, radius)
                out[i] = count >= ratio * mine
    return out


@njit(cache=True)
def layers_of(points: Array, radius: float) -> Array:
    """Number of the layer of height `radius` that each point lies in; the outer two go on for ever.

    points (N, 3) m -> (N,) int32 in 0..LAYERS - 1.
    """
    layer = np.empty(len(points), np.int32)
    for i in range(len(points)):
        level = math.floor(points[i, 2] / radius) + LAYERS // 2
        layer[i] = min(max(level, 0), LAYERS - 1)
    return layer


@njit(cache=True)
def sort_by_cell_and_layer(cell: Array, layer: Array, num_cells: int) -> tuple[Array, Array]:
    """Points by cell, in each by layer, in linear time; else as `sort_by_group`.

    cell (N,) int32, -1 = none, layer (N,) int32 -> order (M,), start (G + 1,).
    """
    by_layer, _ = sort_by_group(np.where(cell >= 0, layer, np.int32(-1)), LAYERS)
    order, start = sort_by_group(cell[by_layer], num_cells)
    return by_layer[order], start


@njit(cache=True)
def cells_with_rim(coordinates: Array) -> tuple[Array, Array, Array, int]:
    """Numbers for the cells and those around them.

    coordinates (V, 3) int32 [class, x, y] -> numbers of the 3 x 3 around each (V, 9) int32, itself
    at 4; a hash table of class 1 (T,) keys and (T,) numbers; how many numbers.
    """
    around = np.empty((len(coordinates), 9), np.int32)
    size = 4096
    while size < 18 * len(coordinates):
        size *= 2
    keys = np.full(size, -1, np.int64)
    cells = np.zeros(size, np.int32)
    count = 0
    for v in range(len(coordinates)):
        x, y = np.int64(coordinates[v, 1]), np.int64(coordinates[v, 2])
        for k in range(9):
            key = key_of(1, x + k // 3 - 1, y + k % 3 - 1)
            slot = slot_of(keys, key)
            if keys[slot] < 0:
                keys[slot] = key
                cells[slot] = count
                count += 1
            around[v, k] = cells[slot]
    return around, keys, cells, count


@njit(cache=True)
def count_near(
    points: Array,
    layer: Array,
    i: int,
    around: Array,
    order: Array,
    start: Array,
    radius: float,
) -> int:
    """How many points of the groups `around` are within the radius of point i, up to MANY.

    Of each group, sorted by layer, only the layers next to the point's are looked at.
    """
    count = 0
    for v in around:
        low, end = start[v], start[v + 1]
        high = end
        while low < high:  # the first point of the layer below, or a higher one
            middle = (low + high) // 2
            if layer[order[middle]] < layer[i] - 1:
                low = middle + 1
            else:
                high = middle
        for k in range(low, end):
            j = order[k]
            if layer[j] > layer[i] + 1:
                break
            dx = points[j, 0] - points[i, 0]
            dy = points[j, 1] - points[i, 1]
            dz = points[j, 2] - points[i, 2]
            if dx * dx + dy * dy + dz * dz < radius * radius:
                count += 1
                if count >= MANY:
                    return count
    return count


@njit(cache=True)
def measure_objects(
    points: Array, ids: Array, semantic: Array, near: Array, num_classes: int
) -> tuple[Array, Array, Array, Array]:
    """Each object's share of near points, length, height and most frequent class.

    points (N, 3) m, ids (N,) int32 (0 = none), semantic (N,) uint8, near (N,) bool
    -> share (K + 1,), length (K + 1,) m (of an even bar with the same scatter in x, y: does not
    turn with the scan), height (K + 1,) m, class (K + 1,) int64; row 0 is empty.
    """
    num = (ids.max() if len(ids) else 0) + 1
    sums = np.zeros((num, 5), np.float64)  # count, near, x, y, squares
    origin = np.zeros((num, 2), np.float64)
    low = np.full(num, np.inf)
    high = np.full(num, -np.inf)
    votes = np.zeros((num, num_classes), np.int64)
    for i in range(len(ids)):
        k = ids[i]
        if k == 0:
            continue
        if sums[k, 0] == 0.0:
            origin[k, 0], origin[k, 1] = points[i, 0], points[i, 1]
        dx, dy = points[i, 0] - origin[k, 0], points[i, 1] - origin[k, 1]
        sums[k, 0] += 1.0
        sums[k, 1] += near[i]
        sums[k, 2] += dx
        sums[k, 3] += dy
        sums[k, 4] += dx * dx + dy * dy
        low[k], high[k] = min(low[k], points[i, 2]), max(high[k], points[i, 2])
        votes[k, semantic[i]] += 1
    count = np.maximum(sums[:, 0], 1.0)
    scatter = sums[:, 4] / count - (sums[:, 2] ** 2 + sums[:, 3] ** 2) / count**2
    label = np.zeros(num, np.int64)
    for k in range(num):
        label[k] = votes[k].argmax()
    return sums[:, 1] / count, np.sqrt(12.0 * np.maximum(scatter, 0.0)), high - low, label
