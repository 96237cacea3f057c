"""Panoptic nuScenes: LIDAR_TOP key frames and their labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.datasets.benchmark_counts import NUSCENES
from lidarpan.datasets.dataset import Checked, ScanFiles, ShippedDataset, read_rows
from lidarpan.datasets.nuscenes_labels import (
    FACTOR,
    NAME,
    NUM_CHALLENGE,
    pack_panoptic,
    read_panoptic,
    write_panoptic,
)
from lidarpan.datasets.nuscenes_submission import check_meta, check_panoptic, inputs_used
from lidarpan.datasets.nuscenes_tables import (
    EVALUATED,
    find_token,
    find_version,
    read_key_frames,
    split_scenes,
)
from lidarpan.datasets.packed_labels import PackedLabels
from lidarpan.datasets.paths import plain_path
from lidarpan.errors import InputError, naming
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.intensity import bytes_or_fractions, scaled
from lidarpan.structures import PanopticLabels, Scan

_POINT_BYTES = 20  # x y z intensity ring, float32


class NuScenes(ShippedDataset):
    """The LIDAR_TOP key frames of a nuScenes tree, scene by scene.

    A scan is called by the token that names its label files. True labels are mapped from the 32
    general classes to the challenge's 16; predictions are written in those. A split is one of the
    devkit's: mini_train, mini_val, train, val, test; those of its scenes that are in the tree are
    used, and the version is found by itself.
    """

    name = NAME
    title = "nuScenes"
    suffix = "_panoptic.npz"
    top = "panoptic"
    drops_points = False
    step_s = 0.5
    layout = "panoptic/SPLIT/TOKEN_panoptic.npz"

    def list_scans(self, root: Path, split: str) -> list[ScanFiles]:
        """The key frames of a split; InputError: no such folder, split, version or scenes."""
        version = find_version(root, split)
        frames = read_key_frames(root, version, split)
        return [ScanFiles(f.token, f.scene, f.file, f.label_file, f.world_T_sensor) for f in frames]

    def usual_splits(self, root: Path) -> Sequence[str]:
        """Those of the versions that are there."""
        return [
            split
            for version, splits in EVALUATED.items()
            if (root / version).is_dir()
            for split in splits
        ]

    def list_truth(self, root: Path, split: str) -> list[ScanFiles]:
        """The key frames with panoptic labels."""
        frames = self.list_scans(root, split)
        labelled = [f for f in frames if f.labels is not None and f.labels.suffix == ".npz"]
        if not labelled:
            raise InputError(f"{root}: wanted panoptic labels of the {split} split, found none")
        return labelled

    def missing_scans(self, listed: Sequence[ScanFiles], split: str) -> list[tuple[str, str]]:
        """Scenes of the test split that are not there, and key frames that lack."""
        if split != "test":
            return []
        there = {files.sequence for files in listed}
        scenes = [name for name in split_scenes()[split] if name not in there]
        faults = [
            (
                f"panoptic/{split}",
                f"{name} is not in the data: the benchmark scores the whole split",
            )
            for name in scenes
        ]
        if not scenes and len(listed) != NUSCENES[split]:
            wanted = f"wanted the {NUSCENES[split]} key frames of the {split} split"
            faults.append((f"panoptic/{split}", f"{wanted}, the data has {len(listed)}"))
        return faults

    def read_scan(self, files: ScanFiles) -> LoadedScan:
        """All points of the file, with ring and pose; InputError for a damaged file."""
        file = files.scan
        if not file.is_file():
            raise InputError(f"{file}: no such file: the tables name it")
        rows = read_rows(file, 5)
        if not np.isfinite(rows).all():
            raise InputError(f"{file}: wanted finite points, got NaN or infinite ones")
        scan = Scan(
            np.column_stack([rows[:, 1], -rows[:, 0], rows[:, 2]]),
            scaled(rows[:, 3], bytes_or_fractions(rows[:, 3]))[0],
            ring=rows[:, 4].astype(np.int32),
            world_T_sensor=files.world_T_sensor,
        )
        return LoadedScan(scan, np.ones(len(rows), np.bool_))

    def count_points(self, files: ScanFiles) -> int:
        """By the size of the file."""
        return files.scan.stat().st_size // _POINT_BYTES

    def read_truth(self, file: Path) -> PackedLabels:
        """1000 * general class + instance, unique over a scene; lidarseg has classes alone."""
        if not file.is_file():
            raise InputError(f"{file}: no such file: the tables name it")
        if file.suffix == ".npz":
            packed = read_panoptic(file).astype(np.int64)
        else:
            packed = np.fromfile(file, np.uint8).astype(np.int64) * FACTOR
        with naming(file):
            semantic = self.classes.to_train(packed // FACTOR)
        return PackedLabels(semantic, packed, packed % FACTOR)

    def prediction_path(self, out: Path, scan_path: Path) -> Path:
        """By token and split where the scan lies in a nuScenes tree, else by its name."""
        found = find_token(scan_path)
        if found:
            return out / "panoptic" / found.split / f"{found.token}{self.suffix}"
        return out / "panoptic" / plain_path(Path(), scan_path, self.suffix).name

    def scored_path(self, out: Path, scan_path: Path) -> Path:
        """By the scan's name alone."""
        return plain_path(out, scan_path, ".npz")

    def prediction_of(self, files: ScanFiles, split: str) -> str:
        """`panoptic/SPLIT/TOKEN_panoptic.npz`."""
        return f"panoptic/{split}/{files.name}{self.suffix}"

    def write_prediction(self, file: Path, labels: PanopticLabels, classes: ClassTable) -> None:
        """Write 1000 * challenge class + instance; other classes are mapped to the nearest."""
        write_panoptic(file, pack_panoptic(labels, classes))

    def read_prediction(self, file: Path) -> PackedLabels:
        """1000 * challenge class + instance."""
        packed = read_panoptic(file).astype(np.int64)
        category = packed // FACTOR
        if category.size and int(category.max()) >= NUM_CHALLENGE:
            raise InputError(
                f"{file}: wanted challenge classes 0..{NUM_CHALLENGE - 1}, got {category.max()}"
            )
        return PackedLabels(category.astype(np.uint8), packed, packed % FACTOR)

    def pack(self, labels: PanopticLabels, classes: ClassTable) -> PackedLabels:
        """The nearest challenge classes; the instances keep their ids."""
        packed = pack_panoptic(labels, classes).astype(np.int64)
        semantic = (packed // FACTOR).astype(np.uint8)
        instance = np.where(self.classes.is_thing[semantic], labels.instance, 0).astype(np.int64)
        return PackedLabels(semantic, packed, instance, labels.score)

    def home(self, split: str) -> str:
        """`panoptic/SPLIT`."""
        return f"panoptic/{split}"

    def instance_of(self, packed: int) -> int:
        """What is left of a whole thousand."""
        return packed % FACTOR

    def lasting_ids(self, packed: PackedLabels) -> NDArray[np.int64]:
        """(N,) whole labels: ids are unique over a scene only within a class."""
        is_thing = self.classes.is_thing[packed.semantic]
        return np.where(is_thing & (packed.instance > 0), packed.packed, 0)

    def check_prediction(self, file: Path, num_points: int, *, is_tracking: bool) -> Checked:
        """Look for faults; ids on stuff are taken off, things without one get their own."""
        return check_panoptic(file, num_points, self.classes, is_tracking=is_tracking)

    def check_papers(self, folder: Path, split: str, task: str) -> list[tuple[str, str]]:
        """Faults of submission.json."""
        name = f"{split}/submission.json"
        return [(name, message) for message in check_meta(folder / name, task)]

    def papers(
        self, folder: Path, split: str, task: str, description: str | None
    ) -> dict[str, bytes]:
        """submission.json, which says the task and the inputs used."""
        name = f"{split}/submission.json"
        meta = {"meta": {"task": task, **inputs_used(folder / name)}}
        return {name: json.dumps(meta, indent=1).encode()}
