"""A scan turned, mirrored and scaled, and what the network says of these copies brought back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lidarpan.model.outputs import PreparedScan, VoxelOutputs
from lidarpan.structures import FloatArray
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.moments import sum_over_points


@dataclass(frozen=True)
class Copy:
    """x' = scale * turn(mirror(x)) in x, y; heights are scaled about the ground.

    Attributes:
        turn_rad: about z.
        mirrored: whether left and right are swapped, before the turn.
        scale: of all lengths.
        voxels: how many times as large the voxels are that it is seen in.
    """

    turn_rad: float
    mirrored: bool = False
    scale: float = 1.0
    voxels: float = 1.0

    @property
    def matrix(self) -> FloatArray:
        """(2, 2) of x and y, scale included."""
        cos, sin = np.cos(self.turn_rad), np.sin(self.turn_rad)
        turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag([1, -1 if self.mirrored else 1])
        matrix: FloatArray = (self.scale * turn).astype(np.float32)
        return matrix

    def apply(self, points: FloatArray, ground_m: float) -> FloatArray:
        """(N, 3) points whose ground lies at z = ground_m; it stays there."""
        out = np.empty_like(points)
        out[:, :2] = points[:, :2] @ self.matrix.T
        out[:, 2] = (points[:, 2] - ground_m) * np.float32(self.scale) + np.float32(ground_m)
        return out


COPIES = (
    Copy(0.5, scale=0.95),
    Copy(-2.0, mirrored=True, scale=1.05, voxels=4 / 3),
)
"""Within what training shows the network: any turn, both hands, 5 % smaller and larger, and larger
voxels, in which it errs elsewhere: two copies gave more than four in voxels of the own size."""

MANY_COPIES = (
    *COPIES,
    Copy(2.5),
    Copy(1.2, mirrored=True, voxels=4 / 3),
    Copy(-1.0, scale=1.05),
    Copy(-2.8, mirrored=True, scale=0.95),
)
"""Where time matters less, as for what a network is to learn."""


def average_copies(
    prepared: PreparedScan,
    outputs: VoxelOutputs,
    copies: list[tuple[Copy, PreparedScan, VoxelOutputs]],
    grid: Grid,
) -> VoxelOutputs:
    """Mean of the scan's and its copies' probabilities and centers, on the scan's own voxels.

    A copy counts for a voxel by the mean over the voxel's points that lie inside the grid in the
    copy; where none does, it does not count. Heatmap and claims of queries stay the own ones.
    """
    middle = grid.center_of(prepared.voxels.indices)[:, :2]
    total = np.concatenate([outputs.probabilities, middle + outputs.offset_m], axis=1)
    count = np.ones((len(total), 1), np.float32)
    for copy, turned, said in copies:
        seen = grid.zoomed(copy.voxels)
        center = seen.center_of(turned.voxels.indices)[:, :2] + said.offset_m
        back = center @ np.linalg.inv(copy.matrix).T.astype(np.float32)
        rows = np.concatenate([said.probabilities, back], axis=1, dtype=np.float32)
        sums, seen = sum_over_points(
            rows, turned.voxels.point_to_voxel, prepared.voxels.point_to_voxel, len(total)
        )
        total += sums / np.maximum(seen, 1)[:, None]
        count += (seen > 0)[:, None]
    mean = (total / count).astype(np.float32)
    return replace(outputs, probabilities=mean[:, :-2], offset_m=mean[:, -2:] - middle)
