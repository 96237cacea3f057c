"""KITTI-360: scans of drives, and labels of what was accumulated from them.

It has no labels of single scans: some two hundred metres of a drive make a window, whose points,
in the world, are labelled (`data_3d_semantics`). A point of a scan gets the label of the nearest
labelled point, as far as there is one within 20 cm; of what moves only those of the scan's own time
count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lidarpan.datasets.dataset import (
    DriveDataset,
    Report,
    ScanFiles,
    named_drives,
    posed_scan,
    read_rows,
    tolerated,
)
from lidarpan.datasets.packed_labels import PackedLabels
from lidarpan.datasets.paths import names_in
from lidarpan.datasets.pose_files import read_pose_file, transform_of
from lidarpan.errors import InputError, naming
from lidarpan.scans.fields import FileFields, LoadedScan
from lidarpan.scans.intensity import IntensityScale
from lidarpan.scans.ply import read_ply
from lidarpan.whole_file import while_unchanged

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

TEST = ("0008", "0018")
_NEAR_M = 0.2
_PER_CLASS = 1000  # instance = 1000 * class + number
_POINT_BYTES = 16
_WINDOW = re.compile(r"(\d+)_(\d+)\.ply$")
_DRIVE = "2013_05_28_drive_{}_sync"


@dataclass(frozen=True)
class Window:
    """A labelled stretch of a drive: its file of what stands, and its first and last frame."""

    file: Path
    first: int
    last: int


class Kitti360(DriveDataset):
    """A KITTI-360 tree: `ROOT/data_3d_raw/DRIVE/velodyne_points/data/NNNNNNNNNN.bin`.

    Scan i is called "0003/0000000123". A split is "train" or "val" (the windows that
    `data_3d_semantics/train/2013_05_28_drive_SPLIT.txt` lists, or where it lacks every fifth window
    of a drive for val), "test" (drives 0008 and 0018, no labels), or drives such as "0003,0005".
    """

    name = "kitti-360"
    title = "KITTI-360"
    layout = "NNNN/NNNNNNNNNN.label"
    all_posed = False
    all_labelled = False
    drive_of = r"drive_(\d+)_sync/velodyne_points/data/"

    def iter_scans(
        self, root: Path, split: str, report: Report | None = None
    ) -> Iterator[ScanFiles]:
        """The scans, drive by drive."""
        none: dict[int, NDArray[np.float64]] = {}
        for drive in _drives(root, split):
            poses = tolerated(partial(sensor_poses, root, drive), none, report)
            windows = find_windows(root, drive)
            wanted = _wanted(root, drive, split, windows)
            data = root / "data_3d_raw" / _DRIVE.format(drive) / "velodyne_points" / "data"
            for name in names_in(data, ".bin"):
                stem = name[:-4]
                frame = int(stem) if stem.isdecimal() else -1
                window = window_of(frame, windows)
                if wanted is None or window in wanted:
                    pose = poses.get(frame)
                    there = None if window is None or pose is None else window.file
                    yield ScanFiles(f"{drive}/{stem}", drive, data / name, there, pose)

    def usual_splits(self, root: Path) -> Sequence[str]:
        """Those of which a drive is there."""
        return [split for split in ("train", "val", "test") if _drives(root, split)]

    def read_scan(self, files: ScanFiles) -> LoadedScan:
        """All points of the file, with its pose; InputError for a damaged file."""
        rows = read_rows(files.scan, 4)
        named = dict(zip(("x", "y", "z", "intensity"), rows.T, strict=True))
        fields = FileFields(named, scale=IntensityScale(1.0))
        return posed_scan(fields, files)

    def count_points(self, files: ScanFiles) -> int:
        """By the size of the file."""
        return files.scan.stat().st_size // _POINT_BYTES

    def truth_of(self, files: ScanFiles) -> PackedLabels:
        """The labels of the nearest points of the scan's window; void where none is near."""
        if files.labels is None or files.world_T_sensor is None:
            raise InputError(f"{files.scan}: wanted true labels, there are none")
        points, pose = read_rows(files.scan, 4)[:, :3].astype(np.float64), files.world_T_sensor
        world = points @ pose[:3, :3].T + pose[:3, 3]
        raw, instance = labels_near(files.labels, int(files.scan.stem), world)
        with naming(files.labels):
            semantic = self.classes.to_train(raw)
        instance = np.where(self.classes.is_thing[semantic], instance, 0)
        return PackedLabels(semantic, raw + (instance << 16), instance)


def _drives(root: Path, split: str) -> list[str]:
    raw = root / "data_3d_raw"
    if not raw.is_dir():
        raise InputError(f"{root}: wanted a KITTI-360 tree with data_3d_raw, found none")
    folders = (re.search(r"drive_(\d+)_sync$", at.name) for at in sorted(raw.iterdir()))
    there = [match[1] for match in folders if match]
    if split == "test":
        return [drive for drive in there if drive in TEST]
    if split in ("train", "val"):
        return [drive for drive in there if drive not in TEST]
    drives = {name: name for name in there}
    return named_drives(split, drives, Kitti360.title, "train, val, test or drives", root)


