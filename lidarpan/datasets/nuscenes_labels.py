"""Panoptic nuScenes label arrays: uint16 = 1000 * class + instance, in `.npz` files.

Ground truth counts in the 32 general classes, predictions in the 16 challenge classes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable, load_class_table
from lidarpan.datasets.packed_labels import number_by_first_point
from lidarpan.datasets.whole_numbers import whole_numbers
from lidarpan.scans.numpy_files import read_arrays, write_arrays
from lidarpan.structures import InputError, IntArray, PanopticLabels

NAME = "nuscenes"
FACTOR = 1000
NUM_CHALLENGE = 17
MAX_INSTANCE = FACTOR - 1
INPUTS = {
    "use_camera": False,
    "use_lidar": True,
    "use_radar": False,
    "use_map": False,
    "use_external": False,
}
"""What a file of results says that it was made from."""

MAX_PACKED = 31 * FACTOR + MAX_INSTANCE
"""The largest label there is: instance 999 of the last general class."""


def read_panoptic(file: Path) -> NDArray[np.uint16]:
    """Read a `*_panoptic.npz` file: (N,) uint16.

    Raises:
        InputError: no such file, or no array `data` of whole numbers in it.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such label file")
    return panoptic_of(read_arrays(file), file)


def panoptic_of(arrays: dict[str, NDArray[Any]], file: Path) -> NDArray[np.uint16]:
    """The (N,) uint16 array `data` of a `*_panoptic.npz` file's arrays; raises InputError."""
    if "data" not in arrays:
        raise InputError(f"{file}: wanted an array 'data', got {', '.join(arrays) or 'none'}")
    data = arrays["data"]
    if data.dtype.kind not in "ui":
        raise InputError(f"{file}: wanted (N,) uint16, got {data.shape} {data.dtype}")
    return whole_numbers(data, 0, MAX_PACKED, f"{file}: data").astype(np.uint16)


def write_panoptic(file: Path, packed: NDArray[np.uint16]) -> None:
    """Write a `*_panoptic.npz` file, whole or not at all. packed: (N,) uint16."""
    write_arrays(file, data=packed)


def unpack_panoptic(
    packed: NDArray[np.uint16], classes: ClassTable, *, is_general: bool | None = None
) -> PanopticLabels:
    """Split 1000 * class + instance into train ids and instances. (N,) uint16 -> N points.

    Args:
        packed: the labels.
        classes: the nuScenes table.
        is_general: whether the classes are the 32 general ones, not the challenge's; None takes
            them for general where any is above 16, as the surfaces of a true scan are.

    Returns:
        Labels; instances are numbered by their first point.

    Raises:
        InputError: a class that is not one of them.
    """
    category = (packed // FACTOR).astype(np.int32)
    semantic = train_ids(category, classes, is_general=is_general)
    is_instance = classes.is_thing[semantic] & (packed % FACTOR > 0)
    return PanopticLabels(semantic, number_by_first_point(np.where(is_instance, packed, 0)))


def train_ids(
    category: NDArray[Any], classes: ClassTable, *, is_general: bool | None = None
) -> NDArray[np.uint8]:
    """General or challenge classes (told apart as in `unpack_panoptic`) as train ids."""
    high = int(category.max()) if category.size else 0
    if is_general or (is_general is None and high >= NUM_CHALLENGE):
        return classes.to_train(category)
    if high >= NUM_CHALLENGE:
        raise InputError(f"wanted challenge classes 0..{NUM_CHALLENGE - 1}, got {high}")
    return category.astype(np.uint8)


def pack_panoptic(labels: PanopticLabels, classes: ClassTable) -> NDArray[np.uint16]:
    """Join labels to 1000 * challenge class + instance. N points -> (N,) uint16.

    Labels of another class table are mapped to the nearest challenge class. Instance ids are kept
    while all are below 1000, so that those of a sequence stay; else they are numbered within
    their class, and only the largest 999 of a class keep one. Stuff and void get instance 0.
    """
    challenge = load_class_table(NAME)
    category = classes.to_nuscenes[labels.semantic]
    instance = np.where(challenge.is_thing[category], labels.instance, 0).astype(np.int64)
    if instance.size and int(instance.max()) > MAX_INSTANCE:
        for thing in challenge.things:
            of_class = category == thing
            instance[of_class] = _renumber(instance[of_class])
    packed: NDArray[np.uint16] = (category.astype(np.int64) * FACTOR + instance).astype(np.uint16)
    return packed


def _renumber(instance: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ids 1, 2, ... from large to small, 0 for those beyond the 999 largest."""
    ids, inverse, count = np.unique(instance, return_inverse=True, return_counts=True)
    count[ids <= 0] = -1
    rank = np.empty(len(ids), np.int64)
    rank[np.argsort(-count, kind="stable")] = np.arange(1, len(ids) + 1)
    rank[(rank > MAX_INSTANCE) | (ids <= 0)] = 0
    return rank[inverse]


def pack_truth(raw: IntArray, instance: IntArray, ids: dict[int, int]) -> NDArray[np.uint16]:
    """Join general classes and objects as ground truth has them. (N,), (N,) -> (N,) uint16.

    Objects get ids 1 to 999 in the order they are first seen; as in the real labels, points of a
    thing without an id (also beyond the 999th) are noise, and surfaces have instance 0.

    Args:
        raw: (N,) general classes.
        instance: (N,) object ids of any size, 0 = none.
        ids: ids given out in the scene so far; new ones are added.
    """
    classes = load_class_table(NAME)
    is_thing = classes.is_thing[classes.to_train(raw)]
    objects, first, inverse = np.unique(
        np.where(is_thing, instance, 0), return_index=True, return_inverse=True
    )
    for number in objects[np.argsort(first)]:
        if number > 0 and len(ids) < MAX_INSTANCE:
            ids.setdefault(int(number), len(ids) + 1)
    given = np.array([ids.get(int(number), 0) for number in objects], np.int64)[inverse]
    category = np.where(is_thing & (given == 0), 0, raw)
    packed: NDArray[np.uint16] = (1000 * category + given).astype(np.uint16)
    return packed
