"""What became of the tracks of a drive -> better ids, classes and speeds, with its end known.

A tracker answers each scan from the past. Looking back over a whole drive, tracks that were shown
to be one get one id in all scans; a track that ended is joined with one that began later where
each, moved by what is known of its motion by then, is found where the other is; an object has the
class that its whole life speaks for; and what moves is known from its first scan on.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import BoolArray, FloatArray, IntArray, SemanticArray
from lidarpan.tracking.evidence import likeliest, overrules, sureness
from lidarpan.tracking.facts import MotionFacts
from lidarpan.tracking.resting import PlaceNames, name_by_place
from lidarpan.tracking.tracker import TrackedObjects, TrackedScan

MAX_GAP_S = 4.0
JOIN_M = 1.0  # from where a track is expected to where the other is, at least allowed
JOIN_SHARE = 0.15  # and this share of the way between them
AT_REST = 0.7  # share of the views at one spot, of what is at rest
CLEAR = 0.6  # share of the scans that must give a place a name for single points to take it
SMOOTH_SCANS = 2  # on either side, of which the median speed counts


@dataclass(frozen=True)
class View:
    """One object in one scan.

    Attributes:
        track: the id it had.
        scan: number of the scan.
        time_s: of the scan.
        evidence: (C,) what this scan says of its class.
        box: (7,) as of `TrackedObjects`.
        velocity: (2,) m/s.
        is_moving: whether it moves.
        surface: (n, 2) m, its places.
        score: its confidence by then.
    """

    track: int
    scan: int
    time_s: float
    evidence: NDArray[np.float64]
    box: NDArray[np.float64]
    velocity: NDArray[np.float64]
    is_moving: bool
    surface: NDArray[np.float32]
    score: float

    @property
    def place(self) -> NDArray[np.float64]:
        """(2,) m, middle of its box."""
        return self.box[:2]


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
    _seen_free: set[int] = field(default_factory=set)
    _count: int = 0

    def add(self, tracked: TrackedScan) -> None:
        """Add the next scan."""
        self._merged += tracked.merged
        self._seen_free.update(tracked.objects.id.tolist())
        for found in (tracked.objects, tracked.buried):
            self._add_views(found, tracked.time_s)
        self._count += 1

    def _add_views(self, found: TrackedObjects, time_s: float) -> None:
        for k, track in enumerate(found.id.tolist()):
            view = View(
                track, self._count, time_s, found.evidence[k], found.box[k].copy(),
                found.velocity[k].copy(), bool(found.is_moving[k]), found.places[k],
                float(found.score[k]),
            )  # fmt: skip
            self._lives[track].append(view)

    def conclude(self) -> Conclusion:
        """Decide what the whole drive says."""
        self._lives = {t: views for t, views in self._lives.items() if t in self._seen_free}
        id_of = {track: track for track in self._lives}
        for younger, older in self._merged:
            _join(id_of, younger, older)
        self._join_gaps(id_of)
        name_of = {
            (view.scan, track): _root(id_of, track)
            for track, views in self._lives.items()
            for view in views
        }
        resting: dict[tuple[int, int], bool] = {}
        places = None
        if self.by_place:
            renamed, resting, places = self._named_by_place(self._lives_of(name_of))
            name_of |= renamed
        lives = self._lives_of(name_of)
        evidence = {root: _evidence(life) for root, life in lives.items()}
        class_of = {root: int(likeliest(each)) for root, each in evidence.items()}
        sure = {root: sureness(each) for root, each in evidence.items()}
        moves = {root: _moving(life) for root, life in lives.items()}
        return Conclusion(name_of, class_of, sure, moves, resting, places, lives)

    def _named_by_place(
        self, lives: dict[int, list[View]]
    ) -> tuple[dict[tuple[int, int], int], dict[tuple[int, int], bool], PlaceNames | None]:
        """Names of the views of what never moves, by scan and track, and of their places.

        And whether each view lies in the places of its name alone.
        """
        still = {root: life for root, life in lives.items() if not _moving(life)}
        class_of = {root: _class_of(life) for root, life in still.items()}
        named = [
            (view, root)
            for root, life in still.items()
            if _stays(life, self.facts.loose[class_of[root], 0])
            for view in life
        ]
        if not named:
            return {}, {}, None
        named.sort(key=lambda item: (item[0].scan, item[0].track))
        size = [len(view.surface) for view, _ in named]
        surface = np.concatenate([view.surface for view, _ in named]).astype(np.float64)
        start = np.concatenate([[0], np.cumsum(size)])
        scan = np.array([view.scan for view, _ in named])
        name = np.array([root for _, root in named], np.int64)
        kind = np.array([class_of[root] for _, root in named], np.int64)
        names, places = name_by_place(surface, start, name, kind, scan)
        there, share = places.at(surface, np.repeat(kind, size))
        strange = (share >= CLEAR) & (there != np.repeat(names, size))
        whole = np.add.reduceat(strange, start[:-1]) == 0
        keys = [(view.scan, view.track) for view, _ in named]
        return (
            dict(zip(keys, names.tolist(), strict=True)),
            dict(zip(keys, whole.tolist(), strict=True)),
            places,
        )

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
        class_of = {track: _class_of(life) for track, life in lives.items()}
        pairs = []
        for a, (_, last) in ends.items():
            for b, (first, _) in ends.items():
                kinds = class_of[a], class_of[b]
                cost = self._gap_cost(lives[a], lives[b], *kinds, last, first) if a != b else None
                if cost is not None:
                    pairs.append((cost, a, b))
        after: set[int] = set()
        before: set[int] = set()
        for _, a, b in sorted(pairs):
            if a not in after and b not in before:
                after.add(a)
                before.add(b)
                _join(id_of, b, a)

    def _gap_cost(
        self, a: list[View], b: list[View], kind_a: int, kind_b: int, last: View, first: View
    ) -> float | None:
        """How badly b goes on where a ended, None where it does not. kind_a, kind_b: classes."""
        gap = first.time_s - last.time_s
        if not 0 < gap <= MAX_GAP_S or (len(a) < 3 and len(b) < 3):
            return None
        if kind_a != kind_b and len(a) > 2 and len(b) > 2:
            return None
        way = first.place - last.place
        if np.hypot(*way) > self.facts.limits[kind_a, 0] * gap + JOIN_M:
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
        class_of: id -> class that most of the evidence is for.
        sureness: id -> share of the evidence in [0, 1] that is for it.
        moves: id -> times (s) at which it moves.
        resting: scan number and track id of the views that were named by their place -> whether
            they lie in the places of their name alone.
        places: names of the places that are filled by what rests; None where nobody looked.
        lives: id -> its views in order of time.
    """

    name_of: dict[tuple[int, int], int]
    class_of: dict[int, int]
    sureness: dict[int, NDArray[np.float64]]
    moves: dict[int, set[float]]
    resting: dict[tuple[int, int], bool]
    places: PlaceNames | None
    lives: dict[int, list[View]]

    def name_points(
        self,
        tracks: IntArray,
        scan: int,
        semantic: SemanticArray,
        points: FloatArray,
        world_T_sensor: NDArray[np.float64] | None,
    ) -> IntArray:
        """Lasting ids of the points of a scan. (N,) int32, 0 = none.

        Points of what rests, and of things without a name, take the name of their place where it is
        clear, and of their class.

        Args:
            tracks: (N,) ids that the tracker gave, also to what is buried.
            scan: number of the scan.
            semantic: (N,) train ids.
            points: (N, 3) m in the sensor frame.
            world_T_sensor: (4, 4), as the tracker had it.
        """
        present = np.unique(tracks[tracks > 0]).tolist()
        size = int(tracks.max(initial=0)) + 1
        name, may_change = np.zeros(size, np.int32), np.zeros(size, np.bool_)
        for track in present:
            name[track] = self.name_of.get((scan, track), 0)
            may_change[track] = (scan, track) in self.resting
        names: IntArray = name[tracks]
        if self.places is None:
            return names
        kind = np.zeros(max(self.class_of, default=0) + 1, np.int64)
        for own, class_id in self.class_of.items():
            kind[own] = class_id
        asks = np.flatnonzero(
            may_change[tracks] | ((names == 0) & np.isin(semantic, kind[kind > 0]))
        )
        pose = np.eye(4) if world_T_sensor is None else world_T_sensor
        own_kind = np.where(names[asks] > 0, kind[names[asks]], semantic[asks])
        found, share = self.places.at(
            (points[asks] @ pose[:3, :3].T + pose[:3, 3])[:, :2], own_kind
        )
        clear = share >= CLEAR
        names[asks[clear]] = found[clear]
        return names

    def mended(
        self,
        semantic: SemanticArray,
        confidence: FloatArray,
        names: IntArray,
        is_thing: BoolArray,
    ) -> SemanticArray:
        """Classes of the N points of a scan: those of the lives that overrule it. (N,) train ids.

        Args:
            semantic: (N,) as the scan has them.
            confidence: (N,) in [0, 1], with which the scan says them.
            names: (N,) lasting ids, from `name_points`.
            is_thing: (C,) bool; points of stuff keep their class.
        """
        size = int(names.max(initial=0)) + 1
        kind, sure = np.zeros(size, np.uint8), np.zeros(size)
        for name in np.unique(names[names > 0]).tolist():
            kind[name], sure[name] = self.class_of[name], self.sureness[name]
        changes = (names > 0) & is_thing[semantic] & overrules(sure[names], confidence)
        mended: SemanticArray = np.where(changes, kind[names], semantic)
        return mended

    def objects_of(self, scan: int, time_s: float, names: IntArray) -> TrackedObjects:
        """The objects that the points of a scan have the names (N,) of.

        Each is as its view of this scan has it, the largest where it has several; what was cut from
        another in this scan is as it was when it was seen by itself.
        """
        count = np.bincount(names)
        count[:1] = 0
        ids = np.flatnonzero(count)
        views = [self._view_at(self.lives[name], scan) for name in ids.tolist()]
        return TrackedObjects(
            id=ids.astype(np.int32),
            class_id=np.array([self._class_at(name, scan) for name in ids.tolist()], np.int64),
            evidence=np.array([view.evidence for view in views]).reshape(
                len(ids), -1 if views else 0
            ),
            score=np.array([view.score for view in views], np.float64),
            box=np.array([view.box for view in views]).reshape(-1, 7),
            velocity=np.array([view.velocity for view in views]).reshape(-1, 2),
            is_moving=np.array([time_s in self.moves[name] for name in ids.tolist()], np.bool_),
            num_points=count[ids],
            places=tuple(view.surface for view in views),
        )

    def _class_at(self, name: int, scan: int) -> int:
        """The class of its life, or that of its views of this scan which that does not overrule."""
        views = [view for view in self.lives[name] if view.scan == scan]
        if views and not overrules(self.sureness[name], sureness(_evidence(views))):
            return _class_of(views)
        return self.class_of[name]

    def _view_at(self, life: list[View], scan: int) -> View:
        """The largest view of a scan; where it is none by itself the nearest that is, if any."""
        begin = bisect_left(life, scan, key=lambda view: view.scan)
        end = bisect_right(life, scan, key=lambda view: view.scan)
        for view in sorted(life[begin:end], key=lambda view: -len(view.surface)):
            if self._is_whole(view):
                return view
        for step in range(1, len(life)):
            for k in (begin - step, end + step - 1):
                if 0 <= k < len(life) and self._is_whole(life[k]):
                    return life[k]
        return life[min(begin, len(life) - 1)]

    def _is_whole(self, view: View) -> bool:
        return self.resting.get((view.scan, view.track), True)


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
    """The class that most of the evidence is for."""
    return int(likeliest(_evidence(life)))


def _evidence(life: list[View]) -> NDArray[np.float64]:
    total: NDArray[np.float64] = np.sum([view.evidence for view in life], axis=0)
    return total


def _moving(life: list[View]) -> set[float]:
    """Times at which it moves, by the majority of the scans around."""
    known = steadily([view.is_moving for view in life])
    return {view.time_s for view, moves in zip(life, known, strict=True) if moves}


def steadily(moves: Sequence[bool]) -> list[bool]:
    """Whether an object moves in each of its scans, by the majority of those around."""
    known = [*moves[2:3], *moves[2:3], *moves[2:]] or list(moves)  # two views show no motion
    around = [known[max(k - SMOOTH_SCANS, 0) : k + SMOOTH_SCANS + 1] for k in range(len(known))]
    return [2 * sum(part) > len(part) for part in around]


def _root(id_of: dict[int, int], track: int) -> int:
    while id_of.get(track, track) != track:
        track = id_of[track]
    return track


def _join(id_of: dict[int, int], a: int, b: int) -> None:
    """Let two tracks have the older id."""
    first, second = sorted((_root(id_of, a), _root(id_of, b)))
    id_of.setdefault(first, first)
    id_of[second] = first
