"""An evaluation -> an HTML report with error maps of the worst scans and pages to look at them."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lidarpan.datasets.packed_labels import PackedLabels
from lidarpan.draw import draw_panoptic
from lidarpan.draw.errors import ERROR_KINDS, IGNORED, error_kinds
from lidarpan.evaluation.files import read_pair, read_xy
from lidarpan.evaluation.page import ClassScore, ReportData, WorstScan, report_page
from lidarpan.evaluation.report import describe_worst
from lidarpan.metrics import PanopticQuality
from lidarpan.scans.files import load_scan
from lidarpan.structures import InputError, PanopticLabels
from lidarpan.viewer import write_viewer
from lidarpan.whole_file import whole_file

if TYPE_CHECKING:
    from lidarpan.evaluation import Evaluation, ScanScore

BANDS_M = (0.0, 10.0, 20.0, 30.0, 40.0, 60.0, math.inf)
MAP_PX = 640


def write_html_report(
    evaluation: Evaluation, path: str | Path, *, num_worst: int = 6, num_threads: int | None = None
) -> list[Path]:
    """Write a report; returns the files written, the report first.

    The worst scans are drawn, and get a viewer page each in a folder beside the report, where their
    scan files are beside the labels. PQ by distance and error kinds need them too.

    Args:
        evaluation: from `evaluate_folder`.
        path: of the report, .html.
        num_worst: scans to show.
        num_threads: None takes all cores.

    Raises:
        InputError: the folder cannot be made or written to.
    """
    path = Path(path)
    with ThreadPoolExecutor(num_threads) as threads:
        looks = [
            look for look in threads.map(lambda s: _look(evaluation, s), evaluation.scans) if look
        ]
    known = [scan for scan in evaluation.scans if not math.isnan(scan.present.pq)]
    chosen = sorted(known, key=lambda scan: (scan.present.pq, scan.files.name))[:num_worst]
    folder = path.with_name(f"{path.stem}_scans")
    pages: list[Path] = []
    worst = [_worst_scan(evaluation, scan, folder, pages) for scan in chosen]
    with whole_file(path) as beside:
        beside.write_text(report_page(_report_data(evaluation, looks, worst)), encoding="utf-8")
    return [path, *pages]


_Look = tuple[list[PanopticQuality], NDArray[np.int64]]


def _look(evaluation: Evaluation, scan: ScanScore) -> _Look | None:
    """Quality in each band of distance, and points of each error kind; None without positions."""
    xy = read_xy(scan.files, evaluation.dataset, scan.num_points)
    if xy is None:
        return None
    classes, rules = evaluation.classes, evaluation.protocol
    predicted, true = read_pair(scan.files, classes)
    distance = np.hypot(xy[:, 0], xy[:, 1])
    bands = []
    for near, far in pairwise(BANDS_M):
        own = (distance >= near) & (distance < far)
        quality = PanopticQuality(classes.num_classes, classes.things, min_points=rules.min_points)
        parts = [(p.semantic[own], p.ids(rules.name)[own]) for p in (predicted, true)]
        quality.update(*parts[0], *parts[1])
        bands.append(quality)
    is_thing = classes.is_thing
    kinds = error_kinds(_labels(predicted, is_thing), _labels(true, is_thing), classes)
    return bands, np.bincount(kinds, minlength=len(ERROR_KINDS)).astype(np.int64)


def _labels(packed: PackedLabels, is_thing: NDArray[np.bool_]) -> PanopticLabels:
    """Instances of things keep their ids within the class; stuff has none."""
    instance = np.where(is_thing[packed.semantic], packed.instance, 0).astype(np.int32)
    return PanopticLabels(packed.semantic, instance)


def _worst_scan(
    evaluation: Evaluation, scan: ScanScore, folder: Path, pages: list[Path]
) -> WorstScan:
    name = scan.files.name
    words = describe_worst(evaluation, scan)
    plain = WorstScan(name, scan.present.pq, scan.present.miou, words)
    try:
        loaded = load_scan(scan.files.scan)
    except InputError:
        return plain
    if loaded.num_file_points != scan.num_points:
        return plain
    classes, is_thing = evaluation.classes, evaluation.classes.is_thing
    own, true = (
        PanopticLabels(part.semantic[loaded.valid], _unique(part, is_thing)[loaded.valid])
        for part in read_pair(scan.files, classes)
    )
    image = draw_panoptic(loaded.scan, own, classes, truth=true, mode="error", size_px=MAP_PX)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    picture = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from error
    page = folder / f"{name.replace('/', '_')}.html"
    write_viewer(page, [loaded.scan], [own], classes, truth=[true], names=[name], title=name)
    pages.append(page)
    link = f"{folder.name}/{page.name}"
    return WorstScan(name, scan.present.pq, scan.present.miou, words, picture, link)


def _unique(packed: PackedLabels, is_thing: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Instance ids of things that no two classes share: as in the file where they do not."""
    own = np.where(is_thing[packed.semantic] & (packed.instance > 0), packed.instance, 0)
    pairs = np.unique(np.stack([own, packed.semantic], axis=1)[own > 0], axis=0)
    if len(np.unique(pairs[:, 0])) < len(pairs):
        own = np.where(own > 0, own * 32 + packed.semantic, 0)
    return own.astype(np.int32)


