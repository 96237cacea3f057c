"""Files of poses, as KITTI, KITTI-360, TUM and odometry write them -> where the sensor was.

A line is 12 numbers (the upper rows of a matrix), 16 (all of it), either behind the number of its
frame (KITTI-360), or eight: a time, a place and a quaternion x y z w (TUM). Whose poses they are,
the camera's (x right, y down, z forward) or the sensor's (x forward, z up), shows in where the
drive goes. One pose that is far off decides nothing.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from lidarpan.scans.rotations import rotation
from lidarpan.structures import InputError
from lidarpan.text_trees import read_text

Pose = NDArray[np.float64]
_log = logging.getLogger("lidarpan")

_TR_NAMES = ("Tr:", "Tr_velo_to_cam:", "Tr_velo_cam:", "Tr_velodyne_to_camera:")
CAMERA_T_SENSOR = np.array(
    [[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
"""KITTI's camera (x right, y down, z forward), as if it stood where the sensor does."""

_MIN_DRIVE_M = 1.0
_CLEAR = 2.0
_STEP_M = 0.01
_FAR_STEPS, _MOST_M = 5.0, 100.0
"""No pose is more than so many usual steps, or metres, from the next."""

_STRAIGHT, _CROOKED = 0.97, 0.9
"""Shares of the way along one axis, of a vehicle's poses and of poses of the world seen from it."""


@dataclass(frozen=True)
class PoseFile:
    """What a file of poses holds.

    Attributes:
        poses: (P, 4, 4) in the file's own frame.
        frames: (P,) number of the frame of each, or None where line k is frame k.
        times_s: (P,) time of each, ascending, or None.
    """

    poses: Pose
    frames: NDArray[np.int64] | None = None
    times_s: NDArray[np.float64] | None = None

    def by_frame(self, file: Path) -> Pose:
        """(F, 4, 4) poses at the numbers of their frames, NaN where the file leaves one out.

        Raises:
            InputError: numbers that no frames have; `file` is named.
        """
        if self.frames is None:
            return self.poses
        if self.frames.min() < 0 or self.frames.max() > 100 * len(self.frames) + 100_000:
            raise InputError(f"{file}: wanted numbers of frames, got {self.frames.max()}")
        world = np.full((int(self.frames.max()) + 1, 4, 4), np.nan)
        world[self.frames] = self.poses
        return world

    def at(self, times_s: NDArray[np.float64]) -> Pose | None:
        """(T, 4, 4) poses between those before and after each time; None outside their times."""
        own = self.times_s
        if own is None or len(own) < 2:
            return None
        margin_s = float(np.median(np.diff(own)))
        if times_s.min() < own[0] - margin_s or times_s.max() > own[-1] + margin_s:
            return None
        inside = np.clip(times_s, own[0], own[-1])
        poses = np.tile(np.eye(4), (len(times_s), 1, 1))
        turns = Slerp(own - own[0], Rotation.from_matrix(self.poses[:, :3, :3]))
        poses[:, :3, :3] = turns(inside - own[0]).as_matrix()
        for axis in range(3):
            poses[:, axis, 3] = np.interp(inside, own, self.poses[:, axis, 3])
        return poses


def read_sensor_poses(file: Path, calibration: Path | None = None) -> PoseFile:
    """Read world_T_sensor of each line of a file of poses.

    Args:
        file: of poses.
        calibration: `calib.txt` with `Tr` (camera from sensor); None takes that beside the file.

    Returns:
        Poses in the sensor's frame of the first line for a camera's poses, else as they are.

    Raises:
        InputError: no such file, a line that is no pose, or a calibration that cannot be inverted.
    """
    read = _of_vehicle(read_pose_file(file), file)
    calibration = calibration or file.parent / "calib.txt"
    camera_T_sensor = read_calibration(calibration) if calibration.is_file() else None
    ahead = _axis_ahead(read.poses)
    if ahead in ("x", "y"):
        if camera_T_sensor is not None:
            told = "%s: the drive goes along %s: taken for the sensor's poses, not moved by Tr"
            _log.warning(told, file, ahead)
        return read
    if camera_T_sensor is None and ahead == "z":
        _log.warning(
            "%s: the drive goes along z, so these are a camera's poses, and there is no Tr in %s: "
            "only its axes are turned",
            file,
            calibration,
        )
        camera_T_sensor = CAMERA_T_SENSOR
    if camera_T_sensor is None:
        return read
    world = np.linalg.inv(camera_T_sensor) @ read.poses @ camera_T_sensor
    return PoseFile(world, read.frames, read.times_s)


