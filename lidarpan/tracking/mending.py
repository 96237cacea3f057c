"""What grouping got wrong in one scan and time knows: objects cut in two, two objects in one.

A track that is seen at times as one object and at times as two leaves two tracks: where the
surfaces of both lie in one box of the class they are one (`duplicates`). A piece that the known
surface of a track explains belongs to it (`pieces`). An object in which two tracks end that were
seen apart is cut between them (`cut_merged`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.grouping import group_points
from lidarpan.structures import FloatArray, IntArray, PanopticLabels
from lidarpan.tracking.association import TOLERANCE_M
from lidarpan.tracking.facts import MotionFacts
from lidarpan.tracking.naming import unnamed_points
from lidarpan.tracking.objects import Objects
from lidarpan.tracking.registration import unexplained
from lidarpan.tracking.shapes import fit_one_box, nearest_surface
from lidarpan.tracking.store import TrackStore

Array = NDArray[Any]
Pairs = list[tuple[int, int]]

EXPLAINED = 0.3  # of a surface may be left unexplained where it belongs to another
NEAR_M = 0.5  # from where a track is expected to where it is found, to be believed
APART = 5  # scans that show two tracks apart, after which they are never taken for one
ESTABLISHED = 3  # scans that a track needs to be believed against the grouping


class Together:
    """How often and how far two tracks near each other were seen apart, and how often as one."""

    def __init__(self) -> None:
        self._apart: dict[tuple[int, int], int] = {}
        self._widest: dict[tuple[int, int], float] = {}
        self._as_one: dict[tuple[int, int], int] = {}

    def add(self, pairs: NDArray[np.int64], apart_m: NDArray[np.float64]) -> None:
        """Count the pairs of ids (P, 2) that are seen near each other, apart_m (P,)."""
        low, high = pairs.min(axis=1).tolist(), pairs.max(axis=1).tolist()
        for pair, apart in zip(zip(low, high, strict=True), apart_m.tolist(), strict=True):
            self._apart[pair] = self._apart.get(pair, 0) + 1
            self._widest[pair] = max(self._widest.get(pair, 0.0), apart)

    def were_apart(self, a: int, b: int, length_m: float) -> bool:
        """Whether a and b were seen too far apart for one object of this length."""
        return self._widest.get(_ordered(a, b), 0.0) > length_m

    def may_be_one(self, a: int, b: int) -> bool:
        """Count a scan that shows a and b as one; whether they were apart less often."""
        pair = _ordered(a, b)
        self._as_one[pair] = self._as_one.get(pair, 0) + 1
        apart = self._apart.get(pair, 0)
        return apart < min(self._as_one[pair], APART)

    def keep(self, ids: NDArray[np.int64]) -> None:
        """Forget all pairs but those of tracks that are still known."""
        known = set(ids.tolist())
        gone = {p for p in (*self._apart, *self._as_one) if not known.issuperset(p)}
        for pair in gone:
            self._apart.pop(pair, None)
            self._widest.pop(pair, None)
            self._as_one.pop(pair, None)


def with_leftovers(
    points: FloatArray, labels: PanopticLabels, classes: ClassTable
) -> PanopticLabels:
    """The labels with new instances for points of things that have none, grouped. points (N, 3).

    What is buried in a hedge is no object of a single scan, but may be one that was seen before.
    """
    left = unnamed_points(labels.instance, labels.semantic, classes.is_thing)
    if not len(left):
        return labels
    instance = labels.instance.copy()
    group = group_points(points[left], labels.semantic[left], classes)
    instance[left] = np.where(group > 0, group + labels.instance.max(initial=0), 0)
    return with_instances(labels, instance)


def explained(scans: Array, off: Array, left: Array) -> NDArray[np.bool_]:
    """Whether established tracks are found as expected, their surfaces explaining what is seen.

    scans (T,) in which the tracks were seen, off (T, K, 2) m from where they are expected, left
    (T, K, 2) as `pair_costs` gives it -> (T, K).
    """
    near = np.hypot(off[..., 0], off[..., 1]) < NEAR_M
    clear: NDArray[np.bool_] = near & (left[..., 0] < EXPLAINED)
    return clear & (scans >= ESTABLISHED)[:, None]


def _ordered(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)


def cut_merged(
    store: TrackStore,
    objects: Objects,
    facts: MotionFacts,
    cost: Array,
    expected: Array,
    moves: Array,
    left: Array,
    most: float,
    together: Together,
    instance: IntArray,
) -> IntArray:
    """Instances of the scan, those cut in which several established tracks end.

    Args:
        store: T tracks.
        objects: K objects of the scan.
        facts: of the classes.
        cost: (T, K) as `pair_costs` gives it.
        expected: (T, 2) m, where the tracks are expected from where they were.
        moves: (T, K, 2) as `pair_costs` gives it.
        left: (T, K, 2) as `pair_costs` gives it.
        most: the highest cost of a pair.
        together: who was seen beside whom.
        instance: (N,) ids of the scan.

    Returns:
        (N,) ids; the same array where nothing is cut.
    """
    if not store.num_tracks or not objects.num_objects:
        return instance
    best = cost.argmin(axis=1)
    rows = np.arange(store.num_tracks)
    off = np.hypot(*(moves[rows, best] - expected).T)
    ends = (cost[rows, best] < most) & (left[rows, best, 1] < EXPLAINED)
    ends &= (store.scans >= ESTABLISHED) & (off < 2 * NEAR_M) & ~store.is_buried
    changed = instance
    next_id = int(objects.ids.max(initial=0)) + 1
    for k in np.flatnonzero(np.bincount(best[ends], minlength=objects.num_objects) > 1).tolist():
        tracks = np.flatnonzero(ends & (best == k))
        tracks = tracks[np.argsort(cost[tracks, k], kind="stable")]
        apart = [int(tracks[0])]
        for t in tracks[1:].tolist():
            if all(_are_two(store, facts, together, t, s, expected[[t, s]]) for s in apart):
                apart.append(t)
        if len(apart) < 2:
            continue
        begin, end = objects.start[k], objects.start[k + 1]
        chosen = np.array(apart)
        part = nearest_surface(
            objects.world[begin:end], store.last, store.num_last, chosen, expected[chosen]
        )
        if np.bincount(part, minlength=len(apart)).min() < 1:
            continue
        if changed is instance:
            changed = instance.copy()
        for m in range(1, len(apart)):
            changed[objects.order[begin:end][part == m]] = next_id
            next_id += 1
    return changed


def _are_two(
    store: TrackStore, facts: MotionFacts, together: Together, t: int, s: int, moves: Array
) -> bool:
    """Whether two tracks that end in one object are two: no box holds both, or seen apart."""
    known = store.dims[[t, s], :2] + TOLERANCE_M
    length, width = np.maximum(facts.loose[store.class_id[[t, s]]], known).max(axis=0)
    one_box = fit_one_box(
        store.shape[t], store.num_shape[t], store.shape[s], store.num_shape[s],
        moves[1, 0] - moves[0, 0], moves[1, 1] - moves[0, 1], length, width,
    )  # fmt: skip
    if not one_box:
        return True
    if facts.is_wide[store.class_id[[t, s]]].any():
        return False
    return together.were_apart(int(store.id[t]), int(store.id[s]), length)


def pieces(
    store: TrackStore,
    objects: Objects,
    facts: MotionFacts,
    cost: Array,
    moves: Array,
    left: Array,
    most: float,
    track_of: Array,
) -> Pairs:
    """Objects without a track that a seen track's known surface explains: (object, track).

    track_of (K,) int64 is -1 where an object has none.
    """
    found: Pairs = []
    if (track_of >= 0).all():
        return found
    object_of = np.full(store.num_tracks, -1)
    has = np.flatnonzero(track_of >= 0)
    object_of[track_of[has]] = has
    for k in np.flatnonzero(track_of < 0).tolist():
        near = (object_of >= 0) & (cost[:, k] < most) & (store.scans >= ESTABLISHED)
        near &= ~store.is_buried
        for t in np.flatnonzero(near)[np.argsort(cost[near, k], kind="stable")].tolist():
            main = object_of[t]
            length, width = facts.loose[store.class_id[t]]
            if np.hypot(*(moves[t, main] - moves[t, k])) < NEAR_M:
                rest = left[t, k, 0]
            else:  # a part may slide along the whole
                rest = unexplained(
                    objects.surface[k], objects.count[k], store.shape[t], store.num_shape[t],
                    -moves[t, main, 0], -moves[t, main, 1], TOLERANCE_M,
                )  # fmt: skip
            if rest < EXPLAINED and fit_one_box(
                objects.surface[main], objects.count[main], objects.surface[k], objects.count[k],
                0.0, 0.0, length, width,
            ):  # fmt: skip
                found.append((k, t))
                break
    return found


def duplicates(
    store: TrackStore,
    facts: MotionFacts,
    cost: Array,
    moves: Array,
    left: Array,
    since_s: Array,
    most: float,
    track_of: Array,
    company_now: Array,
    together: Together,
) -> Pairs:
    """Unseen tracks that are the same as a seen one: (unseen, seen).

    track_of (K,) int64 is the track of each object, -1 for none; company_now (K,) bool whether
    another object is beside it; together remembers who was seen beside whom.
    """
    found: Pairs = []
    is_seen = np.zeros(store.num_tracks, np.bool_)
    is_seen[track_of[track_of >= 0]] = True
    if not len(track_of):
        return found
    for t in np.flatnonzero(~is_seen).tolist():
        k = int(cost[t].argmin())
        if cost[t, k] >= most:
            continue
        s = int(track_of[k])
        if s < 0 or store.is_buried[[s, t]].any():
            continue
        kinds = store.class_id[[t, s]]
        if not facts.is_wide[kinds].all() and (store.company[t] or company_now[k]):
            continue
        if not together.may_be_one(int(store.id[t]), int(store.id[s])):
            continue
        expected = store.motion[t, :2] * since_s[t]
        if np.hypot(*(moves[t, k] - expected)) > NEAR_M or left[t, k].min() > 0.5:
            continue
        length, width = facts.loose[kinds].max(axis=0)
        if fit_one_box(
            store.shape[s], store.num_shape[s], store.shape[t], store.num_shape[t],
            moves[t, k, 0] - moves[s, k, 0], moves[t, k, 1] - moves[s, k, 1], length, width,
        ):  # fmt: skip
            found.append((t, s))
    return found


def with_instances(labels: PanopticLabels, instance: IntArray) -> PanopticLabels:
    """The labels with other instances; new ones have the mean score."""
    score = labels.score
    if score is not None:
        more = int(instance.max(initial=0)) + 1 - len(score)
        score = np.concatenate(
            [score, np.full(max(more, 0), score[1:].mean() if len(score) > 1 else 1.0, np.float32)]
        )
    return replace(labels, instance=instance, score=score)
