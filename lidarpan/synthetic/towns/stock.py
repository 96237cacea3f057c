"""The actor shapes of a town, and actors put into it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import IntArray
from lidarpan.synthetic.actors.actors import Actor, is_held_out, make_actor
from lidarpan.synthetic.actors.mesh import Mesh, join
from lidarpan.synthetic.kinds import KIND, KINDS
from lidarpan.synthetic.raycast import Caster
from lidarpan.synthetic.towns.site import Pose

VARIANTS = {kind.name: kind.variants for kind in KINDS if kind.has_instances}
"""How many shapes of each kind one town has; every town draws its own."""


@dataclass(frozen=True)
class Shape:
    """Which shape of a kind it is, in the town of which seed, and from which part of the range."""

    kind: str
    number: int
    seed: int
    held_out: bool = False


@lru_cache(maxsize=512)
def stock_actor(shape: Shape) -> Actor:
    """The object of a shape, drawn until it lies in its part of the range."""
    index = KIND[shape.kind]
    rng = np.random.default_rng([index, shape.number, shape.seed, 4711])
    while True:
        actor = make_actor(shape.kind, rng)
        if is_held_out(actor) == shape.held_out:
            return actor


@dataclass(frozen=True)
class Placed:
    """An actor somewhere: its number, shape, pose, height of its ground, whether it moves."""

    number: int
    shape: Shape
    pose: Pose
    ground_m: float
    velocity: tuple[float, float] = (0.0, 0.0)
    moves: bool = False

    @property
    def actor(self) -> Actor:
        """What stands there."""
        return stock_actor(self.shape)


@dataclass(frozen=True)
class Built:
    """Triangles ready to be cast at.

    Attributes:
        caster: of the mesh.
        mesh: the triangles.
        instance: (T,) int32 actor number of each triangle, 0 for none.
        moving: (T,) bool.
    """

    caster: Caster
    mesh: Mesh
    instance: IntArray
    moving: NDArray[np.bool_]


def build_actors(actors: list[Placed], besides: Mesh | None = None) -> Built:
    """Actors, and a mesh that belongs to nobody, as one."""
    meshes, owners, moving = [], [], []
    if besides is not None:
        meshes.append(besides)
        owners.append(np.zeros(len(besides.triangles), np.int32))
        moving.append(np.zeros(len(besides.triangles), np.bool_))
    for placed in actors:
        x, y, yaw = placed.pose
        mesh = placed.actor.mesh.moved(x, y, placed.ground_m, yaw)
        meshes.append(mesh)
        owners.append(np.full(len(mesh.triangles), placed.number, np.int32))
        moving.append(np.full(len(mesh.triangles), placed.moves))
    mesh = join(meshes)
    owner = np.concatenate([np.zeros(0, np.int32), *owners])
    return Built(Caster(mesh), mesh, owner, np.concatenate([np.zeros(0, np.bool_), *moving]))


def without_overlaps(actors: list[Placed]) -> list[Placed]:
    """Leave out actors that stand in one another: circles along their longer sides would meet."""
    kept: list[Placed] = []
    centers, radii = np.zeros((0, 2)), np.zeros(0)
    for placed in actors:
        length, width, _ = placed.actor.size_m
        turn = placed.pose[2] + (np.pi / 2 if width > length else 0.0)
        length, width = max(length, width), min(length, width)
        count = int(np.ceil(length / width))
        at = (np.arange(count) - (count - 1) / 2) * (length - width) / max(count - 1, 1)
        own = np.array(placed.pose[:2]) + at[:, None] * [np.cos(turn), np.sin(turn)]
        gap = np.hypot(*(own[:, None] - centers[None]).transpose(2, 0, 1)) - radii[None]
        if gap.size and gap.min() < width / 2:
            continue
        kept.append(placed)
        centers = np.concatenate([centers, own])
        radii = np.concatenate([radii, np.full(count, width / 2)])
    return kept
