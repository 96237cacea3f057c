"""The unchanging tables of a nuScenes tree, and its tokens."""

from __future__ import annotations

import hashlib
from typing import Any

from lidarpan.synthetic.tables import read_table

Row = dict[str, Any]

_TABLE = read_table("nuscenes")

GENERAL_CLASSES: tuple[str, ...] = _TABLE["general_classes"]
"""The general classes by their index in label files (nuScenes-lidarseg's category table)."""

ATTRIBUTES: tuple[str, ...] = _TABLE["attributes"]

_VISIBILITY = (("1", "v0-40"), ("2", "v40-60"), ("3", "v60-80"), ("4", "v80-100"))


def token(*parts: object) -> str:
    """A token of 32 hexadecimal digits, the same for the same parts."""
    text = "/".join(str(part) for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def unchanging_tables() -> dict[str, list[Row]]:
    """The tables category, attribute, visibility and sensor."""
    return {
        "category": [
            {"token": token("category", name), "name": name, "description": "", "index": index}
            for index, name in enumerate(GENERAL_CLASSES)
        ],
        "attribute": [
            {"token": token("attribute", name), "name": name, "description": ""}
            for name in ATTRIBUTES
        ],
        "visibility": [
            {"token": number, "level": level, "description": ""} for number, level in _VISIBILITY
        ],
        "sensor": [
            {"token": token("sensor"), "channel": "LIDAR_TOP", "modality": "lidar"},
        ],
    }


def attribute_of(category: str, speed_m_s: float) -> list[str]:
    """Attribute tokens of an object by its class and speed; none for classes without."""
    moving = speed_m_s > 0.2
    match category.split("."):
        case ["human", "pedestrian", *_]:
            name = "pedestrian.moving" if moving else "pedestrian.standing"
        case ["vehicle", "bicycle" | "motorcycle"]:
            name = "cycle.with_rider" if moving else "cycle.without_rider"
        case ["vehicle", *_]:
            name = "vehicle.moving" if moving else "vehicle.parked"
        case _:
            return []
    return [token("attribute", name)]
