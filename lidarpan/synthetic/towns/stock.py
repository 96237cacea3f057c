"""The stock of actor shapes, and actors put into a town."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import IntArray
from lidarpan.synthetic.actors.actors import Actor, make_actor
from lidarpan.synthetic.actors.mesh import Mesh, join
from lidarpan.synthetic.kinds import KINDS
from lidarpan.synthetic.raycast import Caster
from lidarpan.synthetic.towns.site import Pose

VARIANTS: dict[str, int] = {
    "car": 24, "van": 10, "truck": 10, "bus": 6, "trailer": 6, "construction_vehicle": 8, "tram": 3,
    "bicycle": 10, "motorcycle": 8, "bicyclist": 14, "motorcyclist": 10, "pedestrian": 30,
    "child": 10, "worker": 10, "cone": 5, "barrier": 6,
}  # fmt: skip
"""How many shapes of each kind towns are stocked with."""


@lru_cache(maxsize=512)
def stock_actor(kind: str, variant: int) -> Actor:
    """The given shape of a kind, made once."""
    index = [k.name for k in KINDS].index(kind)
    return make_actor(kind, np.random.default_rng([index, variant, 4711]))


@dataclass(frozen=True)
class Placed:
    """An actor somewhere: its number, shape, pose, height of its ground, whether it moves."""

    number: int
    kind: str
    variant: int
    pose: Pose
    ground_m: float
    velocity: tuple[float, float] = (0.0, 0.0)
    moves: bool = False


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
    for actor in actors:
        x, y, yaw = actor.pose
        mesh = stock_actor(actor.kind, actor.variant).mesh.moved(x, y, actor.ground_m, yaw)
        meshes.append(mesh)
        owners.append(np.full(len(mesh.triangles), actor.number, np.int32))
        moving.append(np.full(len(mesh.triangles), actor.moves))
    mesh = join(meshes)
    owner = np.concatenate([np.zeros(0, np.int32), *owners])
    return Built(Caster(mesh), mesh, owner, np.concatenate([np.zeros(0, np.bool_), *moving]))


def without_overlaps(actors: list[Placed]) -> list[Placed]:
    """Leave out actors that stand in one another: circles along each length must not meet."""
    kept: list[Placed] = []
    centers, radii = np.zeros((0, 2)), np.zeros(0)
    for actor in actors:
        length, width, _ = stock_actor(actor.kind, actor.variant).size_m
        count = max(1, round(length / width))
        reach = max(0.0, (length - width) / 2)
        way = np.array([np.cos(actor.pose[2]), np.sin(actor.pose[2])])
        own = np.array(actor.pose[:2]) + np.linspace(-reach, reach, count)[:, None] * way
        gap = np.hypot(*(own[:, None] - centers[None]).transpose(2, 0, 1)) - radii[None]
        if gap.size and gap.min() < width / 2:
            continue
        kept.append(actor)
        centers = np.concatenate([centers, own])
        radii = np.concatenate([radii, np.full(count, width / 2)])
    return kept
