"""Voxels of points -> what the network sees of each voxel."""

from __future__ import annotations

import numpy as np

from lidarpan.grid import Grid
from lidarpan.structures import FloatArray, IntArray
from lidarpan.voxels import Voxels

NUM_FEATURES = 13
"""F: offset x, y, z; height; range; intensity; log count; spread; height over the ground, twice;
brightness, roughness and unevenness of the ground around."""

NEAR_M, FAR_M = 1.2, 4.8
"""Cells in which the ground is looked for: three by three of them around a voxel."""

PATCH_M = 0.6
"""Cells in which the look of the ground is averaged: three by three of them around a voxel."""

_GROUND_M = 0.25  # voxels up to this over the lowest around count as ground
_REFERENCE_M = 20.0  # range within which the brightness of the scan's ground is taken


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
        (V, 13) float32: offset of the mean point from the voxel's middle in half voxels (x, y, z),
        height / 3 m, horizontal range / 50 m, mean intensity, log(1 + count) / 3, standard
        deviation of the height in half voxels, height over the lowest within about 2 m / 0.3 m
        (cut at 3), over the lowest within about 7 m / 3 m, and the look of the ground within
        about 1 m (see _ground_look). There is no x, y: turning the scan about z leaves all but
        the first two nearly unchanged.
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
    variance = mean((points[inside, 2] - height[voxel]) ** 2)
    bright = mean(intensity[inside])
    reach = np.hypot(position[:, 0], position[:, 1])
    step = height - _lowest_around(height, voxels.indices, grid, NEAR_M)
    look = _ground_look(height, variance, bright, count, step, reach, voxels.indices, grid)
    columns = (
        height / 3,
        reach / 50,
        bright,
        np.log1p(count) / 3,
        np.sqrt(variance) / half[2],
        np.clip(step / 0.3, -1, 3),
        (height - _lowest_around(height, voxels.indices, grid, FAR_M)) / 3,
        *look,
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


def _ground_look(
    height: FloatArray,
    variance: FloatArray,
    bright: FloatArray,
    count: FloatArray,
    step: FloatArray,
    reach: FloatArray,
    indices: IntArray,
    grid: Grid,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What tells asphalt, paving and grass apart, averaged over the ground of 3 x 3 cells.

    Args:
        height: (V,) mean of the points of each voxel, metres.
        variance: (V,) of their heights.
        bright: (V,) their mean intensity.
        count: (V,) their number.
        step: (V,) metres over the lowest around.
        reach: (V,) horizontal range, metres.
        indices: (V, 3) voxels of `grid`.
        grid: the voxel grid.

    Returns:
        (V,) each, 0 where there is no ground: mean intensity over that of the scan's ground within
        20 m, minus 1 (in [-1, 2]; no gain of the sensor changes it), standard deviation of the
        height inside voxels / 2 cm (at most 3), and of the voxels' heights / 10 cm (at most 3).
    """
    from scipy.ndimage import uniform_filter

    ground = step < _GROUND_M
    stride = max(1, round(PATCH_M / grid.cell_m[0]))
    shape = [-(-n // stride) for n in grid.shape[:2]]
    cell = (indices[:, 0] // stride) * shape[1] + indices[:, 1] // stride
    at = cell[ground]

    def around(values: FloatArray) -> FloatArray:
        total = np.bincount(at, weights=values[ground], minlength=shape[0] * shape[1])
        summed = uniform_filter(total.reshape(shape), size=3, mode="constant")
        mean: FloatArray = summed.ravel()[cell]
        return mean

    one = np.ones_like(height)
    voxels, points = around(one), around(count)
    known = voxels > 1e-6
    voxels, points = np.where(known, voxels, 1), np.where(known, points, 1)
    close = ground & (reach < _REFERENCE_M)
    usual = float(np.median(bright[close])) if close.any() else 0.0
    shine = around(count * bright) / points / usual - 1 if usual > 0 else 0 * one
    rough = np.sqrt(np.maximum(around(count * variance), 0) / points)
    uneven = np.sqrt(np.maximum(around(step * step) / voxels - (around(step) / voxels) ** 2, 0))
    look = np.clip(shine, -1, 2), np.minimum(rough / 0.02, 3), np.minimum(uneven / 0.1, 3)
    bare: FloatArray = np.where(known, look, 0.0).astype(np.float32)
    return bare[0], bare[1], bare[2]
