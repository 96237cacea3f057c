"""An evaluation -> tracking scores of its sequences."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from lidarpan.classes import ClassTable
from lidarpan.evaluation import Evaluation, ScanScore
from lidarpan.evaluation_files import read_pair
from lidarpan.metrics import TrackingQuality, TrackingScores

if TYPE_CHECKING:
    from rich.table import Table

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


def evaluate_tracking(evaluation: Evaluation, *, num_threads: int | None = None) -> TrackingScores:
    """Read the label files again and follow the objects of each sequence, scan by scan.

    Instance ids must stay over a sequence, in the truth and in the predictions. The rules are those
    of nuscenes-devkit with the whole label as id; `metrics.tracking` says what each score is.

    Raises:
        InputError: a file has been damaged since.
    """
    sequences: dict[str, list[ScanScore]] = {}
    for scan in evaluation.scans:
        sequences.setdefault(scan.files.sequence, []).append(scan)
    total = _new_quality(evaluation)
    with ThreadPoolExecutor(num_threads or os.cpu_count()) as threads:
        for part in threads.map(lambda scans: _track(evaluation, scans), sequences.values()):
            total.merge(part)
    return total.compute()


def tracking_json(scores: TrackingScores, classes: ClassTable) -> dict[str, Any]:
    """The scores as plain values: fractions, null for a mean over nothing."""
    values = {name: getattr(scores, name) for name in MEANS}
    result: dict[str, Any] = {k: None if math.isnan(v) else float(v) for k, v in values.items()}
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


def format_tracking(scores: TrackingScores) -> Table:
    """The means, for a rich console."""
    from rich.table import Table

    table = Table(title="Tracking", caption="fractions")
    table.add_column("score")
    table.add_column("value", justify="right")
    for name, title in MEANS.items():
        value = getattr(scores, name)
        table.add_row(title, "-" if math.isnan(value) else f"{value:.4f}")
    table.add_row("identity switches", f"{int(scores.switches.sum()):,}")
    return table


def _new_quality(evaluation: Evaluation) -> TrackingQuality:
    classes = evaluation.classes
    return TrackingQuality(
        classes.num_classes, classes.things, min_points=evaluation.protocol.min_points
    )


def _track(evaluation: Evaluation, scans: list[ScanScore]) -> TrackingQuality:
    quality = _new_quality(evaluation)
    for scan in scans:
        predicted, true = read_pair(scan.files, evaluation.classes)
        sequence = scan.files.sequence
        quality.update(sequence, predicted.semantic, predicted.packed, true.semantic, true.packed)
    return quality
