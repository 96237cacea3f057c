"""Convex hulls in bird's eye view: of points, of two hulls, do they fit a box, how far apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True)
def keep_right(points: Array, begin: int, end: int, p: Array, q: Array, side: Array) -> int:
    """Move the points strictly right of p -> q to the front of points[begin:end]; where they end.

    side (2,) receives the farthest of them.
    """
    dx, dy = q[0] - p[0], q[1] - p[1]
    farthest, along = 0.0, -np.inf
    for k in range(begin, end):
        x, y = points[k, 0], points[k, 1]
        right = (x - p[0]) * dy - (y - p[1]) * dx
        if right > 0.0:
            points[k, 0], points[k, 1] = points[begin, 0], points[begin, 1]
            points[begin, 0], points[begin, 1] = x, y
            begin += 1
            ahead = x * dx + y * dy
            if right > farthest or (right == farthest and ahead > along):
                farthest, along = right, ahead
                side[0], side[1] = x, y
    return begin


@njit(cache=True)
def hull_of(xy: Array, chosen: Array) -> Array:
    """Convex hull of the chosen points by quickhull: most points are looked at a few times only.

    xy (N, 2+), chosen (n,) indices, n >= 1 -> (h, 2) float64, counterclockwise from the lowest x;
    one vertex for equal points, two for points on a line.
    """
    n = len(chosen)
    points = np.empty((n, 2), np.float64)
    first = last = 0
    for k in range(n):
        points[k, 0], points[k, 1] = xy[chosen[k], 0], xy[chosen[k], 1]
        x, y = points[k, 0], points[k, 1]
        if x < points[first, 0] or (x == points[first, 0] and y < points[first, 1]):
            first = k
        if x > points[last, 0] or (x == points[last, 0] and y > points[last, 1]):
            last = k
    left, right = points[first].copy(), points[last].copy()
    hull = np.empty((16, 2), np.float64)
    hull[0] = left
    if left[0] == right[0] and left[1] == right[1]:
        return hull[:1].copy()
    # edges still to be looked at: from, to, farthest point, and the range of points beyond them
    edges = np.empty((64, 6), np.float64)
    ranges = np.empty((64, 2), np.int64)
    size, depth = 0, 2
    lower = keep_right(points, 0, n, left, right, edges[1, 4:])
    upper = keep_right(points, lower, n, right, left, edges[0, 4:])
    edges[1, :2], edges[1, 2:4] = left, right
    edges[0, :2], edges[0, 2:4] = right, left
    ranges[1, 0], ranges[1, 1], ranges[0, 0], ranges[0, 1] = 0, lower, lower, upper
    while depth > 0:
        depth -= 1
        begin, end = ranges[depth]
        p, q, far = edges[depth, :2].copy(), edges[depth, 2:4].copy(), edges[depth, 4:].copy()
        if begin == end:
            if size == len(hull):
                hull = np.concatenate((hull, np.empty_like(hull)))
            hull[size] = p
            size += 1
            continue
        if depth + 2 > len(edges):
            edges = np.concatenate((edges, np.empty_like(edges)))
            ranges = np.concatenate((ranges, np.empty_like(ranges)))
        near = keep_right(points, begin, end, p, far, edges[depth + 1, 4:])
        rest = keep_right(points, near, end, far, q, edges[depth, 4:])
        edges[depth + 1, :2], edges[depth + 1, 2:4] = p, far
        edges[depth, :2], edges[depth, 2:4] = far, q
        ranges[depth + 1, 0], ranges[depth + 1, 1] = begin, near
        ranges[depth, 0], ranges[depth, 1] = near, rest
        depth += 2
    return hull[:size].copy()


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
