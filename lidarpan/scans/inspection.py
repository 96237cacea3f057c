"""What looks wrong with a scan before a network sees it: height, axes, scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import FloatArray, Scan

EXPECTED_HEIGHT_M = 1.73
"""Height of KITTI's sensor above the road, metres."""

ROAD_HALF_WIDTH_M = 4.0
SHIFT_TOLERANCE_M = 0.3
"""Scans whose ground lies further from where the weights expect it are shifted."""

_MULTIPLY = "multiply x y z by the metres that one has"
_HEIGHT_TOLERANCE_M = 0.5
_SLAB_M = 0.4
_MAX_TILT_RAD = np.radians(6.0)
_MIN_POINTS = 200


class Remark(str):
    """What is unusual about a scan, in words.

    Attributes:
        kind: "few" (points), "scale", "axes" (z is not up), "tilt", "ground" (there is none),
            "height" or "forward".
    """

    kind: str
    __slots__ = ("kind",)

    def __new__(cls, kind: str, text: str) -> Remark:
        """The text with its kind."""
        remark = super().__new__(cls, text)
        remark.kind = kind
        return remark


TURNED = frozenset({"axes", "tilt", "ground", "above"})
"""Kinds of remarks that a turned sensor gives cause for."""


def inspect_scan(scan: Scan, expected_height_m: float = EXPECTED_HEIGHT_M) -> list[Remark]:
    """Say in words what is unusual about a street scan: scale, axis order, ground height.

    Args:
        scan: any scan; fewer than 200 points are not judged.
        expected_height_m: sensor height above ground that the reader of the scan was made for.
    """
    points = _thinned(scan.points)
    if len(points) < _MIN_POINTS:
        said = f"only {scan.num_points} points: too few for a street scene"
        return [Remark("few", said)]
    distance = np.linalg.norm(points, axis=1)
    range_m = float(np.percentile(distance, 98))
    if range_m > 1000:
        said = f"98 % of the points lie within {range_m:.0f} m: wanted metres around the sensor, "
        return [Remark("scale", f"{said}this looks like another unit: {_MULTIPLY}")]
    if range_m < 2:
        said = f"98 % of the points lie within {range_m:.3g} m of the sensor: wanted metres, "
        said += "this looks like another unit or a normalised scan: "
        return [Remark("scale", f"{said}{_MULTIPLY}")]
    far = points[(distance > 3.0) & (distance < 3 * range_m)]  # a few stray ones say nothing
    up = _up_axis(far)
    if up != "z":
        said = f"the ground lies across {up}, not z: wanted x forward, y left, z up"
        return [Remark("axes", said)]
    return [*_height_warnings(points, expected_height_m), *_forward_warnings(far)]


def fit_ground(points: FloatArray, reach_m: float = 15.0) -> tuple[float, float, float] | None:
    """Fit the plane z = a x + b y + c to the lowest points around the sensor.

    The low point (5 %) of each 2 m cell between 3 m and `reach_m` is kept while it agrees with the
    plane to 0.3 m (repeated least squares).

    Args:
        points: (N, 3) metres.
        reach_m: how far to look.

    Returns:
        (a, b, c), or None where there is too little to see.
    """
    points = _thinned(points)
    distance = np.hypot(points[:, 0], points[:, 1])
    near = points[(distance > 3.0) & (distance < reach_m)].astype(np.float64)
    if len(near) < _MIN_POINTS // 2:
        return None
    low = _low_points(near, cell_m=2.0)
    if len(low) < 8:
        return None
    plane = np.array([0.0, 0.0, np.percentile(low[:, 2], 30)])
    tolerance_m = 2.0
    for _ in range(6):
        design = np.column_stack([low[:, :2], np.ones(len(low))])
        agree = np.abs(low[:, 2] - design @ plane) < tolerance_m
        if agree.sum() < 8:
            return None
        plane = np.linalg.lstsq(design[agree], low[agree, 2], rcond=None)[0]
        tolerance_m = max(0.3, tolerance_m * 0.6)
    return float(plane[0]), float(plane[1]), float(plane[2])


