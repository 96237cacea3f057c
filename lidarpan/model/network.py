"""The network: voxel features -> semantics, center heatmap and center offsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from lidarpan.model.bev import BEVBranch, Columns, find_columns
from lidarpan.model.norm import ScanNorm
from lidarpan.model.queries import Beginnings, QueryHead, ScanQueries
from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.unet import UNet
from lidarpan.voxels.features import NUM_FEATURES

BEV_STRIDE = 2
"""BEV cells are this many voxels wide."""


@dataclass(frozen=True)
class HeadOutputs:
    """What the network says of a batch.

    Attributes:
        semantic: (V, C - 1) logits of train ids 1..C-1; void is never predicted.
        offset_m: (V, 2) from each voxel's middle to its object's center, x and y, metres.
        columns: (M, 3) int64 [batch, x, y], the occupied BEV cells.
        voxel_to_column: (V,) int64.
        heatmap: (M,) logit that an object's center lies in the cell.
        bev_offset_m: (M, 2) from each BEV cell's middle to its object's center, metres.
        bev: (M, C_bev) features of the BEV cells.
        queries: objects as a set, for each scan; none without a query head.
        features: (V, C) of the voxels, where they are at hand.
        num_columns: (1,) int32 on the device, where only so many of the M are columns, and of the V
            as many as the input had; None where all are.
    """

    semantic: Tensor
    offset_m: Tensor
    columns: Tensor
    voxel_to_column: Tensor
    heatmap: Tensor
    bev_offset_m: Tensor
    bev: Tensor
    queries: tuple[ScanQueries, ...] = ()
    num_columns: Tensor | None = None
    features: Tensor | None = None

    def zoomed(self, factor: float) -> HeadOutputs:
        """The same where voxels are `factor` times as large as the network takes them for."""
        if factor == 1:
            return self
        fine, coarse = factor * self.offset_m, factor * self.bev_offset_m
        return replace(self, offset_m=fine, bev_offset_m=coarse)


class PanopticNetwork(nn.Module):
    """Sparse U-Net with a semantic head on voxels, center heads on BEV cells, and maybe queries."""

    def __init__(
        self,
        num_classes: int,
        channels: Sequence[int],
        encoder_blocks: Sequence[int],
        decoder_blocks: Sequence[int],
        bev_channels: int,
        bev_blocks: int,
        norm_share: float = 1.0,
        queries: QueryHead | None = None,
    ) -> None:
        """Fresh weights; norm_share is the share of a scan's own statistics in ScanNorm."""
        super().__init__()
        self.unet = UNet(NUM_FEATURES, channels, encoder_blocks, decoder_blocks)
        self.bev = BEVBranch(channels[1], bev_channels, bev_blocks)
        self.semantic_head = nn.Linear(channels[0], num_classes - 1)
        self.heatmap_head = nn.Linear(bev_channels, 1)
        nn.init.constant_(self.heatmap_head.bias, -4.0)  # centers are rare
        self.bev_offset_head = nn.Linear(bev_channels, 2)
        self.offset_head = nn.Linear(channels[0] + bev_channels, 2)
        self.queries = queries
        for module in self.modules():
            if isinstance(module, ScanNorm):
                module.share = norm_share

    def forward(self, voxels: SparseTensor) -> HeadOutputs:
        """(V, F) voxel features -> HeadOutputs."""
        levels = self.unet(voxels)
        columns = find_columns(levels[1])
        outputs = self.heads(levels[0], levels[1], columns)
        if self.queries is None:
            return outputs
        cell_m = BEV_STRIDE * self.queries.voxel_m
        begin = Beginnings(columns, outputs.bev, outputs.heatmap, outputs.bev_offset_m, cell_m)
        fine = torch.cat([levels[0].features, outputs.bev[outputs.voxel_to_column]], dim=1)
        said = self.queries(levels, fine, outputs.semantic, outputs.offset_m, begin)
        return replace(outputs, queries=said)

    def heads(self, fine: SparseTensor, coarse: SparseTensor, columns: Columns) -> HeadOutputs:
        """Answers from the two finest levels and the columns of the second, without queries."""
        bev = self.bev(coarse, columns)
        voxel_to_column = columns.of(fine, BEV_STRIDE)
        both = torch.cat([fine.features, bev[voxel_to_column]], dim=1)
        return HeadOutputs(
            semantic=self.semantic_head(fine.features),
            offset_m=self.offset_head(both),
            columns=columns.indices,
            voxel_to_column=voxel_to_column,
            heatmap=self.heatmap_head(bev).squeeze(1),
            bev_offset_m=self.bev_offset_head(bev),
            bev=bev,
            num_columns=columns.pooled.coarse.num_cells if columns.pooled else None,
            features=fine.features,
        )
