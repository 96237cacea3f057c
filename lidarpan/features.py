"""Voxels of points -> what the network sees of each voxel."""

from __future__ import annotations

import numpy as np

from lidarpan.grid import Grid
from lidarpan.structures import FloatArray
from lidarpan.voxels import Voxels

NUM_FEATURES = 7
"""F: mean offset x, y, z; height; range; intensity; log count."""


def voxel_features(
    points: FloatArray, intensity: FloatArray, voxels: Voxels, grid: Grid
) -> FloatArray:
    """Mean of its points' position and intensity for each voxel, scaled to about [-1, 1].

    Args:
        points: (N, 3) metres in the sensor frame.
        intensity: (N,) in [0, 1].
        voxels: the points' voxels in `grid`.
        grid: the voxel grid.

    Returns:
        (V, 7) float32: offset of the mean point from the voxel's middle in half voxels (x, y, z),
        height / 3 m, horizontal range / 50 m, mean intensity, log(1 + count) / 3. There is no x, y:
        turning the scan about z leaves height, range, intensity and count unchanged.
    """
    inside = voxels.point_to_voxel >= 0
    voxel = voxels.point_to_voxel[inside]
    count = np.maximum(voxels.num_points, 1).astype(np.float32)
    num_voxels = len(count)
    mean = [
        np.bincount(voxel, weights=column[inside], minlength=num_voxels).astype(np.float32) / count
        for column in (*points.T, intensity)
    ]
    position = np.stack(mean[:3], axis=1)
    middle = grid.center_of(voxels.indices)
    offset = (position - middle) / (np.asarray(grid.cell_m, np.float32) / 2)
    radius = np.hypot(position[:, 0], position[:, 1])
    columns = (position[:, 2] / 3, radius / 50, mean[3], np.log1p(count) / 3)
    features: FloatArray = np.concatenate([offset, np.stack(columns, axis=1)], axis=1)
    return features.astype(np.float32)
