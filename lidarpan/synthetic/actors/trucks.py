"""Trucks as triangle meshes: a cab, a frame, and one of many bodies or a semi-trailer."""

from __future__ import annotations

import numpy as np

from lidarpan.synthetic.actors import primitives as p
from lidarpan.synthetic.actors.cargo import axle_wheels, load, marks, random_paint, tank, tray
from lidarpan.synthetic.actors.mesh import Mesh
from lidarpan.synthetic.actors.trailers import semi_trailer
from lidarpan.synthetic.kinds import MATERIAL


def truck(rng: np.random.Generator) -> list[Mesh]:
    """A rigid truck with one of several bodies, or a tractor with a semi-trailer."""
    paint, width = random_paint(rng), rng.uniform(2.1, 2.6)
    if rng.random() < 0.28:
        return _articulated(rng, width, paint)
    length = rng.uniform(5.3, 11.0)
    if rng.random() < 0.18:
        return _bonneted(rng, max(length, 7.0), width, paint)
    heavy = length > 7.5
    radius = 0.5 if heavy else 0.42
    front, rear, deck = length / 2, -length / 2, 2 * radius + 0.12
    cab_length = rng.uniform(1.6, 2.1)
    cab_height = rng.uniform(2.8, 3.3) if heavy else rng.uniform(2.5, 2.9)
    axles = [front - 1.25, rear + 0.24 * length]
    if length > 8.5:
        axles.append(axles[1] + 1.3)
    return [
        *_cab(front, cab_length, width, cab_height, radius, paint),
        *_chassis(rear, front - 1.0, width, deck, rng),
        *axle_wheels(axles, width, radius, (False, True, True)),
        *_body(rear, front - cab_length - 0.15, width, deck, rng),
    ]


def _bonneted(rng: np.random.Generator, length: float, width: float, paint: str) -> list[Mesh]:
    """A truck whose engine stands before the cab."""
    nose, radius = rng.uniform(1.0, 1.7), 0.48
    front, rear, deck = length / 2, -length / 2, 2 * radius + 0.12
    bonnet = ((nose + 0.1, 0.8 * width), (nose, 0.66 * width))
    foot = (front - nose / 2, 0.0, 0.55)
    return [
        p.tapered_box(foot, *bonnet, rng.uniform(0.9, 1.3), paint, -0.1),
        *_cab(front - nose, 1.8, width, rng.uniform(2.4, 3.2), radius, paint),
        *_chassis(rear, front - nose, width, deck, rng),
        *axle_wheels([front - 0.7, rear + 0.24 * length], width, radius, (False, True)),
        *_body(rear, front - nose - 1.95, width, deck, rng),
    ]


def _articulated(rng: np.random.Generator, width: float, paint: str) -> list[Mesh]:
    length = rng.uniform(14.0, 16.5)
    front, rear = length / 2, -length / 2
    return [
        *_cab(front, 2.2, width, rng.uniform(3.2, 3.8), 0.5, paint),
        *_chassis(front - 6.0, front - 1.0, width, 1.0, rng),
        *axle_wheels([front - 1.4, front - 5.0], width, 0.5, (False, True)),
        *semi_trailer(rear, front - 2.6, width, rng),
    ]


def _cab(
    front: float, length: float, width: float, height: float, radius: float, paint: str
) -> list[Mesh]:
    """A cab over the front axle: painted shell, windows, seats behind them, mirrors, lights."""
    low, sill, brow, half = 0.38, 0.53 * height, 0.9 * height, width / 2
    levels = np.array(  # of the front: x back from the nose, height, share of the width
        [
            [0.04, low, 0.95],
            [0.0, low + 0.25, 1.0],
            [0.02, sill, 1.0],
            [0.14, brow, 0.95],
            [0.45, height, 0.84],
        ]
    )
    rings = np.empty((5, 4, 3))
    rings[:, [0, 3], 0], rings[:, [1, 2], 0] = front - levels[:, :1], front - length
    rings[:, [0, 1], 1], rings[:, [2, 3], 1] = half * levels[:, 2:], -half * levels[:, 2:]
    rings[..., 2] = levels[:, 1:2]
    grid = np.full((4, 4), MATERIAL[paint], np.uint8)
    grid[2] = p.OPEN, MATERIAL[paint], p.OPEN, MATERIAL["glass"]
    grid[0, 3] = MATERIAL["plastic"]
    split = front - 0.14 - 0.6 * (length - 0.14)
    door = np.array([(front - 0.02, sill), (front - 0.14, brow), (split, brow), (split, sill)])
    wall = np.array([(split, sill), (split, brow), (front - length, brow), (front - length, sill)])
    sides = np.empty((4, 4, 3))
    sides[..., [0, 2]] = door, door, wall, wall
    sides[..., 1] = half * np.where(sides[..., 2] == sill, 1.0, 0.95)
    sides[1::2, :, 1] *= -1
    seat = p.tapered_box((front - 0.95, 0, sill - 0.5), (0.5, 0.5), (0.2, 0.4), 1.0, "cloth", -0.2)
    mirror = p.box((front - 0.05, 0.0, sill + 0.35), (0.12, 0.2, 0.5), "plastic")
    lights = [p.facing(front + 0.01, y * 0.75 * half, 0.71, 0.18, 0.09) for y in (1, -1)]
    return [
        p.loft(rings, grid, cap_material=paint),
        p.panels(sides[:2], "glass"),
        p.panels(sides[2:], paint),
        p.copies(seat, [(0.0, 0.5, 0.0), (0.0, -0.5, 0.0)]),
        p.copies(mirror, [(0.0, half + 0.12, 0.0), (0.0, -half - 0.12, 0.0)]),
        p.box((front - 1.25, 0.0, radius + 0.1), (2 * radius + 0.2, width - 0.7, 0.5), "metal"),
        p.panels(np.stack(lights), "glass"),
    ]


