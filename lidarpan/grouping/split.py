"""Cut components that are larger than their class's box, as ALPINE does."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lidarpan.grouping.cells import number_by_first, sort_by_group
from lidarpan.grouping.components import radius_components
from lidarpan.grouping.hulls import fits_box, hull_of

Array = NDArray[Any]


@njit(cache=True)
def halve(xy: Array, radius: float, finest: float) -> Array:
    """Lower the radius by bisection until the points fall apart. (n, 2+) -> ids (n,) int32, 1..K.

    One component: the radius goes down, more than one: up; the coarsest cut found is returned.
    """
    one = np.ones(len(xy), np.uint8)
    low, high = 0.0, radius
    best = np.ones(len(xy), np.int32)
    while high - low > finest:
        middle = 0.5 * (low + high)
        ids = radius_components(xy, one, np.array([0.0, middle]))
        if ids.max() > 1:
            low, best = middle, ids
        else:
            high = middle
    return best


@njit(cache=True)
def split_oversized(
    xy: Array, ids: Array, label: Array, radius: Array, length: Array, width: Array, finest: float
) -> Array:
    """Cut every component that no length x width box of its class holds, again and again.

    xy (N, 2+) m, ids (N,) int32 components (0 = none), label (N,) uint8; per class radius, largest
    length and width (C,) m; finest: step of the bisection, m -> (N,) int32 numbered by first point.
    """
    group = ids - 1
    num_groups = group.max() + 1 if len(group) else 0
    order, start = sort_by_group(group, num_groups)
    waiting = [order[start[g] : start[g + 1]] for g in range(num_groups)]
    reach = [radius[label[points[0]]] for points in waiting]
    while len(waiting) > 0:
        points, step = waiting.pop(), reach.pop()
        c = label[points[0]]
        if fits_box(hull_of(xy, points), length[c], width[c]):
            continue
        part = halve(xy[points], step, finest) - 1
        if part.max() < 1:
            continue
        inner, ends = sort_by_group(part, part.max() + 1)
        for p in range(part.max() + 1):
            piece = points[inner[ends[p] : ends[p + 1]]]
            if p > 0:
                group[piece] = num_groups
                num_groups += 1
            waiting.append(piece)
            reach.append(step)
    numbered: Array = number_by_first(group, np.arange(num_groups).astype(np.int32))
    return numbered
