"""Construction vehicles as triangle meshes: excavator, wheel loader, roller, mobile crane."""

from __future__ import annotations

import numpy as np

from lidarpan.synthetic import primitives as p
from lidarpan.synthetic.mesh import Mesh
from lidarpan.synthetic.vehicles import axle_wheels


def construction_vehicle(rng: np.random.Generator) -> list[Mesh]:
    """A random machine of a building site."""
    match int(rng.choice(4, p=[0.45, 0.3, 0.15, 0.1])):
        case 0:
            return _excavator(rng)
        case 1:
            return _loader(rng)
        case 2:
            return _roller(rng)
        case _:
            return _crane(rng)


def _cab(x: float, y: float, z: float, size: tuple[float, float, float]) -> list[Mesh]:
    """A cab on posts with glass all round and a seat inside. size: length, width, height."""
    length, width, height = size
    frame = p.tapered_box((x, y, z), (length, width), (length, width), 0.35 * height, "car_paint")
    seat = p.box((x - 0.1 * length, y, z + 0.55 * height), (0.35, 0.45, 0.5 * height), "cloth")
    low, high = z + 0.35 * height, z + 0.93 * height
    signs = [(1, 1), (-1, 1), (-1, -1), (1, -1)]
    corners = np.array([(x + a * length / 2, y + b * width / 2) for a, b in signs])
    posts = [
        p.cylinder((cx, cy, low), (cx, cy, high), 0.05, "dark_paint", 4, caps=False)
        for cx, cy in corners
    ]
    walls = np.empty((4, 4, 3))
    walls[:, [0, 3], :2], walls[:, [1, 2], :2] = corners[:, None], np.roll(corners, -1, 0)[:, None]
    walls[:, :2, 2], walls[:, 2:, 2] = low, high
    roof = p.box((x, y, z + 0.965 * height), (length, width, 0.07 * height), "car_paint")
    return [frame, seat, *posts, p.panels(walls, "glass"), roof]


def _track(y: float, length: float, height: float, width: float) -> Mesh:
    """A crawler track: rounded at both ends."""
    half, r = length / 2, height / 2
    outline = np.array(
        [[-half + r, 0], [half - r, 0], [half - 0.3 * r, 0.3 * r], [half, r], [half - 0.3 * r, 1.7 * r],
         [half - r, height], [-half + r, height], [-half + 0.3 * r, 1.7 * r], [-half, r],
         [-half + 0.3 * r, 0.3 * r]]
    )  # fmt: skip
    rings = np.empty((2, len(outline), 3))
    rings[..., [0, 2]] = outline
    rings[..., 1] = [[y - width / 2], [y + width / 2]]
    return p.loft(rings, "rubber")


def _excavator(rng: np.random.Generator) -> list[Mesh]:
    s = rng.uniform(0.55, 1.1)
    wheeled = rng.random() < 0.4
    width = 2.5 * s
    if wheeled:
        lower = [
            *axle_wheels([1.3 * s, -1.3 * s], width, 0.5 * s, (True, True)),
            p.box((0, 0, 0.75 * s), (3.6 * s, 1.1 * s, 0.5 * s), "metal"),
        ]
        deck = 1.15 * s
    else:
        lower = [
            *(_track(y * 0.98 * s, 3.6 * s, 0.8 * s, 0.55 * s) for y in (1, -1)),
            p.box((0, 0, 0.6 * s), (2.0 * s, 1.6 * s, 0.4 * s), "metal"),
        ]
        deck = 0.95 * s
    upper = [
        p.cylinder((0, 0, deck - 0.3), (0, 0, deck), 0.7 * s, "metal", 8),
        p.tapered_box(
            (-0.7 * s, 0, deck), (2.8 * s, width), (2.7 * s, width * 0.94), 0.9 * s, "car_paint"
        ),
        p.tapered_box(
            (-1.6 * s, 0, deck + 0.9 * s),
            (0.9 * s, width * 0.9),
            (0.7 * s, width * 0.8),
            0.35 * s,
            "car_paint",
        ),
        *_cab(0.35 * s, 0.75 * s, deck, (1.5 * s, 0.95 * s, 1.75 * s)),
    ]
    reach, drop = rng.uniform(2.0, 3.2) * s, rng.uniform(0.0, 1.0)
    foot = np.array([0.5 * s, -0.15 * s, deck + 0.6 * s])
    knee = foot + [0.75 * reach, 0.0, rng.uniform(1.5, 2.6) * s]
    elbow = foot + [1.5 * reach, 0.0, rng.uniform(1.0, 2.0) * s]
    wrist = elbow + [(-0.5 + 0.7 * drop) * reach, 0.0, -rng.uniform(1.4, 2.2) * s]
    wrist[2] = max(wrist[2], 0.75 * s)
    arm = [
        p.tube([foot, knee, elbow], np.array([0.28, 0.32, 0.2]) * s, "car_paint", 4),
        p.tube([elbow + [-0.2, 0, 0.3 * s], wrist], np.array([0.2, 0.15]) * s, "car_paint", 4),
        p.cylinder(
            foot + [0.3 * s, 0, 0.1], (foot + knee) / 2 + [0.3 * s, 0, 0], 0.08 * s, "metal", 5
        ),
        p.cylinder(knee + [0, 0, 0.3 * s], elbow + [-0.1, 0, 0.4 * s], 0.08 * s, "metal", 5),
        p.tapered_box(
            (wrist[0], wrist[1], wrist[2] - 0.65 * s),
            (0.5 * s, 0.9 * s),
            (0.85 * s, 1.0 * s),
            0.7 * s,
            "metal",
        ),
    ]
    turn = rng.uniform(-0.6, 0.6) if rng.random() < 0.5 else 0.0
    return [*lower, *(part.moved(yaw_rad=turn) for part in [*upper, *arm])]


