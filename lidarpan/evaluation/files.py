"""A dataset's truth and a folder of predictions -> pairs of label files, matched by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.datasets.nuscenes import NuScenesPanoptic
from lidarpan.datasets.packed_labels import (
    PackedLabels,
    unpack_kitti,
    unpack_nuscenes,
    unpack_scored,
)
from lidarpan.datasets.predictions import scan_stem
from lidarpan.datasets.semantickitti import SPLITS, sequences_folder
from lidarpan.scans.find import natural_key
from lidarpan.structures import InputError

_SHOWN_FAULTS = 100


@dataclass(frozen=True)
class LabelFiles:
    """The files of one scan.

    Attributes:
        name: "08/000123" or a nuScenes token; unique.
        sequence: "08" or a nuScenes scene, whose scans follow each other in time.
        truth: the true label file.
        prediction: the predicted one: as the benchmark wants it, or `.npz` with scores.
        scan: the scan file, which need not exist.
    """

    name: str
    sequence: str
    truth: Path
    prediction: Path
    scan: Path


def find_label_files(
    dataset: str, root: str | Path, predictions: str | Path, split: str
) -> list[LabelFiles]:
    """Pair the true label files of a split with their predictions, by name.

    Args:
        dataset: "semantickitti" or "nuscenes".
        root: of the dataset.
        predictions: the folder above `sequences` or `panoptic`; or what `lidarpan predict
            --format npz` wrote, which is taken where there are no files of the benchmark.
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
    left_over = {path for path in found - wanted if not _is_of_another_split(path, files[0])}
    faults += [f"{path}: no scan of the split has this name" for path in sorted(left_over)]
    raise_faults(faults, f"{len(wanted)} predictions, one per scan")
    return files


def read_pair(files: LabelFiles, classes: ClassTable) -> tuple[PackedLabels, PackedLabels]:
    """Read the prediction and the truth of a scan.

    Raises:
        InputError: a damaged file, a label that the dataset lacks, or files of different length.
    """
    if classes.name == "semantickitti":
        is_scored = files.prediction.suffix == ".npz"
        read = unpack_scored if is_scored else unpack_kitti
        predicted = read(files.prediction, classes)
        true = unpack_kitti(files.truth, classes)
    else:
        if _is_flat(files):
            predicted = unpack_scored(files.prediction, classes)
        else:
            predicted = unpack_nuscenes(files.prediction, classes, is_general=False)
        true = unpack_nuscenes(files.truth, classes, is_general=True)
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
    suffix = ".label"
    if not any(pred_folder.glob("*/predictions/*.label")) and any(
        pred_folder.glob("*/predictions/*.npz")
    ):
        suffix = ".npz"
    files = [
        LabelFiles(
            f"{sequence}/{truth.stem}",
            sequence,
            truth,
            pred_folder / sequence / "predictions" / f"{truth.stem}{suffix}",
            true_folder / sequence / "velodyne" / f"{truth.stem}.bin",
        )
        for sequence in SPLITS[split]
        for truth in sorted((true_folder / sequence / "labels").glob("*.label"), key=natural_key)
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
    is_flat = not folder.is_dir() and any(predictions.glob("*.npz"))
    if not folder.is_dir() and not is_flat:
        raise InputError(f"{predictions}: wanted panoptic/{split}/TOKEN_panoptic.npz in it")
    files = []
    for i in range(len(dataset)):
        truth, token = dataset.label_path(i), dataset.name(i)
        if truth is None or truth.suffix != ".npz":
            raise InputError(f"{root}: wanted panoptic labels of the {split} split, found none")
        name = f"{scan_stem(dataset.path(i))}.npz"
        prediction = predictions / name if is_flat else folder / f"{token}_panoptic.npz"
        files.append(LabelFiles(token, dataset.scene(i), truth, prediction, dataset.path(i)))
    return files


def _is_flat(files: LabelFiles) -> bool:
    """Whether a nuScenes prediction is named as the scan, not by its token."""
    return files.prediction.name == f"{scan_stem(files.scan)}.npz"


def _is_of_another_split(prediction: Path, files: LabelFiles) -> bool:
    """Whether a prediction that is named as its scan has one beside the scan of these files."""
    return _is_flat(files) and (files.scan.parent / f"{prediction.stem}.pcd.bin").is_file()
