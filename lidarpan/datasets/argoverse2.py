"""Argoverse 2 sensor dataset: sweeps, cuboids and poses in feather tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.datasets.cuboids import Cuboids, number_words, points_in_cuboids
from lidarpan.datasets.dataset import (
    DriveDataset,
    Report,
    ScanFiles,
    named_drives,
    posed_scan,
    tolerated,
)
from lidarpan.datasets.packed_labels import PackedLabels
from lidarpan.datasets.paths import names_in
from lidarpan.scans.columns import read_columns, table_columns
from lidarpan.scans.fields import Fields, LoadedScan
from lidarpan.scans.rotations import rotation
from lidarpan.structures import InputError
from lidarpan.whole_file import while_unchanged

SPLITS = ("train", "val", "test")
_PLACE = ("tx_m", "ty_m", "tz_m")
_TURN = ("qw", "qx", "qy", "qz")
_SIZE = ("length_m", "width_m", "height_m")
_SENSOR = "up_lidar"


class Argoverse2(DriveDataset):
    """An Argoverse 2 tree: `ROOT/SPLIT/LOG/sensors/lidar/NANOSECONDS.feather`.

    Scan i is called "LOG/NANOSECONDS". Its points, of both sensors, are counted from the upper one,
    along the vehicle's axes. There are no classes of points: a point in a cuboid has the cuboid's
    category, all others are void. The test split has no cuboids. A split is "train", "val" or
    "test", or the names of logs.
    """

    name = "argoverse2"
    title = "Argoverse 2"
    layout = "LOG/NANOSECONDS.label"
    scans = "sweeps"
    drive_of = r"([^/]+)/sensors/lidar/[^/]+$"

    def iter_scans(
        self, root: Path, split: str, report: Report | None = None
    ) -> Iterator[ScanFiles]:
        """The sweeps, log by log."""
        none: dict[int, NDArray[np.float64]] = {}
        for log in _logs(root, split):
            poses = tolerated(partial(_sensor_poses, log), none, report)
            labels = log / "annotations.feather"
            there = labels if labels.is_file() else None
            for file in names_in(log / "sensors" / "lidar", ".feather"):
                stem = file.removesuffix(".feather")
                pose = poses.get(int(stem)) if stem.isdecimal() else None
                scan = log / "sensors" / "lidar" / file
                yield ScanFiles(f"{log.name}/{stem}", log.name, scan, there, pose)

    def usual_splits(self, root: Path) -> Sequence[str]:
        """Those whose folders are there."""
        return [split for split in SPLITS if (_top(root) / split).is_dir()]

    def read_scan(self, files: ScanFiles) -> LoadedScan:
        """All points, counted from the upper sensor."""
        return posed_scan(_sweep(files.scan), files)

    def count_points(self, files: ScanFiles) -> int:
        """Rows of the table."""
        return len(_sweep(files.scan)["x"])

    def truth_of(self, files: ScanFiles) -> PackedLabels:
        """The categories and objects of the cuboids that points are in."""
        fields, boxes = _sweep(files.scan), self._cuboids(files.truth, files.scan)
        points = np.stack([fields[axis] for axis in "xyz"], axis=1).astype(np.float64)
        box = points_in_cuboids(points, boxes)
        raw, instance = np.zeros(len(points), np.int64), np.zeros(len(points), np.int64)
        inside = box >= 0
        raw[inside], instance[inside] = boxes.raw[box[inside]], boxes.instance[box[inside]]
        return PackedLabels(self.classes.to_train(raw), raw + (instance << 16), instance)

    def _cuboids(self, file: Path, scan: Path) -> Cuboids:
        """The cuboids at a sweep's time, around the upper sensor."""
        table = _annotations(file)
        rows = np.flatnonzero(table["timestamp_ns"] == int(scan.stem))
        names = [name.upper().replace("-", "_") for name in self.classes.names]
        kinds = [str(table["category"][row]) for row in rows]
        unknown = [kind for kind in kinds if kind not in names[1:]]
        if unknown:
            raise InputError(f"{file}: wanted categories of Argoverse 2, got {unknown[0]!r}")
        ids = number_words(str(word) for word in table["track_uuid"])
        turns = _transforms({name: table[name][rows] for name in (*_TURN, *_PLACE)}, file)
        mount = mount_of(file.parent)
        return Cuboids(
            center_m=turns[:, :3, 3] - mount[:3, 3],
            size_m=np.stack([table[name][rows] for name in _SIZE], axis=1).astype(np.float64),
            yaw_rad=np.arctan2(turns[:, 1, 0], turns[:, 0, 0]),
            raw=np.array([names.index(kind) for kind in kinds], np.int64),
            instance=np.array([ids[str(table["track_uuid"][row])] for row in rows], np.int64),
        )


