"""Label files of every kind -> PanopticLabels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable, load_class_table
from lidarpan.datasets.implied import check_classes
from lidarpan.datasets.kitti_labels import read_label, unpack_labels
from lidarpan.datasets.nuscenes_labels import panoptic_of, train_ids, unpack_panoptic
from lidarpan.datasets.whole_numbers import whole_numbers
from lidarpan.errors import InputError, naming
from lidarpan.scans.numpy_files import read_array, read_arrays
from lidarpan.scans.ply import read_ply
from lidarpan.structures import PanopticLabels


def read_prediction(path: str | Path, classes: ClassTable) -> PanopticLabels:
    """Read labels of any kind: predictions in all formats, ground truth, bare semantics.

    Args:
        path: `.label`, `.npz` of nuScenes or of this package, `.ply` of this package, `.npy`
            with (N,) train ids, or `*_lidarseg.bin` with a byte per point.
        classes: the dataset's; nuScenes files count in general or challenge classes.

    Raises:
        InputError: no such file, not one of these, or one that holds other classes.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such label file")
    with naming(path):
        check_classes(path, classes)
        match path.suffix.lower():
            case ".label":
                return unpack_labels(read_label(path), classes)
            case ".npz":
                return _of_arrays(read_arrays(path), path, classes)
            case ".ply":
                columns = read_ply(path)
                if not {"semantic", "instance"} <= set(columns):
                    raise InputError(f"wanted properties semantic, instance, got {list(columns)}")
                return _checked(columns["semantic"], columns["instance"], None, classes)
            case ".npy":
                semantic = read_array(path)
                return _checked(semantic, np.zeros(semantic.shape, np.int32), None, classes)
            case ".bin":
                category = np.fromfile(path, np.uint8)
                semantic = train_ids(category, classes)
                return _checked(semantic, np.zeros(len(semantic), np.int32), None, classes)
            case suffix:
                raise InputError(f"wanted .label, .npz, .ply, .npy or _lidarseg.bin, got {suffix}")


def read_scored(
    path: str | Path, expected: ClassTable | None = None
) -> tuple[PanopticLabels, ClassTable]:
    """Read this package's `.npz` of labels with a score per instance, and whose classes they are.

    Args:
        path: the file.
        expected: classes that the labels may have besides those of the shipped tables.

    Raises:
        InputError: no such file, not one of these, of an unknown dataset, or scores that are not
            in [0, 1] or lack an instance.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such label file")
    arrays = read_arrays(path)
    found = ours(arrays, path)
    for name, array in found.items():
        if array.ndim != 1 or (name != "score" and array.dtype.kind not in "ui"):
            wanted = "a number" if name == "score" else "a whole number"
            raise InputError(
                f"{path}: {name}: wanted {wanted} each, got {array.shape} {array.dtype}"
            )
    with naming(path):
        name, is_expected = str(arrays.get("dataset", "unnamed")), False
        if expected is not None and name == expected.name:
            is_expected = tuple(arrays.get("class_names", ())) == expected.names
        classes = expected if expected and is_expected else load_class_table(name)
        score = found["score"] if len(found["score"]) else None
        labels = _checked(found["semantic"], found["instance"], score, classes)
    highest = int(labels.instance.max(initial=0))
    if score is not None and (len(score) <= highest or not ((score >= 0) & (score <= 1)).all()):
        raise InputError(
            f"{path}: wanted a score in [0, 1] for each instance id 0..{highest}, "
            f"got {len(score)} from {score.min()} to {score.max()}"
        )
    return labels, classes


def _of_arrays(arrays: dict[str, NDArray[Any]], path: Path, classes: ClassTable) -> PanopticLabels:
    """Labels of this package's `.npz` or of nuScenes'."""
    if "semantic" not in arrays:
        return unpack_panoptic(panoptic_of(arrays, path), classes)
    found = ours(arrays, path)
    score = found["score"] if len(found["score"]) else None
    labels = _checked(found["semantic"], found["instance"], score, classes)
    sure = arrays.get("confidence")
    if sure is None or sure.shape != labels.semantic.shape or sure.dtype != np.uint8:
        return labels
    return replace(labels, confidence=sure.astype(np.float32) / 255)


def _checked(
    semantic: NDArray[np.generic],
    instance: NDArray[np.generic],
    score: NDArray[np.generic] | None,
    classes: ClassTable,
) -> PanopticLabels:
    ids = whole_numbers(semantic, 0, classes.num_classes - 1, "train ids")
    return PanopticLabels(
        ids.astype(np.uint8),
        whole_numbers(instance, 0, np.iinfo(np.int32).max, "instance ids").astype(np.int32),
        None if score is None else score.astype(np.float32),
    )


def ours(arrays: dict[str, NDArray[Any]], path: Path) -> dict[str, NDArray[Any]]:
    """The arrays semantic, instance and score of this package's `.npz`; raises InputError."""
    wanted = ("semantic", "instance", "score")
    if not set(wanted) <= set(arrays):
        raise InputError(f"{path}: wanted arrays {', '.join(wanted)}, got {', '.join(arrays)}")
    return {name: arrays[name] for name in wanted}
