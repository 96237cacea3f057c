"""SUSTechPOINTS: `DRIVE/label/NAME.json`, a list of boxes for each scan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lidarpan.classes import ClassTable
from lidarpan.datasets.tools.frames import (
    Boxes,
    ToolFrame,
    axes_of,
    by_axis,
    class_of,
    id_of,
    made,
    read_tree,
    rows_of,
    score_of,
    thing_names,
)
from lidarpan.structures import InputError
from lidarpan.whole_file import write_json

_PARTS = ("position", "scale", "rotation")


def write(folder: Path, drive: str, frames: Sequence[ToolFrame], classes: ClassTable) -> None:
    """Write a file for each scan; SUSTechPOINTS wants the scans in `DRIVE/lidar`."""
    for frame in frames:
        rows = []
        for box in frame.boxes:
            places = (box.center_m, box.size_m, (0.0, 0.0, box.yaw_rad))
            psr = {key: by_axis(place) for key, place in zip(_PARTS, places, strict=True)}
            name = classes.names[box.class_id]
            row: dict[str, object] = {"obj_id": str(box.id), "obj_type": name, "psr": psr}
            if box.score is not None:
                row["score"] = round(float(box.score), 4)
            rows.append(row)
        write_json(folder / drive / "label" / f"{frame.name}.json", rows, indent=1)


def read(folder: Path, drive: str, frames: Sequence[ToolFrame], classes: ClassTable) -> Boxes:
    """The boxes of each scan that has a file."""
    names, found = thing_names(classes), Boxes()
    for frame in frames:
        file = folder / drive / "label" / f"{frame.name}.json"
        rows = read_tree(file)
        if rows is None:
            continue
        rows = rows.get("objs", rows) if isinstance(rows, dict) else rows
        boxes = []
        for row in rows_of(rows, str(file)):
            what, psr = f"the box {row.get('obj_id')!r}", row.get("psr")
            if not isinstance(psr, dict):
                raise InputError(f"{file}: {what}: wanted psr with {', '.join(_PARTS)}")
            position, scale, rotation = (
                axes_of(psr.get(key), file, f"{what}: {key}") for key in _PARTS
            )
            kind = class_of(str(row.get("obj_type")), names, file)
            score = score_of(row.get("score"), file, what)
            number = id_of(row.get("obj_id"), file, what)
            boxes.append(made(number, kind, position, scale, rotation[2], score))
        found[frame.name] = boxes
    return found
