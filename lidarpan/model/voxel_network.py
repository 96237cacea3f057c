"""This package's network on one scan: points to voxels, voxels to classes, classes to points."""

from __future__ import annotations

import numpy as np
import torch

from lidarpan.model.contract import Network, PointOutputs
from lidarpan.model.network import HeadOutputs, PanopticNetwork
from lidarpan.model.outputs import PreparedScan, VoxelOutputs
from lidarpan.model.sparse import choose_engine
from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.sparse.tensor import Engine
from lidarpan.model.weights import PRECISIONS, check_precision
from lidarpan.structures import InputError, Scan
from lidarpan.voxels.features import voxel_features
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.voxelize import voxelize


def voxel_network(network: Network) -> VoxelNetwork:
    """The network itself, which must be this package's. Raises InputError."""
    if not isinstance(network, VoxelNetwork):
        raise InputError(f"wanted this package's network, got {type(network).__name__}")
    return network


class VoxelNetwork:
    """A PanopticNetwork with the grid it sees the world in, and what it runs on.

    Attributes:
        network: in evaluation mode; it decides the device.
        grid: outside of it every point is void.
        engine: of the sparse convolutions.
        precision: "fp32", or "fp16" or "bf16" on CUDA (autocast).
    """

    def __init__(
        self,
        network: PanopticNetwork,
        grid: Grid,
        engine: Engine | None = None,
        precision: str = "fp32",
    ) -> None:
        self.network = network.eval()
        self.grid = grid
        self.device = next(network.parameters()).device
        self.engine = engine or choose_engine(self.device)
        self.precision = check_precision(precision, self.device)

    def prepare(self, scan: Scan) -> PreparedScan:
        """Voxels of a scan and their features, on the CPU."""
        voxels = voxelize(scan.points, self.grid)
        features = voxel_features(scan.points, scan.intensity, voxels, self.grid)
        return PreparedScan(scan.points, voxels, features)

    def run(self, prepared: PreparedScan) -> VoxelOutputs | None:
        """What the network says of the voxels; None without any."""
        if not prepared.voxels.num_voxels:
            return None
        with torch.inference_mode():
            return VoxelOutputs.of(self.forward(self.tensor_of(prepared)))

    def per_point(self, prepared: PreparedScan, outputs: VoxelOutputs) -> PointOutputs:
        """Each point gets what was said of its voxel."""
        semantic, softmax = outputs.point_semantic(prepared.voxels)
        heatmap, bev_grid = outputs.bev_heatmap(self.grid)
        offsets = outputs.point_offsets(prepared, self.grid)
        return PointOutputs(softmax, offsets, heatmap, bev_grid, semantic)

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

    def forward(self, tensor: SparseTensor) -> HeadOutputs:
        """The network in the chosen precision."""
        half = PRECISIONS[self.precision]
        with torch.autocast(self.device.type, half, enabled=half is not None):
            outputs: HeadOutputs = self.network(tensor)
        return outputs
