"""What a dataset decides, and the plain answer to each question.

A dataset of one's own inherits from `Dataset` and answers what is different: as a rule which scans
there are (`list_scans`). docs/datasets.md shows one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable, load_class_table
from lidarpan.datasets.kitti_labels import (
    read_label,
    read_packed,
    split_label,
    write_predictions,
)
from lidarpan.datasets.label_files import read_prediction
from lidarpan.datasets.packed_labels import PackedLabels
from lidarpan.datasets.paths import plain_path, scan_stem
from lidarpan.scans.fields import Fields, FileFields, LoadedScan, scan_of_fields
from lidarpan.scans.files import count_points, load_scan
from lidarpan.scans.inspection import EXPECTED_HEIGHT_M
from lidarpan.structures import InputError, PanopticLabels


@dataclass(frozen=True)
class ScanFiles:
    """One scan of a dataset.

    Attributes:
        name: unique in the dataset, such as "08/000123".
        sequence: its drive or scene, whose scans follow each other in time.
        scan: the scan file.
        labels: the file of its truth, None without.
        world_T_sensor: (4, 4) float64 pose, None where it is not known.
    """

    name: str
    sequence: str
    scan: Path
    labels: Path | None = None
    world_T_sensor: NDArray[np.float64] | None = None

    @property
    def truth(self) -> Path:
        """The file of its truth; InputError where there is none."""
        if self.labels is None:
            raise InputError(f"{self.scan}: wanted true labels, there are none")
        return self.labels


Report = Callable[[InputError, str], None]
"""Takes what is wrong where the work goes on, and what it is wrong with: poses or labels."""


@dataclass(frozen=True)
class Checked:
    """A file of a submission.

    Attributes:
        content: its bytes with all that was mended; empty where it cannot be used.
        labels: what the content says; None where it cannot be used.
        faults: (message, whether the content is mended of it).
    """

    content: bytes
    labels: PackedLabels | None = None
    faults: Sequence[tuple[str, bool]] = ()


class Dataset(Protocol):
    """A labelled dataset: its classes, its files, and the rules by which it is scored.

    Attributes:
        name: how it is called on the command line.
        classes: what its labels mean; `min_points` is the rule of its score.
        title: how it is called in sentences; "" is as its name.
        suffix: of a file of predicted labels.
        top: name of the folder that holds all predictions, "" without.
        drops_points: whether a scan may have fewer points than its file (NaN, no returns).
        step_s: between two scans of a sequence, as a rule.
        counts_up: whether names of scans are the numbers of all frames of a sequence.
        all_posed: whether a sequence that has poses has one for each scan.
        all_labelled: whether a sequence that has labels has some for each scan.
        layout: how the files of predictions lie, in words.
    """

    name: str
    classes: ClassTable
    title: str = ""
    suffix: str = ".label"
    top: str = ""
    drops_points: bool = True
    step_s: float = 0.1
    counts_up: bool = False
    all_posed: bool = True
    all_labelled: bool = True
    layout: str = "a .label file for each scan"

    # What there is, and reading it

    def list_scans(self, root: Path, split: str) -> list[ScanFiles]:
        """The scans of a split in order, at least one; InputError says what is missing."""
        ...

    def iter_scans(
        self, root: Path, split: str, report: Report | None = None
    ) -> Iterator[ScanFiles]:
        """The scans of a split in order, without all of them in memory where that can be.

        Args:
            root: of the dataset.
            split: of its splits.
            report: called with what is wrong beside the scans (poses, calibration), to go on
                without it; None raises it.
        """
        yield from self.list_scans(root, split)

    def usual_splits(self, root: Path) -> Sequence[str]:
        """The splits that are there and have every scan once; none where nobody can say."""
        return ()

    def stray_files(self, root: Path, split: str) -> Iterator[tuple[Path, str]]:
        """Files of a split that belong to no scan, and why: (file, message)."""
        yield from ()

    def list_truth(self, root: Path, split: str) -> list[ScanFiles]:
        """The scans that have true labels, at least one."""
        labelled = [files for files in self.list_scans(root, split) if files.labels is not None]
        if not labelled:
            raise InputError(f"{root}: wanted true labels of the {split} split, found none")
        return labelled

    def read_scan(self, files: ScanFiles) -> LoadedScan:
        """A scan with its pose, x forward, y left; InputError for a damaged file."""
        loaded = load_scan(files.scan)
        scan = replace(loaded.scan, world_T_sensor=files.world_T_sensor)
        return replace(loaded, scan=scan)

    def count_points(self, files: ScanFiles) -> int:
        """How many points a scan's file has, so many labels are wanted."""
        return count_points(files.scan)

    def read_truth(self, file: Path) -> PackedLabels:
        """True labels, one for each point of the scan's file."""
        return self.read_prediction(file)

    def truth_of(self, files: ScanFiles) -> PackedLabels:
        """True labels of a scan that has some, where they lie in more than one file."""
        return self.read_truth(files.truth)

    # Predictions out and in

    def prediction_path(self, out: Path, scan_path: Path) -> Path:
        """Where the prediction of any scan file lies below `out`."""
        return plain_path(out, scan_path, self.suffix)

    def scored_path(self, out: Path, scan_path: Path) -> Path:
        """Where this package's `.npz` with a score per instance lies instead."""
        return self.prediction_path(out, scan_path).with_suffix(".npz")

    def prediction_of(self, files: ScanFiles, split: str) -> str:
        """Where the prediction of a scan of the dataset lies, below the folder of predictions."""
        return self.prediction_path(Path(), files.scan).as_posix()

    def write_prediction(self, file: Path, labels: PanopticLabels, classes: ClassTable) -> None:
        """Write labels, one for each point of the scan's file.

        Raises:
            InputError: labels of other classes, or ids that do not fit the format.
        """
        if classes.names != self.classes.names:
            raise InputError(
                f"{file}: wanted {self.title or self.name} classes, got {classes.name}: choose "
                f"--format {classes.name}, npz or ply"
            )
        write_predictions(file, labels, classes)

    def read_prediction(self, file: Path) -> PackedLabels:
        """Predicted labels as they are scored: whichever raw label a class has, it is one class."""
        if file.suffix != ".label":
            return PackedLabels.of(read_prediction(file, self.classes), self.classes)
        found = read_packed(file, self.classes)
        has = self.classes.is_thing[found.semantic]
        instance = np.where(has, found.instance, 0)
        raw = self.classes.to_raw(found.semantic).astype(np.int64)
        return PackedLabels(found.semantic, raw + (instance << 16), instance)

    def pack(self, labels: PanopticLabels, classes: ClassTable) -> PackedLabels:
        """Labels as `read_prediction` would give them; InputError for other classes."""
        if classes.names != self.classes.names:
            raise InputError(f"wanted {self.classes.name} classes, got {classes.name}")
        return PackedLabels.of(labels, classes)

    # Its score, and what its server takes

    def home(self, split: str) -> str:
        """The folder that the predictions of a split have for themselves, "" without."""
        return self.top

    def instance_of(self, packed: int) -> int:
        """The instance part of a packed label."""
        return packed >> 16

    def lasting_ids(self, packed: PackedLabels) -> NDArray[np.int64]:
        """(N,) ids that name objects over a sequence, 0 for none."""
        return packed.instance

    def check_prediction(self, file: Path, num_points: int, *, is_tracking: bool) -> Checked:
        """Look for faults in a file of predictions; ids on stuff and void are taken off."""
        try:
            packed = read_label(file)
            if len(packed) != num_points:
                return Checked(
                    b"", faults=[(f"wanted {num_points} labels, got {len(packed)}", False)]
                )
            found = split_label(packed, self.classes)
        except InputError as error:
            return Checked(b"", faults=[(str(error).removeprefix(f"{file}: "), False)])
        on_stuff = (found.instance > 0) & ~self.classes.is_thing[found.semantic]
        mended = np.where(on_stuff, packed & np.uint32(0xFFFF), packed).astype("<u4")
        content, labels = mended.tobytes(), split_label(mended, self.classes)
        if not on_stuff.any():
            return Checked(content, labels)
        names = [self.classes.names[c] for c in np.unique(found.semantic[on_stuff])[:4]]
        message = f"{int(on_stuff.sum())} points of {', '.join(names)} have an instance id"
        return Checked(content, labels, [(message, True)])

    def missing_scans(self, listed: Sequence[ScanFiles], split: str) -> list[tuple[str, str]]:
        """What the benchmark's split has and the data has not: (sequence or folder, message)."""
        return []

    def check_papers(self, folder: Path, split: str, task: str) -> list[tuple[str, str]]:
        """Faults of the files beside the predictions, all mended by `papers`: (file, message)."""
        return []

    def papers(
        self, folder: Path, split: str, task: str, description: str | None
    ) -> dict[str, bytes]:
        """Files that go into the zip beside the predictions: name -> content."""
        return {} if description is None else {"description.txt": description.encode()}


