"""Points into square BEV cells by a hash table: linear time, any extent, cell size by class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

HALF = 134217728  # cells on either side of the origin


@njit(cache=True)
def key_of(label: int, x: int, y: int) -> int:
    """One number for a cell: 7 bits of class, 28 each of x and y (+- 134 million cells)."""
    return (label << 56) | ((x + HALF) << 28) | (y + HALF)


@njit(cache=True)
def shifted_key(coordinates: Array, v: int, dx: int, dy: int) -> int:
    """Key of the cell (dx, dy) cells from cell v of the same class. coordinates: (V, 3) int32."""
    return key_of(
        np.int64(coordinates[v, 0]),
        np.int64(coordinates[v, 1]) + dx,
        np.int64(coordinates[v, 2]) + dy,
    )


@njit(cache=True)
def slot_of(keys: Array, key: int) -> int:
    """Slot of a key in an open-addressing table: its own, or the free one for it.

    keys: (T,) int64, T a power of two, -1 where free.
    """
    mask = len(keys) - 1
    mixed = (key >> 28) * 73856093 ^ (key & 268435455) * 19349663
    slot = (mixed ^ (mixed >> 15)) & mask
    while keys[slot] != key and keys[slot] >= 0:
        slot = (slot + 1) & mask
    return slot


@njit(cache=True)
def grow_table(keys: Array, cells: Array) -> tuple[Array, Array]:
    """The same table with four times the slots. (T,), (T,) -> (4T,), (4T,)."""
    larger = np.full(4 * len(keys), -1, np.int64)
    larger_cells = np.zeros(4 * len(keys), np.int32)
    for i in range(len(keys)):
        if keys[i] >= 0:
            slot = slot_of(larger, keys[i])
            larger[slot] = keys[i]
            larger_cells[slot] = cells[i]
    return larger, larger_cells


@njit(cache=True)
def assign_cells(xy: Array, label: Array, side: Array) -> tuple[Array, Array, Array, Array]:
    """Cell of every point whose class has a cell size; cells are numbered by their first point.

    Args:
        xy: (N, 2 or more) float32 metres; only the first two columns are read.
        label: (N,) uint8 class of each point, below 128.
        side: (C,) float64 cell size of each class, metres; a class with 0 is left out.

    Returns:
        point_to_cell (N,) int32, -1 where left out; coordinates (V, 3) int32 [class, x, y];
        the hash table's keys (T,) int64 and cells (T,) int32, for `slot_of`.
    """
    inverse = np.where(side > 0.0, 1.0 / np.maximum(side, 1e-12), 0.0)
    point_to_cell = np.full(len(xy), -1, np.int32)
    keys = np.full(4096, -1, np.int64)
    cells = np.zeros(4096, np.int32)
    cell_keys = np.empty(2048, np.int64)
    num_cells = 0
    last = np.int32(-1)
    last_key = np.int64(-1)
    for i in range(len(xy)):
        c = np.int64(label[i])
        scale = inverse[c]
        if scale == 0.0:
            continue
        # shifted to be positive, so that cutting the fraction off is the floor
        key = (c << 56) | (int(xy[i, 0] * scale + HALF) << 28) | int(xy[i, 1] * scale + HALF)
        if key != last_key:
            slot = slot_of(keys, key)
            if keys[slot] < 0:
                if 2 * num_cells >= len(keys):
                    keys, cells = grow_table(keys, cells)
                    slot = slot_of(keys, key)
                if num_cells == len(cell_keys):
                    cell_keys = np.append(cell_keys, cell_keys)
                keys[slot] = key
                cells[slot] = num_cells
                cell_keys[num_cells] = key
                num_cells += 1
            last, last_key = cells[slot], np.int64(key)
        point_to_cell[i] = last
    coordinates = np.empty((num_cells, 3), np.int32)
    for v in range(num_cells):
        coordinates[v, 0] = cell_keys[v] >> 56
        coordinates[v, 1] = ((cell_keys[v] >> 28) & 268435455) - HALF
        coordinates[v, 2] = (cell_keys[v] & 268435455) - HALF
    return point_to_cell, coordinates, keys, cells


@njit(cache=True)
def sort_by_group(group: Array, num_groups: int) -> tuple[Array, Array]:
    """Counting sort of points by group. (N,) int32, -1 = none -> order (M,), start (G + 1,) int32.

    The points of group g are order[start[g]:start[g + 1]], in their original order.
    """
    start = np.zeros(num_groups + 1, np.int32)
    for i in range(len(group)):
        if group[i] >= 0:
            start[group[i] + 1] += 1
    for g in range(num_groups):
        start[g + 1] += start[g]
    fill = start[:num_groups].copy()
    order = np.empty(start[num_groups], np.int32)
    for i in range(len(group)):
        if group[i] >= 0:
            order[fill[group[i]]] = i
            fill[group[i]] += 1
    return order, start


@njit(cache=True)
def find_root(parent: Array, i: int) -> int:
    """Root of i in a union-find forest; halves the path on the way."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True)
def join_roots(parent: Array, a: int, b: int) -> None:
    """Unite the trees of roots a and b: the lower number becomes the root."""
    if a < b:
        parent[b] = a
    else:
        parent[a] = b


@njit(cache=True)
def number_by_first(point_to_group: Array, parent: Array) -> Array:
    """Ids 1, 2, ... of united groups in order of their first point; 0 for points in no group.

    point_to_group: (N,) int32, -1 = none; parent: (G,) union-find forest. -> (N,) int32.
    """
    root = np.empty(len(parent), np.int32)
    ids = np.zeros(len(parent), np.int32)
    for g in range(len(parent)):
        r = g
        while parent[r] != r:
            r = parent[r]
        root[g] = r
    out = np.zeros(len(point_to_group), np.int32)
    next_id = 0
    for i in range(len(point_to_group)):
        g = point_to_group[i]
        if g >= 0:
            if ids[root[g]] == 0:
                next_id += 1
                ids[root[g]] = next_id
            out[i] = ids[root[g]]
    return out
