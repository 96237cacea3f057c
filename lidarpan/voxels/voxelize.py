"""Points sorted into the occupied cells of a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lidarpan.structures import FloatArray, InputError, IntArray
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.voxelize_kernel import voxelize as kernel


@dataclass(frozen=True)
class Voxels:
    """The occupied cells of a grid and who lives in them.

    Attributes:
        indices: (V, 3) int32 cells [x, y, z], ascending in (x, y, z), z running fastest.
        point_to_voxel: (N,) int32 row of each point's cell, -1 = outside the grid.
        num_points: (V,) int32 points per cell, at least 1.
    """

    indices: IntArray
    point_to_voxel: IntArray
    num_points: IntArray

    @property
    def num_voxels(self) -> int:
        """V."""
        return len(self.indices)


def voxelize(points: FloatArray, grid: Grid) -> Voxels:
    """Occupied cells of the points, (N, 3) float32 metres, in an order the points have no say in.

    Cells ascend in (x, y, z): neighbours along z are neighbours in memory and those along y and x
    a few rows to a few hundred rows away, which is what the sparse convolution's cache wants.

    Raises:
        InputError: points are not (N, 3) float32.
    """
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype != np.float32:
        raise InputError(f"points must be (N, 3) float32, got {points.shape} {points.dtype}")

    indices, point_to_voxel, num_points = kernel(
        np.ascontiguousarray(points),
        np.asarray(grid.min_m, np.float32),
        np.asarray(grid.cell_m, np.float32),
        np.asarray(grid.shape, np.int64),
    )
    return Voxels(indices, point_to_voxel, num_points)
