"""Voxel features pooled over height into bird's-eye-view columns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.unet import NormAct, ResidualBlock


@dataclass(frozen=True)
class Columns:
    """The occupied BEV cells of a batch.

    Attributes:
        indices: (M, 3) int64 [batch, x, y].
        lookup: (B, X, Y) int64, the row in `indices` of each occupied cell, else -1.
    """

    indices: Tensor
    lookup: Tensor

    def of(self, voxels: SparseTensor, stride: int) -> Tensor:
        """Column of each voxel of a level that is `stride` times as fine. -> (V,) int64."""
        batch, x, y = voxels.indices[:, :3].long().unbind(1)
        column: Tensor = self.lookup[batch, x // stride, y // stride]
        return column


def find_columns(voxels: SparseTensor) -> Columns:
    """The BEV cells with at least one voxel, in [batch, x, y] order."""
    x_size, y_size, _ = voxels.shape
    occupied = torch.zeros(
        (voxels.batch_size, x_size, y_size), dtype=torch.bool, device=voxels.features.device
    )
    batch, x, y = voxels.indices[:, :3].long().unbind(1)
    occupied[batch, x, y] = True
    indices = occupied.nonzero()
    lookup = torch.full(occupied.shape, -1, dtype=torch.int64, device=occupied.device)
    lookup[occupied] = torch.arange(len(indices), device=occupied.device)
    return Columns(indices, lookup)


class BEVBranch(nn.Module):
    """Mean over height, then residual 2D blocks on the occupied cells. (V, C) -> (M, C_bev).

    The second block works on cells twice as large, so that a column sees its object whole.
    """

    def __init__(self, in_channels: int, channels: int, num_blocks: int) -> None:
        super().__init__()
        self.embed = nn.Linear(in_channels, channels, bias=False)
        self.act = NormAct(channels)
        self.blocks = nn.Sequential(
            *(ResidualBlock(channels, channels, (5, 5, 1)) for _ in range(num_blocks))
        )

    def forward(self, voxels: SparseTensor, columns: Columns) -> Tensor:
        """Pool and refine."""
        column = columns.of(voxels, stride=1)
        embedded = self.embed(voxels.features)
        total = embedded.new_zeros((len(columns.indices), embedded.shape[1]))
        total = total.index_add(0, column, embedded)
        count = torch.bincount(column, minlength=len(columns.indices)).clamp(min=1)
        flat = nn.functional.pad(columns.indices, (0, 1)).int().contiguous()
        x_size, y_size, _ = voxels.shape
        bev = voxels.sibling(total / count[:, None], flat, (x_size, y_size, 1))
        refined: SparseTensor = self.blocks(self.act(bev))
        return refined.features
