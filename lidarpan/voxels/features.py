"""Voxels of points -> what the network sees of each voxel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lidarpan.structures import FloatArray, IntArray
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.moments import (
    ground_around,
    lowest_by_cell,
    raster_cells,
    sums_around,
    voxel_moments,
)
from lidarpan.voxels.voxelize import Voxels

NUM_FEATURES = 13
"""F: offset x, y, z; height; range; intensity; log count; spread; height over the ground, twice;
brightness, roughness and unevenness of the ground around."""

# The distances here and the scales of `voxel_features` were chosen by hand on simulated towns,
# without an ablation; the weights were trained with them: another number wants another training.

NEAR_M, FAR_M = 1.2, 4.8
"""Cells in which the ground is looked for: three by three of them around a voxel."""

PATCH_M = 0.6
"""Cells in which the look of the ground is averaged: three by three of them around a voxel."""

AGREE_M = 1.0  # lowest voxels of cells side by side differ by less on a street
GROUND_M = 0.25  # voxels up to this over the lowest around count as ground
REFERENCE_M = 20.0  # range within which the brightness of the scan's ground is taken


@dataclass(frozen=True)
class _Voxel:
    """Averages over the points of each voxel.

    Attributes:
        indices: (V, 3) int32 cells of the grid.
        count: (V,) number of points.
        position: (V, 3) mean, metres.
        bright: (V,) mean intensity.
        variance: (V,) of the heights, square metres.
    """

    indices: IntArray
    count: FloatArray
    position: FloatArray
    bright: FloatArray
    variance: FloatArray

    @cached_property
    def height(self) -> FloatArray:
        """(V,) metres."""
        return np.ascontiguousarray(self.position[:, 2])

    @cached_property
    def reach(self) -> FloatArray:
        """(V,) horizontal range, metres."""
        reach: FloatArray = np.hypot(self.position[:, 0], self.position[:, 1])
        return reach


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
    voxel = _average(points, intensity, voxels)
    half = np.asarray(grid.cell_m, np.float32) / 2
    step = voxel.height - _lowest_around(voxel, grid, NEAR_M)
    columns = (
        voxel.height / 3,
        voxel.reach / 50,
        voxel.bright,
        np.log1p(voxel.count) / 3,
        np.sqrt(voxel.variance) / half[2],
        np.clip(step / 0.3, -1, 3),
        (voxel.height - _lowest_around(voxel, grid, FAR_M)) / 3,
        *_ground_look(voxel, step, grid),
    )
    offset = (voxel.position - grid.center_of(voxel.indices)) / half
    features: FloatArray = np.concatenate([offset, np.stack(columns, axis=1)], axis=1)
    return features.astype(np.float32)


def _average(points: FloatArray, intensity: FloatArray, voxels: Voxels) -> _Voxel:
    moments = voxel_moments(
        np.ascontiguousarray(points, np.float32),
        np.ascontiguousarray(intensity, np.float32),
        voxels.point_to_voxel,
        voxels.num_points,
    ).astype(np.float32)
    count = np.maximum(voxels.num_points, 1).astype(np.float32)
    return _Voxel(voxels.indices, count, moments[:, :3], moments[:, 3], moments[:, 4])


def raster_of(grid: Grid, cell_m: float) -> tuple[int, int, int]:
    """Cells of about cell_m metres: voxels along the edge of one, cells along x, cells along y."""
    stride = max(1, round(cell_m / grid.cell_m[0]))
    return stride, -(-grid.shape[0] // stride), -(-grid.shape[1] // stride)


def _lowest_around(voxel: _Voxel, grid: Grid, cell_m: float) -> FloatArray:
    """Lowest height that the cells around agree on, see `ground_around`. -> (V,) float32 metres.

    Args:
        voxel: the voxels of `grid`.
        grid: the voxel grid.
        cell_m: edge of a cell, metres.
    """
    cells, size = raster_cells(voxel.indices, raster_of(grid, cell_m)[0])
    low = ground_around(lowest_by_cell(voxel.height, cells, size), AGREE_M)
    lowest: FloatArray = low[cells[:, 0], cells[:, 1]]
    return lowest


def _ground_look(voxel: _Voxel, step: FloatArray, grid: Grid) -> FloatArray:
    """What tells asphalt, paving and grass apart, averaged over the ground of 3 x 3 cells.

    Args:
        voxel: the voxels of `grid`.
        step: (V,) metres over the lowest around.
        grid: the voxel grid.

    Returns:
        (3, V), 0 where there is no ground: mean intensity over that of the scan's ground within
        20 m, minus 1 (in [-1, 2]; no gain of the sensor changes it), standard deviation of the
        height inside voxels / 2 cm (at most 3), and of the voxels' heights / 10 cm (at most 3).
    """
    ground = step < GROUND_M
    count, one = voxel.count, np.ones_like(step)
    values = (one, step, step * step, count, count * voxel.bright, count * voxel.variance)
    table = np.stack(values, axis=1).astype(np.float64)
    raster = raster_cells(voxel.indices, raster_of(grid, PATCH_M)[0])
    sums = sums_around(table, ground, *raster)
    voxels, rise, squares, points, light, spread = np.where(sums[:, :1] > 0, sums, [1, 0, 0] * 2).T
    close = voxel.bright[ground & (voxel.reach < REFERENCE_M)]
    usual = float(np.median(close)) if len(close) else 0.0
    light = np.where(sums[:, 0] > 0, light / points, usual)
    shine = np.clip(light / usual - 1, -1, 2) if usual > 0 else 0 * light
    rough = np.minimum(np.sqrt(spread / points) / 0.02, 3)
    uneven = np.sqrt(np.maximum(squares / voxels - (rise / voxels) ** 2, 0))
    look: FloatArray = np.stack([shine, rough, np.minimum(uneven / 0.1, 3)])
    return look
