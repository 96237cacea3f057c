"""Scans with panoptic labels -> the same labels with ids that stay with their objects."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.errors import InputError
from lidarpan.grouping.boxes import fit_boxes
from lidarpan.structures import FloatArray, IntArray, PanopticLabels
from lidarpan.tracking.association import (
    FAR,
    MOVE_NOISE_M,
    MOVING,
    RESTING,
    UNKNOWN,
    pair_costs,
)
from lidarpan.tracking.evidence import likeliest, overrules, sureness
from lidarpan.tracking.facts import MotionFacts
from lidarpan.tracking.mending import (
    Together,
    cut_merged,
    duplicates,
    explained,
    pieces,
    with_instances,
    with_leftovers,
)
from lidarpan.tracking.naming import rename_points
from lidarpan.tracking.objects import Objects, observe
from lidarpan.tracking.shapes import renew_shapes
from lidarpan.tracking.store import TrackStore

MOST_COST = 9.0
"""A pair that costs more is none: twice the surprise of starting a new track."""
STILL_M_S = 0.5
ONCE_LASTS_S = 1.0  # what was seen once and not for longer is looked for only where it was
SURE_SCANS = 3  # one move alone may be that of two things taken for one
NEIGHBOUR_M = 2.0  # tracks this near to each other are remembered as two
MOVING_LASTS_S = 0.6  # how long a place of a moving surface is believed
RESTING_LASTS_S = 20.0


@dataclass(frozen=True)
class Mending:
    """What the tracker corrects in the labels; each can be switched off.

    Attributes:
        classes: an object's points get the class that its life speaks for.
        join: pieces of one object get one id.
        cut: an object in which two tracks end is cut between them.
        places: looking back, what rests is named by the place it fills.
        stuff: looking back with poses, stuff is what the scans around say of its place.
    """

    classes: bool = True
    join: bool = True
    cut: bool = True
    places: bool = True
    stuff: bool = True


@dataclass(frozen=True)
class TrackedObjects:
    """The K objects of one scan with their lasting ids.

    Attributes:
        id: (K,) int32 lasting ids, one row for each id.
        class_id: (K,) int64 train ids: what the life so far says where it is clear, else this scan.
        evidence: (K, C) what this scan says of the class, as `class_evidence` gives it.
        score: (K,) in [0, 1], mean confidence over the life so far.
        box: (K, 7) x, y, z of the middle, length, width, height in metres, heading in radians, in
            the world frame; hidden sides are inferred.
        velocity: (K, 2) m/s in the world frame.
        is_moving: (K,) bool, faster than STILL_M_S and its noise, in two moves at least; or faster
            than STILL_M_S and farther away than it is long.
        num_points: (K,) int64 in this scan.
        places: K arrays (n, 2) m, the surface of each from above, in the world frame.
    """

    id: IntArray
    class_id: NDArray[np.int64]
    evidence: NDArray[np.float64]
    score: NDArray[np.float64]
    box: NDArray[np.float64]
    velocity: NDArray[np.float64]
    is_moving: NDArray[np.bool_]
    num_points: NDArray[np.int64]
    places: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class TrackedScan:
    """What the tracker says of one scan.

    Attributes:
        labels: N points, instance ids that stay.
        objects: their boxes and velocities.
        time_s: of the scan.
        merged: (younger, older) ids that this scan has shown to be one object.
        buried: objects that were never seen but buried in other things: without an id as yet.
        buried_ids: (N,) int32 the ids that their points will have once they are, else 0.
    """

    labels: PanopticLabels
    objects: TrackedObjects
    time_s: float
    merged: tuple[tuple[int, int], ...]
    buried: TrackedObjects
    buried_ids: IntArray


class Tracker:
    """Gives every object of a drive one id, online: a scan is answered from the past alone.

    Objects are compared by their surfaces from above, moved by what is known of their motion
    (`association`), and matched all at once by one assignment. Tracks of things at rest are kept
    until something contradicts them; others for `memory_s`.

    Args:
        classes: what the labels mean; gives sizes and motion limits.
        memory_s: how long a moving object may be hidden.
        mending: what is corrected on the way.
        reach_m: tracks at rest are remembered this far from the sensor, m.

    Example:
        >>> tracker = Tracker(classes)  # doctest: +SKIP
        >>> tracked = tracker.update(scan.points, labels, time_s, pose)  # doctest: +SKIP
    """

    def __init__(
        self,
        classes: ClassTable,
        *,
        memory_s: float = 3.0,
        mending: Mending | None = None,
        reach_m: float = 150.0,
    ) -> None:
        self.classes = classes
        self.facts = MotionFacts.of(classes)
        self.mending = mending or Mending()
        self.memory_s = memory_s
        self.reach_m = reach_m
        self.time_s = -math.inf
        self.store = TrackStore.empty(classes.num_classes)
        self._used = 0
        self._together = Together()

    def update(
        self,
        points: FloatArray,
        labels: PanopticLabels,
        time_s: float,
        world_T_sensor: NDArray[np.float64] | None = None,
    ) -> TrackedScan:
        """Track the next scan.

        Args:
            points: (N, 3) float32 m in the sensor frame.
            labels: of the N points; instances are those of this scan alone.
            time_s: when it was taken, later than the scan before.
            world_T_sensor: (4, 4) where the sensor was; None takes the world to move with it, and
                then nothing stands still while the sensor drives.

        Raises:
            InputError: unlike numbers of points and labels, or a time not after the last.
        """
        if len(points) != labels.num_points:
            raise InputError(
                f"wanted a label for each of {len(points)} points, got {labels.num_points}"
            )
        if not time_s > self.time_s:
            raise InputError(
                f"scans must come in order of time, got {time_s:g} s after {self.time_s:g} s"
            )
        pose = np.eye(4) if world_T_sensor is None else world_T_sensor
        self.time_s = time_s
        named = int(labels.instance.max(initial=0))
        if self.mending.join:
            labels = with_leftovers(points, labels, self.classes)
        leftover = range(named + 1, int(labels.instance.max(initial=0)) + 1)
        objects = observe(points, labels, pose, self.classes.is_thing)
        cost, moves, left = self._compare(objects, leftover)
        if self.mending.cut:
            instance = cut_merged(
                self.store, objects, self.facts, cost, self._expected(), moves, left,
                MOST_COST, self._together, labels.instance,
            )  # fmt: skip
            if instance is not labels.instance:
                labels = with_instances(labels, instance)
                objects = observe(points, labels, pose, self.classes.is_thing)
                cost, moves, left = self._compare(objects, leftover)
        is_left = np.isin(objects.ids, leftover)
        track_of = _assign(np.where(self.store.is_buried[:, None], FAR, cost))
        if self.store.is_buried.any():
            still = np.where(self.store.is_buried[:, None] & (track_of < 0), cost, FAR)
            track_of = np.maximum(track_of, _assign(still))
        beside, near, apart = self._beside(objects)
        merged: tuple[tuple[int, int], ...] = ()
        joined: list[tuple[int, int]] = []
        lost = np.zeros(0, np.int64)
        if self.mending.join and objects.num_objects and self.store.num_tracks:
            joined = pieces(self.store, objects, self.facts, cost, moves, left, MOST_COST, track_of)
            same = duplicates(
                self.store, self.facts, cost, moves, left, time_s - self.store.seen_s, MOST_COST,
                track_of, beside, self._together,
            )  # fmt: skip
            merged, lost = self._unite(same)
        self._renew(objects, track_of, moves, left, beside)
        piece_of = np.full(objects.num_objects, -1, np.int64)
        for k, t in joined:
            piece_of[k] = t
        born = np.flatnonzero((track_of < 0) & (piece_of < 0))
        track_of[born] = self.store.num_tracks + np.arange(len(born))
        self._bear(objects, born, beside)
        self.store.is_buried[track_of[(track_of >= 0) & ~is_left]] = False
        self._place(objects, track_of, pose)
        whole = np.flatnonzero(track_of >= 0)
        part = np.ix_(whole, whole)
        self._together.add(self.store.id[track_of[whole]], apart[part], near[part])
        tracked = self._answer(labels, objects, track_of, piece_of, merged)
        self._forget(lost, pose)
        return tracked

    def restart(self) -> None:
        """Forget everything but which ids were given: after a clock that was set anew."""
        self.time_s = -math.inf
        self.store = TrackStore.empty(self.classes.num_classes)
        self._together = Together()

    def _compare(self, objects: Objects, leftover: range) -> tuple[NDArray[np.float64], ...]:
        store = self.store
        limits = self.facts.limits[store.class_id].copy()
        limits[store.motion[:, 3] == RESTING, 1] *= 0.2
        class_cost = self.facts.class_cost[store.class_id][:, objects.class_id]
        cost, moves, left = pair_costs(
            store.shape, store.num_shape, store.last, store.num_last, store.center, store.radius,
            self._boxes(), store.motion, store.wander, self.time_s - store.seen_s, limits,
            store.scans, objects.surface, objects.count, objects.center, objects.radius,
            np.ascontiguousarray(class_cost), MOST_COST,
        )  # fmt: skip
        since, away = self.time_s - store.seen_s, np.hypot(moves[..., 0], moves[..., 1])
        lost = (store.motion[:, 3] == UNKNOWN) & (since > ONCE_LASTS_S)
        cost[lost[:, None] & (away > NEIGHBOUR_M)] = FAR
        if leftover:
            strange = ~explained(store.scans, moves - self._expected()[:, None], left)
            cost[strange & ~store.is_buried[:, None] & np.isin(objects.ids, leftover)] = FAR
        return cost, moves, left

    def _expected(self) -> NDArray[np.float64]:
        """How far the tracks have moved since they were seen, as far as is known. (T, 2) m."""
        since = self.time_s - self.store.seen_s
        moved: NDArray[np.float64]
        moved = self.store.motion[:, :2] * since[:, None] - self.store.wander
        return moved

    def _boxes(self) -> NDArray[np.float64]:
        """The boxes of wide tracks as `unexplained_by_box` takes them; others have none. (T, 6)."""
        box, wide = self.store.box, self.facts.is_wide[self.store.class_id]
        half = np.where(wide[:, None], 0.5 * box[:, 3:5], -1e3)
        yaw = np.nan_to_num(box[:, 6])
        return np.column_stack([box[:, :2], half, np.cos(yaw), np.sin(yaw)])

    def _beside(
        self, objects: Objects
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.float64]]:
        """Whether another narrow object is within a box's width of each, and who is near whom.

        -> (K,), (K, K), (K, K) m between them.
        """
        center, kinds = objects.center, objects.class_id
        apart = np.hypot(*(center[:, None] - center[None]).transpose(2, 0, 1))
        np.fill_diagonal(apart, np.inf)
        near = apart < np.maximum(self.facts.loose[kinds, 0], NEIGHBOUR_M)  # one box holds both
        close = apart < 1.5 * self.facts.typical[kinds, 1]
        beside = (close & ~self.facts.is_wide[kinds]).any(axis=1)
        return beside, near | near.T, apart

    def _unite(
        self, same: list[tuple[int, int]]
    ) -> tuple[tuple[tuple[int, int], ...], NDArray[np.int64]]:
        """Give the seen track of each pair the older id; the unseen one is to be forgotten."""
        store, pairs = self.store, []
        for unseen, seen in same:
            ids = sorted((int(store.id[unseen]), int(store.id[seen])))
            store.id[seen] = ids[0]
            store.mass[seen] += store.mass[unseen]
            store.scans[seen] += store.scans[unseen]
            store.score[seen] += store.score[unseen]
            store.born_s[seen] = min(store.born_s[seen], store.born_s[unseen])
            store.dims[seen] = np.maximum(store.dims[seen], store.dims[unseen])
            pairs.append((ids[1], ids[0]))
        return tuple(pairs), np.array([unseen for unseen, _ in same], np.int64)

    def _renew(
        self,
        objects: Objects,
        track_of: NDArray[np.int64],
        moves: NDArray[np.float64],
        left: NDArray[np.float64],
        beside: NDArray[np.bool_],
    ) -> None:
        """Update motion, surface and evidence of the tracks that are seen."""
        store = self.store
        seen = np.flatnonzero(track_of >= 0)
        tracks = track_of[seen]
        move, unlike = moves[tracks, seen], left[tracks, seen].max(axis=1)
        since = (self.time_s - store.seen_s[tracks])[:, None]
        self._filter(tracks, move, unlike, since, objects.radius[seen])
        lasts = np.where(store.speed[tracks] > STILL_M_S, MOVING_LASTS_S, RESTING_LASTS_S)
        renew_shapes(
            store.shape, store.num_shape, store.stamp, tracks, move, objects.surface,
            objects.count, seen, self.time_s, lasts,
        )  # fmt: skip
        store.last[tracks], store.num_last[tracks] = objects.surface[seen], objects.count[seen]
        store.center[tracks], store.radius[tracks] = objects.center[seen], objects.radius[seen]
        store.seen_s[tracks] = self.time_s
        store.scans[tracks] += 1
        store.company[tracks] += beside[seen]
        store.score[tracks] += objects.score[seen]
        store.gone[tracks] = 0
        store.mass[tracks] += objects.evidence[seen]
        store.class_id[tracks] = likeliest(store.mass[tracks])

    def _filter(
        self,
        tracks: NDArray[np.int64],
        move: NDArray[np.float64],
        unlike: NDArray[np.float64],
        since: NDArray[np.float64],
        radius: NDArray[np.float64],
    ) -> None:
        """Kalman filter of places and velocities with the measured moves."""
        store = self.store
        limits = self.facts.limits[store.class_id[tracks]]
        slack = np.maximum(limits[:, 2] - 2 * np.maximum(radius, store.radius[tracks]), 0)
        whole = 0.5 * np.hypot(store.dims[tracks, 0], store.dims[tracks, 1])
        hidden = np.maximum(np.minimum(whole, store.radius[tracks]) - radius, 0)
        noise = 0.5 * (MOVE_NOISE_M + 0.3 * unlike + 0.25 * slack + 0.5 * hidden) ** 2
        motion, dt = store.motion[tracks], since[:, 0]
        known = motion[:, 3] != UNKNOWN
        velocity = np.where(known[:, None], motion[:, :2], 0.0)
        place, both = store.doubt[tracks].T
        place, both = np.where(known, place, noise), np.where(known, both, 0.0)
        variance = np.where(known, motion[:, 2], (0.4 * limits[:, 0]) ** 2)
        place = place + 2 * dt * both + dt**2 * variance
        both = both + dt * variance
        variance = variance + known * (limits[:, 1] * np.minimum(dt, 1.0)) ** 2
        off = store.wander[tracks] + move - velocity * since
        gain, turn = place / (place + noise), both / (place + noise)
        store.wander[tracks] = (1 - gain)[:, None] * off
        store.doubt[tracks] = np.stack([(1 - gain) * place, (1 - gain) * both], axis=1)
        store.motion[tracks, :2] = velocity + turn[:, None] * off
        store.motion[tracks, 2] = variance - turn * both
        still = (store.speed[tracks] < STILL_M_S) & (store.scans[tracks] >= 2)
        store.motion[tracks, 3] = np.where(still, RESTING, MOVING)

    def _bear(self, objects: Objects, born: NDArray[np.int64], beside: NDArray[np.bool_]) -> None:
        if not len(born):
            return
        new = TrackStore.empty(self.classes.num_classes, len(born))
        new.id[:] = self._used + 1 + np.arange(len(born))
        self._used += len(born)
        new.mass[:] = objects.evidence[born]
        new.class_id[:] = objects.class_id[born]
        new.shape[:] = new.last[:] = objects.surface[born]
        new.num_shape[:] = new.num_last[:] = objects.count[born]
        new.stamp[:] = new.born_s[:, None] = self.time_s
        new.center[:], new.radius[:] = objects.center[born], objects.radius[born]
        new.born_at[:] = objects.center[born]
        new.box[:, 6] = np.nan
        new.born_s[:] = new.seen_s[:] = self.time_s
        new.scans[:] = 1
        new.company[:] = beside[born]
        new.is_buried[:] = True
        new.score[:] = objects.score[born]
        self.store.add(new)

    def _place(
        self, objects: Objects, track_of: NDArray[np.int64], pose: NDArray[np.float64]
    ) -> None:
        """Fit the boxes of the tracks that are seen."""
        store, facts = self.store, self.facts
        seen = np.flatnonzero(track_of >= 0)
        tracks = track_of[seen]
        kinds = store.class_id[tracks]
        yaw = np.where(facts.has_axis[kinds], store.box[tracks, 6], 0.0)
        turn = np.where(facts.has_axis[kinds], 0.15, 0.0)
        motion = store.motion[tracks]
        speed = np.stack([motion[:, 0], motion[:, 1], np.sqrt(motion[:, 2])], axis=1)
        speed[motion[:, 3] == UNKNOWN] = 0.0
        boxes, dims = fit_boxes(
            objects.surface[seen], objects.count[seen], yaw, turn, store.dims[tracks, :2],
            facts.typical[kinds], speed, pose[:2, 3],
        )  # fmt: skip
        low, high = objects.extent[seen, 4], objects.extent[seen, 5]
        height = np.maximum(store.dims[tracks, 2], high - low)
        store.dims[tracks, :2], store.dims[tracks, 2] = dims, height
        full = np.maximum(height, facts.height[kinds])
        z = np.maximum(0.5 * (low + high), high - 0.5 * full)
        store.box[tracks] = np.column_stack([boxes[:, :2], z, boxes[:, 2:4], full, boxes[:, 4]])
        axis = facts.has_axis[kinds] & (store.radius[tracks] > 0.6)
        along = np.stack([np.cos(boxes[:, 4]), np.sin(boxes[:, 4])], axis=1)
        store.motion[tracks, 4:] = np.where(axis[:, None], along, 0.0)

    def _answer(
        self,
        labels: PanopticLabels,
        objects: Objects,
        track_of: NDArray[np.int64],
        piece_of: NDArray[np.int64],
        merged: tuple[tuple[int, int], ...],
    ) -> TrackedScan:
        store = self.store
        row = np.where(track_of >= 0, track_of, piece_of)
        name = np.zeros(int(labels.instance.max(initial=0)) + 1, np.int32)
        buried = name.copy()
        is_buried = store.is_buried[row]
        name[objects.ids] = np.where(is_buried, 0, store.id[row])
        buried[objects.ids] = np.where(is_buried, store.id[row], 0)
        evidence = np.zeros_like(store.mass)
        np.add.at(evidence, row, objects.evidence)
        seen = np.unique(row)
        class_of = store.class_id.copy()
        own = ~overrules(sureness(store.mass[seen]), sureness(evidence[seen]))
        class_of[seen[own]] = likeliest(evidence[seen[own]])
        kind = np.zeros(len(name), np.uint8)
        if self.mending.classes:
            is_mended = overrules(sureness(store.mass[row]), objects.score) & ~is_buried
            kind[objects.ids] = np.where(is_mended, store.class_id[row], 0)
        ids, semantic = rename_points(
            labels.instance, labels.semantic, name, kind, self.classes.is_thing
        )
        buried_ids = buried[labels.instance] if is_buried.any() else np.zeros(len(ids), np.int32)
        count = np.bincount(row, objects.num_points, store.num_tracks).astype(np.int64)
        return TrackedScan(
            replace(labels, semantic=semantic, instance=ids, score=None),
            self._described(np.unique(row[~is_buried]), class_of, evidence, count),
            self.time_s,
            merged,
            self._described(np.unique(row[is_buried]), class_of, evidence, count),
            buried_ids,
        )

    def _described(
        self,
        tracks: NDArray[np.int64],
        class_of: NDArray[np.int64],
        evidence: NDArray[np.float64],
        count: NDArray[np.int64],
    ) -> TrackedObjects:
        """What is known of the chosen ones of T tracks.

        class_of (T,), evidence (T, C) and count (T,) are as `TrackedObjects` has them.
        """
        store = self.store
        places = store.last[tracks].transpose(0, 2, 1).astype(np.float32)
        speed, noise = store.speed[tracks], np.sqrt(store.motion[tracks, 2])
        away = np.hypot(*(store.center[tracks] - store.born_at[tracks]).T)
        length = np.maximum(self.facts.typical[store.class_id[tracks], 0], store.dims[tracks, 0])
        is_sure = (speed > STILL_M_S + 2 * noise) | (away > length)  # no other side is that far
        is_fast = (store.motion[tracks, 3] == MOVING) & (speed > STILL_M_S) & is_sure
        score = np.clip(store.score[tracks] / np.maximum(store.scans[tracks], 1), 0.0, 1.0)
        return TrackedObjects(
            id=store.id[tracks].astype(np.int32),
            class_id=class_of[tracks],
            evidence=evidence[tracks],
            score=score,
            box=store.box[tracks],
            velocity=store.motion[tracks, :2],
            is_moving=is_fast & (store.scans[tracks] >= SURE_SCANS),
            num_points=count[tracks],
            places=tuple(map(_first, places, store.num_last[tracks].tolist())),
        )

    def _forget(self, lost: NDArray[np.int64], pose: NDArray[np.float64]) -> None:
        store = self.store
        rests = (store.motion[:, 3] == RESTING) & ~store.is_buried
        age = self.time_s - store.seen_s
        away = np.hypot(*(store.center - pose[:2, 3]).T)
        keep = (rests & (away < self.reach_m)) | (age < self.memory_s)
        keep[lost] = False
        if not keep.all():
            store.keep(keep)
            self._together.keep(store.id)


def _assign(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """The track of each object, -1 for none: the cheapest one-to-one assignment. (T, K) -> (K,)."""
    from scipy.optimize import linear_sum_assignment

    track_of = np.full(cost.shape[1], -1, np.int64)
    possible = cost < FAR
    rows, columns = np.flatnonzero(possible.any(axis=1)), np.flatnonzero(possible.any(axis=0))
    if len(rows):
        table = np.minimum(cost[np.ix_(rows, columns)], MOST_COST)
        row, column = linear_sum_assignment(table)
        chosen = table[row, column] < MOST_COST
        track_of[columns[column[chosen]]] = rows[row[chosen]]
    return track_of


def _first(places: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    return places[:count]
