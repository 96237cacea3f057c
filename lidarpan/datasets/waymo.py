"""Waymo Open Dataset v2: range images and 3D semantic segmentation in parquet tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.datasets.dataset import (
    DriveDataset,
    Report,
    ScanFiles,
    found,
    named_drives,
    tolerated,
)
from lidarpan.datasets.packed_labels import MAX_INSTANCE, PackedLabels
from lidarpan.errors import InputError, naming
from lidarpan.scans.columns import open_table, table_columns
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.source import frame_path
from lidarpan.scans.waymo import TOP, WaymoSource
from lidarpan.whole_file import while_unchanged

SPLITS = ("training", "validation", "testing")
_LABELLED = SPLITS[:2]
_NAME, _TIME = "key.laser_name", "key.frame_timestamp_micros"
_BASE = "[LiDARSegmentationLabelComponent].range_image_return1."


class Waymo(DriveDataset):
    """A Waymo v2 tree: `ROOT/SPLIT/lidar/SEGMENT.parquet`, lidar_segmentation and others beside.

    Scan i is called "SEGMENT/000012", the number among the frames of the roof's sensor; its points
    are the first returns, around the sensor along the vehicle's axes. One frame in five or so has
    labels: a split is "training" or "validation" and has those alone; "testing" or the names of
    segments have all frames.
    """

    name = "waymo"
    title = "Waymo"
    layout = "SEGMENT/NNNNNN.label"
    step_s = 0.5
    all_labelled = False
    drive_of = r"([^/]+)\.parquet/[^/]+$"

    def list_scans(self, root: Path, split: str) -> list[ScanFiles]:
        """The frames of a split; InputError: no such folder or split, or no frames of it."""
        what = "with labels " if split in _LABELLED else ""
        return found(self.iter_scans(root, split), root, f"frames {what}of the {split} split")

    def iter_scans(
        self, root: Path, split: str, report: Report | None = None
    ) -> Iterator[ScanFiles]:
        """The frames, segment by segment."""
        wants_labels = split in _LABELLED
        nothing: dict[int, int] = {}
        for file in _segments(root, split):
            labels = file.parent.parent / "lidar_segmentation" / file.name
            if wants_labels and not labels.is_file():
                continue
            read = partial(label_times, labels)
            labelled = tolerated(read, nothing, report, "labels") if labels.is_file() else nothing
            no_stamps: list[tuple[int, NDArray[np.float64] | None]] = []
            stamps = tolerated(partial(_stamps, file), no_stamps, report)
            for number, (time_us, pose) in enumerate(stamps):
                has = time_us in labelled
                if has or not wants_labels:
                    place = frame_path(file, number)
                    name = f"{file.stem}/{place.name}"
                    yield ScanFiles(name, file.stem, place, labels if has else None, pose)

    def usual_splits(self, root: Path) -> Sequence[str]:
        """Those whose folders are there."""
        return [split for split in SPLITS if (root / split).is_dir()]

    def read_scan(self, files: ScanFiles) -> LoadedScan:
        """The first returns of the frame."""
        return _read_frame(files.scan)

    def count_points(self, files: ScanFiles) -> int:
        """Places of the range image, with a return or without."""
        return len(self.read_scan(files).valid)

    def truth_of(self, files: ScanFiles) -> PackedLabels:
        """Class and instance of each place of the range image."""
        file = files.truth
        time_us, _ = _source(files.scan.parent).stamps()[int(files.scan.name)]
        image = label_image(file, label_times(file)[time_us])
        instance, raw = image[..., 0].reshape(-1), image[..., 1].reshape(-1)
        if len(raw) and not 0 <= int(instance.min()) <= int(instance.max()) <= MAX_INSTANCE:
            raise InputError(f"{file}: wanted instance ids 0..{MAX_INSTANCE}, got others")
        with naming(f"{file}: frame {files.scan.name}"):
            semantic = self.classes.to_train(raw)
        return PackedLabels(semantic, raw + (instance << 16), instance)


def _segments(root: Path, split: str) -> list[Path]:
    if not root.is_dir():
        raise InputError(f"{root}: wanted the folder of a Waymo v2 tree, found no such folder")
    if split in SPLITS:
        tops = [root / split] if (root / split).is_dir() else [root]
        return sorted(file for top in tops for file in top.glob("lidar/*.parquet"))
    segments = {file.stem: file for file in sorted(root.glob("**/lidar/*.parquet"))}
    wanted = f"{', '.join(SPLITS)} or segments"
    return named_drives(split, segments, Waymo.title, wanted, root, most=3)


_BESIDE = ("lidar_calibration", "vehicle_pose")


@while_unchanged(4, lambda file: (file, *(file.parents[1] / at / file.name for at in _BESIDE)))
def _source(file: Path) -> WaymoSource:
    return WaymoSource(file)


def _stamps(file: Path) -> list[tuple[int, NDArray[np.float64] | None]]:
    return _source(file).stamps()


@while_unchanged(2, lambda scan: (scan.parent,))
def _read_frame(scan: Path) -> LoadedScan:
    return next(_source(scan.parent).frames(int(scan.name))).load()


@while_unchanged(64, lambda file: (file,))
def label_times(file: Path) -> dict[int, int]:
    """Time of each labelled frame of the roof's sensor -> its row; InputError: damaged."""
    table = table_columns(file, (_NAME, _TIME))
    rows = enumerate(zip(table[_NAME], table[_TIME], strict=True))
    return {int(time): row for row, (name, time) in rows if name == TOP}


def label_image(file: Path, row: int) -> NDArray[np.int64]:
    """(H, W, 2) instance and class of a row of a file of labels; InputError where it is none."""
    table = open_table(file).slice(row, 1)
    try:
        values = np.asarray(table.column(f"{_BASE}values").to_pylist()[0], np.int64)
        height, width, depth = table.column(f"{_BASE}shape").to_pylist()[0]
        return values.reshape(height, width, depth)[..., :2]
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{file}: row {row}: wanted an image of instance and class, got another thing ({error})"
        ) from None
