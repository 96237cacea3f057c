"""An evaluation -> a table on the terminal, JSON, a CSV row per scan, errors in words."""

from __future__ import annotations

import csv
import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group
from rich.table import Table

from lidarpan.evaluation.files import read_pair, read_xy
from lidarpan.whole_file import whole_text, write_text

if TYPE_CHECKING:
    from lidarpan.evaluation import Evaluation, ScanScore

_MEANS = ("pq", "sq", "rq", "pq_dagger", "miou")
_PARTS = tuple(f"{score}_{part}" for part in ("things", "stuff") for score in ("pq", "sq", "rq"))
SCAN_COUNTS = ("tp", "fp", "fn", "iou_sum", "points_right", "points_predicted", "points_true")
CSV_COLUMNS = ("name", "pq", "sq", "rq", "miou", "num_points", "tp", "fp", "fn", "worst_error")
CSV_EXTRA = ("pq_present", "miou_present")


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """The scores as plain values: fractions in [0, 1], null for a mean over no class.

    "scans" lists, for each scan, by class that it has or predicts, the SCAN_COUNTS.
    """
    scores, classes = evaluation.scores, evaluation.classes
    result: dict[str, Any] = {
        "dataset": evaluation.dataset,
        "split": evaluation.split,
        "num_scans": len(evaluation.scans),
        "protocol": {
            "name": evaluation.protocol.name,
            "min_points": evaluation.protocol.min_points,
            "mean": evaluation.protocol.mean,
        },
    }
    result |= {name: or_null(getattr(scores, name)) for name in (*_MEANS, *_PARTS, "accuracy")}
    result["classes"] = {
        classes.names[c]: {
            "pq": float(scores.class_pq[c]),
            "sq": float(scores.class_sq[c]),
            "rq": float(scores.class_rq[c]),
            "iou": float(scores.class_iou[c]),
            "tp": int(scores.tp[c]),
            "fp": int(scores.fp[c]),
            "fn": int(scores.fn[c]),
        }
        for c in (*classes.things, *classes.stuff)
    }
    result["scan_counts"] = list(SCAN_COUNTS)
    result["scans"] = {
        scan.files.name: {
            classes.names[c]: [int(n) if n == int(n) else float(n) for n in scan.counts[c]]
            for c in np.flatnonzero(scan.counts.any(axis=1))
            if c
        }
        for scan in evaluation.scans
    }
    return result


def write_json(
    evaluation: Evaluation, path: str | Path, extra: dict[str, Any] | None = None
) -> None:
    """Write the scores as JSON, whole or not at all.

    Args:
        evaluation: the scores.
        path: file to write.
        extra: more entries, such as "explanation" and "tracking" with their plain values.

    Raises:
        InputError: the file cannot be written.
    """
    result = to_json(evaluation)
    result |= extra or {}
    scans = result.pop("scans")
    rows = ",\n".join(f"    {json.dumps(name)}: {json.dumps(row)}" for name, row in scans.items())
    text = json.dumps(result, indent=2, allow_nan=False)
    write_text(Path(path), f'{text[:-2]},\n  "scans": {{\n{rows}\n  }}\n}}\n')


def write_csv(evaluation: Evaluation, path: str | Path) -> None:
    """Write a row per scan: CSV_COLUMNS and the means over the classes present in it.

    The worst error is given with its distance where the scan files are beside the labels.

    Raises:
        InputError: the file cannot be written.
    """
    with ThreadPoolExecutor() as threads:
        worst = list(threads.map(lambda scan: describe_worst(evaluation, scan), evaluation.scans))
    with whole_text(Path(path)) as stream:
        writer = csv.writer(stream)
        writer.writerow((*CSV_COLUMNS, *CSV_EXTRA))
        for scan, words in zip(evaluation.scans, worst, strict=True):
            own = scan.scores
            counts = (int(own.tp.sum()), int(own.fp.sum()), int(own.fn.sum()))
            means = (own.pq, own.sq, own.rq, own.miou)
            present = (scan.present.pq, scan.present.miou)
            writer.writerow((scan.files.name, *means, scan.num_points, *counts, words, *present))


