"""nuScenes' detection results with ids: `results_nusc.json`, boxes in the world by scan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lidarpan.classes import ClassTable, load_class_table
from lidarpan.datasets.boxes import nuscenes_row
from lidarpan.datasets.nuscenes_frame import transform
from lidarpan.datasets.nuscenes_labels import INPUTS, NAME
from lidarpan.datasets.tools.frames import (
    Boxes,
    ToolBox,
    ToolFrame,
    class_of,
    id_of,
    made,
    numbers,
    read_tree,
    rows_of,
    thing_names,
)
from lidarpan.structures import InputError
from lidarpan.whole_file import write_json

FILE = "results_nusc.json"


def write(folder: Path, drive: str, frames: Sequence[ToolFrame], classes: ClassTable) -> None:
    """Add the drive's boxes to the file.

    A scan is called DRIVE/NAME; the boxes of one without a pose stay in its frame. Classes that
    nuScenes does not detect are left out.
    """
    names = load_class_table(NAME).names
    file = folder / FILE
    content = read_tree(file) or {"meta": INPUTS, "results": {}}
    for frame in frames:
        token = f"{drive}/{frame.name}"
        content["results"][token] = [
            _row(token, box, frame, names[classes.to_nuscenes[box.class_id]], classes)
            for box in frame.boxes
            if classes.to_nuscenes[box.class_id]
        ]
    write_json(file, content)


def _row(
    token: str, box: ToolBox, frame: ToolFrame, name: str, classes: ClassTable
) -> dict[str, Any]:
    pose = np.eye(4) if frame.world_T_sensor is None else frame.world_T_sensor
    own = {"tracking_id": str(box.id), "class_name": classes.names[box.class_id]}
    return nuscenes_row(token, box, pose, name) | own


def read(folder: Path, drive: str, frames: Sequence[ToolFrame], classes: ClassTable) -> Boxes:
    """The boxes of the scans that the file has."""
    file = folder / FILE
    content = read_tree(file)
    if content is None:
        return {}
    if not isinstance(content, dict) or not isinstance(content.get("results"), dict):
        raise InputError(f"{file}: wanted nuScenes' results, got another thing")
    own = thing_names(classes)
    theirs = {load_class_table(NAME).names[classes.to_nuscenes[t]]: t for t in classes.things[::-1]}
    found = Boxes()
    for frame in frames:
        rows = content["results"].get(f"{drive}/{frame.name}")
        if rows is None:
            continue
        pose = np.eye(4) if frame.world_T_sensor is None else frame.world_T_sensor
        sensor_T = np.linalg.inv(pose)
        boxes = []
        for row in rows_of(rows, f"{file}: {drive}/{frame.name}"):
            what = f"a box of {drive}/{frame.name}"
            center = numbers(row.get("translation"), 3, file, what)
            width, length, height = numbers(row.get("size"), 3, file, what)
            turn = transform([0, 0, 0], numbers(row.get("rotation"), 4, file, what))
            yaw = np.arctan2(turn[1, 0], turn[0, 0]) - np.arctan2(pose[1, 0], pose[0, 0])
            detected = str(row.get("detection_name"))
            said = str(row.get("class_name"))
            is_own = said in own and theirs.get(detected) is not None
            kind = own[said] if is_own else class_of(detected, theirs, file)
            number = id_of(row.get("tracking_id"), file, what)
            score = numbers([row.get("detection_score", 1.0)], 1, file, what)[0]
            place = sensor_T[:3, :3] @ center + sensor_T[:3, 3]
            size = (length, width, height)
            boxes.append(made(number, kind, place.tolist(), size, float(yaw), score))
        found[frame.name] = boxes
    return found
