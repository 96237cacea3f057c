"""Losses and scores of a run in one CSV file, which a resumed run goes on with."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from lidarpan.training.metrics_file import Row, read_metrics
from lidarpan.whole_file import whole_file

_FIRST = ("step", "epoch")


class MetricsLog(Logger):
    """`metrics.csv`: a row per logged step, a column per metric; empty where there is no value.

    Args:
        path: of the file.
        resume_step: rows of this and later steps are taken again, earlier ones stay; 0 = a new run.
        every: rows that are gathered before they are written.
    """

    def __init__(self, path: Path, resume_step: int = 0, every: int = 1) -> None:
        super().__init__()
        self.path, self.every = path, every
        self._columns: list[str] = list(_FIRST)
        self._waiting: list[Row] = []
        if resume_step and path.is_file():
            self._waiting = [row for row in read_metrics(path) if int(row["step"]) < resume_step]
        self._is_begun = False

    @property
    def name(self) -> str:
        """Of the log."""
        return "metrics"

    @property
    def version(self) -> str:
        """There is one."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The configuration lies beside."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Take a row."""
        row = {name: str(float(value)) for name, value in metrics.items() if name != "epoch"}
        row |= {"step": str(step or 0), "epoch": str(int(metrics.get("epoch", 0)))}
        self._waiting.append(row)
        if len(self._waiting) >= self.every:
            self.save()

    @rank_zero_only
    def save(self) -> None:
        """Write what waits: appended, or the file anew where it wants other columns."""
        if not self._waiting:
            return
        new = sorted({name for row in self._waiting for name in row} - set(self._columns))
        if self._is_begun and not new:
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, self._columns).writerows(self._waiting)
        else:
            rows = [*(read_metrics(self.path) if self._is_begun else []), *self._waiting]
            self._columns = [*_FIRST, *sorted({*self._columns, *new} - set(_FIRST))]
            with whole_file(self.path) as beside, beside.open("w", newline="") as file:
                writer = csv.DictWriter(file, self._columns, restval="")
                writer.writeheader()
                writer.writerows(rows)
            self._is_begun = True
        self._waiting = []

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the rest."""
        self.save()
