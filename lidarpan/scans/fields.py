"""Named columns of a scan file, and the scan they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import BoolArray, FloatArray, InputError, IntArray, Scan

Fields = dict[str, NDArray[np.generic]]
"""Field name as written in the file -> (M,) values, all of one length."""

_INTENSITY = ("intensity", "i", "reflectivity", "reflectance", "remission")
_RING = ("ring", "channel", "laser_id", "beam")
_TIME = ("time", "t", "timestamp", "time_offset", "gps_time")
_MAX_SWEEP_S = 10.0
_MAP_COORDINATE_M = 1e4
_ABSURD_M = 1e8


@dataclass(frozen=True)
class LoadedScan:
    """A scan and the points of its file that it was made of.

    Attributes:
        scan: the N usable points.
        valid: (M,) bool over the M points of the file, N of them true, in the scan's order.
        warnings: what was dropped or changed on the way, one sentence each.
    """

    scan: Scan
    valid: BoolArray
    warnings: tuple[str, ...] = ()

    @property
    def num_file_points(self) -> int:
        """M."""
        return len(self.valid)


def scan_of_fields(fields: Fields, origin: str, expected_height_m: float) -> LoadedScan:
    """Turn named columns into a scan: find x y z, drop unusable points, scale the intensity.

    Args:
        fields: (M,) columns; x, y, z are wanted, intensity, ring and time taken where present.
        origin: what to call the file in errors.
        expected_height_m: height at which to place the sensor over coordinates of a map.

    Raises:
        InputError: a coordinate is missing, or no point is usable.
    """
    columns = {name.lower().removeprefix("scalar_"): column for name, column in fields.items()}
    missing = [axis for axis in "xyz" if axis not in columns]
    if missing:
        raise InputError(
            f"{origin}: wanted fields x, y, z, got {', '.join(fields) or 'none'}: "
            "rename or add the coordinates"
        )
    if not len(columns["x"]):
        raise InputError(f"{origin}: wanted points, got an empty scan: leave it out")
    xyz: NDArray[Any] = np.stack([columns[axis] for axis in "xyz"], axis=1)
    if xyz.dtype != np.float32:
        xyz = xyz.astype(np.float64)
    valid, warnings = _usable(xyz, origin)
    kept = xyz if valid.all() else xyz[valid]
    kept, moved = _from_map(kept, expected_height_m)
    scan = Scan(
        np.ascontiguousarray(kept, np.float32),
        _intensity(_first(columns, _INTENSITY), valid),
        time=_seconds(_first(columns, _TIME), valid),
        ring=_ring(_first(columns, _RING), valid),
    )
    return LoadedScan(scan, valid, (*warnings, *moved))


def _first(columns: Fields, names: tuple[str, ...]) -> NDArray[np.generic] | None:
    return next((columns[name] for name in names if name in columns), None)


def _usable(xyz: NDArray[Any], origin: str) -> tuple[BoolArray, list[str]]:
    """Which points are finite and are returns (not exactly at the sensor), and what is not."""
    x, y, z = np.abs(xyz.T)
    largest = np.maximum(np.maximum(x, y), z)  # NaN where one is NaN
    finite: BoolArray = largest <= _ABSURD_M
    if not finite.any() and not np.isfinite(largest).any():
        raise InputError(f"{origin}: all {len(xyz)} points are NaN or infinite: nothing to read")
    absurd = np.isfinite(largest) & ~finite
    if float(np.mean(absurd)) > 0.01:
        highest = f"{largest[absurd].max():.1e}"
        raise InputError(
            f"{origin}: wanted points in metres, got coordinates up to {highest}: "
            "this is not a scan, or not in this format"
        )
    valid: BoolArray = finite & (largest > 0)
    if not valid.any():
        raise InputError(f"{origin}: all {len(xyz)} points lie exactly at the sensor: no returns")
    warnings = []
    if not finite.all():
        warnings.append(f"dropped {int((~finite).sum())} of {len(xyz)} points: NaN or infinite")
    if empty := int((finite & ~valid).sum()):
        warnings.append(f"dropped {empty} of {len(xyz)} points: at (0, 0, 0), so no returns")
    return valid, warnings


def _from_map(xyz: NDArray[Any], expected_height_m: float) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Move coordinates of a map, too large for float32 metres, around their middle."""
    some = xyz[:: max(1, len(xyz) // 10_000)]
    middle = np.median(some, axis=0)
    spread = np.percentile(np.abs(some[:, :2] - middle[:2]), 90)
    if np.abs(middle).max() < max(_MAP_COORDINATE_M, 10 * spread):
        return xyz, ()
    shift = middle.round()
    shift[2] = np.percentile(some[:, 2], 5) + expected_height_m
    x, y, z = shift
    said = f"coordinates of a map: moved by ({-x:.0f}, {-y:.0f}, {-z:.1f}) m to their middle"
    return xyz - shift, (said,)


def _intensity(column: NDArray[np.generic] | None, valid: BoolArray) -> FloatArray:
    """Scale 0..1, 0..255 or 0..65535 to [0, 1]; zeros where there is none."""
    if column is None:
        return np.zeros(int(valid.sum()), np.float32)
    values = column[valid].astype(np.float32)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    high = float(values.max())
    scale = next((s for s in (1.0, 255.0, 65535.0) if high <= s * 1.001), high)
    scaled: FloatArray = np.clip(values / np.float32(scale), 0.0, 1.0).astype(np.float32)
    return scaled


def _ring(column: NDArray[np.generic] | None, valid: BoolArray) -> IntArray | None:
    if column is None:
        return None
    values = column[valid].astype(np.float64)
    if not np.isfinite(values).all() or np.abs(values).max() > 4096:
        return None
    return values.astype(np.int32)


def _seconds(column: NDArray[np.generic] | None, valid: BoolArray) -> FloatArray | None:
    """Relative seconds; integers count nanoseconds; None when it spans more than a sweep."""
    if column is None:
        return None
    seconds = column[valid].astype(np.float64)
    if column.dtype.kind in "iu":
        seconds = seconds * 1e-9
    if not np.isfinite(seconds).all() or np.ptp(seconds) > _MAX_SWEEP_S:
        return None
    if np.abs(seconds).max() > _MAX_SWEEP_S:
        seconds = seconds - seconds.min()
    return seconds.astype(np.float32)
