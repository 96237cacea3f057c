"""Scans and labels to one web page that needs no network: 3D points in any browser."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.draw.colors import (
    ERROR_COLORS,
    STUFF_GREY,
    class_colors,
    instance_hues,
    instance_shades,
    ramp_colors,
)
from lidarpan.draw.motion import Motion
from lidarpan.draw.outlines import convex_hull
from lidarpan.metrics.errors import POINT_KINDS, point_errors
from lidarpan.structures import InputError, PanopticLabels, Scan
from lidarpan.whole_file import write_text

SCRIPTS = tuple(
    f"{name}.js" for name in ("stage", "scans", "colors", "overlay", "page", "cards", "controls")
)
THREE = "vendor/three/three.min.js"
MAX_INSTANCES = 65535


def write_viewer(
    path: Path | str,
    scans: Sequence[Scan],
    labels: Sequence[PanopticLabels] | None = None,
    classes: ClassTable | None = None,
    *,
    truth: Sequence[PanopticLabels] | None = None,
    names: Sequence[str] | None = None,
    title: str = "lidarpan",
    min_score: float = 0.0,
    motions: Sequence[Mapping[int, Motion]] | None = None,
) -> None:
    """Write one HTML file that shows scans in 3D, by class, instance, height, intensity and error.

    Args:
        path: the file; written whole or not at all.
        scans: one or more, in the order in which the page steps through them.
        labels: of each scan; None shows height and intensity only.
        classes: of the labels.
        truth: true labels of each scan, shown beside or in turn with the others.
        names: of each scan, as the page shows them; numbers otherwise.
        title: of the page.
        min_score: where the slider that hides unsure objects stands at first.
        motions: of each scan, trails and arrows of the labels' objects, by id.

    Raises:
        InputError: no scan, sequences of different lengths, labels that do not fit their scan, or
            a file that cannot be written.
    """
    shown = [f"{i:06d}" for i in range(len(scans))] if names is None else list(names)
    if not scans:
        raise InputError("a viewer needs at least one scan, got none")
    for what, given in (("labels", labels), ("truth", truth), ("names", shown)):
        if given is not None and len(given) != len(scans):
            raise InputError(f"wanted {what} for each of {len(scans)} scans, got {len(given)}")
    packed = (
        pack_scan(
            scan,
            None if labels is None else labels[i],
            classes,
            truth=None if truth is None else truth[i],
            motions=None if motions is None else motions[i],
        )
        for i, scan in enumerate(scans)
    )
    has_truth = truth is not None
    has_scores = labels is not None and any(one.score is not None for one in labels)
    page = viewer_page(
        title,
        shown,
        classes if labels is not None else None,
        has_truth,
        packed,
        has_scores=has_scores,
        min_score=min_score,
    )
    write_text(Path(path), page)


def viewer_page(
    title: str,
    names: Sequence[str],
    classes: ClassTable | None,
    has_truth: bool,
    packed: Iterable[bytes] | None,
    *,
    has_scores: bool = False,
    min_score: float = 0.0,
) -> str:
    """The page as HTML text.

    Args:
        title: of the page.
        names: of each scan.
        classes: None when there are no labels.
        has_truth: whether the scans come with true labels.
        packed: what `pack_scan` made of each scan, to be put into the page; None lets the page
            fetch "scan/<number>" from where it came itself.
        has_scores: whether the labels say how sure they are of their objects.
        min_score: where the slider that hides unsure objects stands at first.
    """
    source = "'none'" if packed is not None else "'self'"
    meta = {
        "title": title,
        "names": list(names),
        "embedded": packed is not None,
        "hasTruth": has_truth,
        "hasScores": has_scores,
        "leastScore": min_score,
        "classes": _class_rows(classes) if classes else [],
        "errors": [{"name": kind, "color": ERROR_COLORS[kind]} for kind in POINT_KINDS],
        "noInstance": STUFF_GREY,
        "ramp": ramp_colors(np.linspace(0, 1, 256, dtype=np.float32)).tolist(),
    }
    data = "".join(
        f'<script type="text/plain" id="scan{i}">{base64.b64encode(blob).decode()}</script>\n'
        for i, blob in enumerate(packed or ())
    )
    parts = {
        "title": html.escape(title),
        "connect": source,
        "style": _asset("style.css"),
        "three": _asset(THREE),
        "script": "\n".join(_asset(name) for name in SCRIPTS),
        "meta": json.dumps(meta).replace("<", "\\u003c"),
        "scans": data,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], _asset("page.html"))


def pack_scan(
    scan: Scan,
    labels: PanopticLabels | None,
    classes: ClassTable | None,
    *,
    truth: PanopticLabels | None = None,
    motions: Mapping[int, Motion] | None = None,
) -> bytes:
    """A scan as the page reads it: length of a JSON header, the header, arrays; gzipped.

    Positions are 16-bit steps of the scan's box: 2 to 4 mm for a road scan.

    Raises:
        InputError: labels that do not fit the scan.
    """
    low = scan.points.min(axis=0) if scan.num_points else np.zeros(3, np.float32)
    extent = np.maximum(np.ptp(scan.points, axis=0), 1e-3) if scan.num_points else low + 1
    steps = ((scan.points - low) / extent * 65535).round().astype("<u2")
    header: dict[str, Any] = {
        "count": scan.num_points,
        "low": low.tolist(),
        "extent": extent.tolist(),
    }
    wide: list[NDArray[np.uint16]] = [steps[:, 0], steps[:, 1], steps[:, 2]]
    narrow: list[NDArray[np.uint8]] = [(scan.intensity * 255).round().astype(np.uint8)]
    for key, part in (("labels", labels), ("truth", truth)):
        if part is None or classes is None:
            continue
        if part.num_points != scan.num_points:
            raise InputError(
                f"{key} must fit the scan, got {part.num_points} for {scan.num_points} points"
            )
        _, index = _instance_index(part)
        header[key] = instance_rows(scan, part, classes)
        if key == "labels" and motions:
            for row in header[key]:
                if row["id"] in motions:
                    lines = motions[row["id"]].lines()
                    row["motion"] = [line.round(2).tolist() for line in lines]
        wide.append(index)
        narrow.append(part.semantic)
    if labels is not None and truth is not None and classes is not None:
        narrow.append(point_errors(labels, truth, classes))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    parts = [
        len(text).to_bytes(4, "little"),
        text,
        *(np.ascontiguousarray(a).tobytes() for a in wide),
    ]
    parts += [a.tobytes() for a in narrow]
    return gzip.compress(b"".join(parts), compresslevel=6, mtime=0)


def _asset(name: str) -> str:
    return resources.files("lidarpan").joinpath(f"viewer/page/{name}").read_text(encoding="utf-8")


def _class_rows(classes: ClassTable) -> list[dict[str, Any]]:
    return [
        {"name": name.replace("_", " "), "color": color, "isThing": bool(is_thing)}
        for name, color, is_thing in zip(
            classes.names, class_colors(classes).tolist(), classes.is_thing, strict=True
        )
    ]


def _instance_index(labels: PanopticLabels) -> tuple[list[int], NDArray[np.uint16]]:
    """Ids of the instances, and the place of each point's id among them plus one; 0 for none."""
    ids, index = np.unique(np.maximum(labels.instance, 0), return_inverse=True)
    if len(ids) > MAX_INSTANCES:
        raise InputError(f"the viewer shows up to {MAX_INSTANCES - 1} instances, got {len(ids)}")
    shift = 0 if ids.size and ids[0] == 0 else 1
    return ids[ids > 0].tolist(), (index + shift).astype("<u2")


