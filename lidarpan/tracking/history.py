"""What became of the tracks of a drive -> better ids, classes and speeds, with its end known.

A tracker answers each scan from the past. Looking back over a whole drive, tracks that were shown
to be one get one id in all scans; a track that ended is joined with one that began later where
each, moved by what is known of its motion by then, is found where the other is; an object has the
class that its whole life speaks for; and what moves is known from its first scan on.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lidarpan.tracking.facts import MotionFacts
from lidarpan.tracking.tracker import TrackedObjects, TrackedScan

MAX_GAP_S = 4.0
JOIN_M = 1.0  # from where a track is expected to where the other is, at least allowed
JOIN_SHARE = 0.15  # and this share of the way between them
SMOOTH_SCANS = 2  # on either side, of which the median speed counts


@dataclass(frozen=True)
class View:
    """One object in one scan: time, class, middle x y (m), velocity (m/s), whether it moves."""

    time_s: float
    class_id: int
    place: NDArray[np.float64]
    velocity: NDArray[np.float64]
    is_moving: bool


@dataclass
class History:
    """Collects what a tracker says of a drive, scan by scan."""

    facts: MotionFacts
    _lives: dict[int, list[View]] = field(default_factory=lambda: defaultdict(list))
    _merged: list[tuple[int, int]] = field(default_factory=list)

    def add(self, tracked: TrackedScan) -> None:
        """Add the next scan."""
        found = tracked.objects
        self._merged += tracked.merged
        for k, track in enumerate(found.id.tolist()):
            view = View(
                tracked.time_s, int(found.class_id[k]), found.box[k, :2].copy(),
                found.velocity[k].copy(), bool(found.is_moving[k]),
            )  # fmt: skip
            self._lives[track].append(view)

    def conclude(self) -> Conclusion:
        """Decide what the whole drive says."""
        id_of = {track: track for track in self._lives}
        for younger, older in self._merged:
            _join(id_of, younger, older)
        self._join_gaps(id_of)
        roots = {track: _root(id_of, track) for track in id_of}
        lives: dict[int, list[View]] = defaultdict(list)
        for track, root in roots.items():
            lives[root] += self._lives[track]
        for life in lives.values():
            life.sort(key=lambda view: view.time_s)
        class_of = {root: _class_of(life) for root, life in lives.items()}
        moves = {root: _moving(life) for root, life in lives.items()}
        return Conclusion(roots, class_of, moves)

    def _join_gaps(self, id_of: dict[int, int]) -> None:
        """Join tracks that end with tracks that begin later, the best pairs first."""
        lives: dict[int, list[View]] = defaultdict(list)
        for track in id_of:
            lives[_root(id_of, track)] += self._lives[track]
        ends = {track: (life[0], life[-1]) for track, life in lives.items() if life}
        for track, life in lives.items():
            life.sort(key=lambda view: view.time_s)
            ends[track] = life[0], life[-1]
        pairs = []
        for a, (_, last) in ends.items():
            for b, (first, _) in ends.items():
                cost = self._gap_cost(lives[a], lives[b], last, first) if a != b else None
                if cost is not None:
                    pairs.append((cost, a, b))
        after: set[int] = set()
        before: set[int] = set()
        for _, a, b in sorted(pairs):
            if a not in after and b not in before:
                after.add(a)
                before.add(b)
                _join(id_of, b, a)

    def _gap_cost(self, a: list[View], b: list[View], last: View, first: View) -> float | None:
        """How badly b goes on where a ended, None where it does not."""
        gap = first.time_s - last.time_s
        if not 0 < gap <= MAX_GAP_S or (len(a) < 3 and len(b) < 3):
            return None
        if not np.isfinite(self.facts.class_cost[last.class_id, first.class_id]):
            return None
        if last.class_id != first.class_id and len(a) > 2 and len(b) > 2:
            return None
        way = first.place - last.place
        if np.hypot(*way) > self.facts.limits[last.class_id, 0] * gap + JOIN_M:
            return None
        misses = []
        if len(a) >= 3:
            misses.append(np.hypot(*(way - _velocity(a[-4:]) * gap)))
        if len(b) >= 3:
            misses.append(np.hypot(*(way - _velocity(b[:4]) * gap)))
        allowed = JOIN_M + JOIN_SHARE * float(np.hypot(*way))
        worst = float(max(misses))
        return worst / allowed if worst < allowed else None


@dataclass(frozen=True)
class Conclusion:
    """What the whole drive says.

    Attributes:
        id_of: track id -> the id it has in all scans.
        class_of: id -> class.
        moves: id -> times (s) at which it moves.
    """

    id_of: dict[int, int]
    class_of: dict[int, int]
    moves: dict[int, set[float]]

    def renamed(self, objects: TrackedObjects, time_s: float) -> TrackedObjects:
        """The objects of a scan with these ids; of two that are one the larger stays."""
        ids = np.array([self.id_of[track] for track in objects.id.tolist()], np.int32)
        order = np.lexsort((-objects.num_points, ids))
        _, first = np.unique(ids[order], return_index=True)
        chosen = order[first]
        points = np.bincount(ids, objects.num_points) if len(ids) else np.zeros(1)
        names = ids[chosen].tolist()
        return TrackedObjects(
            id=ids[chosen],
            class_id=np.array([self.class_of[name] for name in names], np.int64),
            score=objects.score[chosen],
            box=objects.box[chosen],
            velocity=objects.velocity[chosen],
            is_moving=np.array([time_s in self.moves[name] for name in names], np.bool_),
            num_points=points[ids[chosen]].astype(np.int64),
        )


def _velocity(life: list[View]) -> NDArray[np.float64]:
    """Of the middles over some scans, where they say more than the filter."""
    velocity: NDArray[np.float64] = np.median([view.velocity for view in life[1:]], axis=0)
    return velocity


def _class_of(life: list[View]) -> int:
    """The class that the life ended with, of the longest of the joined ones."""
    values, counts = np.unique([view.class_id for view in life], return_counts=True)
    return int(values[counts.argmax()])


def _moving(life: list[View]) -> set[float]:
    """Times at which it moves, by the majority of the scans around."""
    known = [view.is_moving for view in life]
    if len(known) > 1:
        known[0] = known[1]  # a first view shows no motion
    times = set()
    for k, view in enumerate(life):
        around = known[max(k - SMOOTH_SCANS, 0) : k + SMOOTH_SCANS + 1]
        if 2 * sum(around) > len(around):
            times.add(view.time_s)
    return times


def _root(id_of: dict[int, int], track: int) -> int:
    while id_of.get(track, track) != track:
        track = id_of[track]
    return track


def _join(id_of: dict[int, int], a: int, b: int) -> None:
    """Let two tracks have the older id."""
    first, second = sorted((_root(id_of, a), _root(id_of, b)))
    id_of.setdefault(first, first)
    id_of[second] = first
