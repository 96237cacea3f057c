"""What is wrong with a scan of a dataset, and with scans that follow each other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.datasets.alignment import Alignment
from lidarpan.datasets.dataset import Dataset, ScanFiles
from lidarpan.datasets.kitti_labels import read_packed
from lidarpan.datasets.packed_labels import PackedLabels
from lidarpan.datasets.tracks import Continuity, Places, places_of
from lidarpan.structures import InputError, Scan

KINDS = ("missing", "scan", "labels", "length", "instances", "ids", "poses")
"""Of faults: what is not there; a scan or labels that cannot be read; labels of another number than
points; instances of what is no thing; ids that leave their object; poses that do not fit.
"""

_FASTEST_M_S = 70.0  # a vehicle with a scanner
_SLACK_M = 2.0
_SLACK = 1.5  # scans do not come as regularly as `step_s` says
_MAX_SKEW = 0.02
_KEY = 1 << 32  # of an object: id + this * class


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        kind: one of KINDS.
        file: which is wrong.
        message: what was wanted, what came.
    """

    kind: str
    file: str
    message: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.file}: {self.message}"


def fault_of(kind: str, file: Path, error: InputError) -> Fault:
    """The fault that an error tells of; the error names another file where that one is wrong."""
    text = str(error)
    named, colon, rest = text.partition(": ")
    if text.startswith(f"{file}: "):
        return Fault(kind, str(file), text[len(str(file)) + 2 :])
    if colon and ("/" in named or "\\" in named) and " " not in named.rsplit("/", 1)[-1]:
        return Fault(kind, named, rest)
    return Fault(kind, str(file), text)


@dataclass(frozen=True)
class CheckedScan:
    """A scan that was looked at.

    Attributes:
        files: of it.
        faults: in it alone.
        scan: where it can be read.
        counts: (C,) points of each class, None without truth.
        places: of its objects, by id and class.
    """

    files: ScanFiles
    faults: tuple[Fault, ...] = ()
    scan: Scan | None = None
    counts: NDArray[np.int64] | None = None
    places: Places = field(default_factory=dict)


def check_scan(dataset: Dataset, files: ScanFiles) -> CheckedScan:
    """Read a scan and its truth, and look at each by itself."""
    faults: list[Fault] = []
    scan, valid = None, None
    try:
        loaded = dataset.read_scan(files)
        scan, valid = loaded.scan, loaded.valid
    except (InputError, OSError) as error:
        faults.append(fault_of("scan", files.scan, _as_input(error, files.scan)))
    if files.labels is None:
        return CheckedScan(files, tuple(faults), scan)
    try:
        truth = dataset.truth_of(files)
    except (InputError, OSError) as error:
        found = fault_of("labels", files.labels, _as_input(error, files.labels))
        is_told = any(fault.file == found.file for fault in faults)  # of the scan, which it needs
        return CheckedScan(files, tuple(faults if is_told else [*faults, found]), scan)
    if valid is not None and truth.num_points != len(valid):
        wanted = f"wanted {len(valid)} labels as {files.scan} has points, got {truth.num_points}"
        faults.append(Fault("length", str(files.labels), wanted))
        return CheckedScan(files, tuple(faults), scan)
    faults += _odd_instances(
        _as_written(truth, dataset, files.labels), dataset.classes, files.labels
    )
    counts = np.bincount(truth.semantic, minlength=dataset.classes.num_classes)
    places = _places(dataset, truth, scan, valid)
    return CheckedScan(files, tuple(faults), scan, counts.astype(np.int64), places)


def _as_input(error: InputError | OSError, file: Path) -> InputError:
    if isinstance(error, InputError):
        return error
    return InputError(f"{file}: cannot be read: {error.strerror or error}")


def _as_written(truth: PackedLabels, dataset: Dataset, file: Path) -> PackedLabels:
    """Labels with the instances of stuff, which scores leave out."""
    return read_packed(file, dataset.classes) if file.suffix == ".label" else truth


def _odd_instances(truth: PackedLabels, classes: ClassTable, file: Path) -> list[Fault]:
    """Instance ids on points whose class has no instances."""
    odd = (truth.instance > 0) & ~classes.is_thing[truth.semantic]
    if not odd.any():
        return []
    names = [classes.names[c] for c in np.unique(truth.semantic[odd])[:4]]
    message = f"{int(odd.sum())} points of {', '.join(names)} have an instance id: no things"
    return [Fault("instances", str(file), message)]


def _places(
    dataset: Dataset, truth: PackedLabels, scan: Scan | None, valid: NDArray[np.bool_] | None
) -> Places:
    """Where the objects of a scan are, by _KEY * class + id."""
    if scan is None or valid is None:
        return {}
    ids = dataset.lasting_ids(truth)
    has = dataset.classes.is_thing[truth.semantic] & (ids > 0)
    keys = np.where(has, ids + _KEY * truth.semantic.astype(np.int64), 0)
    return places_of(keys[valid], scan)


