"""Predicted labels of scan files: where they lie, how they are written, whether they are whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path
from typing import Protocol

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.datasets.dataset import Dataset
from lidarpan.datasets.folder import LABEL_ENDS, FolderDataset
from lidarpan.datasets.label_files import ours
from lidarpan.datasets.open import SHIPPED, dataset_names, find_dataset
from lidarpan.datasets.paths import mirrored_path, plain_path, scan_stem
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.numpy_files import read_arrays, write_arrays
from lidarpan.scans.ply import read_ply, write_ply
from lidarpan.scans.source import Frame
from lidarpan.structures import InputError, PanopticLabels

FORMATS = (*SHIPPED, "npz", "ply")
"""The formats that are known by name; every other dataset is one too."""


class Format(Protocol):
    """One way to write labels."""

    def path(self, out: Path, scan_path: Path) -> Path:
        """Where the labels of a scan file lie below `out`."""
        ...

    def write(
        self, path: Path, full: PanopticLabels, loaded: LoadedScan, classes: ClassTable
    ) -> None:
        """Write labels of all points of a scan's file."""
        ...

    def count(self, path: Path) -> int:
        """How many labels a file has; InputError where it is damaged."""
        ...


def find_format(file_format: str, classes: ClassTable | None = None) -> Format:
    """Find a format by its name.

    Args:
        file_format: "npz", "ply", or a dataset as `find_dataset` takes it.
        classes: of the labels to write; those of a dataset's own name its layout.

    Raises:
        InputError: an unknown format.
    """
    own = None if classes is None or classes.name in dataset_names() else classes
    if own is not None and file_format == own.name:
        return _DatasetFormat(FolderDataset(own))
    match file_format:
        case "npz":
            return _Scored(None if own is None else FolderDataset(own))
        case "ply":
            return _Coloured()
        case _:
            try:
                return _DatasetFormat(find_dataset(file_format))
            except InputError as error:
                if not str(error).startswith("no dataset"):
                    raise
                wanted = str(error).partition(": wanted ")[2]
                wanted = wanted.replace("nuscenes,", "nuscenes, npz, ply,")
                raise InputError(f"no format {file_format!r}: wanted {wanted}") from None


def prediction_path(
    out: str | Path, scan_path: str | Path, file_format: str, classes: ClassTable | None = None
) -> Path:
    """Where the prediction of a scan file lies below `out`.

    A scan in `NN/velodyne` goes to `sequences/NN/predictions`, a scan of a nuScenes tree to
    `panoptic/<split>/<token>_panoptic.npz` (format nuscenes), any other straight to `out`.

    Raises:
        InputError: an unknown format.
    """
    return find_format(file_format, classes).path(Path(out), Path(scan_path))


def prediction_paths(
    out: str | Path,
    scan_paths: Sequence[str | Path],
    file_format: str,
    classes: ClassTable | None = None,
) -> list[Path]:
    """Where the predictions of several scan files lie: as `prediction_path`, but each its own.

    Scans that would share a file go to folders named as their own below what they have in common.

    Raises:
        InputError: an unknown format.
    """
    chosen = find_format(file_format, classes)
    paths = [chosen.path(Path(out), Path(scan)) for scan in scan_paths]
    count = Counter(paths)
    if len(count) == len(paths):
        return paths
    scans = [Path(scan).absolute() for scan in scan_paths]
    above = Path(commonpath([scan.parent for scan in scans]))
    return [
        path
        if count[path] == 1
        else Path(out)
        / scan.relative_to(above).with_name(scan.name + path.name[len(scan_stem(scan)) :])
        for scan, path in zip(scans, paths, strict=True)
    ]


def find_prediction(folder: str | Path, scan_path: str | Path) -> Path:
    """The label file of a scan in a folder of predictions or semantics, whatever its format.

    Raises:
        InputError: there is none; the message says where it was looked for.
    """
    folder, scan_path = Path(folder), Path(scan_path)
    stem, sequence = scan_stem(scan_path), scan_path.absolute().parents[1].name
    tried = [prediction_path(folder, scan_path, file_format) for file_format in FORMATS]
    homes = [
        folder,
        *(folder / "sequences" / sequence / kind for kind in ("predictions", "labels")),
    ]
    for home in homes:
        tried += [home / f"{stem}{end}" for end in LABEL_ENDS]
    tried += [mirrored_path(folder, scan_path, end) for end in LABEL_ENDS]
    tried += _lidarseg_results(folder, tried)
    found = next((path for path in tried if path.is_file()), None)
    if found is None:
        raise InputError(
            f"{folder}: no labels for {scan_path.name}: looked for {tried[0]}, "
            f"{folder / stem}.label|.npz|.ply|.npy and the like"
        )
    return found


