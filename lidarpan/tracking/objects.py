"""A scan with labels -> its objects: surface, class, place and size of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lidarpan.grouping.surfaces import (
    class_votes,
    find_ids,
    gather_objects,
    object_surfaces,
    to_world,
)
from lidarpan.structures import FloatArray, IntArray, PanopticLabels
from lidarpan.tracking.evidence import class_evidence


@dataclass(frozen=True)
class Objects:
    """The K objects of one scan, in the world frame.

    Attributes:
        ids: (K,) int32 instance ids in the scan, ascending.
        order: (n,) int64 indices of their points, object by object.
        start: (K + 1,) int64 where each object's points begin in `order`.
        world: (n, 3) float64 m, those points.
        surface: (K, 2, S) float64 m from above, of which count (K,) places are used.
        count: (K,) int64.
        extent: (K, 6) m low and high of x, y, z.
        votes: (K, C) int64 points of each class.
        class_id: (K,) int64 the class of most points.
        evidence: (K, C) what the scan says of the class, as `class_evidence` gives it.
        score: (K,) confidence, 1 where the labels have none.
    """

    ids: IntArray
    order: NDArray[np.int64]
    start: NDArray[np.int64]
    world: NDArray[np.float64]
    surface: NDArray[np.float64]
    count: NDArray[np.int64]
    extent: NDArray[np.float64]
    votes: NDArray[np.int64]
    class_id: NDArray[np.int64]
    score: NDArray[np.float64]
    evidence: NDArray[np.float64]

    @property
    def num_objects(self) -> int:
        """K."""
        return len(self.ids)

    @property
    def num_points(self) -> NDArray[np.int64]:
        """(K,) points of each."""
        return np.diff(self.start)

    @cached_property
    def center(self) -> NDArray[np.float64]:
        """(K, 2) m, middle of the extent from above."""
        return 0.5 * (self.extent[:, [0, 2]] + self.extent[:, [1, 3]])

    @cached_property
    def radius(self) -> NDArray[np.float64]:
        """(K,) m, half the diagonal of the extent from above."""
        spread = self.extent[:, [1, 3]] - self.extent[:, [0, 2]]
        return 0.5 * np.hypot(spread[:, 0], spread[:, 1])


def observe(
    points: FloatArray,
    labels: PanopticLabels,
    world_T_sensor: NDArray[np.float64],
    is_thing: NDArray[np.bool_],
) -> Objects:
    """Describe the objects of a scan. points (N, 3) m in the sensor frame, is_thing (C,).

    Instances most points of which are no thing are none.
    """
    ids, lookup = find_ids(labels.instance)
    votes = class_votes(labels.semantic, labels.instance, lookup, len(ids), len(is_thing))
    thing = is_thing[votes.argmax(axis=1)] if len(ids) else np.zeros(0, np.bool_)
    if not thing.all():
        lookup[ids] = np.where(thing, np.cumsum(thing) - 1, -1)
        ids, votes = ids[thing], votes[thing]
    order, start = gather_objects(labels.instance, lookup, len(ids))
    world = to_world(points, order, world_T_sensor)
    surface, places, extent = object_surfaces(world, start)
    score = np.ones(len(ids)) if labels.score is None else labels.score[ids].astype(np.float64)
    class_id = votes.argmax(axis=1).astype(np.int64) if len(ids) else np.zeros(0, np.int64)
    evidence = class_evidence(votes, score, is_thing)
    return Objects(
        ids, order, start, world, surface, places, extent, votes, class_id, score, evidence
    )
