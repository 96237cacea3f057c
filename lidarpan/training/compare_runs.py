"""Run folders -> what was set otherwise, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group
from rich.table import Table

from lidarpan.checked_yaml import read_yaml
from lidarpan.structures import InputError
from lidarpan.training.metrics_file import read_metrics

CONFIG, METRICS = "config.yaml", "logs/metrics.csv"
_LAST = 20
"""Rows that a loss is averaged over."""


@dataclass(frozen=True)
class Run:
    """What a run folder tells.

    Attributes:
        path: of the folder.
        settings: the configuration, by key.path.
        curves: (step, value) rows of each metric, (K, 2).
    """

    path: Path
    settings: dict[str, Any]
    curves: dict[str, np.ndarray[Any, np.dtype[np.float64]]]

    @property
    def num_steps(self) -> int:
        """Last step that was logged."""
        return int(max((curve[-1, 0] + 1 for curve in self.curves.values()), default=0))

    def best(self, name: str) -> tuple[int, float] | None:
        """Step and value where a score was highest."""
        curve = self.curves.get(name)
        if curve is None:
            return None
        k = int(curve[:, 1].argmax())
        return int(curve[k, 0]) + 1, float(curve[k, 1])

    def last(self, name: str) -> float | None:
        """Mean of a loss over its last rows."""
        curve = self.curves.get(name)
        return None if curve is None else float(curve[-_LAST:, 1].mean())


def read_run(folder: Path) -> Run:
    """Read configuration and metrics of a run folder.

    Raises:
        InputError: it is none.
    """
    if not (folder / CONFIG).is_file() or not (folder / METRICS).is_file():
        raise InputError(f"{folder}: wanted a run folder with {CONFIG} and {METRICS}, got none")
    settings = dict(_flat(read_yaml(folder / CONFIG, "the configuration")))
    rows, curves = read_metrics(folder / METRICS), {}
    for name in sorted({name for row in rows for name in row} - {"step", "epoch"}):
        try:
            values = [(float(row["step"]), float(row[name])) for row in rows if row.get(name)]
        except ValueError:
            raise InputError(f"{folder / METRICS}: wanted numbers in {name}: damaged") from None
        curves[name] = np.array(values, np.float64).reshape(-1, 2)
    return Run(folder, settings, {name: curve for name, curve in curves.items() if len(curve)})


def is_run(path: Path) -> bool:
    """Whether a path is a run folder."""
    return path.is_dir() and (path / CONFIG).is_file()


def drops(a: Run, b: Run, tolerance: float) -> bool:
    """Whether B's best PQ or mIoU lies more than the tolerance below A's."""
    for name in ("valid/pq", "valid/miou"):
        before, after = a.best(name), b.best(name)
        if before and (after is None or after[1] < before[1] - tolerance):
            return True
    return False


def format_runs(runs: Sequence[Run]) -> Group:
    """Tables of what was set otherwise and of what came of it, a column for each run."""
    names = [str(run.path) for run in runs]
    settings = Table("setting", *names, title="what was set otherwise", title_justify="left")
    for key in sorted({key for run in runs for key in run.settings}):
        values = [run.settings.get(key) for run in runs]
        if key != "out" and any(value != values[0] for value in values):
            settings.add_row(key, *("-" if value is None else str(value) for value in values))
    results = Table("result", *names, title="what came of it", title_justify="left")
    results.add_row("steps", *(str(run.num_steps) for run in runs))
    for name, words in (("valid/pq", "best PQ (validation)"), ("valid/miou", "best mIoU")):
        best = [run.best(name) for run in runs]
        results.add_row(words, *(f"{b[1]:.4f} at step {b[0]}" if b else "-" for b in best))
    for name in sorted({n for run in runs for n in run.curves if n.startswith("loss/")}):
        last = [run.last(name) for run in runs]
        words = f"{name.removeprefix('loss/')} loss, mean of the last {_LAST} rows"
        results.add_row(words, *("-" if value is None else f"{value:.4f}" for value in last))
    return Group(settings, results) if settings.row_count else Group("no setting differs", results)


def _flat(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in entries:
        if isinstance(value, dict) or (
            isinstance(value, list) and any(isinstance(item, dict) for item in value)
        ):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
