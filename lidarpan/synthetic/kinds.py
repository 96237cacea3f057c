"""What a simulated surface is (its kind) and what it is made of (its material).

A kind is finer than the classes of either dataset and maps to the raw labels of both, so one town
can be written in either layout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import InputError


@dataclass(frozen=True)
class Kind:
    """One kind of surface and its raw labels.

    Attributes:
        name: snake_case name, unique.
        semantickitti: raw SemanticKITTI label when at rest.
        semantickitti_moving: raw SemanticKITTI label while moving.
        nuscenes: index of the nuScenes general class (0-31).
        has_instances: whether surfaces of this kind belong to countable objects.
    """

    name: str
    semantickitti: int
    semantickitti_moving: int
    nuscenes: int
    has_instances: bool


def _stuff(name: str, semantickitti: int, nuscenes: int) -> Kind:
    return Kind(name, semantickitti, semantickitti, nuscenes, False)


def _thing(name: str, semantickitti: int, moving: int, nuscenes: int) -> Kind:
    return Kind(name, semantickitti, moving, nuscenes, True)


KINDS: tuple[Kind, ...] = (
    _stuff("void", 0, 0),
    _thing("car", 10, 252, 17),
    _thing("van", 10, 252, 17),
    _thing("truck", 18, 258, 23),
    _thing("bus", 13, 257, 16),
    _thing("trailer", 20, 259, 22),
    _thing("construction_vehicle", 20, 259, 18),
    _thing("tram", 16, 256, 16),
    _thing("bicycle", 11, 11, 14),
    _thing("motorcycle", 15, 15, 21),
    _thing("bicyclist", 31, 253, 14),  # rider and bicycle are one segment in both datasets
    _thing("motorcyclist", 32, 255, 21),
    _thing("pedestrian", 30, 254, 2),
    _thing("child", 30, 254, 3),
    _thing("worker", 30, 254, 4),
    _thing("cone", 99, 99, 12),  # other-object in SemanticKITTI
    _thing("barrier", 99, 99, 9),
    _stuff("road", 40, 24),
    _stuff("lane_marking", 60, 24),
    _stuff("parking", 44, 24),
    _stuff("sidewalk", 48, 26),
    _stuff("other_ground", 49, 25),  # traffic islands, rails, medians
    _stuff("terrain", 72, 27),
    _stuff("building", 50, 28),
    _stuff("fence", 51, 28),
    _stuff("wall", 51, 28),
    _stuff("vegetation", 70, 30),
    _stuff("trunk", 71, 30),
    _stuff("pole", 80, 28),
    _stuff("sign", 81, 28),
    _stuff("other_structure", 52, 28),  # bridges, bus shelters
    _stuff("clutter", 99, 28),  # bins, boxes, benches
)

KIND: dict[str, int] = {kind.name: index for index, kind in enumerate(KINDS)}
"""Name -> index into KINDS."""

MATERIALS: tuple[str, ...] = (
    "asphalt",
    "marking",  # retroreflective lane paint
    "concrete",
    "gravel",
    "grass",
    "soil",
    "brick",
    "plaster",
    "glass",
    "metal",
    "wood",
    "leaf",
    "bark",
    "car_paint",
    "dark_paint",
    "rubber",
    "cloth",
    "skin",
    "plastic",
    "retroreflector",  # signs, plates, tail lights
    "setts",  # small paving stones
)

MATERIAL: dict[str, int] = {name: index for index, name in enumerate(MATERIALS)}
"""Name -> index into MATERIALS."""


def raw_labels(dataset: str) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Raw label of each kind at rest and moving, for a dataset that Kind has a field of."""
    if not hasattr(KINDS[0], dataset):
        raise InputError(f"no raw labels for {dataset!r}: wanted semantickitti or nuscenes")
    rest = [getattr(kind, dataset) for kind in KINDS]
    moving = [getattr(kind, f"{dataset}_moving", getattr(kind, dataset)) for kind in KINDS]
    return np.array(rest, np.int32), np.array(moving, np.int32)
