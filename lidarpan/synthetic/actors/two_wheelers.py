"""Bicycles as triangle meshes, and riders of anything on two wheels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lidarpan.synthetic.actors import primitives as p
from lidarpan.synthetic.actors.figure import Pose, figure, random_body
from lidarpan.synthetic.actors.mesh import Mesh


@dataclass(frozen=True)
class Seat:
    """Where a rider touches the machine, metres in its frame.

    Attributes:
        hip: (x, z) of the rider's hip joints.
        lean_rad: forward tilt of the trunk.
        feet: the ankles, left and right, (x, y, z) each.
        hands: the wrists, left and right.
    """

    hip: tuple[float, float]
    lean_rad: float
    feet: tuple[ArrayLike, ArrayLike]
    hands: tuple[ArrayLike, ArrayLike]


@dataclass(frozen=True)
class _Frame:
    """The corners of one bicycle's frame: (3,) metres each, with the scale they were drawn at."""

    scale: float
    radius: float
    rear: p.Array
    front: p.Array
    crank: p.Array
    saddle: p.Array
    head: p.Array
    fork: p.Array
    bar: p.Array
    grip: p.Array
    upright: bool


def _random_frame(rng: np.random.Generator) -> _Frame:
    s = rng.uniform(0.93, 1.05) if rng.random() < 0.9 else rng.uniform(0.7, 0.85)
    upright = bool(rng.random() < 0.7)
    radius, half = 0.345 * s, 0.53 * s
    head = np.array([half - 0.24 * s, 0.0, 0.86 * s])
    bar = np.array([head[0] - 0.01, 0.0, (1.05 if upright else 0.95) * s])
    grip_x = head[0] + (-0.12 if upright else 0.12) * s
    return _Frame(
        s,
        radius,
        rear=np.array([-half, 0.0, radius]),
        front=np.array([half, 0.0, radius]),
        crank=np.array([-half + 0.44 * s, 0.0, 0.28 * s]),
        saddle=np.array([-half + 0.22 * s, 0.0, (0.95 if upright else 1.0) * s]),
        head=head,
        fork=np.array([half - 0.2 * s, 0.0, 0.68 * s]),
        bar=bar,
        grip=np.array([grip_x, 0.29 * s, bar[2]]),
        upright=upright,
    )


def bicycle(rng: np.random.Generator) -> tuple[list[Mesh], Seat]:
    """A bicycle: city, trekking or racing, with or without racks, baskets and mudguards."""
    f = _random_frame(rng)
    steer = 0.3 * rng.uniform(-1, 1) if rng.random() < 0.3 else 0.0
    low_step = f.upright and rng.random() < 0.5
    under = f.saddle - np.array([0.0, 0.0, 0.2])
    joint = 0.65 * f.crank + 0.35 * f.saddle if low_step else under
    tubes = [
        (f.crank, f.saddle, 0.02),
        (f.crank, f.fork, 0.024),
        (joint, f.head, 0.02),
        (f.fork, f.bar, 0.02),
        (f.fork, f.front, 0.025),
        (f.crank, f.rear, 0.022),
        (under, f.rear, 0.02),
    ]
    mirror = np.array([1.0, -1.0, 1.0])
    clamp = np.array([f.head[0], 0.12, f.bar[2]])
    handlebar = np.stack([f.grip, clamp, clamp * mirror, f.grip * mirror])
    turn = rng.uniform(0, 2 * np.pi)
    arm = 0.17 * f.scale * np.array([np.cos(turn), 0.0, np.sin(turn)]) + [0.0, 0.12, 0.0]
    pedals = np.stack([f.crank + arm, f.crank - arm])
    corners = np.array([[-0.05, -0.05, 0], [0.05, -0.05, 0], [0.05, 0.05, 0], [-0.05, 0.05, 0]])
    parts = [
        *_spoked_wheel(f.rear, f.radius, 0.0),
        *_spoked_wheel(f.front, f.radius, steer),
        *(p.cylinder(a, b, r, "dark_paint", 3, caps=False) for a, b, r in tubes),
        p.tube(handlebar, 0.017, "metal", 3),
        p.tapered_box(f.saddle, (0.2, 0.08), (0.26, 0.15), 0.07, "rubber", -0.02),
        p.box(f.crank, (0.16, 0.06, 0.16), "metal"),
        p.panels(pedals[:, None] + corners, "plastic"),
        *_luggage(f, rng),
    ]
    lean = rng.uniform(0.1, 0.4) if f.upright else rng.uniform(0.6, 0.95)
    ankles = pedals + np.array([-0.05, 0.0, 0.1])
    wrists = np.stack([f.grip, f.grip * mirror]) + np.array([-0.02, 0.0, 0.03])
    hip = (float(f.saddle[0]), float(f.saddle[2]) + 0.12)
    return parts, Seat(hip, lean, (ankles[0], ankles[1]), (wrists[0], wrists[1]))


