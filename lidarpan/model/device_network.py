"""This package's network on a GPU, from points to answers: an upload, a launch, a download."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor, nn

from lidarpan.model.captured import LEAST_ROWS, Captured, roomy_size
from lidarpan.model.contract import Network, PointOutputs
from lidarpan.model.device_steps import Answer, Room, answer_points
from lidarpan.model.outputs import PreparedScan, VoxelOutputs, bev_heatmap
from lidarpan.model.sparse.modules import InverseConv3d, StridedConv3d, SubmanifoldConv3d
from lidarpan.model.voxel_network import VoxelNetwork
from lidarpan.model.weights import PRECISIONS
from lidarpan.structures import FloatArray, InputError, Scan
from lidarpan.voxels.voxelize import Voxels

LEAST_AGREEMENT = 0.99
"""Share of the first scan's points that must have the class which the CPU's steps give them."""

FIRST_SHARE = 0.5
"""Voxels per point that there is room for at first; a scan with more is seen twice, once."""


@dataclass
class DeviceScan:
    """A scan on its way to the device.

    Attributes:
        points: (N, 3) float32 metres, as if the sensor stood where the weights expect it.
        intensity: (N,) float32 in [0, 1].
        staged: both as tensors, in memory that the device reads by itself.
        network: whose grid it is.
        seen: the voxels that the device found, once the network ran.
        seen_features: (V, F) float32 of these, where they came back.
    """

    points: FloatArray
    intensity: FloatArray
    staged: tuple[Tensor, Tensor]
    network: VoxelNetwork
    seen: Voxels | None = None
    seen_features: FloatArray | None = None

    @cached_property
    def on_host(self) -> PreparedScan:
        """The same scan prepared on the CPU, when it is asked for."""
        return self.network.prepare(Scan(self.points, self.intensity))

    @property
    def voxels(self) -> Voxels:
        """The points' voxels."""
        return self.on_host.voxels if self.seen is None else self.seen

    @property
    def features(self) -> FloatArray:
        """(V, F) float32."""
        return self.on_host.features if self.seen_features is None else self.seen_features