def _lidarseg_results(folder: Path, tried: Sequence[Path]) -> list[Path]:
    """Where nuScenes' lidarseg benchmark wants the classes of a scan, beside panoptic ones."""
    panoptic = [path for path in tried if path.name.endswith("_panoptic.npz")]
    return [
        home / path.name.replace("_panoptic.npz", "_lidarseg.bin")
        for path in panoptic
        for split in [path.parent.name]
        for home in (folder / "lidarseg" / split, folder / split, folder)
    ]


def is_complete(
    path: Path, frame: Frame, file_format: str, classes: ClassTable | None = None
) -> bool:
    """Whether a whole prediction of this scan is there, so that it need not be made again.

    It must be no older than the scan's files or its recording, read without error, and have a label
    for each point of the files.
    """
    chosen = find_format(file_format, classes)
    inputs = frame.inputs or (frame.path.parent,)
    try:
        made_ns = path.stat().st_mtime_ns
        if not path.is_file() or any(made_ns < file.stat().st_mtime_ns for file in inputs):
            return False
        num_labels = chosen.count(path)
        return frame.count is None or num_labels == frame.count()
    except (InputError, KeyError, OSError):
        return False


def write_prediction(
    path: Path,
    labels: PanopticLabels,
    loaded: LoadedScan,
    classes: ClassTable,
    file_format: str,
) -> Path:
    """Write the labels of the N usable points as labels of the M points of the file.

    The unusable points are void. A format of another dataset than the class table's gets the
    nearest classes where there are any (SemanticKITTI to nuScenes). Folders are made as needed.

    Args:
        path: from `prediction_path`.
        labels: of loaded.scan.
        loaded: the scan and which points of its file it has.
        classes: of the labels.
        file_format: npz (arrays semantic, instance, score, class_names, dataset, and confidence in
            steps of 1 / 255), ply (coloured by class, with the confidence), or a dataset:
            semantickitti (`.label`), nuscenes (`.npz` of 1000 * class + instance), the name of
            `classes` themselves (`.label`).

    Raises:
        InputError: the labels do not fit the scan or the format, or the file cannot be written.
    """
    chosen = find_format(file_format, classes)
    if labels.num_points != loaded.scan.num_points:
        raise InputError(
            f"{path}: wanted {loaded.scan.num_points} labels as the scan has points, "
            f"got {labels.num_points}"
        )
    chosen.write(path, labels.spread_over(loaded.valid), loaded, classes)
    return path


@dataclass(frozen=True)
class _DatasetFormat:
    """As a dataset wants predictions."""

    dataset: Dataset

    def path(self, out: Path, scan_path: Path) -> Path:
        return self.dataset.prediction_path(out, scan_path)

    def write(
        self, path: Path, full: PanopticLabels, loaded: LoadedScan, classes: ClassTable
    ) -> None:
        self.dataset.write_prediction(path, full, classes)

    def count(self, path: Path) -> int:
        return self.dataset.read_prediction(path).num_points


@dataclass(frozen=True)
class _Scored:
    """This package's `.npz`, with a score per instance; where the dataset looks for it."""

    dataset: Dataset | None

    def path(self, out: Path, scan_path: Path) -> Path:
        if self.dataset is not None:
            return self.dataset.scored_path(out, scan_path)
        return plain_path(out, scan_path, ".npz")

    def write(
        self, path: Path, full: PanopticLabels, loaded: LoadedScan, classes: ClassTable
    ) -> None:
        score = np.zeros(0, np.float32) if full.score is None else full.score
        more = {}
        if full.confidence is not None:  # finer steps would take as much room as the rest
            more = {"confidence": np.round(full.confidence * 255).astype(np.uint8)}
        write_arrays(
            path,
            **more,
            semantic=full.semantic,
            instance=full.instance,
            score=score,
            class_names=np.array(classes.names),
            dataset=np.array(classes.name),
        )

    def count(self, path: Path) -> int:
        return len(ours(read_arrays(path), path)["instance"])


class _Coloured:
    """A `.ply` of the points, coloured by class."""

    def path(self, out: Path, scan_path: Path) -> Path:
        return plain_path(out, scan_path, ".ply")

    def write(
        self, path: Path, full: PanopticLabels, loaded: LoadedScan, classes: ClassTable
    ) -> None:
        positions = np.zeros((loaded.num_file_points, 3), np.float32)
        positions[loaded.valid] = loaded.scan.points
        red, green, blue = classes.colors[full.semantic].T
        x, y, z = positions.T
        comments = [f"class {i} {name}" for i, name in enumerate(classes.names)]
        columns = {"x": x, "y": y, "z": z, "red": red, "green": green, "blue": blue}
        more = {} if full.confidence is None else {"confidence": full.confidence}
        write_ply(
            path,
            {**columns, "semantic": full.semantic, "instance": full.instance, **more},
            [f"dataset {classes.name}", *comments],
        )

    def count(self, path: Path) -> int:
        return len(read_ply(path)["x"])
