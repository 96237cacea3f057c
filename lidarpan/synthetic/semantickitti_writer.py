"""Labelled scans -> a SemanticKITTI tree: velodyne, labels, poses.txt, times.txt, calib.txt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import load_class_table
from lidarpan.datasets.kitti_labels import NAME, write_label
from lidarpan.datasets.pose_files import CAMERA_T_SENSOR
from lidarpan.datasets.semantickitti import SPLITS
from lidarpan.structures import InputError
from lidarpan.synthetic.render import SimulatedScan
from lidarpan.whole_file import whole_file

MAX_INSTANCE = 0x7FFF
"""The official evaluation overflows on larger ids."""


def split_scans(num_scans: int) -> dict[str, int]:
    """Spread scans over the benchmark's sequences. Number of scans -> {sequence: scans}.

    A tenth each goes to the valid (08) and the test (11 to 21) split, but at least one each from
    three scans on, and the rest to train; a split's scans are spread evenly over as many of its
    sequences as have ten scans or more each. A single scan is for train, a second for valid.
    """
    tenth = max(1, round(num_scans / 10))
    valid, test = (tenth if num_scans >= least else 0 for least in (2, 3))
    shares = {"train": num_scans - valid - test, "valid": valid, "test": test}
    plan: dict[str, int] = {}
    for split, share in shares.items():
        count = min(len(SPLITS[split]), max(1, share // 10))
        for i, sequence in enumerate(SPLITS[split][:count]):
            if scans := (share + count - 1 - i) // count:
                plan[sequence] = scans
    return dict(sorted(plan.items()))


def write_semantickitti(
    root: str | Path,
    sequences: Iterable[tuple[str, Iterable[SimulatedScan]]],
    *,
    goes_on: bool = False,
) -> Iterator[Path]:
    """Write sequences of labelled scans, one file pair at a time.

    Poses are relative to the first scan of the sequence, in camera axes, as KITTI has them.

    Args:
        root: folder to hold `sequences`.
        sequences: names such as "00", and their scans in order.
        goes_on: whether scans that are there are of an earlier run, and may be written again.

    Yields:
        The `.bin` file of each scan, once it and its labels are written.

    Raises:
        InputError: there are scans below `root` already, an instance id is over 32767, or the
            folder cannot be written to.
    """
    folder = Path(root) / "sequences"
    if not goes_on and any(folder.glob("*/velodyne/*.bin")):
        raise InputError(
            f"{folder}: wanted a new folder, found scans there: remove them or choose another"
        )
    for name, scans in sequences:
        poses, times = [], []
        for number, labelled in enumerate(scans):
            file = folder / name / "velodyne" / f"{number:06d}.bin"
            _write_scan(file, labelled)
            pose = labelled.scan.world_T_sensor
            poses.append(np.eye(4) if pose is None else pose)
            times.append(labelled.time_s)
            yield file
        _write_lines(folder / name / "poses.txt", camera_poses(np.array(poses)))
        _write_lines(folder / name / "times.txt", [f"{time - times[0]:.6e}" for time in times])
        projection = "1 0 0 0 0 1 0 0 0 0 1 0"
        tr = " ".join(f"{value:.12e}" for value in CAMERA_T_SENSOR[:3].ravel())
        calibration = [f"P{camera}: {projection}" for camera in range(4)] + [f"Tr: {tr}"]
        _write_lines(folder / name / "calib.txt", calibration)


def finished_sequences(root: str | Path, plan: dict[str, int]) -> dict[str, list[Path]]:
    """The sequences of a plan that are whole below `root`, with their scan files in order."""
    whole = {}
    for name, count in plan.items():
        folder = Path(root) / "sequences" / name
        files = [folder / "velodyne" / f"{number:06d}.bin" for number in range(count)]
        if (folder / "calib.txt").is_file() and all(file.is_file() for file in files):
            whole[name] = files
    return whole


def camera_poses(world_T_sensor: NDArray[np.float64]) -> list[str]:
    """Lines of poses.txt, the first of them the identity. (P, 4, 4) -> P lines of 12 numbers."""
    if not len(world_T_sensor):
        return []
    relative = np.linalg.inv(world_T_sensor[0]) @ world_T_sensor
    camera = CAMERA_T_SENSOR @ relative @ np.linalg.inv(CAMERA_T_SENSOR)
    return [" ".join(f"{value:.9e}" for value in pose[:3].ravel()) for pose in camera]


def _write_scan(file: Path, labelled: SimulatedScan) -> None:
    classes = load_class_table(NAME)
    raw = labelled.raw(NAME)
    instance = np.where(classes.is_thing[classes.to_train(raw)], labelled.instance, 0)
    if instance.size and int(instance.max()) > MAX_INSTANCE:
        raise InputError(f"{file}: wanted instance ids up to {MAX_INSTANCE}, got {instance.max()}")
    packed = raw.astype(np.uint32) | (instance.astype(np.uint32) << np.uint32(16))
    write_label(file.parents[1] / "labels" / f"{file.stem}.label", packed)
    rows = np.column_stack([labelled.scan.points, labelled.scan.intensity])
    with whole_file(file) as beside:
        rows.astype("<f4").tofile(beside)


def _write_lines(file: Path, lines: Iterable[str]) -> None:
    with whole_file(file) as beside:
        beside.write_text("".join(f"{line}\n" for line in lines))
