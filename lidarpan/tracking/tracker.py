"""Scans with panoptic labels -> the same labels with ids that stay with their objects."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.errors import InputError
from lidarpan.grouping.boxes import fit_boxes
from lidarpan.structures import FloatArray, IntArray, PanopticLabels
from lidarpan.tracking.association import FAR, MOVING, RESTING, UNKNOWN, pair_costs
from lidarpan.tracking.evidence import likeliest, overrules, sureness
from lidarpan.tracking.facts import MotionFacts
from lidarpan.tracking.filtering import STILL_M_S, filter_moves
from lidarpan.tracking.mending import (
    Together,
    cut_merged,
    duplicates,
    explained,
    pieces,
    with_instances,
    with_leftovers,
)
from lidarpan.tracking.naming import rename_points, sum_rows
from lidarpan.tracking.objects import Objects, observe
from lidarpan.tracking.shapes import near_pairs, renew_shapes
from lidarpan.tracking.store import TrackStore

MOST_COST = 9.0
"""A pair that costs more is none: twice the surprise of starting a new track."""
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

    def take(self, chosen: NDArray[np.bool_]) -> TrackedObjects:
        """The chosen ones. (K,) bool."""
        if chosen.all():
            return self
        arrays = {f.name: getattr(self, f.name)[chosen] for f in fields(self) if f.name != "places"}
        return TrackedObjects(**arrays, places=tuple(compress(self.places, chosen)))


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
        is_left = (objects.ids > named) & (objects.ids < leftover.stop)
        is_buried = self.store.is_buried
        track_of = np.full(objects.num_objects, -1, np.int64)
        _assign(cost, ~is_buried, track_of)
        if is_buried.any():
            _assign(cost, is_buried, track_of)
        beside, near, apart = self._neighbours(objects)
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
        whole = (track_of[near] >= 0).all(axis=1)
        self._together.add(self.store.id[track_of[near[whole]]], apart[whole])
        tracked = self._answer(labels, objects, track_of, piece_of, merged)
        self._forget(lost, pose)
        return tracked

    def restart(self) -> None:
        """Forget everything but which ids were given: after a clock that was set anew."""
        self.time_s = -math.inf
        self.store = TrackStore.empty(self.classes.num_classes)
        self._together = Together()

    def _compare(self, objects: Objects, leftover: range) -> tuple[NDArray[np.float64], ...]:
        store, facts = self.store, self.facts
        cost, moves, left = pair_costs(
            store.shape, store.num_shape, store.last, store.num_last, store.center, store.radius,
            store.box, store.motion, store.wander, self.time_s - store.seen_s, store.scans,
            store.class_id, objects.surface, objects.count, objects.center, objects.radius,
            objects.class_id, facts.limits, facts.is_wide, facts.class_cost, MOST_COST,
        )  # fmt: skip
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

    def _neighbours(
        self, objects: Objects
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.float64]]:
        """Whether another narrow object is within a box's width of each, and who is near whom.

        -> (K,), (P, 2) pairs of them, (P,) m between their middles.
        """
        kinds, facts = objects.class_id, self.facts
        reach = np.maximum(facts.loose[kinds, 0], NEIGHBOUR_M)  # one box holds both
        close = np.where(facts.is_wide[kinds], 0.0, 1.5 * facts.typical[kinds, 1])
        beside, pairs, apart = near_pairs(objects.center, reach, close)
        return beside, pairs, apart

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
        filter_moves(
            store.motion, store.doubt, store.wander, store.dims, store.radius, store.scans,
            self.facts.limits[store.class_id], tracks, move, unlike,
            self.time_s - store.seen_s[tracks], objects.radius[seen],
        )  # fmt: skip
        lasts = np.where(store.speed[tracks] > STILL_M_S, MOVING_LASTS_S, RESTING_LASTS_S)
        renew_shapes(
            store.shape, store.num_shape, store.stamp, store.last, store.num_last, tracks, move,
            objects.surface, objects.count, seen, self.time_s, lasts,
        )  # fmt: skip
        store.center[tracks], store.radius[tracks] = objects.center[seen], objects.radius[seen]
        store.seen_s[tracks] = self.time_s
        store.scans[tracks] += 1
        store.company[tracks] += beside[seen]
        store.score[tracks] += objects.score[seen]
        store.gone[tracks] = 0
        store.mass[tracks] += objects.evidence[seen]
        store.class_id[tracks] = likeliest(store.mass[tracks])

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
        is_seen = np.zeros(store.num_tracks, np.bool_)
        is_seen[row] = True
        seen, which = np.flatnonzero(is_seen), np.cumsum(is_seen)[row] - 1
        evidence = sum_rows(objects.evidence, which, len(seen))
        life, class_of = sureness(store.mass[seen]), store.class_id[seen]
        own = ~overrules(life, sureness(evidence))
        class_of[own] = likeliest(evidence[own])
        kind = np.zeros(len(name), np.uint8)
        if self.mending.classes:
            is_mended = overrules(life[which], objects.score) & ~is_buried
            kind[objects.ids] = np.where(is_mended, store.class_id[row], 0)
        ids, semantic = rename_points(
            labels.instance, labels.semantic, name, kind, self.classes.is_thing
        )
        buried_ids = buried[labels.instance] if is_buried.any() else np.zeros(len(ids), np.int32)
        count = np.bincount(which, objects.num_points, len(seen)).astype(np.int64)
        found = self._described(seen, class_of, evidence, count)
        hidden = store.is_buried[seen]
        return TrackedScan(
            replace(labels, semantic=semantic, instance=ids, score=None),
            found.take(~hidden),
            self.time_s,
            merged,
            found.take(hidden),
            buried_ids,
        )

    def _described(
        self,
        tracks: NDArray[np.int64],
        class_of: NDArray[np.int64],
        evidence: NDArray[np.float64],
        count: NDArray[np.int64],
    ) -> TrackedObjects:
        """What is known of the K chosen tracks.

        class_of (K,), evidence (K, C) and count (K,) are as `TrackedObjects` has them.
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
            class_id=class_of,
            evidence=evidence,
            score=score,
            box=store.box[tracks],
            velocity=store.motion[tracks, :2],
            is_moving=is_fast & (store.scans[tracks] >= SURE_SCANS),
            num_points=count,
            places=tuple(part[:n] for part, n in zip(places, store.num_last[tracks], strict=True)),
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


def _assign(cost: NDArray[np.float64], may: NDArray[np.bool_], track_of: NDArray[np.int64]) -> None:
    """Give the objects without a track those of the cheapest one-to-one assignment.

    cost (T, K); may (T,) says which tracks; track_of (K,), -1 for none, is changed.
    """
    from scipy.optimize import linear_sum_assignment

    possible = (cost < FAR) & may[:, None] & (track_of < 0)
    rows, columns = np.flatnonzero(possible.any(axis=1)), np.flatnonzero(possible.any(axis=0))
    if len(rows):
        table = np.minimum(cost[rows[:, None], columns], MOST_COST)
        row, column = linear_sum_assignment(table)
        chosen = table[row, column] < MOST_COST
        track_of[columns[column[chosen]]] = rows[row[chosen]]