def _of_vehicle(read: PoseFile, file: Path) -> PoseFile:
    """Poses in the world, inverted where the file has the world's in the vehicle's frame.

    Says what is odd about them.
    """
    poses = read.poses
    step_m = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    usual_m = float(np.median(step_m[step_m > _STEP_M])) if (step_m > _STEP_M).any() else 0.0
    if usual_m > _MOST_M and np.abs(_ways(poses)).max() > _STRAIGHT:  # else place after place
        _log.warning("%s: %.0f m from one pose to the next: are these metres?", file, usual_m)
    far = np.flatnonzero(step_m > max(_FAR_STEPS * usual_m, _MOST_M))
    if usual_m and len(far):
        told = "%s: pose %d lies %.0f m from the one before, where others move by %.1f m"
        _log.warning(told, file, far[0] + 1, step_m[far[0]], usual_m)
    inverse = np.linalg.inv(poses)
    ways, inverse_ways = _ways(poses), _ways(inverse)
    if np.abs(ways).max() < _CROOKED and np.abs(inverse_ways).max() > _STRAIGHT:
        _log.warning("%s: inverted: only so the vehicle goes where it looks", file)
        return PoseFile(inverse, read.frames, read.times_s)
    if ways[np.abs(ways).argmax()] < -_STRAIGHT:
        told = "%s: the drive goes backwards: does the sensor look back? Else invert the poses"
        _log.warning(told, file)
    return read


def read_pose_file(file: Path) -> PoseFile:
    """Read a file of poses as it is; errors as `read_sensor_poses`."""
    numbered: list[tuple[int, list[str]]] = []
    width, values = 0, list[list[float]]()
    for k, row in _rows(_text(file)):
        width = width or len(row)
        numbers = _numbers(row)
        if width not in (8, 12, 13, 16, 17) or numbers is None or len(row) != width:
            raise _wrong(file, k, row)
        numbered.append((k, row))
        values.append(numbers)
    if not numbered:
        raise InputError(f"{file}: wanted a pose a line, got an empty file")
    table = np.array(values)
    if width == 8:
        table = table[np.argsort(table[:, 0], kind="stable")]
        return PoseFile(_of_quaternions(table, file), times_s=table[:, 0])
    frames = table[:, 0].astype(np.int64) if width in (13, 17) else None
    poses = np.tile(np.eye(4), (len(table), 1, 1))
    numbers_of = table[:, width % 4 :]
    if width >= 16:
        square = numbers_of.reshape(-1, 4, 4)
        if (square[:, :3, 3] == 0).all() and (square[:, 3, :3] != 0).any():
            _log.warning("%s: matrices column by column: taken so", file)
            square = square.transpose(0, 2, 1)
        numbers_of = square.reshape(-1, 16)
    poses[:, :3] = numbers_of[:, :12].reshape(-1, 3, 4)
    skewed = np.flatnonzero(~(np.abs(np.linalg.det(poses[:, :3, :3]) - 1) <= 0.1))
    if len(skewed):
        line, words = numbered[skewed[0]]
        raise InputError(
            f"{file}: line {line}: wanted the rows of a rotation and a place, one after the other, "
            f"got {' '.join(words)[:60]}"
        )
    return PoseFile(poses, frames)


def read_calibration(file: Path) -> Pose | None:
    """(4, 4) camera_T_sensor of a `calib.txt`, None where it has no line of such a name.

    Raises:
        InputError: the line has not 12 numbers, or is no pose.
    """
    lines = [line.split() for line in _text(file).splitlines() if line.strip()]
    found = next((line for line in lines if line[0] in _TR_NAMES), None)
    if found is None:
        return None
    return transform_of(found[1:], f"{file}: {found[0]}".removesuffix(":"))


