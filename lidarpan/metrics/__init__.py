"""Scores of predictions: count, sum, divide."""

from lidarpan.metrics.calibration import CalibrationError, CalibrationScores
from lidarpan.metrics.lstq import SegmentationTrackingQuality, SegmentationTrackingScores
from lidarpan.metrics.matching import SegmentMatches, match_segments
from lidarpan.metrics.panoptic import PanopticQuality, PanopticScores, score_labels
from lidarpan.metrics.tracking import TrackingQuality, TrackingScores

__all__ = [
    "CalibrationError",
    "CalibrationScores",
    "PanopticQuality",
    "PanopticScores",
    "SegmentMatches",
    "SegmentationTrackingQuality",
    "SegmentationTrackingScores",
    "TrackingQuality",
    "TrackingScores",
    "match_segments",
    "score_labels",
]
