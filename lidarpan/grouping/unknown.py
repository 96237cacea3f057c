"""Objects of no known class: what stands on the ground and nobody is sure of."""

from __future__ import annotations

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.grouping.cells import number_by_first
from lidarpan.grouping.components import radius_components
from lidarpan.structures import FloatArray, InputError, IntArray, PanopticLabels

REACH_M = 0.5
"""Points nearer than this belong to one object, seen from above."""


def find_unknown(
    points: FloatArray,
    labels: PanopticLabels,
    classes: ClassTable,
    *,
    below: float = 0.5,
    min_points: int = 20,
    max_size_m: float = 12.0,
) -> tuple[IntArray, FloatArray]:
    """Clusters of points off the ground whose class is doubtful.

    Points of low confidence that lie together are a thing of no known class rather than noise: a
    cluster of them is an unknown object (as Wong et al., "Identifying unknown instances for
    autonomous driving", CoRL 2019, cluster what no known class claims).

    Args:
        points: (N, 3) metres.
        labels: of the points, with their confidence.
        classes: of the labels.
        below: a point is doubtful where its class is less sure than this, or void.
        min_points: smaller clusters are left out.
        max_size_m: and longer ones, which are surfaces.

    Returns:
        (N,) int32 id of the unknown object of each point, 0 = none; and (K + 1,) float32 how
        doubtful each is: 1 less the mean confidence, 0 at place 0.

    Raises:
        InputError: the labels say no confidence.
    """
    if labels.confidence is None:
        raise InputError("unknown objects want labels with the confidence of each point")
    is_ground = np.isin(labels.semantic, classes.ground)
    doubtful = (labels.confidence < below) & ~is_ground
    one = doubtful.astype(np.uint8)
    found = radius_components(points, one, np.array([0.0, REACH_M]))
    count = int(found.max(initial=0)) + 1
    size = np.bincount(found, minlength=count)
    extent = np.zeros((count, 2))
    for axis in (0, 1):
        low, high = np.full(count, np.inf), np.full(count, -np.inf)
        np.minimum.at(low, found, points[:, axis])
        np.maximum.at(high, found, points[:, axis])
        extent[:, axis] = high - low
    kept = (size >= min_points) & (extent.max(axis=1) <= max_size_m)
    kept[0] = False
    group = np.where(kept[found], found, -1).astype(np.int32)
    ids: IntArray = number_by_first(group, np.arange(count, dtype=np.int32))
    number = np.bincount(ids)
    doubt = 1 - np.bincount(ids, labels.confidence) / np.maximum(number, 1)
    doubt[0] = 0
    return ids, doubt.astype(np.float32)
