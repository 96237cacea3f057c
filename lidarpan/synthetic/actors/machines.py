"""Construction vehicles as triangle meshes: excavator, wheel loader, roller, mobile crane."""

from __future__ import annotations

import numpy as np

from lidarpan.synthetic.actors import primitives as p
from lidarpan.synthetic.actors.cargo import axle_wheels
from lidarpan.synthetic.actors.mesh import Mesh


def construction_vehicle(rng: np.random.Generator) -> list[Mesh]:
    """A random machine of a building site, drawn at full size and then scaled."""
    match int(rng.choice(4, p=[0.45, 0.3, 0.15, 0.1])):
        case 0:
            parts, factor = _excavator(rng), rng.uniform(0.42, 1.15)
        case 1:
            parts, factor = _loader(rng), rng.uniform(0.5, 1.15)
        case 2:
            parts, factor = _roller(), rng.uniform(0.5, 1.1)
        case _:
            parts, factor = _crane(rng), 1.0
    return [p.scaled(part, factor) for part in parts]


def _cab(x: float, y: float, z: float, size: tuple[float, float, float]) -> list[Mesh]:
    """A cab on posts with glass all round and a seat inside. size: length, width, height."""
    length, width, height = size
    low, high = z + 0.35 * height, z + 0.93 * height
    signs = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float64)
    corners = signs * [length / 2, width / 2] + [x, y]
    walls = np.empty((4, 4, 3))
    walls[:, [0, 3], :2], walls[:, [1, 2], :2] = corners[:, None], np.roll(corners, -1, 0)[:, None]
    walls[:, :2, 2], walls[:, 2:, 2] = low, high
    post = p.cylinder((0.0, 0.0, low), (0.0, 0.0, high), 0.05, "dark_paint", 4, caps=False)
    return [
        p.box((x, y, (z + low) / 2), (length, width, low - z), "car_paint"),
        p.box((x - 0.1 * length, y, z + 0.55 * height), (0.35, 0.45, 0.5 * height), "cloth"),
        p.copies(post, np.c_[corners, np.zeros(4)]),
        p.panels(walls, "glass"),
        p.box((x, y, z + 0.965 * height), (length, width, 0.07 * height), "car_paint"),
    ]


def _prism(profile: p.Array, y0: float, y1: float, material: str) -> Mesh:
    """A side profile drawn out across y. profile: (S, 2) x and z, convex."""
    rings = np.empty((2, len(profile), 3))
    rings[..., [0, 2]] = profile
    rings[..., 1] = [[y0], [y1]]
    return p.loft(rings, material)


def _excavator(rng: np.random.Generator) -> list[Mesh]:
    """An excavator on crawlers or wheels: a turning upper part with cab, counterweight and arm."""
    if rng.random() < 0.4:
        deck = 1.15
        lower = [
            *axle_wheels([1.3, -1.3], 2.5, 0.5, (True, True)),
            p.box((0.0, 0.0, 0.75), (3.6, 1.1, 0.5), "metal"),
        ]
    else:
        deck = 0.95
        quarter = np.array([[1.4, 0.0], [1.68, 0.12], [1.8, 0.4], [1.68, 0.68], [1.4, 0.8]])
        track = np.concatenate([quarter, quarter[::-1] * [-1.0, 1.0]])
        lower = [
            _prism(track, 0.7, 1.25, "rubber"),
            _prism(track, -1.25, -0.7, "rubber"),
            p.box((0.0, 0.0, 0.6), (2.0, 1.6, 0.4), "metal"),
        ]
    upper = [
        p.cylinder((0, 0, deck - 0.3), (0, 0, deck), 0.7, "metal", 8),
        p.tapered_box((-0.7, 0, deck), (2.8, 2.5), (2.7, 2.35), 0.9, "car_paint"),
        p.tapered_box((-1.6, 0, deck + 0.9), (0.9, 2.25), (0.7, 2.0), 0.35, "car_paint"),
        *_cab(0.35, 0.75, deck, (1.5, 0.95, 1.75)),
        *_arm(np.array([0.5, -0.15, deck + 0.6]), rng),
    ]
    turn = rng.uniform(-0.6, 0.6) if rng.random() < 0.5 else 0.0
    return [*lower, *(part.moved(yaw_rad=turn) for part in upper)]


