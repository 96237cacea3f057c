"""SemanticKITTI and datasets in its layout: scans, poses and labels as KITTI odometry has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lidarpan.datasets.benchmark_counts import SEMANTICKITTI
from lidarpan.datasets.dataset import (
    Dataset,
    Report,
    ScanFiles,
    ShippedDataset,
    named_drives,
    read_rows,
    tolerated,
)
from lidarpan.datasets.kitti_labels import NAME, read_packed
from lidarpan.datasets.packed_labels import PackedLabels
from lidarpan.datasets.paths import names_in
from lidarpan.datasets.pose_files import read_sensor_poses
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.find import natural_key
from lidarpan.scans.intensity import IntensityScale, common_scale, scaled, thinned
from lidarpan.structures import InputError, Scan

SPLITS: dict[str, tuple[str, ...]] = {
    "train": ("00", "01", "02", "03", "04", "05", "06", "07", "09", "10"),
    "valid": ("08",),
    "test": tuple(f"{number}" for number in range(11, 22)),
}
"""The benchmark's sequences by split."""

_SAMPLE = 8
_POINT_BYTES = 16  # x y z intensity, float32


class SemanticKitti(ShippedDataset):
    """A SemanticKITTI tree: `ROOT/sequences/NN/velodyne/*.bin` and labels beside.

    Scan i is called "08/000123"; its points are all those of the file, its pose comes from
    `poses.txt` (camera frame) and `Tr` of `calib.txt`. A split is "train", "valid" or "test", whose
    sequences that exist are used, or the names of some that exist, such as "08" or "0006,drive".
    """

    name = NAME
    title = "SemanticKITTI"
    top = "sequences"
    drops_points = False
    layout = "sequences/NN/predictions/NNNNNN.label"
    counts_up = True
    splits: ClassVar[dict[str, tuple[str, ...]]] = SPLITS

    def __init__(self) -> None:
        """Take the class table."""
        super().__init__()
        self._scales: dict[Path, IntensityScale] = {}

    def list_scans(self, root: Path, split: str) -> list[ScanFiles]:
        """The scans of a split; InputError: no such folder or split, or no scans of it."""
        listed = list(self.iter_scans(root, split))
        if not listed:
            raise self._none_there(sequences_folder(root), split, "scans", "velodyne")
        return listed

    def iter_scans(
        self, root: Path, split: str, report: Report | None = None
    ) -> Iterator[ScanFiles]:
        """The scans, sequence by sequence."""
        folder = sequences_folder(root)
        for sequence in self._sequences_of(split, folder):
            names = names_in(folder / sequence / "velodyne", ".bin")
            read = partial(read_poses, folder / sequence)
            poses = tolerated(read, None, report) if names else None
            for name in names:
                yield _scan_files(sequence, folder / sequence / "velodyne" / name, poses)

    def usual_splits(self, root: Path) -> Sequence[str]:
        """Those of which a sequence is there; else all sequences together."""
        folder = sequences_folder(root)
        there = [
            split
            for split, names in self.splits.items()
            if any((folder / name / "velodyne").is_dir() for name in names)
        ]
        others = sorted(
            {at.parent.name for at in folder.glob("*/velodyne")}
            - {name for names in self.splits.values() for name in names}
        )
        return [*there, *([",".join(others)] if others else [])]

    def stray_files(self, root: Path, split: str) -> Iterator[tuple[Path, str]]:
        """Labels without a scan, and poses behind the last one."""
        folder = sequences_folder(root)
        for sequence in self._sequences_of(split, folder):
            names = names_in(folder / sequence / "velodyne", ".bin")
            scans = {name[:-4] for name in names}
            for name in names_in(folder / sequence / "labels", ".label"):
                if name.removesuffix(".label") not in scans:
                    yield folder / sequence / "labels" / name, "labels of a scan that is not there"
            poses = tolerated(partial(read_poses, folder / sequence), None, lambda *_: None)
            last = names[-1].removesuffix(".bin") if names else ""
            if poses is not None and last.isdecimal() and len(poses) > int(last) + 1:
                message = f"{len(poses)} poses, but the last scan is {last}: are scans missing?"
                yield folder / sequence / "poses.txt", message

    def list_truth(self, root: Path, split: str) -> list[ScanFiles]:
        """The label files of a split; the scans themselves need not be there."""
        folder = sequences_folder(root)
        listed = [
            ScanFiles(
                f"{sequence}/{truth.stem}",
                sequence,
                folder / sequence / "velodyne" / f"{truth.stem}.bin",
                truth,
            )
            for sequence in self._sequences_of(split, folder)
            for truth in sorted((folder / sequence / "labels").glob("[!.]*.label"), key=natural_key)
        ]
        if not listed:
            raise self._none_there(folder, split, "labels", "labels")
        return listed

    def read_scan(self, files: ScanFiles) -> LoadedScan:
        """All points of the file, with its pose; InputError for a damaged file."""
        file, rows = files.scan, read_rows(files.scan, 4)
        if not np.isfinite(rows).all():
            raise InputError(f"{file}: wanted finite points, got NaN or infinite ones")
        points = np.ascontiguousarray(rows[:, :3])
        intensity, _ = scaled(rows[:, 3], self._scale_of(file.parent))
        scan = Scan(points, intensity, world_T_sensor=files.world_T_sensor)
        return LoadedScan(scan, np.ones(len(rows), np.bool_))

    def _scale_of(self, folder: Path) -> IntensityScale:
        """What to divide the intensities of a folder by: KITTI's are fractions, others bytes."""
        if folder not in self._scales:
            files = sorted(folder.glob("[!.]*.bin"), key=natural_key)
            some = np.unique(np.linspace(0, len(files) - 1, _SAMPLE).round().astype(int))
            sizes = (files[k] for k in some if files[k].stat().st_size % _POINT_BYTES == 0)
            parts = [thinned(np.fromfile(file, np.float32)[3::4]) for file in sizes]
            self._scales[folder] = common_scale(parts) if parts else IntensityScale(1.0)
        return self._scales[folder]

    def count_points(self, files: ScanFiles) -> int:
        """By the size of the file."""
        return files.scan.stat().st_size // _POINT_BYTES

    def read_prediction(self, file: Path) -> PackedLabels:
        """The labels as they are: the official evaluator tells raw labels of one class apart."""
        return read_packed(file, self.classes)

    def missing_scans(self, listed: Sequence[ScanFiles], split: str) -> list[tuple[str, str]]:
        """Sequences of the test split that lack scans: a submission needs them all."""
        if split != "test":
            return []
        there = Counter(files.sequence for files in listed)
        return [
            (
                f"sequences/{sequence}",
                f"wanted its {SEMANTICKITTI[sequence]} scans, the data has {there[sequence]}: the "
                "benchmark scores the whole split",
            )
            for sequence in SPLITS[split]
            if there[sequence] != SEMANTICKITTI[sequence]
        ]

    def prediction_of(self, files: ScanFiles, split: str) -> str:
        """`sequences/NN/predictions/NNNNNN.label`."""
        sequence, number = files.name.split("/")
        return f"sequences/{sequence}/predictions/{number}.label"

    def _sequences_of(self, split: str, folder: Path) -> Sequence[str]:
        if split in self.splits:
            return self.splits[split]
        there = sorted((path.name for path in folder.iterdir() if path.is_dir()), key=_by_number)
        wanted = f"{', '.join(self.splits)} or sequences"
        return named_drives(split, {name: name for name in there}, self.title, wanted, folder)

    def _none_there(self, folder: Path, split: str, what: str, kind: str) -> InputError:
        there = sorted(path.parent.name for path in folder.glob(f"*/{kind}"))
        return InputError(
            f"{folder}: wanted {what} of the {split} split (sequences "
            f"{', '.join(self._sequences_of(split, folder))}), got sequences "
            f"{', '.join(there) or 'none'}: name others with --sequences"
        )


