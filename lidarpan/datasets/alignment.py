"""Scans of a drive and their poses -> whether what stands lies on itself where poses say so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import Scan

_CELL_M = 0.5
_NEAR_M = 40.0
_FROM_GROUND_M = 0.6
_MAX_POINTS = 5000
_MIN_POINTS = 300
_WAY_M = (0.6, 15.0)  # between the two scans that are compared
_BETTER, _CLEARLY = 1.3, 0.05


@dataclass
class Alignment:
    """Compares each scan with one a few metres before it.

    The later scan's points that stand above the ground, moved by the poses, should fall into cells
    of 0.5 m in which the earlier one has points. Where they do so clearly better moved by the
    inverse of the poses, or not at all, the poses do not fit the scans.
    """

    _anchor: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    _is_told: bool = False

    def add(self, scan: Scan) -> str | None:
        """What speaks against the poses, once a drive; None where nothing does."""
        pose = scan.world_T_sensor
        if pose is None or self._is_told:
            return None
        if self._anchor is not None:
            way = float(np.linalg.norm(pose[:3, 3] - self._anchor[1][:3, 3]))
            if way < _WAY_M[0]:
                return None
        points = _standing(scan)
        before, self._anchor = self._anchor, (points, pose)
        if before is None or way > _WAY_M[1] or min(len(points), len(before[0])) < _MIN_POINTS:
            return None
        forth = np.linalg.inv(before[1]) @ pose
        share = {
            name: _overlap(before[0], points, transform)
            for name, transform in (
                ("as they are", forth),
                ("inverted", np.linalg.inv(forth)),
                ("left out", np.eye(4)),
            )
        }
        given = share.pop("as they are")
        name = max(share, key=lambda name: share[name])
        if share[name] < _BETTER * given + _CLEARLY:
            return None
        self._is_told = True
        return (
            f"the poses do not fit: moved by them {given:.0%} of what stands lies where the scan "
            f"{way:.0f} m before has points, {share[name]:.0%} with poses {name}"
        )


def _standing(scan: Scan) -> NDArray[np.float64]:
    """(K, 3) some of the near points above the ground."""
    points = scan.points.astype(np.float64)
    near: NDArray[np.float64] = points[np.linalg.norm(points[:, :2], axis=1) < _NEAR_M]
    if not len(near):
        return near
    above = near[near[:, 2] > np.percentile(near[:, 2], 10) + _FROM_GROUND_M]
    some: NDArray[np.float64] = above[:: max(1, len(above) // _MAX_POINTS)]
    return some


def _overlap(
    before: NDArray[np.float64], after: NDArray[np.float64], transform: NDArray[np.float64]
) -> float:
    """Share of the points whose cells the other scan has points in."""
    moved = after @ transform[:3, :3].T + transform[:3, 3]
    return float(np.isin(_cells(moved), np.unique(_cells(before))).mean())


def _cells(points: NDArray[np.float64]) -> NDArray[np.int64]:
    x, y, z = (np.floor(points / _CELL_M).astype(np.int64) + (1 << 19)).T
    cells: NDArray[np.int64] = (x << 40) + (y << 20) + z
    return cells
