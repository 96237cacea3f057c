"""From a scan to its panoptic labels: the whole method on one page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lidarpan.classes import DEFAULT_TABLE, ClassTable
from lidarpan.clock import StageClock
from lidarpan.config import Config
from lidarpan.datasets.open import find_classes
from lidarpan.grouping import group_points
from lidarpan.grouping.fusion import merge_semantic_and_instance
from lidarpan.model.contract import Network, OwnNetwork, as_network
from lidarpan.model.copies import COPIES
from lidarpan.model.likeness import Likeness
from lidarpan.model.network import PanopticNetwork
from lidarpan.model.prior import street_prior
from lidarpan.model.sparse import choose_engine
from lidarpan.model.sparse.tensor import Engine
from lidarpan.model.voxel_network import VoxelNetwork
from lidarpan.model.weights import check_precision, choose_device, load_network
from lidarpan.scans.ego import EgoChoice, hide_ego, parse_ego_box
from lidarpan.scans.given import Given, as_loaded
from lidarpan.scans.inspection import EXPECTED_HEIGHT_M
from lidarpan.structures import PanopticLabels, Scan


class PanopticPipeline:
    """Scan in, panoptic labels out.

    Example:
        >>> from lidarpan import PanopticPipeline, read_scan  # doctest: +SKIP
        >>> labels = PanopticPipeline.from_weights("town").predict(read_scan("000000.bin"))
    """

    def __init__(
        self,
        network: Network | OwnNetwork,
        classes: ClassTable | str = DEFAULT_TABLE,
        *,
        sensor_height_m: float | None = None,
        grouping: str = "auto",
        min_segment_points: int = 5,
        min_score: float = 0.0,
        score_map: Sequence[tuple[float, float]] = (),
        ego_box: EgoChoice = "auto",
    ) -> None:
        """Put the parts together.

        Args:
            network: this package's (VoxelNetwork), or any callable that turns a Scan of N points
                into (N, C) probabilities or `lidarpan.model.contract.PointOutputs`.
            classes: what the network's classes mean.
            sensor_height_m: above the ground where the network was trained; None shifts no scan.
            grouping: how points become objects, see `group_points`.
            min_segment_points: smaller objects go back to stuff.
            min_score: objects of a lower score go back to stuff.
            score_map: what scores mean, see `merge_semantic_and_instance`.
            ego_box: of the vehicle that carries the sensor, whose points are void: "auto" looks for
                it in each scan, None leaves every point.
        """
        self.classes = find_classes(classes) if isinstance(classes, str) else classes
        self.network = as_network(network, self.classes.num_classes)
        self.device = self.network.device
        self.sensor_height_m = sensor_height_m
        self.grouping = grouping
        self.min_segment_points = min_segment_points
        self.min_score = min_score
        self.score_map = tuple(score_map)
        self.ego_box = ego_box

    @classmethod
    def from_config(
        cls,
        config: Config,
        network: PanopticNetwork,
        engine: Engine | None = None,
        precision: str = "fp32",
        *,
        tta: bool = False,
        likeness: Likeness | None = None,
    ) -> PanopticPipeline:
        """A pipeline around an existing network, with the configured grid and rules."""
        classes = config.build_classes()
        voxel_network = VoxelNetwork(
            network,
            config.grid.build(),
            engine,
            precision,
            prior=street_prior(classes, config.prior.trained, config.prior.power),
            ground=classes.ground if config.fusion.patches else None,
            copies=COPIES if tta else (),
            ground_m=-config.sensor.height_m,
            intensity=config.sensor.intensity,
            likeness=likeness,
        )
        return cls(
            voxel_network,
            classes,
            sensor_height_m=config.sensor.height_m,
            grouping=config.grouping.method,
            min_segment_points=config.fusion.min_segment_points,
            min_score=config.fusion.min_score,
            score_map=config.fusion.score_map,
            ego_box=parse_ego_box(config.sensor.ego_box),
        )

    @classmethod
    def from_weights(
        cls,
        weights: str | Path = "town",
        device: str = "auto",
        sparse: str | None = None,
        precision: str = "fp32",
        *,
        tta: bool = False,
        min_score: float | None = None,
        patches: bool | None = None,
        prior_power: float | None = None,
        ego_box: str | None = None,
    ) -> PanopticPipeline:
        """Load shipped weights by name, or a .safetensors file that `lidarpan train` wrote.

        Args:
            weights: "town", or a path.
            device: "auto" (CUDA if there is one), "cpu" or "cuda".
            sparse: the sparse convolution engine; None takes the best one for the device.
            precision: of the network: "fp32", or "fp16" or "bf16" on CUDA (autocast).
            tta: average over turned, mirrored and scaled copies of each scan: five times the work.
            min_score: objects of a lower score go back to stuff; None takes the weights' own.
            patches: choose classes by the mean of patches of a surface; None as in the weights.
            prior_power: how far the shares of real streets correct those trained on, 0 not at all
                and 1 wholly; None as in the weights.
            ego_box: "auto", "off" or "x0,y0,z0,x1,y1,z1": where the own vehicle lies, whose points
                are void; None as in the weights.

        Raises:
            InputError: there are no such weights, device or precision, or they do not fit.
        """
        target = choose_device(device)
        check_precision(precision, target)
        network, config, likeness = load_network(weights, target)
        config = config.chosen(
            fusion={"min_score": min_score, "patches": patches},
            prior={"power": prior_power},
            sensor={"ego_box": ego_box},
        )
        engine = choose_engine(target, sparse)
        return cls.from_config(config, network, engine, precision, tta=tta, likeness=likeness)

    def predict(
        self,
        scan: Given,
        *,
        sensor_height_m: float | None = None,
        clock: StageClock | None = None,
    ) -> PanopticLabels:
        """Panoptic labels of a scan.

        Args:
            scan: a Scan, the path of a scan file, or (M, 3 or more) rows of x y z [intensity] in
                metres, sensor frame (x forward, y left, z up).
            sensor_height_m: of this scan's sensor above the ground, where it is not the one that
                the weights were trained for.
            clock: collects the time of each stage.

        Returns:
            Labels of all points of the scan, rows of the array or points of the file; what lies
            outside the grid, on the own vehicle, or is no return is void.
        """
        loaded = as_loaded(scan, self.sensor_height_m)
        height = sensor_height_m or self.sensor_height_m or EXPECTED_HEIGHT_M
        loaded = hide_ego(loaded, self.ego_box, height)
        prepared = self.prepare(loaded.scan, sensor_height_m=sensor_height_m, clock=clock)
        outputs = self.run_network(prepared, clock)
        return self.finish(prepared, outputs, clock).spread_over(loaded.valid)

    def predict_many(self, scans: Iterable[Given]) -> Iterator[PanopticLabels]:
        """Panoptic labels of several scans, each when it is asked for."""
        return (self.predict(scan) for scan in scans)

    def prepare(
        self, scan: Scan, *, sensor_height_m: float | None = None, clock: StageClock | None = None
    ) -> Any:
        """Before the network, on the CPU: stage "voxelize" of `predict`."""
        with (clock or StageClock())("voxelize"):
            if sensor_height_m is not None and self.sensor_height_m is not None:
                scan = scan.raised(sensor_height_m - self.sensor_height_m)
            return self.network.prepare(scan)

    def run_network(self, prepared: Any, clock: StageClock | None = None) -> Any:
        """The network, on its device: stage "network" of `predict`; None without any voxel."""
        with (clock or StageClock())("network"):
            return self.network.run(prepared)

    def finish(
        self, prepared: Any, outputs: Any, clock: StageClock | None = None
    ) -> PanopticLabels:
        """After the network, on the CPU: stages "grouping" and "fusion" of `predict`."""
        clock = clock or StageClock()
        if outputs is None:
            return PanopticLabels.all_void(len(prepared.points), self.classes)
        with clock("grouping"):
            said = self.network.per_point(prepared, outputs)
            instance = group_points(
                prepared.points,
                said.classes,
                self.classes,
                method=self.grouping,
                offsets=said.offsets,
                heatmap=said.heatmap,
                grid=said.grid,
                softmax=said.softmax,
            )
        with clock("fusion"):
            return merge_semantic_and_instance(
                said.classes,
                instance,
                said.softmax,
                self.classes,
                min_segment_points=self.min_segment_points,
                min_score=self.min_score,
                score_map=self.score_map,
            )
