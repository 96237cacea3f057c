"""Predicted labels of scan files: where they lie, how they are written, whether they are whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from os.path import commonpath
from pathlib import Path

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.datasets.label_files import ours, read_prediction
from lidarpan.datasets.nuscenes_labels import pack_panoptic, read_panoptic, write_panoptic
from lidarpan.datasets.nuscenes_tokens import find_token
from lidarpan.datasets.semantickitti import read_label, write_predictions
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.files import count_points
from lidarpan.scans.numpy_files import read_arrays
from lidarpan.scans.ply import read_ply, write_ply
from lidarpan.structures import InputError, PanopticLabels
from lidarpan.whole_file import whole_file

__all__ = [
    "FORMATS",
    "find_prediction",
    "is_complete",
    "prediction_path",
    "prediction_paths",
    "read_prediction",
    "scan_stem",
    "write_prediction",
]

FORMATS = ("semantickitti", "nuscenes", "npz", "ply")
_SUFFIX = {"semantickitti": ".label", "nuscenes": "_panoptic.npz", "npz": ".npz", "ply": ".ply"}


def prediction_path(out: str | Path, scan_path: str | Path, file_format: str) -> Path:
    """Where the prediction of a scan file lies below `out`.

    A scan in `NN/velodyne` goes to `sequences/NN/predictions`, a scan of a nuScenes tree to
    `panoptic/<split>/<token>_panoptic.npz` (format nuscenes), any other straight to `out`.

    Raises:
        InputError: an unknown format.
    """
    _check_format(file_format)
    out, scan_path = Path(out), Path(scan_path)
    name = scan_stem(scan_path) + _SUFFIX[file_format]
    if file_format == "nuscenes":
        found = find_token(scan_path)
        if found:
            return out / "panoptic" / found.split / f"{found.token}_panoptic.npz"
        return out / "panoptic" / name
    if scan_path.absolute().parent.name == "velodyne":
        return out / "sequences" / scan_path.absolute().parents[1].name / "predictions" / name
    return out / name


def prediction_paths(
    out: str | Path, scan_paths: Sequence[str | Path], file_format: str
) -> list[Path]:
    """Where the predictions of several scan files lie: as `prediction_path`, but each its own.

    Scans that would share a file go to folders named as their own below what they have in common.

    Raises:
        InputError: an unknown format.
    """
    paths = [prediction_path(out, scan, file_format) for scan in scan_paths]
    count = Counter(paths)
    if len(count) == len(paths):
        return paths
    scans = [Path(scan).absolute() for scan in scan_paths]
    above = Path(commonpath([scan.parent for scan in scans]))
    return [
        path
        if count[path] == 1
        else Path(out) / scan.relative_to(above).with_name(scan.name + _SUFFIX[file_format])
        for scan, path in zip(scans, paths, strict=True)
    ]


def scan_stem(scan_path: Path) -> str:
    """File name without its scan suffix: "a" of a.pcd.bin."""
    stem = scan_path.stem
    return stem[:-4] if scan_path.name.lower().endswith(".pcd.bin") else stem


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
        tried += [home / f"{stem}{end}" for end in (*_SUFFIX.values(), ".npy", "_lidarseg.bin")]
    found = next((path for path in tried if path.is_file()), None)
    if found is None:
        raise InputError(
            f"{folder}: no labels for {scan_path.name}: looked for {tried[0]}, "
            f"{folder / stem}.label|.npz|.ply|.npy and the like"
        )
    return found


def is_complete(path: Path, scan_path: Path, file_format: str) -> bool:
    """Whether a whole prediction of this scan is there, so that it need not be made again.

    It must be no older than the scan or its recording, read without error, and have a label for
    each point of the scan's file.
    """
    _check_format(file_format)
    is_frame = not scan_path.exists() and scan_path.parent.exists()  # of a recording
    source = scan_path.parent if is_frame else scan_path
    if not path.is_file() or path.stat().st_mtime_ns < source.stat().st_mtime_ns:
        return False
    try:
        match file_format:
            case "semantickitti":
                num_labels = len(read_label(path))
            case "nuscenes":
                num_labels = len(read_panoptic(path))
            case "npz":
                num_labels = len(ours(read_arrays(path), path)["instance"])
            case _:
                num_labels = len(read_ply(path)["x"])
        return is_frame or num_labels == count_points(scan_path)
    except (InputError, KeyError):
        return False


def refuse_inputs_as_outputs(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Raise an InputError where writing the outputs would replace an input."""
    ours = {path.absolute().resolve() for path in inputs}
    for path in outputs:
        if path.absolute().resolve() in ours:
            raise InputError(
                f"{path}: the labels would replace the scan of this name: choose another --out"
            )


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
        file_format: semantickitti (`.label`), nuscenes (`.npz` of 1000 * class + instance), npz
            (arrays semantic, instance, score, class_names, dataset) or ply (coloured by class).

    Raises:
        InputError: the labels do not fit the scan or the format, or the file cannot be written.
    """
    _check_format(file_format)
    if labels.num_points != loaded.scan.num_points:
        raise InputError(
            f"{path}: wanted {loaded.scan.num_points} labels as the scan has points, "
            f"got {labels.num_points}"
        )
    full = _of_file(labels, loaded)
    match file_format:
        case "semantickitti":
            if classes.name != "semantickitti":
                raise InputError(
                    f"{path}: wanted SemanticKITTI classes, got {classes.name}: "
                    "choose --format nuscenes, npz or ply"
                )
            write_predictions(path, full, classes)
        case "nuscenes":
            write_panoptic(path, pack_panoptic(full, classes))
        case "npz":
            _write_npz(path, full, classes)
        case _:
            _write_coloured(path, full, loaded, classes)
    return path


def _check_format(file_format: str) -> None:
    if file_format not in FORMATS:
        raise InputError(f"no format {file_format!r}: wanted {', '.join(FORMATS)}")


def _of_file(labels: PanopticLabels, loaded: LoadedScan) -> PanopticLabels:
    """Labels of the N scan points as labels of the M file points, void elsewhere."""
    if labels.num_points == loaded.num_file_points:
        return labels
    semantic = np.zeros(loaded.num_file_points, np.uint8)
    instance = np.zeros(loaded.num_file_points, np.int32)
    semantic[loaded.valid] = labels.semantic
    instance[loaded.valid] = labels.instance
    return PanopticLabels(semantic, instance, labels.score)


def _write_npz(path: Path, labels: PanopticLabels, classes: ClassTable) -> None:
    score = np.zeros(0, np.float32) if labels.score is None else labels.score
    with whole_file(path) as beside, beside.open("wb") as stream:
        np.savez_compressed(
            stream,
            semantic=labels.semantic,
            instance=labels.instance,
            score=score,
            class_names=np.array(classes.names),
            dataset=np.array(classes.name),
        )


def _write_coloured(
    path: Path, labels: PanopticLabels, loaded: LoadedScan, classes: ClassTable
) -> None:
    positions = np.zeros((loaded.num_file_points, 3), np.float32)
    positions[loaded.valid] = loaded.scan.points
    red, green, blue = classes.colors[labels.semantic].T
    x, y, z = positions.T
    comments = [f"class {i} {name}" for i, name in enumerate(classes.names)]
    columns = {"x": x, "y": y, "z": z, "red": red, "green": green, "blue": blue}
    write_ply(
        path,
        {**columns, "semantic": labels.semantic, "instance": labels.instance},
        [f"dataset {classes.name}", *comments],
    )
