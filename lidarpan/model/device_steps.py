"""From points to what is said of each, step by step on a device that nobody waits for."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from lidarpan.model.network import HeadOutputs
from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.voxel_network import VoxelNetwork
from lidarpan.voxels.device_features import features_on_device
from lidarpan.voxels.device_intensity import rank_brightness_on_device
from lidarpan.voxels.device_patches import average_in_patches_on_device
from lidarpan.voxels.device_voxels import DeviceVoxels, voxelize_on_device
from lidarpan.voxels.keys import constant


class Room(NamedTuple):
    """Rows that there is room for: points and voxels."""

    points: int
    voxels: int


class Answer(NamedTuple):
    """What is said of N points, R voxels and M BEV cells, room to spare included.

    Attributes:
        semantic: (N,) uint8.
        softmax: (N, C) float32, zeros outside the grid.
        offsets: (N, 2) float32 metres, zeros outside the grid.
        point_to_voxel: (N,) int32, -1 outside the grid.
        columns: (M, 2) int32 occupied BEV cells x, y.
        center: (M,) float32 probability that an object's center lies there, -1 where no cell is.
        indices: (R, 4) int32 cells of the voxels.
        num_points: (R,) int32 of each voxel.
        features: (R, F) float32, or none where nobody asks for them.
        found: (1,) int32 voxels; with more than R the answer is worth nothing.
    """

    semantic: Tensor
    softmax: Tensor
    offsets: Tensor
    point_to_voxel: Tensor
    columns: Tensor
    center: Tensor
    indices: Tensor
    num_points: Tensor
    features: Tensor
    found: Tensor


def answer_points(network: VoxelNetwork, room: Room, inputs: tuple[Tensor, ...]) -> Answer:
    """All steps on the device, of which none waits for it.

    Args:
        network: without queries; it averages no copies.
        room: of the inputs and the answer.
        inputs: points (N, 3) float32 metres, intensity (N,) float32, how many are points (1,).
    """
    points, intensity, count = inputs
    grid = network.grid
    is_point = torch.arange(room.points, device=points.device) < count
    if network.intensity == "rank":
        intensity = rank_brightness_on_device(points, intensity, is_point)
    voxels = voxelize_on_device(points, is_point, grid, room.voxels)
    features, height = features_on_device(points, intensity, voxels, grid)
    outputs = network.forward(_tensor_of(features, voxels, network))
    probabilities = _probabilities(outputs, height, voxels, network)
    softmax = functional.pad(probabilities, (1, 0, 0, 1))  # a last row for what is outside
    middle = voxels.indices[:, 1:3].float() + 0.5
    cell, low = (constant(v[:2], points.device, torch.float32) for v in (grid.cell_m, grid.min_m))
    center = functional.pad(outputs.offset_m.float() + (middle * cell + low), (0, 0, 0, 1))
    row = voxels.point_to_voxel
    inside = row < room.voxels
    return Answer(
        semantic=softmax.argmax(1).to(torch.uint8)[row],
        softmax=softmax[row],
        offsets=torch.where(inside[:, None], center[row] - points[:, :2], 0),
        point_to_voxel=torch.where(inside, row, -1).int(),
        columns=outputs.columns[:, 1:].int(),
        center=_centers(outputs),
        indices=voxels.indices,
        num_points=voxels.num_points.int(),
        features=features if network.likeness else features[:0],
        found=voxels.found,
    )


def _tensor_of(features: Tensor, voxels: DeviceVoxels, network: VoxelNetwork) -> SparseTensor:
    """The network's input, with room to spare behind the voxels."""
    tensor = SparseTensor(features, voxels.indices, network.grid.shape, 1, network.engine)
    tensor.level.num_cells = voxels.count
    tensor.level.maps["keys"] = voxels.keys
    return tensor


def _probabilities(
    outputs: HeadOutputs, height: Tensor, voxels: DeviceVoxels, network: VoxelNetwork
) -> Tensor:
    """Of train ids 1 to C - 1 for each voxel, or for its patch of a surface. (R, C - 1) float32."""
    logits = outputs.semantic.float()
    if network.prior is not None:
        logits = logits + constant(tuple(network.prior.tolist()), logits.device, logits.dtype)
    probabilities = logits.softmax(1)
    if network.ground is None:
        return probabilities
    ground = torch.stack([probabilities[:, train_id - 1] for train_id in network.ground]).sum(0)
    return average_in_patches_on_device(probabilities, height, ground > 0.5, voxels, network.grid)


def _centers(outputs: HeadOutputs) -> Tensor:
    """Center probability of each occupied BEV cell, -1 in the room to spare. (M,) float32."""
    center = torch.sigmoid(outputs.heatmap.float())
    if outputs.num_columns is None:
        return center
    row = torch.arange(len(center), device=center.device)
    return torch.where(row < outputs.num_columns, center, -1)
