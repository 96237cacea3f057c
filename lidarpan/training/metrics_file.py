"""Losses and scores of a run as rows of metrics.csv."""

from __future__ import annotations

import csv
from pathlib import Path

from lidarpan.structures import InputError

Row = dict[str, str]


def read_metrics(path: Path) -> list[Row]:
    """Rows of a metrics file; a last line that was cut off is left out.

    Raises:
        InputError: it is none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        rows = list(csv.DictReader(whole))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: wanted the metrics of a run, got {error}") from None
    if any(not (row.get("step") or "").isdecimal() for row in rows):
        raise InputError(f"{path}: wanted a column of steps, got none: move the file away")
    return [{k: v or "" for k, v in row.items() if k} for row in rows]
