"""Matches over time -> PAT, TQ, PTQ, LSTQ and the like, as nuScenes defines them, IDF1 and TPQ."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from lidarpan.metrics.matching import (
    MATCH_IOU,
    LabelArray,
    ScoreArray,
    SegmentMatches,
    mean_of,
    overlap_ids,
)
from lidarpan.metrics.tubes import NO_INSTANCE, SequenceQuality, Track, Tubes, track_of
from lidarpan.structures import BoolArray


@dataclass(frozen=True)
class TrackingScores:
    """Fractions; C classes. Means over no class or no track are nan.

    Attributes:
        pat: harmonic mean of PQ and TQ (Fong et al., Panoptic nuScenes, RA-L 2022).
        tq: tracking quality: mean over the true tracks of sqrt(association * kept identities).
        pq: panoptic quality, mean over all classes.
        ptq: PQ with 1 taken off for each identity switch, mean over the classes with true segments.
        sptq: likewise, with the IoU of the switched match taken off.
        tpq: PQ whose matches lose their IoU when the identity differs from the track's last one,
            however long ago, mean over the classes with true segments.
        lstq: sqrt(s_assoc * s_cls) (Aygün et al., 4D Panoptic LiDAR Segmentation, CVPR 2021).
        s_assoc: association of points with tracks over time.
        s_cls: mIoU over all classes.
        motsa: things: (TP - FP - switches) / (TP + FN), mean over classes with true segments.
        smotsa: likewise with the sum of IoU for TP.
        motsp: things: mean IoU of matches, mean over classes with true segments.
        idf1: F1 of detections under the best assignment of tracks (Ristani et al., ECCVW 2016).
        class_ptq: (C,); likewise class_sptq and class_tpq.
        switches: (C,) identity switches from one scan to the next.
    """

    pat: float
    tq: float
    pq: float
    ptq: float
    sptq: float
    tpq: float
    lstq: float
    s_assoc: float
    s_cls: float
    motsa: float
    smotsa: float
    motsp: float
    idf1: float
    class_ptq: ScoreArray
    class_sptq: ScoreArray
    class_tpq: ScoreArray
    switches: ScoreArray


class TrackingQuality(SequenceQuality[Tubes]):
    """Accumulates the scans of sequences, in order, and gives their tracking scores.

    The rules are those of nuscenes-devkit's tracking evaluator: an object of the truth keeps its
    class and id over a sequence, a predicted one its id; points of void truth are taken out;
    tracks count a scan where they have more than min_points points, PQ from min_points on.

    Args:
        num_classes: C, ignored ones included.
        things: ids of the thing classes.
        ignore: ids of the ignored classes, one id, or None.
        min_points: the benchmark's.
    """

    _seen = Tubes

    def __init__(
        self,
        num_classes: int,
        things: Collection[int],
        ignore: Collection[int] | int | None = (0,),
        *,
        min_points: int,
    ) -> None:
        super().__init__(num_classes, things, ignore, min_points=min_points)
        self.switches = np.zeros(num_classes)
        self.soft_switches = np.zeros(num_classes)
        self.lost_iou = np.zeros(num_classes)
        self.num_pred = 0
        self.num_true = 0

    def update(
        self,
        sequence: str,
        pred_semantic: LabelArray,
        pred_instance: LabelArray,
        true_semantic: LabelArray,
        true_instance: LabelArray,
    ) -> None:
        """Add the next scan of a sequence: arrays as `PanopticQuality.update` takes them.

        Raises:
            InputError: as there.
        """
        matches = self.quality.update(pred_semantic, pred_instance, true_semantic, true_instance)
        seen = self._sequences[sequence]
        self._add_identities(seen, matches)
        pred, true, pair = overlap_ids(pred_instance, true_semantic, true_instance, matches.ignored)
        is_tracked = self.quality.is_thing[true[:, 0]] & (true[:, 2] > self.quality.min_points)
        self._add_tubes(seen, matches, pred, true, pair, is_tracked)
        iou = pair[:, 2] / (pred[pair[:, 0], 1] + true[pair[:, 1], 2] - pair[:, 2])
        partner = np.full(len(true), NO_INSTANCE)
        matched = iou > MATCH_IOU
        partner[pair[matched, 1]] = pred[pair[matched, 0], 0]
        for row in np.flatnonzero(is_tracked):
            seen.partners.setdefault(track_of(true[row]), []).append(int(partner[row]))
        for pred_id, num_points in pred.tolist():
            if num_points > self.quality.min_points:
                seen.num_scans_of[pred_id] += 1

    def merge(self, other: TrackingQuality) -> None:
        """As `SequenceQuality.merge`."""
        super().merge(other)
        self.switches += other.switches
        self.soft_switches += other.soft_switches
        self.lost_iou += other.lost_iou
        self.num_pred += other.num_pred
        self.num_true += other.num_true

    def compute(self) -> TrackingScores:
        """Divide the sums."""
        quality = self.quality
        scores = quality.compute()
        tp, fp, fn, iou = quality.tp, quality.fp, quality.fn, quality.iou_sum
        errors = np.maximum(tp + 0.5 * fp + 0.5 * fn, 0.5)
        has_truth = (tp + fn > 0) & ~quality.ignored
        has_things = has_truth & quality.is_thing
        class_ptq = (iou - self.switches) / errors
        class_sptq = (iou - self.soft_switches) / errors
        class_tpq = (iou - self.lost_iou) / errors
        true = np.maximum(tp + fn, 1)
        tq = mean_of([score for seen in self._sequences.values() for score in seen.track_scores()])
        s_assoc = mean_of([a for seen in self._sequences.values() for a in seen.associations()])
        return TrackingScores(
            pat=2 * scores.pq * tq / (scores.pq + tq) if scores.pq + tq else 0.0,
            tq=tq,
            pq=scores.pq,
            ptq=mean_of(class_ptq[has_truth]),
            sptq=mean_of(class_sptq[has_truth]),
            tpq=mean_of(class_tpq[has_truth]),
            lstq=math.sqrt(s_assoc * scores.miou) if s_assoc == s_assoc else s_assoc,
            s_assoc=s_assoc,
            s_cls=scores.miou,
            motsa=mean_of(((tp - fp - self.switches) / true)[has_things]),
            smotsa=mean_of(((iou - fp - self.switches) / true)[has_things]),
            motsp=mean_of((iou / np.maximum(tp, 1))[has_things]),
            idf1=self._idf1(),
            class_ptq=class_ptq,
            class_sptq=class_sptq,
            class_tpq=class_tpq,
            switches=self.switches.copy(),
        )

    def _add_identities(self, seen: Tubes, matches: SegmentMatches) -> None:
        """Count switches against the scan before, and against the id last matched."""
        now: dict[Track, int] = {}
        for p, t, iou in zip(
            *matches.pair[matches.is_match, :2].T, matches.iou[matches.is_match], strict=True
        ):
            track, pred_id = track_of(matches.true[t]), int(matches.pred[p, 1])
            if not self.quality.is_thing[track[0]]:
                continue
            now[track] = pred_id
            seen.met[track, (track[0], pred_id)] += 1
            if seen.last.get(track, pred_id) != pred_id:
                self.switches[track[0]] += 1
                self.soft_switches[track[0]] += iou
            if seen.known.get(track, pred_id) != pred_id:
                self.lost_iou[track[0]] += iou
        seen.last = now
        seen.known |= now
        self.num_true += self._num_detections(matches.true, matches.pair[matches.is_match, 1])
        self.num_pred += self._num_detections(matches.pred, matches.pair[matches.is_match, 0])

    def _num_detections(self, segments: LabelArray, matched: LabelArray) -> int:
        """Things that count: those with a match and those of at least min_points."""
        counts = segments[:, 2] >= max(self.quality.min_points, 1)
        counts[matched] = True
        return int((counts & self.quality.is_thing[segments[:, 0]]).sum())

    def _add_tubes(
        self,
        seen: Tubes,
        matches: SegmentMatches,
        pred: LabelArray,
        true: LabelArray,
        pair: LabelArray,
        is_tracked: BoolArray,
    ) -> None:
        """Sum the points of true and predicted tubes and of their intersections."""
        for class_id, pred_id, num_points in matches.pred.tolist():
            if self.quality.is_thing[class_id] and num_points > self.quality.min_points:
                seen.pred_points[pred_id] += num_points
        for row in true[is_tracked]:
            seen.true_points[track_of(row)] += int(row[2])
        for p, t, common in pair[is_tracked[pair[:, 1]]].tolist():
            seen.common_points[track_of(true[t]), int(pred[p, 0])] += common

    def _idf1(self) -> float:
        """Detections in both under the one-to-one assignment of tracks that keeps most of them."""
        kept = 0
        for seen in self._sequences.values():
            rows = {track: i for i, track in enumerate(dict.fromkeys(t for t, _ in seen.met))}
            columns = {track: i for i, track in enumerate(dict.fromkeys(p for _, p in seen.met))}
            table = np.zeros((len(rows), len(columns)))
            for (true_track, pred_track), count in seen.met.items():
                table[rows[true_track], columns[pred_track]] = count
            kept += int(table[linear_sum_assignment(table, maximize=True)].sum())
        total = self.num_true + self.num_pred
        return 2 * kept / total if total else math.nan
