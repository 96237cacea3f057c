"""Scan files with labels -> the same labels with ids that last, and the tracks of all objects."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.datasets.lasting_labels import LastingLabels, lasting_path, read_for_tracking
from lidarpan.datasets.nuscenes_frame import NATIVE_T_SCAN
from lidarpan.datasets.nuscenes_tables import find_key_frames
from lidarpan.datasets.poses import find_poses, has_poses
from lidarpan.datasets.predictions import find_prediction
from lidarpan.datasets.times import USUAL_STEP_S, find_times
from lidarpan.datasets.track_lists import TrackRow, write_tracks
from lidarpan.grouping import group_points
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.files import empty_frame
from lidarpan.scans.source import FileSource, ScanSource
from lidarpan.structures import FloatArray, IntArray, PanopticLabels
from lidarpan.tracking.evidence import confidence_of
from lidarpan.tracking.history import History
from lidarpan.tracking.odometry import estimate_poses
from lidarpan.tracking.tracker import Mending, TrackedObjects, TrackedScan, Tracker
from lidarpan.tracking.voting import StuffVotes
from lidarpan.whole_file import refuse_inputs_as_outputs


@dataclass(frozen=True)
class Drive:
    """The scans of one drive, with what is known of them.

    Attributes:
        name: of the drive.
        source: gives the scans in order of time.
        scans: T paths that name them.
        labels: the label file of each.
        outputs: where its lasting labels go.
        times_s: (T,) s.
        poses: (T, 4, 4) world_T_sensor of the frame x forward, y left, or None.
    """

    name: str
    source: ScanSource
    scans: Sequence[Path]
    labels: Sequence[Path]
    outputs: Sequence[Path]
    times_s: NDArray[np.float64]
    poses: NDArray[np.float64] | None

    def load(self) -> Iterator[LoadedScan]:
        """The scans; one without points where its file is empty."""
        for frame in self.source.frames():
            yield empty_frame(frame.path) or frame.load()


@dataclass
class Summary:
    """What was tracked so far.

    Attributes:
        rows: every object of every scan.
        poses: world_T_sensor of each (drive, frame).
    """

    rows: list[TrackRow] = field(default_factory=list)
    poses: dict[tuple[str, int], NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True)
class Tracking:
    """How drives are tracked.

    Attributes:
        classes: of the labels.
        is_online: answer each scan from the scans before it alone.
        has_odometry: estimate poses where there are none.
        mending: what is corrected on the way.
        names_moving: write the class table's labels for things that move, where there are such.
    """

    classes: ClassTable
    is_online: bool = False
    has_odometry: bool = False
    mending: Mending | None = None
    names_moving: bool = True


def plan_drives(
    sources: Sequence[ScanSource],
    labels: Path,
    out: Path,
    poses: Path | None = None,
    times: Path | None = None,
) -> tuple[list[Drive], list[str]]:
    """Find what belongs to the scans: each folder, scene of nuScenes and recording is a drive.

    Args:
        sources: from `open_sources`; files are in order of time within a folder.
        labels: folder of label files, named as the scans (see `find_prediction`).
        out: folder for the lasting labels.
        poses: file of poses, see `find_poses`; None looks for one beside each drive, else takes
            those of the recording or of nuScenes' tables.
        times: file of times, see `find_times`; None looks for one beside each drive.

    Returns:
        The drives, and a sentence for each thing that nobody says.

    Raises:
        InputError: a scan has no labels, times or poses do not fit, or an output would replace an
            input.
    """
    drives, notes = [], []
    for source in _drives_of(sources):
        frames = list(source.frames())
        scans = [frame.path for frame in frames]
        folder = scans[0].absolute().parent
        files = [find_prediction(labels, scan) for scan in scans]
        outputs = [lasting_path(labels, file, out) for file in files]
        refuse_inputs_as_outputs(outputs, [*scans, *files])
        stamps = [frame.stamp_ns for frame in frames]
        taken = find_times(scans, times)
        if taken is None and None not in stamps:
            taken = np.array(stamps, np.float64) * 1e-9
        if taken is None:
            taken = USUAL_STEP_S * np.arange(len(scans))
            notes.append(
                f"{folder}: no times: taken {USUAL_STEP_S:g} s apart (name them with --times)"
            )
        own = [frame.world_T_sensor for frame in frames]
        keys = find_key_frames(scans)
        placed = None
        if poses is not None or has_poses(scans):
            placed = _in_scan_axes(find_poses(scans, poses), scans)
        elif all(pose is not None for pose in own):
            placed = np.array(own, np.float64)
        elif keys is not None:
            placed = np.array([frame.world_T_sensor for frame in keys])
        else:
            notes.append(
                f"{folder}: no poses: the world is taken to move with the sensor, so nothing is "
                "known to stand still, and speeds are against the sensor (name poses with --poses)"
            )
        name = folder.parent.name if folder.name in ("velodyne", "LIDAR_TOP") else folder.name
        name = name if keys is None else keys[0].scene
        drives.append(Drive(name, source, scans, files, outputs, taken, placed))
    return drives, notes


def _drives_of(sources: Sequence[ScanSource]) -> list[ScanSource]:
    """Each recording, and each folder of files by itself."""
    drives: list[ScanSource] = []
    for source in sources:
        if not isinstance(source, FileSource):
            drives.append(source)
            continue
        folders: dict[Path, list[Path]] = {}
        for path in source.files:
            folders.setdefault(path.absolute().parent, []).append(path)
        for at, files in folders.items():
            drives += [replace(source, path=at, files=part) for part in _scenes_of(files)]
    return drives


def _scenes_of(files: Sequence[Path]) -> list[list[Path]]:
    """The files of each scene, where a nuScenes tree tells scenes apart; else all of them."""
    frames = find_key_frames(files)
    if frames is None:
        return [list(files)]
    scenes: dict[str, list[Path]] = {}
    for path, frame in zip(files, frames, strict=True):
        scenes.setdefault(frame.scene, []).append(path)
    return list(scenes.values())


def _in_scan_axes(poses: NDArray[np.float64], scans: Sequence[Path]) -> NDArray[np.float64]:
    """Poses of the files' own frames as those of the scans, which are turned on reading."""
    if all(scan.name.lower().endswith(".pcd.bin") for scan in scans):
        turned: NDArray[np.float64] = poses @ NATIVE_T_SCAN
        return turned
    return poses


