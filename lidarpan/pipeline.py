"""From a scan to its panoptic labels: the whole method on one page."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lidarpan.classes import ClassTable, load_class_table
from lidarpan.clock import StageClock
from lidarpan.config import Config, parse_config
from lidarpan.features import voxel_features
from lidarpan.fusion import merge_semantic_and_instance
from lidarpan.grid import Grid
from lidarpan.grouping import group_points
from lidarpan.model.checkpoint import fit_weights, load_weights
from lidarpan.model.inference import fold_batch_norm
from lidarpan.model.network import BEV_STRIDE, HeadOutputs, PanopticNetwork
from lidarpan.model.sparse import Engine, SparseTensor, choose_engine
from lidarpan.structures import (
    FloatArray,
    InputError,
    PanopticLabels,
    Scan,
    SemanticArray,
)
from lidarpan.voxels import Voxels, voxelize


class PanopticPipeline:
    """Scan in, panoptic labels out.

    Example:
        >>> from lidarpan import PanopticPipeline, read_scan  # doctest: +SKIP
        >>> labels = PanopticPipeline.from_weights("town").predict(read_scan("000000.bin"))
    """

    def __init__(
        self,
        network: PanopticNetwork,
        grid: Grid,
        classes: ClassTable,
        *,
        sensor_height_m: float,
        grouping: str = "auto",
        min_segment_points: int = 5,
        engine: Engine | None = None,
    ) -> None:
        """Put the parts together; the network decides the device."""
        self.network = network.eval()
        self.grid = grid
        self.classes = classes
        self.sensor_height_m = sensor_height_m
        self.grouping = grouping
        self.min_segment_points = min_segment_points
        self.device = next(network.parameters()).device
        self.engine = engine or choose_engine(self.device)

    @classmethod
    def from_config(
        cls, config: Config, network: PanopticNetwork, engine: Engine | None = None
    ) -> PanopticPipeline:
        """A pipeline around an existing network, with the configured grid and rules."""
        return cls(
            network,
            config.grid.build(),
            load_class_table(config.classes),
            sensor_height_m=config.sensor.height_m,
            grouping=config.grouping.method,
            min_segment_points=config.fusion.min_segment_points,
            engine=engine,
        )

    @classmethod
    def from_weights(
        cls, weights: str | Path = "town", device: str = "auto", sparse: str | None = None
    ) -> PanopticPipeline:
        """Load shipped weights by name, or a weights file.

        Args:
            weights: "town", or a path to a .safetensors file written by `lidarpan train`.
            device: "auto" (CUDA if there is one), "cpu" or "cuda".
            sparse: the sparse convolution engine; None takes the best one for the device.

        Raises:
            InputError: no such weights, they do not fit their configuration, or no such device.
        """
        path = find_weights(weights)
        state, header = load_weights(path)
        config = parse_config(header["config"], str(path))
        network = build_network(config)
        fit_weights(network, state, str(path))
        target = choose_device(device)
        folded = fold_batch_norm(network).to(target)
        return cls.from_config(config, folded, choose_engine(target, sparse))

    def predict(
        self, scan: Scan, *, sensor_height_m: float | None = None, clock: StageClock | None = None
    ) -> PanopticLabels:
        """Panoptic labels of a scan.

        Args:
            scan: points in the sensor frame (x forward, y left, z up).
            sensor_height_m: of this scan's sensor above the ground, where it is not the one that
                the weights were trained for.
            clock: collects the time of each stage.

        Returns:
            Labels of all N points; points outside the grid are void.
        """
        clock = clock or StageClock()
        points = self._at_trained_height(scan.points, sensor_height_m)
        with clock("voxelize"):
            voxels = voxelize(points, self.grid)
            features = voxel_features(points, scan.intensity, voxels, self.grid)
        if not len(voxels.indices):
            return _all_void(scan.num_points)
        with clock("network"):
            outputs = self._run(features, voxels)
            semantic, softmax = self._point_semantic(outputs, voxels)
        with clock("grouping"):
            offsets = self._point_offsets(outputs, points, voxels)
            heatmap, bev_grid = self._bev_heatmap(outputs)
            instance = group_points(
                points,
                semantic,
                self.classes,
                method=self.grouping,
                offsets=offsets,
                heatmap=heatmap,
                grid=bev_grid,
                softmax=softmax,
            )
        with clock("fusion"):
            return merge_semantic_and_instance(
                semantic,
                instance,
                softmax,
                self.classes,
                min_segment_points=self.min_segment_points,
            )

    def _at_trained_height(self, points: FloatArray, sensor_height_m: float | None) -> FloatArray:
        if sensor_height_m is None or sensor_height_m == self.sensor_height_m:
            return points
        shift = np.array([0, 0, sensor_height_m - self.sensor_height_m], np.float32)
        return points + shift

    @torch.inference_mode()
    def _run(self, features: FloatArray, voxels: Voxels) -> HeadOutputs:
        indices = np.zeros((len(voxels.indices), 4), np.int32)
        indices[:, 1:] = voxels.indices
        tensor = SparseTensor(
            torch.from_numpy(features).to(self.device),
            torch.from_numpy(indices).to(self.device),
            self.grid.shape,
            batch_size=1,
            engine=self.engine,
        )
        outputs: HeadOutputs = self.network(tensor)
        return outputs

    def _point_semantic(
        self, outputs: HeadOutputs, voxels: Voxels
    ) -> tuple[SemanticArray, FloatArray]:
        """Class and class probabilities of each point, those of its voxel; void outside."""
        probabilities = outputs.semantic.float().softmax(dim=1).cpu().numpy()
        softmax = np.zeros((len(probabilities) + 1, self.classes.num_classes), np.float32)
        softmax[:-1, 1:] = probabilities
        semantic = softmax.argmax(axis=1).astype(np.uint8)
        semantic[-1] = 0  # row -1: points outside the grid
        return semantic[voxels.point_to_voxel], softmax[voxels.point_to_voxel]

    def _point_offsets(
        self, outputs: HeadOutputs, points: FloatArray, voxels: Voxels
    ) -> FloatArray:
        """From each point to its object's center, x and y. (N, 2) metres; 0 outside the grid."""
        middle = self.grid.center_of(voxels.indices)[:, :2]
        center = outputs.offset_m.float().cpu().numpy() + middle
        offsets = center[voxels.point_to_voxel] - points[:, :2]
        offsets[voxels.point_to_voxel < 0] = 0
        return np.ascontiguousarray(offsets, np.float32)

    def _bev_heatmap(self, outputs: HeadOutputs) -> tuple[FloatArray, Grid]:
        """Center probability of each BEV cell (X, Y), and the BEV grid."""
        grid = self.grid.coarser((BEV_STRIDE, BEV_STRIDE, self.grid.shape[2]))
        heatmap = np.zeros(grid.shape[:2], np.float32)
        columns = outputs.columns.cpu().numpy()
        heatmap[columns[:, 1], columns[:, 2]] = torch.sigmoid(outputs.heatmap.float()).cpu().numpy()
        return heatmap, grid


