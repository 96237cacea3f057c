"""SUSTechPOINTS: `DRIVE/label/NAME.json`, a list of boxes for each scan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lidarpan.classes import ClassTable
from lidarpan.datasets.tools.frames import (
    Boxes,
    ToolFrame,
    class_of,
    id_of,
    made,
    numbers,
    read_tree,
    score_of,
    thing_names,
)
from lidarpan.structures import InputError
from lidarpan.whole_file import write_json


def write(folder: Path, drive: str, frames: Sequence[ToolFrame], classes: ClassTable) -> None:
    """Write a file for each scan; SUSTechPOINTS wants the scans in `DRIVE/lidar`."""
    for frame in frames:
        rows = []
        for box in frame.boxes:
            places = zip(("position", "scale"), (box.center_m, box.size_m), strict=True)
            psr = {key: dict(zip("xyz", map(_short, at), strict=True)) for key, at in places}
            psr["rotation"] = {"x": 0.0, "y": 0.0, "z": _short(box.yaw_rad)}
            name = classes.names[box.class_id]
            row: dict[str, object] = {"obj_id": str(box.id), "obj_type": name, "psr": psr}
            if box.score is not None:
                row["score"] = _short(box.score)
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
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError(f"{file}: wanted a list of boxes, got another thing")
        boxes = []
        for row in rows:
            what = f"the box {row.get('obj_id')!r}"
            psr = row.get("psr")
            parts = [psr.get(key) for key in _PARTS] if isinstance(psr, dict) else []
            places = [part for part in parts if isinstance(part, dict)]
            if len(places) < len(_PARTS):
                raise InputError(f"{file}: {what}: wanted psr with {', '.join(_PARTS)}")
            position, scale, rotation = (
                numbers([place.get(axis) for axis in "xyz"], 3, file, what) for place in places
            )
            kind = class_of(str(row.get("obj_type")), names, file)
            score = score_of(row.get("score"), file, what)
            number = id_of(row.get("obj_id"), file, what)
            boxes.append(made(number, kind, position, scale, rotation[2], score))
        found[frame.name] = boxes
    return found


_PARTS = ("position", "scale", "rotation")


def _short(value: float) -> float:
    return round(float(value), 4)
