"""Label files of every kind -> PanopticLabels."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.datasets.nuscenes_labels import read_panoptic, train_ids, unpack_panoptic
from lidarpan.datasets.ply import read_ply
from lidarpan.datasets.semantickitti import read_label, unpack_labels
from lidarpan.structures import InputError, PanopticLabels


def read_prediction(path: str | Path, classes: ClassTable) -> PanopticLabels:
    """Read labels of any kind: predictions in all formats, ground truth, bare semantics.

    Args:
        path: `.label`, `.npz` of nuScenes or of this package, `.ply` of this package, `.npy`
            with (N,) train ids, or `*_lidarseg.bin` with a byte per point.
        classes: the dataset's; nuScenes files count in general or challenge classes.

    Raises:
        InputError: no such file, or not one of these.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such label file")
    try:
        match path.suffix.lower():
            case ".label":
                return unpack_labels(read_label(path), classes)
            case ".npz" if "semantic" in _npz_keys(path):
                arrays = npz_arrays(path)
                score = arrays["score"] if len(arrays["score"]) else None
                return _checked(arrays["semantic"], arrays["instance"], score, classes)
            case ".npz":
                return unpack_panoptic(read_panoptic(path), classes)
            case ".ply":
                columns = read_ply(path)
                if not {"semantic", "instance"} <= set(columns):
                    raise InputError(f"wanted properties semantic, instance, got {list(columns)}")
                return _checked(columns["semantic"], columns["instance"], None, classes)
            case ".npy":
                semantic = np.load(path, allow_pickle=False)
                return _checked(semantic, np.zeros(semantic.shape, np.int32), None, classes)
            case ".bin":
                category = np.fromfile(path, np.uint8).astype(np.int32)
                return _checked(train_ids(category, classes), 0 * category, None, classes)
            case suffix:
                raise InputError(f"wanted .label, .npz, .ply, .npy or _lidarseg.bin, got {suffix}")
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    except (ValueError, EOFError) as error:
        raise InputError(f"{path}: not a label file: {error}") from None


def _checked(
    semantic: NDArray[np.generic],
    instance: NDArray[np.generic],
    score: NDArray[np.generic] | None,
    classes: ClassTable,
) -> PanopticLabels:
    ids = semantic.astype(np.int64)
    if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < classes.num_classes:
        raise InputError(f"wanted train ids 0..{classes.num_classes - 1}, got up to {ids.max()}")
    return PanopticLabels(
        ids.astype(np.uint8),
        instance.astype(np.int32),
        None if score is None else score.astype(np.float32),
    )


def _npz_keys(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: wanted an .npz file, got {error}") from None


def npz_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Arrays semantic, instance and score of this package's `.npz`; raises InputError."""
    wanted = ("semantic", "instance", "score")
    missing = set(wanted) - set(_npz_keys(path))
    if missing:
        raise InputError(f"{path}: wanted arrays {', '.join(wanted)}, got none of {missing}")
    with np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in wanted}
