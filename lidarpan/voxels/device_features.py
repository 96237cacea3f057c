"""Voxels of points -> what the network sees of each, on any device, without waiting for it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lidarpan.voxels.device_voxels import DeviceVoxels, point_moments
from lidarpan.voxels.features import (
    AGREE_M,
    FAR_M,
    GROUND_M,
    NEAR_M,
    PATCH_M,
    REFERENCE_M,
    raster_of,
)
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.keys import add_rows

_BITS = 44  # for up to 500,000 points in a cell of PATCH_M


@dataclass(frozen=True)
class _Voxel:
    """Averages over the points of each voxel, as in `features`, each (R,) float32."""

    height: Tensor
    reach: Tensor
    bright: Tensor
    count: Tensor
    variance: Tensor


def features_on_device(
    points: Tensor, intensity: Tensor, voxels: DeviceVoxels, grid: Grid
) -> tuple[Tensor, Tensor]:
    """What `voxel_features` gives, and the mean height of each voxel's points, metres.

    Args:
        points: (N, 3) float32 metres.
        intensity: (N,) float32 in [0, 1].
        voxels: the points' voxels in `grid`, with room for R.
        grid: the voxel grid.

    Returns:
        (R, 13) and (R,) float32; what is behind the voxels means nothing.
    """
    moments = point_moments(points, intensity, voxels)
    x, y, height, bright, variance = moments.unbind(1)
    count = voxels.num_points.clamp(min=1).float()
    voxel = _Voxel(height, torch.hypot(x, y), bright, count, variance)
    offset = [
        (mean - ((voxels.indices[:, axis + 1].float() + 0.5) * cell + low)) / (cell / 2)
        for axis, (mean, cell, low) in enumerate(
            zip((x, y, height), grid.cell_m, grid.min_m, strict=True)
        )
    ]
    step = height - _lowest_around(voxel, voxels, grid, NEAR_M)
    columns = (
        *offset,
        height / 3,
        voxel.reach / 50,
        bright,
        torch.log1p(count) / 3,
        variance.sqrt() / (grid.cell_m[2] / 2),
        (step / 0.3).clamp(-1, 3),
        (height - _lowest_around(voxel, voxels, grid, FAR_M)) / 3,
        *_ground_look(voxel, step, voxels, grid),
    )
    return torch.stack([column.float() for column in columns], 1), height


def _around(raster: Tensor) -> Tensor:
    """Each cell's 3 x 3 neighbours in a raster with a rim. (X + 2, Y + 2, *) -> (9, X, Y, *)."""
    size_x, size_y = raster.shape[0] - 2, raster.shape[1] - 2
    return torch.stack([raster[i : i + size_x, j : j + size_y] for i in range(3) for j in range(3)])


def _lowest_around(voxel: _Voxel, voxels: DeviceVoxels, grid: Grid, cell_m: float) -> Tensor:
    """As in `features`. -> (R,) float32."""
    stride, *size = raster_of(grid, cell_m)
    place = voxels.raster((stride, stride), (size[0], size[1]), voxels.is_voxel)
    low = voxel.height.new_full((size[0] * size[1] + 1,), torch.inf)
    low = low.scatter_reduce(0, place, voxel.height, "amin")[:-1].view(*size)
    rimmed = functional.pad(low, (1, 1, 1, 1), value=torch.inf)
    near = _around(rimmed).sort(0).values
    agree = near[1:] - near[:-1] <= AGREE_M  # of two empty cells the difference is no number
    first = torch.where(agree.any(0), agree.int().argmax(0), 0)
    ground = near[1:].gather(0, first[None])[0]
    lowest = torch.where(ground.isfinite(), ground, low).view(-1)
    return lowest[place.clamp(max=len(lowest) - 1)]


def _ground_look(
    voxel: _Voxel, step: Tensor, voxels: DeviceVoxels, grid: Grid
) -> tuple[Tensor, Tensor, Tensor]:
    """As in `features`. -> three times (R,)."""
    ground = (step < GROUND_M) & voxels.is_voxel
    count = voxel.count
    values = [torch.ones_like(step), step, step * step, count]
    values += [count * voxel.bright, count * voxel.variance]
    stride, *size = raster_of(grid, PATCH_M)
    place = voxels.raster((stride, stride), (size[0], size[1]), ground)
    sums = add_rows(torch.stack(values, 1), place, size[0] * size[1], _BITS)
    rimmed = functional.pad(sums.view(*size, 6), (0, 0, 1, 1, 1, 1))
    around = _around(rimmed).sum(0).view(-1, 6)
    everywhere = voxels.raster((stride, stride), (size[0], size[1]), voxels.is_voxel)
    number, rise, squares, points, light, spread = around[everywhere.clamp(max=len(around) - 1)].T
    usual = _median(voxel.bright, ground & (voxel.reach < REFERENCE_M)).double()
    has_ground = number > 0
    number, points = (torch.where(has_ground, n, 1) for n in (number, points))
    light = torch.where(has_ground, light / points, usual)
    shine = torch.where(usual > 0, (light / usual - 1).clamp(-1, 2), 0)
    rough = ((spread / points).sqrt() / 0.02).clamp(max=3)
    uneven = (squares / number - (rise / number) ** 2).clamp(min=0).sqrt()
    return shine, rough, (uneven / 0.1).clamp(max=3)


def _median(values: Tensor, chosen: Tensor) -> Tensor:
    """Median of the chosen values, 0 of none. (V,), (V,) bool -> ()."""
    ordered = torch.where(chosen, values, torch.inf).sort().values
    count = chosen.sum()
    middle = torch.stack([(count - 1).clamp(min=0) // 2, count // 2])
    return torch.where(count > 0, ordered[middle].mean(), 0)
