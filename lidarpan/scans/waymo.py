"""Waymo Open Dataset v2 `lidar` parquet files: range images -> points, with calibration and poses.

A file `lidar/SEGMENT.parquet` holds a row for each sensor and time; the calibration lies in
`lidar_calibration/SEGMENT.parquet`, the poses in `vehicle_pose/SEGMENT.parquet`. The projection is
that of waymo-open-dataset, utils/range_image_utils.py (its points are in the vehicle's frame).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.optional import RECORDINGS, need
from lidarpan.scans.fields import Fields, FileFields
from lidarpan.scans.intensity import IntensityScale
from lidarpan.scans.numpy_files import wanted
from lidarpan.scans.source import Frame, Pose, column_frame, frame_path
from lidarpan.structures import InputError

TOP = 1
_NAME, _TIME = "key.laser_name", "key.frame_timestamp_micros"
_VALUES = "[LiDARComponent].range_image_return1.values"
_SHAPE = "[LiDARComponent].range_image_return1.shape"


def is_waymo(path: Path) -> bool:
    """Whether a file is a parquet table of Waymo's range images."""
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return False
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 16)))
        return b"[LiDARComponent].range_image_return1" in file.read()


@dataclass(frozen=True)
class _Calibration:
    """Of one sensor: angles of the beams, top row first, and where it is on the vehicle."""

    inclination_rad: NDArray[np.float64]
    vehicle_T_sensor: NDArray[np.float64]


@dataclass
class WaymoSource:
    """The scans of the roof's sensor in a Waymo v2 `lidar` file: its origin, the vehicle's axes.

    Attributes:
        path: the file.
        num_frames: rows of that sensor.
        is_recording: always.

    Raises:
        InputError: damaged, or the calibration does not lie beside.
    """

    path: Path
    num_frames: int | None = field(init=False)
    is_recording: bool = True

    def __post_init__(self) -> None:
        library = need("pyarrow.parquet", RECORDINGS)
        with wanted(f"{self.path}: wanted a parquet file"):
            keys = library.read_table(self.path, columns=[_NAME, _TIME])
        rows = np.flatnonzero(np.asarray(keys.column(_NAME).to_numpy()) == TOP)
        times = np.asarray(keys.column(_TIME).to_numpy())[rows]
        self._rows = rows[np.argsort(times, kind="stable")]
        self._times_us = np.sort(times).astype(np.int64).tolist()
        self.num_frames = len(self._rows)
        if not self.num_frames:
            raise InputError(f"{self.path}: no points: no scan of the roof's sensor (laser_name 1)")
        self._calibration = self._read_calibration()
        self._poses = self._read_poses()

    def _beside(self, component: str) -> Path:
        return self.path.parent.parent / component / self.path.name

    def _read_calibration(self) -> _Calibration:
        file = self._beside("lidar_calibration")
        if not file.is_file():
            raise InputError(f"{self.path}: wanted the calibration in {file}: fetch it too")
        base = "[LiDARCalibrationComponent]."
        for row in need("pyarrow.parquet", RECORDINGS).read_table(file).to_pylist():
            if row.get(_NAME) != TOP:
                continue
            transform = np.array(row[f"{base}extrinsic.transform"], np.float64).reshape(4, 4)
            angles = row.get(f"{base}beam_inclination.values")
            low, high = (row.get(f"{base}beam_inclination.{end}") for end in ("min", "max"))
            beams = np.array(angles if angles is not None else [low, high], np.float64)
            return _Calibration(beams[::-1], transform)
        raise InputError(f"{file}: wanted the roof's sensor (laser_name 1), got none")

    def _read_poses(self) -> dict[int, Pose]:
        file = self._beside("vehicle_pose")
        if not file.is_file():
            return {}
        column = "[VehiclePoseComponent].world_from_vehicle.transform"
        rows = need("pyarrow.parquet", RECORDINGS).read_table(file).to_pylist()
        return {row[_TIME]: np.array(row[column], np.float64).reshape(4, 4) for row in rows}

    def stamps(self) -> list[tuple[int, Pose | None]]:
        """Microseconds and world_T_sensor of each frame, without reading its points."""
        return [(time_us, self._pose_at(time_us)) for time_us in self._times_us]

    def _pose_at(self, time_us: int) -> Pose | None:
        pose = self._poses.get(time_us)
        return None if pose is None else pose @ _shift(self._calibration.vehicle_T_sensor)

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """The scans from number `start` on, by time."""
        file = need("pyarrow.parquet", RECORDINGS).ParquetFile(self.path)
        bounds = np.cumsum(
            [0, *(file.metadata.row_group(i).num_rows for i in range(file.num_row_groups))]
        )
        for number in range(start, self.num_frames or 0):
            row = int(self._rows[number])
            group = int(np.searchsorted(bounds, row, side="right")) - 1
            path = frame_path(self.path, number)
            table = file.read_row_group(group, columns=[_TIME, _VALUES, _SHAPE])
            entry = table.slice(row - int(bounds[group]), 1).to_pydict()
            time_us = int(entry[_TIME][0])
            world = self._pose_at(time_us)
            image = np.array(entry[_VALUES][0], np.float32).reshape(entry[_SHAPE][0])
            turn = self._calibration.vehicle_T_sensor[:3, :3]
            read = partial(range_image_fields, image, self._calibration.inclination_rad, turn)
            yield column_frame(path, read, time_us * 1000, "lidar_top", world)


def _shift(transform: NDArray[np.float64]) -> NDArray[np.float64]:
    """The transform without its rotation."""
    moved = np.eye(4)
    moved[:3, 3] = transform[:3, 3]
    return moved


def range_image_fields(
    image: NDArray[np.float32],
    inclination_rad: NDArray[np.float64],
    vehicle_R_sensor: NDArray[np.float64],
) -> FileFields:
    """Points of a range image around its sensor along the vehicle's axes, (0, 0, 0) without return.

    Args:
        image: (H, W, 2 or more): range in metres, intensity; the highest beam first, azimuth in
            the vehicle falling from pi to -pi.
        inclination_rad: (H,) of the rows, or the highest and the lowest.
        vehicle_R_sensor: (3, 3) rotation of the sensor on the vehicle.
    """
    height, width = image.shape[:2]
    if len(inclination_rad) != height:
        top, bottom = inclination_rad[0], inclination_rad[-1]
        inclination_rad = top + (bottom - top) * (np.arange(height) + 0.5) / height
    yaw = np.arctan2(vehicle_R_sensor[1, 0], vehicle_R_sensor[0, 0])
    azimuth = np.pi - 2 * np.pi * (np.arange(width) + 0.5) / width - yaw
    distance = np.maximum(image[..., 0], 0.0).astype(np.float64)
    flat = distance * np.cos(inclination_rad)[:, None]
    ring = np.repeat(np.arange(height)[::-1], width).astype(np.int32)
    sensor = [
        flat * np.cos(azimuth),
        flat * np.sin(azimuth),
        distance * np.sin(inclination_rad)[:, None],
    ]
    x, y, z = vehicle_R_sensor @ np.stack([axis.reshape(-1) for axis in sensor])
    intensity = np.tanh(np.maximum(image[..., 1], 0.0)).reshape(-1)  # it has no upper end
    named = {"x": x, "y": y, "z": z, "intensity": intensity}
    fields: Fields = {name: values.astype(np.float32) for name, values in named.items()}
    return FileFields({**fields, "ring": ring}, scale=IntensityScale(1.0))
