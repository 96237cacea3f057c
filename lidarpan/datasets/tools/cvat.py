"""CVAT's 3D tasks: the Supervisely point cloud format ("Sly Point Cloud") that it imports.

`DRIVE/meta.json` has the classes, `DRIVE/key_id_map.json` numbers for all keys, and
`DRIVE/ds0/ann/NAME.pcd.json` the cuboids of a scan. Of CVAT's two formats it is the one that says
which side of a cuboid lies along which axis.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lidarpan.classes import ClassTable
from lidarpan.datasets.tools.frames import (
    Boxes,
    ToolBox,
    ToolFrame,
    axes_of,
    by_axis,
    class_of,
    made,
    read_tree,
    score_of,
    thing_names,
)
from lidarpan.structures import InputError
from lidarpan.whole_file import write_json

_SPACE = uuid.UUID("6f1d9c1e-6f0a-4f57-9a5c-2f5c0f6f2b51")  # keys are the same for the same input
_USER = {"labelerLogin": "", "createdAt": "", "updatedAt": ""}
_CONFIDENCE = "confidence"
_PARTS = ("position", "rotation", "dimensions")


def write(folder: Path, drive: str, frames: Sequence[ToolFrame], classes: ClassTable) -> None:
    """Write the drive's classes, keys and boxes."""
    top = folder / drive
    keys: dict[str, dict[str, int]] = {"tags": {}, "objects": {}, "figures": {}, "videos": {}}
    for frame in frames:
        frame_key = _key(drive, "frame", frame.name)
        keys["videos"][frame_key] = frame.number
        objects, figures = [], []
        for box in frame.boxes:
            object_key = _key(drive, "object", box.id)
            figure_key = _key(drive, "figure", frame.name, box.id)
            keys["objects"][object_key] = box.id
            keys["figures"][figure_key] = len(keys["figures"]) + 1
            tags = []
            if box.score is not None:
                tag = {"name": _CONFIDENCE, "value": round(box.score, 4), **_USER}
                tags = [{"key": _key(drive, "tag", frame.name, box.id), **tag}]
            named = {"key": object_key, "classTitle": classes.names[box.class_id], "tags": tags}
            objects.append({**named, "objects": [], "figures": [], **_USER})
            placed = {"key": figure_key, "objectKey": object_key, "geometryType": "cuboid_3d"}
            figures.append({**placed, "geometry": _geometry(box), **_USER})
        content = {"description": "", "key": frame_key, "tags": [], "objects": objects}
        content["figures"] = figures
        write_json(top / "ds0" / "ann" / f"{frame.name}.pcd.json", content, indent=1)
    kinds = [
        {"id": thing, "title": classes.names[thing], "shape": "cuboid_3d",
         "color": "#{:02x}{:02x}{:02x}".format(*classes.colors[thing].tolist())}
        for thing in classes.things
    ]  # fmt: skip
    confidence = {"name": _CONFIDENCE, "value_type": "any_number", "color": "", "id": 1,
                  "hotkey": "", "applicable_type": "objectsOnly", "classes": []}  # fmt: skip
    meta = {"classes": kinds, "tags": [confidence], "projectType": "point_clouds"}
    write_json(top / "meta.json", meta, indent=1)
    write_json(top / "key_id_map.json", keys, indent=1)


def _geometry(box: ToolBox) -> dict[str, dict[str, float]]:
    rows = (box.center_m, (0.0, 0.0, box.yaw_rad), box.size_m)
    return {name: by_axis(row, 5) for name, row in zip(_PARTS, rows, strict=True)}


def _key(*parts: object) -> str:
    return str(uuid.uuid5(_SPACE, "/".join(map(str, parts))))


def read(folder: Path, drive: str, frames: Sequence[ToolFrame], classes: ClassTable) -> Boxes:
    """The boxes of the scans that have a file."""
    top = folder / drive
    keys = read_tree(top / "key_id_map.json")
    if keys is None:
        return {}
    names, found = thing_names(classes), Boxes()
    for frame in frames:
        file = top / "ds0" / "ann" / f"{frame.name}.pcd.json"
        content = read_tree(file)
        if content is None:
            continue
        try:
            objects = {one["key"]: one for one in content["objects"]}
            found[frame.name] = [
                _box(figure, objects[figure["objectKey"]], keys["objects"], names, file)
                for figure in content["figures"]
            ]
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{file}: wanted cuboids of CVAT, got a damaged one ({error!r})"
            ) from None
    return found


def _box(figure: Any, one: Any, ids: dict[str, int], names: dict[str, int], file: Path) -> ToolBox:
    what = f"the figure {figure['key']}"
    center, turn, size = (axes_of(figure["geometry"][part], file, what) for part in _PARTS)
    said = (tag["value"] for tag in one.get("tags", []) if tag["name"] == _CONFIDENCE)
    score = score_of(next(said, None), file, what)
    kind = class_of(str(one["classTitle"]), names, file)
    return made(int(ids[one["key"]]), kind, center, size, turn[2], score)
