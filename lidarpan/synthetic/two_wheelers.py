"""Bicycles and motorcycles as triangle meshes, parked or with a rider."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lidarpan.synthetic import primitives as p
from lidarpan.synthetic.mesh import Mesh
from lidarpan.synthetic.people import Body, Pose, figure, random_body

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Seat:
    """Where a rider touches the machine, metres in its frame.

    Attributes:
        hip: (x, z) of the rider's hip joints.
        lean_rad: forward tilt of the trunk.
        feet: the ankles, left and right.
        hands: the wrists, left and right.
    """

    hip: tuple[float, float]
    lean_rad: float
    feet: tuple[Point, Point]
    hands: tuple[Point, Point]


def bicycle(rng: np.random.Generator) -> tuple[list[Mesh], Seat]:
    """A bicycle: city, trekking or racing, with or without racks, baskets and mudguards."""
    scale = rng.uniform(0.93, 1.05) if rng.random() < 0.9 else rng.uniform(0.7, 0.85)
    radius, base = 0.345 * scale, 1.06 * scale
    rear, front = -base / 2, base / 2
    upright = rng.random() < 0.7
    steer = 0.3 * rng.uniform(-1, 1) if rng.random() < 0.3 else 0.0
    crank = (rear + 0.44 * scale, 0.0, 0.28 * scale)
    saddle = (rear + 0.22 * scale, 0.0, (0.95 if upright else 1.0) * scale)
    head = (front - 0.24 * scale, 0.0, 0.86 * scale)
    low_head = (front - 0.2 * scale, 0.0, 0.68 * scale)
    bar_z = (1.05 if upright else 0.95) * scale
    grip_x = head[0] - 0.12 * scale if upright else head[0] + 0.12 * scale
    parts = _spoked_wheel((rear, 0.0, radius), radius, 0.0)
    parts += _spoked_wheel((front, 0.0, radius), radius, steer)
    step_through = upright and rng.random() < 0.5
    seat_tube = tuple(np.asarray(crank) * 0.65 + np.asarray(saddle) * 0.35)
    top_end = seat_tube if step_through else (saddle[0] + 0.04, 0.0, saddle[2] - 0.17)
    tubes = [
        (crank, saddle, 0.02),
        (crank, low_head, 0.024),
        (top_end, head, 0.02),
        (low_head, (head[0] - 0.01, 0.0, bar_z), 0.02),
        (low_head, (front, 0.0, radius), 0.025),
        (crank, (rear, 0.0, radius), 0.022),
        ((saddle[0], 0.0, saddle[2] - 0.2), (rear, 0.0, radius), 0.02),
    ]
    parts += [p.cylinder(a, b, r, "dark_paint", 3, caps=False) for a, b, r in tubes]
    grips = [(grip_x, y * 0.29 * scale, bar_z) for y in (1, -1)]
    path = [grips[0], (head[0], 0.12, bar_z), (head[0], -0.12, bar_z), grips[1]]
    parts.append(p.tube(path, 0.017, "metal", 3))
    seat = p.tapered_box(
        (saddle[0], 0.0, saddle[2]), (0.2, 0.08), (0.26, 0.15), 0.07, "rubber", -0.02
    )
    parts += [seat, p.box(crank, (0.16, 0.06, 0.16), "metal")]
    parts += [_pedal(crank, turn, scale) for turn in (0.0, np.pi)]
    parts += _luggage(rear, front, radius, scale, bar_z, rng)
    turn = rng.uniform(0, 2 * np.pi)
    reach = 0.17 * scale * np.array([np.cos(turn), np.sin(turn)])
    ankle = crank[2] + 0.1
    feet = (
        (crank[0] - 0.05 + reach[0], 0.12, ankle + reach[1]),
        (crank[0] - 0.05 - reach[0], -0.12, ankle - reach[1]),
    )
    left, right = (tuple(np.add(g, [-0.02, 0.0, 0.03])) for g in grips)
    lean = rng.uniform(0.1, 0.4) if upright else rng.uniform(0.6, 0.95)
    return parts, Seat((saddle[0], saddle[2] + 0.12), lean, feet, (left, right))


def _spoked_wheel(center: Point, radius: float, steer: float) -> list[Mesh]:
    tyre = p.torus((0.0, 0.0, 0.0), radius, 0.045, "rubber", 13)
    angles = np.pi * np.arange(4) / 4 + 0.2
    thin, long = 0.006, radius - 0.02
    along = np.stack([np.cos(angles), np.zeros(4), np.sin(angles)], axis=1)
    across = np.stack([-np.sin(angles), np.zeros(4), np.cos(angles)], axis=1)
    spokes = np.stack(
        [
            along * long + across * thin,
            along * long - across * thin,
            -along * long - across * thin,
            -along * long + across * thin,
        ],
        axis=1,
    )
    hub = p.box((0.0, 0.0, 0.0), (0.06, 0.1, 0.06), "metal")
    parts = [tyre, p.panels(spokes, "metal"), hub]
    return [part.moved(*center, yaw_rad=steer) for part in parts]


def _pedal(crank: Point, turn: float, scale: float) -> Mesh:
    reach = 0.17 * scale * np.array([np.cos(turn), np.sin(turn)])
    side = 0.12 if turn == 0 else -0.12
    at = (crank[0] + reach[0], side, crank[2] + reach[1])
    return p.panels(
        np.array([at]) + [[-0.05, -0.05, 0], [0.05, -0.05, 0], [0.05, 0.05, 0], [-0.05, 0.05, 0]],
        "plastic",
    )


def _luggage(
    rear: float, front: float, radius: float, scale: float, bar_z: float, rng: np.random.Generator
) -> list[Mesh]:
    """Mudguards, a rack, panniers, a basket or a child seat, a light and a reflector."""
    parts: list[Mesh] = []
    top = 2 * radius + 0.05
    if rng.random() < 0.6:
        parts.append(p.box((rear - 0.02, 0.0, top), (0.36 * scale, 0.13, 0.02), "metal"))
        reflector = [
            (rear - 0.3, y, z)
            for y, z in ((-0.05, top), (0.05, top), (0.05, top - 0.06), (-0.05, top - 0.06))
        ]
        parts.append(p.panels(reflector, "retroreflector"))
        load = rng.random()
        if load < 0.3:
            parts += [
                p.box((rear - 0.05, y, top - 0.18), (0.32, 0.13, 0.33), "cloth")
                for y in (0.14, -0.14)
            ]
        elif load < 0.45:
            parts.append(p.tapered_box((rear, 0, top), (0.3, 0.22), (0.38, 0.3), 0.24, "plastic"))
        elif load < 0.52:
            parts.append(
                p.tapered_box((rear, 0, top), (0.3, 0.3), (0.12, 0.32), 0.6, "plastic", -0.1)
            )
    if rng.random() < 0.35:
        at = (front - 0.08, 0.0, bar_z - 0.3)
        parts.append(p.tapered_box(at, (0.24, 0.28), (0.32, 0.4), 0.24, "metal"))
    return parts


def motorcycle(rng: np.random.Generator) -> tuple[list[Mesh], Seat]:
    """A motorcycle or a scooter."""
    return _scooter(rng) if rng.random() < 0.5 else _motorbike(rng)


def _motorbike(rng: np.random.Generator) -> tuple[list[Mesh], Seat]:
    s = rng.uniform(0.92, 1.05)
    rear, front, radius = -0.7 * s, 0.7 * s, 0.31 * s
    paint = "car_paint" if rng.random() < 0.6 else "dark_paint"
    seat_z = rng.uniform(0.76, 0.86) * s
    bar = (0.32 * s, 0.0, seat_z + 0.22 * s)
    parts = [
        _fat_wheel((rear, radius), radius, 0.17 * s),
        _fat_wheel((front, radius), radius, 0.12 * s),
        p.tapered_box((0.03, 0.0, 0.22 * s), (0.5 * s, 0.3), (0.6 * s, 0.34), 0.38 * s, "metal"),
        _body([(-0.1, 0.1), (0.1, 0.17), (0.35, 0.13)], 0.6 * s, seat_z + 0.16 * s, s, paint),
        p.tapered_box((-0.4 * s, 0, seat_z - 0.1), (0.7 * s, 0.2), (0.66 * s, 0.28), 0.1, "rubber"),
        p.tapered_box((-0.72 * s, 0, seat_z - 0.16), (0.3 * s, 0.12), (0.4, 0.16), 0.18, paint),
        p.tube([(-0.02, 0.2, 0.3), (-0.75 * s, 0.22, 0.4 * s)], [0.04, 0.07], "metal", 6),
        *(
            p.cylinder((bar[0], y, bar[2]), (front, y, radius), 0.03, "metal", 4, caps=False)
            for y in (0.1, -0.1)
        ),
        p.cylinder((rear, 0.12, radius), (-0.1, 0.12, 0.35 * s), 0.04, "metal", 4),
        p.tapered_box((front, 0, 2 * radius), (0.4, 0.14), (0.2, 0.12), 0.05, paint),
    ]
    if rng.random() < 0.5:  # windscreen and fairing
        parts.append(
            p.tapered_box((0.45 * s, 0, 0.62 * s), (0.34, 0.36), (0.16, 0.34), 0.42, paint, -0.08)
        )
        parts.append(_screen(0.45 * s, 1.04 * s, 0.3, 0.15))
    if rng.random() < 0.35:
        parts.append(p.box((-0.85 * s, 0.0, seat_z + 0.2), (0.34, 0.42, 0.3), "plastic"))
    parts += _bars(bar, rng.uniform(0.36, 0.44)) + _lights(0.5 * s, seat_z, -0.93 * s)
    feet = ((-0.12, 0.2, 0.36 * s), (-0.12, -0.2, 0.36 * s))
    hands = tuple((bar[0] - 0.04, y * 0.36, bar[2] + 0.02) for y in (1, -1))
    seat = Seat((-0.3 * s, seat_z + 0.1), rng.uniform(0.1, 0.5), feet, (hands[0], hands[1]))
    return parts, seat


def _scooter(rng: np.random.Generator) -> tuple[list[Mesh], Seat]:
    s = rng.uniform(0.92, 1.06)
    rear, front, radius = -0.63 * s, 0.63 * s, 0.23 * s
    paint = "car_paint" if rng.random() < 0.7 else "dark_paint"
    seat_z, bar = 0.77 * s, (0.4 * s, 0.0, 1.02 * s)
    parts = [
        _fat_wheel((rear, radius), radius, 0.12),
        _fat_wheel((front, radius), radius, 0.11),
        p.tapered_box((-0.42 * s, 0, 0.28 * s), (0.78 * s, 0.3), (0.72 * s, 0.26), 0.42 * s, paint),
        p.tapered_box((-0.38 * s, 0, 0.68 * s), (0.66 * s, 0.22), (0.62 * s, 0.3), 0.1, "rubber"),
        p.box((0.12 * s, 0.0, 0.26 * s), (0.5 * s, 0.34, 0.1), paint),
        p.tapered_box(
            (0.42 * s, 0, 0.22 * s), (0.16, 0.36), (0.1, 0.34), 0.68 * s, paint, -0.1 * s
        ),
        p.tapered_box((0.38 * s, 0, 0.9 * s), (0.2, 0.16), (0.16, 0.26), 0.15, paint),
        p.tapered_box((front, 0, 1.5 * radius), (0.42, 0.16), (0.24, 0.12), 0.16, paint, -0.04),
        p.cylinder((0.46 * s, 0, 0.5 * s), (front, 0, radius), 0.04, "metal", 4),
    ]
    if rng.random() < 0.4:
        parts.append(p.box((-0.82 * s, 0.0, 0.95 * s), (0.34, 0.38, 0.3), "plastic"))
    if rng.random() < 0.3:
        parts.append(_screen(0.42 * s, 1.08 * s, 0.42, 0.24))
    parts += _bars(bar, 0.33) + _lights(0.5 * s, 0.85 * s, -0.84 * s)
    feet = ((0.2 * s, 0.12, 0.38 * s), (0.2 * s, -0.12, 0.38 * s))
    hands = ((bar[0] - 0.05, 0.3, bar[2] + 0.02), (bar[0] - 0.05, -0.3, bar[2] + 0.02))
    return parts, Seat((-0.3 * s, seat_z + 0.1), rng.uniform(-0.05, 0.2), feet, hands)


def _fat_wheel(at: tuple[float, float], radius: float, width: float) -> Mesh:
    return p.wheel((at[0], 0.0, at[1]), radius, width, 10)


def _body(
    widths: list[tuple[float, float]], low: float, high: float, scale: float, paint: str
) -> Mesh:
    """A tank: an oblong body whose (x, half width) are given."""
    rings = np.empty((len(widths), 6, 3))
    circle = p._circle(6)
    for ring, (x, half) in zip(rings, widths, strict=True):
        ring[:, 0] = x * scale
        ring[:, 1] = circle[:, 0] * half
        ring[:, 2] = (low + high) / 2 + circle[:, 1] * (high - low) / 2
    return p.loft(rings, paint)


def _screen(x: float, z: float, height: float, half: float) -> Mesh:
    corners = [(x, half, z), (x, -half, z), (x - 0.15, -half * 0.8, z + height)]
    return p.panels([*corners, (x - 0.15, half * 0.8, z + height)], "glass")


def _bars(bar: Point, half: float) -> list[Mesh]:
    x, _, z = bar
    handle = [(x - 0.12, half, z), (x, 0.12, z), (x, -0.12, z), (x - 0.12, -half, z)]
    mirrors = [
        p.box((x - 0.02, y * (half - 0.05), z + 0.2), (0.03, 0.13, 0.09), "plastic")
        for y in (1, -1)
    ]
    return [p.tube(handle, 0.02, "rubber", 4), *mirrors]


def _lights(front: float, z: float, rear: float) -> list[Mesh]:
    lamp = p.box((front, 0.0, z + 0.05), (0.14, 0.18, 0.16), "glass")
    plate = [(rear, y, h) for y, h in ((-0.1, 0.45), (0.1, 0.45), (0.1, 0.62), (-0.1, 0.62))]
    tail = [(rear, y, h) for y, h in ((-0.08, 0.66), (0.08, 0.66), (0.08, 0.74), (-0.08, 0.74))]
    return [lamp, p.panels([plate, tail], "retroreflector")]


def with_rider(
    machine: tuple[list[Mesh], Seat], rng: np.random.Generator, helmet: float
) -> list[Mesh]:
    """The machine and someone on it; helmet: chance that they wear one."""
    parts, seat = machine
    body = random_body(rng, "adult")
    body = Body(body.height, body.girth, sides=(8, 5))
    pose = Pose(seat.hip, seat.lean_rad, seat.feet, seat.hands, bool(rng.random() < helmet))
    rider = figure(body, pose)
    if rng.random() < 0.25:
        s, c = np.sin(seat.lean_rad), np.cos(seat.lean_rad)
        h = body.height
        at = np.array([seat.hip[0], 0.0, seat.hip[1]]) + 0.2 * h * np.array([s, 0, c])
        at += 0.12 * h * np.array([-c, 0, s])
        rider.append(p.ellipsoid(at, (0.09 * h, 0.09 * h, 0.13 * h), "cloth", 6, 3))
    return [*parts, *rider]
