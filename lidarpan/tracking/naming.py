"""Points of a scan by the ids of their objects: other ids and classes, and those without one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True)
def rename_points(
    instance: Array, semantic: Array, name: Array, kind: Array, is_thing: Array
) -> tuple[Array, Array]:
    """New ids and classes of N points, by their ids.

    Args:
        instance: (N,) int32 ids.
        semantic: (N,) uint8 train ids.
        name: (largest id + 1,) int32 the new ids.
        kind: (largest id + 1,) uint8 the class that its points of things get, 0 for their own.
        is_thing: (C,) bool.

    Returns:
        (N,) int32 and (N,) uint8.
    """
    ids, kinds = np.empty_like(instance), semantic.copy()
    for i in range(len(instance)):
        own = instance[i]
        ids[i] = name[own]
        if own > 0 and kind[own] > 0 and is_thing[semantic[i]]:
            kinds[i] = kind[own]
    return ids, kinds


@njit(cache=True)
def unnamed_points(instance: Array, semantic: Array, is_thing: Array) -> Array:
    """Numbers of the points of things without an id. (N,) int32, (N,) uint8, (C,) bool -> (M,)."""
    found = np.empty(len(instance), np.int64)
    count = 0
    for i in range(len(instance)):
        if instance[i] == 0 and is_thing[semantic[i]]:
            found[count] = i
            count += 1
    return found[:count].copy()


@njit(cache=True)
def sum_rows(values: Array, which: Array, count: int) -> Array:
    """The sum of the rows that belong together. (K, C) floats, (K,) below count -> (count, C)."""
    sums = np.zeros((count, values.shape[1]))
    for k in range(len(which)):
        for c in range(values.shape[1]):
            sums[which[k], c] += values[k, c]
    return sums
