"""`.label` files: uint32 = raw class in the low 16 bits, instance in the high 16 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.datasets.packed_labels import PackedLabels
from lidarpan.errors import InputError, naming
from lidarpan.structures import PanopticLabels
from lidarpan.whole_file import whole_file

NAME = "semantickitti"
"""Whose format it is."""


def read_label(file: Path) -> NDArray[np.uint32]:
    """Read a `.label` file: (N,) uint32.

    Raises:
        InputError: no such file, or cut in the middle of a label.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such label file")
    size = file.stat().st_size
    if size % 4:
        raise InputError(f"{file}: wanted 4 bytes per label, got {size} bytes: cut off")
    return np.fromfile(file, "<u4")


def write_label(file: Path, packed: NDArray[np.uint32]) -> None:
    """Write a `.label` file, whole or not at all. packed: (N,) uint32."""
    with whole_file(file) as beside:
        beside.write_bytes(packed.astype("<u4", copy=False).tobytes())


def split_label(packed: NDArray[np.uint32], classes: ClassTable) -> PackedLabels:
    """The classes and ids of packed labels. (N,) uint32 -> N points.

    Raises:
        InputError: a raw label that the dataset does not define.
    """
    lower = packed.astype("<u4", copy=False).view("<u2")[::2]
    semantic = classes.to_train(lower)  # first: nothing is widened of what is refused
    wide = packed.astype(np.int64)
    return PackedLabels(semantic, wide, wide >> 16)


def read_packed(file: Path, classes: ClassTable) -> PackedLabels:
    """Read a `.label` file as it is; InputError names the file and what is wrong with it."""
    with naming(file):
        return split_label(read_label(file), classes)


def unpack_labels(packed: NDArray[np.uint32], classes: ClassTable) -> PanopticLabels:
    """Packed labels as train ids and instances, numbered by first point. (N,) uint32 -> N points.

    Raises:
        InputError: a raw label that the dataset does not define.
    """
    return split_label(packed, classes).unpack(classes)


def pack_labels(labels: PanopticLabels, classes: ClassTable) -> NDArray[np.uint32]:
    """Join train ids and instances to raw packed labels; stuff and void get instance 0.

    Raises:
        InputError: an instance id does not fit 16 bits.
    """
    return PackedLabels.of(labels, classes).packed.astype(np.uint32)


def write_predictions(file: Path, labels: PanopticLabels, classes: ClassTable) -> None:
    """Write labels of a class table as a `.label` file, whole or not at all."""
    write_label(file, pack_labels(labels, classes))
