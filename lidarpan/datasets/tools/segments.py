"""Segments.ai: `DRIVE.json`, the label attributes of a sequence of point clouds with cuboids.

`categories.json` says what the category ids mean: train ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.datasets.tools.frames import (
    Boxes,
    ToolBox,
    ToolFrame,
    axes_of,
    by_axis,
    made,
    numbers,
    read_tree,
    rows_of,
    score_of,
)
from lidarpan.structures import InputError
from lidarpan.whole_file import write_json


def write(folder: Path, drive: str, frames: Sequence[ToolFrame], classes: ClassTable) -> None:
    """Write the drive's boxes and the categories."""
    content = {"format_version": "0.2", "frames": [_frame(frame) for frame in frames]}
    write_json(folder / f"{drive}.json", content, indent=1)
    categories = [
        {"id": thing, "name": classes.names[thing], "color": classes.colors[thing].tolist()}
        for thing in classes.things
    ]
    named = {"format_version": "0.1", "categories": categories}
    write_json(folder / "categories.json", named, indent=1)


def _frame(frame: ToolFrame) -> dict[str, Any]:
    boxes = [_row(k, box) for k, box in enumerate(frame.boxes, 1)]
    return {"format_version": "0.2", "timestamp": frame.time_s, "annotations": boxes}


def _row(number: int, box: ToolBox) -> dict[str, Any]:
    turn = (0.0, 0.0, np.sin(box.yaw_rad / 2), np.cos(box.yaw_rad / 2))
    row: dict[str, Any] = {
        "id": number,
        "category_id": box.class_id,
        "type": "cuboid",
        "position": by_axis(box.center_m),
        "dimensions": by_axis(box.size_m),
        "yaw": round(box.yaw_rad, 6),
        "rotation": dict(
            zip(("qx", "qy", "qz", "qw"), (round(float(q), 7) for q in turn), strict=True)
        ),
        "track_id": box.id,
        "is_keyframe": True,
    }
    if box.score is not None:
        row["attributes"] = {"confidence": round(float(box.score), 4)}
    return row


def read(folder: Path, drive: str, frames: Sequence[ToolFrame], classes: ClassTable) -> Boxes:
    """The boxes of the drive's scans, in their order."""
    file = folder / f"{drive}.json"
    content = read_tree(file)
    if content is None:
        return {}
    listed = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(listed, list) or len(listed) != len(frames):
        got = len(listed) if isinstance(listed, list) else "another thing"
        raise InputError(f"{file}: wanted {len(frames)} frames, as the drive has scans, got {got}")
    found = Boxes()
    for frame, entry in zip(frames, listed, strict=True):
        rows = entry.get("annotations") if isinstance(entry, dict) else None
        found[frame.name] = [
            _box(row, classes, file, f"a box of {frame.name}")
            for row in rows_of(rows, f"{file}: {frame.name}")
            if row.get("type") in ("cuboid", "cuboid-sync")
        ]
    return found


def _box(row: dict[str, Any], classes: ClassTable, file: Path, what: str) -> ToolBox:
    center, size = (
        axes_of(row.get(key), file, f"{what}: {key}") for key in ("position", "dimensions")
    )
    kind, number, yaw = numbers(
        [row.get("category_id"), row.get("track_id", row.get("id")), row.get("yaw", 0)],
        3,
        file,
        what,
    )
    if int(kind) not in classes.things:
        raise InputError(f"{file}: {what}: wanted a category of {list(classes.things)}, got {kind}")
    score = score_of((row.get("attributes") or {}).get("confidence"), file, what)
    return made(int(number), int(kind), center, size, yaw, score)
