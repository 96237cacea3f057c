"""How much of an object lies against walls, fences and plants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lidarpan.kernels.cells import assign_cells, key_of, slot_of, sort_by_group

Array = NDArray[Any]


@njit(cache=True)
def points_near(points: Array, kind: Array, radius: float) -> Array:
    """Which points of kind 1 have a point of kind 2 within the radius, in 3D.

    points (N, 3) float32 m, kind (N,) uint8: 1 asks, 2 answers, 0 is left out -> (N,) bool.
    """
    asks = (kind == 1).astype(np.uint8)
    asks_cell, coordinates, _, _ = assign_cells(points, asks, np.array([0.0, radius]))
    around = np.full((len(coordinates), 9), -1, np.int32)
    halo = np.zeros(len(points), np.int32) - 1
    out = np.zeros(len(points), np.bool_)
    if len(coordinates) == 0:
        return out
    # cells next to an asking cell get a number too; only answers inside those are kept
    halo_keys = np.full(max(4096, 1 << int(math.log2(len(coordinates) * 9) + 2)), -1, np.int64)
    halo_cells = np.zeros(len(halo_keys), np.int32)
    num_halo = 0
    for v in range(len(coordinates)):
        x, y = np.int64(coordinates[v, 1]), np.int64(coordinates[v, 2])
        for k in range(9):
            key = key_of(1, x + k // 3 - 1, y + k % 3 - 1)
            slot = slot_of(halo_keys, key)
            if halo_keys[slot] < 0:
                halo_keys[slot] = key
                halo_cells[slot] = num_halo
                num_halo += 1
            around[v, k] = halo_cells[slot]
    scale = 1.0 / radius
    for i in range(len(points)):
        if kind[i] == 2:
            x, y = math.floor(points[i, 0] * scale), math.floor(points[i, 1] * scale)
            slot = slot_of(halo_keys, key_of(1, x, y))
            if halo_keys[slot] >= 0:
                halo[i] = halo_cells[slot]
    order, start = sort_by_group(halo, num_halo)
    for i in range(len(points)):
        if asks_cell[i] >= 0:
            out[i] = has_near(points, i, around[asks_cell[i]], order, start, radius)
    return out


@njit(cache=True)
def has_near(
    points: Array, i: int, around: Array, order: Array, start: Array, radius: float
) -> bool:
    """Whether one of the groups `around` holds a point within the radius of point i."""
    for v in around:
        for k in range(start[v], start[v + 1]):
            j = order[k]
            dx = points[j, 0] - points[i, 0]
            dy = points[j, 1] - points[i, 1]
            dz = points[j, 2] - points[i, 2]
            if dx * dx + dy * dy + dz * dz < radius * radius:
                return True
    return False


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
