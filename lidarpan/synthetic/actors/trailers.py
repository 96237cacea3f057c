"""Trailers as triangle meshes: behind a tractor, behind a car, caravans."""

from __future__ import annotations

import numpy as np

from lidarpan.synthetic.actors import primitives as p
from lidarpan.synthetic.actors.buses import coach_body
from lidarpan.synthetic.actors.cargo import axle_wheels, load, marks, tank, tray
from lidarpan.synthetic.actors.mesh import Mesh


def trailer(rng: np.random.Generator) -> list[Mesh]:
    """A trailer standing alone: for a car, a caravan, a parked semi-trailer."""
    kind = rng.random()
    if kind < 0.4:
        return _car_trailer(rng)
    if kind < 0.7:
        return _caravan(rng)
    length = rng.uniform(8.0, 13.6)
    front, rear, width = length / 2, -length / 2, rng.uniform(2.4, 2.55)
    leg = p.box((front - 2.6, 0.0, 0.5), (0.15, 0.15, 1.0), "metal")
    legs = p.copies(leg, [(0.0, 0.7, 0.0), (0.0, -0.7, 0.0)])
    return [*semi_trailer(rear, front, width, rng), legs]


def semi_trailer(rear: float, front: float, width: float, rng: np.random.Generator) -> list[Mesh]:
    """A box, curtain, tank or flat semi-trailer between two x."""
    deck, middle, length = 1.2, (rear + front) / 2, front - rear
    parts = [
        p.box((middle, 0.0, deck - 0.15), (length, 1.0, 0.3), "metal"),
        p.box((rear + 0.08, 0.0, 0.55), (0.1, width - 0.1, 0.15), "dark_paint"),
        *axle_wheels([rear + 1.6, rear + 2.9, rear + 4.2], width, 0.5, (True, True, True)),
    ]
    kind = rng.random()
    if kind < 0.65:
        height, material = rng.uniform(2.6, 2.8), "cloth" if kind < 0.35 else "car_paint"
        parts.append(p.box((middle, 0.0, deck + height / 2), (length, width, height), material))
        parts.append(marks(rear, front, width, deck + 0.05))
    elif kind < 0.8:
        parts.append(tank(rear, front, width, deck))
    else:
        parts += tray(rear, front, width, deck, rng.uniform(0.1, 0.8))
        parts += load(rear, front, width, deck, rng)
    return parts


def _drawbar(front: float, width: float, z: float) -> list[Mesh]:
    """A forked drawbar with its jockey wheel."""
    tip = (front + 1.1, 0.0, z)
    bars = [p.cylinder((front, y * width / 3, z), tip, 0.04, "metal", 4) for y in (1, -1)]
    return [*bars, p.cylinder((front + 0.9, 0.0, 0.0), (front + 0.9, 0.0, z), 0.04, "metal", 5)]


def _car_trailer(rng: np.random.Generator) -> list[Mesh]:
    """A tray on one or two axles, often under a tarpaulin."""
    length, width = rng.uniform(2.0, 3.6), rng.uniform(1.2, 1.8)
    front, rear, deck = length / 2, -length / 2, rng.uniform(0.5, 0.65)
    parts = [
        *tray(rear, front, width, deck, rng.uniform(0.3, 0.5)),
        *_drawbar(front, width, deck),
        *axle_wheels([0.0] if length < 2.8 else [0.4, -0.4], width + 0.5, 0.3),
    ]
    if rng.random() < 0.5:
        sizes = ((length, width), (length * 0.95, width * 0.9))
        height = rng.uniform(0.3, 1.3)
        parts.append(p.tapered_box((0.0, 0.0, deck + 0.4), *sizes, height, "cloth"))
    return parts


def _caravan(rng: np.random.Generator) -> list[Mesh]:
    """A caravan with windows all round."""
    length, width, height = rng.uniform(4.0, 6.5), rng.uniform(2.1, 2.4), rng.uniform(2.45, 2.65)
    front, rear = length / 2, -length / 2
    heights = (0.45, 1.2, 1.9, height)
    return [
        *coach_body((rear, front), width, heights, [(0.0, 0.33)], "car_paint"),
        *axle_wheels([0.0], width - 0.1, 0.33),
        *_drawbar(front, width, 0.5),
    ]