class DeviceNetwork:
    """A VoxelNetwork whose every step but the grouping runs on its device, without a wait.

    Voxels, features, neighbour maps, the network, and what it says of each point are recorded as
    one CUDA graph for each size of scan. On a CPU the same steps run one by one. On a GPU the first
    scan is answered both ways, with its voxels from the device and from the CPU: where the classes
    differ, the device's are not used and a warning says so.

    Attributes:
        inner: the network. It has no queries and averages no copies.
        captured: its steps.
    """

    def __init__(self, inner: VoxelNetwork) -> None:
        self.inner, self.device = inner, inner.device
        self._running = _with_half_weights(inner)
        self.captured = Captured(partial(answer_points, self._running), self._make_inputs)
        self._share = FIRST_SHARE
        self._is_trusted = None if self.device.type == "cuda" else True

    def remark(self, prepared: DeviceScan | PreparedScan) -> str | None:
        """Says where a scan is unlike those trained on; None where it is not, or none is known."""
        return self.inner.likeness.remark(prepared.features) if self.inner.likeness else None

    def prepare(self, scan: Scan) -> DeviceScan:
        """Points and intensities where the device can fetch them."""
        staged = self._staged(scan.points), self._staged(scan.intensity)
        return DeviceScan(scan.points, scan.intensity, staged, self.inner)

    def run(self, prepared: DeviceScan | PreparedScan) -> PointOutputs | VoxelOutputs | None:
        """What the network says of the points; None where none is in the grid.

        Of a scan that was prepared on the CPU, what it says of the voxels.
        """
        if isinstance(prepared, PreparedScan):
            return self.inner.run(prepared)
        if not len(prepared.points):
            return None
        if self._is_trusted is False:
            return self._from_host(prepared)
        outputs = self._from_device(prepared)
        if self._is_trusted is None:
            wanted = self._from_host(prepared)
            self._is_trusted = _agree(outputs, wanted)
            if not self._is_trusted:
                logging.getLogger("lidarpan").warning(
                    "the GPU's own steps answer otherwise than the CPU's on the first scan: scans "
                    "are prepared on the CPU; please report this with `lidarpan doctor`"
                )
                prepared.seen = prepared.seen_features = None
                return wanted
        return outputs

    def _from_host(self, prepared: DeviceScan) -> PointOutputs | None:
        """The answer by the network alone, voxels from the CPU."""
        outputs = self.inner.run(prepared.on_host)
        return None if outputs is None else self.inner.per_point(prepared.on_host, outputs)

    def _from_device(self, prepared: DeviceScan) -> PointOutputs | None:
        """The answer by the device's steps."""
        with torch.inference_mode():
            answer, room = self._replay(prepared)
            if (found := int(answer.found)) > room.voxels:
                self._share = 1.1 * found / room.points
                answer, _ = self._replay(prepared)
        prepared.seen = Voxels(
            answer.indices[:found, 1:].numpy(),
            answer.point_to_voxel.numpy(),
            answer.num_points[:found].numpy(),
        )
        if self.inner.likeness:
            prepared.seen_features = answer.features[:found].numpy()
        if not found:
            return None
        columns, center = answer.columns.numpy(), answer.center.numpy()
        heatmap, bev_grid = bev_heatmap(columns[center >= 0], center[center >= 0], self.inner.grid)
        return PointOutputs(
            answer.softmax.numpy(),
            answer.offsets.numpy(),
            heatmap,
            bev_grid,
            answer.semantic.numpy(),
        )

    def per_point(
        self, prepared: DeviceScan | PreparedScan, outputs: PointOutputs | VoxelOutputs
    ) -> PointOutputs:
        """The answer itself; of voxels, spread over the points."""
        if isinstance(outputs, PointOutputs):
            return outputs
        assert isinstance(prepared, PreparedScan)
        return self.inner.per_point(prepared, outputs)

    def _staged(self, values: FloatArray) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        return tensor.pin_memory() if self.device.type == "cuda" else tensor

    def _make_inputs(self, room: Room) -> tuple[Tensor, ...]:
        return (
            torch.zeros((room.points, 3), device=self.device),
            torch.zeros(room.points, device=self.device),
            torch.ones(1, dtype=torch.int64, device=self.device),
        )

    def _replay(self, prepared: DeviceScan) -> tuple[Answer, Room]:
        """The answer on the host, and what there was room for."""
        count = len(prepared.points)
        points = roomy_size(count, LEAST_ROWS)
        room = Room(points, roomy_size(min(self._share, 1) * points, LEAST_ROWS))
        inputs = self.captured.inputs(room)
        for target, source in zip(inputs, prepared.staged, strict=False):
            target[:count].copy_(source, non_blocking=True)
        inputs[2].fill_(count)
        there = self.captured.replay(room)
        pinned = self.device.type == "cuda"
        here = []
        for tensor in there:
            rows = tensor[:count] if len(tensor) == points else tensor
            host = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=pinned)
            here.append(host.copy_(rows, non_blocking=True))
        if pinned:
            torch.cuda.current_stream().synchronize()
        return Answer(*here), room


def _agree(got: PointOutputs | None, wanted: PointOutputs | None) -> bool:
    """Whether two answers name nearly all points alike."""
    if got is None or wanted is None:
        return got is wanted
    return bool(np.mean(got.classes == wanted.classes) >= LEAST_AGREEMENT)


def _with_half_weights(inner: VoxelNetwork) -> VoxelNetwork:
    """A twin whose products find their weights in the precision that they are made in."""
    half = PRECISIONS[inner.precision]
    if half is None:
        return inner
    twin = copy.copy(inner)
    twin.network = copy.deepcopy(inner.network)
    for module in twin.network.modules():
        if isinstance(module, nn.Linear | SubmanifoldConv3d | StridedConv3d | InverseConv3d):
            module.weight.data = module.weight.data.to(half)
            if isinstance(module, nn.Linear) and module.bias is not None:
                module.bias.data = module.bias.data.to(half)
    return twin


def as_prepared(prepared: DeviceScan | PreparedScan) -> PreparedScan:
    """The scan with voxels and features on the host."""
    return prepared.on_host if isinstance(prepared, DeviceScan) else prepared


def on_device(network: VoxelNetwork) -> DeviceNetwork | VoxelNetwork:
    """The network with every step on its device, where that is a GPU and nothing forbids it."""
    may = network.engine.name == "triton" and network.device.type == "cuda"
    may = may and network.network.queries is None and not network.copies
    return DeviceNetwork(network) if may else network


def voxel_network(network: Network) -> VoxelNetwork:
    """This package's network itself, also where it runs as a DeviceNetwork. Raises InputError."""
    network = network.inner if isinstance(network, DeviceNetwork) else network
    if not isinstance(network, VoxelNetwork):
        raise InputError(f"wanted this package's network, got {type(network).__name__}")
    return network
