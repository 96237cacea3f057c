"""PandaSet as it is distributed: sweeps, semantic classes and cuboids in gzip pickles of pandas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

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
from lidarpan.datasets.paths import names_in, scan_stem
from lidarpan.errors import InputError, naming
from lidarpan.scans.fields import FileFields, LoadedScan
from lidarpan.scans.find import PANDASET
from lidarpan.scans.frame_pickle import read_frame_pickle
from lidarpan.scans.pandaset import pandaset_pose, read_pandaset
from lidarpan.whole_file import while_unchanged

_VALID_EVERY = 5  # it has no split of its own: sequences 005, 010, ... validate
_CUBOIDS = (
    "uuid", "label", "yaw", "cuboids.sensor_id", "position.x", "position.y", "position.z",
    "dimensions.x", "dimensions.y", "dimensions.z",
)  # fmt: skip
_LABELS = (
    "Car", "Pickup Truck", "Medium-sized Truck", "Semi-truck", "Towed Object", "Motorcycle",
    "Other Vehicle - Construction Vehicle", "Other Vehicle - Uncommon", "Other Vehicle - Pedicab",
    "Emergency Vehicle", "Bus", "Personal Mobility Device", "Motorized Scooter", "Bicycle", "Train",
    "Trolley", "Tram / Subway", "Pedestrian", "Pedestrian with Object", "Animals - Bird",
    "Animals - Other", "Pylons", "Road Barriers", "Signs", "Cones", "Construction Signs",
    "Temporary Construction Barriers", "Rolling Containers",
)  # fmt: skip
"""What cuboids are called, in the order of the raw labels from 13 on."""


class PandaSet(DriveDataset):
    """A PandaSet tree: `ROOT/NNN/lidar/NN.pkl.gz` with annotations/semseg and annotations/cuboids.

    Scan i is called "002/07" and has the points of the sensor that turns; those of the other one in
    its file are left out. A split is "all" (of the sequences with semantic classes), "train" or
    "valid" of them (each fifth number, since there is no official one), or names such as "002,011".
    """

    name = "pandaset"
    title = "PandaSet"
    layout = "NNN/NN.label"
    scans = f"NNN/lidar/NN{PANDASET}"
    drive_of = r"([^/]+)/lidar/[^/]+$"

    def iter_scans(
        self, root: Path, split: str, report: Report | None = None
    ) -> Iterator[ScanFiles]:
        """The sweeps, sequence by sequence."""
        for folder in _sequences(root, split):
            for file in names_in(folder / "lidar", PANDASET):
                scan, labels = folder / "lidar" / file, folder / "annotations" / "semseg" / file
                pose = tolerated(partial(pandaset_pose, scan), None, report)
                name = f"{folder.name}/{scan_stem(scan)}"
                there = labels if labels.is_file() else None
                yield ScanFiles(name, folder.name, scan, there, pose)

    def usual_splits(self, root: Path) -> Sequence[str]:
        """All sequences, with labels or without."""
        return [",".join(_folders(root))]

    def read_scan(self, files: ScanFiles) -> LoadedScan:
        """The points of the sensor that turns, with pose and time."""
        return posed_scan(_sweep(files.scan), files)

    def count_points(self, files: ScanFiles) -> int:
        """Of both sensors: the files of labels have them all."""
        return len(_sweep(files.scan).fields["x"])

    def truth_of(self, files: ScanFiles) -> PackedLabels:
        """Classes of the points, and the cuboid that a point of a thing is in.

        The points of the sensor that looks ahead are void: the scan leaves them out.
        """
        file = files.truth
        columns = read_frame_pickle(file)
        if "class" not in columns or columns["class"].dtype.kind not in "iu":
            raise InputError(f"{file}: wanted a column 'class' of whole numbers")
        raw = columns["class"].astype(np.int64)
        with naming(file):
            semantic = self.classes.to_train(raw)
        fields = _sweep(files.scan).fields
        if len(fields["x"]) == len(raw):
            is_out = np.isnan(fields["x"].astype(np.float32))
            raw, semantic = np.where(is_out, 0, raw), np.where(is_out, 0, semantic).astype(np.uint8)
        instance = np.zeros(len(raw), np.int64)
        cuboids = file.parents[1] / "cuboids" / file.name
        if len(fields["x"]) == len(raw) and cuboids.is_file():
            points = np.stack([fields[axis] for axis in "xyz"], axis=1).astype(np.float64)
            pose = pandaset_pose(files.scan)
            boxes = read_cuboids(cuboids, object_ids(cuboids.parent))
            inside = points_in_cuboids(points @ pose[:3, :3].T + pose[:3, 3], boxes, raw)
            has = (inside >= 0) & self.classes.is_thing[semantic]
            instance[has] = boxes.instance[inside[has]]
        return PackedLabels(semantic, raw + (instance << 16), instance)


def _folders(root: Path) -> dict[str, Path]:
    """The sequences that are there, by name."""
    if not root.is_dir():
        raise InputError(f"{root}: wanted the folder of a PandaSet tree, found no such folder")
    there = [at for above in (root, root / "pandaset") for at in sorted(above.glob("*/lidar"))]
    return {at.parent.name: at.parent for at in there}


def _sequences(root: Path, split: str) -> list[Path]:
    folders = _folders(root)
    if split in ("all", "train", "valid"):
        known = [at for at in folders.values() if (at / "annotations" / "semseg").is_dir()]
        return [at for at in known if split in ("all", _split_of(at.name))]
    return named_drives(split, folders, PandaSet.title, "all, train, valid or sequences", root)


def _split_of(sequence: str) -> str:
    number = int(sequence) if sequence.isdecimal() else 1
    return "train" if number % _VALID_EVERY else "valid"


@while_unchanged(2, lambda file: (file, file.parent / "poses.json"))
def _sweep(file: Path) -> FileFields:
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    return read_pandaset(file)


def read_cuboids(file: Path, ids: dict[str, int]) -> Cuboids:
    """The cuboids of a sweep that the sensor that turns has seen, in the world.

    Args:
        file: annotations/cuboids/NN.pkl.gz.
        ids: of the sequence's objects.

    Raises:
        InputError: damaged, a column is missing, or an object or a label that is not known.
    """
    columns = read_frame_pickle(file)
    missing = [name for name in _CUBOIDS if name not in columns]
    if missing:
        raise InputError(f"{file}: wanted a column {missing[0]!r}, got {', '.join(columns)}")
    labels = columns["label"].tolist()
    unknown = [label for label in labels if label not in _LABELS]
    if unknown:
        raise InputError(f"{file}: wanted the labels of PandaSet, got {unknown[0]!r}")
    number = [ids.get(uuid, 0) for uuid in columns["uuid"].tolist()]
    boxes = Cuboids(
        center_m=np.stack([columns[f"position.{a}"].astype(np.float64) for a in "xyz"], axis=1),
        size_m=np.stack([columns[f"dimensions.{a}"].astype(np.float64) for a in "yxz"], axis=1),
        yaw_rad=columns["yaw"].astype(np.float64) + np.pi / 2,  # y of a cuboid is ahead
        raw=np.array([13 + _LABELS.index(label) for label in labels], np.int64),
        instance=np.array(number, np.int64),
    )
    return boxes.take(columns["cuboids.sensor_id"] != 1)


# all sequences: training goes from one to another
@while_unchanged(128, lambda folder: tuple(folder / name for name in names_in(folder, PANDASET)))
def object_ids(folder: Path) -> dict[str, int]:
    """Ids of the objects of a sequence: annotations/cuboids -> uuid -> number."""
    words: set[str] = set()
    for file in sorted(folder.glob(f"*{PANDASET}")):
        columns = read_frame_pickle(file)
        words |= {str(uuid) for uuid in columns.get("uuid", np.zeros(0, object))}
    return number_words(words)