def track_files(
    drives: Sequence[Drive], out: Path, tracking: Tracking, summary: Summary
) -> Iterator[Path]:
    """Write labels with lasting ids for every scan, then tracks.csv and tracks.json.

    Unless online, drives and labels are read twice: ids and classes of a scan follow from the whole
    drive, those after it too. The same input gives the same bytes, so that interrupted work is
    taken up by running it again; a file is whole or absent.

    Args:
        drives: from `plan_drives`.
        out: folder for the lists of tracks.
        tracking: how.
        summary: receives the objects.

    Yields:
        A scan's path once it is read, and again once its labels are written; online only then.

    Raises:
        InputError: a file is damaged or does not fit its scan, or kiss-icp is not installed.
    """
    for drive in drives:
        yield from track_drive(drive, tracking, summary)
    write_tracks(out, summary.rows, tracking.classes)


def track_drive(drive: Drive, tracking: Tracking, summary: Summary) -> Iterator[Path]:
    """Track one drive; all as in `track_files`, which also writes the lists."""
    if tracking.has_odometry and drive.poses is None:
        drive = replace(drive, poses=estimate_poses(loaded.scan for loaded in drive.load()))
    tracker = Tracker(tracking.classes, mending=tracking.mending)
    writer = LastingLabels(tracking.classes, tracking.names_moving)
    walk = _online if tracking.is_online else _looking_back
    yield from walk(drive, tracker, writer, summary)


def _online(
    drive: Drive, tracker: Tracker, writer: LastingLabels, summary: Summary
) -> Iterator[Path]:
    for i, loaded in enumerate(drive.load()):
        labels = _read_labels(drive, tracker, i, loaded)
        tracked = _track(drive, tracker, i, loaded, labels)
        _write(drive, i, writer, loaded, tracked.labels, tracked.objects)
        _add_rows(drive, i, tracked.objects, summary)
        yield drive.scans[i]


