"""What the network says of voxels and columns, brought to the host and spread over the points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lidarpan.model.network import BEV_STRIDE, HeadOutputs
from lidarpan.model.query_claims import Claims
from lidarpan.structures import FloatArray, SemanticArray
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.patches import average_in_patches
from lidarpan.voxels.voxelize import Voxels


@dataclass(frozen=True)
class PreparedScan:
    """What the network sees of a scan.

    Attributes:
        points: (N, 3) float32 metres, as if the sensor stood where the weights expect it.
        voxels: the points' voxels.
        features: (V, F) float32.
        intensity: (N,) float32 in [0, 1].
    """

    points: FloatArray
    voxels: Voxels
    features: FloatArray
    intensity: FloatArray

    def voxel_height(self) -> FloatArray:
        """(V,) float32 mean height of the points of each voxel, metres."""
        inside = self.voxels.point_to_voxel >= 0
        voxel, z = self.voxels.point_to_voxel[inside], self.points[inside, 2]
        total = np.bincount(voxel, z, minlength=self.voxels.num_voxels)
        height: FloatArray = total / np.maximum(self.voxels.num_points, 1)
        return height.astype(np.float32)


@dataclass(frozen=True)
class VoxelOutputs:
    """The network's answer on the host.

    Attributes:
        probabilities: (V, C - 1) float32 of train ids 1..C-1.
        offset_m: (V, 2) float32 from each voxel's middle to its object's center, metres.
        columns: (M, 3) int64 [batch, x, y], the occupied BEV cells.
        heatmap: (M,) float32 probability that an object's center lies in the cell.
        claims: of the queries on the voxels; None without a query head.
    """

    probabilities: FloatArray
    offset_m: FloatArray
    columns: NDArray[np.int64]
    heatmap: FloatArray
    claims: Claims | None = None

    @classmethod
    def of(cls, outputs: HeadOutputs, prior: FloatArray | None = None) -> VoxelOutputs:
        """Copy from the device, in float32 whatever the network ran in.

        Args:
            outputs: of one scan.
            prior: (C - 1,) float32 to add to the logits, or None.
        """
        logits = outputs.semantic.float()
        if prior is not None:
            logits = logits + torch.from_numpy(prior).to(logits.device)
        return cls(
            probabilities=logits.softmax(dim=1).cpu().numpy(),
            offset_m=outputs.offset_m.float().cpu().numpy(),
            columns=outputs.columns.cpu().numpy(),
            heatmap=torch.sigmoid(outputs.heatmap.float()).cpu().numpy(),
            claims=Claims.of(outputs.queries[0], logits.shape[1] + 1) if outputs.queries else None,
        )

    def in_patches(self, prepared: PreparedScan, ground: Sequence[int], grid: Grid) -> VoxelOutputs:
        """The same with probabilities averaged over patches of one surface.

        Args:
            prepared: the scan.
            ground: train ids of the ground classes.
            grid: the voxel grid.
        """
        columns = [train_id - 1 for train_id in ground]
        probabilities = average_in_patches(
            self.probabilities,
            prepared.voxels.indices,
            prepared.voxel_height(),
            self.probabilities[:, columns].sum(axis=1) > 0.5,
            grid,
        )
        return replace(self, probabilities=probabilities)

    def point_semantic(self, voxels: Voxels) -> tuple[SemanticArray, FloatArray]:
        """Class and class probabilities of each point, those of its voxel; void outside.

        Returns:
            (N,) uint8 train ids and (N, C) float32.
        """
        count, num_classes = self.probabilities.shape
        softmax = np.zeros((count + 1, num_classes + 1), np.float32)
        softmax[:-1, 1:] = self.probabilities
        semantic = softmax.argmax(axis=1).astype(np.uint8)
        semantic[-1] = 0  # row -1: points outside the grid
        place = voxels.point_to_voxel
        return semantic.take(place), softmax.take(place, axis=0)  # faster than [place]

    def point_offsets(self, prepared: PreparedScan, grid: Grid) -> FloatArray:
        """From each point to its object's center, x and y. (N, 2) metres; 0 outside the grid."""
        voxels = prepared.voxels
        center = self.offset_m + grid.center_of(voxels.indices)[:, :2]
        offsets = center.take(voxels.point_to_voxel, axis=0) - prepared.points[:, :2]
        offsets[voxels.point_to_voxel < 0] = 0
        return np.ascontiguousarray(offsets, np.float32)


def bev_heatmap(
    columns: NDArray[Any], probability: FloatArray, grid: Grid
) -> tuple[FloatArray, Grid]:
    """Center probability of each BEV cell in the box of those that are occupied.

    Args:
        columns: (M, 2) occupied cells x, y, M > 0.
        probability: (M,) float32.
        grid: of the voxels.

    Returns:
        (X, Y) float32, 0 where nothing is, and the grid of these cells.
    """
    low, high = columns.min(axis=0), columns.max(axis=0) + 1
    heatmap = np.zeros(high - low, np.float32)
    heatmap[columns[:, 0] - low[0], columns[:, 1] - low[1]] = probability
    cells = grid.coarser((BEV_STRIDE, BEV_STRIDE, grid.shape[2]))
    return heatmap, cells.part((*low.tolist(), 0), (*high.tolist(), 1))
