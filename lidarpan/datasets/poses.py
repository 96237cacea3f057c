"""Scan files -> where the sensor was at each of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.datasets.pose_files import PoseFile, read_sensor_poses
from lidarpan.datasets.times import find_times
from lidarpan.scans.frame_paths import FramePaths
from lidarpan.structures import InputError

_LEAST_STEP_S = 0.04
"""Scanners hardly turn faster."""


def find_poses(scan_paths: Sequence[Path], file: Path | None = None) -> NDArray[np.float64]:
    """Find the pose of each scan in a file of poses, as `read_sensor_poses` reads them.

    Line k belongs to the scan whose name is the number k; where the names are no such numbers and
    there are as many lines as scans, to the scan in place k. Poses with times are taken at the
    times of the scans, where these are known and lie among them.

    Args:
        scan_paths: T scans of one drive.
        file: of poses; None takes those of a recording, else looks for `poses.txt` beside the
            scans' folder, else beside the scans.

    Returns:
        (T, 4, 4) world_T_sensor.

    Raises:
        InputError: no such file, scans of several drives, a line that is no pose, or lines that do
            not fit the scans.
    """
    if file is None:
        recorded = scan_paths.poses() if isinstance(scan_paths, FramePaths) else None
        if recorded is not None:
            return recorded
        file = _beside(scan_paths)
    read = read_sensor_poses(file)
    times_s = None if read.times_s is None else find_times(scan_paths)
    placed = None if times_s is None else read.at(times_s)
    if placed is not None:
        return placed
    poses = read.by_frame(file)
    _refuse_finer(read, len(scan_paths), file)
    numbers = [int(path.stem) if path.stem.isdecimal() else -1 for path in scan_paths]
    if min(numbers) >= 0 and max(numbers) < len(poses) and np.isfinite(poses[numbers]).all():
        return poses[numbers]
    if len(poses) == len(scan_paths) and np.isfinite(poses).all():
        return poses
    raise InputError(
        f"{file}: wanted a pose for each of {len(scan_paths)} scans up to "
        f"{scan_paths[-1].name}, got {len(poses)}"
    )


def _refuse_finer(read: PoseFile, num_scans: int, file: Path) -> None:
    """Raise InputError where there are more poses a second than scans, and no times tell which."""
    if read.times_s is None or len(read.poses) == num_scans:
        return
    step_s = float(np.median(np.diff(read.times_s)))
    if step_s < _LEAST_STEP_S:
        raise InputError(
            f"{file}: wanted a pose for each of {num_scans} scans, got {len(read.poses)} that are "
            f"{step_s:.3g} s apart: say when the scans were taken in times.txt beside their folder"
        )


def _beside(scan_paths: Sequence[Path]) -> Path:
    folders = sorted({path.absolute().parent for path in scan_paths})
    if len(folders) > 1:
        raise InputError(
            f"wanted the scans of one drive, got {folders[0]} and {folders[1]}: name one folder"
        )
    tried = [folder / "poses.txt" for folder in (folders[0].parent, folders[0])]
    found = next((path for path in tried if path.is_file()), None)
    if found is None:
        raise InputError(f"no poses of the drive: looked for {tried[0]}: name them with --poses")
    return found


def has_poses(scan_paths: Sequence[Path]) -> bool:
    """Whether `find_poses` finds poses by itself."""
    if isinstance(scan_paths, FramePaths) and scan_paths.poses() is not None:
        return True
    folders = {path.absolute().parent for path in scan_paths}
    return len(folders) == 1 and any(
        (place / "poses.txt").is_file() for folder in folders for place in (folder.parent, folder)
    )
