"""Predicted ids over the scans of a scene -> whether they can be tracks."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import load_class_table
from lidarpan.datasets.nuscenes_labels import FACTOR
from lidarpan.structures import Scan

JUMP_M = 15.0
"""Half of the objects of a scene do not move as far between two scans: 30 m/s at 2 Hz."""

_MIN_PAIRS = 5

Places = dict[int, NDArray[np.float64]]
"""Id -> (3,) mean position in metres, in the world where the scan has a pose, else as it is."""


def places_of(dataset: str, content: bytes, scan: Scan | None) -> Places:
    """Where the predicted instances of a scan are.

    Args:
        dataset: "semantickitti" or "nuscenes".
        content: of a prediction file without fault.
        scan: the scan; without it, or with another number of points, positions are nan.
    """
    if dataset == "semantickitti":
        packed = np.frombuffer(content, "<u4").astype(np.int64)
        ids = packed >> 16
    else:
        with np.load(io.BytesIO(content)) as arrays:
            packed = arrays["data"].astype(np.int64)
        is_thing = load_class_table("nuscenes").is_thing[packed // FACTOR]
        ids = np.where(is_thing & (packed % FACTOR > 0), packed, 0)
    points = np.full((len(ids), 3), np.nan)
    if scan is not None and scan.num_points == len(ids):
        points = scan.points.astype(np.float64)
        if scan.world_T_sensor is not None:
            points = points @ scan.world_T_sensor[:3, :3].T + scan.world_T_sensor[:3, 3]
    found, number, count = np.unique(ids, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(number, axis, len(found)) for axis in points.T], axis=1)
    mean = sums / count[:, None]
    return {int(i): place for i, place in zip(found, mean, strict=True) if i > 0}


def find_breaks(scans: Sequence[Places]) -> str | None:
    """Say why the ids of a scene cannot be tracks; None where they can.

    They cannot where none of them occurs in two scans that follow each other, or where half of
    those that do are more than JUMP_M away from where they were: ids that start anew in each scan.

    Args:
        scans: of the scene, in order.
    """
    pairs = [
        float(np.linalg.norm(after[i] - before[i]))
        for before, after in pairwise(scans)
        for i in before.keys() & after.keys()
    ]
    chances = sum(min(len(before), len(after)) for before, after in pairwise(scans))
    if not pairs and chances >= _MIN_PAIRS:
        return f"none of its instance ids lasts for two of its {len(scans)} scans: wanted tracks"
    if len(pairs) < _MIN_PAIRS or not np.isfinite(pairs).all():
        return None
    jump_m = float(np.median(pairs))
    if jump_m <= JUMP_M:
        return None
    return (
        f"half of its instance ids move {jump_m:.0f} m or more from one scan to the next: wanted "
        "ids that stay with their object"
    )
