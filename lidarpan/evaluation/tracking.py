"""An evaluation -> tracking scores of its sequences."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from lidarpan.classes import ClassTable
from lidarpan.datasets.packed_labels import PackedLabels
from lidarpan.evaluation import Evaluation, ScanScore
from lidarpan.evaluation.files import read_pair
from lidarpan.evaluation.report import fixed, or_null
from lidarpan.metrics import (
    SegmentationTrackingQuality,
    SegmentationTrackingScores,
    TrackingQuality,
    TrackingScores,
)

MEANS = {
    "pat": "PAT",
    "tq": "TQ",
    "pq": "PQ",
    "ptq": "PTQ",
    "sptq": "soft PTQ",
    "tpq": "TPQ",
    "lstq": "LSTQ",
    "s_assoc": "S_assoc",
    "s_cls": "S_cls",
    "motsa": "MOTSA",
    "smotsa": "sMOTSA",
    "motsp": "MOTSP",
    "idf1": "IDF1",
}
"""Scores of a TrackingScores and how they are called."""

MEANS_4D = {
    "lstq": "LSTQ",
    "s_assoc": "S_assoc",
    "s_cls": "S_cls",
    "assoc_precision": "precision of S_assoc",
    "assoc_recall": "recall of S_assoc",
    "iou_things": "IoU of things",
    "iou_stuff": "IoU of stuff",
}
"""Scores of a SegmentationTrackingScores and how they are called."""


def evaluate_tracking(evaluation: Evaluation, *, num_threads: int | None = None) -> TrackingScores:
    """Read the label files again and follow the objects of each sequence, scan by scan.

    Instance ids must stay over a sequence, in the truth and in the predictions. The rules are those
    of nuscenes-devkit with the whole label as id; `metrics.tracking` says what each score is.

    Raises:
        InputError: a file has been damaged since.
    """
    return _follow(evaluation, TrackingQuality, attrgetter("packed"), num_threads).compute()


def evaluate_lstq(
    evaluation: Evaluation, *, num_threads: int | None = None
) -> SegmentationTrackingScores:
    """Read the label files again and give LSTQ as 4D panoptic SemanticKITTI defines it.

    Instance ids must stay over a sequence, in the truth and in the predictions. The rules are those
    of 4D-PLS' evaluator with the instance part of a label as id, whatever the protocol is.

    Raises:
        InputError: a file has been damaged since.
    """
    ids = attrgetter("instance")
    return _follow(evaluation, SegmentationTrackingQuality, ids, num_threads).compute()


Quality = TypeVar("Quality", TrackingQuality, SegmentationTrackingQuality)


def _follow(
    evaluation: Evaluation,
    kind: type[Quality],
    ids: Callable[[PackedLabels], NDArray[np.int64]],
    num_threads: int | None,
) -> Quality:
    """All sequences in one accumulator; `ids` of labels tell objects apart."""
    classes, min_points = evaluation.classes, evaluation.protocol.min_points
    sequences: dict[str, list[ScanScore]] = {}
    for scan in evaluation.scans:
        sequences.setdefault(scan.files.sequence, []).append(scan)

    def follow(scans: list[ScanScore]) -> Quality:
        quality = kind(classes.num_classes, classes.things, min_points=min_points)
        for scan in scans:
            predicted, true = read_pair(scan.files)
            labels = (predicted.semantic, ids(predicted), true.semantic, ids(true))
            quality.update(scan.files.sequence, *labels)
        return quality

    total = follow([])
    with ThreadPoolExecutor(num_threads or os.cpu_count()) as threads:
        for part in threads.map(follow, sequences.values()):
            total.merge(part)
    return total


def tracking_json(scores: TrackingScores, classes: ClassTable) -> dict[str, Any]:
    """The scores as plain values: fractions, null for a mean over nothing."""
    result: dict[str, Any] = {"rules": "nuscenes-devkit", **_means_json(scores, MEANS)}
    result["switches"] = int(scores.switches.sum())
    result["classes"] = {
        classes.names[c]: {
            "ptq": float(scores.class_ptq[c]),
            "sptq": float(scores.class_sptq[c]),
            "tpq": float(scores.class_tpq[c]),
            "switches": int(scores.switches[c]),
        }
        for c in (*classes.things, *classes.stuff)
    }
    return result


def lstq_json(scores: SegmentationTrackingScores, classes: ClassTable) -> dict[str, Any]:
    """The scores as plain values: fractions, null for a mean over nothing."""
    result: dict[str, Any] = {"rules": "4D-PLS", **_means_json(scores, MEANS_4D)}
    result["classes"] = {
        classes.names[c]: {
            "s_assoc": float(scores.class_assoc[c]),
            "iou": float(scores.class_iou[c]),
            "tubes": int(scores.num_tubes[c]),
        }
        for c in (*classes.things, *classes.stuff)
    }
    return result


def format_tracking(scores: TrackingScores) -> Table:
    """The means, for a rich console."""
    table = _means_table("Tracking, rules of nuscenes-devkit", scores, MEANS)
    table.add_row("identity switches", f"{int(scores.switches.sum()):,}")
    return table


def format_lstq(scores: SegmentationTrackingScores) -> Table:
    """The means, for a rich console."""
    return _means_table("Tracking, rules of 4D-PLS", scores, MEANS_4D)


def _means_json(
    scores: TrackingScores | SegmentationTrackingScores, names: dict[str, str]
) -> dict[str, float | None]:
    return {name: or_null(getattr(scores, name)) for name in names}


def _means_table(
    title: str, scores: TrackingScores | SegmentationTrackingScores, names: dict[str, str]
) -> Table:
    table = Table(title=title, caption="fractions")
    table.add_column("score")
    table.add_column("value", justify="right")
    for name, words in names.items():
        table.add_row(words, fixed(getattr(scores, name)))
    return table
