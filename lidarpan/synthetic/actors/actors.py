"""Everything that stands or moves in a town and can be counted, as labelled meshes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

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
from lidarpan.synthetic.actors.two_wheelers import Seat
from lidarpan.synthetic.kinds import KIND, KINDS

ACTOR_KINDS: tuple[str, ...] = tuple(kind.name for kind in KINDS if kind.has_instances)
"""The kinds make_actor knows."""

SLENDERNESS = {kind.name: kind.held_out_slenderness for kind in KINDS if kind.held_out_slenderness}
"""Held out of each kind: objects whose length over height lies in this span."""

HEIGHT_M = {kind.name: kind.held_out_height_m for kind in KINDS if kind.held_out_height_m}
"""Held out of each other kind: objects whose height in metres lies in this span."""

Maker = Callable[[np.random.Generator], Sequence[Mesh]]


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


def _rider(
    machine: Callable[[np.random.Generator], tuple[list[Mesh], Seat]], helmet: float
) -> Maker:
    return lambda rng: two_wheelers.with_rider(machine(rng), rng, helmet)


_MAKERS: dict[str, Maker] = {
    "car": cars.car,
    "van": cars.van,
    "truck": trucks.truck,
    "bus": buses.bus,
    "trailer": trailers.trailer,
    "construction_vehicle": machines.construction_vehicle,
    "tram": buses.tram,
    "bicycle": two_wheelers.parked_bicycle,
    "motorcycle": lambda rng: motorcycles.motorcycle(rng)[0],
    "bicyclist": _rider(two_wheelers.bicycle, helmet=0.5),
    "motorcyclist": _rider(motorcycles.motorcycle, helmet=0.98),
    **{kind: partial(people.person, kind) for kind in people.KINDS},
    "cone": street_objects.cone,
    "barrier": street_objects.barrier,
}


def make_actor(kind: str, rng: np.random.Generator) -> Actor:
    """A random object of a kind; the same generator state gives the same object.

    Raises:
        ValueError: the kind is not one of ACTOR_KINDS.
    """
    if kind not in _MAKERS:
        raise ValueError(f"no actor of kind {kind!r}: wanted one of {', '.join(ACTOR_KINDS)}")
    return _finish(kind, _MAKERS[kind](rng))


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


def is_held_out(actor: Actor) -> bool:
    """Whether an object lies in the part of its kind's range that is kept for tests.

    About one drawn object in eight does. The spans lie within the ranges, so that what is trained
    on still reaches from the smallest to the largest.
    """
    length, _, height = actor.size_m
    if actor.kind in SLENDERNESS:
        low, high = SLENDERNESS[actor.kind]
        return low < length / height < high
    low, high = HEIGHT_M[actor.kind]
    return low < height < high
