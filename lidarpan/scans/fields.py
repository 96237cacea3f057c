"""Named columns of a scan file, and the scan they make."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.frame import (
    coarse_step_m,
    find_polar,
    find_seat,
    find_unit,
    is_in_world,
    turns_upright_over,
)
from lidarpan.scans.intensity import IntensityScale, choose_scale, find_intensity, scaled, thinned
from lidarpan.structures import (
    BoolArray,
    FloatArray,
    InputError,
    IntArray,
    PanopticLabels,
    Scan,
)

Fields = dict[str, NDArray[np.generic]]
"""Field name as written in the file -> (M,) values, all of one length."""

_RING = ("ring", "channel", "laser_id", "beam")
_TIME = ("time", "t", "timestamp", "time_offset", "gps_time")
_MAX_SWEEP_S = 10.0
_PLACE = "(?:pos|position|coords?|coordinates?|points?)"
_AXIS = re.compile(
    rf"(?:{_PLACE}[_ .]?)?([xyz])(?:[_ ]{_PLACE})?|points?(?:_m_xyz)?[:_]([012])", re.IGNORECASE
)
_EPOCH_NS = 1e17
"""Fractions beyond it count nanoseconds since 1970."""
_ABSURD_M = 1e8
_COARSE_M = 0.02
_STRAY_M, _FEW = 5000.0, 0.01
_MIN_POINTS, _CROWDED = 200, 0.01
_FRAME = ("frame", "frame_id", "frame_index", "frame_number", "frame_idx", "sweep_index")


@dataclass(frozen=True)
class LoadedScan:
    """A scan and the points of its file that it was made of.

    Attributes:
        scan: the N usable points.
        valid: (M,) bool over the M points of the file, N of them true, in the scan's order.
        warnings: what was dropped or changed on the way, one sentence each.
        sensor_T_file: (4, 4) by which the file's points were moved, and scaled where they are in
            another unit than metres; None where they were not.
    """

    scan: Scan
    valid: BoolArray
    warnings: tuple[str, ...] = ()
    sensor_T_file: NDArray[np.float64] | None = None

    @property
    def num_file_points(self) -> int:
        """M."""
        return len(self.valid)

    def labels_of(self, labels: PanopticLabels, file: Path) -> PanopticLabels:
        """Labels of the M points of the scan's file, from another `file` -> those of the N.

        Raises:
            InputError: there is another number of them.
        """
        self.check_count(labels.num_points, file)
        return labels.take(self.valid)

    def check_count(self, count: int, file: Path) -> None:
        """Raise InputError where `file` has not as many labels as the scan's file has points."""
        if count != self.num_file_points:
            raise InputError(
                f"{file}: wanted {self.num_file_points} labels as "
                f"{self.scan.path or 'the scan'} has points, got {count}"
            )


@dataclass(frozen=True)
class FileFields:
    """What a scan file holds.

    Attributes:
        fields: its named columns.
        warnings: what had to be guessed, one sentence each.
        world_T_sensor: (4, 4) pose that the file states of its sensor, or None.
        scale: what its format says of the intensity's range, or None.
    """

    fields: Fields
    warnings: tuple[str, ...] = ()
    world_T_sensor: NDArray[np.float64] | None = None
    scale: IntensityScale | None = None


