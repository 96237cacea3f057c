"""Confidences and matches -> how far a confidence says how often a prediction is right."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lidarpan.metrics.matching import CountArray, LabelArray, ScoreArray, SegmentMatches
from lidarpan.structures import BoolArray, FloatArray, InputError


@dataclass(frozen=True)
class CalibrationScores:
    """Fractions in [0, 1]; C classes, B bins of confidence. Means over nothing are nan.

    Attributes:
        ece: expected calibration error: gap between mean confidence and share of matches, mean over
            the predictions, bin by bin (Guo et al., On Calibration of Modern Neural Networks, ICML
            2017).
        ece_iou: over the matched predictions alone, the gap between mean confidence and mean IoU.
        class_ece: (C,) ece of the predictions of a class; class_ece_iou: likewise.
        class_count: (C,) int64 predictions.
        bin_edge: (B + 1,) edges of the bins; a bin has its lower edge, the last one both.
        bin_count: (B,) int64 predictions.
        bin_confidence: (B,) their mean confidence.
        bin_precision: (B,) share of them that match.
        bin_iou: (B,) mean IoU of those that match.
    """

    ece: float
    ece_iou: float
    class_ece: ScoreArray
    class_ece_iou: ScoreArray
    class_count: CountArray
    bin_edge: ScoreArray
    bin_count: CountArray
    bin_confidence: ScoreArray
    bin_precision: ScoreArray
    bin_iou: ScoreArray


class CalibrationError:
    """Accumulates predictions with a confidence, and gives their calibration.

    Memory does not depend on the number of predictions.

    Args:
        num_classes: C.
        num_bins: B, of equal width over [0, 1].

    Raises:
        InputError: no class or no bin.
    """

    def __init__(self, num_classes: int, num_bins: int = 10) -> None:
        if num_classes < 1 or num_bins < 1:
            raise InputError(f"wanted classes and bins from 1, got {num_classes} and {num_bins}")
        self.count = np.zeros((num_classes, num_bins), np.int64)
        self.matched = np.zeros((num_classes, num_bins), np.int64)
        self.confidence_sum = np.zeros((num_classes, num_bins))
        self.matched_confidence_sum = np.zeros((num_classes, num_bins))
        self.iou_sum = np.zeros((num_classes, num_bins))

    def update(self, class_id: LabelArray, confidence: FloatArray, iou: ScoreArray) -> None:
        """Add K predictions.

        Args:
            class_id: (K,) integers, predicted classes.
            confidence: (K,) in [0, 1].
            iou: (K,) IoU of their matches, 0 where there is none. For points, whose confidence is
                their softmax: 1 where the class is right.

        Raises:
            InputError: arrays of different length, or values out of range; nothing is added then.
        """
        num_classes, num_bins = self.count.shape
        if not class_id.shape == confidence.shape == iou.shape == (len(class_id),):
            shapes = f"{class_id.shape}, {confidence.shape} and {iou.shape}"
            raise InputError(f"wanted three arrays of one length, got {shapes}")
        if not ((class_id >= 0) & (class_id < num_classes)).all():
            raise InputError(f"wanted classes 0..{num_classes - 1}, got {np.unique(class_id)}")
        for name, values in (("confidence", confidence), ("iou", iou)):
            if not ((values >= 0) & (values <= 1)).all():
                raise InputError(
                    f"{name}: wanted fractions in [0, 1], got {values.min()}..{values.max()}"
                )
        sure = confidence.astype(np.float64)
        cell = np.minimum((sure * num_bins).astype(np.int64), num_bins - 1) + class_id * num_bins
        is_match = iou > 0
        for sums, weight in (
            (self.count, np.ones(len(cell))),
            (self.matched, is_match),
            (self.confidence_sum, sure),
            (self.matched_confidence_sum, sure * is_match),
            (self.iou_sum, iou),
        ):
            added = np.bincount(cell, weight, sums.size).reshape(sums.shape)
            sums += added.astype(sums.dtype)

    def merge(self, other: CalibrationError) -> None:
        """Add the predictions of another accumulator.

        Raises:
            InputError: it has other classes or bins.
        """
        if other.count.shape != self.count.shape:
            raise InputError(
                f"wanted {self.count.shape} classes and bins as here, got {other.count.shape}"
            )
        self.count += other.count
        self.matched += other.matched
        self.confidence_sum += other.confidence_sum
        self.matched_confidence_sum += other.matched_confidence_sum
        self.iou_sum += other.iou_sum

    def compute(self) -> CalibrationScores:
        """Divide the sums."""
        all_classes = slice(None)
        classes = range(len(self.count))
        count, matched = self.count.sum(axis=0), self.matched.sum(axis=0)
        return CalibrationScores(
            ece=self._ece(all_classes),
            ece_iou=self._ece_iou(all_classes),
            class_ece=np.array([self._ece(slice(c, c + 1)) for c in classes]),
            class_ece_iou=np.array([self._ece_iou(slice(c, c + 1)) for c in classes]),
            class_count=self.count.sum(axis=1),
            bin_edge=np.linspace(0, 1, self.count.shape[1] + 1),
            bin_count=count,
            bin_confidence=_divide(self.confidence_sum.sum(axis=0), count),
            bin_precision=_divide(matched, count),
            bin_iou=_divide(self.iou_sum.sum(axis=0), matched),
        )

    def _ece(self, of: slice) -> float:
        gap = self.confidence_sum[of].sum(axis=0) - self.matched[of].sum(axis=0)
        return _share(gap, int(self.count[of].sum()))

    def _ece_iou(self, of: slice) -> float:
        gap = (self.matched_confidence_sum[of] - self.iou_sum[of]).sum(axis=0)
        return _share(gap, int(self.matched[of].sum()))


def scored_instances(
    matches: SegmentMatches, score: FloatArray, is_thing: BoolArray, min_points: int
) -> tuple[CountArray, FloatArray, ScoreArray]:
    """Class, confidence and IoU of the predicted instances of a scan, (K,) each.

    They are those that PQ counts: things with an id that match or have at least min_points points.

    Args:
        matches: of the scan, with the ids that `score` goes by.
        score: (highest id + 1,) confidence of each id.
        is_thing: (C,) whether a class is one of things.
        min_points: the benchmark's.
    """
    iou = np.zeros(len(matches.pred))
    iou[matches.pair[matches.is_match, 0]] = matches.iou[matches.is_match]
    counts = (iou > 0) | matches.invented(min_points)
    counts &= is_thing[matches.pred[:, 0]] & (matches.pred[:, 1] > 0)
    class_id, instance = matches.pred[counts, :2].T
    return class_id, score[instance], iou[counts]


def _share(gap: ScoreArray, count: int) -> float:
    return float(np.abs(gap).sum()) / count if count else math.nan


def _divide(sums: ScoreArray | CountArray, count: CountArray) -> ScoreArray:
    """Means, nan over nothing."""
    means: ScoreArray = np.where(count > 0, sums / np.maximum(count, 1), np.nan)
    return means