def _top(root: Path) -> Path:
    """The folder that has the splits, or else the logs."""
    if not root.is_dir():
        raise InputError(f"{root}: wanted the folder of an Argoverse 2 tree, found no such folder")
    tops = [at for at in (root, root / "sensor") if any((at / name).is_dir() for name in SPLITS)]
    return tops[0] if tops else root


def _logs(root: Path, split: str) -> list[Path]:
    top = _top(root)
    if split in SPLITS and (top / split).is_dir():
        return sorted(at.parents[1] for at in (top / split).glob("*/sensors/lidar"))
    logs = {at.parents[1].name: at.parents[1] for at in sorted(top.glob("**/sensors/lidar"))}
    return named_drives(split, logs, Argoverse2.title, f"{', '.join(SPLITS)} or logs", root, most=3)


@while_unchanged(2, lambda file: (file, _mount_file(file.parents[2])))
def _sweep(file: Path) -> Fields:
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    fields = read_columns(file)
    missing = [name for name in ("x", "y", "z") if name not in fields]
    if missing:
        raise InputError(f"{file}: wanted the columns x y z, got {', '.join(fields)}")
    mount = mount_of(file.parents[2])
    moved = {
        axis: fields[axis].astype(np.float32) - np.float32(place)
        for axis, place in zip("xyz", mount[:3, 3], strict=True)
    }
    return {**fields, **moved}


def _mount_file(log: Path) -> Path:
    return log / "calibration" / "egovehicle_SE3_sensor.feather"


@while_unchanged(64, lambda log: (_mount_file(log),))
def mount_of(log: Path) -> NDArray[np.float64]:
    """(4, 4) place of a log's upper sensor on the vehicle, with the vehicle's axes."""
    file = _mount_file(log)
    table = table_columns(file, ("sensor_name", *_TURN, *_PLACE))
    rows = np.flatnonzero(table["sensor_name"] == _SENSOR)
    if not len(rows):
        raise InputError(f"{file}: wanted a row of {_SENSOR}, got {table['sensor_name'].tolist()}")
    mount = np.eye(4)
    mount[:3, 3] = [table[name][rows[0]] for name in _PLACE]
    return mount


@while_unchanged(4, lambda file: (file,))
def _annotations(file: Path) -> dict[str, NDArray[Any]]:
    names = ("timestamp_ns", "track_uuid", "category", *_SIZE, *_TURN, *_PLACE)
    return table_columns(file, names)


def _sensor_poses(log: Path) -> dict[int, NDArray[np.float64]]:
    """World_T_sensor by time."""
    file = log / "city_SE3_egovehicle.feather"
    table = table_columns(file, ("timestamp_ns", *_TURN, *_PLACE))
    times = table["timestamp_ns"].astype(np.int64).tolist()
    return dict(zip(times, _transforms(table, file) @ mount_of(log), strict=True))


def _transforms(table: dict[str, NDArray[Any]], file: Path) -> NDArray[np.float64]:
    """(R, 4, 4) of the rows."""
    turns = np.stack([table[name].astype(np.float64) for name in _TURN], axis=1)
    poses = np.tile(np.eye(4), (len(turns), 1, 1))
    poses[:, :3, 3] = np.stack([table[name].astype(np.float64) for name in _PLACE], axis=1)
    length = np.linalg.norm(turns, axis=1, keepdims=True)
    if not np.isfinite(poses).all() or (np.abs(length - 1) > 0.1).any():
        raise InputError(f"{file}: wanted unit quaternions and places, got others")
    for pose, turn in zip(poses, turns / length, strict=True):
        pose[:3, :3] = rotation(turn)
    return poses
