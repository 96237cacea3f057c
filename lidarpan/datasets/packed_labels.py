"""Label files of a benchmark, or labels with scores -> classes, ids and packed labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.datasets.label_files import read_scored
from lidarpan.datasets.nuscenes_labels import (
    FACTOR,
    NUM_CHALLENGE,
    pack_panoptic,
    read_panoptic,
)
from lidarpan.datasets.semantickitti import pack_labels, read_label
from lidarpan.structures import FloatArray, InputError, PanopticLabels

_UNKNOWN = 255


@dataclass(frozen=True)
class PackedLabels:
    """A label file's content: what the benchmarks score.

    Attributes:
        semantic: (N,) uint8 train ids.
        packed: (N,) int64 labels as in the file: class and instance in one number.
        instance: (N,) int64 the instance part alone.
        score: (K + 1,) float32 confidence in [0, 1] of instance k at position k, None where the
            file carries none.
    """

    semantic: NDArray[np.uint8]
    packed: NDArray[np.int64]
    instance: NDArray[np.int64]
    score: FloatArray | None = None

    def ids(self, protocol: str) -> NDArray[np.int64]:
        """What tells segments of a class apart: the whole label, or for "upper16" its instance."""
        return self.instance if protocol == "upper16" else self.packed

    def labels(self, is_thing: NDArray[np.bool_]) -> PanopticLabels:
        """Instances of things with their ids within the class; stuff has none."""
        instance = np.where(is_thing[self.semantic], self.instance, 0).astype(np.int32)
        return PanopticLabels(self.semantic, instance)


def unpack_scored(file: Path, classes: ClassTable) -> PackedLabels:
    """Labels of `lidarpan predict --format npz` as the benchmark's file would have them.

    Raises:
        InputError: a damaged file, one of other classes, or ids that do not fit the benchmark's.
    """
    labels, own = read_scored(file)
    if classes.name == "semantickitti":
        if own.name != classes.name:
            raise InputError(f"{file}: wanted {classes.name} classes, got {own.name}")
        try:
            packed = pack_labels(labels, classes).astype(np.int64)
        except InputError as error:
            raise InputError(f"{file}: {error}") from None
        return PackedLabels(labels.semantic, packed, packed >> 16, labels.score)
    packed = pack_panoptic(labels, own).astype(np.int64)
    semantic = (packed // FACTOR).astype(np.uint8)
    instance = np.where(classes.is_thing[semantic], labels.instance, 0).astype(np.int64)
    return PackedLabels(semantic, packed, instance, labels.score)


def unpack_kitti(file: Path, classes: ClassTable) -> PackedLabels:
    """A `.label` file; InputError where it is damaged or has a label that is not of the dataset."""
    packed = read_label(file).astype(np.int64)
    semantic = _train_table(classes)[packed & 0xFFFF]
    if semantic.size and int(semantic.max()) == _UNKNOWN:
        unknown = np.unique(packed[semantic == _UNKNOWN] & 0xFFFF)[:5].tolist()
        raise InputError(f"{file}: labels {unknown} are not SemanticKITTI raw labels")
    return PackedLabels(semantic, packed, packed >> 16)


def unpack_nuscenes(file: Path, classes: ClassTable, *, is_general: bool) -> PackedLabels:
    """A `*_panoptic.npz` file in general or challenge classes; InputError as in `unpack_kitti`."""
    packed = read_panoptic(file).astype(np.int64)
    category = packed // FACTOR
    if is_general:
        try:
            semantic = classes.to_train(category)
        except InputError as error:
            raise InputError(f"{file}: {error}") from None
    elif category.size and int(category.max()) >= NUM_CHALLENGE:
        raise InputError(
            f"{file}: wanted challenge classes 0..{NUM_CHALLENGE - 1}, got {category.max()}"
        )
    else:
        semantic = category.astype(np.uint8)
    return PackedLabels(semantic, packed, packed % FACTOR)


def _train_table(classes: ClassTable) -> NDArray[np.uint8]:
    """(65536,) train id of every 16-bit raw label, 255 for those that the dataset lacks."""
    table = np.full(1 << 16, _UNKNOWN, np.uint8)
    table[: len(classes.raw_known)][classes.raw_known] = classes.raw_to_train[classes.raw_known]
    return table
