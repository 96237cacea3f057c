"""Wheels on axles, and what trucks and trailers carry: tanks, trays, loads, marking tape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lidarpan.synthetic.actors import primitives as p
from lidarpan.synthetic.actors.mesh import Mesh


def axle_wheels(
    axles: Sequence[float], width: float, radius: float, twin: Sequence[bool] = ()
) -> list[Mesh]:
    """Wheels on both sides of each axle.

    Args:
        axles: x of each axle, metres.
        width: over the outer faces.
        radius: of the wheels.
        twin: per axle, whether two tyres stand side by side; by default none.
    """
    parts = []
    for is_twin in (False, True):
        own = [x for i, x in enumerate(axles) if (i < len(twin) and twin[i]) == is_twin]
        tyre = 0.55 if is_twin else 0.3
        y = width / 2 - tyre / 2 - 0.02
        if own:
            one = p.wheel((0.0, 0.0, radius), radius, tyre, 8)
            parts.append(p.copies(one, [(x, side * y, 0.0) for x in own for side in (1, -1)]))
    return parts


def random_paint(rng: np.random.Generator) -> str:
    """A light or a dark paint."""
    return "car_paint" if rng.random() < 0.65 else "dark_paint"


def marks(rear: float, front: float, width: float, z: float) -> Mesh:
    """Reflecting contour tape along the lower edges of a body between two x."""
    y, top = width / 2 + 0.005, z + 0.05
    side = np.array([(rear, y, z), (front, y, z), (front, y, top), (rear, y, top)])
    back = p.facing(rear - 0.005, 0.0, z + 0.025, width / 2, 0.025)
    return p.panels(np.stack([side, side * [1.0, -1.0, 1.0], back]), "retroreflector")


def tank(rear: float, front: float, width: float, deck: float) -> Mesh:
    """A lying tank on a deck of the given height."""
    z = deck + 0.48 * width
    path = [(rear, 0, z), (rear + 0.25, 0, z), (front - 0.25, 0, z), (front, 0, z)]
    return p.tube(path, np.array([0.36, 0.47, 0.47, 0.36]) * width, "metal", 12)


def tray(rear: float, front: float, width: float, deck: float, side: float) -> list[Mesh]:
    """A flat bed with boards of height `side` round it."""
    middle, length, z = (rear + front) / 2, front - rear, deck + 0.1
    board = p.box((middle, 0.0, z + side / 2), (length, 0.04, side), "metal")
    end = p.box((0.0, 0.0, z + side / 2), (0.04, width, side), "metal")
    return [
        p.box((middle, 0.0, z - 0.05), (length, width, 0.1), "wood"),
        p.copies(board, [(0.0, width / 2, 0.0), (0.0, -width / 2, 0.0)]),
        p.copies(end, [(rear, 0.0, 0.0), (front, 0.0, 0.0)]),
    ]


def load(
    rear: float, front: float, width: float, deck: float, rng: np.random.Generator
) -> list[Mesh]:
    """Up to three crates on a flat bed."""
    parts = []
    for _ in range(int(rng.integers(0, 4))):
        size = (rng.uniform(0.6, 1.6), rng.uniform(0.6, width - 0.4), rng.uniform(0.3, 1.4))
        x = rng.uniform(rear + 0.9, front - 0.9)
        parts.append(p.box((x, 0.0, deck + 0.1 + size[2] / 2), size, "wood"))
    return parts
