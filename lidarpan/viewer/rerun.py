"""Scans and labels to a rerun recording (.rrd): points, objects, errors and what classes mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.draw.colors import ERROR_COLORS, class_colors, color_points
from lidarpan.metrics.errors import POINT_KINDS, point_errors
from lidarpan.optional import need
from lidarpan.structures import InputError, PanopticLabels, Scan
from lidarpan.viewer import instance_rows
from lidarpan.whole_file import whole_file

if TYPE_CHECKING:
    from types import ModuleType

    Frame = tuple[Scan, PanopticLabels | None, PanopticLabels | None]

RADIUS_PX = 1.5


def write_rerun(
    path: Path | str,
    frames: Iterable[Frame],
    classes: ClassTable | None = None,
    *,
    poses: NDArray[np.float64] | None = None,
) -> int:
    """Write scans as one recording for the rerun viewer; returns the number of scans.

    The timeline "scan" counts them. `world/sensor/prediction` and `truth` hold the points with
    class ids and instance ids, coloured by instance, and `objects` below each the outlines with
    class and id as label; `world/sensor/errors` compares the two. What the ids mean stands in
    annotation contexts. Without labels the points are coloured by height.

    Args:
        path: the .rrd; written whole or not at all.
        frames: scan, labels and true labels; read one at a time.
        classes: of the labels.
        poses: (T, 4, 4) world_T_sensor; None leaves all scans at the origin.

    Raises:
        InputError: rerun is not installed, there is no scan, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".rrd":
        raise InputError(f"{path}: a rerun recording is an .rrd, got {path.suffix or 'no suffix'}")
    rerun = need("rerun", "rerun", "a recording for rerun")
    count = 0
    with whole_file(path) as beside:
        stream = rerun.RecordingStream("lidarpan")
        stream.save(beside)
        stream.log("world", rerun.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        if classes is not None:
            _log_meanings(rerun, stream, classes)
        for scan, labels, truth in frames:
            stream.set_time("scan", sequence=count)
            if poses is not None:
                pose = poses[count]
                placed = rerun.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3])
                stream.log("world/sensor", placed)
            _log_frame(rerun, stream, scan, labels, truth, classes)
            count += 1
        if not count:
            raise InputError(f"{path}: a recording needs at least one scan, got none")
        stream.flush(blocking=True)
        stream.disconnect()
    return count


def _log_meanings(rerun: ModuleType, stream: Any, classes: ClassTable) -> None:
    """Names and colours of the classes for all points, and of the errors for theirs."""
    table = class_colors(classes)
    names = [name.replace("_", " ") for name in classes.names]
    for place, rows in (
        ("world", zip(names, table.tolist(), strict=True)),
        ("world/sensor/errors", [(kind, ERROR_COLORS[kind]) for kind in POINT_KINDS]),
    ):
        meanings = [_meaning(rerun, i, name, color) for i, (name, color) in enumerate(rows)]
        stream.log(place, rerun.AnnotationContext(meanings), static=True)


def _meaning(rerun: ModuleType, number: int, name: str, color: Sequence[int]) -> Any:
    info = rerun.AnnotationInfo(id=number, label=name, color=tuple(color))
    meaning = rerun.datatypes.ClassDescriptionMapElem(
        class_id=number, class_description=rerun.ClassDescription(info=info)
    )
    # rerun 0.23 turns its own ClassId into an array in a way that only numpy 2 knows
    object.__setattr__(meaning, "class_id", number)
    return meaning


def _log_frame(
    rerun: ModuleType,
    stream: Any,
    scan: Scan,
    labels: PanopticLabels | None,
    truth: PanopticLabels | None,
    classes: ClassTable | None,
) -> None:
    radius = rerun.Radius.ui_points(RADIUS_PX)
    more = {"intensity": scan.intensity}
    if labels is None or classes is None:
        colors = color_points(scan, None, None, None, "height").colors
        stream.log("world/sensor/points", rerun.Points3D(scan.points, colors=colors, radii=radius))
        stream.log("world/sensor/points", rerun.AnyValues(**more))
        return
    for name, own in (("prediction", labels), ("truth", truth)):
        if own is None:
            continue
        place = f"world/sensor/{name}"
        colors = color_points(scan, own, classes, None, "panoptic").colors
        ids = own.semantic.astype(np.uint16)
        points = rerun.Points3D(scan.points, colors=colors, class_ids=ids, radii=radius)
        stream.log(place, points)
        stream.log(place, rerun.AnyValues(instance_id=own.instance, **more))
        _log_objects(rerun, stream, f"{place}/objects", scan, own, classes)
    if truth is not None:
        kinds = point_errors(labels, truth, classes).astype(np.uint16)
        wrong = rerun.Points3D(scan.points, class_ids=kinds, radii=radius)
        stream.log("world/sensor/errors", wrong)


def _log_objects(
    rerun: ModuleType,
    stream: Any,
    place: str,
    scan: Scan,
    labels: PanopticLabels,
    classes: ClassTable,
) -> None:
    """Outlines from above at the lowest and the highest point, with class, id and score."""
    rows = instance_rows(scan, labels, classes)
    strips, texts, colors, ids = [], [], [], []
    for row in rows:
        hull = np.array([*row["hull"], row["hull"][0]], np.float32)
        rings = [np.column_stack([hull, np.full(len(hull), z)]) for z in (row["low"], row["high"])]
        strips.append(np.concatenate(rings).astype(np.float32))
        name = f"{classes.names[row['class']].replace('_', ' ')} {row['id']}"
        texts.append(name if row["score"] is None else f"{name} ({row['score']:.2f})")
        colors.append(row["shade"])
        ids.append(row["class"])
    outlines = rerun.LineStrips3D(strips, labels=texts, colors=colors, class_ids=ids)
    stream.log(place, outlines)
