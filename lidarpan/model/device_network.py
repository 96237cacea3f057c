"""This package's network on a GPU, from points to answers: an upload, a launch, a download."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lidarpan.model.captured import LEAST_ROWS, Captured, roomy_size
from lidarpan.model.contract import Network, PointOutputs
from lidarpan.model.network import BEV_STRIDE, HeadOutputs
from lidarpan.model.outputs import PreparedScan, VoxelOutputs
from lidarpan.model.sparse.modules import (
    InverseConv3d,
    SparseTensor,
    StridedConv3d,
    SubmanifoldConv3d,
)
from lidarpan.model.voxel_network import VoxelNetwork
from lidarpan.model.weights import PRECISIONS
from lidarpan.structures import FloatArray, InputError, Scan
from lidarpan.voxels.device_features import features_on_device
from lidarpan.voxels.device_intensity import rank_brightness_on_device
from lidarpan.voxels.device_patches import average_in_patches_on_device
from lidarpan.voxels.device_voxels import DeviceVoxels, voxelize_on_device
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.keys import constant
from lidarpan.voxels.voxelize import Voxels

FIRST_SHARE = 0.5
"""Voxels per point that there is room for at first; a scan with more is seen twice, once."""


class Room(NamedTuple):
    """Rows that there is room for: points and voxels."""

    points: int
    voxels: int


class Answer(NamedTuple):
    """What is said of N points, R voxels and X x Y BEV cells, room to spare included.

    Attributes:
        semantic: (N,) uint8.
        softmax: (N, C) float32, zeros outside the grid.
        offsets: (N, 2) float32 metres, zeros outside the grid.
        point_to_voxel: (N,) int32, -1 outside the grid.
        heatmap: (X, Y) float32.
        indices: (R, 4) int32 cells of the voxels.
        num_points: (R,) int32 of each voxel.
        features: (R, F) float32, or none where nobody asks for them.
        found: (1,) int32 voxels; with more than R the answer is worth nothing.
    """

    semantic: Tensor
    softmax: Tensor
    offsets: Tensor
    point_to_voxel: Tensor
    heatmap: Tensor
    indices: Tensor
    num_points: Tensor
    features: Tensor
    found: Tensor


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
    one CUDA graph for each size of scan. On a CPU the same steps run one by one.

    Attributes:
        inner: the network. It has no queries and averages no copies.
        captured: its steps.
    """

    def __init__(self, inner: VoxelNetwork) -> None:
        self.inner, self.device = inner, inner.device
        self._running = _with_half_weights(inner)
        self.captured = Captured(self._answer, self._make_inputs)
        self._share = FIRST_SHARE

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
        count = len(prepared.points)
        if not count:
            return None
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
        return PointOutputs(
            answer.softmax.numpy(),
            answer.offsets.numpy(),
            answer.heatmap.numpy(),
            bev_grid_of(self.inner.grid),
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

    def _answer(self, room: Room, inputs: tuple[Tensor, ...]) -> Answer:
        """All steps on the device."""
        points, intensity, count = inputs
        grid, inner = self.inner.grid, self._running
        is_point = torch.arange(room.points, device=points.device) < count
        if inner.intensity == "rank":
            intensity = rank_brightness_on_device(points, intensity, is_point)
        voxels = voxelize_on_device(points, is_point, grid, room.voxels)
        features, height = features_on_device(points, intensity, voxels, grid)
        outputs = inner.forward(_tensor_of(features, voxels, inner))
        probabilities = _probabilities(outputs, height, voxels, inner)
        softmax = functional.pad(probabilities, (1, 0, 0, 1))  # a last row for what is outside
        middle = voxels.indices[:, 1:3].float() + 0.5
        cell, low = (
            constant(v[:2], points.device, torch.float32) for v in (grid.cell_m, grid.min_m)
        )
        center = functional.pad(outputs.offset_m.float() + (middle * cell + low), (0, 0, 0, 1))
        row = voxels.point_to_voxel
        inside = row < room.voxels
        return Answer(
            semantic=softmax.argmax(1).to(torch.uint8)[row],
            softmax=softmax[row],
            offsets=torch.where(inside[:, None], center[row] - points[:, :2], 0),
            point_to_voxel=torch.where(inside, row, -1).int(),
            heatmap=_heatmap(outputs, grid),
            indices=voxels.indices,
            num_points=voxels.num_points.int(),
            features=features if inner.likeness else features[:0],
            found=voxels.found,
        )


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


def bev_grid_of(grid: Grid) -> Grid:
    """The BEV cells of a voxel grid."""
    return grid.coarser((BEV_STRIDE, BEV_STRIDE, grid.shape[2]))


def _tensor_of(features: Tensor, voxels: DeviceVoxels, inner: VoxelNetwork) -> SparseTensor:
    """The network's input, with room to spare behind the voxels."""
    tensor = SparseTensor(features, voxels.indices, inner.grid.shape, 1, inner.engine)
    tensor.level.num_cells = voxels.count
    tensor.level.maps["keys"] = voxels.keys
    return tensor


def _probabilities(
    outputs: HeadOutputs, height: Tensor, voxels: DeviceVoxels, inner: VoxelNetwork
) -> Tensor:
    """Of train ids 1 to C - 1 for each voxel, or for its patch of a surface. (R, C - 1) float32."""
    logits = outputs.semantic.float()
    if inner.prior is not None:
        logits = logits + constant(tuple(inner.prior.tolist()), logits.device, logits.dtype)
    probabilities = logits.softmax(1)
    if inner.ground is None:
        return probabilities
    ground = torch.stack([probabilities[:, train_id - 1] for train_id in inner.ground]).sum(0)
    return average_in_patches_on_device(probabilities, height, ground > 0.5, voxels, inner.grid)


def _heatmap(outputs: HeadOutputs, grid: Grid) -> Tensor:
    """Center probability of each BEV cell. (X, Y) float32."""
    size_x, size_y, _ = bev_grid_of(grid).shape
    place = outputs.columns[:, 1] * size_y + outputs.columns[:, 2]
    if outputs.num_columns is not None:
        row = torch.arange(len(place), device=place.device)
        place = torch.where(row < outputs.num_columns, place, size_x * size_y)
    heatmap = torch.zeros(size_x * size_y + 1, device=place.device)
    heatmap.scatter_(0, place, torch.sigmoid(outputs.heatmap.float()))
    return heatmap[:-1].view(size_x, size_y)


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