def scan_of_fields(
    fields: Fields | FileFields,
    origin: str,
    expected_height_m: float,
    scale: IntensityScale | None = None,
    sensor_T_file: NDArray[np.float64] | None = None,
) -> LoadedScan:
    """Turn named columns into a scan: find x y z, drop unusable points, scale the intensity.

    Args:
        fields: (M,) columns; x, y, z are wanted, intensity, ring and time taken where present.
        origin: what to call the file in errors.
        expected_height_m: height at which to place the sensor over coordinates of a map.
        scale: what to divide the intensity by; None finds it out from this scan alone.
        sensor_T_file: (4, 4) to move the points by; None finds out whether they must be.

    Raises:
        InputError: a coordinate is missing or no number, or no point is usable.
    """
    file = fields if isinstance(fields, FileFields) else FileFields(fields)
    columns = _plain_names(file.fields)
    xyz = _coordinates(columns, file.fields, origin)
    valid, warnings = _usable(xyz, origin)
    kept = xyz if valid.all() else xyz[valid]
    if len(kept) > 1 and (kept == kept[0]).all():
        place = ", ".join(f"{value:g}" for value in kept[0])
        raise InputError(f"{origin}: wanted a scan, got {len(kept)} times the point ({place})")
    if sensor_T_file is None:
        if (polar := find_polar(kept)) is not None:
            raise InputError(
                f"{origin}: wanted x y z, got {polar}: make x = r cos e cos a, y = r cos e sin a "
                "and z = r sin e of them first"
            )
        sensor_T_file, moved = _in_metres(kept, file.world_T_sensor, expected_height_m)
    else:
        moved = ()
    if sensor_T_file is not None:
        kept = kept.astype(np.float64) @ sensor_T_file[:3, :3].T + sensor_T_file[:3, 3]
    is_stray = _strays(kept)
    if is_stray is not None:
        kept, valid = kept[~is_stray], valid.copy()
        valid[valid] = ~is_stray
        told = f"dropped {is_stray.sum()} of {len(valid)} points: further than any sensor sees"
        warnings.append(told)
    warnings += _several_frames(columns)
    intensity, said = _intensity(file, columns, valid, scale)
    scan = Scan(
        np.ascontiguousarray(kept, np.float32),
        intensity,
        time=_seconds(_first(columns, _TIME), valid),
        ring=_ring(_first(columns, _RING), valid),
    )
    return LoadedScan(scan, valid, (*file.warnings, *warnings, *moved, *said), sensor_T_file)


def intensity_values(file: FileFields) -> tuple[str, NDArray[np.generic]] | None:
    """The column that holds the intensity and some of its values; None where there is none."""
    name = find_intensity(file.fields)
    return None if name is None else (name, thinned(file.fields[name]))


def find_axis(name: str) -> str | None:
    """The axis that a column's name says it is ("X", "pos_x", "Points:0"), or None."""
    found = _AXIS.fullmatch(name.strip().removeprefix("scalar_"))
    return None if found is None else (found[1] or "xyz"[int(found[2])]).lower()


def _plain_names(fields: Fields) -> Fields:
    plain = {name.lower().removeprefix("scalar_"): column for name, column in fields.items()}
    for name, column in fields.items():
        axis = find_axis(name)
        if axis is not None:
            plain.setdefault(axis, column)
    return plain