def _loader(rng: np.random.Generator) -> list[Mesh]:
    s = rng.uniform(0.6, 1.1)
    width, radius = 2.5 * s, 0.72 * s
    lift = rng.uniform(0.0, 1.2) * s
    bucket = (3.2 * s, 0.15 + lift)
    depth, half = 1.1 * s, 1.3 * s
    side = np.array([[0.0, 0.0], [depth, 0.0], [0.15, 0.95 * s], [-0.1, 0.6 * s]])
    rings = np.empty((2, 4, 3))
    rings[..., [0, 2]] = side + bucket
    rings[..., 1] = [[-half], [half]]
    arms = [
        p.tube(
            [(1.1 * s, y, 1.6 * s), (2.2 * s, y, 1.5 * s + 0.5 * lift), (3.15 * s, y, 0.6 * s + lift)],
            0.12 * s, "car_paint", 4,
        )
        for y in (0.5 * s, -0.5 * s)
    ]  # fmt: skip
    return [
        *axle_wheels([1.5 * s, -1.5 * s], width, radius, (True, True)),
        p.box((1.2 * s, 0, 0.95 * s), (1.6 * s, 1.1 * s, 0.9 * s), "car_paint"),
        p.tapered_box(
            (-1.5 * s, 0, 0.8 * s), (2.2 * s, 1.6 * s), (2.1 * s, 1.4 * s), 1.2 * s, "car_paint"
        ),
        *_cab(0.1 * s, 0.0, 1.15 * s, (1.4 * s, 1.45 * s, 2.1 * s)),
        *arms,
        p.loft(rings, "metal"),
    ]


def _roller(rng: np.random.Generator) -> list[Mesh]:
    s = rng.uniform(0.5, 1.0)
    width, radius = 2.1 * s, 0.72 * s
    drums = [
        p.cylinder((x, -width / 2, radius), (x, width / 2, radius), radius, "metal", 12)
        for x in (1.5 * s, -1.5 * s)
    ]
    frame = p.box((0, 0, 1.0 * s), (4.0 * s, 0.9 * width, 0.35 * s), "dark_paint")
    return [
        *drums,
        p.box((1.1 * s, 0, 1.5 * s), (2.0 * s, 1.5 * s, 0.8 * s), "car_paint"),
        p.copies(p.box((0, 0, 1.1 * s), (4.4 * s, 0.1, 0.4 * s), "car_paint"),
                 [(0, width / 2 + 0.08, 0), (0, -width / 2 - 0.08, 0)]),
        frame,
        *_cab(-0.6 * s, 0.0, 1.2 * s, (1.4 * s, 1.5 * s, 1.9 * s)),
    ]  # fmt: skip


def _crane(rng: np.random.Generator) -> list[Mesh]:
    length, width = rng.uniform(8.0, 11.0), 2.6
    front, rear = length / 2, -length / 2
    count = int(rng.integers(2, 5))
    axles = np.linspace(rear + 1.3, front - 1.8, count)
    boom_z = rng.uniform(2.4, 2.9)
    tip = rng.uniform(1.0, 2.5)
    return [
        *axle_wheels(axles.tolist(), width, 0.6),
        p.box((0, 0, 1.2), (length, width * 0.95, 0.5), "car_paint"),
        *_cab(front - 0.9, 0.0, 0.7, (1.6, width * 0.95, 1.7)),
        *_cab(-0.2, 0.75, 1.45, (1.5, 0.85, 1.5)),
        p.box((rear + 1.6, 0, 1.9), (2.4, 2.2, 1.0), "car_paint"),
        p.tube([(rear + 1.2, -0.3, boom_z), (front + tip, -0.3, boom_z - 0.4)], [0.45, 0.38], "car_paint", 4),
        p.box((front + tip, -0.3, boom_z - 1.0), (0.4, 0.4, 0.7), "metal"),
        p.copies(p.box((0, 0, 0.8), (0.35, 0.35, 0.9), "metal"),
                 [(x, y, 0) for x in (rear + 0.4, front - 2.9) for y in (1.2, -1.2)]),
    ]  # fmt: skip
