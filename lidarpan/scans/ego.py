"""The sensor's own vehicle: a box in the sensor frame whose points belong to no street."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lidarpan.scans.fields import LoadedScan
from lidarpan.structures import BoolArray, FloatArray, InputError

AUTO_SCANS = 12
"""So many scans of a drive are looked at to find what stays beside the sensor."""

_HALF_LENGTH_M, _HALF_WIDTH_M = 3.5, 1.3  # no car reaches further from a sensor on its roof
_SEED_M = 1.5  # the vehicle begins so near the sensor
_OVER_GROUND_M = 0.3  # what lies lower is taken for ground
_OVER_SENSOR_M = 0.1  # the roof lies below the sensor
_CELL_M, _MARGIN_M = 0.25, 0.1
_FEWEST_SCANS, _FEWEST_POINTS = 4, 3
_STAYS, _MOVED = 0.75, 0.5  # share of the scans a cell is seen in; of cells afar that stay


@dataclass(frozen=True)
class EgoBox:
    """A box in the sensor frame, borders included.

    Attributes:
        min_m: (x, y, z) of the lower corner, metres.
        max_m: (x, y, z) of the upper corner.

    Raises:
        InputError: a lower bound above its upper one.
    """

    min_m: tuple[float, float, float]
    max_m: tuple[float, float, float]

    def __post_init__(self) -> None:
        for axis, low, high in zip("xyz", self.min_m, self.max_m, strict=True):
            if not low <= high:
                raise InputError(f"ego box {axis}: wanted lower <= upper, got {low}..{high}")

    def contains(self, points: FloatArray) -> BoolArray:
        """(N, 3) -> (N,) bool."""
        inside = np.ones(len(points), np.bool_)
        for axis in range(3):  # much faster than whole rows at a time
            inside &= points[:, axis] >= self.min_m[axis]
            inside &= points[:, axis] <= self.max_m[axis]
        return inside

    def __str__(self) -> str:
        return ",".join(f"{value:.2f}" for value in (*self.min_m, *self.max_m))


EgoChoice: TypeAlias = "EgoBox | Literal['auto'] | None"
"""A box; "auto" to find one; None for none."""


def parse_ego_box(text: str) -> EgoChoice:
    """Read auto, off, or six numbers x0,y0,z0,x1,y1,z1 in metres. Raises InputError."""
    if text == "auto":
        return "auto"
    if text == "off":
        return None
    try:
        x0, y0, z0, x1, y1, z1 = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"ego box: wanted auto, off or x0,y0,z0,x1,y1,z1 in metres, got {text!r}"
        ) from None
    return EgoBox((x0, y0, z0), (x1, y1, z1))


def find_ego_box(scans: Sequence[FloatArray], height_m: float) -> EgoBox | None:
    """The box of the vehicle that carries the sensor, from what lies in the near blind zone.

    Of the points above the ground, below the sensor and no further from it than a car reaches,
    those count that hang together with what lies within 1.5 m. Where there are four scans or more
    and what is further away moves past, a place must be seen in three quarters of them.

    Args:
        scans: points (N, 3) of one scan, or of some of a drive, metres in the sensor frame.
        height_m: of the sensor above the ground.

    Returns:
        The box around them, or None where there is nothing.
    """
    near = [points[_near(points, height_m)] for points in scans]
    if not sum(map(len, near)):
        return None
    seen = np.stack([_occupied(points) for points in near])
    if len(scans) >= _FEWEST_SCANS and _drives(scans, height_m):
        cells = seen.mean(axis=0) >= _STAYS
    else:
        cells = seen.any(axis=0)
    middle = _centers()
    seed = np.hypot(*np.meshgrid(*middle, indexing="ij")) < _SEED_M
    parts, _ = ndimage.label(cells, structure=np.ones((3, 3)))
    mine = np.isin(parts, np.unique(parts[seed & cells])) & cells
    points = np.concatenate([points[mine[_cell(points)]] for points in near])
    if len(points) < _FEWEST_POINTS:
        return None
    low = np.minimum(points.min(axis=0) - _MARGIN_M, 0.0).astype(np.float64)
    high = np.maximum(points.max(axis=0) + _MARGIN_M, 0.0).astype(np.float64)
    low[2] = min(low[2], _OVER_GROUND_M - height_m)
    return EgoBox((low[0], low[1], low[2]), (high[0], high[1], high[2]))


def hide_ego(loaded: LoadedScan, ego_box: EgoChoice, height_m: float) -> LoadedScan:
    """The scan without the points on the sensor's own vehicle, which count as not usable.

    Args:
        loaded: the scan.
        ego_box: a box; "auto" finds one in this scan; None leaves every point.
        height_m: of the sensor above the ground.
    """
    box = find_ego_box([loaded.scan.points], height_m) if ego_box == "auto" else ego_box
    if box is None:
        return loaded
    keep = ~box.contains(loaded.scan.points)
    if keep.all() or not keep.any():
        return loaded
    valid = loaded.valid.copy()
    valid[valid] = keep
    return replace(loaded, scan=loaded.scan.take(keep), valid=valid)


def _near(points: FloatArray, height_m: float) -> BoolArray:
    x, y, z = points.T
    beside = (np.abs(x) < _HALF_LENGTH_M) & (np.abs(y) < _HALF_WIDTH_M)
    near: BoolArray = beside & (z > _OVER_GROUND_M - height_m) & (z < _OVER_SENSOR_M)
    return near


def _centers() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middles of the cells along x and along y."""
    return tuple(  # type: ignore[return-value]
        np.arange(-half, half, _CELL_M) + _CELL_M / 2 for half in (_HALF_LENGTH_M, _HALF_WIDTH_M)
    )


def _cell(points: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    size = [len(axis) for axis in _centers()]
    cell = np.floor((points[:, :2] + (_HALF_LENGTH_M, _HALF_WIDTH_M)) / _CELL_M).astype(np.int64)
    return cell[:, 0].clip(0, size[0] - 1), cell[:, 1].clip(0, size[1] - 1)


def _occupied(points: FloatArray) -> BoolArray:
    seen = np.zeros([len(axis) for axis in _centers()], np.bool_)
    seen[_cell(points)] = True
    return seen


def _drives(scans: Sequence[FloatArray], height_m: float) -> bool:
    """Whether what stands 5 to 20 m away is elsewhere in the next scan."""
    cells = []
    for points in scans:
        reach = np.hypot(points[:, 0], points[:, 1])
        stands = (reach > 5) & (reach < 20) & (points[:, 2] > 2 * _OVER_GROUND_M - height_m)
        cells.append({tuple(c) for c in np.floor(points[stands, :2] / _CELL_M).astype(int)})
    stay = [len(one & other) / max(len(one), 1) for one, other in pairwise(cells)]
    return float(np.mean(stay)) < _MOVED