def parked_bicycle(rng: np.random.Generator) -> list[Mesh]:
    """A bicycle that nobody rides: on its stand, leant against something, or lying."""
    parts, _ = bicycle(rng)
    side, luck = (1 if rng.random() < 0.5 else -1), rng.random()
    if luck < 0.65:
        roll = rng.uniform(0.0, 0.12)
    else:
        roll = rng.uniform(0.12, 0.35) if luck < 0.9 else rng.uniform(1.3, 1.5)
    return [part.rolled(side * roll) for part in parts]


def _spoked_wheel(center: p.Array, radius: float, steer: float) -> list[Mesh]:
    """Tyre, hub, and four bars across it as spokes."""
    angle = np.pi * np.arange(4) / 4 + 0.2
    along = np.stack([np.cos(angle), np.zeros(4), np.sin(angle)], axis=1) * (radius - 0.02)
    across = np.stack([-np.sin(angle), np.zeros(4), np.cos(angle)], axis=1) * 0.006
    spokes = np.stack([along + across, along - across, -along - across, -along + across], axis=1)
    origin = np.zeros(3)
    parts = [
        p.torus(origin, radius, 0.045, "rubber", 13),
        p.panels(spokes, "metal"),
        p.box(origin, (0.06, 0.1, 0.06), "metal"),
    ]
    x, y, z = (float(value) for value in center)
    return [part.moved(x, y, z, steer) for part in parts]


def _luggage(f: _Frame, rng: np.random.Generator) -> list[Mesh]:
    """A rack with reflector, panniers, a box or a child seat; a basket in front."""
    parts: list[Mesh] = []
    x, top = float(f.rear[0]), 2 * f.radius + 0.05
    if rng.random() < 0.6:
        parts.append(p.box((x - 0.02, 0.0, top), (0.36 * f.scale, 0.13, 0.02), "metal"))
        lamp = p.facing(x - 0.2 * f.scale, 0.0, top - 0.03, 0.05, 0.03)
        parts.append(p.panels(lamp, "retroreflector"))
        load = rng.random()
        if load < 0.3:
            bag = p.box((x - 0.05, 0.0, top - 0.18), (0.32, 0.13, 0.33), "cloth")
            parts.append(p.copies(bag, [(0.0, 0.14, 0.0), (0.0, -0.14, 0.0)]))
        elif load < 0.45:
            size = ((0.3, 0.22), (0.38, 0.3))
            parts.append(p.tapered_box((x, 0.0, top), *size, 0.24, "plastic"))
        elif load < 0.52:
            size = ((0.3, 0.3), (0.12, 0.32))
            parts.append(p.tapered_box((x, 0.0, top), *size, 0.6, "plastic", -0.1))
    if rng.random() < 0.35:
        at = (f.front[0] - 0.08, 0.0, f.bar[2] - 0.3)
        parts.append(p.tapered_box(at, (0.24, 0.28), (0.32, 0.4), 0.24, "metal"))
    return parts


def with_rider(
    machine: tuple[list[Mesh], Seat], rng: np.random.Generator, helmet: float
) -> list[Mesh]:
    """The machine and someone on it; helmet: chance that they wear one."""
    parts, seat = machine
    body = random_body(rng, "rider")
    pose = Pose(seat.hip, seat.lean_rad, seat.feet, seat.hands, bool(rng.random() < helmet))
    rider = figure(body, pose)
    if rng.random() < 0.25:
        h = body.height
        at = pose.on_trunk(0.19 * h, -(0.07 * body.girth + 0.06) * h)
        rider.append(p.ellipsoid(at, (0.09 * h, 0.09 * h, 0.13 * h), "cloth", 6, 3))
    return [*parts, *rider]
