"""Scan files and recordings -> predictions; interrupted work is taken up where it ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.clock import StageClock
from lidarpan.datasets.annotated import MCAP, AnnotatedMcap
from lidarpan.datasets.predictions import (
    is_complete,
    prediction_path,
    prediction_paths,
    refuse_inputs_as_outputs,
    write_prediction,
)
from lidarpan.model.outputs import PreparedScan, VoxelOutputs
from lidarpan.overlap import overlap
from lidarpan.pipeline import PanopticPipeline
from lidarpan.scans.ego import AUTO_SCANS, EgoChoice, find_ego_box, hide_ego
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.inspection import EXPECTED_HEIGHT_M, fit_ground
from lidarpan.scans.output_names import output_folders, write_times_and_poses
from lidarpan.scans.source import FileSource, Frame, ScanSource
from lidarpan.structures import InputError, PanopticLabels, Scan

ROAD_HALF_WIDTH_M = 4.0
HEIGHT_TOLERANCE_M = 0.3
"""Scans whose ground lies further from where the weights expect it are shifted."""


@dataclass(frozen=True)
class Prediction:
    """What became of one scan file, or of one frame of a recording.

    Attributes:
        scan_path: the input.
        path: the file written.
        labels: what was predicted of the usable points; None where the file was there already.
        warnings: what looked wrong with the input.
        num_dropped: points of the file that were not used (NaN, infinite, on the own vehicle).
        num_own: those of them on the vehicle that carries the sensor.
        elapsed_ms: time of each stage.
        outside: share of the usable points beyond the network's range, which are void.
        error: why this scan could not be predicted, or None.
        stamp_ns: when the scan was taken, nanoseconds, or None.
        world_T_sensor: (4, 4) pose of the sensor, or None.
    """

    scan_path: Path
    path: Path
    labels: PanopticLabels | None = None
    warnings: tuple[str, ...] = ()
    num_dropped: int = 0
    num_own: int = 0
    elapsed_ms: dict[str, float] | None = None
    outside: float = 0.0
    error: str | None = None
    stamp_ns: int | None = None
    world_T_sensor: NDArray[np.float64] | None = None


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
    columns: str | None = None,
) -> Iterator[Prediction]:
    """Predict each scan and write its labels; scans whose prediction is whole are passed over.

    Overlapped, one thread reads and voxelizes the next scan and another groups and writes the one
    before while the network runs; the labels are the same bits.

    Args:
        pipeline: the loaded weights.
        scan_paths: files that `scans.files.load_scan` reads.
        out: folder for the predictions.
        file_format: npz, ply or a dataset; that of the classes themselves goes by their name.
        sensor_height_m: of the scans' sensor; None measures it in each scan.
        overwrite: predict again what is there already.
        is_overlapped: None overlaps where the network has a device of its own. It takes numba's
            OpenMP or TBB threads, which several callers may use at once.
        columns: of headerless files, as in `check_letters`; None finds them out.

    Yields:
        One Prediction per scan, in order; a scan that cannot be read has its `error` set.
    """
    paths = prediction_paths(out, scan_paths, file_format, pipeline.classes)
    refuse_inputs_as_outputs(paths, scan_paths)
    source = FileSource(out, scan_paths, columns)
    ego = _OwnVehicles(pipeline.ego_box, source)
    job = _Job(pipeline, file_format, sensor_height_m, overwrite, ego)
    pairs = zip(source.frames(), paths, strict=True)
    yield from _run(job, pairs, is_overlapped)


def predict_sources(
    pipeline: PanopticPipeline,
    sources: Sequence[ScanSource],
    out: Path,
    file_format: str,
    *,
    sensor_height_m: float | None = None,
    overwrite: bool = False,
    is_overlapped: bool | None = None,
) -> Iterator[Prediction]:
    """Predict scan files as `predict_files` does, and the frames of recordings as they are read.

    Nothing is unpacked to disk. Labels of a recording are named by the frame's number, 000000 on,
    in `out`, or in a folder of the recording's name below it where there is more than one source.
    Behind the last frame `times.txt` is written, the stamp of each frame in seconds, and where
    every frame has a pose `poses.txt`, in which line k is world_T_sensor of frame k (12 numbers).

    Args:
        pipeline: the loaded weights.
        sources: from `scans.sources.open_sources`.
        out: folder for the predictions.
        file_format: as in `predict_files`; or mcap, for each source one `NAME.mcap`
            with the points, their classes and instances, and boxes.
        sensor_height_m: as in `predict_files`.
        overwrite: as in `predict_files`; an MCAP file is always written anew.
        is_overlapped: as in `predict_files`.

    Yields:
        One Prediction per frame. Where a recording breaks off, its last one has its `error` set.
    """
    for source, folder in zip(sources, output_folders(out, sources), strict=True):
        ego = _OwnVehicles(pipeline.ego_box, source)
        job = _Job(pipeline, file_format, sensor_height_m, overwrite, ego)
        if isinstance(source, FileSource) and file_format != MCAP:
            paths = prediction_paths(folder, source.files, file_format, pipeline.classes)
            refuse_inputs_as_outputs(paths, source.files)
            yield from _run(job, zip(source.frames(), paths, strict=True), is_overlapped)
        else:
            yield from _predict_recording(job, source, folder, is_overlapped)


def _predict_recording(
    job: _Job, source: ScanSource, out: Path, is_overlapped: bool | None
) -> Iterator[Prediction]:
    results: list[Prediction] = []
    with ExitStack() as stack:
        if job.file_format == MCAP:
            file = AnnotatedMcap(out / f"{source.path.stem}.mcap", job.pipeline.classes)
            job = replace(job, annotated=stack.enter_context(file))
        for result in _run(job, _frames_of(source, out, job), is_overlapped):
            results.append(replace(result, labels=None))  # not all labels at once
            yield result
    if job.file_format == MCAP:
        return
    frames = [r for r in results if r.scan_path != source.path]
    stamps = [frame.stamp_ns for frame in frames]
    write_times_and_poses(out, stamps, [frame.world_T_sensor for frame in frames])


def _frames_of(
    source: ScanSource, out: Path, job: _Job
) -> Iterator[tuple[Frame, Path] | Prediction]:
    """Each frame and where its labels go; where the source breaks off, why."""
    try:
        for frame in source.frames():
            yield frame, _recording_path(out, frame, source, job)
    except InputError as error:
        yield Prediction(source.path, out, error=str(error))


def _recording_path(out: Path, frame: Frame, source: ScanSource, job: _Job) -> Path:
    if job.file_format == MCAP:
        return out / f"{source.path.stem}.mcap"
    return prediction_path(out, frame.path, job.file_format, job.pipeline.classes)


def _run(
    job: _Job, items: Iterable[tuple[Frame, Path] | Prediction], is_overlapped: bool | None
) -> Iterator[Prediction]:
    if is_overlapped is None:
        is_overlapped = job.pipeline.device.type != "cpu"
    if is_overlapped:
        yield from overlap(items, job.read, job.run_network, job.write)
    else:
        for item in items:
            yield job.write(job.run_network(job.read(item)))


class _OwnVehicles:
    """The box of the own vehicle in each folder or recording, looked for once over its scans."""

    def __init__(self, choice: EgoChoice, source: ScanSource) -> None:
        self.choice = choice
        self.source = source
        self.found: dict[Path, EgoChoice] = {}

    def box_of(self, path: Path, height_m: float) -> EgoChoice:
        """The box for a scan; "auto", in the scan alone, where there are no others beside it."""
        if self.choice != "auto":
            return self.choice
        if path.parent not in self.found:
            points = [scan.points for scan in self._some(path.parent)]
            self.found[path.parent] = find_ego_box(points, height_m) if points else "auto"
        return self.found[path.parent]

    def _some(self, folder: Path) -> list[Scan]:
        """Scans spread evenly over a folder or recording; none where it has one, or cannot say."""
        source = self.source
        if isinstance(source, FileSource):
            chosen = [file for file in source.files if file.parent == folder]
            source = FileSource(folder, chosen, source.columns)
        total = source.num_frames or 0
        if total < 2:
            return []
        wanted = set(np.linspace(0, total - 1, min(AUTO_SCANS, total)).round().astype(int))
        scans = []
        with suppress(InputError):  # it is said when it is that scan's turn
            for number, frame in enumerate(source.frames()):
                if number in wanted:
                    with suppress(InputError):
                        scans.append(frame.load().scan)
        return scans


@dataclass
class _Work:
    """A scan on its way."""

    frame: Frame
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
    annotated: AnnotatedMcap | None = None

    def read(self, item: tuple[Frame, Path] | Prediction) -> _Work | Prediction:
        if isinstance(item, Prediction):
            return item
        frame, path = item
        is_kept = self.annotated is None and not self.overwrite
        if is_kept and is_complete(path, frame.path, self.file_format, self.pipeline.classes):
            return _prediction(frame, path)
        clock, expected = StageClock(), self.pipeline.sensor_height_m or EXPECTED_HEIGHT_M
        try:
            with clock("read"):
                loaded = frame.load(expected)
                height = self.sensor_height_m or sensor_height(loaded.scan, expected)
                shown = hide_ego(loaded, self.ego.box_of(frame.path, height), height)
                num_own = int(loaded.valid.sum() - shown.valid.sum())
            prepared = self.pipeline.prepare(shown.scan, sensor_height_m=height, clock=clock)
        except InputError as error:
            return replace(_prediction(frame, path), error=str(error))
        return _Work(frame, path, shown, num_own, height, prepared, clock)

    def run_network(self, work: _Work | Prediction) -> _Work | Prediction:
        if isinstance(work, Prediction):
            return work
        try:
            work.outputs = self.pipeline.run_network(work.prepared, work.clock)
        except InputError as error:
            return replace(_prediction(work.frame, work.path), error=str(error))
        return work

    def write(self, work: _Work | Prediction) -> Prediction:
        if isinstance(work, Prediction):
            return work
        try:
            labels = self.pipeline.finish(work.prepared, work.outputs, work.clock)
            with work.clock("write"):
                self._put(work, labels)
        except InputError as error:
            return replace(_prediction(work.frame, work.path), error=str(error))
        warnings = list(work.loaded.warnings)
        expected = self.pipeline.sensor_height_m or EXPECTED_HEIGHT_M
        if self.sensor_height_m is None and work.height_m != expected:
            warnings.append(
                f"predicted as if the sensor were {expected:.2f} m above the ground, "
                f"not {work.height_m:.2f} m (--sensor-height overrides)"
            )
        return replace(
            _prediction(work.frame, work.path),
            labels=labels,
            warnings=tuple(warnings),
            num_dropped=int((~work.loaded.valid).sum()),
            num_own=work.num_own,
            elapsed_ms=work.clock.elapsed_ms,
            outside=_outside(work.prepared),
        )

    def _put(self, work: _Work, labels: PanopticLabels) -> None:
        if self.annotated is not None:
            self.annotated.add(work.frame, work.loaded.scan, labels)
            return
        write_prediction(work.path, labels, work.loaded, self.pipeline.classes, self.file_format)


def _prediction(frame: Frame, path: Path) -> Prediction:
    """What is known of a frame before it is predicted."""
    pose = frame.world_T_sensor
    return Prediction(frame.path, path, stamp_ns=frame.stamp_ns, world_T_sensor=pose)


def _outside(prepared: object) -> float:
    """Share of the points that are in no voxel, where the network says so."""
    if not isinstance(prepared, PreparedScan) or not len(prepared.points):
        return 0.0
    return float(np.mean(prepared.voxels.point_to_voxel < 0))