def _report_data(
    evaluation: Evaluation, looks: Sequence[_Look], worst: Sequence[WorstScan]
) -> ReportData:
    scores, classes, rules = evaluation.scores, evaluation.classes, evaluation.protocol
    seen = scores.confusion.copy()
    seen[:, 0] = 0
    names = ("pq", "sq", "rq", "miou", "pq_dagger", "pq_things", "pq_stuff", "accuracy")
    titles = ("PQ", "SQ", "RQ", "mIoU", "PQ†", "PQ things", "PQ stuff", "accuracy")
    rows = [
        ClassScore(
            classes.names[c],
            c in classes.things,
            float(scores.class_pq[c]),
            float(scores.class_iou[c]),
            int(scores.tp[c]),
            int(scores.fp[c]),
            int(scores.fn[c]),
            bool(seen[c].any() or seen[:, c].any()),
        )
        for c in (*classes.things, *classes.stuff)
    ]
    note = (
        f"Distance bands and error kinds are counted on {len(looks)} of {len(evaluation.scans)} "
        "scans, whose scan files were found. An object across the border of two bands counts in "
        "both. Points with void truth count nowhere."
    )
    return ReportData(
        title=f"{evaluation.dataset} {evaluation.split}",
        summary=f"{len(evaluation.scans)} scans. Protocol {rules.name}: segments match above IoU "
        f"0.5; unmatched ones count from {rules.min_points} points on; means over "
        f"{rules.mean} classes. All scores are fractions in [0, 1].",
        means={
            title: float(getattr(scores, name)) for title, name in zip(titles, names, strict=True)
        },
        classes=rows,
        class_names=classes.names,
        confusion=seen,
        by_range=_by_range(evaluation, looks),
        error_shares=_error_shares(looks),
        worst=worst,
        notes=[note],
    )


def _by_range(evaluation: Evaluation, looks: Sequence[_Look]) -> list[tuple[str, float, int]]:
    rows = []
    for k, (near, far) in enumerate(pairwise(BANDS_M)):
        total = PanopticQuality(
            evaluation.classes.num_classes,
            evaluation.classes.things,
            min_points=evaluation.protocol.min_points,
        )
        for bands, _ in looks:
            total.merge(bands[k])
        points = int(total.confusion[:, 1:].sum())
        words = f"{near:g} m and beyond" if math.isinf(far) else f"{near:g} to {far:g} m"
        if points:
            rows.append((words, float(total.compute("present").pq), points))
    return rows


def _error_shares(looks: Sequence[_Look]) -> dict[str, float]:
    counts = np.sum([kinds for _, kinds in looks], axis=0) if looks else np.zeros(7)
    counts[IGNORED] = 0
    total = counts.sum()
    if not total:
        return {}
    return {k: float(n / total) for k, n in zip(ERROR_KINDS, counts, strict=True) if n}
