"""One scan -> its prediction, in three steps that may overlap with those of other scans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.clock import StageClock
from lidarpan.datasets.annotated import AnnotatedMcap
from lidarpan.datasets.label_files import read_prediction
from lidarpan.datasets.predictions import is_complete, write_prediction
from lidarpan.datasets.score_files import write_scores
from lidarpan.grouping.fusion import keep_classes
from lidarpan.grouping.objects import PanopticObject
from lidarpan.model.device_network import DeviceScan
from lidarpan.model.outputs import PreparedScan, VoxelOutputs
from lidarpan.pipeline import PanopticPipeline
from lidarpan.scans.axes import Turn, levelled, turned
from lidarpan.scans.ego import AUTO_SCANS, EgoChoice, find_ego_box, hide_ego
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.files import empty_frame
from lidarpan.scans.inspection import (
    EXPECTED_HEIGHT_M,
    TURNED,
    Remark,
    height_in_words,
    sensor_height,
)
from lidarpan.scans.reader import sampled
from lidarpan.scans.source import FileSource, Frame, ScanSource
from lidarpan.structures import InputError, PanopticLabels, Scan

_HIGH_M = 4.0
"""No vehicle carries a sensor so high."""


@dataclass(frozen=True)
class LabelCounts:
    """How much of each class there is in a scan.

    Attributes:
        points: (C,) int64.
        objects: (C,) int64.
    """

    points: NDArray[np.int64]
    objects: NDArray[np.int64]

    @staticmethod
    def of(labels: PanopticLabels, num_classes: int) -> LabelCounts:
        """Count them."""
        ids, first = np.unique(labels.instance, return_index=True)
        things = labels.semantic[first[ids > 0]]
        return LabelCounts(
            np.bincount(labels.semantic, minlength=num_classes),
            np.bincount(things, minlength=num_classes),
        )


@dataclass(frozen=True)
class Prediction:
    """What became of one scan file, or of one frame of a recording.

    Attributes:
        scan_path: the input.
        path: the file written.
        labels: what was predicted of the usable points; None where the file was there already.
        counts: of the labels.
        warnings: what looked wrong with the input.
        num_dropped: points of the file that were not used (NaN, infinite, on the own vehicle).
        num_own: those of them on the vehicle that carries the sensor.
        elapsed_ms: time of each stage.
        outside: share of the usable points beyond the network's range, which are void.
        error: why this scan could not be predicted, or None.
        objects: those of the labels, where they were asked for; of labels that were there already
            too.
        turn: how the scan was turned for the network, or None; the labels are in the file's order.
        stamp_ns: when the scan was taken, nanoseconds, or None.
        world_T_sensor: (4, 4) pose of the sensor, or None.
    """

    scan_path: Path
    path: Path
    labels: PanopticLabels | None = None
    counts: LabelCounts | None = None
    warnings: tuple[str, ...] = ()
    num_dropped: int = 0
    num_own: int = 0
    elapsed_ms: dict[str, float] | None = None
    outside: float = 0.0
    error: str | None = None
    objects: tuple[PanopticObject, ...] | None = None
    turn: Turn | None = None
    stamp_ns: int | None = None
    world_T_sensor: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Handling:
    """How scans are taken, and what of their labels is kept.

    Attributes:
        turn: of every scan's axes into x forward, y left, z up; None where they are so.
        is_levelled: whether scans whose ground does not lie flat below the sensor are turned by it.
        only: train ids of the classes to keep, the rest becomes void; empty keeps all.
        has_objects: whether the objects of each scan are listed.
    """

    turn: Turn | None = None
    is_levelled: bool = False
    only: tuple[int, ...] = ()
    has_objects: bool = False

    def turned(self, loaded: LoadedScan, expected_m: float) -> tuple[LoadedScan, Turn | None]:
        """The scan with x forward, y left, z up, and how it was turned."""
        if self.turn is not None:
            return turned(loaded, self.turn, expected_m), self.turn
        return levelled(loaded, expected_m) if self.is_levelled else (loaded, None)


@dataclass(frozen=True)
class Asked:
    """What is wanted of scans.

    Attributes:
        out: folder for the predictions.
        file_format: npz, ply or a dataset, that of the classes themselves by their name; or mcap,
            for each source one `NAME.mcap` with the points, their classes and instances, and boxes.
        sensor_height_m: of the scans' sensor; None measures it in each scan.
        overwrite: predict again what is there already; an MCAP file is always written anew.
        is_overlapped: whether the steps of neighbouring scans run side by side; None does so but on
            one core alone. It takes numba's OpenMP or TBB threads, which several callers may use at
            once.
        handling: of the scans and their labels.
        may_be_empty: whether an empty file is a lost frame among others, or a fault.
        keeps_scores: whether the scores of objects are written beside labels that cannot hold them.
        begun_s: when this run began, seconds since 1970: what is younger it wrote itself, in a
            process that died, and makes again.
    """

    out: Path
    file_format: str
    sensor_height_m: float | None = None
    overwrite: bool = False
    is_overlapped: bool | None = None
    handling: Handling = Handling()
    may_be_empty: bool = True
    keeps_scores: bool = False
    begun_s: float | None = None


class OwnVehicles:
    """The box of the own vehicle in each folder or recording, looked for once over its scans."""

    def __init__(self, choice: EgoChoice, source: ScanSource, handling: Handling) -> None:
        self.choice = choice
        self.source = source
        self.handling = handling
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
            source = replace(source, path=folder, files=chosen)
        total = source.num_frames or 0
        if total < 2:
            return []
        wanted = _spread(total)
        scans = []
        with suppress(InputError):  # it is said when it is that scan's turn
            for number, frame in enumerate(source.frames()):
                if number in wanted:
                    with suppress(InputError):
                        seen, _ = self.handling.turned(frame.load(), EXPECTED_HEIGHT_M)
                        scans.append(seen.scan)
        return scans


def _spread(total: int) -> set[int]:
    """Numbers of the scans, of so many, in which the own vehicle is looked for."""
    return set(np.linspace(0, total - 1, min(AUTO_SCANS, total)).round().astype(int).tolist())


def looked_at(scans: Sequence[Path]) -> set[Path]:
    """The scans of one folder that decide what holds for all: intensities, the own vehicle."""
    by_suffix: dict[str, list[Path]] = {}
    for scan in scans:
        by_suffix.setdefault(scan.suffix.lower(), []).append(scan)
    some = {scan for group in by_suffix.values() for scan in sampled(group)}
    return some | {scans[k] for k in _spread(len(scans))}


@dataclass
class _Work:
    """A scan on its way."""

    frame: Frame
    path: Path
    loaded: LoadedScan
    seen: LoadedScan
    turn: Turn | None
    height_m: float
    prepared: PreparedScan
    clock: StageClock
    outputs: VoxelOutputs | None = None

    @property
    def in_file_axes(self) -> LoadedScan:
        """What was seen, with the coordinates of the file."""
        kept = self.seen.valid[self.loaded.valid]
        scan = replace(self.seen.scan, points=self.loaded.scan.points[kept])
        return replace(self.seen, scan=scan)


@dataclass(frozen=True)
class Job:
    """The three steps of a scan: before, in and after the network; what is decided passes by."""

    pipeline: PanopticPipeline
    asked: Asked
    ego: OwnVehicles
    annotated: AnnotatedMcap | None = None

    @property
    def expected_m(self) -> float:
        """Height of the sensor over the ground that the network was trained for."""
        return self.pipeline.sensor_height_m or EXPECTED_HEIGHT_M

    def read(self, item: tuple[Frame, Path] | Prediction) -> _Work | Prediction:
        """Decode the scan, turn it, hide the own vehicle, voxelize it."""
        if isinstance(item, Prediction):
            return item
        frame, path = item
        asked, clock, expected = self.asked, StageClock(), self.expected_m
        is_kept = self.annotated is None and not asked.overwrite and not self._is_own(path)
        if is_kept and is_complete(path, frame, asked.file_format, self.pipeline.classes):
            return self._there_already(frame, path)
        try:
            is_alone = asked.may_be_empty and len(frame.inputs) < 2
            empty = empty_frame(frame.path) if is_alone else None
            if empty is not None and self.annotated is None:
                return self._write_empty(frame, path, empty)
            with clock("read"):
                loaded = frame.load(expected)
                seen, turn = asked.handling.turned(loaded, expected)
                height = asked.sensor_height_m or sensor_height(seen.scan, expected)
                seen = hide_ego(seen, self.ego.box_of(frame.path, height), height)
            prepared = self.pipeline.prepare(seen.scan, sensor_height_m=height, clock=clock)
        except InputError as error:
            return replace(_prediction(frame, path), error=str(error))
        return _Work(frame, path, loaded, seen, turn, height, prepared, clock)

    def _is_own(self, path: Path) -> bool:
        """Whether this run wrote a file: its process died, and its work is done again."""
        if self.asked.begun_s is None:
            return False
        try:
            return path.stat().st_mtime >= self.asked.begun_s
        except OSError:
            return False

    def _write_empty(self, frame: Frame, path: Path, empty: LoadedScan) -> Prediction:
        """Labels of no points, so that what follows finds a file for every frame."""
        labels = PanopticLabels.all_void(0, self.pipeline.classes)
        write_prediction(path, labels, empty, self.pipeline.classes, self.asked.file_format)
        known = _prediction(frame, path)
        counts = LabelCounts.of(labels, self.pipeline.classes.num_classes)
        known = replace(known, labels=labels, counts=counts)
        return replace(known, warnings=empty.warnings, elapsed_ms={"read": 0.0})

    def run_network(self, work: _Work | Prediction) -> _Work | Prediction:
        """Run the network on it."""
        if isinstance(work, Prediction):
            return work
        try:
            work.outputs = self.pipeline.run_network(work.prepared, work.clock)
        except InputError as error:
            return replace(_prediction(work.frame, work.path), error=str(error))
        return work

    def write(self, work: _Work | Prediction) -> Prediction:
        """Group its points and write the labels."""
        if isinstance(work, Prediction):
            return work
        try:
            labels = self.pipeline.finish(work.prepared, work.outputs, work.clock)
            if self.asked.handling.only:
                labels = keep_classes(labels, self.asked.handling.only)
            with work.clock("write"):
                self._put(work, labels)
        except InputError as error:
            return replace(_prediction(work.frame, work.path), error=str(error))
        is_listed = self.asked.handling.has_objects
        return replace(
            _prediction(work.frame, work.path),
            labels=labels,
            counts=LabelCounts.of(labels, self.pipeline.classes.num_classes),
            objects=tuple(labels.objects(work.seen.scan)) if is_listed else None,
            turn=work.turn,
            warnings=tuple(self._warnings(work)),
            num_dropped=int((~work.seen.valid).sum()),
            num_own=int(work.loaded.valid.sum() - work.seen.valid.sum()),
            elapsed_ms=work.clock.elapsed_ms,
            outside=_outside(work.prepared),
        )

    def _warnings(self, work: _Work) -> list[str]:
        """What is said of a scan: nothing of what was mended or does not matter to the network."""
        expected, asked = self.expected_m, self.asked
        remedy = ": turn it with --up and --forward"
        if not asked.handling.is_levelled:
            remedy += ", or by its own ground with --level auto"
        said = [
            f"{warning}{remedy}" if _kinds([warning]) & TURNED else str(warning)
            for warning in work.seen.warnings
            if not _kinds([warning]) & {"height", "above", "forward"}
        ]
        unlike = self.pipeline.network.remark(work.prepared)
        if unlike is not None:
            said.append(unlike)
        if asked.sensor_height_m is None and work.height_m != expected:
            is_high = work.height_m > _HIGH_M
            feet = "; if these are feet, multiply x y z by 0.3048" if is_high else ""
            said.append(
                f"the ground lies {height_in_words(work.height_m)}: predicted as if it were "
                f"{expected:.2f} m below (--sensor-height overrides){feet}"
            )
        return said

    def _there_already(self, frame: Frame, path: Path) -> Prediction:
        """A prediction of an earlier run, with its objects where they are wanted."""
        known, handling = _prediction(frame, path), self.asked.handling
        if not handling.has_objects:
            return known
        try:
            loaded = frame.load(self.expected_m)
            labels = read_prediction(path, self.pipeline.classes)
            seen, turn = handling.turned(loaded, self.expected_m)
            own = labels.take(loaded.valid)
            objects = own.objects(seen.scan, self.pipeline.classes)
        except InputError as error:
            return replace(known, error=str(error))
        return replace(known, objects=tuple(objects), turn=turn)

    def _put(self, work: _Work, labels: PanopticLabels) -> None:
        if self.annotated is not None:
            self.annotated.add(work.frame, work.in_file_axes.scan, labels)
            return
        loaded, file_format = work.in_file_axes, self.asked.file_format
        if self.asked.keeps_scores and file_format != "npz" and labels.score is not None:
            write_scores(work.path, labels.spread_over(loaded.valid))
        write_prediction(work.path, labels, loaded, self.pipeline.classes, file_format)


def _kinds(warnings: Iterable[str]) -> set[str]:
    return {said.kind for said in warnings if isinstance(said, Remark)}


def _prediction(frame: Frame, path: Path) -> Prediction:
    """What is known of a frame before it is predicted."""
    pose = frame.world_T_sensor
    return Prediction(frame.path, path, stamp_ns=frame.stamp_ns, world_T_sensor=pose)


def _outside(prepared: object) -> float:
    """Share of the points that are in no voxel, where the network says so."""
    if not isinstance(prepared, PreparedScan | DeviceScan) or not len(prepared.points):
        return 0.0
    return float(np.mean(prepared.voxels.point_to_voxel < 0))
