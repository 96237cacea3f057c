"""Thing points into objects by the boxes of their classes: `lidarpan.grouping`'s default method.

1. Points of a class closer than `join_m` are a fragment; one larger than its box is cut.
2. Pairs of near fragments are visited by their gap, the closest first, and united when one box
   holds both. The box shrinks as the gap grows: at gap 0 it is generous (objects vary in size), at
   the largest gap it is the typical box, since only what is explained by one object may hide a gap.
   Offsets, if given, make the gap smaller where two fragments point at one center and larger where
   they do not.
3. Fragments of different classes that nearly touch are united too, when both fit into the box of
   the larger, and one is smaller or the softmax says of both the same: a network that doubts cuts
   an object in two.
4. An object much of which lies among upright stuff (walls, fences, plants) is a mistake of the
   semantics and gets no id: the visible side of a real object is free.

Distances are true distances, so neither the order of points nor a rotation matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.grouping.cells import number_by_first, sort_by_group
from lidarpan.grouping.claims import vote
from lidarpan.grouping.components import radius_components
from lidarpan.grouping.fragments import fragment_hulls, join_fragments, near_pairs
from lidarpan.grouping.methods import per_class
from lidarpan.grouping.split import split_oversized
from lidarpan.grouping.surroundings import buried_points, measure_objects
from lidarpan.structures import FloatArray, IntArray, SemanticArray

# The numbers of this file have no published source: chosen by hand on simulated towns.
# docs/grouping.md tells what they reach together; there is no ablation of each.
WIDE_M = 1.5  # vehicles are wider, all else is narrower: any number from 1.0 to 1.7 says the same
LONG_M = 6.0  # classes of longer boxes (trucks, buses) vary most in length: they may be longer
SMALL_M = 1.0  # people and cones: nothing hides a gap in them


@dataclass(frozen=True)
class Bounds:
    """What the boxes of a class table allow. C classes.

    Attributes:
        radius: (C,) m, points closer than this are one fragment; 0 for stuff and void.
        reach: (C, C) m, fragments of two classes may be united below this gap.
        tight: (C, 2) m length and width of the typical box.
        loose: (C, 2) m length and width of the largest box.
    """

    radius: NDArray[np.float64]
    reach: NDArray[np.float64]
    tight: NDArray[np.float64]
    loose: NDArray[np.float64]


def bounds_of(classes: ClassTable, join_m: float, contact_m: float) -> Bounds:
    """Distances and box sizes of every class from its typical box."""
    length, width = per_class(classes, 0), per_class(classes, 1)
    wide = width >= WIDE_M
    alike = (wide[:, None] == wide) & classes.is_thing[:, None] & classes.is_thing
    reach = np.where(alike, contact_m, 0.0)
    np.fill_diagonal(reach, width * np.where(length < SMALL_M, 1.0, 1.5))
    vary = length > LONG_M
    typical, longest = length * np.where(vary, 1.3, 1.0), length * np.where(vary, 1.7, 1.3)
    for train_id, with_boom in classes.longest_m.items():
        typical[train_id] = max(typical[train_id], with_boom)
        longest[train_id] = max(longest[train_id], with_boom)
    return Bounds(
        radius=np.minimum(join_m, width / 2),
        reach=reach,
        tight=np.stack([typical, width], axis=1),
        loose=np.stack([longest, 1.3 * width], axis=1),
    )


def group_by_boxes(
    points: FloatArray,
    semantic: SemanticArray,
    classes: ClassTable,
    offsets: FloatArray | None = None,
    softmax: FloatArray | None = None,
    join_m: float = 0.3,
    contact_m: float = 0.3,
    smaller_share: float = 0.45,
    alike: float = 0.5,
    reject: bool = True,
) -> IntArray:
    """Fragments, united while one box of their class holds them; see the module's docstring.

    Args:
        points: (N, 3) float32 metres in the sensor frame.
        semantic: (N,) uint8 train ids.
        classes: the class table.
        offsets: (N, 2) float32 metres to the object's center, or None.
        softmax: (N, C) float32 class probabilities, or None.
        join_m: points of a class closer than this belong together (at most half a box's width).
        contact_m: fragments of different classes must be closer than this to be united.
        smaller_share: the smaller of them may have at most this share of the union's points,
        alike: unless they have this share of their class probabilities in common.
        reject: leave out objects buried in upright stuff.

    Returns:
        (N,) int32 ids in order of first points; 0 for stuff, void and rejected points.
    """
    bounds = bounds_of(classes, join_m, contact_m)
    fragment = radius_components(points, semantic, bounds.radius)
    longest, widest = bounds.loose.T.copy()
    fragment = split_oversized(points, fragment, semantic, bounds.radius, longest, widest, 0.02)
    count = int(fragment.max(initial=0))
    order, start = sort_by_group(fragment - 1, count)
    label = semantic[order[start[:-1]]]
    vertices, first = fragment_hulls(points, order, start)
    pairs, gaps, apart = near_pairs(vertices, first, label, bounds.reach)
    if offsets is not None:
        width = bounds.tight[label[pairs].max(axis=1), 1] if len(pairs) else gaps
        gaps = gaps_by_offsets(points, offsets, fragment, pairs, gaps, width)
    known = np.zeros((0, classes.num_classes), np.float32) if softmax is None else softmax
    mass = vote(semantic, fragment[:, None], known, classes.is_thing, count + 1)[1:, :-1]
    parent = join_fragments(
        vertices, first, mass, pairs, gaps, apart, bounds.reach, bounds.tight, bounds.loose,
        smaller_share, alike,
    )  # fmt: skip
    ids: IntArray = number_by_first(fragment - 1, parent)
    return reject_buried(points, semantic, ids, classes) if reject else ids


def gaps_by_offsets(
    points: FloatArray,
    offsets: FloatArray,
    fragment: IntArray,
    pairs: NDArray[np.int32],
    gaps: NDArray[np.float64],
    width: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Gaps made smaller where two fragments point at one center, larger where at two.

    With d the distance of their mean centers and w the box's width, gap * min(1, 1/2 + d / w) +
    3 max(d - w / 2, 0). Offsets that do not halve the scatter of the fragments are not believed.

    points (N, 3), offsets (N, 2) m, fragment (N,) ids 1..G, pairs (P, 2) of 0..G-1, gaps (P,) m,
    width (P,) m -> (P,) m.
    """
    seen = fragment > 0
    member = fragment[seen] - 1
    count = np.maximum(np.bincount(member), 1)

    def means_and_scatter(xy: FloatArray) -> tuple[NDArray[np.float64], float]:
        sums = [np.bincount(member, xy[:, axis]) / count for axis in (0, 1)]
        means = np.stack(sums, axis=1)
        return means, float(np.square(xy - means[member]).sum())

    _, scatter = means_and_scatter(points[seen, :2])
    centers, shifted_scatter = means_and_scatter(points[seen, :2] + offsets[seen])
    if not len(pairs) or shifted_scatter > 0.25 * scatter:
        return gaps
    d = np.hypot(*(centers[pairs[:, 0]] - centers[pairs[:, 1]]).T)
    closer = gaps * np.minimum(1, 0.5 + d / width)
    changed: NDArray[np.float64] = closer + 3 * np.maximum(d - width / 2, 0)
    return changed


def reject_buried(
    points: FloatArray,
    semantic: SemanticArray,
    ids: IntArray,
    classes: ClassTable,
    near_m: float = 0.3,
    most: float = 0.25,
    ratio: float = 0.5,
) -> IntArray:
    """Ids without the objects that have more than `most` of their points among upright stuff.

    A point is among stuff when within `near_m` in 3D there is upright stuff, at least `ratio` times
    as much as there are thing points: single wrong points on an object do not count.
    Narrow things (people, bicycles) do stand against hedges and walls: they stay when they are
    as long and high as their class. -> (N,) int32, numbered anew.
    """
    stands = np.isin(np.arange(classes.num_classes), classes.upright)
    kind = np.where(classes.is_thing, 1, stands * 2)
    kind_of_point = kind.astype(np.uint8)[semantic]
    if not (kind_of_point == 2).any():
        return ids
    near = buried_points(points, kind_of_point, near_m, ratio)
    length, width, height = (per_class(classes, axis) for axis in range(3))
    share, spread, tall, label = measure_objects(points, ids, semantic, near, len(length))
    whole = (spread >= 0.6 * length[label]) & (tall >= 0.5 * height[label])
    buried = (share > most) & ~(whole & (width[label] < WIDE_M))
    buried[0] = False
    if not buried.any():
        return ids
    kept: IntArray = number_by_first(
        np.where(buried[ids], 0, ids) - 1, np.arange(len(buried), dtype=np.int32)
    )
    return kept
