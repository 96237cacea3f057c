"""Predicted ids over the scans of a scene -> whether they can be tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import Scan

NEAR_M = 2.0
"""An instance whose mean is as near as this to where another was is taken for the same object."""

_MIN_OBJECTS = 5

Places = dict[int, NDArray[np.float64]]
"""Id -> (3,) mean position in metres, in the world where the scan has a pose, else as it is."""


def places_of(ids: NDArray[np.int64], scan: Scan | None) -> Places:
    """Where the predicted instances of a scan are.

    Args:
        ids: (N,) names of objects, 0 for none.
        scan: the scan; without it, or with another number of points, positions are nan.
    """
    points = np.full((len(ids), 3), np.nan)
    if scan is not None and scan.num_points == len(ids):
        points = scan.points.astype(np.float64)
        if scan.world_T_sensor is not None:
            points = points @ scan.world_T_sensor[:3, :3].T + scan.world_T_sensor[:3, 3]
    found, number, count = np.unique(ids, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(number, axis, len(found)) for axis in points.T], axis=1)
    mean = sums / count[:, None]
    return {int(i): place for i, place in zip(found, mean, strict=True) if i > 0}


@dataclass
class Continuity:
    """How well ids last over the scans of a scene, followed scan by scan.

    Attributes:
        num_scans: seen.
        num_kept: objects that stayed where they were and kept their id.
        num_seen: objects that stayed where they were.
        num_chances: objects that could have been in two scans that follow each other.
        lasts: whether any id was.
    """

    num_scans: int = 0
    num_kept: int = 0
    num_seen: int = 0
    num_chances: int = 0
    lasts: bool = False

    def follow(self, before: Places, after: Places) -> None:
        """Take the objects of two scans that follow each other."""
        self.num_chances += min(len(before), len(after))
        self.lasts |= bool(before.keys() & after.keys())
        if before and after:
            kept, seen = _follow(before, after)
            self.num_kept += kept
            self.num_seen += seen

    def verdict(self) -> str | None:
        """Why the ids of the scene cannot be tracks; None where they can."""
        if not self.lasts and self.num_chances >= _MIN_OBJECTS:
            return (
                f"none of its instance ids lasts for two of its {self.num_scans} scans: wanted "
                "tracks"
            )
        if self.num_seen >= _MIN_OBJECTS and 2 * self.num_kept < self.num_seen:
            return (
                f"of {self.num_seen} objects that stay where they are, "
                f"{self.num_seen - self.num_kept} get another instance id in the next scan: wanted "
                "tracks"
            )
        return None


def find_breaks(scans: Sequence[Places]) -> str | None:
    """Say why the ids of a scene cannot be tracks; None where they can.

    They cannot where none of them occurs in two scans that follow each other, or where most of the
    objects that are still where they were have another id there: ids that start anew in each scan.

    Args:
        scans: of the scene, in order.
    """
    continuity = Continuity(num_scans=len(scans))
    for before, after in pairwise(scans):
        continuity.follow(before, after)
    return continuity.verdict()


def _follow(before: Places, after: Places) -> tuple[int, int]:
    """How many objects kept their id, and how many are within NEAR_M of where they were."""
    old, new = np.stack(list(before.values())), np.stack(list(after.values()))
    apart = np.linalg.norm(old[:, None] - new, axis=2)
    apart = np.where(np.isfinite(apart), apart, np.inf)
    nearest = apart.argmin(axis=1)
    near = apart.min(axis=1) <= NEAR_M
    same = np.array(list(before)) == np.array(list(after))[nearest]
    return int((near & same).sum()), int(near.sum())
