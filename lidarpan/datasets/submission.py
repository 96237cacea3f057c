"""Benchmark submissions: every fault of a folder of predictions, and the zip to upload."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lidarpan.datasets.dataset import Dataset
from lidarpan.datasets.open import open_dataset
from lidarpan.datasets.submission_files import File, check_label, check_panoptic
from lidarpan.datasets.whole_file import whole_file
from lidarpan.structures import InputError

TASKS = ("segmentation", "tracking")
_META = {
    "use_camera": False,
    "use_lidar": True,
    "use_radar": False,
    "use_map": False,
    "use_external": False,
}
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)

Track = Callable[[Iterable[str]], Iterable[str]]


@dataclass(frozen=True)
class Fault:
    """What is wrong with one file of a submission.

    Attributes:
        file: path below the folder of predictions.
        message: wanted, got.
        is_mended: whether `fix` mends it in the zip.
    """

    file: str
    message: str
    is_mended: bool = False

    def __str__(self) -> str:
        """One line."""
        return f"{self.file}: {self.message}"


@dataclass(frozen=True)
class Submission:
    """A folder of predictions, and what the benchmark wants of it.

    Attributes:
        dataset: "semantickitti" or "nuscenes".
        predictions: the folder above `sequences` or `panoptic`.
        split: the split that is predicted.
        wanted: path below `predictions` -> number of points, one per scan.
        task: of nuScenes, "segmentation" or "tracking".
    """

    dataset: str
    predictions: Path
    split: str
    wanted: dict[str, int]
    task: str = "segmentation"


def open_submission(
    dataset: str,
    predictions: str | Path,
    data: str | Path,
    split: str = "test",
    task: str = "segmentation",
) -> Submission:
    """Find out which files a benchmark wants of the predictions for a split.

    Args:
        dataset: "semantickitti" or "nuscenes".
        predictions: the folder above `sequences` or `panoptic`.
        data: root of the dataset; its scans say what is wanted.
        split: as in `open_dataset`.
        task: of nuScenes, "segmentation" or "tracking".

    Raises:
        InputError: a folder, split or task does not exist.
    """
    predictions = Path(predictions)
    if not predictions.is_dir():
        raise InputError(f"{predictions}: wanted a folder of predictions, found no such folder")
    if task not in TASKS:
        raise InputError(f"no task {task!r}: wanted {', '.join(TASKS)}")
    scans = open_dataset(dataset, data, split)
    wanted = dict(_wanted(dataset, scans, i, split) for i in range(len(scans)))
    return Submission(dataset, predictions, split, wanted, task)


def check_submission(submission: Submission, track: Track = iter) -> list[Fault]:
    """List every fault of a submission, file by file.

    SemanticKITTI: one `.label` per scan, as many labels as points, known raw labels, ids only on
    things. nuScenes: one `.npz` per token with `data`, (N,) uint16 = 1000 * challenge class +
    instance, instances 1..999 on things and 0 on others, and `<split>/submission.json`.

    Args:
        submission: from `open_submission`.
        track: wraps the files while they are read, such as rich.progress.track.
    """
    folder = submission.predictions
    faults = []
    for name in track(submission.wanted):
        faults += [Fault(name, message, mended) for message, mended in _file(submission, name)[1]]
    top = "sequences" if submission.dataset == "semantickitti" else f"panoptic/{submission.split}"
    there = {path.relative_to(folder).as_posix() for path in (folder / top).rglob("*.*")}
    for name in sorted(there - set(submission.wanted)):
        faults.append(Fault(name, f"not a scan of the {submission.split} split", is_mended=True))
    if submission.dataset == "nuscenes":
        faults += _check_meta(submission)
    return faults


def pack_submission(
    submission: Submission,
    zip_path: str | Path,
    *,
    fix: bool = False,
    description: str | None = None,
    track: Track = iter,
) -> list[Fault]:
    """Write the zip that the benchmark's server takes, whole or not at all.

    Args:
        submission: from `open_submission`.
        zip_path: to write, ending in `.zip`.
        fix: mend in the zip what can be mended without guessing (instance ids on stuff, dtypes,
            things without an id, files that do not belong, a wrong submission.json); the
            predictions themselves are left as they are. A submission.json that is missing is
            written without: LiDAR alone, the task as given.
        description: text for SemanticKITTI's description.txt.
        track: wraps the files while they are read.

    Returns:
        The faults that keep the zip from being written; none once it is.

    Raises:
        InputError: the zip cannot be written.
    """
    zip_path = Path(zip_path)
    if zip_path.suffix != ".zip":
        raise InputError(f"{zip_path}: wanted a name that ends in .zip")
    faults = [
        fault
        for fault in check_submission(submission, track)
        if not fault.is_mended or not (fix or fault.message.startswith("missing"))
    ]
    if faults:
        return faults
    with (
        whole_file(zip_path) as beside,
        zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive,
    ):
        for folder in _folders(submission.wanted):
            archive.writestr(zipfile.ZipInfo(folder, _ZIP_DATE), b"")
        for name in submission.wanted:
            _add(archive, name, _file(submission, name)[0])
        if submission.dataset == "nuscenes":
            meta = {"meta": {"task": submission.task, **_meta_of(submission)}}
            name = f"{submission.split}/submission.json"
            _add(archive, name, json.dumps(meta, indent=1).encode())
        elif description is not None:
            _add(archive, "description.txt", description.encode())
    return []


def _wanted(dataset: str, scans: Dataset, i: int, split: str) -> tuple[str, int]:
    """Where the prediction of scan i lies, and how many points it has."""
    size = scans.path(i).stat().st_size
    if dataset == "semantickitti":
        sequence, number = scans.name(i).split("/")
        return f"sequences/{sequence}/predictions/{number}.label", size // 16
    return f"panoptic/{split}/{scans.name(i)}_panoptic.npz", size // 20


def _file(submission: Submission, name: str) -> File:
    """The mended bytes of a file, and its faults: (message, whether mended)."""
    path, num_points = submission.predictions / name, submission.wanted[name]
    if not path.is_file():
        return b"", [("missing", False)]
    if submission.dataset == "semantickitti":
        return check_label(path, num_points)
    return check_panoptic(path, num_points)


def _meta_path(submission: Submission) -> Path:
    return submission.predictions / submission.split / "submission.json"


def _meta_of(submission: Submission) -> dict[str, bool]:
    """What submission.json says of the inputs used; LiDAR alone where it says nothing."""
    try:
        meta = json.loads(_meta_path(submission).read_text())["meta"]
        return {key: bool(meta.get(key, usual)) for key, usual in _META.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return dict(_META)


def _check_meta(submission: Submission) -> list[Fault]:
    path = _meta_path(submission)
    name = f"{submission.split}/submission.json"
    if not path.is_file():
        return [Fault(name, "missing; wanted {'meta': {'task', 'use_lidar', ...}}", True)]
    try:
        meta = json.loads(path.read_text())["meta"]
    except (ValueError, KeyError, TypeError) as error:
        return [Fault(name, f"wanted JSON with an object 'meta', got {error!r}", True)]
    if not isinstance(meta, dict):
        return [Fault(name, f"wanted an object 'meta', got {meta!r}", True)]
    faults = []
    if meta.get("task") != submission.task:
        message = f"wanted task {submission.task!r}, got {meta.get('task')!r}"
        faults.append(Fault(name, message, True))
    faults += [
        Fault(name, f"wanted {key} true or false, got {meta.get(key)!r}", True)
        for key in _META
        if not isinstance(meta.get(key), bool)
    ]
    return faults


def _folders(names: Iterable[str]) -> list[str]:
    """Every folder above the named files, as zip entries, outer ones first."""
    above = {parent for name in names for parent in Path(name).parents}
    return sorted(f"{folder.as_posix()}/" for folder in above if folder.name)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _ZIP_DATE)  # the same bytes each time
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, content)