class SemanticKittiMultiscan(SemanticKitti):
    """The same files in the classes of the multi-scan benchmark: what moves has its own."""

    name = "semantickitti-multiscan"
    title = "SemanticKITTI (multi-scan)"


class SemanticPoss(SemanticKitti):
    """SemanticPOSS: SemanticKITTI's layout, 13 classes, six sequences, the third to validate on."""

    name = "semanticposs"
    title = "SemanticPOSS"
    splits: ClassVar[dict[str, tuple[str, ...]]] = {
        "train": ("00", "01", "03", "04", "05"),
        "valid": ("02",),
    }

    def read_prediction(self, file: Path) -> PackedLabels:
        """A class is one class whichever of its raw labels a point has."""
        return Dataset.read_prediction(self, file)


def _by_number(name: str) -> tuple[object, ...]:
    return natural_key(Path(name))


def _scan_files(sequence: str, file: Path, poses: NDArray[np.float64] | None) -> ScanFiles:
    labels = file.parents[1] / "labels" / f"{file.stem}.label"
    number = int(file.stem) if file.stem.isdigit() else -1
    pose = poses[number] if poses is not None and 0 <= number < len(poses) else None
    if pose is not None and not np.isfinite(pose).all():
        pose = None  # the file of poses leaves this frame out
    return ScanFiles(
        f"{sequence}/{file.stem}", sequence, file, labels if labels.is_file() else None, pose
    )


def sequences_folder(root: str | Path) -> Path:
    """The folder `sequences` at or below `root`; raises InputError where there is none."""
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: wanted the folder of a SemanticKITTI tree, found no such folder")
    for folder in (root / "sequences", root / "dataset" / "sequences", root):
        if folder.is_dir() and folder.name == "sequences":
            return folder
    inside = sorted(path.name for path in root.iterdir())[:8]
    raise InputError(
        f"{root}: wanted a SemanticKITTI tree with sequences/NN/velodyne, "
        f"got {', '.join(inside) or 'an empty folder'}"
    )


def read_poses(sequence: Path, name: str = "poses.txt") -> NDArray[np.float64] | None:
    """(P, 4, 4) world_T_sensor of a sequence folder, None without its file of poses.

    `poses.txt` holds camera poses; with T = `Tr` (camera from sensor) of `calib.txt` the sensor's
    pose is T^-1 P T, in the sensor frame of the first scan. Other files and frames are recognised,
    see `read_sensor_poses`. Frames that a file with numbers leaves out are NaN.

    Raises:
        InputError: as `read_sensor_poses`.
    """
    file = sequence / name
    if not file.is_file():
        return None
    return read_sensor_poses(file).by_frame(file)
