"""Everything that stands or moves in a town and can be counted, as labelled meshes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lidarpan.synthetic.actors import (
    buses,
    cars,
    machines,
    motorcycles,
    people,
    street_objects,
    trailers,
    trucks,
    two_wheelers,
)
from lidarpan.synthetic.actors.mesh import Mesh, join
from lidarpan.synthetic.kinds import KIND, KINDS

ACTOR_KINDS: tuple[str, ...] = tuple(kind.name for kind in KINDS if kind.has_instances)
"""The kinds make_actor knows."""


@dataclass(frozen=True)
class Actor:
    """One object of a town in its own frame.

    Attributes:
        kind: its kind, one of ACTOR_KINDS; every triangle carries it.
        mesh: x forward, y left, z up, origin on the ground below the middle of its bounding box.
        size_m: length, width and height of its bounding box.
    """

    kind: str
    mesh: Mesh
    size_m: tuple[float, float, float]


def make_actor(kind: str, rng: np.random.Generator) -> Actor:
    """A random object of a kind; the same generator state gives the same object.

    Raises:
        ValueError: the kind is not one of ACTOR_KINDS.
    """
    return _finish(kind, _parts(kind, rng))


def _parts(kind: str, rng: np.random.Generator) -> Sequence[Mesh]:
    match kind:
        case "car":
            return cars.car(rng)
        case "van":
            return cars.van(rng)
        case "truck":
            return trucks.truck(rng)
        case "bus":
            return buses.bus(rng)
        case "trailer":
            return trailers.trailer(rng)
        case "construction_vehicle":
            return machines.construction_vehicle(rng)
        case "tram":
            return buses.tram(rng)
        case "bicycle":
            return two_wheelers.bicycle(rng)[0]
        case "motorcycle":
            return motorcycles.motorcycle(rng)[0]
        case "bicyclist":
            return two_wheelers.with_rider(two_wheelers.bicycle(rng), rng, helmet=0.5)
        case "motorcyclist":
            return two_wheelers.with_rider(motorcycles.motorcycle(rng), rng, helmet=0.98)
        case "pedestrian" | "child" | "worker":
            return people.person(kind, rng)
        case "cone":
            return street_objects.cone(rng)
        case "barrier":
            return street_objects.barrier(rng)
        case _:
            raise ValueError(f"no actor of kind {kind!r}: wanted one of {', '.join(ACTOR_KINDS)}")


def _finish(kind: str, parts: Sequence[Mesh]) -> Actor:
    """Join the parts, give them their kind, and put the origin below the middle."""
    mesh = join(parts)
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    origin = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]], np.float32)
    vertices = mesh.vertices - origin
    kinds = np.full(len(mesh.triangles), KIND[kind], np.uint8)
    length, width, height = (float(extent) for extent in high - low)
    return Actor(
        kind, Mesh(vertices, mesh.triangles, kinds, mesh.material), (length, width, height)
    )
