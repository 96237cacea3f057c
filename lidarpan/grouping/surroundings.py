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
RIM = ((0, 0), (0, -1), (0, 1), (-1, 0), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))


@njit(cache=True)
def buried_points(points: Array, kind: Array, radius: float, ratio: float) -> Array:
    """Points of kind 1 with many points of kind 2 within the radius, in 3D, beside their own.

    Many: at least one, and at least `ratio` times those of kind 1, both counted up to MANY.
    points (N, 3) float32 m, kind (N,) uint8, others are left out -> (N,) bool.
    """
    out = np.zeros(len(points), np.bool_)
    rows = np.flatnonzero(kind == 1)
    asking = points[rows]
    of_asking, coordinates, _, _ = assign_cells(
        asking, np.ones(len(rows), np.uint8), np.array([0.0, radius])
    )
    if len(coordinates) == 0:
        return out
    around, keys, cells, num_cells = cells_with_rim(coordinates)
    own = around[of_asking, 0]
    others, other = points_in_cells(points, kind, keys, cells, radius)
    layer = layers_of(asking, radius)
    mine = runs_of(asking, own, layer, num_cells)
    theirs = runs_of(others, other, layers_of(others, radius), num_cells)
    by_cell, _ = sort_by_group(of_asking, len(coordinates))
    for i in by_cell:  # what is near a cell is fetched once, whatever the order of the points
        near = around[of_asking[i]]
        count = count_near(asking[i], layer[i], near, theirs, radius)
        if count > 0:
            out[rows[i]] = count >= ratio * count_near(asking[i], layer[i], near, mine, radius)
    return out


@njit(cache=True)
def points_in_cells(
    points: Array, kind: Array, keys: Array, cells: Array, radius: float
) -> tuple[Array, Array]:
    """Points of kind 2 in the cells of a hash table, and the number of each one's cell.

    points (N, 3) m, kind (N,), keys (T,) int64 and cells (T,) of class 1 -> (M, 3), (M,) int32.
    """
    rows = np.empty(len(points), np.int32)
    cell = np.empty(len(points), np.int32)
    count, last, found = 0, np.int64(-1), np.int32(-1)
    scale = 1.0 / radius
    for i in range(len(points)):
        if kind[i] == 2:
            x, y = math.floor(points[i, 0] * scale), math.floor(points[i, 1] * scale)
            key = key_of(1, x, y)
            if key != last:  # neighbours in a scan mostly share their cell
                slot = slot_of(keys, key)
                last, found = key, cells[slot] if keys[slot] >= 0 else np.int32(-1)
            if found >= 0:
                rows[count], cell[count] = i, found
                count += 1
    return points[rows[:count]], cell[:count]


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
def runs_of(
    points: Array, cell: Array, layer: Array, num_cells: int
) -> tuple[Array, Array, Array, Array, Array]:
    """Points by cell and layer, in linear time: those of one cell and one layer are a run.

    points (N, 3) m, cell (N,) int32, layer (N,) int32 -> sorted points (N, 3); first run of each
    cell (G + 1,); of each run its first point (R + 1,), its layer (R,), and the box around its
    points (R, 2, 3) float32 m.
    """
    by_layer, _ = sort_by_group(layer, LAYERS)
    order, start = sort_by_group(cell[by_layer], num_cells)
    order = by_layer[order]
    points = points[order]
    first = np.zeros(num_cells + 1, np.int32)
    begin = np.empty(len(order) + 1, np.int32)
    num_runs = 0
    for v in range(num_cells):
        for k in range(start[v], start[v + 1]):
            if k == start[v] or layer[order[k]] != layer[order[k - 1]]:
                begin[num_runs] = k
                num_runs += 1
        first[v + 1] = num_runs
    begin[num_runs] = len(order)
    level = np.empty(num_runs, np.int32)
    box = np.empty((num_runs, 2, 3), np.float32)
    for run in range(num_runs):
        level[run] = layer[order[begin[run]]]
        box[run] = points[begin[run]]
        for k in range(begin[run] + 1, begin[run + 1]):
            for axis in range(3):
                value = points[k, axis]
                box[run, 0, axis] = min(box[run, 0, axis], value)
                box[run, 1, axis] = max(box[run, 1, axis], value)
    return points, first, begin[: num_runs + 1], level, box


@njit(cache=True)
def cells_with_rim(coordinates: Array) -> tuple[Array, Array, Array, int]:
    """Numbers for the cells and those around them.

    coordinates (V, 3) int32 [class, x, y] -> numbers of the 3 x 3 around each (V, 9) int32, itself
    first; a hash table of class 1 (T,) keys and (T,) numbers; how many numbers.
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
            key = key_of(1, x + RIM[k][0], y + RIM[k][1])
            slot = slot_of(keys, key)
            if keys[slot] < 0:
                keys[slot] = key
                cells[slot] = count
                count += 1
            around[v, k] = cells[slot]
    return around, keys, cells, count


@njit(cache=True)
def count_near(
    point: Array, layer: int, around: Array, runs: tuple[Array, ...], radius: float
) -> int:
    """How many points of the cells `around` are within the radius of a point (3,), up to MANY.

    A run of the point's layer or one next to it that lies out of reach or within it as a whole is
    taken by its box: only of those that the sphere cuts are the points looked at.
    """
    points, first, begin, level, box = runs
    count = 0
    for v in around:
        for run in range(first[v], first[v + 1]):
            if level[run] > layer + 1:
                break
            if level[run] < layer - 1:
                continue
            least, most = reach_of(point, box[run])
            if least >= radius * radius:
                continue
            if most < radius * radius:
                count += begin[run + 1] - begin[run]
            else:
                for k in range(begin[run], begin[run + 1]):
                    dx = points[k, 0] - point[0]
                    dy = points[k, 1] - point[1]
                    dz = points[k, 2] - point[2]
                    count += dx * dx + dy * dy + dz * dz < radius * radius
                    if count >= MANY:
                        return MANY
            if count >= MANY:
                return MANY
    return count


@njit(cache=True, inline="always")
def reach_of(point: Array, box: Array) -> tuple[Any, Any]:
    """Least and largest squared distance of a point (3,) to a box (2, 3).

    In the arithmetic of the distances of points, float32: where a box decides, its points would.
    """
    least, most = np.float32(0), np.float32(0)
    for axis in range(3):
        below, above = box[0, axis] - point[axis], point[axis] - box[1, axis]
        gap = max(below, above, np.float32(0))
        span = max(-below, -above)
        least += gap * gap
        most += span * span
    return least, most


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