def _arm(foot: p.Array, rng: np.random.Generator) -> list[Mesh]:
    """Boom, stick, their cylinders and the bucket of an excavator."""
    reach = rng.uniform(2.0, 3.2)
    knee = foot + np.array([0.75 * reach, 0.0, rng.uniform(1.5, 2.6)])
    elbow = foot + np.array([1.5 * reach, 0.0, rng.uniform(1.0, 2.0)])
    wrist = elbow + np.array([rng.uniform(-0.5, 0.2) * reach, 0.0, -rng.uniform(1.4, 2.2)])
    wrist[2] = max(wrist[2], 0.75)
    up, ahead, heel = np.array([0.0, 0.0, 0.3]), np.array([0.3, 0.0, 0.0]), [0.0, 0.0, 0.65]
    return [
        p.tube(np.stack([foot, knee, elbow]), [0.28, 0.32, 0.2], "car_paint", 4),
        p.tube(np.stack([elbow + up - 0.7 * ahead, wrist]), [0.2, 0.15], "car_paint", 4),
        p.cylinder(foot + ahead, (foot + knee) / 2 + ahead, 0.08, "metal", 5),
        p.cylinder(knee + up, elbow + 1.3 * up, 0.08, "metal", 5),
        p.tapered_box(wrist - heel, (0.5, 0.9), (0.85, 1.0), 0.7, "metal"),
    ]


def _loader(rng: np.random.Generator) -> list[Mesh]:
    """A wheel loader with its bucket low or lifted."""
    lift = rng.uniform(0.0, 1.2)
    bucket = np.array([[3.2, 0.15], [4.3, 0.15], [3.35, 1.1], [3.1, 0.75]])
    bucket[:, 1] += lift
    path = [(1.1, 0.5, 1.6), (2.2, 0.5, 1.5 + 0.5 * lift), (3.15, 0.5, 0.6 + lift)]
    arm = p.tube(path, 0.12, "car_paint", 4)
    return [
        *axle_wheels([1.5, -1.5], 2.5, 0.72, (True, True)),
        p.box((1.2, 0, 0.95), (1.6, 1.1, 0.9), "car_paint"),
        p.tapered_box((-1.5, 0, 0.8), (2.2, 1.6), (2.1, 1.4), 1.2, "car_paint"),
        *_cab(0.1, 0.0, 1.15, (1.4, 1.45, 2.1)),
        p.copies(arm, [(0.0, 0.0, 0.0), (0.0, -1.0, 0.0)]),
        _prism(bucket, -1.3, 1.3, "metal"),
    ]


def _roller() -> list[Mesh]:
    """A road roller with two drums."""
    drum = p.cylinder((0.0, -1.05, 0.72), (0.0, 1.05, 0.72), 0.72, "metal", 12)
    rail = p.box((0.0, 0.0, 1.1), (4.4, 0.1, 0.4), "car_paint")
    return [
        p.copies(drum, [(1.5, 0.0, 0.0), (-1.5, 0.0, 0.0)]),
        p.copies(rail, [(0.0, 1.13, 0.0), (0.0, -1.13, 0.0)]),
        p.box((0.0, 0.0, 1.0), (4.0, 1.9, 0.35), "dark_paint"),
        p.box((1.1, 0.0, 1.5), (2.0, 1.5, 0.8), "car_paint"),
        *_cab(-0.6, 0.0, 1.2, (1.4, 1.5, 1.9)),
    ]


def _crane(rng: np.random.Generator) -> list[Mesh]:
    """A mobile crane with its boom laid down over the cab."""
    length, width = rng.uniform(8.0, 11.0), 2.6
    front, rear = length / 2, -length / 2
    axles = np.linspace(rear + 1.3, front - 1.8, int(rng.integers(2, 5)))
    tip, boom_z = front + rng.uniform(1.0, 2.5), rng.uniform(2.4, 2.9)
    boom = [(rear + 1.2, -0.3, boom_z), (tip, -0.3, boom_z - 0.4)]
    leg = p.box((0.0, 0.0, 0.8), (0.35, 0.35, 0.9), "metal")
    return [
        *axle_wheels([float(x) for x in axles], width, 0.6),
        p.box((0.0, 0.0, 1.2), (length, width * 0.95, 0.5), "car_paint"),
        *_cab(front - 0.9, 0.0, 0.7, (1.6, width * 0.95, 1.7)),
        *_cab(-0.2, 0.75, 1.45, (1.5, 0.85, 1.5)),
        p.box((rear + 1.6, 0.0, 1.9), (2.4, 2.2, 1.0), "car_paint"),
        p.tube(boom, [0.45, 0.38], "car_paint", 4),
        p.box((tip, -0.3, boom_z - 1.0), (0.4, 0.4, 0.7), "metal"),
        p.copies(leg, [(x, y, 0.0) for x in (rear + 0.4, front - 2.9) for y in (1.2, -1.2)]),
    ]
