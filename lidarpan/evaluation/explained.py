"""An explanation -> tables on the terminal, plain values for JSON, one HTML page with plots."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lidarpan.metrics.errors import KINDS
from lidarpan.whole_file import whole_file

if TYPE_CHECKING:
    from rich.console import Group

    from lidarpan.evaluation.explain import Explanation

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color: #1b2733; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .3rem; }
p { margin: .2rem 0 .6rem; color: #51606e; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
td, th { padding: .18rem .6rem; text-align: right; border-bottom: 1px solid #e3e8ed; }
td:first-child, th:first-child { text-align: left; white-space: nowrap; }
td.plot { width: 35%; }
svg { display: block; width: 100%; height: 1rem; background: #eef2f5; border-radius: 2px; }
"""

Row = tuple[str, float, tuple[str, ...]]
_CLASSES = "Classes"
_Section = tuple[str, str, tuple[str, ...], list[Row]]


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """The explanation as plain values: fractions in [0, 1], null where nothing is to be scored."""
    names = explanation.evaluation.classes.names
    return {
        "errors": {
            row.kind: {
                "fn": int(row.fn.sum()),
                "fp": int(row.fp.sum()),
                "pq_mended": _number(row.pq),
                "classes": {
                    names[c]: [int(row.fn[c]), int(row.fp[c])]
                    for c in np.flatnonzero(row.fn + row.fp)
                },
            }
            for row in explanation.mended
        },
        "rings_m": [
            {"from": low, "to": _number(high), "pq": _number(s.pq), "miou": _number(s.miou)}
            for (low, high), s in explanation.rings.items()
        ],
        "things_by_points": [
            {
                "from": row.low,
                "to": _number(row.high),
                "pq": _number(row.pq),
                "tp": row.tp,
                "fn": row.fn,
                "fp": row.fp,
            }
            for row in explanation.sizes
        ],
        "oracles": {
            name: {"pq": _number(s.pq), "pq_things": _number(s.pq_things), "miou": _number(s.miou)}
            for name, s in explanation.oracles.items()
        },
        "boundary_f_score": _number(explanation.boundary.f_score),
        "num_located": explanation.num_located,
    }


def format_explanation(explanation: Explanation) -> Group:
    """The same tables as on the page, for a rich console."""
    from rich.console import Group
    from rich.table import Table

    tables: list[Table | str] = []
    for title, _, columns, rows in _sections(explanation):
        table = Table(title=title)
        above = (1, 2) if title == _CLASSES else ()  # PQ and IoU are in the table of scores
        for i, column in enumerate(columns):
            if i not in above:
                words = column.replace(" ", "\n") if above else column
                table.add_column(words, justify="right" if i else "left", no_wrap=not i)
        for name, value, cells in rows:
            row = (name, _text(value), *cells)
            table.add_row(*(cell for i, cell in enumerate(row) if i not in above))
        tables.append(table)
    if explanation.num_located:
        tables.append(_borders(explanation))
    return Group(*tables)


def write_explanation(explanation: Explanation, path: str | Path) -> None:
    """Write one HTML page that needs no other file; raises InputError where it cannot be."""
    evaluation = explanation.evaluation
    rules = evaluation.protocol
    title = f"Why {evaluation.dataset} {evaluation.split} scores PQ {evaluation.scores.pq:.4f}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        f"<p>{len(evaluation.scans)} scans; protocol {escape(rules.name)}, min_points "
        f"{rules.min_points}. All scores are fractions; each bar runs from 0 to 1.</p>",
    ]
    for heading, note, columns, rows in _sections(explanation):
        parts.append(f"<h2>{escape(heading)}</h2><p>{escape(note)}</p><table>")
        head = "".join(f"<th>{escape(column)}</th>" for column in columns)
        parts.append(f"<tr>{head}<th></th></tr>")
        parts += [_html_row(row) for row in rows]
        parts.append("</table>")
    parts.append("</body></html>\n")
    with whole_file(Path(path)) as beside:
        beside.write_text("\n".join(parts), encoding="utf-8")


def _sections(explanation: Explanation) -> Iterable[_Section]:
    """Heading, note, columns and rows of each table."""
    pq = explanation.evaluation.scores.pq
    rows: list[Row] = [
        (row.kind, row.pq, (f"{row.pq - pq:+.4f}", f"{row.fn.sum():,}", f"{row.fp.sum():,}"))
        for row in sorted(explanation.mended, key=lambda row: -row.pq)
    ]
    kinds = "; ".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items())
    columns = ("kind of error", "PQ if mended", "gain", "FN", "FP")
    yield "Errors by kind", f"PQ if one kind alone were mended. {kinds}.", columns, rows
    rows = [
        (name, s.pq, (_text(s.pq_things), _text(s.miou))) for name, s in explanation.oracles.items()
    ]
    note = "Which half holds the score back: the half that is named is taken from the truth."
    yield "Oracles", note, ("labels", "PQ", "PQ things", "mIoU"), rows
    yield _CLASSES, "FN + FP of each kind.", ("class", "PQ", "IoU", *KINDS), _classes(explanation)
    if explanation.rings:
        rows = [
            (f"{low:g} .. {high:g} m", s.pq, (_text(s.miou), f"{s.confusion[:, 1:].sum():,}"))
            for (low, high), s in explanation.rings.items()
        ]
        note = (
            "The points of a ring alone, seen from above; means over the classes with true points "
            f"there. {_borders(explanation)}."
        )
        yield "Range", note, ("range", "PQ", "mIoU", "points"), rows
    rows = [
        (f"{row.low:g} .. {row.high:g}", row.pq, (f"{row.tp:,}", f"{row.fn:,}", f"{row.fp:,}"))
        for row in explanation.sizes
        if row.tp + row.fn + row.fp
    ]
    note = "Matches and misses by their true, inventions by their predicted number of points."
    yield "Things by number of points", note, ("points", "PQ", "TP", "FN", "FP"), rows


def _borders(explanation: Explanation) -> str:
    return f"Border F-score of segments in 0.2 m cells: {_text(explanation.boundary.f_score)}"


def _classes(explanation: Explanation) -> list[Row]:
    evaluation, scores = explanation.evaluation, explanation.evaluation.scores
    rows: list[Row] = []
    for c in (*evaluation.classes.things, *evaluation.classes.stuff):
        if scores.confusion[c].any() or scores.confusion[:, c].any():
            kinds = (f"{row.fn[c] + row.fp[c]:,}" for row in explanation.mended)
            cells = (f"{scores.class_iou[c]:.4f}", *kinds)
            rows.append((evaluation.classes.names[c], float(scores.class_pq[c]), cells))
    return rows


def _html_row(row: Row) -> str:
    name, value, cells = row
    width = 0.0 if math.isnan(value) else 100 * min(max(value, 0.0), 1.0)
    bar = f'<svg viewBox="0 0 100 1" preserveAspectRatio="none"><rect width="{width:.2f}" '
    bar += 'height="1" fill="#2b7bba"/></svg>'
    texts = "".join(f"<td>{escape(cell)}</td>" for cell in (name, _text(value), *cells))
    return f'<tr>{texts}<td class="plot">{bar}</td></tr>'


def _text(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