class ShippedDataset(Dataset):
    """A dataset whose class table is shipped under its name."""

    def __init__(self) -> None:
        """Take the class table."""
        self.classes = load_class_table(self.name)


class DriveDataset(ShippedDataset):
    """A shipped dataset whose scans lie by drives, found one drive after the other.

    Attributes:
        scans: what they are called in messages.
        drive_of: pattern whose group 1 is the name of the drive in the path of a scan.
    """

    scans: ClassVar[str] = "scans"
    drive_of: ClassVar[str]

    def list_scans(self, root: Path, split: str) -> list[ScanFiles]:
        """The scans of a split; InputError: no such folder or split, no scans, or no poses."""
        return found(self.iter_scans(root, split), root, f"{self.scans} of the {split} split")

    def prediction_path(self, out: Path, scan_path: Path) -> Path:
        """By drive and scan; a scan that lies elsewhere goes where those of any dataset do."""
        drive = re.search(self.drive_of, scan_path.absolute().as_posix())
        if not drive:
            return super().prediction_path(out, scan_path)
        return out / drive[1] / f"{scan_stem(scan_path)}{self.suffix}"


def posed_scan(fields: Fields | FileFields, files: ScanFiles) -> LoadedScan:
    """The scan of named columns around its sensor, with its pose; errors as `scan_of_fields`."""
    loaded = scan_of_fields(fields, str(files.scan), EXPECTED_HEIGHT_M)
    return replace(loaded, scan=replace(loaded.scan, world_T_sensor=files.world_T_sensor))


