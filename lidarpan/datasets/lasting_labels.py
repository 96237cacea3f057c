"""Label files -> the same files with other instance ids: formats and classes stay as they were."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.class_rows import MAX_RAW
from lidarpan.classes import ClassTable
from lidarpan.datasets.kitti_labels import read_label, write_label
from lidarpan.datasets.label_files import read_prediction
from lidarpan.datasets.nuscenes_labels import (
    FACTOR,
    MAX_INSTANCE,
    panoptic_of,
    write_panoptic,
)
from lidarpan.datasets.packed_labels import MAX_INSTANCE as MAX_KITTI_INSTANCE
from lidarpan.datasets.predictions import write_prediction
from lidarpan.datasets.score_files import with_scores
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.numpy_files import read_arrays
from lidarpan.structures import BoolArray, PanopticLabels


def lasting_path(labels: Path, file: Path, out: Path) -> Path:
    """Where the lasting labels of a label file below `labels` go below `out`: the same place.

    Bare semantics get a format that holds instances: `.npy` becomes `.npz`, `_lidarseg.bin`
    `_panoptic.npz`.
    """
    place = out / file.relative_to(labels)
    if place.name.endswith("_lidarseg.bin"):
        return place.with_name(place.name.removesuffix("_lidarseg.bin") + "_panoptic.npz")
    return place.with_suffix(".npz") if place.suffix == ".npy" else place


@dataclass
class LastingLabels:
    """Writes the labels of one drive with ids that last; formats with few ids share them out.

    Attributes:
        classes: of the labels.
        names_moving: whether things that move get the class table's label for that; as in
            SemanticKITTI one that was seen to move has it ever after.
        moved: ids that move at some time; those of later scans are added as they are written.
    """

    classes: ClassTable
    names_moving: bool = True
    moved: set[int] = field(default_factory=set)
    _given: dict[tuple[int, int], int] = field(default_factory=dict)
    _used: dict[int, set[int]] = field(default_factory=dict)

    def write(
        self,
        path: Path,
        file: Path,
        loaded: LoadedScan,
        labels: PanopticLabels,
        is_moving: BoolArray,
    ) -> None:
        """Write labels of a scan's N usable points as `file` has them.

        Args:
            path: the new file.
            file: the old one; a point's class is written as there where it is still the same.
            loaded: the scan, M points of which N are usable.
            labels: of the N, with lasting ids.
            is_moving: (N,) whether a point belongs to something that moves.

        Raises:
            InputError: the file is damaged, or the new one cannot be written.
        """
        match file.suffix.lower():
            case ".label":
                self._write_kitti(path, file, loaded, labels, is_moving)
            case ".npz" if "semantic" not in (arrays := read_arrays(file)):
                self._write_nuscenes(path, panoptic_of(arrays, file), loaded, labels)
            case ".bin":
                category = np.fromfile(file, np.uint8).astype(np.uint16)
                self._write_nuscenes(path, category * np.uint16(FACTOR), loaded, labels)
            case ".ply":
                write_prediction(path, labels, loaded, self.classes, "ply")
            case _:
                write_prediction(path, labels, loaded, self.classes, "npz")

    def _write_kitti(
        self,
        path: Path,
        file: Path,
        loaded: LoadedScan,
        labels: PanopticLabels,
        is_moving: BoolArray,
    ) -> None:
        raw = (read_label(file) & MAX_RAW).astype(np.int64)
        instance = np.zeros(len(raw), np.int64)
        part = raw[loaded.valid]
        changed = self.classes.to_train(part) != labels.semantic
        part[changed] = self.classes.to_raw(labels.semantic)[changed]
        if self.names_moving and self.classes.moving:
            has = labels.instance > 0
            self.moved |= set(np.unique(labels.instance[is_moving & has]).tolist())
            is_moving = np.isin(labels.instance, list(self.moved))
            for kind, moving in self.classes.moving.items():
                mine = has & (labels.semantic == kind)
                part[mine & is_moving] = moving
                rests = mine & ~is_moving & (part == moving)
                part[rests] = self.classes.train_to_raw[kind]
        raw[loaded.valid] = part
        instance[loaded.valid] = self._numbers(labels, MAX_KITTI_INSTANCE)
        write_label(path, (raw | instance << 16).astype(np.uint32))

    def _write_nuscenes(
        self, path: Path, packed: NDArray[np.uint16], loaded: LoadedScan, labels: PanopticLabels
    ) -> None:
        category = packed.astype(np.int64) // FACTOR
        instance = np.zeros(len(category), np.int64)
        part = category[loaded.valid]
        is_general = int(category.max(initial=0)) > self.classes.num_classes - 1
        known = self.classes.to_train(part) if is_general else part.astype(np.uint8)
        changed = known != labels.semantic
        new = self.classes.to_raw(labels.semantic)
        if is_general:
            first = {int(t): r for r, t in reversed(list(enumerate(self.classes.raw_to_train)))}
            new = np.array([first[c] for c in range(self.classes.num_classes)])[labels.semantic]
        part[changed] = new[changed]
        category[loaded.valid] = part
        instance[loaded.valid] = self._numbers(labels, MAX_INSTANCE)
        write_panoptic(path, (category * FACTOR + instance).astype(np.uint16))

    def _numbers(self, labels: PanopticLabels, most: int) -> NDArray[np.int64]:
        """The number of each point's object in a format with `most` numbers for each class.

        An id that fits is its own number; others get one that nothing of their class had so far,
        0 where there is none left.
        """
        is_thing = self.classes.is_thing[labels.semantic]
        ids = np.where(is_thing, labels.instance, 0).astype(np.int64)
        if not ids.size or int(ids.max()) <= most:
            for kind, number in np.unique(np.stack([labels.semantic, ids]), axis=1).T.tolist():
                self._used.setdefault(kind, set()).add(number)
            return ids
        key = ids * 256 + labels.semantic
        keys, inverse = np.unique(key, return_inverse=True)
        numbers = [self._number(int(k % 256), int(k // 256), most) for k in keys]
        return np.array(numbers, np.int64)[inverse]

    def _number(self, kind: int, track: int, most: int) -> int:
        used = self._used.setdefault(kind, set())
        if track <= most:
            used.add(track)
            return track
        if (kind, track) not in self._given:
            free = next((n for n in range(most, 0, -1) if n not in used), 0)
            used.add(free)
            self._given[kind, track] = free
        return self._given[kind, track]


def read_for_tracking(file: Path, classes: ClassTable, loaded: LoadedScan) -> PanopticLabels:
    """Labels of a scan's N usable points, numbered within the scan, and their scores if known.

    Raises:
        InputError: the file is damaged, of other classes, or has another number of labels than the
            scan's file has points.
    """
    return loaded.labels_of(with_scores(read_prediction(file, classes), file), file)
