"""What stands on the ground, as lists of simple parts that become meshes all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import FloatArray
from lidarpan.synthetic.ground import Ground
from lidarpan.synthetic.kinds import KIND, MATERIAL
from lidarpan.synthetic.mesh import Mesh, join

Choice = TypeVar("Choice")
Polygon = NDArray[np.float64]
Pose = tuple[float, float, float]
"""x, y in metres and yaw in radians."""


def draw(rng: np.random.Generator, low: float, high: float) -> float:
    """A uniform number from low up to high; low when high is below it."""
    return low + max(0.0, high - low) * float(rng.random())


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
        self.surfaces.append((surface, place_all(frame, points)))

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
        bottom: float = 0.0,
        density: float = 0.0,
        parameter: float = 0.0,
        anchor: tuple[float, float] | None = None,
    ) -> None:
        """Add a part standing at a world pose.

        Args:
            shape: "box"; "gable" (a roof, parameter: inset of the ridge's ends over half the
                length, 0 is a gable and 1 a pyramid); "tube" (parameter: top radius over bottom
                radius); "blob" (an ellipsoid).
            pose: x, y of the middle and yaw.
            size: length, width, height in metres.
            kind: name of the kind.
            material: name of the material.
            bottom: height of the lower end over the ground at the anchor.
            density: 0 for a solid, else stops per metre of a porous body.
            parameter: see shape.
            anchor: where the ground height is taken; the middle by default.
        """
        ax, ay = anchor or pose[:2]
        row = (ax, ay, *pose, *size, bottom, parameter, KIND[kind], MATERIAL[material], density)
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


@dataclass(frozen=True)
class Body:
    """A mesh and, for porous bodies, how dense each triangle's body is (0: solid)."""

    mesh: Mesh
    density: FloatArray


_BOX = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0, 1)])
_BOX_FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
     [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]
)  # fmt: skip
_GABLE_FACES = np.array(
    [[0, 1, 5], [0, 5, 4], [2, 3, 4], [2, 4, 5], [1, 2, 5], [3, 0, 4], [0, 3, 2], [0, 2, 1]]
)
_SIDES = 8


def _tube_unit() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    angle = 2 * np.pi * np.arange(_SIDES) / _SIDES
    ring = np.stack([0.5 * np.cos(angle), 0.5 * np.sin(angle)], axis=1)
    points = np.concatenate([np.c_[ring, np.zeros(_SIDES)], np.c_[ring, np.ones(_SIDES)]])
    a = np.arange(_SIDES)
    b = (a + 1) % _SIDES
    skin = np.concatenate([np.c_[a, b, b + _SIDES], np.c_[a, b + _SIDES, a + _SIDES]])
    top = np.c_[np.full(_SIDES - 2, _SIDES), _SIDES + a[1:-1], _SIDES + a[2:]]
    return points, np.concatenate([skin, top])


def _blob_unit() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A twice-stacked octahedron-like ball: 5 rings of 8, poles, outward triangles; z in [0, 1]."""
    sides, tilts = 8, np.radians([-60, -25, 10, 40, 68])
    angle = 2 * np.pi * np.arange(sides) / sides
    rings = [
        np.c_[np.cos(t) * np.cos(angle + 0.4 * k), np.cos(t) * np.sin(angle + 0.4 * k),
              np.full(sides, np.sin(t))]
        for k, t in enumerate(tilts)
    ]  # fmt: skip
    points = np.concatenate([*rings, [[0, 0, -1.0]], [[0, 0, 1.0]]])
    a = np.arange(sides)
    b = (a + 1) % sides
    faces = []
    for k in range(len(tilts) - 1):
        low, high = k * sides, (k + 1) * sides
        faces += [np.c_[low + a, low + b, high + b], np.c_[low + a, high + b, high + a]]
    last = (len(tilts) - 1) * sides
    south, north = len(points) - 2, len(points) - 1
    faces += [np.c_[b, a, np.full(sides, south)], np.c_[last + a, last + b, np.full(sides, north)]]
    return points * 0.5 + [0, 0, 0.5], np.concatenate(faces)


_TUBE, _TUBE_FACES = _tube_unit()
_BLOB, _BLOB_FACES = _blob_unit()


def _unit_points(shape: str, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit-size vertices of each row. (n, 13) -> (n, V, 3)."""
    count, parameter = len(rows), rows[:, 9]
    if shape == "box":
        return np.broadcast_to(_BOX, (count, *_BOX.shape))
    if shape == "tube":
        points = np.repeat(_TUBE[None], count, axis=0)
        points[:, _SIDES:, :2] *= parameter[:, None, None]
        return points
    if shape == "blob":
        lumps = np.abs(np.sin(12.9898 * rows[:, 2:3] + 78.233 * np.arange(len(_BLOB))))
        middle = np.array([0, 0, 0.5])
        scale = (0.82 + 0.36 * lumps)[:, :, None]
        return (_BLOB - middle) * scale + middle
    ridge = 0.5 * (1 - parameter)
    points = np.zeros((count, 6, 3))
    points[:, :4, :2] = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]
    points[:, 4, 0], points[:, 5, 0] = -ridge, ridge
    points[:, 4:, 2] = 1
    return points


_FACES = {"box": _BOX_FACES, "gable": _GABLE_FACES, "tube": _TUBE_FACES, "blob": _BLOB_FACES}


def build_parts(site: Site, ground: Ground, barred: NDArray[np.bool_]) -> tuple[Body, Body]:
    """The solid and the porous bodies of a site standing on the ground.

    Args:
        site: the parts.
        ground: gives the height under each anchor; parts anchored off it are left out.
        barred: (number of surfaces,) bool: leafy parts and low parts whose anchor lies on such a
            surface are left out (no hedge grows on a road).
    """
    solid, porous = [], []
    for shape, part_rows in site.parts.items():
        if not part_rows:
            continue
        rows = np.array(part_rows, np.float64)
        rows = rows[ground.contains(rows[:, :2])]
        rows = rows[~barred[ground.codes_at(rows[:, :2])]]
        bottom = rows[:, 8] + ground.heights_at(rows[:, :2])
        points = _unit_points(shape, rows) * rows[:, None, 5:8]
        cos, sin = np.cos(rows[:, 4])[:, None], np.sin(rows[:, 4])[:, None]
        world = np.empty(points.shape, np.float32)
        world[..., 0] = cos * points[..., 0] - sin * points[..., 1] + rows[:, 2:3]
        world[..., 1] = sin * points[..., 0] + cos * points[..., 1] + rows[:, 3:4]
        world[..., 2] = points[..., 2] + bottom[:, None]
        for chosen, bodies in ((rows[:, 12] == 0, solid), (rows[:, 12] > 0, porous)):
            bodies.append(_assemble(world[chosen], rows[chosen], _FACES[shape]))
    return _join(solid), _join(porous)


def _assemble(world: FloatArray, rows: NDArray[np.float64], faces: NDArray[np.int64]) -> Body:
    count, vertices = world.shape[:2]
    triangles = faces[None] + (np.arange(count) * vertices)[:, None, None]
    per = len(faces)
    mesh = Mesh(
        world.reshape(-1, 3),
        triangles.reshape(-1, 3).astype(np.int32),
        np.repeat(rows[:, 10].astype(np.uint8), per),
        np.repeat(rows[:, 11].astype(np.uint8), per),
    )
    return Body(mesh, np.repeat(rows[:, 12].astype(np.float32), per))


def _join(bodies: list[Body]) -> Body:
    density = np.concatenate([np.zeros(0, np.float32), *(body.density for body in bodies)])
    return Body(join([body.mesh for body in bodies]), density)
