"""What stands on the ground, as lists of simple parts that become meshes all at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lidarpan.synthetic.kinds import KIND, MATERIAL

Choice = TypeVar("Choice")
Polygon = NDArray[np.float64]
Pose = tuple[float, float, float]
"""x, y in metres and yaw in radians."""


def draw(rng: np.random.Generator, low: float, high: float) -> float:
    """A uniform number from low up to high; low when high is below it."""
    return low + max(0.0, high - low) * float(rng.random())


def draw_log(rng: np.random.Generator, low: float, high: float) -> float:
    """A number from low to high whose logarithm is uniform."""
    return low * math.pow(high / low, float(rng.random()))


def pick(rng: np.random.Generator, options: Sequence[Choice]) -> Choice:
    """One of the options, each as likely as another."""
    return options[int(rng.random() * len(options))]


def place(frame: Pose, x: float, y: float) -> tuple[float, float]:
    """A point of a local frame in the world."""
    cos, sin = float(np.cos(frame[2])), float(np.sin(frame[2]))
    return frame[0] + cos * x - sin * y, frame[1] + sin * x + cos * y


def place_all(frame: Pose, points: object) -> Polygon:
    """Points of a local frame in the world. (K, 2) -> (K, 2)."""
    local = np.asarray(points, np.float64)
    cos, sin = np.cos(frame[2]), np.sin(frame[2])
    turn = np.array([[cos, sin], [-sin, cos]])
    world: Polygon = local @ turn + np.array(frame[:2])
    return world


@dataclass(frozen=True)
class ActorSpot:
    """Where an actor stands: its kind, which shape of that kind, and its pose."""

    kind: str
    variant: int
    pose: Pose


@dataclass
class Site:
    """Everything that is planned for a piece of land, in world coordinates.

    A part row is (anchor x, anchor y, x, y, yaw, length, width, height, bottom over the ground at
    the anchor, shape parameter, kind, material, density): solid parts have density 0.
    """

    surfaces: list[tuple[str, Polygon]] = field(default_factory=list)
    mounds: list[tuple[float, Polygon]] = field(default_factory=list)
    actors: list[ActorSpot] = field(default_factory=list)
    parts: dict[str, list[tuple[float, ...]]] = field(
        default_factory=lambda: {"box": [], "gable": [], "tube": [], "blob": []}
    )

    def paint(self, surface: str, frame: Pose, points: object) -> None:
        """Cover a polygon, given in a local frame, with a surface."""
        self.cover(surface, place_all(frame, points))

    def cover(self, surface: str, outline: Polygon) -> None:
        """Cover a polygon of the world, (K, 2) metres, with a surface."""
        self.surfaces.append((surface, outline))

    def paint_rectangle(
        self, surface: str, frame: Pose, x0: float, y0: float, x1: float, y1: float
    ) -> None:
        """Cover an axis-parallel rectangle of a local frame."""
        self.paint(surface, frame, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)])

    def raise_land(self, rise_m: float, frame: Pose, points: object) -> None:
        """Raise (or sink) the land inside a polygon of a local frame."""
        self.mounds.append((rise_m, place_all(frame, points)))

    def add(
        self,
        shape: str,
        pose: Pose,
        size: tuple[float, float, float],
        kind: str,
        material: str,
        *,
        at: tuple[float, float] = (0.0, 0.0),
        bottom: float = 0.0,
        density: float = 0.0,
        parameter: float = 0.0,
        anchor: tuple[float, float] | None = None,
    ) -> None:
        """Add a part standing in a local frame.

        Args:
            shape: "box"; "gable" (a roof, parameter: inset of the ridge's ends over half the
                length, 0 is a gable and 1 a pyramid); "tube" (parameter: top radius over bottom
                radius); "blob" (an ellipsoid).
            pose: the frame, x, y and yaw in the world.
            size: length, width, height in metres.
            kind: name of the kind.
            material: name of the material.
            at: x, y of the middle in the frame.
            bottom: height of the lower end over the ground at the anchor.
            density: 0 for a solid, else stops per metre of a porous body.
            parameter: see shape.
            anchor: where the ground height is taken; the middle by default.
        """
        own = pose if at == (0.0, 0.0) else (*place(pose, *at), pose[2])
        spot = (*(anchor or own[:2]), *own, *size)
        row = (*spot, bottom, parameter, KIND[kind], MATERIAL[material], density)
        self.parts[shape].append(row)

    def put(self, kind: str, variant: int, pose: Pose) -> None:
        """Let an actor stand at a pose."""
        self.actors.append(ActorSpot(kind, variant, pose))

    def merge(self, other: Site) -> None:
        """Take over everything of another site."""
        self.surfaces += other.surfaces
        self.mounds += other.mounds
        self.actors += other.actors
        for shape, rows in other.parts.items():
            self.parts[shape] += rows
