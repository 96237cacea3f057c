"""PandaSet's sweeps (`lidar/00.pkl.gz`): points in the world -> around the sensor, x forward.

A file holds the points of two sensors, x y z i t d in a DataFrame; d = 0 is the Pandar64, which
turns, and whose poses lie beside in `poses.json` (x right, y forward, z up).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.fields import Fields, FileFields
from lidarpan.scans.frame_pickle import read_frame_pickle
from lidarpan.scans.intensity import BYTES
from lidarpan.scans.rotations import rotation
from lidarpan.structures import InputError
from lidarpan.text_trees import read_json_tree
from lidarpan.whole_file import while_unchanged

_COLUMNS = ("x", "y", "z", "i", "t", "d")
_NATIVE_R_SCAN = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def read_pandaset(path: Path) -> FileFields:
    """Read a sweep: the points of the sensor that turns, around it; NaN for those of the other.

    Raises:
        InputError: damaged, without one of the columns, or without its pose in `poses.json`.
    """
    columns = read_frame_pickle(path)
    missing = [name for name in _COLUMNS if name not in columns]
    if missing:
        raise InputError(f"{path}: wanted the columns {' '.join(_COLUMNS)}, got no {missing[0]}")
    if any(columns[name].dtype.kind not in "fiu" for name in _COLUMNS):
        raise InputError(f"{path}: wanted numbers in the columns {' '.join(_COLUMNS)}")
    world_T_sensor = pandaset_pose(path)
    world = np.stack([columns[axis].astype(np.float64) for axis in "xyz"], axis=1)
    points = (world - world_T_sensor[:3, 3]) @ world_T_sensor[:3, :3]
    other = columns["d"] != 0
    points[other] = np.nan
    x, y, z = points.astype(np.float32).T
    fields: Fields = {"x": x, "y": y, "z": z, "intensity": columns["i"].astype(np.float32)}
    said = f"{int(other.sum())} points are of the sensor that looks ahead only: left out"
    return FileFields(
        {**fields, "time": columns["t"] - columns["t"].min(initial=np.inf)},
        (said,) if other.any() else (),
        scale=BYTES,
    )


def pandaset_pose(path: Path) -> NDArray[np.float64]:
    """(4, 4) world_T_sensor of a sweep, x forward, y left.

    Raises:
        InputError: no `poses.json` beside, or none of the sweep in it.
    """
    poses = pandaset_poses(path.parent / "poses.json")
    number = path.name.split(".")[0]
    if not number.isdecimal() or int(number) >= len(poses):
        raise InputError(
            f"{path.parent / 'poses.json'}: wanted a pose for {path.name}, got {len(poses)} poses"
        )
    pose: NDArray[np.float64] = poses[int(number)]
    return pose


@while_unchanged(256, lambda file: (file,))
def pandaset_poses(file: Path) -> NDArray[np.float64]:
    """(P, 4, 4) world_T_sensor of a sequence's sweeps; InputError where they are no poses."""
    rows = read_json_tree(file)
    try:
        poses = np.tile(np.eye(4), (len(rows), 1, 1))
        for pose, row in zip(poses, rows, strict=True):
            turn = np.array([row["heading"][axis] for axis in "wxyz"], np.float64)
            pose[:3, :3] = rotation(turn / np.linalg.norm(turn)) @ _NATIVE_R_SCAN
            pose[:3, 3] = [row["position"][axis] for axis in "xyz"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{file}: wanted a list of position and heading, got another thing ({error!r})"
        ) from None
    if not np.isfinite(poses).all():
        raise InputError(f"{file}: wanted poses, got numbers that are none")
    return poses
