"""A dataset's truth and a folder of predictions -> pairs of label files, matched by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.datasets.nuscenes import NuScenesPanoptic
from lidarpan.datasets.nuscenes_labels import FACTOR, NUM_CHALLENGE, read_panoptic
from lidarpan.datasets.semantickitti import SPLITS, read_label, sequences_folder
from lidarpan.structures import InputError

_UNKNOWN = 255
_SHOWN_FAULTS = 100


@dataclass(frozen=True)
class LabelFiles:
    """The files of one scan.

    Attributes:
        name: "08/000123" or a nuScenes token; unique.
        sequence: "08" or a nuScenes scene, whose scans follow each other in time.
        truth: the true label file.
        prediction: the predicted one.
        scan: the scan file, which need not exist.
    """

    name: str
    sequence: str
    truth: Path
    prediction: Path
    scan: Path


@dataclass(frozen=True)
class PackedLabels:
    """A label file's content: what the benchmarks score.

    Attributes:
        semantic: (N,) uint8 train ids.
        packed: (N,) int64 labels as in the file: class and instance in one number.
        instance: (N,) int64 the instance part alone.
    """

    semantic: NDArray[np.uint8]
    packed: NDArray[np.int64]
    instance: NDArray[np.int64]

    def ids(self, protocol: str) -> NDArray[np.int64]:
        """What tells segments of a class apart: the whole label, or for "upper16" its instance."""
        return self.instance if protocol == "upper16" else self.packed


def find_label_files(
    dataset: str, root: str | Path, predictions: str | Path, split: str
) -> list[LabelFiles]:
    """Pair the true label files of a split with their predictions, by name.

    Args:
        dataset: "semantickitti" or "nuscenes".
        root: of the dataset.
        predictions: the folder above `sequences` or `panoptic`.
        split: a split of the dataset; those of its sequences or scenes that exist are used.

    Raises:
        InputError: no such folders or split, no truth, or predictions that lack or have no truth:
            all of them are listed.
    """
    predictions = Path(predictions)
    if not predictions.is_dir():
        raise InputError(f"{predictions}: wanted a folder of predictions, found no such folder")
    match dataset:
        case "semantickitti":
            files = _semantickitti_files(Path(root), predictions, split)
        case "nuscenes":
            files = _nuscenes_files(Path(root), predictions, split)
        case _:
            raise InputError(f"no dataset {dataset!r}: wanted semantickitti or nuscenes")
    wanted = {pair.prediction for pair in files}
    folders = sorted({path.parent for path in wanted})
    found = {path for folder in folders for path in folder.glob(f"*{files[0].prediction.suffix}")}
    empty = [folder for folder in folders if not any(path.parent == folder for path in found)]
    faults = [f"{folder}: wanted predictions, found none" for folder in empty]
    missing = sorted(wanted - found)
    faults += [f"{path}: no such file" for path in missing if path.parent not in empty]
    faults += [f"{path}: no scan of the split has this name" for path in sorted(found - wanted)]
    raise_faults(faults, f"{len(wanted)} predictions, one per scan")
    return files


def read_pair(files: LabelFiles, classes: ClassTable) -> tuple[PackedLabels, PackedLabels]:
    """Read the prediction and the truth of a scan.

    Raises:
        InputError: a damaged file, a label that the dataset lacks, or files of different length.
    """
    if classes.name == "semantickitti":
        predicted = _unpack_kitti(files.prediction, classes)
        true = _unpack_kitti(files.truth, classes)
    else:
        predicted = _unpack_nuscenes(files.prediction, classes, is_general=False)
        true = _unpack_nuscenes(files.truth, classes, is_general=True)
    if len(predicted.semantic) != len(true.semantic):
        raise InputError(
            f"{files.prediction}: wanted {len(true.semantic)} labels as {files.truth} has, "
            f"got {len(predicted.semantic)}"
        )
    return predicted, true


def read_xy(files: LabelFiles, dataset: str, num_points: int) -> NDArray[np.float32] | None:
    """(N, 2) positions of a scan, metres; None where its file is absent or of another size."""
    columns = 4 if dataset == "semantickitti" else 5
    file = files.scan
    if not file.is_file() or file.stat().st_size != 4 * columns * num_points:
        return None
    return np.fromfile(file, np.float32).reshape(-1, columns)[:, :2]


def raise_faults(faults: list[str], wanted: str) -> None:
    """Raise one InputError that lists the faults a line each, or none where there are none."""
    if len(faults) == 1:
        raise InputError(f"{faults[0]} (wanted {wanted})")
    if faults:
        lines = faults[:_SHOWN_FAULTS]
        if len(faults) > len(lines):
            lines.append(f"and {len(faults) - len(lines)} more")
        raise InputError(f"{len(faults)} faults, wanted {wanted}:\n" + "\n".join(lines))


def _semantickitti_files(root: Path, predictions: Path, split: str) -> list[LabelFiles]:
    if split not in SPLITS:
        raise InputError(f"no split {split!r} of SemanticKITTI: wanted {', '.join(SPLITS)}")
    true_folder = sequences_folder(root)
    pred_folder = predictions if predictions.name == "sequences" else predictions / "sequences"
    if not pred_folder.is_dir():
        raise InputError(f"{predictions}: wanted sequences/NN/predictions/NNNNNN.label in it")
    files = [
        LabelFiles(
            f"{sequence}/{truth.stem}",
            sequence,
            truth,
            pred_folder / sequence / "predictions" / truth.name,
            true_folder / sequence / "velodyne" / f"{truth.stem}.bin",
        )
        for sequence in SPLITS[split]
        for truth in sorted((true_folder / sequence / "labels").glob("*.label"))
    ]
    if not files:
        there = sorted(folder.parent.name for folder in true_folder.glob("*/labels"))
        raise InputError(
            f"{true_folder}: wanted labels of the {split} split (sequences "
            f"{', '.join(SPLITS[split])}), got sequences {', '.join(there) or 'none'}"
        )
    return files


def _nuscenes_files(root: Path, predictions: Path, split: str) -> list[LabelFiles]:
    dataset = NuScenesPanoptic(root, split)
    folder = predictions / split if predictions.name == "panoptic" else None
    folder = folder or predictions / "panoptic" / split
    if not folder.is_dir():
        raise InputError(f"{predictions}: wanted panoptic/{split}/TOKEN_panoptic.npz in it")
    files = []
    for i in range(len(dataset)):
        truth, token = dataset.label_path(i), dataset.name(i)
        if truth is None or truth.suffix != ".npz":
            raise InputError(f"{root}: wanted panoptic labels of the {split} split, found none")
        prediction = folder / f"{token}_panoptic.npz"
        files.append(LabelFiles(token, dataset.scene(i), truth, prediction, dataset.path(i)))
    return files


def _unpack_kitti(file: Path, classes: ClassTable) -> PackedLabels:
    packed = read_label(file).astype(np.int64)
    semantic = _train_table(classes)[packed & 0xFFFF]
    if semantic.size and int(semantic.max()) == _UNKNOWN:
        unknown = np.unique(packed[semantic == _UNKNOWN] & 0xFFFF)[:5].tolist()
        raise InputError(f"{file}: labels {unknown} are not SemanticKITTI raw labels")
    return PackedLabels(semantic, packed, packed >> 16)


def _unpack_nuscenes(file: Path, classes: ClassTable, *, is_general: bool) -> PackedLabels:
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
