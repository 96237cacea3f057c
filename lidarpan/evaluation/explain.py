"""An evaluation -> why its score is what it is: errors by kind, range and size, and oracles."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lidarpan.datasets.packed_labels import PackedLabels
from lidarpan.evaluation import Evaluation, ScanScore, new_quality
from lidarpan.evaluation.files import read_pair, read_xy
from lidarpan.metrics import PanopticQuality, PanopticScores, SegmentMatches
from lidarpan.metrics.boundary import BoundaryCounts, count_boundaries
from lidarpan.metrics.errors import (
    KINDS,
    POINT_KINDS,
    SegmentErrors,
    classify_errors,
    point_errors,
)

RINGS_M = (0.0, 10.0, 20.0, 30.0, 40.0, 50.0, math.inf)
"""Borders of the range rings, metres from the sensor, seen from above."""

SIZES = (1, 50, 100, 200, 500, 1000, 5000, math.inf)
"""Borders of the classes of instance size, points."""

ORACLES = {
    "as predicted": "predicted semantics and predicted instances",
    "true semantics": "true semantics, predicted instances",
    "true instances": "predicted semantics, true instances",
}


@dataclass(frozen=True)
class Mended:
    """One kind of error.

    Attributes:
        kind: one of metrics.errors.KINDS.
        fn: (C,) true segments without a match of this kind.
        fp: (C,) predicted ones.
        pq: PQ if these true segments were matched perfectly and these predictions not made.
    """

    kind: str
    fn: NDArray[np.int64]
    fp: NDArray[np.int64]
    pq: float


@dataclass(frozen=True)
class SizeScore:
    """Things of one range of sizes; matches and misses by true size, inventions by their own.

    Attributes:
        low: smallest number of points.
        high: number of points that is too large.
        tp: matches; fn and fp likewise.
        pq: over all thing classes taken as one.
    """

    low: float
    high: float
    tp: int
    fn: int
    fp: int
    pq: float


@dataclass(frozen=True)
class Explanation:
    """Where the points of PQ are lost.

    Attributes:
        evaluation: what is explained.
        mended: each kind of error.
        rings: (from, to) metres -> scores of the points there alone, means over the classes with
            true points there; empty without scan files.
        sizes: things by size.
        oracles: PQ and so on with one half of the labels true.
        boundary: border cells seen from above; without scan files all 0.
        point_errors: (7,) int64 points of each of metrics.errors.POINT_KINDS.
        num_located: scans whose scan file was read.
    """

    evaluation: Evaluation
    mended: tuple[Mended, ...]
    rings: dict[tuple[float, float], PanopticScores]
    sizes: tuple[SizeScore, ...]
    oracles: dict[str, PanopticScores]
    boundary: BoundaryCounts
    point_errors: NDArray[np.int64]
    num_located: int


@dataclass(frozen=True)
class _Parts:
    """Sums over scans."""

    errors: SegmentErrors
    rings: tuple[PanopticQuality, ...]
    oracles: tuple[PanopticQuality, ...]
    sizes: NDArray[np.float64]
    boundary: BoundaryCounts
    point_errors: NDArray[np.int64]
    num_located: int

    def merge(self, other: _Parts) -> _Parts:
        qualities = (*self.rings, *self.oracles)
        for own, theirs in zip(qualities, (*other.rings, *other.oracles), strict=True):
            own.merge(theirs)
        return replace(
            self,
            errors=self.errors + other.errors,
            sizes=self.sizes + other.sizes,
            boundary=self.boundary + other.boundary,
            point_errors=self.point_errors + other.point_errors,
            num_located=self.num_located + other.num_located,
        )


def explain(evaluation: Evaluation, *, num_threads: int | None = None) -> Explanation:
    """Read the label files again, and the scan files where they exist, and take the score apart.

    Raises:
        InputError: a file has been damaged since.
    """
    rules, classes = evaluation.protocol, evaluation.classes

    with ThreadPoolExecutor(num_threads or os.cpu_count()) as threads:
        parts = list(threads.map(lambda scan: _explain_scan(evaluation, scan), evaluation.scans))
    total = parts[0]
    for part in parts[1:]:
        total = total.merge(part)
    mended = []
    for k, kind in enumerate(KINDS):
        fn, fp = total.errors.fn[k], total.errors.fp[k]
        quality = new_quality(classes, rules)
        quality.tp += evaluation.scores.tp + fn
        quality.iou_sum += evaluation.scores.iou_sum + fn
        quality.fn += evaluation.scores.fn - fn
        quality.fp += evaluation.scores.fp - fp
        quality.confusion += evaluation.scores.confusion
        mended.append(Mended(kind, fn, fp, quality.compute(rules.mean).pq))
    rings = {
        ring: quality.compute("present")
        for ring, quality in zip(pairwise(RINGS_M), total.rings, strict=True)
        if quality.confusion[:, 1:].any()
    }
    oracles = (evaluation.scores, *(quality.compute(rules.mean) for quality in total.oracles))
    return Explanation(
        evaluation,
        tuple(mended),
        rings,
        _size_scores(total.sizes),
        dict(zip(ORACLES, oracles, strict=True)),
        total.boundary,
        total.point_errors,
        total.num_located,
    )


def _explain_scan(evaluation: Evaluation, scan: ScanScore) -> _Parts:
    rules, classes = evaluation.protocol, evaluation.classes
    predicted, true = read_pair(scan.files)
    pred_ids, true_ids = predicted.ids(rules.name), true.ids(rules.name)

    both = (predicted.semantic, pred_ids, true.semantic, true_ids)
    matches = new_quality(classes, rules).update(*both)
    errors = classify_errors(*both, num_classes=classes.num_classes, min_points=rules.min_points)
    true_semantics, true_instances = new_quality(classes, rules), new_quality(classes, rules)
    is_thing = classes.is_thing
    grouping = np.where(is_thing[true.semantic], pred_ids, true_ids)
    true_semantics.update(true.semantic, grouping, true.semantic, true_ids)
    grouping = np.where(is_thing[predicted.semantic], true_ids, pred_ids)
    true_instances.update(predicted.semantic, grouping, true.semantic, true_ids)
    points = read_xy(scan.files, scan.num_points)
    rings = tuple(new_quality(classes, rules) for _ in RINGS_M[1:])
    boundary = BoundaryCounts()
    if points is not None:
        ring = np.digitize(np.hypot(points[:, 0], points[:, 1]), RINGS_M[1:-1])
        for r, own in enumerate(rings):
            at = ring == r
            own.update(*(part[at] for part in both))
        boundary = _boundary(points, predicted, true, pred_ids, true_ids)
    sizes = _sizes(matches, is_thing, rules.min_points)
    oracles = (true_semantics, true_instances)
    kinds = point_errors(predicted.labels(is_thing), true.labels(is_thing), classes)
    counts = np.bincount(kinds, minlength=len(POINT_KINDS)).astype(np.int64)
    return _Parts(errors, rings, oracles, sizes, boundary, counts, int(points is not None))


def _boundary(
    points: NDArray[np.float32],
    predicted: PackedLabels,
    true: PackedLabels,
    pred_ids: NDArray[np.int64],
    true_ids: NDArray[np.int64],
) -> BoundaryCounts:
    pred_segment = predicted.semantic + 256 * pred_ids
    true_segment = true.semantic + 256 * true_ids
    return count_boundaries(points, pred_segment, true_segment, true.semantic > 0)


def _sizes(
    matches: SegmentMatches, is_thing: NDArray[np.bool_], min_points: int
) -> NDArray[np.float64]:
    """(S, 4) tp, fn, fp and sum of IoU of the things in each class of size."""
    matched = matches.true[matches.pair[matches.is_match, 1]]
    groups = (
        (matched, np.ones(len(matched))),
        (matches.true[matches.missed(min_points)], None),
        (matches.pred[matches.invented(min_points)], None),
        (matched, matches.iou[matches.is_match]),
    )
    columns = []
    for segments, weight in groups:
        thing = is_thing[segments[:, 0]]
        size = np.digitize(segments[thing, 2], SIZES[1:-1])
        weight = None if weight is None else weight[thing]
        columns.append(np.bincount(size, weight, minlength=len(SIZES) - 1))
    return np.stack(columns, axis=1).astype(np.float64)


def _size_scores(sums: NDArray[np.float64]) -> tuple[SizeScore, ...]:
    scores = []
    for low, high, (tp, fn, fp, iou_sum) in zip(SIZES[:-1], SIZES[1:], sums, strict=True):
        errors = tp + 0.5 * fp + 0.5 * fn
        pq = float(iou_sum / errors) if errors else math.nan
        scores.append(SizeScore(low, high, int(tp), int(fn), int(fp), pq))
    return tuple(scores)