@dataclass
class SequenceCheck:
    """Follows the scans of one sequence.

    Attributes:
        name: of the sequence.
        num_scans: it has.
        num_labelled: of them with truth.
        num_posed: of them with a pose.
        continuity: of its ids so far.
    """

    name: str
    num_scans: int
    num_labelled: int
    num_posed: int
    continuity: Continuity = field(default_factory=Continuity)
    _before: CheckedScan | None = None
    _is_off: bool = False  # whether the pose before is wrong
    _alignment: Alignment = field(default_factory=Alignment)

    def add(self, dataset: Dataset, checked: CheckedScan) -> list[Fault]:
        """What is wrong with a scan in its sequence."""
        files, before = checked.files, self._before
        faults = self._missing(dataset, files, None if before is None else before.files)
        faults += self._pose(dataset, files)
        if before is not None:
            faults += _leap(dataset, before.files, files)
        was_off, self._is_off = self._is_off, any(fault.kind == "poses" for fault in faults)
        if before is not None and not was_off and not self._is_off:
            faults += _jumps(dataset, before, checked)
            self.continuity.follow(before.places, checked.places)
        self.continuity.num_scans += 1
        if checked.scan is not None and not self._is_off:
            said = self._alignment.add(checked.scan)
            faults += [Fault("poses", str(files.scan), said)] if said else []
        self._before = replace(checked, scan=None)
        return faults

    def resume(self, checked: CheckedScan) -> None:
        """Take the last scan of an earlier run as the one before the next."""
        self._before = replace(checked, scan=None)

    def end(self) -> list[Fault]:
        """What is wrong with the sequence as a whole."""
        verdict = self.continuity.verdict()
        return [Fault("ids", self.name, verdict)] if verdict else []

    def _missing(self, dataset: Dataset, files: ScanFiles, before: ScanFiles | None) -> list[Fault]:
        faults = []
        if files.labels is None and self.num_labelled and dataset.all_labelled:
            message = (
                f"no labels, {self.num_labelled} of {self.num_scans} scans beside it have some"
            )
            faults.append(Fault("missing", str(files.scan), message))
        if dataset.counts_up and files.scan.stem.isdecimal():
            expected = 0
            if before is not None and before.scan.stem.isdecimal():
                expected = int(before.scan.stem) + 1
            gap = int(files.scan.stem) - expected
            if gap > 0:
                message = f"{gap} scans before it are not there, from {expected} on"
                faults.append(Fault("missing", str(files.scan), message))
        return faults

    def _pose(self, dataset: Dataset, files: ScanFiles) -> list[Fault]:
        pose = files.world_T_sensor
        if pose is None:
            if not self.num_posed or not dataset.all_posed:
                return []
            message = f"no pose, {self.num_posed} of {self.num_scans} scans beside it have one"
            return [Fault("poses", str(files.scan), message)]
        turn = pose[:3, :3]
        if not np.isfinite(pose).all():
            return [Fault("poses", str(files.scan), "its pose holds numbers that are none")]
        skew = float(np.abs(turn @ turn.T - np.eye(3)).max())
        if skew > _MAX_SKEW or np.linalg.det(turn) < 0:
            message = f"its pose is no rotation: off by {skew:.2g}"
            if np.linalg.det(turn) < 0:
                message = "its pose is no rotation: it mirrors"
            return [Fault("poses", str(files.scan), message)]
        return []


def _leap(dataset: Dataset, before: ScanFiles, files: ScanFiles) -> list[Fault]:
    """A pose further from the one before than a vehicle goes."""
    if before.world_T_sensor is None or files.world_T_sensor is None:
        return []
    way = float(np.linalg.norm(files.world_T_sensor[:3, 3] - before.world_T_sensor[:3, 3]))
    if not way > _SLACK_M + _SLACK * _FASTEST_M_S * dataset.step_s:
        return []
    message = f"its pose is {way:.0f} m from that of {before.name}, {dataset.step_s:g} s before"
    return [Fault("poses", str(files.scan), message)]


def _jumps(dataset: Dataset, before: CheckedScan, checked: CheckedScan) -> list[Fault]:
    """Objects that are further from where they were than their class goes."""
    is_posed = before.files.world_T_sensor is not None and checked.files.world_T_sensor is not None
    classes, found = dataset.classes, []
    for key in before.places.keys() & checked.places.keys():
        class_id, number = key // _KEY, key % _KEY
        speed = classes.top_speed_m_s[class_id] + (0.0 if is_posed else _FASTEST_M_S)
        limit = _SLACK_M + classes.box_m[class_id][0] + _SLACK * speed * dataset.step_s
        way = float(np.linalg.norm(checked.places[key] - before.places[key]))
        if way > limit:
            found.append((way, f"{classes.names[class_id]} {number}"))
    if not found:
        return []
    way, worst = max(found)
    more = f", {len(found) - 1} more do the like" if len(found) > 1 else ""
    message = f"{worst} is {way:.0f} m from where it was in {before.files.name}{more}"
    return [Fault("ids", str(checked.files.labels), message)]
