"""Sequences -> LSTQ, S_assoc and S_cls, as the evaluator of 4D panoptic SemanticKITTI has them."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from lidarpan.metrics.matching import CountArray, LabelArray, ScoreArray, mean_of, overlap_ids
from lidarpan.metrics.tubes import NO_INSTANCE, SequenceQuality, Track, track_of


@dataclass(frozen=True)
class SegmentationTrackingScores:
    """Fractions; C classes. A mean over nothing is nan.

    Attributes:
        lstq: sqrt(s_assoc * s_cls) (Aygün et al., 4D Panoptic LiDAR Segmentation, CVPR 2021).
        s_assoc: sum over the true tubes of their association, divided by the number of tubes of
            things.
        s_cls: IoU of the points, mean over the classes that are true or predicted anywhere.
        assoc_precision: share of a predicted tube that lies in a true one, mean over the pairs of
            tubes that meet; assoc_recall: likewise of a true tube.
        cls_precision: share of right points among those predicted, mean as that of s_cls;
            cls_recall: likewise among the true points.
        iou_things: IoU of the points, mean over all things; iou_stuff: likewise of stuff.
        class_assoc: (C,) association, mean over the true tubes of a class, 0 where it has none.
        class_iou: (C,) IoU of the points.
        num_tubes: (C,) int64 true tubes.
    """

    lstq: float
    s_assoc: float
    s_cls: float
    assoc_precision: float
    assoc_recall: float
    cls_precision: float
    cls_recall: float
    iou_things: float
    iou_stuff: float
    class_assoc: ScoreArray
    class_iou: ScoreArray
    num_tubes: CountArray


@dataclass
class _Points:
    """Points of the tubes of one sequence, and of where they meet."""

    true: dict[Track, int] = field(default_factory=lambda: defaultdict(int))
    pred: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    common: dict[tuple[Track, int], int] = field(default_factory=lambda: defaultdict(int))


class SegmentationTrackingQuality(SequenceQuality[_Points]):
    """Accumulates the scans of sequences and gives their LSTQ.

    The rules are those of 4D-PLS' evaluator: a tube is a class and an instance id of the truth, or
    an instance id alone of the prediction, over a whole sequence; id 0 is no object; points of void
    truth are taken out. A true tube has the points of those scans in which it has more than
    min_points; a predicted one has all its points that are not predicted as void.

    Args:
        num_classes: C, ignored ones included.
        things: ids of the thing classes.
        ignore: ids of the ignored classes, one id, or None.
        min_points: the benchmark's.
    """

    _seen = _Points

    def update(
        self,
        sequence: str,
        pred_semantic: LabelArray,
        pred_instance: LabelArray,
        true_semantic: LabelArray,
        true_instance: LabelArray,
    ) -> None:
        """Add a scan of a sequence: arrays as `PanopticQuality.update` takes them.

        Raises:
            InputError: as there.
        """
        matches = self.quality.update(pred_semantic, pred_instance, true_semantic, true_instance)
        points = self._sequences[sequence]
        for class_id, pred_id, num_points in matches.pred.tolist():
            if num_points and pred_id != NO_INSTANCE and not matches.ignored[class_id]:
                points.pred[pred_id] += num_points
        pred, true, pair = overlap_ids(pred_instance, true_semantic, true_instance, matches.ignored)
        counts = (true[:, 1] != NO_INSTANCE) & (true[:, 2] > self.quality.min_points)
        for row in true[counts]:
            points.true[track_of(row)] += int(row[2])
        for p, t, common in pair[counts[pair[:, 1]]].tolist():
            points.common[track_of(true[t]), int(pred[p, 0])] += common

    def compute(self) -> SegmentationTrackingScores:
        """Divide the sums."""
        quality = self.quality
        num_tubes = np.zeros(quality.num_classes, np.int64)
        class_sum = np.zeros(quality.num_classes)
        precision, recall = [], []
        for points in self._sequences.values():
            for (track, pred_id), common in points.common.items():
                if pred_id not in points.pred:
                    continue  # no object, or predicted as void everywhere
                num_true, num_pred = points.true[track], points.pred[pred_id]
                precision.append(common / num_pred)
                recall.append(common / num_true)
                union = num_true + num_pred - common
                class_sum[track[0]] += common / union * common / num_true
            for class_id, _ in points.true:
                num_tubes[class_id] += 1
        num_things = int(num_tubes[quality.is_thing].sum())
        s_assoc = float(class_sum.sum()) / num_things if num_things else math.nan
        iou, cls_precision, cls_recall, is_seen = self._points_right()
        s_cls = mean_of(iou[is_seen])
        return SegmentationTrackingScores(
            lstq=math.sqrt(s_assoc * s_cls),
            s_assoc=s_assoc,
            s_cls=s_cls,
            assoc_precision=mean_of(precision),
            assoc_recall=mean_of(recall),
            cls_precision=mean_of(cls_precision[is_seen]),
            cls_recall=mean_of(cls_recall[is_seen]),
            iou_things=mean_of(iou[quality.is_thing]),
            iou_stuff=mean_of(iou[~quality.is_thing & ~quality.ignored]),
            class_assoc=class_sum / np.maximum(num_tubes, 1),
            class_iou=iou,
            num_tubes=num_tubes,
        )

    def _points_right(self) -> tuple[ScoreArray, ScoreArray, ScoreArray, CountArray]:
        """IoU, precision and recall of the points by class, and the classes with any point.

        A void class has one as soon as a point of a true class is predicted so, and counts then.
        """
        confusion = self.quality.confusion * ~self.quality.ignored
        right, pred, true = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
        union = pred + true - right
        seen = np.flatnonzero(union)
        floor = np.maximum
        return right / floor(union, 1), right / floor(pred, 1), right / floor(true, 1), seen
