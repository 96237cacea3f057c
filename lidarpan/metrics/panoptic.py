"""Matches of many scans -> PQ, SQ, RQ and mIoU, as the benchmarks define them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.metrics.matching import (
    CountArray,
    LabelArray,
    ScoreArray,
    SegmentMatches,
    match_segments,
    mean_of,
)
from lidarpan.structures import BoolArray, InputError, PanopticLabels

_EPSILON = 1e-15  # the official scripts' guard against 0 / 0


@dataclass(frozen=True)
class PanopticScores:
    """Fractions in [0, 1]; C classes, ignored ones included with zeros.

    A class without any segment scores 0 in every array, as in the official scripts; a mean over
    no class is nan.

    Attributes:
        pq: panoptic quality, mean over the classes.
        sq: segmentation quality, the mean IoU of matches, mean over the classes.
        rq: recognition quality, the F1 score of segments, mean over the classes.
        miou: mean over the classes of the IoU of their points.
        pq_dagger: mean over the classes of PQ of things and IoU of stuff (Porzi et al., CVPR 2019).
        accuracy: share of correct points among those predicted as a class that is not ignored.
        pq_things: pq over the things; likewise sq_things, rq_things and those of the stuff.
        class_pq: (C,) float64; likewise class_sq, class_rq and class_iou.
        tp: (C,) int64, matched segments; fp, fn: predicted and true segments without a match.
        iou_sum: (C,) float64, IoU summed over the matches.
        confusion: (C, C) int64, points by predicted and by true class.
    """

    pq: float
    sq: float
    rq: float
    miou: float
    pq_dagger: float
    accuracy: float
    pq_things: float
    sq_things: float
    rq_things: float
    pq_stuff: float
    sq_stuff: float
    rq_stuff: float
    class_pq: ScoreArray
    class_sq: ScoreArray
    class_rq: ScoreArray
    class_iou: ScoreArray
    tp: CountArray
    fp: CountArray
    fn: CountArray
    iou_sum: ScoreArray
    confusion: CountArray


class PanopticQuality:
    """Accumulates scans and gives their panoptic quality (Kirillov et al., CVPR 2019).

    The rules are those of the SemanticKITTI and nuScenes evaluators: a segment is a class and an
    instance id; a pair matches above IoU 0.5; points with an ignored true class are taken out
    first; an unmatched segment counts as an error from min_points points on, a match at any size.
    Memory does not depend on the number of scans.

    Args:
        num_classes: C, ignored ones included.
        things: ids of the thing classes; the others that are not ignored are stuff.
        ignore: ids of the ignored classes, one id, or None.
        min_points: smallest segment that counts as an error, in points: the benchmark's.

    Raises:
        InputError: a class id out of range, a thing that is ignored, or min_points below 0.
    """

    def __init__(
        self,
        num_classes: int,
        things: Collection[int],
        ignore: Collection[int] | int | None = (0,),
        *,
        min_points: int,
    ) -> None:
        if min_points < 0:
            raise InputError(f"min_points: wanted 0 or more points, got {min_points}")
        self.num_classes = num_classes
        self.min_points = min_points
        self.ignored = _mask("ignore", ignore, num_classes)
        self.is_thing = _mask("things", things, num_classes)
        if (self.ignored & self.is_thing).any():
            both = np.flatnonzero(self.ignored & self.is_thing).tolist()
            raise InputError(f"classes {both} cannot be things and ignored")
        self.tp = np.zeros(num_classes, np.int64)
        self.fp = np.zeros(num_classes, np.int64)
        self.fn = np.zeros(num_classes, np.int64)
        self.iou_sum = np.zeros(num_classes, np.float64)
        self.confusion = np.zeros((num_classes, num_classes), np.int64)
        self.num_scans = 0

    def update(
        self,
        pred_semantic: LabelArray,
        pred_instance: LabelArray,
        true_semantic: LabelArray,
        true_instance: LabelArray,
    ) -> SegmentMatches:
        """Add one scan: four (N,) arrays of integers, as `match_segments` takes them.

        Returns:
            The scan's segments and matches.

        Raises:
            InputError: arrays are not integer, not 1-D or not equally long, or a class is out of
                range; nothing is added then.
        """
        matches = match_segments(
            pred_semantic,
            pred_instance,
            true_semantic,
            true_instance,
            num_classes=self.num_classes,
            ignore=np.flatnonzero(self.ignored).tolist(),
        )
        self.add(matches)
        return matches

    def add(self, matches: SegmentMatches) -> None:
        """Add one scan that has been matched with this object's classes."""
        size = self.num_classes
        found = matches.pred[matches.pair[matches.is_match, 0], 0]
        invented = matches.pred[matches.invented(self.min_points), 0]
        missed = matches.true[matches.missed(self.min_points), 0]
        self.tp += np.bincount(found, minlength=size)
        self.iou_sum += np.bincount(found, matches.iou[matches.is_match], minlength=size)
        self.fp += np.bincount(invented, minlength=size)
        self.fn += np.bincount(missed, minlength=size)
        self.confusion += matches.confusion
        self.num_scans += 1

    def merge(self, other: PanopticQuality) -> None:
        """Add the scans of another accumulator.

        Raises:
            InputError: it has other classes or another min_points.
        """
        same = self.num_classes == other.num_classes and self.min_points == other.min_points
        if not same or (self.ignored != other.ignored).any():
            raise InputError(
                f"cannot merge scores of {self.num_classes} classes, min_points {self.min_points} "
                f"with {other.num_classes}, {other.min_points} or other ignored classes"
            )
        self.tp += other.tp
        self.fp += other.fp
        self.fn += other.fn
        self.iou_sum += other.iou_sum
        self.confusion += other.confusion
        self.num_scans += other.num_scans

    def compute(self, mean: Literal["all", "present"] = "all") -> PanopticScores:
        """Divide the sums.

        Args:
            mean: means run over "all" classes that are not ignored, as in the official scripts,
                or over those "present", which have at least one true point.
        """
        sq = self.iou_sum / np.maximum(self.tp, _EPSILON)
        rq = self.tp / np.maximum(self.tp + 0.5 * self.fp + 0.5 * self.fn, _EPSILON)
        pq = sq * rq
        points = np.where(self.ignored[None], 0, self.confusion).astype(np.float64)
        correct, predicted, true = points.diagonal(), points.sum(axis=1), points.sum(axis=0)
        iou = correct / np.maximum(predicted + true - correct, _EPSILON)
        over = ~self.ignored
        if mean == "present":
            over = over & (true > 0)
        things, stuff = over & self.is_thing, over & ~self.is_thing
        return PanopticScores(
            pq=mean_of(pq[over]),
            sq=mean_of(sq[over]),
            rq=mean_of(rq[over]),
            miou=mean_of(iou[over]),
            pq_dagger=mean_of(np.where(self.is_thing, pq, iou)[over]),
            accuracy=float(correct.sum() / max(predicted[~self.ignored].sum(), _EPSILON)),
            pq_things=mean_of(pq[things]),
            sq_things=mean_of(sq[things]),
            rq_things=mean_of(rq[things]),
            pq_stuff=mean_of(pq[stuff]),
            sq_stuff=mean_of(sq[stuff]),
            rq_stuff=mean_of(rq[stuff]),
            class_pq=pq,
            class_sq=sq,
            class_rq=rq,
            class_iou=iou,
            tp=self.tp.copy(),
            fp=self.fp.copy(),
            fn=self.fn.copy(),
            iou_sum=self.iou_sum.copy(),
            confusion=self.confusion.copy(),
        )


def score_labels(
    predicted: PanopticLabels, truth: PanopticLabels, classes: ClassTable
) -> PanopticScores:
    """Score one scan in memory by the rules and the min_points of its benchmark.

    Raises:
        InputError: the labels differ in length or have classes that the table lacks.
    """
    quality = PanopticQuality(classes.num_classes, classes.things, min_points=classes.min_points)
    quality.update(predicted.semantic, predicted.instance, truth.semantic, truth.instance)
    return quality.compute()


def _mask(name: str, ids: Collection[int] | int | None, num_classes: int) -> BoolArray:
    ids = [] if ids is None else [ids] if isinstance(ids, int | np.integer) else list(ids)
    outside = [i for i in ids if not 0 <= i < num_classes]
    if outside:
        raise InputError(f"{name}: wanted class ids 0..{num_classes - 1}, got {outside}")
    mask = np.zeros(num_classes, np.bool_)
    mask[ids] = True
    return mask