def _coordinates(columns: Fields, fields: Fields, origin: str) -> NDArray[Any]:
    """(M, 3) float32 or float64, as the file has them."""
    missing = [axis for axis in "xyz" if axis not in columns]
    if missing:
        raise InputError(
            f"{origin}: wanted fields x, y, z, got {', '.join(fields) or 'none'}: "
            "rename or add the coordinates"
        )
    axes = [columns[axis] for axis in "xyz"]
    for name, axis in zip("xyz", axes, strict=True):
        if axis.dtype.kind not in "fiu" or axis.shape != axes[0].shape or axis.ndim != 1:
            raise InputError(
                f"{origin}: {name}: wanted a number for each point, got {axis.shape} {axis.dtype}"
            )
    if not len(axes[0]):
        raise InputError(f"{origin}: wanted points, got an empty scan: leave it out")
    some = np.stack([axis[:: len(axis) // 20_000 + 1] for axis in axes])
    _refuse_absurd(np.abs(some).max(axis=0), 0.1, origin)  # before all are taken up
    is_single = all(axis.dtype.kind == "f" and axis.dtype.itemsize <= 4 for axis in axes)
    xyz: NDArray[Any] = np.stack(axes, axis=1)
    return xyz.astype(np.float32 if is_single else np.float64, copy=False)


def _several_frames(columns: Fields) -> list[str]:
    """What to say of points of several scans in one file."""
    frames = _first(columns, _FRAME)
    if frames is None:
        return []
    numbers, counts = np.unique(frames, return_counts=True)
    if len(numbers) < 2 or np.sort(counts)[-2] < 0.05 * len(frames):
        return []
    told = f"{len(numbers)} scans in one file, by its column of frames: taken for one; write a "
    return [f"{told}file for each"]


def _first(columns: Fields, names: tuple[str, ...]) -> NDArray[np.generic] | None:
    column = next((columns[name] for name in names if name in columns), None)
    return column if column is not None and column.dtype.kind in "fiu" else None


def _refuse_absurd(largest: NDArray[Any], most: float, origin: str) -> None:
    """Raise InputError where more than a share of the largest coordinates are beyond anything."""
    absurd = np.isfinite(largest) & (largest > _ABSURD_M)
    if float(np.mean(absurd)) > most:
        highest = f"{largest[absurd].max():.1e}"
        raise InputError(
            f"{origin}: wanted points in metres, got coordinates up to {highest}: "
            "this is not a scan, or not in this format"
        )


def _usable(xyz: NDArray[Any], origin: str) -> tuple[BoolArray, list[str]]:
    """Which points are finite and are returns (not exactly at the sensor), and what is not."""
    x, y, z = np.abs(xyz.T)
    largest = np.maximum(np.maximum(x, y), z)  # NaN where one is NaN
    finite: BoolArray = largest <= _ABSURD_M
    if not finite.any() and not np.isfinite(largest).any():
        raise InputError(f"{origin}: all {len(xyz)} points are NaN or infinite: nothing to read")
    _refuse_absurd(largest, 0.01, origin)
    valid: BoolArray = finite & (largest > 0)
    if not valid.any():
        raise InputError(f"{origin}: all {len(xyz)} points lie exactly at the sensor: no returns")
    warnings = []
    if not finite.all():
        warnings.append(f"dropped {int((~finite).sum())} of {len(xyz)} points: NaN or infinite")
    if empty := int((finite & ~valid).sum()):
        warnings.append(f"dropped {empty} of {len(xyz)} points: at (0, 0, 0), so no returns")
    step = (len(xyz) // 20_000) | 1
    place = _crowded_place(xyz[::step][valid[::step]])
    if place is not None:
        is_there = (xyz == place).all(axis=1)
        valid &= ~is_there
        where = ", ".join(f"{value:g}" for value in place)
        told = f"dropped {is_there.sum()} of {len(xyz)} points: all at ({where}), so no returns"
        warnings.append(told)
    return valid, warnings


def _crowded_place(some: NDArray[Any]) -> NDArray[Any] | None:
    """Where more of some points are than can be at one place, None where they are not, or all are.

    So are points without a return marked, or left at the sensor when the others were moved.
    """
    if len(some) < _MIN_POINTS:
        return None
    ordered = np.sort(some[:, 0])
    least = max(int(_CROWDED * len(some)), 2)
    repeated = ordered[: 1 - least][ordered[: 1 - least] == ordered[least - 1 :]]
    if not len(repeated):
        return None
    found, counts = np.unique(some[some[:, 0] == repeated[0]], axis=0, return_counts=True)
    most = int(counts.argmax())
    place: NDArray[Any] = found[most]
    return place if least <= counts[most] and not (some == place).all() else None


def _strays(points: NDArray[Any]) -> BoolArray | None:
    """Which few of the points lie beyond what any sensor sees; None where none or many do."""
    if max(points.max(), -points.min()) <= _STRAY_M:
        return None
    is_stray: BoolArray = np.abs(points).max(axis=1) > _STRAY_M
    return is_stray if np.mean(is_stray) < _FEW else None


def _in_metres(
    xyz: NDArray[Any], world_T_sensor: NDArray[np.float64] | None, expected_height_m: float
) -> tuple[NDArray[np.float64] | None, tuple[str, ...]]:
    """As `_find_sensor`, of points that may count in another unit."""
    unit = find_unit(xyz)
    if unit is None:
        return _find_sensor(xyz, world_T_sensor, expected_height_m)
    metres = xyz.astype(np.float64) * unit.metres
    scaled_T_file = np.diag([unit.metres] * 3 + [1.0])
    sensor_T_scaled, moved = _find_sensor(metres, world_T_sensor, expected_height_m)
    if sensor_T_scaled is not None:
        scaled_T_file = sensor_T_scaled @ scaled_T_file
    return scaled_T_file, (unit.said, *moved)


def _find_sensor(
    xyz: NDArray[Any], world_T_sensor: NDArray[np.float64] | None, expected_height_m: float
) -> tuple[NDArray[np.float64] | None, tuple[str, ...]]:
    """sensor_T_file of points that are counted from elsewhere, else None, and what was found."""
    said = []
    step_m = coarse_step_m(xyz)
    if step_m > _COARSE_M:
        said.append(
            f"float32 coordinates this large come in steps of {step_m:.2g} m: the shape of what "
            "stands there is lost; write float64, or subtract the map's offset first"
        )
    if world_T_sensor is not None and is_in_world(xyz, world_T_sensor):
        told = "coordinates of a world: turned and moved by the file's VIEWPOINT"
        if turns_upright_over(xyz, world_T_sensor):
            world_T_sensor = world_T_sensor.copy()
            world_T_sensor[:3, :3] = np.eye(3)
            told = (
                "coordinates of a world: moved by the file's VIEWPOINT, not turned, since its "
                "quaternion would tip them over: wanted w x y z"
            )
        return np.linalg.inv(world_T_sensor), (*said, told)
    seat = find_seat(xyz, expected_height_m)
    if seat is None:
        return None, tuple(said)
    sensor_T_file = np.eye(4)
    sensor_T_file[:3, 3] = -seat.shift_m
    return sensor_T_file, (*said, seat.said)


def _intensity(
    file: FileFields, columns: Fields, valid: BoolArray, scale: IntensityScale | None
) -> tuple[FloatArray, tuple[str, ...]]:
    """The intensity in [0, 1], zeros where there is none, and what there is to say about it."""
    name = find_intensity(file.fields)
    if name is None:
        there = ", ".join(list(file.fields)[:12])
        return np.zeros(int(valid.sum()), np.float32), (f"no intensity; the file has: {there}",)
    values = file.fields[name][valid]
    scale = scale or file.scale or choose_scale([thinned(values)])
    intensity, num_clipped = scaled(values, scale)
    said = [f"{name!r}: {scale.said}"] if scale.said else []
    if num_missing := int(np.count_nonzero(~np.isfinite(values.astype(np.float64)))):
        said.append(f"{num_missing} of {len(values)} intensities are NaN or infinite: taken as 0")
    if num_clipped:
        said.append(f"{num_clipped} of {len(values)} intensities clipped to 0..{scale.divisor:g}")
    return intensity, tuple(said)


def _ring(column: NDArray[np.generic] | None, valid: BoolArray) -> IntArray | None:
    if column is None:
        return None
    values = column[valid].astype(np.float64)
    if not np.isfinite(values).all() or np.abs(values).max() > 4096:
        return None
    return values.astype(np.int32)


def _seconds(column: NDArray[Any] | None, valid: BoolArray) -> FloatArray | None:
    """Relative seconds; whole numbers and fractions since 1970 may count nanoseconds.

    None when they span more than a sweep.
    """
    if column is None:
        return None
    if column.dtype.kind in "iu":
        first = int(column.min())  # exact where float64 is not: nanoseconds since 1970
        seconds = (column - column.dtype.type(first))[valid].astype(np.float64) * 1e-9
        seconds += first * 1e-9 if first * 1e-9 < _MAX_SWEEP_S else 0.0
    else:
        seconds = column[valid].astype(np.float64)
        if np.abs(seconds).max(initial=0.0) > _EPOCH_NS:  # as Livox writes them
            seconds = (seconds - seconds.min()) * 1e-9
    if not np.isfinite(seconds).all() or np.ptp(seconds) > _MAX_SWEEP_S:
        return None
    if np.abs(seconds).max() > _MAX_SWEEP_S:
        seconds = seconds - seconds.min()
    relative: FloatArray = seconds.astype(np.float32)
    return relative
