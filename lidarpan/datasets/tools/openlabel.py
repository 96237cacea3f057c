"""ASAM OpenLABEL 1.0.0: `DRIVE.json`, cuboids with a quaternion, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.datasets.nuscenes_frame import transform
from lidarpan.datasets.tools.frames import (
    Boxes,
    ToolBox,
    ToolFrame,
    class_of,
    id_of,
    made,
    numbers,
    read_tree,
    thing_names,
)
from lidarpan.structures import InputError
from lidarpan.whole_file import write_json

_SENSOR, _BOX = "lidar", "box"


def write(folder: Path, drive: str, frames: Sequence[ToolFrame], classes: ClassTable) -> None:
    """Write the drive's boxes; a scan is the frame of its number."""
    objects: dict[str, dict[str, Any]] = {}
    for frame in frames:
        for box in frame.boxes:
            kind = classes.names[box.class_id]
            known = objects.setdefault(
                str(box.id), {"name": f"{kind}-{box.id}", "type": kind, "frame_intervals": []}
            )
            _extend(known["frame_intervals"], frame.number)
    content = {
        "metadata": {"schema_version": "1.0.0", "name": drive},
        "streams": {_SENSOR: {"type": "lidar", "description": "x forward, y left, z up"}},
        "coordinate_systems": {_SENSOR: {"type": "sensor", "parent": "", "children": []}},
        "objects": objects,
        "frames": {str(frame.number): _frame(frame) for frame in frames},
        "frame_intervals": _intervals([frame.number for frame in frames]),
    }
    write_json(folder / f"{drive}.json", {"openlabel": content}, indent=1)


def _frame(frame: ToolFrame) -> dict[str, Any]:
    stream = {_SENSOR: {"uri": frame.name}}
    properties = {"timestamp": f"{frame.time_s:.6f}", "streams": stream}
    boxes = {str(box.id): {"object_data": {"cuboid": [_cuboid(box)]}} for box in frame.boxes}
    return {"objects": boxes, "frame_properties": properties}


def _cuboid(box: ToolBox) -> dict[str, Any]:
    turn = (0.0, 0.0, np.sin(box.yaw_rad / 2), np.cos(box.yaw_rad / 2))
    values = [*box.center_m, *turn, *box.size_m]
    cuboid: dict[str, Any] = {
        "name": _BOX,
        "val": [round(float(value), 6) for value in values],
        "coordinate_system": _SENSOR,
    }
    if box.score is not None:
        cuboid["attributes"] = {"num": [{"name": "confidence", "val": round(box.score, 4)}]}
    return cuboid


def _intervals(numbers_: Sequence[int]) -> list[dict[str, int]]:
    found: list[dict[str, int]] = []
    for number in sorted(numbers_):
        _extend(found, number)
    return found


def _extend(intervals: list[dict[str, int]], number: int) -> None:
    if intervals and number == intervals[-1]["frame_end"] + 1:
        intervals[-1]["frame_end"] = number
    elif not intervals or number > intervals[-1]["frame_end"]:
        intervals.append({"frame_start": number, "frame_end": number})


def read(folder: Path, drive: str, frames: Sequence[ToolFrame], classes: ClassTable) -> Boxes:
    """The boxes of the frames that the file has."""
    file = folder / f"{drive}.json"
    tree = read_tree(file)
    if tree is None:
        return {}
    content = tree.get("openlabel") if isinstance(tree, dict) else None
    if not isinstance(content, dict) or not isinstance(content.get("frames"), dict):
        raise InputError(f"{file}: wanted OpenLABEL with frames, got another thing")
    names, found = thing_names(classes), Boxes()
    try:
        kinds = {key: str(one["type"]) for key, one in content.get("objects", {}).items()}
        for frame in frames:
            entry = content["frames"].get(str(frame.number))
            if entry is not None:
                boxes = entry.get("objects", {}).items()
                found[frame.name] = [
                    _box(key, one, kinds, names, file)
                    for key, one in boxes
                    if one.get("object_data", {}).get("cuboid")
                ]
    except (KeyError, AttributeError, TypeError, IndexError) as error:
        raise InputError(
            f"{file}: wanted OpenLABEL cuboids, got a damaged one ({error!r})"
        ) from None
    return found


def _box(key: str, one: Any, kinds: dict[str, str], names: dict[str, int], file: Path) -> ToolBox:
    cuboid = one["object_data"]["cuboid"][0]
    what = f"the object {key}"
    count = len(cuboid["val"])
    values = numbers(cuboid["val"], 9 if count == 9 else 10, file, what)
    if count == 9:
        yaw = values[5]
    else:
        x, y, z, w = values[3:7]
        turn = transform([0, 0, 0], [w, x, y, z])
        yaw = float(np.arctan2(turn[1, 0], turn[0, 0]))
    scores = cuboid.get("attributes", {}).get("num", [])
    score = next((float(s["val"]) for s in scores if s["name"] == "confidence"), None)
    kind, number = class_of(kinds[key], names, file), id_of(key, file, what)
    return made(number, kind, values[:3], values[-3:], yaw, score)
