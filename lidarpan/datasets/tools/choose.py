"""The formats of labelling tools, by the names that users give them."""

from __future__ import annotations

from lidarpan.datasets.tools import (
    cvat,
    kitti_boxes,
    nuscenes_boxes,
    openlabel,
    segments,
    sustech,
)
from lidarpan.datasets.tools.frames import ToolFormat
from lidarpan.structures import InputError

POINT_LABELER = "point-labeler"
"""Labels of points, not boxes: SemanticKITTI's layout."""

BOX_TOOLS: dict[str, ToolFormat] = {
    "kitti-boxes": kitti_boxes,
    "nuscenes-boxes": nuscenes_boxes,
    "openlabel": openlabel,
    "cvat": cvat,
    "segments": segments,
    "sustech": sustech,
}
TOOLS = (*BOX_TOOLS, POINT_LABELER)


def find_tool(name: str) -> ToolFormat:
    """The format of boxes of a name; InputError lists them."""
    if name not in BOX_TOOLS:
        raise InputError(f"no tool {name!r}: wanted {', '.join(TOOLS)}")
    return BOX_TOOLS[name]
