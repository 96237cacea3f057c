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
from lidarpan.grouping import group_points
from lidarpan.grouping.fusion import merge_semantic_and_instance
from lidarpan.model.checkpoint import fit_weights, load_weights
from lidarpan.model.inference import fold_batch_norm
from lidarpan.model.network import HeadOutputs, PanopticNetwork
from lidarpan.model.outputs import PreparedScan, VoxelOutputs
from lidarpan.model.sparse import choose_engine
from lidarpan.model.sparse.modules import SparseTensor
from lidarpan.model.sparse.tensor import Engine
from lidarpan.structures import FloatArray, InputError, PanopticLabels, Scan
from lidarpan.voxels.features import voxel_features
from lidarpan.voxels.grid import Grid
from lidarpan.voxels.voxelize import voxelize

_PRECISIONS = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}


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
        precision: str = "fp32",
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
        self.precision = check_precision(precision, self.device)

    @classmethod
    def from_config(
        cls,
        config: Config,
        network: PanopticNetwork,
        engine: Engine | None = None,
        precision: str = "fp32",
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
            precision=precision,
        )

    @classmethod
    def from_weights(
        cls,
        weights: str | Path = "town",
        device: str = "auto",
        sparse: str | None = None,
        precision: str = "fp32",
    ) -> PanopticPipeline:
        """Load shipped weights by name, or a weights file.

        Args:
            weights: "town", or a path to a .safetensors file written by `lidarpan train`.
            device: "auto" (CUDA if there is one), "cpu" or "cuda".
            sparse: the sparse convolution engine; None takes the best one for the device.
            precision: of the network: "fp32", or "fp16" or "bf16" on CUDA (autocast).

        Raises:
            InputError: no such weights, they do not fit their configuration, no such device, or
                a precision that the device has not.
        """
        path = find_weights(weights)
        state, header = load_weights(path)
        config = parse_config(header["config"], str(path))
        network = build_network(config)
        fit_weights(network, state, str(path))
        target = choose_device(device)
        check_precision(precision, target)
        folded = fold_batch_norm(network).to(target)
        return cls.from_config(config, folded, choose_engine(target, sparse), precision)

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
        prepared = self.prepare(scan, sensor_height_m=sensor_height_m, clock=clock)
        return self.finish(prepared, self.run_network(prepared, clock), clock)

    def prepare(
        self, scan: Scan, *, sensor_height_m: float | None = None, clock: StageClock | None = None
    ) -> PreparedScan:
        """Before the network, on the CPU: stage "voxelize" of `predict`."""
        with (clock or StageClock())("voxelize"):
            points = self._at_trained_height(scan.points, sensor_height_m)
            voxels = voxelize(points, self.grid)
            features = voxel_features(points, scan.intensity, voxels, self.grid)
            return PreparedScan(points, voxels, features)

    def run_network(
        self, prepared: PreparedScan, clock: StageClock | None = None
    ) -> VoxelOutputs | None:
        """The network, on its device: stage "network" of `predict`; None without any voxel."""
        if not prepared.voxels.num_voxels:
            return None
        with (clock or StageClock())("network"), torch.inference_mode():
            return VoxelOutputs.of(self.forward(self.tensor_of(prepared)))

    def finish(
        self,
        prepared: PreparedScan,
        outputs: VoxelOutputs | None,
        clock: StageClock | None = None,
    ) -> PanopticLabels:
        """After the network, on the CPU: stages "grouping" and "fusion" of `predict`."""
        clock = clock or StageClock()
        if outputs is None:
            return _all_void(len(prepared.points))
        with clock("grouping"):
            semantic, softmax = outputs.point_semantic(prepared.voxels)
            heatmap, bev_grid = outputs.bev_heatmap(self.grid)
            instance = group_points(
                prepared.points,
                semantic,
                self.classes,
                method=self.grouping,
                offsets=outputs.point_offsets(prepared, self.grid),
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
        half = _PRECISIONS[self.precision]
        with torch.autocast(self.device.type, half, enabled=half is not None):
            outputs: HeadOutputs = self.network(tensor)
        return outputs


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


def check_precision(precision: str, device: torch.device) -> str:
    """The precision itself; InputError where there is none of that name, or the device lacks it."""
    if precision not in _PRECISIONS:
        raise InputError(f"no precision {precision!r}: wanted one of {', '.join(_PRECISIONS)}")
    if precision != "fp32" and device.type == "cpu":
        raise InputError(f"precision {precision} needs a CUDA device, got cpu: use fp32")
    return precision


def _all_void(num_points: int) -> PanopticLabels:
    return PanopticLabels(np.zeros(num_points, np.uint8), np.zeros(num_points, np.int32))
