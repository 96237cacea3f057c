"""Intensities -> brightness by rank: what a sensor's gain, offset and gamma cannot change."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import FloatArray
from lidarpan.voxels.sorting import stable_order

NEAREST_M, FARTHEST_M = 2.0, 50.0
"""A point counts by its range within these bounds: near ones are many and see little."""

OWN_M = 1.0  # nearer points are of the own car or no returns at all
COMMONEST = 0.9  # where one value has more than this share, there is no intensity

REFERENCE = np.array(
    [
        0.000, 0.058, 0.102, 0.133, 0.158, 0.176, 0.194, 0.209, 0.222, 0.234, 0.246,
        0.257, 0.266, 0.276, 0.286, 0.295, 0.306, 0.316, 0.324, 0.334, 0.346, 0.356,
        0.367, 0.378, 0.389, 0.404, 0.416, 0.432, 0.451, 0.474, 0.502, 0.547, 0.926,
    ],
    np.float32,
)  # fmt: skip
"""Quantiles 0, 1/32, ... 1 of the intensity of simulated HDL-64E scans, by range as below."""


def brightness(points: FloatArray, intensity: FloatArray, kind: str) -> FloatArray:
    """What the network sees of intensity: "rank" as rank_brightness says, "raw" as it is. (N,)."""
    return rank_brightness(points, intensity) if kind == "rank" else intensity


def rank_brightness(points: FloatArray, intensity: FloatArray) -> FloatArray:
    """The brightness at each point's rank among the scan's intensities.

    The share of points that are darker, with half of those as bright, is looked up in the
    quantiles of a reference scan. Any growing function of all intensities changes nothing, so
    neither gain, offset nor gamma of a sensor does. Points count by their horizontal range.

    Args:
        points: (N, 3) metres, the sensor on the z axis.
        intensity: (N,) finite.

    Returns:
        (N,) float32 in [0, 1]; all 0 where the scan has no intensity: one value, or nearly so.
    """
    none = np.zeros(len(points), np.float32)
    if not len(points):
        return none
    value = np.asarray(intensity, np.float32) + np.float32(0)  # no negative zero
    range_m = np.hypot(points[:, 0], points[:, 1])
    weight = np.clip(range_m, NEAREST_M, FARTHEST_M) * (range_m > OWN_M)
    order, first = _sorted_groups(value)
    mass = np.add.reduceat(weight[order].astype(np.float64), first)
    total = mass.sum()
    if total == 0 or mass.max() > COMMONEST * total:
        return none
    rank = (np.cumsum(mass) - mass / 2) / total
    bright = np.interp(rank, np.linspace(0, 1, len(REFERENCE)), REFERENCE).astype(np.float32)
    sizes = np.diff(np.append(first, len(value)))
    none[order] = np.repeat(bright, sizes)
    return none


def _sorted_groups(value: FloatArray) -> tuple[NDArray[Any], NDArray[Any]]:
    """Order that sorts values, and where in it each run of equal values begins. (N,), (G,)."""
    bits = value.view(np.uint32)
    sign = np.uint32(1 << 31)
    keys = np.where(bits >= sign, ~bits, bits | sign)  # in the order of the values
    order = stable_order(keys)
    level = keys[order]
    first = np.flatnonzero(np.r_[True, level[1:] != level[:-1]])
    return order, first
