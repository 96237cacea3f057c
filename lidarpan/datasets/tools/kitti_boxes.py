"""KITTI's tracking benchmark: `label_02/DRIVE.txt`, a line for each object and frame.

Boxes are in the axes of a camera (x right, y down, z forward) that stands where the sensor does and
looks forward, as `calib/DRIVE.txt` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.datasets.boxes import kitti_line, kitti_type
from lidarpan.datasets.pose_files import CAMERA_T_SENSOR
from lidarpan.datasets.tools.frames import Boxes, ToolFrame, class_of, made, numbers
from lidarpan.structures import InputError
from lidarpan.text_trees import read_text
from lidarpan.whole_file import write_text

_COLUMNS = (17, 18)  # without a score, and with
_IGNORED = "DontCare"


def write(folder: Path, drive: str, frames: Sequence[ToolFrame], classes: ClassTable) -> None:
    """Write the drive's boxes and its calibration."""
    lines = [
        f"{frame.number} {box.id} "
        + kitti_line(classes.names[box.class_id], box.center_m, box.size_m, box.yaw_rad, box.score)
        for frame in frames
        for box in frame.boxes
    ]
    write_text(folder / "label_02" / f"{drive}.txt", "".join(lines))
    eye = "1 0 0 0 0 1 0 0 0 0 1 0"
    turn = " ".join(f"{v:g}" for v in CAMERA_T_SENSOR[:3].flat)
    text = [f"P{k}: {eye}" for k in range(4)]
    text += ["R_rect: 1 0 0 0 1 0 0 0 1", f"Tr_velo_cam: {turn}", f"Tr_imu_velo: {eye}"]
    write_text(folder / "calib" / f"{drive}.txt", "\n".join(text) + "\n")


def read(folder: Path, drive: str, frames: Sequence[ToolFrame], classes: ClassTable) -> Boxes:
    """The boxes of all scans of a drive that has a file: a scan without a line has none."""
    file = folder / "label_02" / f"{drive}.txt"
    if not file.is_file():
        return {}
    names = {kitti_type(classes.names[thing]): thing for thing in classes.things}
    by_number = {frame.number: frame.name for frame in frames}
    found: Boxes = {frame.name: [] for frame in frames}
    for k, line in enumerate(read_text(file).splitlines(), 1):
        words = line.split()
        if not words or (len(words) > 2 and words[2] == _IGNORED):
            continue
        if len(words) not in _COLUMNS:
            raise InputError(f"{file}: line {k}: wanted 17 or 18 columns, got {len(words)}")
        what = f"line {k}"
        frame, track = (int(v) for v in numbers(words[:2], 2, file, what))
        values = numbers(words[10:], len(words) - 10, file, what)
        height, width, length, x, y, z, turn = values[:7]
        if frame not in by_number:
            raise InputError(f"{file}: line {k}: wanted a frame of the drive, got {frame}")
        center = CAMERA_T_SENSOR[:3, :3].T @ [x, y, z] + [0, 0, height / 2]
        box = made(
            track,
            class_of(words[2], names, file),
            center.tolist(),
            (length, width, height),
            -turn - np.pi / 2,
            values[7] if len(values) > 7 else None,
        )
        found[by_number[frame]].append(box)
    return found
