"""Benchmark submissions: every fault of a folder of predictions, and the zip to upload."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lidarpan.datasets.dataset import Checked, Dataset
from lidarpan.datasets.open import find_dataset, open_dataset
from lidarpan.datasets.split import Split
from lidarpan.datasets.tracks import Places, find_breaks, places_of
from lidarpan.structures import InputError, Scan
from lidarpan.whole_file import whole_file

TASKS = ("segmentation", "tracking")
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
        dataset: whose rules.
        predictions: the folder above `sequences` or `panoptic`.
        split: the split that is predicted.
        wanted: path below `predictions` -> number of points, one per scan.
        task: "segmentation" or "tracking".
        scene_of: path -> its sequence or scene, for tracking.
        scans: the scans in the order of `wanted`, for tracking; None leaves positions unchecked.
        missing: (sequence, message) for what the benchmark's split has and the data has not.
    """

    dataset: Dataset
    predictions: Path
    split: str
    wanted: dict[str, int]
    task: str = "segmentation"
    scene_of: dict[str, str] = field(default_factory=dict)
    scans: Split | None = None
    missing: Sequence[tuple[str, str]] = ()


def open_submission(
    dataset: str | Dataset,
    predictions: str | Path,
    data: str | Path,
    split: str = "test",
    task: str = "segmentation",
) -> Submission:
    """Find out which files a benchmark wants of the predictions for a split.

    Args:
        dataset: as `find_dataset` takes it.
        predictions: the folder above `sequences` or `panoptic`, or that of the files.
        data: root of the dataset; its scans say what is wanted.
        split: as in `open_dataset`.
        task: "segmentation", or "tracking" for nuScenes' panoptic tracking and SemanticKITTI's 4D
            panoptic segmentation, whose ids stay with their object.

    Raises:
        InputError: a folder, split or task does not exist.
    """
    predictions = Path(predictions)
    if not predictions.is_dir():
        raise InputError(f"{predictions}: wanted a folder of predictions, found no such folder")
    if task not in TASKS:
        raise InputError(f"no task {task!r}: wanted {', '.join(TASKS)}")
    rules = find_dataset(dataset)
    scans = open_dataset(rules, data, split)
    wanted = {rules.prediction_of(f, split): rules.count_points(f) for f in scans.files}
    scene_of = dict(zip(wanted, (files.sequence for files in scans.files), strict=True))
    missing = rules.missing_scans(scans.files, split)
    return Submission(rules, predictions, split, wanted, task, scene_of, scans, missing)


def check_submission(submission: Submission, track: Track = iter) -> list[Fault]:
    """List every fault of a submission, file by file.

    SemanticKITTI: one `.label` per scan, as many labels as points, known raw labels, ids only on
    things. nuScenes: one `.npz` per token with `data`, (N,) uint16 = 1000 * challenge class +
    instance, instances 1..999 on things and 0 on others, and `<split>/submission.json`. For
    tracking, ids that last over a scene and stay in their place.

    Args:
        submission: from `open_submission`.
        track: wraps the files while they are read, such as rich.progress.track.
    """
    folder = submission.predictions
    faults = [Fault(place, message) for place, message in submission.missing]
    places: dict[str, list[Places]] = {}
    number = {name: i for i, name in enumerate(submission.wanted)}
    rules = submission.dataset
    for name in track(submission.wanted):
        checked = _file(submission, name)
        faults += [Fault(name, message, mended) for message, mended in checked.faults]
        if submission.task == "tracking" and checked.labels is not None:
            scene = places.setdefault(submission.scene_of.get(name, ""), [])
            ids = rules.lasting_ids(checked.labels)
            scene.append(places_of(ids, _scan(submission, number[name])))
    there = {path.relative_to(folder).as_posix() for path in _found(submission)}
    for name in sorted(there - set(submission.wanted)):
        faults.append(Fault(name, f"not a scan of the {submission.split} split", is_mended=True))
    breaks = {scene: find_breaks(scans) for scene, scans in places.items()}
    said = {scene: message for scene, message in breaks.items() if message}
    faults += [Fault(_title(submission, scene), message) for scene, message in said.items()]
    papers = rules.check_papers(folder, submission.split, submission.task)
    return faults + [Fault(name, message, is_mended=True) for name, message in papers]


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
            _add(archive, name, _file(submission, name).content)
        papers = submission.dataset.papers(
            submission.predictions, submission.split, submission.task, description
        )
        for name, content in papers.items():
            _add(archive, name, content)
    return []


def _found(submission: Submission) -> Iterable[Path]:
    """What lies where predictions of the split belong.

    Without a folder of their own next to them: files of other splits and notes may lie around.
    """
    rules, folder = submission.dataset, submission.predictions
    home = rules.home(submission.split)
    if home:
        return (folder / home).rglob("*.*")
    homes = sorted({(folder / name).parent for name in submission.wanted})
    return (path for place in homes for path in place.glob(f"*{rules.suffix}"))


def _title(submission: Submission, scene: str) -> str:
    """What to call a scene in faults."""
    named = scene if scene[:1].isalpha() else f"sequence {scene}"
    home = submission.dataset.home(submission.split)
    return f"{home}, {named}" if home else named


def _scan(submission: Submission, i: int) -> Scan | None:
    """Scan i, None where its file cannot be read: the benchmark has its own."""
    if submission.scans is None:
        return None
    try:
        return submission.scans[i]
    except InputError:
        return None


def _file(submission: Submission, name: str) -> Checked:
    """The mended bytes of a file, and its faults."""
    path, num_points = submission.predictions / name, submission.wanted[name]
    if not path.is_file():
        return Checked(b"", faults=[("missing", False)])
    return submission.dataset.check_prediction(
        path, num_points, is_tracking=submission.task == "tracking"
    )


def _folders(names: Iterable[str]) -> list[str]:
    """Every folder above the named files, as zip entries, outer ones first."""
    above = {parent for name in names for parent in Path(name).parents}
    return sorted(f"{folder.as_posix()}/" for folder in above if folder.name)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _ZIP_DATE)  # the same bytes each time
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, content)