def describe_worst(evaluation: Evaluation, scan: ScanScore) -> str:
    """The largest error of a scan in words: "car 12 missed, 214 points, at 31 m".

    The distance is that of the segment's mean point from the sensor, seen from above; it is left
    out where there is no whole scan file.
    """
    worst = scan.worst
    if worst is None:
        return "none"
    name = evaluation.classes.names[worst.class_id]
    number = f" {worst.instance}" if worst.instance else ""
    range_m = _range_of_worst(evaluation, scan)
    place = "" if range_m is None else f", at {range_m:.0f} m"
    return f"{name}{number} {worst.kind}, {worst.num_points} points{place}"


def format_table(evaluation: Evaluation, num_worst: int = 5) -> Group:
    """The scores by class, their means, and the worst scans, for a rich console."""
    return Group(_score_table(evaluation), _worst_table(evaluation, num_worst))


def _score_table(evaluation: Evaluation) -> Table:
    scores, rules = evaluation.scores, evaluation.protocol
    table = Table(
        title=f"{evaluation.dataset} {evaluation.split}, {len(evaluation.scans)} scans",
        caption=f"fractions; - no point, counts 0; protocol {rules.name}, "
        f"min_points {rules.min_points}, means over {rules.mean} classes",
    )
    for column in ("class", "PQ", "SQ", "RQ", "IoU", "TP", "FP", "FN"):
        table.add_column(column, justify="left" if column == "class" else "right")
    fractions = (scores.class_pq, scores.class_sq, scores.class_rq, scores.class_iou)
    for group in (evaluation.classes.things, evaluation.classes.stuff):
        for c in group:
            counts = (f"{array[c]:,}" for array in (scores.tp, scores.fp, scores.fn))
            absent = not (scores.confusion[c].any() or scores.confusion[:, c].any())
            row = ("-" if absent else f"{array[c]:.4f}" for array in fractions)
            table.add_row(evaluation.classes.names[c], *row, *counts)
        table.add_section()
    for name, suffix in (("all", ""), ("things", "_things"), ("stuff", "_stuff")):
        means = [f"{getattr(scores, f'{score}{suffix}'):.4f}" for score in ("pq", "sq", "rq")]
        table.add_row(name, *means, "" if suffix else f"{scores.miou:.4f}")
    table.add_row("PQ†", f"{scores.pq_dagger:.4f}")
    table.add_row("accuracy", "", "", "", f"{scores.accuracy:.4f}")
    return table


def worst_scans(evaluation: Evaluation, count: int) -> list[ScanScore]:
    """The scans with the lowest PQ over the classes present in each, lowest first."""
    known = [scan for scan in evaluation.scans if not math.isnan(scan.present.pq)]
    return sorted(known, key=lambda scan: (scan.present.pq, scan.files.name))[:count]


def _worst_table(evaluation: Evaluation, num_worst: int) -> Table:
    table = Table(title="Worst scans, over the classes present in each")
    for column in ("scan", "PQ", "mIoU", "worst error"):
        table.add_column(column, justify="right" if column in ("PQ", "mIoU") else "left")
    for scan in worst_scans(evaluation, num_worst):
        scores = (f"{scan.present.pq:.4f}", f"{scan.present.miou:.4f}")
        table.add_row(scan.files.name, *scores, describe_worst(evaluation, scan))
    return table


def _range_of_worst(evaluation: Evaluation, scan: ScanScore) -> float | None:
    """Distance of the worst segment's mean point, metres; reads the scan's three files."""
    worst = scan.worst
    points = None if worst is None else read_xy(scan.files, scan.num_points)
    if worst is None or points is None:
        return None
    predicted, true = read_pair(scan.files)
    labels = true if worst.kind == "missed" else predicted
    inside = (labels.semantic == worst.class_id) & (true.semantic > 0)
    inside &= labels.ids(evaluation.protocol.name) == worst.segment
    return float(np.hypot(*points[inside].mean(axis=0, dtype=np.float64)))


def or_null(value: float) -> float | None:
    """A number for JSON, which has neither nan nor infinity."""
    return float(value) if math.isfinite(value) else None


def fixed(value: float) -> str:
    """A fraction with four digits; "-" where there is none."""
    return "-" if math.isnan(value) else f"{value:.4f}"
