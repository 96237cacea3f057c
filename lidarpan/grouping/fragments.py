"""Fragments of objects joined, the closest first, while one box of their class holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lidarpan.grouping.cells import find_root, join_roots, slot_of
from lidarpan.grouping.hulls import fits_box, hull_gap, hull_of

Array = NDArray[Any]


@njit(cache=True)
def fragment_hulls(xy: Array, order: Array, start: Array) -> tuple[Array, Array]:
    """Convex hull of each group of points. -> vertices (H, 2) float64, first vertex (G + 1,)."""
    num_groups = len(start) - 1
    vertices = np.empty((16 * num_groups + 64, 2), np.float64)
    first = np.zeros(num_groups + 1, np.int64)
    for g in range(num_groups):
        hull = hull_of(xy, order[start[g] : start[g + 1]])
        end = first[g] + len(hull)
        if end > len(vertices):
            vertices = np.concatenate((vertices, np.empty_like(vertices), np.empty_like(hull)))
        vertices[first[g] : end] = hull
        first[g + 1] = end
    return vertices[: first[num_groups]], first


@njit(cache=True)
def near_pairs(
    vertices: Array, first: Array, label: Array, reach: Array
) -> tuple[Array, Array, Array]:
    """Pairs of fragments whose hulls are less apart than the reach of their two classes.

    vertices (H, 2), first (G + 1,) hulls; label (G,) class; reach (C, C) m, symmetric
    -> pairs (P, 2) int32, gap (P,) m, distance of the hulls' middles (P,) m.
    """
    num = len(label)
    bounds = np.empty((num, 4), np.float64)
    middle = np.empty((num, 2), np.float64)
    for g in range(num):
        hull = vertices[first[g] : first[g + 1]]
        bounds[g, 0], bounds[g, 1] = hull[:, 0].min(), hull[:, 1].min()
        bounds[g, 2], bounds[g, 3] = hull[:, 0].max(), hull[:, 1].max()
        middle[g, 0], middle[g, 1] = hull[:, 0].mean(), hull[:, 1].mean()
    pairs = np.empty((256, 2), np.int32)
    gaps = np.empty(256, np.float64)
    far = np.empty(256, np.float64)
    count = 0
    by_x = np.argsort(bounds[:, 0], kind="mergesort")
    for i in range(num):
        a = by_x[i]
        farthest = reach[label[a]].max()
        for j in range(i + 1, num):
            b = by_x[j]
            if bounds[b, 0] - bounds[a, 2] >= farthest:
                break
            limit = reach[label[a], label[b]]
            dx = max(bounds[b, 0] - bounds[a, 2], 0.0)
            dy = max(bounds[a, 1] - bounds[b, 3], 0.0, bounds[b, 1] - bounds[a, 3])
            if dx * dx + dy * dy >= limit * limit:
                continue
            gap = hull_gap(vertices[first[a] : first[a + 1]], vertices[first[b] : first[b + 1]])
            if gap >= limit:
                continue
            if count == len(pairs):
                pairs = np.concatenate((pairs, pairs))
                gaps = np.concatenate((gaps, gaps))
                far = np.concatenate((far, far))
            pairs[count, 0], pairs[count, 1] = min(a, b), max(a, b)
            gaps[count] = gap
            far[count] = np.hypot(middle[a, 0] - middle[b, 0], middle[a, 1] - middle[b, 1])
            count += 1
    return pairs[:count], gaps[:count], far[:count]


@njit(cache=True)
def is_doubted(a: Array, b: Array, share: float, alike: float) -> bool:
    """Whether masses (C,) of two classes may be of one object; see join_fragments."""
    total_a, total_b = a.sum(), b.sum()
    if min(total_a, total_b) <= share * (total_a + total_b):
        return True
    common = 0.0
    for c in range(len(a)):
        common += min(a[c] / total_a, b[c] / total_b)
    return common >= alike


@njit(cache=True)
def join_fragments(
    vertices: Array,
    first: Array,
    mass: Array,
    pairs: Array,
    gaps: Array,
    far: Array,
    reach: Array,
    tight: Array,
    loose: Array,
    share: float,
    alike: float,
) -> Array:
    """Kruskal's rule with a bound: nearest pairs first, united when one box holds the union.

    The box goes from `loose` at gap 0 to `tight` at the class's reach, with the square of what is
    left to the reach. Unions of two classes take the box of the heavier one, and need doubt: the
    lighter has at most `share` of the mass, or both have `alike` of their distributions over the
    classes in common.

    Args:
        vertices: (H, 2) float64 m, the fragments' hulls.
        first: (G + 1,) first vertex of each hull.
        mass: (G, C) float64 points or summed probabilities of each class.
        pairs: (P, 2) int32 fragments.
        gaps: (P,) m between them; only order and the box depend on it.
        far: (P,) m between their middles: the order where gaps are equal.
        reach: (C, C) m, pairs with larger gaps are left.
        tight: (C, 2) m, length and width.
        loose: (C, 2) m.
        share: in [0, 0.5].
        alike: in [0, 1].

    Returns:
        parent (G,) int32, a union-find forest over fragments.
    """
    parent = np.arange(len(mass)).astype(np.int32)
    mass = mass.copy()
    pool = vertices.copy()
    begin = first[:-1].copy()
    end = first[1:].copy()
    used = len(vertices)
    by_far = np.argsort(far, kind="mergesort")
    order = by_far[np.argsort(gaps[by_far], kind="mergesort")]
    changed = np.zeros(len(mass), np.int64)  # after how many unions each root was last united
    unions = 0
    size = 1024
    while size < 2 * len(pairs):
        size *= 2
    refused = np.full(size, -1, np.int64)  # two roots that could not be united, and when
    when = np.zeros(size, np.int64)
    for p in order:
        a, b = find_root(parent, pairs[p, 0]), find_root(parent, pairs[p, 1])
        if a == b:
            continue
        key = np.int64(min(a, b)) * len(mass) + max(a, b)
        slot = slot_of(refused, key)
        if refused[slot] == key and max(changed[a], changed[b]) <= when[slot]:
            continue  # the same two at a larger gap: what they may be is only smaller
        refused[slot], when[slot] = key, unions
        both = mass[a] + mass[b]
        c = both.argmax()
        class_a, class_b = mass[a].argmax(), mass[b].argmax()
        if gaps[p] >= reach[class_a, class_b]:
            continue
        if class_a != class_b and not is_doubted(mass[a], mass[b], share, alike):
            continue
        ease = (1.0 - min(gaps[p] / reach[c, c], 1.0)) ** 2
        length = tight[c, 0] + ease * (loose[c, 0] - tight[c, 0])
        width = tight[c, 1] + ease * (loose[c, 1] - tight[c, 1])
        corners = np.concatenate((pool[begin[a] : end[a]], pool[begin[b] : end[b]]))
        hull = hull_of(corners, np.arange(len(corners)))
        if not fits_box(hull, length, width):
            continue
        join_roots(parent, a, b)
        root = min(a, b)
        unions += 1
        changed[root] = unions
        mass[root] = both
        if used + len(hull) > len(pool):
            pool = np.concatenate((pool, np.empty((len(pool) + len(hull), 2))))
        pool[used : used + len(hull)] = hull
        begin[root], end[root] = used, used + len(hull)
        used += len(hull)
    return parent
