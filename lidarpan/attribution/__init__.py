"""Why the network said so: the evidence that each point gave for the class of an object.

Integrated gradients (Sundararajan et al., ICML 2017) from a scan of the same shape whose voxels all
look like the scan's average, by captum; and, as a check, what the answer loses when pieces of the
scan are taken away (Zeiler and Fergus, ECCV 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lidarpan.model.inference import fold_batch_norm, measure_statistics
from lidarpan.model.outputs import PreparedScan
from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.voxel_network import VoxelNetwork
from lidarpan.optional import need
from lidarpan.structures import BoolArray, FloatArray, InputError
from lidarpan.voxels.features import NUM_FEATURES

GROUPS = {
    "shape within the voxel": (0, 1, 2, 7),
    "height": (3,),
    "range": (4,),
    "intensity": (5,),
    "density": (6,),
    "height over the ground": (8, 9),
    "look of the ground": (10, 11, 12),
}
"""What the features of a voxel are of, in words: columns of `voxel_features`."""

assert sorted(sum(GROUPS.values(), ())) == list(range(NUM_FEATURES))

REACH_M = 15.0
"""What lies further from the object is left out, of the answer and of the evidence."""

PIECE_M = 0.8
"""Edge of the pieces that are taken away."""


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against a class.

    Attributes:
        log_odds: of the class against all others, mean over the object's voxels.
        base: the same where all voxels look like the scan's average.
        voxel: (V, F) each feature's part of log_odds - base; 0 beyond the reach.
        completeness_error: |sum of the parts - (log_odds - base)| / |log_odds - base|.
        target: (V,) bool, the object's voxels.
        near: (V,) bool, the voxels within reach.
    """

    log_odds: float
    base: float
    voxel: FloatArray
    completeness_error: float
    target: BoolArray
    near: BoolArray

    def of_groups(self) -> dict[str, float]:
        """Share of each group of features in the sum of the sizes of all parts."""
        size = np.abs(self.voxel).sum(axis=0)
        total = max(float(size.sum()), 1e-12)
        return {name: float(size[list(columns)].sum()) / total for name, columns in GROUPS.items()}

    def of_points(self, prepared: PreparedScan) -> FloatArray:
        """(N,) each point's even share of its voxel's evidence; 0 outside the grid."""
        voxels = prepared.voxels
        share = self.voxel.sum(axis=1) / np.maximum(voxels.num_points, 1)
        padded: FloatArray = np.append(share, 0).astype(np.float32)
        return padded[voxels.point_to_voxel]


class Explainer:
    """A network with each norm's statistics fixed to those of one scan, so that it has gradients.

    A norm by a scan's own statistics undoes any change of scale, and so the way from the average
    to the scan; with the statistics fixed the answer for the scan itself is the same.
    """

    def __init__(self, network: VoxelNetwork, prepared: PreparedScan) -> None:
        self.network, self.prepared = network, prepared
        scan = network.tensor_of(prepared)
        statistics = measure_statistics(network.network, [scan])
        self.folded = fold_batch_norm(network.network, statistics)
        self.features, self.indices = scan.features, scan.indices

    def evidence(self, target: BoolArray, class_id: int, steps: int = 24) -> Evidence:
        """Integrated gradients of the class's log-odds over some voxels.

        Args:
            target: (V,) bool, the object's voxels.
            class_id: train id.
            steps: of the integral (Gauss-Legendre).

        Raises:
            InputError: no voxel, or captum is not installed.
        """
        attr = need("captum.attr", "explain", "an explanation")
        near = self.near(target)
        base = self.features.mean(dim=0).expand_as(self.features)[near]

        def answer(batch: Tensor) -> Tensor:
            return torch.stack([self.log_odds(x, near, target, class_id) for x in batch])

        x = self.features[near]
        with torch.enable_grad():
            parts = attr.IntegratedGradients(answer).attribute(
                x[None], base[None], n_steps=steps, method="gausslegendre", internal_batch_size=1
            )[0]
        with torch.no_grad():
            ends = [float(self.log_odds(end, near, target, class_id)) for end in (x, base)]
        voxel = np.zeros(self.features.shape, np.float32)
        voxel[near] = parts.detach().cpu().numpy()
        gain = ends[0] - ends[1]
        error = abs(float(parts.sum()) - gain) / max(abs(gain), 1e-9)
        return Evidence(ends[0], ends[1], voxel, error, target, near)

    def near(self, target: BoolArray) -> BoolArray:
        """(V,) bool, the voxels within reach of some others."""
        if not target.any():
            raise InputError("wanted a point inside the grid to explain, got none")
        middle = self.network.grid.center_of(self.prepared.voxels.indices)[:, :2]
        own = middle[target]
        low, high = own.min(axis=0) - REACH_M, own.max(axis=0) + REACH_M
        near: BoolArray = ((middle >= low) & (middle <= high)).all(axis=1)
        return near

    def log_odds(self, features: Tensor, kept: BoolArray, target: BoolArray, c: int) -> Tensor:
        """Mean log-odds of a class over the target's voxels, of the kept voxels alone. -> ()."""
        rows = torch.from_numpy(np.flatnonzero(kept)).to(self.indices.device)
        voxels = SparseTensor(
            features,
            self.indices[rows],
            self.network.grid.shape,
            batch_size=1,
            engine=self.network.engine,
        )
        logits = self.folded(voxels).semantic.float()[torch.from_numpy(target[kept])]
        others = torch.arange(logits.shape[1], device=logits.device) != c - 1
        odds: Tensor = (logits[:, c - 1] - logits[:, others].logsumexp(dim=1)).mean()
        return odds

    def pieces(
        self, near: BoolArray, target: BoolArray, within_m: float = 4.0
    ) -> NDArray[np.int64]:
        """(V,) number of the piece that each voxel within some metres of the target lies in, or -1.

        Pieces are the occupied cells of a grid of PIECE_M.
        """
        middle = self.network.grid.center_of(self.prepared.voxels.indices)
        own = middle[target]
        low, high = own.min(axis=0) - within_m, own.max(axis=0) + within_m
        close = near & ((middle >= low) & (middle <= high)).all(axis=1)
        cell = np.floor(middle[close] / PIECE_M).astype(np.int64)
        _, number = np.unique(cell, axis=0, return_inverse=True)
        piece = np.full(len(middle), -1, np.int64)
        piece[close] = number.reshape(-1)
        return piece

    def occluded(
        self, near: BoolArray, target: BoolArray, class_id: int, piece: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """(P,) what the log-odds lose without each piece; nan where no target voxel is left."""
        with torch.no_grad():
            whole = float(self.log_odds(self.features[near], near, target, class_id))
            lost = np.full(int(piece.max(initial=-1)) + 1, np.nan)
            for p in range(len(lost)):
                kept = near & (piece != p)
                if (target & kept).any():
                    left = self.log_odds(self.features[kept], kept, target & kept, class_id)
                    lost[p] = whole - float(left)
        return lost
