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

from lidarpan.structures import IntArray
from lidarpan.tracking.facts import MotionFacts
from lidarpan.tracking.resting import name_by_place
from lidarpan.tracking.tracker import TrackedObjects, TrackedScan

MAX_GAP_S = 4.0
JOIN_M = 1.0  # from where a track is expected to where the other is, at least allowed
JOIN_SHARE = 0.15  # and this share of the way between them
AT_REST = 0.7  # share of the views at one spot, of what is at rest
SMOOTH_SCANS = 2  # on either side, of which the median speed counts


@dataclass(frozen=True)
class View:
    """One object in one scan.

    Attributes:
        track: the id it had.
        scan: number of the scan.
        time_s: of the scan.
        class_id: its class by then.
        place: (2,) m, middle of its box.
        velocity: (2,) m/s.
        is_moving: whether it moves.
        surface: (n, 2) m, its places.
    """

    track: int
    scan: int
    time_s: float
    class_id: int
    place: NDArray[np.float64]
    velocity: NDArray[np.float64]
    is_moving: bool
    surface: NDArray[np.float32]


@dataclass
class History:
    """Collects what a tracker says of a drive, scan by scan.

    Attributes:
        facts: of the classes.
        by_place: whether what rests is named by the place it fills.
    """

    facts: MotionFacts
    by_place: bool = True
    _lives: dict[int, list[View]] = field(default_factory=lambda: defaultdict(list))
    _merged: list[tuple[int, int]] = field(default_factory=list)
    _count: int = 0

    def add(self, tracked: TrackedScan) -> None:
        """Add the next scan."""
        found = tracked.objects
        self._merged += tracked.merged
        for k, track in enumerate(found.id.tolist()):
            view = View(
                track, self._count, tracked.time_s, int(found.class_id[k]), found.box[k, :2].copy(),
                found.velocity[k].copy(), bool(found.is_moving[k]), found.places[k],
            )  # fmt: skip
            self._lives[track].append(view)
        self._count += 1

    def conclude(self) -> Conclusion:
        """Decide what the whole drive says."""
        id_of = {track: track for track in self._lives}
        for younger, older in self._merged:
            _join(id_of, younger, older)
        self._join_gaps(id_of)
        name_of = {
            (view.scan, track): _root(id_of, track)
            for track, views in self._lives.items()
            for view in views
        }
        if self.by_place:
            name_of |= self._named_by_place(self._lives_of(name_of))
        lives = self._lives_of(name_of)
        class_of = {root: _class_of(life) for root, life in lives.items()}
        moves = {root: _moving(life) for root, life in lives.items()}
        return Conclusion(name_of, class_of, moves)

    def _named_by_place(self, lives: dict[int, list[View]]) -> dict[tuple[int, int], int]:
        """Names of the views of what never moves, by scan and track."""
        still = {root: life for root, life in lives.items() if not _moving(life)}
        named = [
            (view, root)
            for root, life in still.items()
            if _stays(life, self.facts.loose[_class_of(life), 0])
            for view in life
        ]
        if not named:
            return {}
        named.sort(key=lambda item: (item[0].scan, item[0].track))
        size = [len(view.surface) for view, _ in named]
        names = name_by_place(
            np.concatenate([view.surface for view, _ in named]).astype(np.float64),
            np.concatenate([[0], np.cumsum(size)]),
            np.array([name for _, name in named], np.int64),
            np.array([view.scan for view, _ in named]),
        ).tolist()
        return {(view.scan, view.track): name for (view, _), name in zip(named, names, strict=True)}

    def _lives_of(self, name_of: dict[tuple[int, int], int]) -> dict[int, list[View]]:
        """The views of each name in order of time."""
        lives: dict[int, list[View]] = defaultdict(list)
        for views in self._lives.values():
            for view in views:
                lives[name_of[view.scan, view.track]].append(view)
        for life in lives.values():
            life.sort(key=lambda view: view.time_s)
        return lives

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
        name_of: scan number and track id -> lasting id.
        class_of: id -> class.
        moves: id -> times (s) at which it moves.
    """

    name_of: dict[tuple[int, int], int]
    class_of: dict[int, int]
    moves: dict[int, set[float]]

    def names(self, objects: TrackedObjects, scan: int) -> IntArray:
        """The ids that the K objects of a scan get. (K,) int32."""
        return np.array([self.name_of[scan, track] for track in objects.id.tolist()], np.int32)

    def renamed(self, objects: TrackedObjects, scan: int, time_s: float) -> TrackedObjects:
        """The objects of a scan with these ids; of two that are one the larger stays."""
        ids = self.names(objects, scan)
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
            places=tuple(objects.places[k] for k in chosen.tolist()),
        )


def _stays(life: list[View], length_m: float) -> bool:
    """Whether most views show it within its length of one spot."""
    middle = np.array([view.place for view in life])
    apart = np.hypot(*(middle - np.median(middle, axis=0)).T)
    return bool((apart <= length_m).mean() >= AT_REST)


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
