"""Class probabilities averaged over patches of one surface, before a class is chosen."""

from __future__ import annotations

import numpy as np

from lidarpan.structures import BoolArray, FloatArray, IntArray
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.patches_kernel import mean_by_group, number_patches

PATCH_M = 0.6
"""Edge of a patch in x and y."""

LAYER_M = 0.3
"""Height of a patch of what is no ground."""

KERB_M = 0.06
"""Ground this much over the lowest of its cell is another patch: no average crosses a kerb."""

LAYERS = 4096
"""Layers of a cell at most; what is higher is of the last."""


def average_in_patches(
    probabilities: FloatArray,
    indices: IntArray,
    height: FloatArray,
    is_ground: BoolArray,
    grid: Grid,
) -> FloatArray:
    """The mean probabilities of each voxel's patch.

    A patch holds the voxels of one cell of PATCH_M x PATCH_M that are ground, or that are not: the
    ground in layers of KERB_M over the cell's lowest ground, the others in layers of LAYER_M.

    Args:
        probabilities: (V, K).
        indices: (V, 3) cells of `grid`.
        height: (V,) mean height of the points of each voxel, metres.
        is_ground: (V,) whether the voxel is more likely ground than not.
        grid: the voxel grid.

    Returns:
        (V, K) float32.
    """
    patch = number_patches(indices, height, is_ground, *patch_sizes(grid), KERB_M, LAYERS)
    mean: FloatArray = mean_by_group(np.ascontiguousarray(probabilities, np.float32), patch)
    return mean


def patch_sizes(grid: Grid) -> tuple[tuple[int, int], tuple[int, int], int]:
    """Voxels along the edges of a patch, patches along x and y, voxels in a patch's height."""
    stride = max(1, round(PATCH_M / grid.cell_m[0])), max(1, round(PATCH_M / grid.cell_m[1]))
    size = -(-grid.shape[0] // stride[0]), -(-grid.shape[1] // stride[1])
    return stride, size, max(1, round(LAYER_M / grid.cell_m[2]))