def instance_rows(scan: Scan, labels: PanopticLabels, classes: ClassTable) -> list[dict[str, Any]]:
    """What there is to say about each instance, by id: class, points, distance, outline and more.

    Lengths are metres; "hull" is the outline from above, (H, 2), from "low" to "high".
    """
    ids, index = _instance_index(labels)
    score = () if labels.score is None else labels.score
    rows = []
    for place, instance in enumerate(ids, 1):
        own = np.flatnonzero(index == place)
        points = scan.points[own]
        train_id = int(np.bincount(labels.semantic[own]).argmax())
        one, base = np.array([instance], np.int32), classes.colors[train_id][None]
        center = (points.min(axis=0) + points.max(axis=0)) / 2
        rows.append(
            {
                "id": instance,
                "class": train_id,
                "points": len(own),
                "distance": round(float(np.hypot(center[0], center[1])), 2),
                "center": center.round(2).tolist(),
                "size": np.ptp(points, axis=0).round(2).tolist(),
                "score": round(float(score[instance]), 3) if instance < len(score) else None,
                "shade": instance_shades(one, base)[0].tolist(),
                "hue": instance_hues(one)[0].tolist(),
                "hull": convex_hull(points[:, :2]).round(2).tolist(),
                "low": round(float(points[:, 2].min()), 2),
                "high": round(float(points[:, 2].max()), 2),
            }
        )
    return rows