def _looking_back(
    drive: Drive, tracker: Tracker, writer: LastingLabels, summary: Summary
) -> Iterator[Path]:
    history = History(tracker.facts, tracker.mending.places)
    kept: list[bytes] = []
    votes = StuffVotes(~tracker.classes.is_thing & (np.arange(tracker.classes.num_classes) > 0))
    poses = drive.poses if tracker.mending.stuff else None
    for i, loaded in enumerate(drive.load()):
        labels = _read_labels(drive, tracker, i, loaded)
        tracked = _track(drive, tracker, i, loaded, labels)
        history.add(tracked)
        if poses is not None:
            votes.add(loaded.scan.points, tracked.labels.semantic, confidence_of(labels), poses[i])
        ids = np.maximum(tracked.labels.instance, tracked.buried_ids)
        kept.append(zlib.compress(ids.tobytes(), 1))
        yield drive.scans[i]
    conclusion = history.conclude()
    writer.moved |= {name for name, times in conclusion.moves.items() if times}
    for i, loaded in enumerate(drive.load()):
        said = read_for_tracking(drive.labels[i], tracker.classes, loaded)
        ids, semantic = np.frombuffer(zlib.decompress(kept[i]), np.int32), said.semantic
        pose = None if drive.poses is None else drive.poses[i]
        names = conclusion.name_points(ids, i, semantic, loaded.scan.points, pose)
        objects = conclusion.objects_of(i, float(drive.times_s[i]), names)
        if tracker.mending.classes:
            semantic = conclusion.mended(semantic, _scores(said), names, tracker.classes.is_thing)
        if poses is not None:
            sure = confidence_of(said)
            semantic = votes.settle(i, loaded.scan.points, semantic, sure, poses[i])
        labels = PanopticLabels(semantic, names)
        _write(drive, i, writer, loaded, labels, objects)
        _add_rows(drive, i, objects, summary)
        yield drive.scans[i]


def _scores(labels: PanopticLabels) -> FloatArray:
    """Of the object of each point, 1 where the labels have none. (N,) float32."""
    if labels.score is None:
        return np.ones(labels.num_points, np.float32)
    return labels.score[labels.instance]


def _lookup(ids: IntArray, names: IntArray, values: NDArray[np.integer[Any]]) -> IntArray:
    """Value of each id from 0 to the largest, 0 where it has none."""
    size = max(int(ids.max(initial=0)), int(names.max(initial=0))) + 1
    table: IntArray = np.zeros(size, np.int32)
    table[names] = values
    return table


def _read_labels(drive: Drive, tracker: Tracker, i: int, loaded: LoadedScan) -> PanopticLabels:
    labels = read_for_tracking(drive.labels[i], tracker.classes, loaded)
    is_thing = tracker.classes.is_thing[labels.semantic]
    if is_thing.any() and not labels.instance.any():
        instance = group_points(loaded.scan.points, labels.semantic, tracker.classes)
        labels = replace(labels, instance=instance)
    return labels


def _track(
    drive: Drive, tracker: Tracker, i: int, loaded: LoadedScan, labels: PanopticLabels
) -> TrackedScan:
    pose = None if drive.poses is None else drive.poses[i]
    return tracker.update(loaded.scan.points, labels, float(drive.times_s[i]), pose)


def _write(
    drive: Drive,
    i: int,
    writer: LastingLabels,
    loaded: LoadedScan,
    labels: PanopticLabels,
    objects: TrackedObjects,
) -> None:
    moves = _lookup(labels.instance, objects.id, objects.is_moving.astype(np.int64))
    is_moving = moves[labels.instance] > 0
    writer.write(drive.outputs[i], drive.labels[i], loaded, labels, is_moving)


def _add_rows(drive: Drive, i: int, objects: TrackedObjects, summary: Summary) -> None:
    summary.poses[drive.name, i] = np.eye(4) if drive.poses is None else drive.poses[i]
    for k, track in enumerate(objects.id.tolist()):
        summary.rows.append(
            TrackRow(
                drive=drive.name,
                scan=drive.outputs[i].name.split(".")[0].removesuffix("_panoptic"),
                frame=i,
                time_s=float(drive.times_s[i]),
                id=track,
                class_id=int(objects.class_id[k]),
                score=float(objects.score[k]),
                num_points=int(objects.num_points[k]),
                box=tuple(objects.box[k].tolist()),
                velocity=(float(objects.velocity[k, 0]), float(objects.velocity[k, 1])),
                is_moving=bool(objects.is_moving[k]),
            )
        )
