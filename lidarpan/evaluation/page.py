"""Scores as one HTML page that needs no network, prints well and is read without colour vision."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from lidarpan.draw.colors import ERROR_COLORS


@dataclass(frozen=True)
class ClassScore:
    """A row of the table of classes: fractions in [0, 1] and numbers of segments."""

    name: str
    is_thing: bool
    pq: float
    iou: float
    tp: int
    fp: int
    fn: int
    is_present: bool


@dataclass(frozen=True)
class WorstScan:
    """A scan that scores low.

    Attributes:
        name: of the scan.
        pq: over the classes present in it.
        miou: over the classes present in it.
        words: its largest error.
        picture: a data address of its error map, or None where the scan file is absent.
        link: relative address of its viewer page, or None.
    """

    name: str
    pq: float
    miou: float
    words: str
    picture: str | None = None
    link: str | None = None


@dataclass(frozen=True)
class ReportData:
    """What a report shows.

    Attributes:
        title: of the page.
        summary: the protocol in words.
        means: name -> fraction, in the order shown; nan where there is none.
        classes: a row for each class.
        class_names: of the confusion matrix.
        confusion: (C, C) int64 points by predicted and by true class, void left out.
        by_range: (band in words, PQ, number of true points), near to far; empty without scans.
        error_shares: error kind -> share of the points that are not ignored; empty without scans.
        worst: lowest first.
        notes: sentences below the tables.
    """

    title: str
    summary: str
    means: Mapping[str, float]
    classes: Sequence[ClassScore]
    class_names: Sequence[str]
    confusion: NDArray[np.int64]
    by_range: Sequence[tuple[str, float, int]] = ()
    error_shares: Mapping[str, float] = field(default_factory=dict)
    worst: Sequence[WorstScan] = ()
    notes: Sequence[str] = ()


def report_page(data: ReportData) -> str:
    """The whole page as HTML text."""
    style = resources.files("lidarpan").joinpath("viewer/page/report.css").read_text("utf-8")
    parts = [
        f"<h1>{html.escape(data.title)}</h1><p>{html.escape(data.summary)}</p>",
        _cards(data.means),
        _section("Classes", _class_table(data.classes)),
        _section("PQ by distance", _range_bars(data.by_range)) if data.by_range else "",
        _section("What is wrong", _error_bar(data.error_shares)) if data.error_shares else "",
        _section("Confusion of classes", _confusion(data.class_names, data.confusion)),
        _section("Worst scans", _worst(data.worst)) if data.worst else "",
        "".join(f"<p class='note'>{html.escape(note)}</p>" for note in data.notes),
    ]
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; "
        "style-src 'unsafe-inline'; img-src data:\"><link rel='icon' href='data:,'>"
        f"<title>{html.escape(data.title)}</title><style>{style}</style></head><body>"
        + "\n".join(parts)
        + "</body></html>\n"
    )


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{heading}</h2>{content}</section>"


def _number(value: float) -> str:
    return "&ndash;" if math.isnan(value) else f"{value:.3f}"


def _cards(means: Mapping[str, float]) -> str:
    cards = (
        f"<div class='card'><b>{_number(value)}</b><span>{html.escape(name)}</span></div>"
        for name, value in means.items()
    )
    return f"<div class='cards'>{''.join(cards)}</div>"


def _bar(value: float, kind: str) -> str:
    width = 0.0 if math.isnan(value) else 100 * min(1.0, max(0.0, value))
    return (
        f"<td class='bar {kind}'><div><i style='width:{width:.1f}%'></i></div>"
        f"<span>{_number(value)}</span></td>"
    )


def _class_table(rows: Sequence[ClassScore]) -> str:
    lines = []
    for row in rows:
        nan = float("nan")
        pq, iou = (row.pq, row.iou) if row.is_present else (nan, nan)
        counts = "".join(f"<td>{count:,}</td>" for count in (row.tp, row.fp, row.fn))
        kind = "thing" if row.is_thing else "stuff"
        lines.append(
            f"<tr><th scope='row'>{html.escape(row.name)}</th><td class='kind'>{kind}</td>"
            f"{_bar(pq, 'pq')}{_bar(iou, 'iou')}{counts}</tr>"
        )
    return (
        "<table class='classes'><thead><tr><th>class</th><th>kind</th><th>PQ</th><th>IoU</th>"
        "<th title='matched segments'>matched</th><th title='predicted without a match'>invented"
        "</th><th title='true without a match'>missed</th></tr></thead><tbody>"
        + "".join(lines)
        + "</tbody></table>"
    )


def _range_bars(bands: Sequence[tuple[str, float, int]]) -> str:
    lines = (
        f"<tr><th scope='row'>{html.escape(band)}</th>{_bar(pq, 'pq')}<td>{points:,}</td></tr>"
        for band, pq, points in bands
    )
    return (
        "<table class='classes'><thead><tr><th>distance</th><th>PQ over the classes present</th>"
        "<th>true points</th></tr></thead><tbody>" + "".join(lines) + "</tbody></table>"
    )


def _error_bar(shares: Mapping[str, float]) -> str:
    """A stacked bar of the errors alone, and every share in figures."""
    wrong = {kind: share for kind, share in shares.items() if kind != "right" and share > 0}
    total = sum(wrong.values())
    pieces = "".join(
        f"<i style='width:{100 * share / total:.2f}%;background:rgb{ERROR_COLORS[kind]}' "
        f"title='{kind}'></i>"
        for kind, share in wrong.items()
    )
    keys = "".join(
        f"<li><i style='background:rgb{ERROR_COLORS[kind]}'></i>{kind} "
        f"<b>{100 * share:.2f}%</b></li>"
        for kind, share in shares.items()
    )
    return f"<div class='stack'>{pieces}</div><ul class='keys'>{keys}</ul>"


def _confusion(names: Sequence[str], confusion: NDArray[np.int64]) -> str:
    """Rows are true classes, columns predictions, cells shares of the row in percent."""
    points = confusion.T
    used = [k for k in range(len(names)) if points[k].any() or points[:, k].any()]
    head = "".join(f"<th class='turn'><span>{html.escape(names[k])}</span></th>" for k in used)
    rows = []
    for k in used:
        total = int(points[k].sum())
        cells = []
        for j in used:
            share = points[k, j] / total if total else 0.0
            ink = " class='dark'" if share > 0.5 else ""
            text = f"{100 * share:.0f}" if share >= 0.005 else ""
            tone = f"background:rgba(0,74,134,{share:.3f})"
            title = f"{html.escape(names[k])} as {html.escape(names[j])}: {points[k, j]:,} points"
            cells.append(f"<td{ink} style='{tone}' title='{title}'>{text}</td>")
        rows.append(
            f"<tr><th scope='row'>{html.escape(names[k])}</th>{''.join(cells)}"
            f"<td class='total'>{total:,}</td></tr>"
        )
    return (
        "<p class='note'>Rows: true class. Columns: predicted. Percent of the row's points.</p>"
        f"<div class='scroll'><table class='confusion'><thead><tr><th></th>{head}"
        f"<th class='turn'><span>points</span></th></tr></thead><tbody>{''.join(rows)}</tbody>"
        "</table></div>"
    )


def _worst(scans: Sequence[WorstScan]) -> str:
    figures = []
    for scan in scans:
        name = html.escape(scan.name)
        alt = f"errors of {name} seen from above"
        picture = f"<img src='{scan.picture}' alt='{alt}'>" if scan.picture else ""
        link = f" <a href='{html.escape(scan.link)}'>look at it in 3D</a>" if scan.link else ""
        figures.append(
            f"<figure>{picture}<figcaption><b>{name}</b> PQ {_number(scan.pq)}, mIoU "
            f"{_number(scan.miou)}<br>{html.escape(scan.words)}{link}</figcaption></figure>"
        )
    return f"<div class='worst'>{''.join(figures)}</div>"
