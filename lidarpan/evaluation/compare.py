"""Two evaluations of the same scans -> which is better, how surely, and on which scans."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table

from lidarpan.evaluation.report import SCAN_COUNTS
from lidarpan.structures import InputError
from lidarpan.text_trees import read_json_tree

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """One score of both runs, fractions in [0, 1].

    Attributes:
        name: "PQ", "mIoU" or "PQ of car" and "IoU of car".
        a: of the first run.
        b: of the second run.
        low: lower end of the 95 % interval of b - a.
        high: its upper end.
    """

    name: str
    a: float
    b: float
    low: float
    high: float

    @property
    def change(self) -> float:
        """The second minus the first: above 0 where the second run is better."""
        return self.b - self.a

    @property
    def is_sure(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Comparison:
    """How run B differs from run A.

    Attributes:
        num_scans: scans of both.
        differences: PQ and mIoU first, then each class with points in either run.
        scans: (name, change of PQ over the classes present), worst change first.
        tolerance: largest drop of PQ or mIoU that is accepted.
    """

    num_scans: int
    differences: tuple[Difference, ...]
    scans: tuple[tuple[str, float], ...]
    tolerance: float

    @property
    def is_worse(self) -> bool:
        """Whether PQ or mIoU drop by more than the tolerance."""
        return any(score.change < -self.tolerance for score in self.differences[:2])


def compare_files(
    a: str | Path,
    b: str | Path,
    *,
    tolerance: float = 0.0,
    num_samples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare two files of `lidarpan evaluate --json` over the same scans.

    The intervals are percentiles of a paired bootstrap over scans (Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapter 13): both runs are scored on the same scans, drawn
    with replacement.

    Args:
        a: scores of the first run.
        b: scores of the second run.
        tolerance: largest drop of PQ or mIoU, as a fraction, that is accepted.
        num_samples: bootstrap samples.
        seed: of the draw.

    Raises:
        InputError: a file is not such JSON, or the runs differ in scans, classes or protocol.
    """
    if not tolerance >= 0 or num_samples < 1:
        raise InputError(
            f"wanted a tolerance from 0 and samples from 1, got {tolerance} and {num_samples}"
        )
    first, second = _read(Path(a)), _read(Path(b))
    _check_same(first, second)
    classes, scans = list(first["classes"]), list(first["scans"])
    counts = np.stack([_counts(run, scans, classes) for run in (first, second)])
    over = np.ones(len(classes), np.bool_)
    if first["protocol"].get("mean") == "present":
        over = counts[0, ..., 6].sum(axis=0) > 0
    scores = _scores(counts.sum(axis=1), over)
    low, high = _interval(counts, over, num_samples, np.random.default_rng(seed))
    seen = counts[..., 4:].any(axis=(0, 1, 3))
    names = ["PQ", "mIoU"] + [f"{score} of {name}" for score in ("PQ", "IoU") for name in classes]
    shown = np.concatenate([[True, True], seen, seen])
    differences = tuple(
        Difference(
            names[i], float(scores[0, i]), float(scores[1, i]), float(low[i]), float(high[i])
        )
        for i in np.flatnonzero(shown)
    )
    changes = np.diff([_present_pq(run) for run in counts], axis=0)[0]
    order = np.argsort(changes, kind="stable")
    by_scan = tuple((scans[i], float(changes[i])) for i in order)
    return Comparison(len(scans), differences, by_scan, tolerance)


def format_comparison(comparison: Comparison, num_scans: int = 5) -> Group:
    """The differences, the scans that changed most, and the verdict, for a rich console."""
    table = Table(
        title=f"B against A, {comparison.num_scans} scans",
        caption="fractions; interval: 95 %, paired bootstrap over scans; * leaves out 0",
    )
    for column in ("score", "A", "B", "B - A", "interval", ""):
        table.add_column(column, justify="left" if column == "score" else "right")
    for i, score in enumerate(comparison.differences):
        interval = f"{score.low:+.4f} .. {score.high:+.4f}"
        values = (f"{score.a:.4f}", f"{score.b:.4f}", f"{score.change:+.4f}")
        table.add_row(score.name, *values, interval, "*" if score.is_sure else "")
        if i == 1:
            table.add_section()
    changed = Table(title="Scans that changed most (PQ over the classes present in each)")
    changed.add_column("worse in B")
    changed.add_column("better in B")
    worse = [f"{name} {change:+.4f}" for name, change in comparison.scans if change < 0]
    better = [f"{name} {change:+.4f}" for name, change in reversed(comparison.scans) if change > 0]
    for i in range(min(num_scans, max(len(worse), len(better)))):
        changed.add_row(*(rows[i] if i < len(rows) else "" for rows in (worse, better)))
    verdict = "worse" if comparison.is_worse else "not worse"
    return Group(table, changed, f"B is {verdict} than A (tolerance {comparison.tolerance:g})")


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such file: wanted scores of lidarpan evaluate --json")
    run = read_json_tree(path)
    wanted = ("dataset", "split", "protocol", "classes", "scans", "scan_counts")
    missing = [key for key in wanted if not isinstance(run, dict) or key not in run]
    maps = () if missing else (run["classes"], run["scans"], *run["scans"].values()) if (
        isinstance(run["scans"], dict)) else (None,)  # fmt: skip
    if not all(isinstance(part, dict) for part in maps):
        raise InputError(f"{path}: wanted scans and classes by name, got something else")
    if missing or run["scan_counts"] != list(SCAN_COUNTS) or not run["scans"]:
        raise InputError(
            f"{path}: wanted scores of lidarpan evaluate --json with its scans, got none of "
            f"{', '.join(missing) or 'the counts ' + ', '.join(SCAN_COUNTS)}"
        )
    scores: dict[str, Any] = run
    return scores