def transform_of(words: list[str], what: str) -> Pose:
    """The (4, 4) transform of its upper rows, as text; `what` they are of begins an InputError."""
    try:
        rows = np.array(words, np.float64).reshape(3, 4)
    except ValueError:
        raise InputError(f"{what}: wanted 12 numbers, got {' '.join(words)[:60]}") from None
    if not np.isfinite(rows).all() or abs(abs(np.linalg.det(rows[:, :3])) - 1) > 0.1:
        raise InputError(f"{what}: wanted a rotation and a place, got {' '.join(words)[:60]}")
    return np.vstack([rows, [0.0, 0.0, 0.0, 1.0]])


def _axis_ahead(poses: Pose) -> str | None:
    """The axis along which the poses go, which tells whose they are; None where none is clear.

    A camera goes along z, a sensor along x, in nuScenes' frame along y.
    """
    ways = np.abs(_ways(poses))
    is_clear = bool(ways.any()) and ways.max() > _CLEAR * np.sort(ways)[1]
    return "xyz"[int(ways.argmax())] if is_clear else None


def _ways(poses: Pose) -> NDArray[np.float64]:
    """Which shares of the way the poses go along their own axes, below 0 backwards.

    Zeros where they hardly move.

    A step counts no more than a usual one, so that no pose that is far off decides.
    """
    step = np.diff(poses[:, :3, 3], axis=0)
    length = np.linalg.norm(step, axis=1)
    moving = length > _STEP_M
    if not moving.any() or length.sum() < _MIN_DRIVE_M:
        return np.zeros(3)
    own = np.einsum("kji,kj->ki", poses[:-1, :3, :3], step)[moving]
    weight = np.minimum(length[moving], np.median(length[moving]))
    own *= (weight / length[moving])[:, None]
    return np.asarray(own.sum(axis=0) / weight.sum(), np.float64)


def _of_quaternions(table: NDArray[np.float64], file: Path) -> Pose:
    """Lines of time x y z qx qy qz qw as (P, 4, 4) poses."""
    poses = np.tile(np.eye(4), (len(table), 1, 1))
    poses[:, :3, 3] = table[:, 1:4]
    quaternions = table[:, 4:]
    first, *middle, last = np.abs(quaternions).max(axis=0)
    if first > 0.5 and max(middle) < 0.2 and (last > 0.01 or max(middle) < 0.01):
        _log.warning("%s: quaternions of a level drive with w first: taken for w x y z", file)
        quaternions = np.roll(quaternions, -1, axis=1)
    for pose, (x, y, z, w) in zip(poses, quaternions, strict=True):
        length = np.sqrt(x * x + y * y + z * z + w * w)
        if abs(length - 1) > 0.1:
            raise InputError(
                f"{file}: wanted time x y z and a quaternion a line, got length {length:.3g}"
            )
        pose[:3, :3] = rotation(np.array([w, x, y, z]) / length)
    return poses


def _text(file: Path) -> str:
    if not file.is_file():
        raise InputError(f"{file}: no such file of poses")
    return read_text(file)


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The words of each line with its number, but for blank ones, comments and names of columns."""
    is_first = True
    for k, line in enumerate(io.StringIO(text), 1):
        if ";" in line:  # then commas are decimal
            line = line.replace(",", ".").replace(";", " ")
        row = line.replace(",", " ").split()
        if row and not row[0].startswith("#"):
            if not is_first or any(map(_is_number, row)):
                yield k, row
            is_first = False


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _numbers(words: list[str]) -> list[float] | None:
    """Finite numbers, None where one is none."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _wrong(file: Path, line: int, words: list[str]) -> InputError:
    return InputError(
        f"{file}: line {line}: wanted 12 finite numbers a line, or 8, 13, 16 or 17 of the "
        f"kinds in the docs, got {' '.join(words)[:60]}"
    )
