"""Voxels of points -> what the network sees of each voxel."""

from __future__ import annotations

import numpy as np

from lidarpan.grid import Grid
from lidarpan.structures import FloatArray, IntArray
from lidarpan.voxels import Voxels

NUM_FEATURES = 10
"""F: offset x, y, z; height; range; intensity; log count; spread; height over the ground, twice."""

NEAR_M, FAR_M = 1.2, 4.8
"""Cells in which the ground is looked for: three by three of them around a voxel."""


def voxel_features(
    points: FloatArray, intensity: FloatArray, voxels: Voxels, grid: Grid
) -> FloatArray:
    """Position, brightness and surroundings of each voxel, scaled to about [-1, 1].

    Args:
        points: (N, 3) metres in the sensor frame.
        intensity: (N,) in [0, 1].
        voxels: the points' voxels in `grid`.
        grid: the voxel grid.

    Returns:
        (V, 10) float32: offset of the mean point from the voxel's middle in half voxels (x, y, z),
        height / 3 m, horizontal range / 50 m, mean intensity, log(1 + count) / 3, standard
        deviation of the height in half voxels, height over the lowest within about 2 m / 0.3 m
        (cut at 3), and over the lowest within about 7 m / 3 m. There is no x, y: turning the scan
        about z leaves all but the first two nearly unchanged.
    """
    inside = voxels.point_to_voxel >= 0
    voxel = voxels.point_to_voxel[inside]
    count = np.maximum(voxels.num_points, 1).astype(np.float32)

    def mean(values: FloatArray) -> FloatArray:
        total = np.bincount(voxel, weights=values, minlength=len(count))
        average: FloatArray = total.astype(np.float32) / count
        return average

    position = np.stack([mean(column[inside]) for column in points.T], axis=1)
    half = np.asarray(grid.cell_m, np.float32) / 2
    offset = (position - grid.center_of(voxels.indices)) / half
    height = position[:, 2]
    spread = np.sqrt(mean((points[inside, 2] - height[voxel]) ** 2)) / half[2]
    step = height - _lowest_around(height, voxels.indices, grid, NEAR_M)
    columns = (
        height / 3,
        np.hypot(position[:, 0], position[:, 1]) / 50,
        mean(intensity[inside]),
        np.log1p(count) / 3,
        spread,
        np.clip(step / 0.3, -1, 3),
        (height - _lowest_around(height, voxels.indices, grid, FAR_M)) / 3,
    )
    features: FloatArray = np.concatenate([offset, np.stack(columns, axis=1)], axis=1)
    return features.astype(np.float32)


def _lowest_around(height: FloatArray, indices: IntArray, grid: Grid, cell_m: float) -> FloatArray:
    """Second lowest of the lowest voxels of 3 x 3 cells; one stray echo under the ground is not it.

    Args:
        height: (V,) metres.
        indices: (V, 3) voxels of `grid`.
        grid: the voxel grid.
        cell_m: edge of a cell, metres.

    Returns:
        (V,) float32 metres; where all other cells are empty, the lowest of the voxel's own.
    """
    from scipy.ndimage import rank_filter

    stride = max(1, round(cell_m / grid.cell_m[0]))
    cell = indices[:, 0] // stride, indices[:, 1] // stride
    low = np.full([-(-n // stride) for n in grid.shape[:2]], np.inf, np.float32)
    np.minimum.at(low, cell, height)
    second = rank_filter(low, rank=1, size=3, mode="constant", cval=np.inf)
    lowest: FloatArray = np.where(np.isfinite(second), second, low)[cell]
    return lowest
