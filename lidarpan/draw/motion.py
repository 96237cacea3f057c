"""A drive's labels -> how its objects move: the way each took, and where it will be."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.structures import FloatArray, PanopticLabels, Scan
from lidarpan.tracking.tracker import Tracker
from lidarpan.tracking.ways import smooth_way

TRAIL_S = 3.0
AHEAD_S = 1.0  # an arrow is as long as what it stands for moves in this time
HEAD_M = 0.8


@dataclass(frozen=True)
class Motion:
    """How one object of a scan moves, in its sensor frame.

    Attributes:
        trail: (n, 2) float32 m, the way of its middle in the last TRAIL_S, to where it is.
        seen: (n, 2) float32 m, where its middle was seen then, up to a side that comes into view.
        times_s: (n,) s, when.
        tip: (2,) float32 m, where it will be in AHEAD_S.
    """

    trail: FloatArray
    seen: FloatArray
    times_s: NDArray[np.float64]
    tip: FloatArray

    def lines(self) -> list[FloatArray]:
        """What to draw as connected points: the trail, the arrow and its head. Each (n, 2) m."""
        return trail_lines(self.trail, self.tip)


def trail_lines(trail: FloatArray, tip: FloatArray) -> list[FloatArray]:
    """A trail (n, 2) m, the arrow from its end to a tip (2,) m, and its head. Each (n, 2) m."""
    start = trail[-1]
    way = tip - start
    length = float(np.hypot(*way))
    lines = [trail] if len(trail) > 1 else []
    if length > 0:
        back = way * (min(HEAD_M, 0.5 * length) / length)
        aside = 0.5 * np.array([-back[1], back[0]], np.float32)
        head = np.stack([tip - back + aside, tip, tip - back - aside])
        lines += [np.stack([start, tip]), head]
    return lines


@dataclass
class Follower:
    """Tracks a drive scan by scan, for pictures of it.

    Attributes:
        classes: of the labels.
        renames: whether objects get the tracker's ids: where their own change from scan to scan.
    """

    classes: ClassTable
    renames: bool
    _tracker: Tracker = field(init=False)
    _ways: dict[int, deque[tuple[float, NDArray[np.float64]]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tracker = Tracker(self.classes)

    def follow(
        self, scan: Scan, labels: PanopticLabels, time_s: float, pose: NDArray[np.float64]
    ) -> tuple[PanopticLabels, dict[int, Motion]]:
        """The labels of the next scan, and how those of its objects that move do, by id.

        pose is the scan's world_T_sensor (4, 4).
        """
        tracked = self._tracker.update(scan.points, labels, time_s, pose)
        found, motions = tracked.objects, {}
        for k, track in enumerate(found.id.tolist()):
            way = self._ways.setdefault(track, deque())
            way.append((time_s, found.box[k, :3].copy()))
            while way[0][0] < time_s - TRAIL_S:
                way.popleft()
            if found.is_moving[k]:
                times_s = np.array([when for when, _ in way])
                seen = np.array([place for _, place in way])
                trail = np.column_stack([smooth_way(seen[:, :2], times_s), seen[:, 2]])
                ahead = trail[-1] + np.append(found.velocity[k] * AHEAD_S, 0.0)
                places = np.concatenate([trail, ahead[None], seen])
                local = ((places - pose[:3, 3]) @ pose[:3, :3])[:, :2].astype(np.float32)
                n = len(way)
                motions[track] = Motion(local[:n], local[n + 1 :], times_s, local[n])
        known = set(self._tracker.store.id.tolist())
        self._ways = {track: way for track, way in self._ways.items() if track in known}
        if self.renames:
            return tracked.labels, motions
        name = {t: _own_id(labels, tracked.labels, t) for t in motions}
        return labels, {name[t]: motion for t, motion in motions.items()}


def _own_id(labels: PanopticLabels, tracked: PanopticLabels, track: int) -> int:
    """The id that most points of a track had."""
    return int(np.bincount(labels.instance[tracked.instance == track]).argmax())
