"""Points into the occupied cells of a grid, on any device, without waiting for it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lidarpan.voxels.grid import Grid
from lidarpan.voxels.keys import NO_CELL, add_rows, cell_keys, cells_of, constant, number_keys


@dataclass(frozen=True)
class DeviceVoxels:
    """What `Voxels` holds, on a device, with room for R voxels.

    Attributes:
        keys: (R,) int64 of the cells, ascending, NO_CELL behind them.
        indices: (R, 4) int32 cells [0, x, y, z].
        count: (1,) int32 voxels, R at most.
        found: (1,) int32 occupied cells; more than R means that those behind were left out.
        point_to_voxel: (N,) int64 row of each point's cell, R = outside the grid.
        num_points: (R,) int64 points per cell, 0 behind the voxels.
    """

    keys: Tensor
    indices: Tensor
    count: Tensor
    found: Tensor
    point_to_voxel: Tensor
    num_points: Tensor

    @property
    def room(self) -> int:
        """R."""
        return len(self.keys)

    @property
    def is_voxel(self) -> Tensor:
        """(R,) bool."""
        return self.keys < NO_CELL

    def raster(self, stride: tuple[int, int], size: tuple[int, int], chosen: Tensor) -> Tensor:
        """Place of the chosen voxels' columns in a raster, X * Y for the others. -> (R,) int64.

        Args:
            stride: voxels along the edges of a raster cell.
            size: raster cells X, Y.
            chosen: (R,) bool.
        """
        x, y = self.indices[:, 1] // stride[0], self.indices[:, 2] // stride[1]
        return torch.where(chosen & self.is_voxel, (x * size[1] + y).long(), size[0] * size[1])


def voxelize_on_device(points: Tensor, is_point: Tensor, grid: Grid, room: int) -> DeviceVoxels:
    """What `voxelize` does.

    Args:
        points: (N, 3) float32 metres.
        is_point: (N,) bool, false for rows to spare.
        grid: the voxel grid.
        room: R, voxels at most.
    """
    low, edge = (constant(v, points.device, points.dtype) for v in (grid.min_m, grid.cell_m))
    cells = torch.floor((points - low) / edge)
    shape = constant(grid.shape, points.device, points.dtype)
    inside = is_point & ((cells >= 0) & (cells < shape)).all(1)
    keys = cell_keys(functional.pad(cells, (1, 0)), grid.shape)
    keys, order = torch.where(inside, keys, NO_CELL).sort(stable=True)
    distinct, place, found = number_keys(keys)
    place = place.clamp(max=room)
    point_to_voxel = torch.empty_like(place).scatter_(0, order, place)
    distinct = distinct[:room]
    if len(distinct) < room:
        distinct = torch.cat([distinct, distinct.new_full((room - len(distinct),), NO_CELL)])
    num_points = place.new_zeros(room + 1).index_add_(0, place, torch.ones_like(place))[:-1]
    count, indices = found.clamp(max=room), cells_of(distinct, grid.shape)
    return DeviceVoxels(distinct, indices, count, found, point_to_voxel, num_points)


def point_moments(points: Tensor, intensity: Tensor, voxels: DeviceVoxels) -> Tensor:
    """What `voxel_moments` gives: means of x, y, z, intensity, variance of z. -> (R, 5) float32."""
    row, room = voxels.point_to_voxel, voxels.room
    count = voxels.num_points.clamp(min=1)[:, None]
    mean = add_rows(torch.cat([points, intensity[:, None]], 1), row, room, bits=30) / count
    height = torch.cat([mean[:, 2], mean.new_zeros(1)])
    square = (points[:, 2] - height[row]) ** 2
    variance = add_rows(square, row, room, bits=50)[:, None] / count
    return torch.cat([mean, variance], 1).float()