def sensor_height(scan: Scan, expected_m: float) -> float:
    """Height of the sensor above the road, metres; `expected_m` where they nearly agree.

    From a plane fitted to the ground ahead of and behind the sensor: what lies beside a road may be
    far below it.
    """
    ahead = scan.points[np.abs(scan.points[:, 1]) < ROAD_HALF_WIDTH_M]
    plane = fit_ground(ahead, reach_m=12.0) or fit_ground(scan.points)
    if plane is None or abs(-plane[2] - expected_m) < SHIFT_TOLERANCE_M:
        return expected_m
    return -plane[2]


def _thinned(points: FloatArray) -> FloatArray:
    """Some 20,000 of the points; every odd-th, so that no beam is left out."""
    return points[:: (len(points) // 20_000) | 1]


def _low_points(points: NDArray[np.float64], cell_m: float) -> NDArray[np.float64]:
    """The point at the 5th height percentile of every cell with five points or more."""
    cells = np.floor(points[:, :2] / cell_m).astype(np.int64)
    key = cells[:, 0] * 1_000_003 + cells[:, 1]
    order = np.lexsort((points[:, 2], key))
    _, first, count = np.unique(key[order], return_index=True, return_counts=True)
    full = count >= 5
    low: NDArray[np.float64] = points[order[(first + count // 20)[full]]]
    return low


def _up_axis(far: FloatArray) -> str:
    """The axis whose densest slab holds most points, with its direction: "z" for z up."""
    if len(far) < _MIN_POINTS // 2:
        return "z"
    share, height = zip(*(_densest_slab(far[:, axis]) for axis in range(3)), strict=True)
    best = int(np.argmax(share))
    if share[best] < max(0.25, 2 * share[2]):
        best = 2  # a long wall is no ground
    beyond = np.mean(far[:, best] > height[best] + _SLAB_M)
    below = np.mean(far[:, best] < height[best] - _SLAB_M)
    upside_down = below > 4 * beyond and height[best] > 0 and share[best] > 0.2
    return ("-" if upside_down else "") + "xyz"[best]


def _densest_slab(values: NDArray[np.float32]) -> tuple[float, float]:
    """Share of the points in the densest 0.4 m, and where it is."""
    half = _SLAB_M / 2
    inside = values[np.abs(values) < 100]
    counts = np.bincount(((inside + 100) / half).astype(np.int64), minlength=3)
    slabs = counts[:-1] + counts[1:]
    best = int(slabs.argmax())
    return float(slabs[best] / len(values)), (best + 1) * half - 100


def height_in_words(height_m: float) -> str:
    """Where the ground lies, seen from the sensor's origin: "0.97 m below the sensor"."""
    if abs(height_m) < 0.05:
        return "at the height of the sensor's origin"
    return f"{abs(height_m):.2f} m {'below' if height_m > 0 else 'above'} the sensor"


def _height_warnings(points: FloatArray, expected_height_m: float) -> list[Remark]:
    ground = fit_ground(points)
    if ground is None:
        said = "no ground found around the sensor: is it a street scan with z up?"
        return [Remark("ground", said)]
    warnings = []
    height_m = -ground[2]
    if abs(height_m - expected_height_m) > _HEIGHT_TOLERANCE_M:
        said = (
            f"the ground lies {height_in_words(height_m)}, expected {expected_height_m:.2f} m: "
            "another mounting height, or z counted from elsewhere"
        )
        warnings.append(Remark("above" if height_m < -_HEIGHT_TOLERANCE_M else "height", said))
    tilt = np.arctan(np.hypot(ground[0], ground[1]))
    if tilt > _MAX_TILT_RAD:
        said = f"the ground is tilted by {np.degrees(tilt):.0f} degrees: is z up?"
        warnings.append(Remark("tilt", said))
    return warnings


def _forward_warnings(far: FloatArray) -> list[Remark]:
    """Streets are longer along the driving direction: compare the spread along y and x."""
    if len(far) < _MIN_POINTS // 2:
        return []
    spread = far[:, :2].std(axis=0)
    if spread[1] < 1.25 * spread[0]:
        return []
    said = f"the scene is longer along y ({spread[1]:.0f} m) than x ({spread[0]:.0f} m): "
    return [Remark("forward", f"{said}if y points forward, turn the points to x forward, y left")]
