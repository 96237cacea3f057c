"""From a scan to its panoptic labels: the whole method on one page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lidarpan.classes import DEFAULT_TABLE, ClassTable
from lidarpan.clock import StageClock
from lidarpan.config import Config
from lidarpan.datasets.open import find_classes
from lidarpan.grouping import group_points
from lidarpan.grouping.fusion import merge_semantic_and_instance, with_confidence
from lidarpan.model.configured import (
    Choices,
    configured_network,
    configured_rules,
    open_weights,
)
from lidarpan.model.contract import Network, OwnNetwork, PointOutputs, as_network
from lidarpan.model.device_network import on_device
from lidarpan.model.network import PanopticNetwork
from lidarpan.model.sparse.tensor import Engine
from lidarpan.scans.ego import EgoChoice, hide_ego
from lidarpan.scans.given import Given, Kind, as_loaded
from lidarpan.scans.inspection import EXPECTED_HEIGHT_M, sensor_height
from lidarpan.structures import FloatArray, IntArray, PanopticLabels, Scan

if TYPE_CHECKING:
    from typing_extensions import Unpack


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
        temperature: float = 1.0,
        min_confidence: float = 0.0,
    ) -> None:
        """Put the parts together.

        Args:
            network: this package's (VoxelNetwork), or any callable that turns a Scan of N points
                into (N, C) probabilities or `lidarpan.model.contract.PointOutputs`.
            classes: what the network's classes mean.
            sensor_height_m: above the ground where the network was trained; None shifts no scan.
            grouping: how points become objects, see `group_points`; a network with a query head
                says so itself where it is "auto".
            min_segment_points: smaller objects go back to stuff.
            min_score: objects of a lower score go back to stuff.
            score_map: what scores mean, see `merge_semantic_and_instance`.
            ego_box: of the vehicle that carries the sensor, whose points are void: "auto" looks for
                it in each scan, None leaves every point.
            temperature: of the points' confidence, see `with_confidence`.
            min_confidence: points whose class is less sure are void.
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
        self.temperature, self.min_confidence = temperature, min_confidence
        self._told: set[Kind] = set()

    @classmethod
    def from_config(
        cls,
        config: Config,
        network: PanopticNetwork,
        engine: Engine | None = None,
        precision: str = "fp32",
        *,
        tta: bool = False,
    ) -> PanopticPipeline:
        """A pipeline around an existing network, with the configured grid and rules."""
        made = configured_network(config, network, engine, precision, tta=tta)
        return cls(made, **configured_rules(config))

    @classmethod
    def from_weights(
        cls,
        weights: str | Path = "town",
        device: str = "auto",
        sparse: str | None = None,
        precision: str = "fp32",
        **choices: Unpack[Choices],
    ) -> PanopticPipeline:
        """Load shipped weights by name, or a .safetensors file that `lidarpan train` wrote.

        Args:
            weights: "town", or a path.
            device: "auto" (CUDA if there is one), "cpu" or "cuda".
            sparse: the sparse convolution engine; None takes the best one for the device.
            precision: of the network: "fp32", or "fp16" or "bf16" on CUDA (autocast).
            choices: tta, min_score, min_confidence, patches, prior_power, ego_box, voxel_m: see
                `Choices`.

        Raises:
            InputError: there are no such weights, device or precision, or they do not fit.
        """
        network, config = open_weights(weights, device, sparse, precision, choices)
        return cls(on_device(network), **configured_rules(config))

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
                the weights were trained for; None measures it in a file or rows, as the command
                line does, and takes a Scan as it is.
            clock: collects the time of each stage.

        Returns:
            Labels of all points of the scan, rows of the array or points of the file; what lies
            outside the grid, on the own vehicle, or is no return is void.
        """
        loaded = as_loaded(scan, self.sensor_height_m, self._told)
        if sensor_height_m is None and self.sensor_height_m and not isinstance(scan, Scan):
            sensor_height_m = sensor_height(loaded.scan, self.sensor_height_m)
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
            claims = said.claims if self.grouping == "auto" else None
            instance = self._group(prepared.points, said)
            if claims:
                claims = claims.completed(instance)
                instance = claims.ids
        with clock("fusion"):
            labels = merge_semantic_and_instance(
                said.classes,
                instance,
                said.softmax,
                self.classes,
                min_segment_points=self.min_segment_points,
                min_score=self.min_score,
                score_map=self.score_map,
                claim_softmax=claims.softmax if claims else None,
            )
            return with_confidence(
                labels,
                said.softmax,
                temperature=self.temperature,
                min_confidence=self.min_confidence,
            )

    def _group(self, points: FloatArray, said: PointOutputs) -> IntArray:
        """The object of each point, by the chosen method."""
        return group_points(
            points,
            said.classes,
            self.classes,
            method=self.grouping,
            offsets=said.offsets,
            heatmap=said.heatmap,
            grid=said.grid,
            softmax=said.softmax,
        )
