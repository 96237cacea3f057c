"""An evaluation of predictions with scores -> how far their confidences can be trusted."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.console import Group
from rich.table import Table

from lidarpan.classes import ClassTable
from lidarpan.evaluation import Evaluation, ScanScore
from lidarpan.evaluation.files import raise_faults, read_pair
from lidarpan.evaluation.report import fixed, or_null
from lidarpan.metrics import CalibrationError, CalibrationScores, match_segments
from lidarpan.metrics.calibration import scored_instances
from lidarpan.structures import InputError


def evaluate_calibration(
    evaluation: Evaluation, *, num_bins: int = 10, num_threads: int | None = None
) -> CalibrationScores:
    """Read the label files again and compare the confidence of instances with how they match.

    Args:
        evaluation: of predictions that `lidarpan predict --format npz` wrote.
        num_bins: bins of confidence, of equal width.
        num_threads: None takes all cores.

    Raises:
        InputError: a prediction carries no scores, or has been damaged since; all are listed.
    """
    total = CalibrationError(evaluation.classes.num_classes, num_bins)
    faults = []

    def scored(scan: ScanScore) -> CalibrationError | str:
        return _score(evaluation, scan, num_bins)

    with ThreadPoolExecutor(num_threads or os.cpu_count()) as threads:
        for part in threads.map(scored, evaluation.scans):
            if isinstance(part, str):
                faults.append(part)
            else:
                total.merge(part)
    raise_faults(faults, "predictions with a score per instance: lidarpan predict --format npz")
    return total.compute()


def calibration_json(scores: CalibrationScores, classes: ClassTable) -> dict[str, Any]:
    """The scores as plain values: fractions, null for a mean over nothing."""
    return {
        "ece": or_null(scores.ece),
        "ece_iou": or_null(scores.ece_iou),
        "instances": int(scores.class_count.sum()),
        "classes": {
            classes.names[c]: {
                "ece": or_null(scores.class_ece[c]),
                "ece_iou": or_null(scores.class_ece_iou[c]),
                "instances": int(scores.class_count[c]),
            }
            for c in classes.things
        },
        "bins": [
            {
                "from": float(scores.bin_edge[b]),
                "to": float(scores.bin_edge[b + 1]),
                "instances": int(scores.bin_count[b]),
                "confidence": or_null(scores.bin_confidence[b]),
                "precision": or_null(scores.bin_precision[b]),
                "iou": or_null(scores.bin_iou[b]),
            }
            for b in range(len(scores.bin_count))
        ],
    }


def format_calibration(scores: CalibrationScores, classes: ClassTable) -> Group:
    """The errors by class and the bins of confidence, for a rich console."""
    errors = Table(title="Calibration of instances", caption="fractions; ECE IoU: of matches")
    bins = Table(title="Reliability", caption="what was found beside what was said")
    for table, columns in (
        (errors, ("class", "ECE", "ECE IoU", "instances")),
        (bins, ("confidence", "mean", "precision", "IoU", "instances")),
    ):
        for column in columns:
            table.add_column(column, justify="left" if column == columns[0] else "right")
    for c in classes.things:
        values = (fixed(scores.class_ece[c]), fixed(scores.class_ece_iou[c]))
        errors.add_row(classes.names[c], *values, f"{scores.class_count[c]:,}")
    errors.add_section()
    count = f"{scores.class_count.sum():,}"
    errors.add_row("all", fixed(scores.ece), fixed(scores.ece_iou), count)
    for b, count in enumerate(scores.bin_count):
        edges = f"{scores.bin_edge[b]:.2f} .. {scores.bin_edge[b + 1]:.2f}"
        means = (scores.bin_confidence[b], scores.bin_precision[b], scores.bin_iou[b])
        bins.add_row(edges, *(fixed(mean) for mean in means), f"{count:,}")
    return Group(errors, bins)


def _score(evaluation: Evaluation, scan: ScanScore, num_bins: int) -> CalibrationError | str:
    """The predictions of one scan, or what is wrong with its file."""
    classes = evaluation.classes
    try:
        predicted, true = read_pair(scan.files)
    except InputError as error:
        return str(error)
    if predicted.score is None:
        return f"{scan.files.prediction}: it carries no scores"
    matches = match_segments(
        predicted.semantic,
        predicted.instance,
        true.semantic,
        true.ids(evaluation.protocol.name),
        num_classes=classes.num_classes,
    )
    calibration = CalibrationError(classes.num_classes, num_bins)
    min_points = evaluation.protocol.min_points
    calibration.update(*scored_instances(matches, predicted.score, classes.is_thing, min_points))
    return calibration
