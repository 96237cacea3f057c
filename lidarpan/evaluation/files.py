"""A dataset's truth and a folder of predictions -> pairs of label files, matched by name."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.datasets.dataset import Dataset, ScanFiles
from lidarpan.datasets.label_files import read_scored
from lidarpan.datasets.open import find_dataset
from lidarpan.datasets.packed_labels import PackedLabels
from lidarpan.datasets.paths import scan_stem
from lidarpan.errors import InputError, naming

_SHOWN_FAULTS = 100
_log = logging.getLogger("lidarpan")


@dataclass(frozen=True)
class LabelFiles:
    """The files of one scan.

    Attributes:
        dataset: whose scan it is.
        files: its scan file, which need not exist, and its true label file.
        prediction: the predicted one: as the benchmark wants it, or `.npz` with scores.
        is_scored: whether it is the latter.
    """

    dataset: Dataset
    files: ScanFiles
    prediction: Path
    is_scored: bool = False

    @property
    def name(self) -> str:
        """Unique: sequence and number, or a token."""
        return self.files.name

    @property
    def sequence(self) -> str:
        """The sequence or scene, whose scans follow each other in time."""
        return self.files.sequence

    @property
    def scan(self) -> Path:
        """The scan file, which need not exist."""
        return self.files.scan

    @property
    def truth(self) -> Path:
        """The true label file."""
        return self.files.truth


def find_label_files(
    dataset: str | Dataset, root: str | Path, predictions: str | Path, split: str
) -> list[LabelFiles]:
    """Pair the true label files of a split with their predictions, by name.

    Args:
        dataset: as `find_dataset` takes it.
        root: of the dataset.
        predictions: the folder above `sequences` or `panoptic`, or that of the files; or what
            `lidarpan predict --format npz` wrote, which is taken where there are no files of the
            benchmark.
        split: a split of the dataset; those of its sequences or scenes that exist are used.

    Raises:
        InputError: no such folders or split, no truth, or predictions that lack or have no truth:
            all of them are listed.
    """
    predictions = Path(predictions)
    if not predictions.is_dir():
        raise InputError(f"{predictions}: wanted a folder of predictions, found no such folder")
    rules = find_dataset(dataset)
    truth = rules.list_truth(Path(root), split)
    pairs = _pairs(rules, truth, predictions, split)
    wanted = {pair.prediction for pair in pairs}
    folders = sorted({path.parent for path in wanted})
    suffix = ".npz" if pairs[0].is_scored else rules.suffix
    found = {path for folder in folders for path in folder.glob(f"*{suffix}")}
    empty = [folder for folder in folders if not any(path.parent == folder for path in found)]
    faults = [f"{folder}: wanted predictions, found none" for folder in empty]
    missing = sorted(wanted - found)
    faults += [f"{path}: no such file" for path in missing if path.parent not in empty]
    left_over = sorted(
        found - wanted - _without_truth(rules, Path(root), pairs, predictions, split)
    )
    home = rules.home(split)
    if not home or f"/{home}/" not in pairs[0].prediction.absolute().as_posix():
        of_others = _scan_names(truth)  # scans of another split may have their labels here
        left_over = [path for path in left_over if path.name.removesuffix(suffix) not in of_others]
    faults += [f"{path}: no scan of the split has this name" for path in left_over]
    raise_faults(faults, f"{len(wanted)} predictions, one per scan")
    return pairs


def _pairs(
    rules: Dataset, truth: list[ScanFiles], predictions: Path, split: str
) -> list[LabelFiles]:
    """Each scan with its prediction, which need not exist; InputError where none does."""
    above = predictions.parent if predictions.name == rules.top else predictions
    usual = [LabelFiles(rules, files, above / rules.prediction_of(files, split)) for files in truth]
    folders = {pair.prediction.parent for pair in usual}
    if any(any(folder.glob(f"*{rules.suffix}")) for folder in folders):
        return usual
    scored = [
        LabelFiles(rules, files, rules.scored_path(above, files.scan), True) for files in truth
    ]
    if any(any(folder.glob("*.npz")) for folder in {pair.prediction.parent for pair in scored}):
        return scored
    if not any(folder.is_dir() for folder in folders):
        raise InputError(f"{predictions}: wanted {rules.layout} in it")
    return usual


def _without_truth(
    rules: Dataset, root: Path, pairs: list[LabelFiles], predictions: Path, split: str
) -> set[Path]:
    """Predictions of scans that nobody has labelled, which are said and not scored."""
    try:
        scans = rules.list_scans(root, split)
    except InputError:
        return set()  # true labels can be scored without the scans
    scored = {pair.name for pair in pairs}
    others = [files for files in scans if files.name not in scored]
    if not others:
        return set()
    _log.warning(
        "%s: %d of %d scans of the %s split have no true labels: they are not scored",
        root, len(others), len(scans), split,
    )  # fmt: skip
    above = predictions.parent if predictions.name == rules.top else predictions
    if pairs[0].is_scored:
        return {rules.scored_path(above, files.scan) for files in others}
    return {above / rules.prediction_of(files, split) for files in others}


def _scan_names(truth: list[ScanFiles]) -> set[str]:
    """What all scans beside those of the split are called."""
    folders = {files.scan.parent for files in truth}
    return {scan_stem(path) for folder in folders if folder.is_dir() for path in folder.iterdir()}


def read_pair(files: LabelFiles) -> tuple[PackedLabels, PackedLabels]:
    """Read the prediction and the truth of a scan.

    Raises:
        InputError: a damaged file, a label that the dataset lacks, or files of different length.
    """
    rules = files.dataset
    if files.is_scored:
        labels, own = read_scored(files.prediction, rules.classes)
        with naming(files.prediction):
            predicted = rules.pack(labels, own)
    else:
        predicted = rules.read_prediction(files.prediction)
    true = rules.truth_of(files.files)
    if len(predicted.semantic) != len(true.semantic):
        raise InputError(
            f"{files.prediction}: wanted {len(true.semantic)} labels as {files.truth} has, "
            f"got {len(predicted.semantic)}"
        )
    return predicted, true


def read_xy(files: LabelFiles, num_points: int) -> NDArray[np.float32] | None:
    """(N, 2) positions of a scan, metres; None where its file is absent, damaged or another."""
    try:
        loaded = files.dataset.read_scan(files.files)
    except (InputError, OSError):
        return None  # the scores do not need it
    is_whole = loaded.num_file_points == num_points == loaded.scan.num_points
    return loaded.scan.points[:, :2] if is_whole else None


def raise_faults(faults: list[str], wanted: str) -> None:
    """Raise one InputError that lists the faults a line each, or none where there are none."""
    if len(faults) == 1:
        raise InputError(f"{faults[0]} (wanted {wanted})")
    if faults:
        lines = faults[:_SHOWN_FAULTS]
        if len(faults) > len(lines):
            lines.append(f"and {len(faults) - len(lines)} more")
        raise InputError(f"{len(faults)} faults, wanted {wanted}:\n" + "\n".join(lines))
