"""Class probabilities averaged over patches of one surface, on any device, without waiting."""

from __future__ import annotations

import torch
from torch import Tensor

from lidarpan.voxels.device_voxels import DeviceVoxels
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.keys import NO_CELL, add_rows, constant, number_keys
from lidarpan.voxels.patches import KERB_M, LAYERS, patch_sizes


def average_in_patches_on_device(
    probabilities: Tensor, height: Tensor, is_ground: Tensor, voxels: DeviceVoxels, grid: Grid
) -> Tensor:
    """What `average_in_patches` gives.

    Args:
        probabilities: (R, K) float32.
        height: (R,) float32 mean height of the points of each voxel, metres.
        is_ground: (R,) bool.
        voxels: with room for R.
        grid: the voxel grid.

    Returns:
        (R, K) float32; what is behind the voxels means nothing.
    """
    stride, size, layer = patch_sizes(grid)
    ground = voxels.raster(stride, size, is_ground)
    low = height.new_full((size[0] * size[1] + 1,), torch.inf)
    low = low.scatter_reduce(0, ground, height, "amin")
    kerb_m = constant((KERB_M,), height.device, torch.float64)
    over = ((height - low[ground]).double() / kerb_m).floor().clamp(0, LAYERS - 1).long()
    level = torch.where(is_ground, over, voxels.indices[:, 3].long() // layer)
    column = voxels.raster(stride, size, voxels.is_voxel)
    patch = (column * LAYERS + level.clamp(max=LAYERS - 1)) * 2 + is_ground
    keys, order = torch.where(voxels.is_voxel, patch, NO_CELL).sort()
    _, place, _ = number_keys(keys)
    place = torch.empty_like(place).scatter_(0, order, place)
    room = voxels.room
    count = place.new_zeros(room + 1).index_add_(0, place, torch.ones_like(place))[:-1]
    mean = add_rows(probabilities, place, room, bits=40) / count.clamp(min=1)[:, None]
    return mean.float()[place.clamp(max=room - 1)]
