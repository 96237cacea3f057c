"""Two labelings of one scan -> segments, their overlaps, and which of them match."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.metrics.contingency import count_overlaps
from lidarpan.structures import BoolArray, InputError

LabelArray = NDArray[np.integer[Any]]
CountArray = NDArray[np.int64]
ScoreArray = NDArray[np.float64]

MATCH_IOU = 0.5
"""A pair of segments matches above this IoU, not at it: at most one partner can be above."""


@dataclass(frozen=True)
class SegmentMatches:
    """The segments of one scan: the points of one class and one instance id.

    Attributes:
        confusion: (C, C) int64, points by predicted and by true class; all points.
        pred: (P, 3) int64, class, instance id and size of each predicted segment. A size counts
            the points whose true class is not ignored; it is 0 for a segment without such points.
        true: (T, 3) int64, the same of each true segment; 0 for those of an ignored class.
        pair: (Q, 3) int64, position in pred, position in true, and number of common points of all
            segments of one class that meet.
        ignored: (C,) bool, classes whose true points are left out.
    """

    confusion: CountArray
    pred: CountArray
    true: CountArray
    pair: CountArray
    ignored: BoolArray

    @cached_property
    def iou(self) -> ScoreArray:
        """(Q,) float64 intersection over union of each pair."""
        common = self.pair[:, 2]
        union = self.pred[self.pair[:, 0], 2] + self.true[self.pair[:, 1], 2] - common
        iou: ScoreArray = common / union
        return iou

    @cached_property
    def is_match(self) -> BoolArray:
        """(Q,) bool, whether the pair is a true positive."""
        matched: BoolArray = self.iou > MATCH_IOU
        return matched

    def invented(self, min_points: int) -> BoolArray:
        """(P,) bool, predicted segments without a match that count as false positives."""
        wrong = self._counts(self.pred, min_points)
        wrong[self.pair[self.is_match, 0]] = False
        return wrong

    def missed(self, min_points: int) -> BoolArray:
        """(T,) bool, true segments without a match that count as false negatives."""
        wrong = self._counts(self.true, min_points)
        wrong[self.pair[self.is_match, 1]] = False
        return wrong

    def _counts(self, segments: CountArray, min_points: int) -> BoolArray:
        large = segments[:, 2] >= max(min_points, 1)
        counted: BoolArray = large & ~self.ignored[segments[:, 0]]
        return counted


def match_segments(
    pred_semantic: LabelArray,
    pred_instance: LabelArray,
    true_semantic: LabelArray,
    true_instance: LabelArray,
    *,
    num_classes: int,
    ignore: Collection[int] = (0,),
) -> SegmentMatches:
    """Find the segments of both labelings of one scan, and which of them overlap.

    Args:
        pred_semantic: (N,) integers, predicted classes in 0 ... num_classes - 1.
        pred_instance: (N,) integers, predicted instance ids: any value, also negative ones; they
            need to be unique within a class only.
        true_semantic: (N,) integers, true classes.
        true_instance: (N,) integers, true instance ids.
        num_classes: C, ignored ones included.
        ignore: true points of these classes are taken out of the scan.

    Raises:
        InputError: arrays are not integer, not 1-D or not equally long, or a class is out of range.
    """
    names = ("pred_semantic", "pred_instance", "true_semantic", "true_instance")
    given = (pred_semantic, pred_instance, true_semantic, true_instance)
    arrays = [_as_int64(name, values) for name, values in zip(names, given, strict=True)]
    if len({len(values) for values in arrays}) > 1:
        sizes = ", ".join(f"{n} {len(v)}" for n, v in zip(names, arrays, strict=True))
        raise InputError(f"wanted four arrays of one length, a label per point, got {sizes}")
    ignored = np.zeros(num_classes, np.bool_)
    ignored[list(ignore)] = True
    confusion, pred, true, pair = count_overlaps(*arrays, ignored)
    if len(confusion) != num_classes:
        for name, values in zip(names[::2], arrays[::2], strict=True):
            low, high = int(values.min()), int(values.max())
            if low < 0 or high >= num_classes:
                raise InputError(f"{name}: wanted classes 0..{num_classes - 1}, got {low}..{high}")
    return SegmentMatches(confusion, pred, true, pair, ignored)


def overlap_ids(
    pred_key: LabelArray, true_semantic: LabelArray, true_instance: LabelArray, ignored: BoolArray
) -> tuple[CountArray, CountArray, CountArray]:
    """Overlaps of predicted objects of any class with true segments.

    Args:
        pred_key: (N,) integers, what tells predicted objects apart.
        true_semantic: (N,) integers, true classes in 0 ... C - 1.
        true_instance: (N,) integers, true ids.
        ignored: (C,) bool, classes whose true points are left out.

    Returns:
        pred: (P, 2) key and size; true: (T, 3) class, id and size; pair: (Q, 3) position in pred,
        position in true, number of common points. All sizes are without ignored points.
    """
    ids, number = np.unique(true_instance, return_inverse=True)
    factor = max(len(ids), 1)
    true_key = true_semantic.astype(np.int64) * factor + number
    one = np.ones(len(true_key), np.int64)
    is_known = np.where(ignored[true_semantic], 0, one)
    pred_key = np.ascontiguousarray(pred_key, np.int64)
    arrays = (one, pred_key if pred_key.flags.writeable else pred_key.copy(), is_known, true_key)
    _, pred, true, pair = count_overlaps(*arrays, np.array([True, False]))
    segments = np.stack([true[:, 1] // factor, ids[true[:, 1] % factor], true[:, 2]], axis=1)
    return pred[:, 1:], segments, pair


def mean_of(values: ScoreArray | list[float]) -> float:
    """The mean; nan over nothing."""
    return float(np.mean(values)) if len(values) else math.nan


def _as_int64(name: str, values: LabelArray) -> CountArray:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(
            f"{name}: wanted a 1-D array of integers, got {array.shape} {array.dtype}: "
            "flatten images, score scans one by one"
        )
    wide: CountArray = np.ascontiguousarray(array, np.int64)
    return wide if wide.flags.writeable else wide.copy()  # one compiled kernel serves all
