"""An explanation -> tables, for the terminal and the HTML report, and plain values for JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from rich.console import Group
from rich.table import Table

from lidarpan.evaluation.explain import Explanation
from lidarpan.evaluation.report import fixed, or_null
from lidarpan.metrics.errors import KINDS

Rows = list[tuple[str, float, tuple[str, ...]]]
_CLASSES = "Errors by class"


class Section(NamedTuple):
    """One table of an explanation.

    Attributes:
        title: above it.
        note: how to read it.
        columns: their headings.
        rows: a name, a fraction (nan for none) that may be drawn as a bar, and more cells.
    """

    title: str
    note: str
    columns: tuple[str, ...]
    rows: Rows


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """The explanation as plain values: fractions in [0, 1], null where nothing is to be scored."""
    names = explanation.evaluation.classes.names
    return {
        "errors": {
            row.kind: {
                "fn": int(row.fn.sum()),
                "fp": int(row.fp.sum()),
                "pq_mended": or_null(row.pq),
                "classes": {
                    names[c]: [int(row.fn[c]), int(row.fp[c])]
                    for c in np.flatnonzero(row.fn + row.fp)
                },
            }
            for row in explanation.mended
        },
        "rings_m": [
            {"from": low, "to": or_null(high), "pq": or_null(s.pq), "miou": or_null(s.miou)}
            for (low, high), s in explanation.rings.items()
        ],
        "things_by_points": [
            {
                "from": row.low,
                "to": or_null(row.high),
                "pq": or_null(row.pq),
                "tp": row.tp,
                "fn": row.fn,
                "fp": row.fp,
            }
            for row in explanation.sizes
        ],
        "oracles": {
            name: {"pq": or_null(s.pq), "pq_things": or_null(s.pq_things), "miou": or_null(s.miou)}
            for name, s in explanation.oracles.items()
        },
        "boundary_f_score": or_null(explanation.boundary.f_score),
        "num_located": explanation.num_located,
    }


def format_explanation(explanation: Explanation) -> Group:
    """The same tables as on the page, for a rich console."""
    tables: list[Table | str] = []
    for title, _, columns, rows in sections(explanation):
        table = Table(title=title)
        above = (1, 2) if title == _CLASSES else ()  # PQ and IoU are in the table of scores
        for i, column in enumerate(columns):
            if i not in above:
                words = column.replace(" ", "\n") if above else column
                table.add_column(words, justify="right" if i else "left", no_wrap=not i)
        for name, value, cells in rows:
            row = (name, fixed(value), *cells)
            table.add_row(*(cell for i, cell in enumerate(row) if i not in above))
        tables.append(table)
    if explanation.num_located:
        tables.append(_borders(explanation))
    return Group(*tables)


def sections(explanation: Explanation) -> Iterator[Section]:
    """The tables of an explanation; "Range" only where scan files were found."""
    pq = explanation.evaluation.scores.pq
    kinds = "; ".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items())
    yield Section(
        "Errors by kind",
        f"PQ if one kind alone were mended. {kinds}.",
        ("kind of error", "PQ if mended", "gain", "FN", "FP"),
        [
            (row.kind, row.pq, (f"{row.pq - pq:+.4f}", f"{row.fn.sum():,}", f"{row.fp.sum():,}"))
            for row in sorted(explanation.mended, key=lambda row: -row.pq)
        ],
    )
    yield Section(
        "Oracles",
        "Which half holds the score back: the half that is named is taken from the truth.",
        ("labels", "PQ", "PQ things", "mIoU"),
        [
            (name, s.pq, (fixed(s.pq_things), fixed(s.miou)))
            for name, s in explanation.oracles.items()
        ],
    )
    columns = ("class", "PQ", "IoU", *KINDS)
    yield Section(_CLASSES, "FN + FP of each kind.", columns, _classes(explanation))
    if explanation.rings:
        yield Section(
            "Range",
            "The points of a ring alone, seen from above; means over the classes with true points "
            f"there. {_borders(explanation)}.",
            ("range", "PQ", "mIoU", "points"),
            [
                (_ring(*ring), s.pq, (fixed(s.miou), f"{s.confusion[:, 1:].sum():,}"))
                for ring, s in explanation.rings.items()
            ],
        )
    yield Section(
        "Things by number of points",
        "Matches and misses by their true, inventions by their predicted number of points.",
        ("points", "PQ", "TP", "FN", "FP"),
        [
            (f"{row.low:g} .. {row.high:g}", row.pq, (f"{row.tp:,}", f"{row.fn:,}", f"{row.fp:,}"))
            for row in explanation.sizes
            if row.tp + row.fn + row.fp
        ],
    )


def _ring(near: float, far: float) -> str:
    return f"{near:g} m and beyond" if math.isinf(far) else f"{near:g} to {far:g} m"


def _borders(explanation: Explanation) -> str:
    return f"Border F-score of segments in 0.2 m cells: {fixed(explanation.boundary.f_score)}"


def _classes(explanation: Explanation) -> Rows:
    evaluation, scores = explanation.evaluation, explanation.evaluation.scores
    rows: Rows = []
    for c in (*evaluation.classes.things, *evaluation.classes.stuff):
        if scores.confusion[c].any() or scores.confusion[:, c].any():
            kinds = (f"{row.fn[c] + row.fp[c]:,}" for row in explanation.mended)
            cells = (f"{scores.class_iou[c]:.4f}", *kinds)
            rows.append((evaluation.classes.names[c], float(scores.class_pq[c]), cells))
    return rows