def build_network(config: Config) -> PanopticNetwork:
    """The configured network with fresh weights."""
    sizes: dict[str, Any] = config.network.model_dump()
    return PanopticNetwork(load_class_table(config.classes).num_classes, **sizes)


def find_weights(weights: str | Path) -> Path:
    """Path of shipped weights by name, or of a file; InputError lists the shipped names."""
    path = Path(weights)
    if path.suffix == ".safetensors":
        return path
    shipped = Path(str(resources.files("lidarpan").joinpath("weights")))
    named = shipped / f"{weights}.safetensors"
    if not named.is_file():
        names = ", ".join(sorted(p.stem for p in shipped.glob("*.safetensors"))) or "none"
        raise InputError(f"no weights {weights!r}: wanted a .safetensors file or one of: {names}")
    return named


def choose_device(device: str) -> torch.device:
    """Turn "auto", "cpu" or "cuda" into a torch device; InputError where it is not there."""
    match device:
        case "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        case "cpu":
            return torch.device("cpu")
        case "cuda" | "cuda:0":
            if not torch.cuda.is_available():
                raise InputError("no CUDA device here: use --device cpu, or see lidarpan doctor")
            return torch.device("cuda")
        case _:
            raise InputError(f"no device {device!r}: wanted auto, cpu or cuda")


def _all_void(num_points: int) -> PanopticLabels:
    return PanopticLabels(np.zeros(num_points, np.uint8), np.zeros(num_points, np.int32))
