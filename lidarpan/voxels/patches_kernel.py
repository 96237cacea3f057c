"""Voxels numbered by the patch they lie in, and means over groups of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lidarpan.voxels.sorting import stable_order

Array = NDArray[Any]


@njit(cache=True, nogil=True)
def number_patches(
    indices: Array,
    height: Array,
    is_ground: Array,
    stride: tuple[int, int],
    size: tuple[int, int],
    layer: int,
    kerb_m: float,
    layers: int,
) -> Array:
    """(V,) int64 number of each voxel's patch; equal numbers are one patch, numbers have gaps.

    Args:
        indices: (V, 3) voxels.
        height: (V,) metres.
        is_ground: (V,) bool.
        stride: voxels along the edges of a cell in x and y.
        size: cells along x and y.
        layer: voxels in the height of a patch that is no ground.
        kerb_m: height of the layers of the ground.
        layers: of a cell at most.
    """
    low = np.full((size[0], size[1]), np.float32(np.inf), np.float32)
    for v in range(len(indices)):
        x, y = indices[v, 0] // stride[0], indices[v, 1] // stride[1]
        if is_ground[v] and height[v] < low[x, y]:
            low[x, y] = height[v]
    patch = np.empty(len(indices), np.int64)
    for v in range(len(indices)):
        x, y = indices[v, 0] // stride[0], indices[v, 1] // stride[1]
        if is_ground[v]:
            level = np.int64(np.floor((height[v] - low[x, y]) / kerb_m))
        else:
            level = np.int64(indices[v, 2] // layer)
        patch[v] = ((np.int64(x) * size[1] + y) * layers + min(level, layers - 1)) * 2 + is_ground[
            v
        ]
    return patch


@njit(cache=True, nogil=True)
def mean_by_group(values: Array, group: Array) -> Array:
    """Mean of the rows of each group, given to each of its rows. (V, K), (V,) -> (V, K) float32."""
    if len(group) and group.max() < 1 << 32:
        order = stable_order(group.astype(np.uint32))
    else:
        order = np.argsort(group, kind="mergesort").astype(np.int32)
    out = np.empty_like(values)
    begin = 0
    total = np.empty(values.shape[1], np.float64)
    while begin < len(order):
        end = begin
        total[:] = 0.0
        while end < len(order) and group[order[end]] == group[order[begin]]:
            for k in range(values.shape[1]):
                total[k] += values[order[end], k]
            end += 1
        for i in range(begin, end):
            for k in range(values.shape[1]):
                out[order[i], k] = total[k] / (end - begin)
        begin = end
    return out