def read_rows(file: Path, width: int) -> NDArray[np.float32]:
    """The (N, width) numbers of a scan file that holds nothing else.

    Raises:
        InputError: no such file, or an empty or a cut off one.
    """
    size = file.stat().st_size if file.is_file() else 0
    if not size or size % (4 * width):
        raise InputError(f"{file}: wanted {4 * width} bytes per point, got {size} bytes: cut off?")
    return np.fromfile(file, np.float32).reshape(-1, width)


def found(scans: Iterable[ScanFiles], root: Path, what: str) -> list[ScanFiles]:
    """All the scans; raises InputError that wanted `what` where there is none."""
    listed = list(scans)
    if not listed:
        raise InputError(f"{root}: wanted {what}, found none")
    return listed


T = TypeVar("T")


def named_drives(
    split: str, there: Mapping[str, T], title: str, wanted: str, root: Path, most: int = 12
) -> list[T]:
    """The drives that a split names, with commas between them.

    Args:
        split: such as "08" or "0006,drive".
        there: the drives that there are, by name.
        title: of the dataset, for the message.
        wanted: its splits and what its drives are called, for the message.
        root: where they lie.
        most: how many the message lists.

    Raises:
        InputError: one is not there; says which are.
    """
    names = split.split(",")
    if not all(name in there for name in names):
        raise InputError(
            f"no split {split!r} of {title}: wanted {wanted} of {root}, "
            f"which has {', '.join(list(there)[:most]) or 'none'}"
        )
    return [there[name] for name in names]


def tolerated(read: Callable[[], T], otherwise: T, report: Report | None, what: str = "poses") -> T:
    """What `read` gives; where it raises an InputError that is reported, `otherwise`."""
    try:
        return read()
    except InputError as error:
        if report is None:
            raise
        report(error, what)
        return otherwise