def sensor_poses(root: Path, drive: str) -> dict[int, NDArray[np.float64]]:
    """Frame -> (4, 4) world_T_sensor, of those frames that have one.

    `poses.txt` has those of the vehicle; calib_cam_to_pose.txt and calib_cam_to_velo.txt say where
    the scanner is on it.

    Raises:
        InputError: a file is missing or damaged.
    """
    read = read_pose_file(root / "data_poses" / _DRIVE.format(drive) / "poses.txt")
    calibration = root / "calibration"
    pose_T_camera = _transform(calibration / "calib_cam_to_pose.txt", "image_00:")
    sensor_T_camera = _transform(calibration / "calib_cam_to_velo.txt", "")
    world = read.poses @ pose_T_camera @ np.linalg.inv(sensor_T_camera)
    frames = range(len(world)) if read.frames is None else read.frames.tolist()
    return dict(zip(frames, world, strict=True))


def _transform(file: Path, name: str) -> NDArray[np.float64]:
    """The (4, 4) transform in the line of a calibration that begins with a name."""
    if not file.is_file():
        raise InputError(f"{file}: no such file: fetch the calibration too")
    lines = [line.split() for line in file.read_text(errors="replace").splitlines() if line.strip()]
    words = next((line for line in lines if not name or line[0] == name), [])
    return transform_of(words[1:] if name else words, f"{file}: {name}".strip(": "))


def find_windows(root: Path, drive: str) -> list[Window]:
    """The labelled windows of a drive, in order."""
    folder = root / "data_3d_semantics" / "train" / _DRIVE.format(drive) / "static"
    files = ((file, _WINDOW.search(file.name)) for file in sorted(folder.glob("*.ply")))
    return [Window(file, int(match[1]), int(match[2])) for file, match in files if match]


def window_of(frame: int, windows: list[Window]) -> Window | None:
    """The window that a frame lies deepest in, None where it lies in none: they overlap."""
    inside = [window for window in windows if window.first <= frame <= window.last]
    return max(inside, key=lambda w: min(frame - w.first, w.last - frame), default=None)


def _wanted(root: Path, drive: str, split: str, windows: list[Window]) -> set[Window] | None:
    """The windows of a split; None for every frame of the drive."""
    if split not in ("train", "val"):
        return None
    file = root / "data_3d_semantics" / "train" / f"2013_05_28_drive_{split}.txt"
    if not file.is_file():
        return {w for k, w in enumerate(windows) if (k % 5 == 4) == (split == "val")}
    lines = file.read_text(errors="replace").split()
    names = {tuple(line.replace("\\", "/").split("/")[-3:]) for line in lines}
    return {w for w in windows if w.file.parts[-3:] in names}


@dataclass(frozen=True)
class _Labelled:
    """Labelled points in the world: a search tree, and class and instance of each."""

    tree: cKDTree
    raw: NDArray[np.int64]
    instance: NDArray[np.int64]


def labels_near(
    window: Path, frame: int, world: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Class and instance of the nearest labelled point within 20 cm of each point, else 0.

    Args:
        window: the `.ply` file in `static`; that of what moves lies in `dynamic`.
        frame: of the scan.
        world: (N, 3) the scan's points.

    Raises:
        InputError: a file is damaged or lacks a column.
    """
    raw, instance = np.zeros(len(world), np.int64), np.zeros(len(world), np.int64)
    nearest = np.full(len(world), _NEAR_M)
    finite = np.isfinite(world).all(axis=1)
    moving = window.parents[1] / "dynamic" / window.name
    for file, of_frame in ((window, None), (moving, frame)):
        labelled = _labelled(file, of_frame)
        if labelled is None:
            continue
        distance, place = np.full(len(world), np.inf), np.zeros(len(world), np.int64)
        distance[finite], place[finite] = labelled.tree.query(
            world[finite], distance_upper_bound=_NEAR_M
        )
        nearer = distance < nearest
        raw[nearer] = labelled.raw[place[nearer]]
        instance[nearer] = labelled.instance[place[nearer]]
        nearest[nearer] = distance[nearer]
    return raw, instance


@while_unchanged(4, lambda file, frame: (file,))
def _labelled(file: Path, frame: int | None) -> _Labelled | None:
    """What is labelled in a file; of what moves only in a frame, and nothing without the file."""
    if frame is not None and not file.is_file():
        return None
    columns = read_ply(file)
    from scipy.spatial import cKDTree  # slow to import, and every command imports this file

    wanted = ("x", "y", "z", "semantic", "instance")
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise InputError(f"{file}: wanted the properties {' '.join(wanted)}, got no {missing[0]}")
    keep = np.ones(len(columns["x"]), np.bool_)
    if frame is not None and "timestamp" in columns:
        keep = columns["timestamp"].astype(np.int64) == frame
    points = np.stack([columns[axis][keep].astype(np.float64) for axis in "xyz"], axis=1)
    if not len(points):
        return None
    raw = columns["semantic"][keep].astype(np.int64)
    instance = columns["instance"][keep].astype(np.int64) % _PER_CLASS
    return _Labelled(cKDTree(points), raw, instance)
