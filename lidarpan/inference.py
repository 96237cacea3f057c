"""Folders of scan files -> folders of predictions; interrupted work is taken up where it ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lidarpan.clock import StageClock
from lidarpan.datasets.predictions import is_complete, prediction_paths, write_prediction
from lidarpan.model.outputs import PreparedScan, VoxelOutputs
from lidarpan.overlap import overlap
from lidarpan.pipeline import PanopticPipeline
from lidarpan.scans.ego import AUTO_SCANS, EgoBox, EgoChoice, find_ego_box, hide_ego
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.files import load_scan
from lidarpan.scans.inspection import EXPECTED_HEIGHT_M, fit_ground
from lidarpan.structures import InputError, PanopticLabels, Scan

ROAD_HALF_WIDTH_M = 4.0
HEIGHT_TOLERANCE_M = 0.3
"""Scans whose ground lies further from where the weights expect it are shifted."""


@dataclass(frozen=True)
class Prediction:
    """What became of one scan file.

    Attributes:
        scan_path: the input.
        path: the file written.
        labels: what was predicted of the usable points; None where the file was there already.
        warnings: what looked wrong with the input.
        num_dropped: points of the file that were not used (NaN, infinite, on the own vehicle).
        num_own: those of them on the vehicle that carries the sensor.
        elapsed_ms: time of each stage.
        error: why this scan could not be predicted, or None.
    """

    scan_path: Path
    path: Path
    labels: PanopticLabels | None = None
    warnings: tuple[str, ...] = ()
    num_dropped: int = 0
    num_own: int = 0
    elapsed_ms: dict[str, float] | None = None
    error: str | None = None


def sensor_height(scan: Scan, expected_m: float) -> float:
    """Height of the sensor above the road, metres; `expected_m` where they nearly agree.

    From a plane fitted to the ground ahead of and behind the sensor: what lies beside a road may be
    far below it.
    """
    ahead = scan.points[np.abs(scan.points[:, 1]) < ROAD_HALF_WIDTH_M]
    plane = fit_ground(ahead, reach_m=12.0) or fit_ground(scan.points)
    if plane is None or abs(-plane[2] - expected_m) < HEIGHT_TOLERANCE_M:
        return expected_m
    return -plane[2]


def predict_files(
    pipeline: PanopticPipeline,
    scan_paths: Sequence[Path],
    out: Path,
    file_format: str,
    *,
    sensor_height_m: float | None = None,
    overwrite: bool = False,
    is_overlapped: bool | None = None,
) -> Iterator[Prediction]:
    """Predict each scan and write its labels; scans whose prediction is whole are passed over.

    Overlapped, one thread reads and voxelizes the next scan and another groups and writes the one
    before while the network runs; the labels are the same bits.

    Args:
        pipeline: the loaded weights.
        scan_paths: files that `datasets.files.load_scan` reads.
        out: folder for the predictions.
        file_format: semantickitti, nuscenes, npz or ply.
        sensor_height_m: of the scans' sensor; None measures it in each scan.
        overwrite: predict again what is there already.
        is_overlapped: None overlaps where the network has a device of its own. It takes numba's
            OpenMP or TBB threads, which several callers may use at once.

    Yields:
        One Prediction per scan, in order; a scan that cannot be read has its `error` set.
    """
    paths = prediction_paths(out, scan_paths, file_format)
    ego = _OwnVehicles(pipeline.ego_box, scan_paths)
    job = _Job(pipeline, file_format, sensor_height_m, overwrite, ego)
    if is_overlapped is None:
        is_overlapped = pipeline.device.type != "cpu"
    pairs = zip(scan_paths, paths, strict=True)
    if is_overlapped:
        yield from overlap(pairs, job.read, job.run_network, job.write)
    else:
        for pair in pairs:
            yield job.write(job.run_network(job.read(pair)))


class _OwnVehicles:
    """The box of the own vehicle in the scans of each folder, looked for once over the folder."""

    def __init__(self, choice: EgoChoice, scan_paths: Sequence[Path]) -> None:
        self.choice = choice
        self.scans_of: dict[Path, list[Path]] = {}
        for path in scan_paths:
            self.scans_of.setdefault(path.parent, []).append(path)
        self.found: dict[Path, EgoBox | None] = {}

    def box_of(self, path: Path, height_m: float) -> EgoChoice:
        """The box for a scan; "auto", in the scan alone, where its folder has no others."""
        if self.choice != "auto":
            return self.choice
        scans = self.scans_of[path.parent]
        if len(scans) < 2:
            return "auto"
        if path.parent not in self.found:
            some = np.linspace(0, len(scans) - 1, min(AUTO_SCANS, len(scans))).round().astype(int)
            points = []
            for i in some:
                with suppress(InputError):  # it is said when it is that scan's turn
                    points.append(load_scan(scans[i]).scan.points)
            self.found[path.parent] = find_ego_box(points, height_m)
        return self.found[path.parent]


@dataclass
class _Work:
    """A scan on its way."""

    scan_path: Path
    path: Path
    loaded: LoadedScan
    num_own: int
    height_m: float
    prepared: PreparedScan
    clock: StageClock
    outputs: VoxelOutputs | None = None


@dataclass(frozen=True)
class _Job:
    """The three steps of a scan: before, in and after the network; what is decided passes by."""

    pipeline: PanopticPipeline
    file_format: str
    sensor_height_m: float | None
    overwrite: bool
    ego: _OwnVehicles

    def read(self, pair: tuple[Path, Path]) -> _Work | Prediction:
        scan_path, path = pair
        if not self.overwrite and is_complete(path, scan_path, self.file_format):
            return Prediction(scan_path, path)
        clock, expected = StageClock(), self.pipeline.sensor_height_m or EXPECTED_HEIGHT_M
        try:
            with clock("read"):
                loaded = load_scan(scan_path, expected)
                height = self.sensor_height_m or sensor_height(loaded.scan, expected)
                shown = hide_ego(loaded, self.ego.box_of(scan_path, height), height)
                num_own = int(loaded.valid.sum() - shown.valid.sum())
            prepared = self.pipeline.prepare(shown.scan, sensor_height_m=height, clock=clock)
        except InputError as error:
            return Prediction(scan_path, path, error=str(error))
        return _Work(scan_path, path, shown, num_own, height, prepared, clock)

    def run_network(self, work: _Work | Prediction) -> _Work | Prediction:
        if isinstance(work, Prediction):
            return work
        try:
            work.outputs = self.pipeline.run_network(work.prepared, work.clock)
        except InputError as error:
            return Prediction(work.scan_path, work.path, error=str(error))
        return work

    def write(self, work: _Work | Prediction) -> Prediction:
        if isinstance(work, Prediction):
            return work
        try:
            labels = self.pipeline.finish(work.prepared, work.outputs, work.clock)
            with work.clock("write"):
                write_prediction(
                    work.path, labels, work.loaded, self.pipeline.classes, self.file_format
                )
        except InputError as error:
            return Prediction(work.scan_path, work.path, error=str(error))
        warnings = list(work.loaded.warnings)
        expected = self.pipeline.sensor_height_m or EXPECTED_HEIGHT_M
        if self.sensor_height_m is None and work.height_m != expected:
            warnings.append(
                f"predicted as if the sensor were {expected:.2f} m above the ground, "
                f"not {work.height_m:.2f} m (--sensor-height overrides)"
            )
        return Prediction(
            work.scan_path,
            work.path,
            labels,
            tuple(warnings),
            int((~work.loaded.valid).sum()),
            work.num_own,
            work.clock.elapsed_ms,
        )
