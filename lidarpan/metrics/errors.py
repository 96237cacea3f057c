"""Two labelings of one scan -> what kind of error each segment without a match, or point, is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import VOID, ClassTable
from lidarpan.metrics.matching import MATCH_IOU, CountArray, LabelArray, overlap_ids
from lidarpan.structures import BoolArray, InputError, PanopticLabels, SemanticArray

KINDS = {
    "missed": "a true segment that no prediction of its class lies in or around",
    "invented": "a predicted segment that no true one of its class lies in or around",
    "merged": "a prediction that takes most of several true segments of its class, and those",
    "split": "a true segment that several predictions of its class lie mostly in, and those",
    "wrong class": "a true segment and a prediction of another class with IoU above 0.5",
    "bad boundary": "a true segment and a prediction of its class, one mostly inside the other",
}
"""Kinds of error; the first that fits of wrong class, split, merged, bad boundary is taken."""

POINT_KINDS = ("ignored", "right", "missed", "invented", "wrong class", "merged", "split")
"""What a point may be: the same kinds, but that of a border has no points of its own."""
IGNORED, RIGHT, MISSED, INVENTED, WRONG_CLASS, MERGED, SPLIT = range(len(POINT_KINDS))


@dataclass(frozen=True)
class SegmentErrors:
    """False negatives and false positives by kind and class.

    Attributes:
        fn: (6, C) int64 true segments without a match, in the order of KINDS.
        fp: (6, C) int64 predicted ones.
    """

    fn: CountArray
    fp: CountArray

    def __add__(self, other: SegmentErrors) -> SegmentErrors:
        """The errors of both."""
        return SegmentErrors(self.fn + other.fn, self.fp + other.fp)


@dataclass(frozen=True)
class _Side:
    """The segments of one labeling: class, size, and whether each counts and has no match."""

    classes: CountArray
    size: CountArray
    counts: BoolArray
    is_error: BoolArray


def classify_errors(
    pred_semantic: LabelArray,
    pred_instance: LabelArray,
    true_semantic: LabelArray,
    true_instance: LabelArray,
    *,
    num_classes: int,
    ignore: Collection[int] = (0,),
    min_points: int,
) -> SegmentErrors:
    """Put each false positive and false negative of a scan into one kind.

    Args:
        pred_semantic: (N,) integers, predicted classes, as `match_segments` takes them.
        pred_instance: (N,) integers, predicted ids.
        true_semantic: (N,) integers, true classes.
        true_instance: (N,) integers, true ids.
        num_classes: C.
        ignore: true points of these classes are taken out.
        min_points: smallest segment that counts as an error.
    """
    ignored = np.zeros(num_classes, np.bool_)
    ignored[list(ignore)] = True
    ids, number = np.unique(pred_instance, return_inverse=True)
    factor = max(len(ids), 1)
    key = pred_semantic.astype(np.int64) * factor + number
    pred, true, pair = overlap_ids(key, true_semantic, true_instance, ignored)
    pred[:, 0] //= factor  # the class
    true = true[:, ::2]
    a, b, common = pair.T
    iou = common / (pred[a, 1] + true[b, 1] - common)
    same = pred[a, 0] == true[b, 0]
    match = same & (iou > MATCH_IOU)
    p, t = _side(pred, a[match], ignored, min_points), _side(true, b[match], ignored, min_points)
    pred_inside = (2 * common > p.size[a]) & p.counts[a]
    true_inside = (2 * common > t.size[b]) & t.counts[b]
    pieces = np.bincount(b[same & pred_inside], minlength=len(true))
    parts = np.bincount(a[same & true_inside], minlength=len(pred))
    links = {
        "wrong class": ~same & (iou > MATCH_IOU) & ~ignored[pred[a, 0]],
        "split": same & pred_inside & (pieces[b] > 1),
        "merged": same & true_inside & (parts[a] > 1),
        "bad boundary": same & (pred_inside | true_inside),
    }
    fn = _by_kind(t, b, links, "missed", num_classes)
    fp = _by_kind(p, a, links, "invented", num_classes)
    return SegmentErrors(fn, fp)


def _side(segments: CountArray, matched: CountArray, ignored: BoolArray, min_points: int) -> _Side:
    counts = (segments[:, 1] >= max(min_points, 1)) & ~ignored[segments[:, 0]]
    is_error = counts.copy()
    is_error[matched] = False
    return _Side(segments[:, 0], segments[:, 1], counts, is_error)


def _by_kind(
    side: _Side,
    segment: CountArray,
    links: dict[str, BoolArray],
    otherwise: str,
    num_classes: int,
) -> CountArray:
    """(6, C) errors of a side by the first kind whose links touch them."""
    counts = np.zeros((len(KINDS), num_classes), np.int64)
    left = side.is_error.copy()
    for kind, linked in (*links.items(), (otherwise, None)):
        touched = left.copy()
        if linked is not None:
            touched[:] = False
            touched[segment[linked]] = True
            touched &= left
        left &= ~touched
        row = list(KINDS).index(kind)
        counts[row] = np.bincount(side.classes[touched], minlength=num_classes)
    return counts


def point_errors(
    labels: PanopticLabels, truth: PanopticLabels, classes: ClassTable
) -> SemanticArray:
    """Compare a prediction with the truth, point by point.

    In order: void in the truth is ignored; an object's point predicted as stuff or void is missed;
    stuff predicted as an object is invented; another class is a wrong class. What is left of the
    things has the right class: a point is merged when its predicted segment consists mainly of
    another true object, split when its true object lies mainly in another predicted segment.

    Args:
        labels: N points.
        truth: N points.
        classes: both label sets use its train ids.

    Returns:
        (N,) uint8 index into POINT_KINDS.

    Raises:
        InputError: the two have different numbers of points.
    """
    if labels.num_points != truth.num_points:
        raise InputError(
            f"prediction and truth must label the same scan, got {labels.num_points} and "
            f"{truth.num_points} points"
        )
    is_thing = classes.is_thing
    true_thing, own_thing = is_thing[truth.semantic], is_thing[labels.semantic]
    kinds = np.full(truth.num_points, RIGHT, np.uint8)
    kinds[truth.semantic != labels.semantic] = WRONG_CLASS
    kinds[~true_thing & own_thing] = INVENTED
    kinds[true_thing & ~own_thing] = MISSED
    kinds[truth.semantic == VOID] = IGNORED

    both = np.flatnonzero(true_thing & (truth.semantic == labels.semantic))
    if both.size:
        offset = truth.semantic[both].astype(np.int64) << 32
        true_id, own_id = offset + truth.instance[both], offset + labels.instance[both]
        kinds[both[_main_partner(true_id, own_id) != own_id]] = SPLIT
        kinds[both[_main_partner(own_id, true_id) != true_id]] = MERGED
    return kinds


def _main_partner(own: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each point, the `other` segment that shares most points with its `own` segment."""
    owns, own_index = np.unique(own, return_inverse=True)
    others, other_index = np.unique(other, return_inverse=True)
    shared = np.zeros((len(owns), len(others)), np.int64)
    np.add.at(shared, (own_index, other_index), 1)
    partner: NDArray[np.int64] = others[shared.argmax(axis=1)][own_index]
    return partner
