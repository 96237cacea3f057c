"""Convex hulls in bird's eye view: of points, of two hulls, do they fit a box, how far apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True)
def cross(o: Array, a: Array, b: Array) -> float:
    """Twice the signed area of the triangle o, a, b; positive when it turns left."""
    return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])


@njit(cache=True)
def convex_hull(points: Array) -> Array:
    """Hull by Andrew's monotone chain. (n, 2) float64, n >= 1 -> (h, 2), counterclockwise.

    One point gives one vertex, points on a line two; vertices on an edge are dropped.
    """
    by_y = np.argsort(points[:, 1], kind="mergesort")
    order = by_y[np.argsort(points[by_y, 0], kind="mergesort")]
    n = len(order)
    hull = np.empty((2 * n, 2), np.float64)
    size = 0
    for k in range(n):  # the lower chain, left to right
        while size >= 2 and cross(hull[size - 2], hull[size - 1], points[order[k]]) <= 0.0:
            size -= 1
        hull[size] = points[order[k]]
        size += 1
    lower = size
    for k in range(n - 2, -1, -1):  # the upper chain, back
        while size > lower and cross(hull[size - 2], hull[size - 1], points[order[k]]) <= 0.0:
            size -= 1
        hull[size] = points[order[k]]
        size += 1
    size = max(size - 1, 1)
    if size == 2 and hull[0, 0] == hull[1, 0] and hull[0, 1] == hull[1, 1]:
        size = 1
    return hull[:size].copy()


@njit(cache=True)
def corner_points(xy: Array, chosen: Array) -> Array:
    """The chosen points that may be hull vertices: those not inside the octagon of extremes.

    xy (N, 2+), chosen (n,) indices, n >= 1 -> (m, 2) float64.
    """
    n = len(chosen)
    high = np.full(4, -np.inf)
    low = np.full(4, np.inf)
    corner = np.zeros((8, 2), np.float64)
    for k in range(n):
        x, y = np.float64(xy[chosen[k], 0]), np.float64(xy[chosen[k], 1])
        for d, value in enumerate((x, x + y, y, y - x)):
            if value > high[d]:
                high[d] = value
                corner[d, 0], corner[d, 1] = x, y
            if value < low[d]:
                low[d] = value
                corner[d + 4, 0], corner[d + 4, 1] = x, y
    if high[0] == low[0] and high[2] == low[2]:  # all points are equal
        return corner[:1].copy()
    kept = np.empty((n, 2), np.float64)
    count = 0
    for k in range(n):
        x, y = np.float64(xy[chosen[k], 0]), np.float64(xy[chosen[k], 1])
        inside = True
        for d in range(8):
            a, b = corner[d], corner[(d + 1) % 8]
            if (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]) <= 0.0 and (
                a[0] != b[0] or a[1] != b[1]
            ):
                inside = False
                break
        if not inside:
            kept[count, 0], kept[count, 1] = x, y
            count += 1
    return kept[:count]


@njit(cache=True)
def hull_of(xy: Array, chosen: Array) -> Array:
    """Convex hull of the chosen points. xy (N, 2+), chosen (n,) indices -> (h, 2) float64."""
    return convex_hull(corner_points(xy, chosen))


@njit(cache=True)
def fits_box(hull: Array, length: float, width: float) -> bool:
    """Whether some rectangle along an edge of the hull encloses it within length x width."""
    h = len(hull)
    if h == 1:
        return True
    for e in range(h):
        nx, ny = hull[(e + 1) % h, 0] - hull[e, 0], hull[(e + 1) % h, 1] - hull[e, 1]
        norm = np.sqrt(nx * nx + ny * ny)
        low = high = 0.0
        across = 0.0
        for k in range(h):
            dx, dy = hull[k, 0] - hull[e, 0], hull[k, 1] - hull[e, 1]
            along = (dx * nx + dy * ny) / norm
            low, high = min(low, along), max(high, along)
            across = max(across, (dy * nx - dx * ny) / norm)
        if max(high - low, across) <= length and min(high - low, across) <= width:
            return True
    return False


@njit(cache=True)
def is_separated(a: Array, b: Array) -> bool:
    """Whether a line along or across an edge of hull a has a on one side and b on the other."""
    for e in range(len(a)):
        dx = a[(e + 1) % len(a), 0] - a[e, 0]
        dy = a[(e + 1) % len(a), 1] - a[e, 1]
        for nx, ny in ((dy, -dx), (dx, dy)):
            a_high = a_low = a[0, 0] * nx + a[0, 1] * ny
            for k in range(1, len(a)):
                value = a[k, 0] * nx + a[k, 1] * ny
                a_high, a_low = max(a_high, value), min(a_low, value)
            b_high = b_low = b[0, 0] * nx + b[0, 1] * ny
            for k in range(1, len(b)):
                value = b[k, 0] * nx + b[k, 1] * ny
                b_high, b_low = max(b_high, value), min(b_low, value)
            if b_low > a_high or a_low > b_high:
                return True
    return False


@njit(cache=True)
def square_to_edge(x: float, y: float, a: Array, b: Array) -> float:
    """Squared distance of a point to the segment a-b."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = dx * dx + dy * dy
    t = 0.0
    if length > 0.0:
        t = min(max(((x - a[0]) * dx + (y - a[1]) * dy) / length, 0.0), 1.0)
    ex, ey = a[0] + t * dx - x, a[1] + t * dy - y
    return ex * ex + ey * ey


@njit(cache=True)
def hull_gap(a: Array, b: Array) -> float:
    """Distance between two hulls, 0 where they meet. (h, 2), (k, 2) -> metres."""
    if len(a) + len(b) > 2 and not (is_separated(a, b) or is_separated(b, a)):
        return 0.0
    best = np.inf
    for k in range(len(a)):
        for e in range(len(b)):
            best = min(best, square_to_edge(a[k, 0], a[k, 1], b[e], b[(e + 1) % len(b)]))
    for k in range(len(b)):
        for e in range(len(a)):
            best = min(best, square_to_edge(b[k, 0], b[k, 1], a[e], a[(e + 1) % len(a)]))
    return np.sqrt(best)
