"""Voxel features pooled over height into bird's-eye-view columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.sparse.tensor import Geometry, Level, Operands, Triple
from lidarpan.model.sparse.torch import StridedMap
from lidarpan.model.sparse.triton import TritonEngine
from lidarpan.model.unet import NormAct, ResidualBlock


class Columns(Protocol):
    """The occupied BEV cells of a batch, and which one each voxel lies under."""

    @property
    def indices(self) -> Tensor:
        """(M, 3) int64 [batch, x, y]."""

    @property
    def pooled(self) -> StridedMap | None:
        """The map that pools voxels to columns, where the engine has one."""

    def of(self, voxels: SparseTensor, stride: int) -> Tensor:
        """Column of each voxel of a level that is `stride` times as fine. -> (V,) int64."""

    def level(self, voxels: SparseTensor) -> Level:
        """The occupied cells as voxels of height one, of the grid of `voxels`."""


@dataclass(frozen=True)
class FoundColumns:
    """The occupied BEV cells of a batch.

    Attributes:
        indices: (M, 3) int64 [batch, x, y].
        lookup: (B, X, Y) int64, the row in `indices` of each occupied cell, else -1.
        pooled: the way from the voxels to the columns, where the engine pools them.
    """

    indices: Tensor
    lookup: Tensor
    pooled: StridedMap | None = None

    def of(self, voxels: SparseTensor, stride: int) -> Tensor:
        """Column of each voxel of a level that is `stride` times as fine. -> (V,) int64."""
        batch, x, y = voxels.indices[:, :3].long().unbind(1)
        return self.lookup[batch, x // stride, y // stride]

    def level(self, voxels: SparseTensor) -> Level:
        """The occupied cells as voxels of height one, of the grid of `voxels`."""
        flat = nn.functional.pad(self.indices, (0, 1)).int().contiguous()
        x_size, y_size, _ = voxels.shape
        return Level(flat, (x_size, y_size, 1), voxels.batch_size)


def find_columns(voxels: SparseTensor) -> FoundColumns:
    """The BEV cells with at least one voxel, in [batch, x, y] order."""
    if isinstance(voxels.engine, TritonEngine):
        return _columns_of(voxels.engine.coarser(voxels.level, _upright(voxels.shape)))
    x_size, y_size, _ = voxels.shape
    batch, x, y = voxels.indices[:, :3].long().unbind(1)
    keys = torch.unique((batch * x_size + x) * y_size + y)
    lookup = keys.new_full((voxels.batch_size, x_size, y_size), -1)
    lookup.view(-1)[keys] = torch.arange(len(keys), device=keys.device)
    row, y = keys // y_size, keys % y_size
    return FoundColumns(torch.stack([row // x_size, row % x_size, y], dim=1), lookup)


def _upright(shape: Triple) -> Geometry:
    """The strided convolution that sees a whole column."""
    return Geometry((1, 1, shape[2]), (1, 1, shape[2]), (0, 0, 0))


def _columns_of(found: StridedMap) -> FoundColumns:
    """Columns of a pooled level; with room to spare where that has it, and no wait for the GPU."""
    level = found.coarse
    x_size, y_size, _ = level.shape
    rows = torch.arange(len(level.indices), device=level.indices.device)
    lookup = rows.new_full((level.batch_size * x_size * y_size + 1,), -1)
    keys = level.maps["keys"].clamp(max=len(lookup) - 1)  # what is no column goes to the end
    lookup.scatter_(0, keys, rows)
    lookup = lookup[:-1].view(level.batch_size, x_size, y_size)
    return FoundColumns(level.indices[:, :3].long(), lookup, found)


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
        bev = self._pool(voxels, columns) if columns.pooled else self._scatter(voxels, columns)
        refined: SparseTensor = self.blocks(self.act(bev))
        return refined.features

    def _pool(self, voxels: SparseTensor, columns: Columns) -> SparseTensor:
        """Embed and add up in one convolution that has the same weight at every height."""
        assert columns.pooled is not None
        geometry, table = _upright(voxels.shape), columns.pooled.table
        weight = self.embed.weight.T[None].expand(voxels.shape[2], -1, -1)
        operands = Operands(voxels.features, weight)
        level, total = voxels.engine.strided(voxels.level, geometry, operands)
        count = (table.forward < len(voxels.features)).sum(1, keepdim=True).clamp(min=1)
        return voxels.at_level(level, total / count)

    def _scatter(self, voxels: SparseTensor, columns: Columns) -> SparseTensor:
        """Embed the voxels, then add them to their columns."""
        column = columns.of(voxels, stride=1)
        embedded = self.embed(voxels.features)
        level = columns.level(voxels)
        total = embedded.new_zeros((level.indices.shape[0], embedded.shape[1]))
        total = total.index_add(0, column, embedded)
        count = embedded.new_zeros(level.indices.shape[0])
        count = count.index_add(0, column, torch.ones_like(embedded[:, 0])).clamp(min=1)
        return voxels.at_level(level, total / count[:, None])
