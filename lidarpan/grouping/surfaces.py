"""Points of a scan -> the surface of each object from above: at most SURFACE_CELLS places."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

SURFACE_CELLS = 64
CELL_M = 0.2
_MAX_GRID = 1 << 16


@njit(cache=True)
def find_ids(instance: Array) -> Any:
    """Which ids above 0 there are, and the place of each id among them.

    (N,) int32 -> (K,) int32 ascending, (largest id + 1,) int64, -1 for none.
    """
    largest = 0
    for i in range(len(instance)):
        largest = max(largest, instance[i])
    lookup = np.full(largest + 1, -1, np.int64)
    for i in range(len(instance)):
        lookup[instance[i]] = 0
    lookup[0] = -1
    ids = np.flatnonzero(lookup == 0).astype(np.int32)
    for k in range(len(ids)):
        lookup[ids[k]] = k
    return ids, lookup


@njit(cache=True)
def class_votes(
    semantic: Array, instance: Array, lookup: Array, num_objects: int, num_classes: int
) -> Array:
    """Points of each class in each object. (N,) uint8, (N,) int32 -> (K, C) int64."""
    votes = np.zeros((num_objects, num_classes), np.int64)
    for i in range(len(instance)):
        k = lookup[instance[i]]
        if k >= 0:
            votes[k, semantic[i]] += 1
    return votes


@njit(cache=True)
def gather_objects(instance: Array, lookup: Array, num_objects: int) -> Any:
    """Order points by object. -> (order (n,) int64, start (K + 1,) int64).

    instance (N,) int32 >= 0, lookup (max id + 1,) int64 object number of an id or -1.
    """
    start = np.zeros(num_objects + 1, np.int64)
    for i in range(len(instance)):
        k = lookup[instance[i]]
        if k >= 0:
            start[k + 1] += 1
    for k in range(num_objects):
        start[k + 1] += start[k]
    order = np.empty(start[num_objects], np.int64)
    place = start[:-1].copy()
    for i in range(len(instance)):
        k = lookup[instance[i]]
        if k >= 0:
            order[place[k]] = i
            place[k] += 1
    return order, start


@njit(cache=True)
def to_world(points: Array, order: Array, world_T_sensor: Array) -> Array:
    """The ordered points in the world. points (N, 3) float32, order (n,) -> (n, 3) float64."""
    r, t = world_T_sensor[:3, :3], world_T_sensor[:3, 3]
    world = np.empty((len(order), 3), np.float64)
    for j in range(len(order)):
        x, y, z = points[order[j], 0], points[order[j], 1], points[order[j], 2]
        for a in range(3):
            world[j, a] = r[a, 0] * x + r[a, 1] * y + r[a, 2] * z + t[a]
    return world


@njit(cache=True)
def cell_means(
    xy: Array, begin: int, end: int, cell_m: float, extent: Array, slot: Array, cell_of: Array,
    sums: Array,
) -> int:  # fmt: skip
    """Mean of the points in each BEV cell of one object; how many cells.

    xy (n, 2+) world, rows begin:end; extent low and high of x and y; slot (G,) int32 all -1, left
    so; cell_of (n,) room; sums (n, 3) receives the sum of x, y and the count of each cell, in the
    order the cells are met; -1 where the cells do not fit into slot.
    """
    first_x, first_y = np.floor(extent[0] / cell_m), np.floor(extent[2] / cell_m)
    columns = int(np.floor(extent[1] / cell_m) - first_x) + 1
    rows = int(np.floor(extent[3] / cell_m) - first_y) + 1
    if columns * rows > len(slot):
        return -1
    count = 0
    for j in range(begin, end):
        x, y = xy[j, 0], xy[j, 1]
        c = int(np.floor(x / cell_m) - first_x) * rows + int(np.floor(y / cell_m) - first_y)
        s = slot[c]
        if s < 0:
            s = count
            slot[c], cell_of[s] = s, c
            sums[s, 0] = sums[s, 1] = sums[s, 2] = 0.0
            count += 1
        sums[s, 0] += x
        sums[s, 1] += y
        sums[s, 2] += 1.0
    for s in range(count):
        slot[cell_of[s]] = -1
    return count


@njit(cache=True)
def object_surfaces(world: Array, start: Array) -> Any:
    """The surface of each object: the mean place in each cell of CELL_M, coarser where too many.

    world (n, 3) ordered by object, start (K + 1,).
    -> surface (K, 2, S) float64 x and y, count (K,) int64 cells, extent (K, 6) low and high of
    x, y, z.
    """
    num_objects = len(start) - 1
    surface = np.zeros((num_objects, 2, SURFACE_CELLS), np.float64)
    count = np.zeros(num_objects, np.int64)
    extent = np.empty((num_objects, 6), np.float64)
    slot = np.full(_MAX_GRID, -1, np.int32)
    longest = 0
    for k in range(num_objects):
        longest = max(longest, start[k + 1] - start[k])
    sums, cell_of = np.empty((longest, 3), np.float64), np.empty(longest, np.int64)
    for k in range(num_objects):
        begin, end = start[k], start[k + 1]
        for a in range(3):
            low, high = np.inf, -np.inf
            for j in range(begin, end):
                low, high = min(low, world[j, a]), max(high, world[j, a])
            extent[k, 2 * a], extent[k, 2 * a + 1] = low, high
        cell_m = CELL_M
        cells = cell_means(world, begin, end, cell_m, extent[k], slot, cell_of, sums)
        while cells < 0 or cells > SURFACE_CELLS:
            ratio = 2.0 if cells < 0 else np.sqrt(cells / SURFACE_CELLS)
            cell_m *= max(1.1, min(ratio, 2.0))
            cells = cell_means(world, begin, end, cell_m, extent[k], slot, cell_of, sums)
        count[k] = cells
        for c in range(cells):
            surface[k, 0, c] = sums[c, 0] / sums[c, 2]
            surface[k, 1, c] = sums[c, 1] / sums[c, 2]
    return surface, count, extent
