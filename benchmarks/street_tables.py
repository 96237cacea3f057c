"""A report of `streets.py` as tables: sets by variants, and classes by sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PLAIN = "as-is"
Rows = list[list[str]]


def overview(report: dict[str, Any]) -> Rows:
    """Head row and one row for each set, in three sets of classes."""
    head = [
        "set",
        "scans",
        "mIoU 19",
        "PQ",
        "objects right",
        "mIoU 10",
        "spread, lowest",
        "mIoU 7",
        "ms",
    ]
    rows = [head]
    for name, result in report["sets"].items():
        plain = result["variants"].get(PLAIN)
        if plain is None:
            continue
        ten = plain["ten"]
        own = plain.get("nineteen", ten)
        rows.append(
            [
                name,
                str(result["num_scans"]),
                _fraction(plain.get("nineteen", {}).get("miou")),
                _fraction(own.get("pq")),
                f"{own['objects_right']} of {own['objects_written']}" if "pq" in own else "-",
                _fraction(ten["miou"]),
                f"{_fraction(ten['miou_std'])}, {_fraction(ten['miou_lowest'])}",
                _fraction(plain.get("seven", {}).get("miou")),
                f"{result['ms_per_scan']:.0f}" if result["ms_per_scan"] else "-",
            ]
        )
    return rows


def by_variant(report: dict[str, Any]) -> Rows:
    """Head row and, for each set, its mean IoU of ten (and nineteen) classes under each variant."""
    names = list(dict.fromkeys(v for r in report["sets"].values() for v in r["variants"]))
    if names == [PLAIN]:
        return []
    rows = [["set", *names]]
    for name, result in report["sets"].items():
        cells = []
        for variant in names:
            scores = result["variants"].get(variant, {})
            both = [scores[p]["miou"] for p in ("ten", "nineteen") if p in scores]
            cells.append(" / ".join(_fraction(value) for value in both) or "-")
        rows.append([name, *cells])
    return rows


def by_class(report: dict[str, Any], protocol: str) -> Rows:
    """Head row and one row for each class: IoU, and PQ where objects are labelled."""
    sets = {
        name: result["variants"][PLAIN][protocol]
        for name, result in report["sets"].items()
        if protocol in result["variants"].get(PLAIN, {})
    }
    if not sets:
        return []
    names = list(dict.fromkeys(c for scores in sets.values() for c in scores["classes"]))
    rows = [["class", *sets]]
    for name in names:
        cells = [_class_cell(scores["classes"].get(name)) for scores in sets.values()]
        rows.append([name, *cells])
    mean = [_class_cell({"iou": s["miou"], "pq": s.get("pq")}) for s in sets.values()]
    return [*rows, ["mean", *mean]]


def _class_cell(scores: dict[str, Any] | None) -> str:
    if scores is None:
        return "-"
    iou, pq = _fraction(scores["iou"]), scores.get("pq")
    return iou if pq is None else f"{iou} / {_fraction(pq)}"


def _fraction(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _tables(report: dict[str, Any]) -> list[tuple[str, Rows]]:
    tables = [
        (
            "means over the classes present (PQ of 19 classes, of 10 on nuScenes)",
            overview(report),
        ),
        ("mIoU of 10 / of 19 classes", by_variant(report)),
    ]
    tables += [
        (f"IoU / PQ by class, {protocol} classes", by_class(report, protocol))
        for protocol in ("ten", "nineteen", "seven")
    ]
    return [(title, rows) for title, rows in tables if len(rows) > 1]


def _notes(report: dict[str, Any]) -> list[str]:
    return [
        f"{name}: {result['title']}" + (f"; {result['note']}" if result["note"] else "")
        for name, result in report["sets"].items()
    ]


def as_text(report: dict[str, Any]) -> str:
    """Columns of equal width."""
    blocks = [f"weights {report['weights']}"]
    for title, rows in _tables(report):
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(_pad(row, widths)) for row in rows]
        blocks.append("\n".join([title, *lines]))
    return "\n\n".join([*blocks, "\n".join(_notes(report))])


def _pad(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = (
        cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in _zip(row, widths)
    )
    return [first, *others]


def _zip(row: Sequence[str], widths: Sequence[int]) -> list[tuple[int, tuple[str, int]]]:
    return list(enumerate(zip(row, widths, strict=True)))


def as_markdown(report: dict[str, Any]) -> str:
    """Markdown tables, with the command."""
    blocks = [f"    {report['command']}"]
    for title, rows in _tables(report):
        head, *body = ["| " + " | ".join(row) + " |" for row in rows]
        blocks.append("\n".join([f"{title}:", "", head, "|---" * len(rows[0]) + "|", *body]))
    return "\n\n".join([*blocks, "\n".join(f"- {note}" for note in _notes(report))])