def _chassis(
    rear: float, front: float, width: float, deck: float, rng: np.random.Generator
) -> list[Mesh]:
    """The frame, tanks between the wheels, the rear bar and lights."""
    middle, length = (rear + front) / 2, front - rear
    y, lamp_y = width / 2 - 0.2, width / 2 - 0.25
    lights = [p.facing(rear - 0.005, side * lamp_y, 0.85, 0.2, 0.1) for side in (1, -1)]
    parts = [
        p.box((middle, 0.0, deck - 0.2), (length, 0.9, 0.25), "metal"),
        p.box((rear + 0.06, 0.0, 0.55), (0.1, width - 0.1, 0.14), "dark_paint"),
        p.panels(np.stack(lights), "retroreflector"),
    ]
    if rng.random() < 0.8:
        guard = p.box((middle + 0.08 * length, 0.0, 0.72), (0.3 * length, 0.25, 0.5), "plastic")
        parts.append(p.copies(guard, [(0.0, y, 0.0), (0.0, -y, 0.0)]))
    return parts


def _body(
    rear: float, front: float, width: float, deck: float, rng: np.random.Generator
) -> list[Mesh]:
    """What a truck carries on its frame between two x; see the cases."""
    middle, length = (rear + front) / 2, front - rear
    match int(rng.choice(7, p=[0.42, 0.09, 0.12, 0.14, 0.07, 0.1, 0.06])):
        case 0:
            height = rng.uniform(1.5, 2.8)
            box = p.box((middle, 0.0, deck + height / 2), (length, width, height), "car_paint")
            return [box, marks(rear, front, width, deck + 0.1)]
        case 1:
            bed = p.box((middle, 0.0, deck), (length, width * 0.8, 0.12), "metal")
            return [tank(rear, front, width, deck), bed]
        case 2:
            sides = rng.uniform(0.3, 0.7)
            return [
                *tray(rear, front, width, deck, sides),
                *load(rear, front, width, deck, rng),
            ]
        case 3:
            return _tipper(rear, front, width, deck)
        case 5:  # a compactor for rubbish with its hopper
            height, hopper = rng.uniform(1.5, 2.1), ((1.6, width), (0.9, width))
            return [
                p.box(
                    (middle + 0.5, 0.0, deck + height / 2), (length - 1.2, width, height), "metal"
                ),
                p.tapered_box((rear + 0.8, 0.0, deck - 0.4), *hopper, height + 0.4, "metal", 0.3),
            ]
        case 6:  # a crane behind the cab over a flat bed
            boom = [(front - 0.5, 0, deck + 2.2), (middle, 0, deck + rng.uniform(1.0, 2.6))]
            return [
                *tray(rear, front - 1.1, width, deck, rng.uniform(0.2, 0.6)),
                *load(rear, front - 1.1, width, deck, rng),
                p.box((front - 0.5, 0.0, deck + 1.0), (0.7, 0.7, 2.4), "metal"),
                p.tube(boom, 0.14, "metal", 4),
            ]
        case _:
            z = deck + np.array([0.7, 1.0, 1.35, 1.6])
            x = np.array([front - 0.2, front - 1.0, rear + 1.3, rear + 0.2])
            path = np.stack([x, np.zeros(4), z], axis=1)
            chute = p.box((rear + 0.4, 0, deck + 1.0), (0.7, 1.0, 2.0), "metal")
            return [p.tube(path, np.array([0.5, 1.1, 1.15, 0.45]), "car_paint", 10), chute]


def _tipper(rear: float, front: float, width: float, deck: float) -> list[Mesh]:
    """A skip with a heap in it and a shield over the cab."""
    middle, length = (rear + front) / 2, front - rear
    skip = ((length * 0.9, width * 0.8), (length, width))
    heap = ((length * 0.9, width * 0.9), (0.4 * length, 0.5))
    return [
        p.tapered_box((middle, 0, deck), *skip, 1.3, "metal", 0.1),
        p.tapered_box((middle, 0, deck + 1.3), *heap, 0.3, "gravel"),
        p.box((front - 0.1, 0, deck + 1.45), (0.3, width * 0.9, 0.3), "metal"),
    ]
