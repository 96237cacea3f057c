"""Connected components of points in bird's eye view: on a grid, by exact distance, and DBSCAN."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lidarpan.grouping.cells import (
    assign_cells,
    find_root,
    join_roots,
    number_by_first,
    shifted_key,
    slot_of,
    sort_by_group,
)

Array = NDArray[Any]

# half of the 24 cells around a cell, so that every pair of cells comes once; the nearest first
NEAR_CELLS = tuple(
    sorted(
        ((x, y) for x in range(3) for y in range(-2, 3) if x > 0 or y > 0),
        key=lambda step: step[0] ** 2 + step[1] ** 2,
    )
)


@njit(cache=True)
def grid_components(xy: Array, label: Array, side: Array) -> Array:
    """Points of a class whose cells touch (8 neighbours) form a component.

    xy (N, 2+) m, label (N,) uint8, side (C,) cell size per class, 0 = leave out -> ids (N,) int32.
    """
    point_to_cell, coordinates, keys, cells = assign_cells(xy, label, side)
    parent = np.arange(len(coordinates)).astype(np.int32)
    for v in range(len(coordinates)):
        for dx, dy in ((1, -1), (1, 0), (1, 1), (0, 1)):
            slot = slot_of(keys, shifted_key(coordinates, v, dx, dy))
            if keys[slot] >= 0:
                a, b = find_root(parent, v), find_root(parent, cells[slot])
                if a != b:
                    join_roots(parent, a, b)
    return number_by_first(point_to_cell, parent)


@njit(cache=True)
def cell_bounds(xy: Array, start: Array) -> Array:
    """Bounding rectangle of the points of each group, xy[start[v]:start[v + 1]].

    -> (V, 4) float64 x min, y min, x max, y max.
    """
    bounds = np.empty((len(start) - 1, 4), np.float64)
    for v in range(len(bounds)):
        low_x = low_y = np.inf
        high_x = high_y = -np.inf
        for k in range(start[v], start[v + 1]):
            x, y = xy[k, 0], xy[k, 1]
            low_x, high_x = min(low_x, x), max(high_x, x)
            low_y, high_y = min(low_y, y), max(high_y, y)
        bounds[v, 0], bounds[v, 1], bounds[v, 2], bounds[v, 3] = low_x, low_y, high_x, high_y
    return bounds


@njit(cache=True)
def gap_to_bounds(x: float, y: float, bounds: Array) -> float:
    """Squared distance of a point to a rectangle (4,)."""
    dx = max(bounds[0] - x, 0.0, x - bounds[2])
    dy = max(bounds[1] - y, 0.0, y - bounds[3])
    return dx * dx + dy * dy


@njit(cache=True)
def any_closer(xy: Array, start: Array, bounds: Array, a: int, b: int, radius: float) -> bool:
    """Whether a point of group a and one of group b are closer than radius; exact.

    Points as `cell_bounds` has them.
    """
    limit = radius * radius
    dx = max(bounds[a, 0] - bounds[b, 2], 0.0, bounds[b, 0] - bounds[a, 2])
    dy = max(bounds[a, 1] - bounds[b, 3], 0.0, bounds[b, 1] - bounds[a, 3])
    if dx * dx + dy * dy >= limit:
        return False
    for k in range(start[a], start[a + 1]):
        x, y = np.float64(xy[k, 0]), np.float64(xy[k, 1])
        if gap_to_bounds(x, y, bounds[b]) >= limit:
            continue
        for m in range(start[b], start[b + 1]):
            dx = x - xy[m, 0]
            dy = y - xy[m, 1]
            if dx * dx + dy * dy < limit:
                return True
    return False


@njit(cache=True)
def radius_components(xy: Array, label: Array, radius: Array) -> Array:
    """Components of the graph that links points of a class closer than that class's radius.

    Exact: cells of side radius / sqrt(2) are linked whole, the 24 cells around by their closest
    points. xy (N, 2+) m, label (N,) uint8, radius (C,) m, 0 = leave out -> ids (N,) int32.
    """
    # a hair smaller than radius / sqrt(2): the diagonal of a cell must be shorter than the radius
    point_to_cell, coordinates, keys, cells = assign_cells(xy, label, radius * 0.7071)
    order, start = sort_by_group(point_to_cell, len(coordinates))
    ordered = xy[order]  # once: in files of any order, each look at a point would be a far one
    bounds = cell_bounds(ordered, start)
    parent = np.arange(len(coordinates)).astype(np.int32)
    for dx, dy in NEAR_CELLS:
        for v in range(len(coordinates)):
            slot = slot_of(keys, shifted_key(coordinates, v, dx, dy))
            if keys[slot] < 0:
                continue
            a, b = find_root(parent, v), find_root(parent, cells[slot])
            if a != b:
                reach = radius[coordinates[v, 0]]
                if any_closer(ordered, start, bounds, v, cells[slot], reach):
                    join_roots(parent, a, b)
    return number_by_first(point_to_cell, parent)


@njit(cache=True)
def count_core(
    xy: Array, order: Array, start: Array, around: Array, i: int, radius: float, least: int
) -> bool:
    """Whether point i has at least `least` points within radius, itself included."""
    count = 0
    for v in around:
        for k in range(start[v], start[v + 1]):
            dx = np.float64(xy[order[k], 0]) - xy[i, 0]
            dy = np.float64(xy[order[k], 1]) - xy[i, 1]
            if dx * dx + dy * dy < radius * radius:
                count += 1
                if count >= least:
                    return True
    return False


@njit(cache=True)
def cells_around(coordinates: Array, keys: Array, cells: Array, v: int, found: Array) -> int:
    """Fill `found` with the occupied cells of the 5 x 5 around cell v, v first; how many."""
    found[0] = v
    count = 1
    for dx, dy in NEAR_CELLS:
        for sign in (-1, 1):
            slot = slot_of(keys, shifted_key(coordinates, v, sign * dx, sign * dy))
            if keys[slot] >= 0:
                found[count] = cells[slot]
                count += 1
    return count


@njit(cache=True)
def core_points(xy: Array, label: Array, radius: Array, least: int) -> Array:
    """DBSCAN's core points: those with at least `least` of their class within radius.

    xy (N, 2+) m, label (N,) uint8, radius (C,) m -> (N,) bool.
    """
    point_to_cell, coordinates, keys, cells = assign_cells(xy, label, radius * 0.7071)
    order, start = sort_by_group(point_to_cell, len(coordinates))
    core = np.zeros(len(xy), np.bool_)
    found = np.empty(25, np.int32)
    for v in range(len(coordinates)):
        crowded = start[v + 1] - start[v] >= least
        count = 0 if crowded else cells_around(coordinates, keys, cells, v, found)
        r = radius[coordinates[v, 0]]
        for k in range(start[v], start[v + 1]):
            i = order[k]
            core[i] = crowded or count_core(xy, order, start, found[:count], i, r, least)
    return core


@njit(cache=True)
def dbscan_components(xy: Array, label: Array, radius: Array, least: int) -> Array:
    """DBSCAN per class: components of core points; others join their nearest core point, or none.

    xy (N, 2+) m, label (N,) uint8, radius (C,) m, least points -> ids (N,) int32, 0 = noise.
    """
    core = core_points(xy, label, radius, least)
    core_label = np.where(core, label, np.uint8(127))
    longer = np.zeros(128, np.float64)
    longer[: len(radius)] = radius
    component = radius_components(xy, core_label, longer)
    point_to_cell, coordinates, keys, cells = assign_cells(xy, label, radius * 0.7071)
    order, start = sort_by_group(point_to_cell, len(coordinates))
    found = np.empty(25, np.int32)
    group = component - 1
    for i in range(len(xy)):
        if core[i] or point_to_cell[i] < 0:
            continue
        best = radius[label[i]] ** 2
        for v in found[: cells_around(coordinates, keys, cells, point_to_cell[i], found)]:
            for k in range(start[v], start[v + 1]):
                j = order[k]
                dx = np.float64(xy[j, 0]) - xy[i, 0]
                dy = np.float64(xy[j, 1]) - xy[i, 1]
                if core[j] and dx * dx + dy * dy < best:
                    best = dx * dx + dy * dy
                    group[i] = component[j] - 1
    return number_by_first(group, np.arange(group.max() + 1 if len(group) else 0).astype(np.int32))
