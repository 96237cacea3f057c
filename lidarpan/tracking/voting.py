"""Stuff of many scans in the world -> the class that the scans around give to each cell.

What stands still is seen again and again, and from nearer. Each scan gives a ballot: how sure its
points in a cell of CELL_M are together of each kind of stuff. A point of stuff takes the class that
the ballots of WINDOW scans before and after are for, where their share is no less than the point is
sure of its own: a trunk among leaves stays one where it was seen well. The share of n scans counts
as n / (n + 1) of it, by the rule of succession: few scans say little, even if they agree. Things
and void neither vote nor change. The poses must be good to less than a cell.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import BoolArray, FloatArray, SemanticArray

CELL_M = 0.2
WINDOW = 10
STEPS = 255  # of a confidence
REACH = 1 << 20  # cells to each side of the first scan that have numbers of their own
_CLASSES = 256


@dataclass
class StuffVotes:
    """The ballots of a drive's scans, one after the other, kept small.

    Attributes:
        is_stuff: (C,) bool.
        first: (3,) m, where the first scan was.
    """

    is_stuff: BoolArray
    first: NDArray[np.float64] | None = None
    _ballots: list[tuple[bytes, bytes]] = field(default_factory=list)

    def add(
        self,
        points: FloatArray,
        semantic: SemanticArray,
        confidence: FloatArray,
        world_T_sensor: NDArray[np.float64],
    ) -> None:
        """Let the next scan vote.

        Args:
            points: (N, 3) m in the sensor frame.
            semantic: (N,) train ids.
            confidence: (N,) in [0, 1].
            world_T_sensor: (4, 4).
        """
        if self.first is None:
            self.first = world_T_sensor[:3, 3].copy()
        stuff = np.flatnonzero(self.is_stuff[semantic])
        cell = self._cells(points[stuff], world_T_sensor)
        codes, which = np.unique(cell * _CLASSES + semantic[stuff], return_inverse=True)
        each = np.maximum(np.rint(STEPS * confidence[stuff]), 1)
        sure = np.bincount(which, each, len(codes))
        steps = np.diff(codes, prepend=0)  # small numbers pack well
        votes = np.minimum(sure, np.iinfo(np.uint16).max).astype(np.uint16)
        self._ballots.append((zlib.compress(steps.tobytes(), 1), zlib.compress(votes.tobytes(), 1)))

    def settle(
        self,
        scan: int,
        points: FloatArray,
        semantic: SemanticArray,
        confidence: FloatArray,
        world_T_sensor: NDArray[np.float64],
    ) -> SemanticArray:
        """Classes of the points of a scan that voted, as the scans around have them.

        scan is its number, the rest as in `add` -> (N,) uint8.
        """
        stuff = np.flatnonzero(self.is_stuff[semantic])
        around = self._ballots[max(scan - WINDOW, 0) : scan + WINDOW + 1]
        said = [np.cumsum(_unpack(steps, np.int64), dtype=np.int64) for steps, _ in around]
        once = [np.diff(part // _CLASSES, prepend=-1) > 0 for part in said]  # in each of its cells
        votes = np.concatenate([_unpack(votes, np.uint16) for _, votes in around])
        codes, which = np.unique(np.concatenate(said), return_inverse=True)
        sure = np.bincount(which, votes, len(codes))
        scans = np.bincount(which, np.concatenate(once), len(codes))
        order = np.lexsort((sure, codes // _CLASSES))
        cells, begin = np.unique(codes[order] // _CLASSES, return_index=True)
        if not len(cells):
            return semantic
        most = np.append(begin[1:], len(order)) - 1
        share = sure[order[most]] / np.add.reduceat(sure[order], begin)
        count = np.add.reduceat(scans[order], begin)
        known = (share * count / (count + 1)).astype(np.float32)
        at = np.searchsorted(cells, self._cells(points[stuff], world_T_sensor))
        winner = (codes[order[most]] % _CLASSES).astype(np.uint8)
        settled = semantic.copy()
        is_outvoted = known[at] >= confidence[stuff]
        settled[stuff] = np.where(is_outvoted, winner[at], semantic[stuff])
        return settled

    def _cells(self, points: FloatArray, world_T_sensor: NDArray[np.float64]) -> NDArray[np.int64]:
        start = world_T_sensor[:3, 3] - (0.0 if self.first is None else self.first)
        world = points @ world_T_sensor[:3, :3].T + start
        x, y, z = np.floor(world / CELL_M).astype(np.int64).T
        cells: NDArray[np.int64] = ((x + REACH) * 2 * REACH + y + REACH) * 4096 + (z + 2048) % 4096
        return cells


def _unpack(packed: bytes, dtype: type[np.generic]) -> NDArray[np.generic]:
    return np.frombuffer(zlib.decompress(packed), dtype)
