"""What is known of the surface of a track: its latest view, and older places that it hides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lidarpan.grouping.hulls import fits_box, hull_of

Array = NDArray[Any]

SAME_M = 0.15  # an older place this near to a new one is the same


@njit(cache=True)
def renew_shapes(
    shape: Array, num_shape: Array, stamp: Array, last: Array, num_last: Array, tracks: Array,
    moves: Array, seen: Array, num_seen: Array, objects: Array, time_s: float, lasts_s: Array,
) -> None:  # fmt: skip
    """Put what is seen now first, then older places moved along, while there is room.

    Args:
        shape: (T, 2, S) m; changed.
        num_shape: (T,) places used; changed.
        stamp: (T, S) s when each place was seen; changed.
        last: (T, 2, S) m, what is seen now; changed.
        num_last: (T,) places used of it; changed.
        tracks: (M,) tracks that are seen.
        moves: (M, 2) m, how they moved since they were seen last.
        seen: (K, 2, S) m, surfaces of the objects.
        num_seen: (K,) places used.
        objects: (M,) which object each track is.
        time_s: now.
        lasts_s: (M,) how old a place may be.
    """
    room = shape.shape[2]
    old = np.empty((2, room))
    when = np.empty(room)
    for m in range(len(tracks)):
        t, k = tracks[m], objects[m]
        n, kept = num_seen[k], 0
        for j in range(num_shape[t]):
            if time_s - stamp[t, j] > lasts_s[m]:
                continue
            x, y = shape[t, 0, j] + moves[m, 0], shape[t, 1, j] + moves[m, 1]
            nearest = np.inf
            for i in range(n):
                dx, dy = seen[k, 0, i] - x, seen[k, 1, i] - y
                nearest = min(nearest, dx * dx + dy * dy)
            if nearest > SAME_M * SAME_M:
                old[0, kept], old[1, kept], when[kept] = x, y, stamp[t, j]
                kept += 1
        kept = min(kept, room - n)  # what was seen last lies first
        shape[t, :, :n], stamp[t, :n] = seen[k, :, :n], time_s
        shape[t, :, n : n + kept], stamp[t, n : n + kept] = old[:, :kept], when[:kept]
        num_shape[t] = n + kept
        last[t], num_last[t] = seen[k], n


@njit(cache=True)
def fit_one_box(
    a: Array, na: int, b: Array, nb: int, bx: float, by: float, length: float, width: float
) -> bool:
    """Whether surface a and surface b moved by (bx, by) lie in one box. a, b (2, S) m."""
    points = np.empty((na + nb, 2))
    for i in range(na):
        points[i, 0], points[i, 1] = a[0, i], a[1, i]
    for i in range(nb):
        points[na + i, 0], points[na + i, 1] = b[0, i] + bx, b[1, i] + by
    return fits_box(hull_of(points, np.arange(na + nb)), length, width)


@njit(cache=True)
def nearest_surface(
    world: Array, surface: Array, count: Array, tracks: Array, moves: Array
) -> Array:
    """Which of several moved surfaces is nearest to each point. world (n, 3) -> (n,) int64."""
    chosen = np.zeros(len(world), np.int64)
    for i in range(len(world)):
        best = np.inf
        for m in range(len(tracks)):
            t = tracks[m]
            for j in range(count[t]):
                dx = surface[t, 0, j] + moves[m, 0] - world[i, 0]
                dy = surface[t, 1, j] + moves[m, 1] - world[i, 1]
                d = dx * dx + dy * dy
                if d < best:
                    best, chosen[i] = d, m
    return chosen


@njit(cache=True)
def near_pairs(center: Array, reach_m: Array, close_m: Array) -> Any:
    """Which of K objects are near each other.

    Args:
        center: (K, 2) m.
        reach_m: (K,) middles of a pair are nearer than this of one of the two.
        close_m: (K,) it is beside what is nearer than this.

    Returns:
        (K,) bool whether another one is beside it, (P, 2) int64 pairs in order, (P,) m between.
    """
    count, found = len(center), 0
    beside = np.zeros(count, np.bool_)
    pairs = np.empty((count * (count - 1) // 2, 2), np.int64)
    apart = np.empty(len(pairs))
    for i in range(count):
        for j in range(i + 1, count):
            away = np.hypot(center[i, 0] - center[j, 0], center[i, 1] - center[j, 1])
            beside[i] |= away < close_m[j]
            beside[j] |= away < close_m[i]
            if away < max(reach_m[i], reach_m[j]):
                pairs[found, 0], pairs[found, 1], apart[found] = i, j, away
                found += 1
    return beside, pairs[:found].copy(), apart[:found].copy()