def _check_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    for key in ("dataset", "split"):
        if first[key] != second[key]:
            raise InputError(
                f"wanted two runs of one {key}, got {first[key]} and {second[key]}: "
                "evaluate both alike"
            )
    rules, others = first["protocol"], second["protocol"]
    if rules != others:
        differ = [k for k in {**rules, **others} if rules.get(k) != others.get(k)]
        one, two = (", ".join(f"{k} {r.get(k)}" for k in differ) for r in (rules, others))
        raise InputError(
            f"wanted two runs of one protocol, got {one} and {two}: evaluate both alike"
        )
    one_sided = sorted(set(first["scans"]) ^ set(second["scans"]))
    if one_sided or list(first["classes"]) != list(second["classes"]):
        raise InputError(
            f"wanted two runs of the same scans and classes, {len(one_sided)} scans are in one "
            f"alone: {', '.join(one_sided[:5])}"
        )


def _counts(run: dict[str, Any], scans: list[str], classes: list[str]) -> Array:
    """(S, C, 7) float64, SCAN_COUNTS of each class of each scan."""
    counts = np.zeros((len(scans), len(classes), len(SCAN_COUNTS)))
    position = {name: c for c, name in enumerate(classes)}
    for s, scan in enumerate(scans):
        for name, values in run["scans"][scan].items():
            if name not in position or not _are_counts(values):
                raise InputError(
                    f"scan {scan}: {name}: wanted {', '.join(SCAN_COUNTS)}, all finite, none below "
                    f"0, iou_sum at most tp and points_right at most the others, got {values}"
                )
            counts[s, position[name]] = values
    return counts


def _are_counts(values: Any) -> bool:
    """Whether these are SCAN_COUNTS of some scan and class."""
    if not isinstance(values, list) or len(values) != len(SCAN_COUNTS):
        return False
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return False
    if not all(0 <= v < 1e15 for v in values):  # NaN is neither
        return False
    tp, fp, fn, iou_sum, right, predicted, true = values
    whole = all(v == int(v) for v in (tp, fp, fn, right, predicted, true))
    return whole and iou_sum <= tp + 1e-6 and right <= min(predicted, true)


def _class_scores(counts: Array) -> tuple[Array, Array]:
    """PQ and IoU of each class. (..., C, 7) -> (..., C) twice; 0 / 0 is 0."""
    tp, fp, fn, iou_sum, right, predicted, true = np.moveaxis(counts, -1, 0)
    pq = iou_sum / np.maximum(tp + 0.5 * fp + 0.5 * fn, 0.5)
    iou = right / np.maximum(predicted + true - right, 1.0)
    return pq, iou


def _scores(counts: Array, over: NDArray[np.bool_]) -> Array:
    """PQ, mIoU, PQ by class, IoU by class. (..., C, 7) -> (..., 2 + 2 C)."""
    pq, iou = _class_scores(counts)
    means = np.stack([pq[..., over].mean(axis=-1), iou[..., over].mean(axis=-1)], axis=-1)
    return np.concatenate([means, pq, iou], axis=-1)


def _present_pq(counts: Array) -> Array:
    """PQ of each scan over the classes with true points in it. (S, C, 7) -> (S,)."""
    pq, _ = _class_scores(counts)
    present = counts[..., 6] > 0
    mean: Array = (pq * present).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    return mean


def _interval(
    counts: Array, over: NDArray[np.bool_], num_samples: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """95 % interval of B - A of each score. (2, S, C, 7) -> (2 + 2 C,) twice."""
    num_scans, num_classes = counts.shape[1:3]
    drawn = rng.multinomial(num_scans, np.full(num_scans, 1 / num_scans), num_samples)
    flat = counts.reshape(2, num_scans, -1)
    sums = (drawn.astype(np.float64) @ flat).reshape(2, num_samples, num_classes, -1)
    scores = _scores(sums, over)
    low, high = np.percentile(scores[1] - scores[0], [2.5, 97.5], axis=0)
    return low, high
