"""Scores of predictions: count, sum, divide."""

from lidarpan.metrics.matching import SegmentMatches, match_segments
from lidarpan.metrics.panoptic import PanopticQuality, PanopticScores, score_labels

__all__ = [
    "PanopticQuality",
    "PanopticScores",
    "SegmentMatches",
    "match_segments",
    "score_labels",
]
