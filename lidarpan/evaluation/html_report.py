"""An evaluation -> an HTML report: scores, why they are so, the worst scans to look at.

The page needs no network, prints well and is read without colour vision.
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from lidarpan.datasets.packed_labels import PackedLabels
from lidarpan.draw import draw_panoptic
from lidarpan.draw.colors import ERROR_COLORS
from lidarpan.evaluation import Evaluation, ScanScore
from lidarpan.evaluation.explain import Explanation, explain
from lidarpan.evaluation.explained import sections
from lidarpan.evaluation.files import read_pair
from lidarpan.evaluation.report import describe_worst, worst_scans
from lidarpan.metrics.errors import POINT_KINDS
from lidarpan.scans.files import load_scan
from lidarpan.structures import InputError, PanopticLabels
from lidarpan.viewer import write_viewer
from lidarpan.whole_file import write_text

MAP_PX = 640
MEANS = {
    "pq": "PQ",
    "sq": "SQ",
    "rq": "RQ",
    "miou": "mIoU",
    "pq_dagger": "PQ†",
    "pq_things": "PQ things",
    "pq_stuff": "PQ stuff",
    "accuracy": "accuracy",
}
_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
)


@dataclass(frozen=True)
class WorstScan:
    """A scan that scores low.

    Attributes:
        name: of the scan.
        pq: over the classes present in it; miou likewise.
        words: its largest error.
        picture: a data address of its error map, "" where the scan file is absent.
        link: relative address of its viewer page, or "".
    """

    name: str
    pq: float
    miou: float
    words: str
    picture: str = ""
    link: str = ""


def write_html_report(
    evaluation: Evaluation,
    path: str | Path,
    *,
    explanation: Explanation | None = None,
    num_worst: int = 6,
    num_threads: int | None = None,
) -> list[Path]:
    """Write a report; returns the files written, the report first.

    The worst scans are drawn, and get a viewer page each in a folder beside the report, where their
    scan files are beside the labels. Ranges and the share of wrong points need them too.

    Args:
        evaluation: from `evaluate_folder`.
        path: of the report, .html.
        explanation: of that evaluation, where `explain` has made it already.
        num_worst: scans to show.
        num_threads: None takes all cores.

    Raises:
        InputError: the folder cannot be made or written to.
    """
    path = Path(path)
    explanation = explanation or explain(evaluation, num_threads=num_threads)
    folder = path.with_name(f"{path.stem}_scans")
    pages: list[Path] = []
    chosen = worst_scans(evaluation, num_worst)
    worst = [_worst_scan(evaluation, scan, folder, pages) for scan in chosen]
    text = _PAGES.get_template("report.html").render(_contents(explanation), worst=worst)
    write_text(path, text)
    return [path, *pages]


def _contents(explanation: Explanation) -> dict[str, Any]:
    evaluation = explanation.evaluation
    scores, classes, rules = evaluation.scores, evaluation.classes, evaluation.protocol
    seen = scores.confusion.copy()
    seen[:, 0] = 0
    used = np.flatnonzero(seen.any(axis=0) | seen.any(axis=1))
    points = dict(zip(POINT_KINDS, explanation.point_errors.tolist(), strict=True))
    total = sum(points.values()) - points.pop("ignored")
    return {
        "title": f"{evaluation.dataset} {evaluation.split}",
        "summary": f"{len(evaluation.scans)} scans. Protocol {rules.name}: segments match above "
        f"IoU 0.5; unmatched ones count from {rules.min_points} points on; means over "
        f"{rules.mean} classes. All scores are fractions; each bar runs from 0 to 1.",
        "means": {title: float(getattr(scores, name)) for name, title in MEANS.items()},
        "classes": [
            {
                "name": classes.names[c],
                "kind": "thing" if c in classes.things else "stuff",
                "pq": float(scores.class_pq[c]) if c in used else math.nan,
                "iou": float(scores.class_iou[c]) if c in used else math.nan,
                "counts": [int(count[c]) for count in (scores.tp, scores.fp, scores.fn)],
            }
            for c in (*classes.things, *classes.stuff)
        ],
        "error_shares": {kind: count / total for kind, count in points.items() if count},
        "colors": ERROR_COLORS,
        "sections": sections(explanation),
        "confusion": [
            {"name": classes.names[k], "points": seen[used, k].tolist(), "total": seen[:, k].sum()}
            for k in used
        ],
        "note": f"Ranges and wrong points are counted on {explanation.num_located} of "
        f"{len(evaluation.scans)} scans, whose scan files were found. An object across the border "
        "of two ranges counts in both. Points with void truth count nowhere.",
    }


def _worst_scan(
    evaluation: Evaluation, scan: ScanScore, folder: Path, pages: list[Path]
) -> WorstScan:
    name = scan.files.name
    shown = (name, scan.present.pq, scan.present.miou, describe_worst(evaluation, scan))
    try:
        loaded = load_scan(scan.files.scan)
    except InputError:
        return WorstScan(*shown)
    if loaded.num_file_points != scan.num_points:
        return WorstScan(*shown)
    classes, is_thing = evaluation.classes, evaluation.classes.is_thing
    own, true = (
        PanopticLabels(part.semantic[loaded.valid], _unique(part, is_thing)[loaded.valid])
        for part in read_pair(scan.files)
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
    return WorstScan(*shown, picture, f"{folder.name}/{page.name}")


def _unique(packed: PackedLabels, is_thing: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Instance ids of things that no two classes share: as in the file where they do not."""
    own = np.where(is_thing[packed.semantic] & (packed.instance > 0), packed.instance, 0)
    pairs = np.unique(np.stack([own, packed.semantic], axis=1)[own > 0], axis=0)
    if len(np.unique(pairs[:, 0])) < len(pairs):
        own = np.where(own > 0, own * 32 + packed.semantic, 0)
    return own.astype(np.int32)
