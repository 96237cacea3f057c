"""This package's network on one scan: points to voxels, voxels to classes, classes to points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lidarpan.model.contract import PointOutputs
from lidarpan.model.copies import Copy, average_copies
from lidarpan.model.likeness import Likeness
from lidarpan.model.network import HeadOutputs, PanopticNetwork
from lidarpan.model.outputs import PreparedScan, VoxelOutputs, bev_heatmap
from lidarpan.model.sparse import choose_engine
from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.sparse.tensor import Engine
from lidarpan.model.weights import PRECISIONS, check_precision
from lidarpan.structures import FloatArray, Scan
from lidarpan.voxels.features import voxel_features
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.intensity import brightness
from lidarpan.voxels.voxelize import voxelize


class VoxelNetwork:
    """A PanopticNetwork with the grid it sees the world in, and what it runs on.

    Attributes:
        network: in evaluation mode; it decides the device.
        grid: outside of it every point is void.
        zoom: its voxels are this many times as large as those in which the network tells lengths.
        engine: of the sparse convolutions.
        precision: "fp32", or "fp16" or "bf16" on CUDA (autocast).
        prior: (C - 1,) float32 to add to the logits, see `street_prior`; None adds nothing.
        ground: train ids of the ground, whose patches of a surface are told from others; None
            leaves the probabilities of the voxels as they are.
        copies: turned, mirrored and scaled copies of each scan to average over.
        ground_m: height of the ground in what the network was trained on, metres.
        intensity: "rank", or "raw" for what is not to be changed (see `brightness`).
        likeness: of the scans that the network was trained on, or None.
    """

    def __init__(
        self,
        network: PanopticNetwork,
        grid: Grid,
        engine: Engine | None = None,
        precision: str = "fp32",
        *,
        zoom: float = 1.0,
        prior: FloatArray | None = None,
        ground: Sequence[int] | None = None,
        copies: Sequence[Copy] = (),
        ground_m: float = 0.0,
        intensity: str = "rank",
        likeness: Likeness | None = None,
    ) -> None:
        self.network = network.eval()
        self.grid, self.zoom = grid, zoom
        self.device = next(network.parameters()).device
        self.engine = engine or choose_engine(self.device)
        self.precision = check_precision(precision, self.device)
        self.prior, self.ground = prior, ground
        self.copies, self.ground_m = tuple(copies), ground_m
        self.intensity = intensity
        self.likeness = likeness

    def remark(self, prepared: PreparedScan) -> str | None:
        """Says where a scan is unlike those trained on; None where it is not, or none is known."""
        return self.likeness.remark(prepared.features) if self.likeness else None

    def prepare(self, scan: Scan) -> PreparedScan:
        """Voxels of a scan and their features, on the CPU."""
        return self._prepare(scan, self.grid)

    def _prepare(self, scan: Scan, grid: Grid) -> PreparedScan:
        voxels = voxelize(scan.points, grid)
        bright = brightness(scan.points, scan.intensity, self.intensity)
        features = voxel_features(scan.points, bright, voxels, grid)
        return PreparedScan(scan.points, voxels, features, scan.intensity)

    def run(self, prepared: PreparedScan) -> VoxelOutputs | None:
        """What the network says of the voxels; None without any."""
        if not prepared.voxels.num_voxels:
            return None
        outputs = self._run_once(prepared, self.zoom)
        answers = []
        for copy in self.copies:
            points = copy.apply(prepared.points, self.ground_m)
            turned = self._prepare(Scan(points, prepared.intensity), self.grid.zoomed(copy.voxels))
            if turned.voxels.num_voxels:
                said = self._run_once(turned, self.zoom * copy.voxels)
                answers.append((copy, turned, said))
        return average_copies(prepared, outputs, answers, self.grid) if answers else outputs

    def _run_once(self, prepared: PreparedScan, zoom: float) -> VoxelOutputs:
        with torch.inference_mode():
            return VoxelOutputs.of(self.forward(self.tensor_of(prepared), zoom), self.prior)

    def per_point(self, prepared: PreparedScan, outputs: VoxelOutputs) -> PointOutputs:
        """Each point gets what was said of its voxel, or of its patch of a surface."""
        if self.ground is not None:
            outputs = outputs.in_patches(prepared, self.ground, self.grid)
        semantic, softmax = outputs.point_semantic(prepared.voxels)
        heatmap, bev_grid = bev_heatmap(outputs.columns[:, 1:], outputs.heatmap, self.grid)
        offsets = outputs.point_offsets(prepared, self.grid)
        claims = outputs.claims.of_points(prepared.voxels) if outputs.claims else None
        return PointOutputs(softmax, offsets, heatmap, bev_grid, semantic, claims)

    def tensor_of(self, prepared: PreparedScan) -> SparseTensor:
        """The network's input, on its device."""
        indices = np.zeros((prepared.voxels.num_voxels, 4), np.int32)
        indices[:, 1:] = prepared.voxels.indices
        return SparseTensor(
            torch.from_numpy(prepared.features).to(self.device),
            torch.from_numpy(indices).to(self.device),
            self.grid.shape,
            batch_size=1,
            engine=self.engine,
        )

    def forward(self, tensor: SparseTensor, zoom: float | None = None) -> HeadOutputs:
        """The network in the chosen precision, its lengths in metres.

        Args:
            tensor: voxels.
            zoom: of these; None where they are of `grid`.
        """
        half = PRECISIONS[self.precision]
        with torch.autocast(self.device.type, half, enabled=half is not None):
            outputs: HeadOutputs = self.network(tensor)
        return outputs.zoomed(self.zoom if zoom is None else zoom)
