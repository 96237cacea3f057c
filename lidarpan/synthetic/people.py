"""People as triangle meshes: a figure is posed by where its hips, feet and hands are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from lidarpan.synthetic import primitives as p
from lidarpan.synthetic.mesh import Mesh


@dataclass(frozen=True)
class Body:
    """The measures of one person, metres.

    Attributes:
        height: standing height.
        girth: thickness of trunk and limbs relative to a slim adult of this height.
        coat: length of the coat or skirt below the hips, 0 for trousers.
        sides: corners of the trunk's and the limbs' cross-sections (trunk, limb).
    """

    height: float
    girth: float
    coat: float = 0.0
    sides: tuple[int, int] = (8, 6)

    @property
    def leg(self) -> float:
        """Hip joint to ankle."""
        return 0.47 * self.height

    @property
    def arm(self) -> float:
        """Shoulder to wrist."""
        return 0.33 * self.height


@dataclass(frozen=True)
class Pose:
    """Where a figure's parts are, metres in its own frame.

    Attributes:
        hip: (x, z) of the hip joints.
        lean_rad: forward tilt of the trunk.
        feet: (x, y, z) of the left and the right ankle.
        hands: (x, y, z) of the left and the right wrist.
        helmet: whether the head carries one.
    """

    hip: tuple[float, float]
    lean_rad: float
    feet: tuple[ArrayLike, ArrayLike]
    hands: tuple[ArrayLike, ArrayLike]
    helmet: bool = False


def figure(body: Body, pose: Pose) -> list[Mesh]:
    """The parts of a person in a pose: trunk, head, legs with shoes, arms."""
    h, g = body.height, body.girth
    s, c = np.sin(pose.lean_rad), np.cos(pose.lean_rad)
    up, ahead = np.array([s, 0.0, c]), np.array([c, 0.0, -s])
    hip = np.array([pose.hip[0], 0.0, pose.hip[1]])
    trunk_sides, limb_sides = body.sides
    # height above the hip joint, half width, half depth, forward shift: fractions of the height
    rows = np.array(
        [
            [-0.035, 0.070, 0.058, 0.0],
            [0.02, 0.098, 0.070, -0.005],
            [0.11, 0.085, 0.063, 0.0],
            [0.21, 0.104, 0.072, 0.0],
            [0.285, 0.108, 0.056, -0.01],
            [0.325, 0.04, 0.038, 0.0],
        ]
    )
    rows = rows * [h, h * g, h * g, h]
    circle = p._circle(trunk_sides, 0.5)
    rings = (
        hip
        + rows[:, None, :1] * up
        + (rows[:, None, 3:] + rows[:, None, 2:3] * circle[:, :1]) * ahead
        + rows[:, None, 1:2] * circle[:, 1:] * np.array([0.0, 1.0, 0.0])
    )
    parts = [p.loft(rings, "cloth"), *_head(body, hip + 0.405 * h * up + 0.02 * h * ahead, pose)]
    shoulder = hip + 0.285 * h * up
    for side, foot, hand in zip((1, -1), pose.feet, pose.hands, strict=True):
        joint = hip + [0.0, side * 0.052 * h * g, -0.01 * h]
        ankle = np.asarray(foot, np.float64)
        parts.append(_limb(joint, ankle, body.leg, [0.062, 0.04, 0.027], (1, 0, 0.1), body))
        toe = np.array([0.10 * h, side * 0.012 * h, -0.018 * h])
        heel = np.array([-0.045 * h, 0.0, -0.018 * h])
        parts.append(p.tube([ankle + heel, ankle + toe], [0.026 * h, 0.019 * h], "rubber", 5))
        at = shoulder + [0.0, side * 0.112 * h * g, 0.0]
        parts.append(
            _limb(at, hand, body.arm, [0.034, 0.027, 0.022], (-0.7, side * 0.7, -0.3), body)
        )
    if body.coat > 0:
        parts.append(_coat(body, hip, pose))
    return parts


def _head(body: Body, center: ArrayLike, pose: Pose) -> list[Mesh]:
    h = body.height
    at = np.asarray(center, np.float64)
    skull = p.ellipsoid(at, (0.056 * h, 0.045 * h, 0.072 * h), "skin", 7, 4)
    neck = p.cylinder(at - [0.02 * h, 0, 0.11 * h], at, 0.03 * h, "skin", 5, caps=False)
    if not pose.helmet:
        return [skull, neck]
    helmet = p.ellipsoid(
        at + [0.0, 0.0, 0.022 * h], (0.074 * h, 0.06 * h, 0.058 * h), "plastic", 7, 3
    )
    return [skull, neck, helmet]


def _limb(
    start: ArrayLike,
    end: ArrayLike,
    length: float,
    radii: list[float],
    bend: tuple[float, float, float],
    body: Body,
) -> Mesh:
    """An arm or a leg of two equal bones, bent towards `bend` when its ends are near."""
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    span = b - a
    distance = max(float(np.sqrt(span @ span)), 1e-6)
    if distance > length:
        b, distance = a + span * (length / distance), length
    along = span / max(float(np.sqrt(span @ span)), 1e-6)
    out = np.asarray(bend, np.float64)
    out = out - along * (along @ out)
    out /= max(float(np.sqrt(out @ out)), 1e-6)
    middle = (a + b) / 2 + out * 0.5 * np.sqrt(max(length**2 - distance**2, 0.0))
    thick = np.array([radii[0], (radii[0] + radii[1]) / 2, radii[1], radii[2]])
    path = [a, (a + middle) / 2, middle, b]
    scale = body.height * (0.5 + 0.5 * body.girth)
    return p.tube(path, thick * scale, "cloth", body.sides[1])


def _coat(body: Body, hip: ArrayLike, pose: Pose) -> Mesh:
    h, g = body.height, body.girth
    feet = np.asarray(pose.feet, np.float64)
    spread = float(np.ptp(feet[:, 0])) * 0.5
    circle = p._circle(body.sides[0], 0.5)
    rings = np.zeros((2, body.sides[0], 3))
    rings[0, :, :2] = circle * [0.078 * h * g, 0.105 * h * g]
    rings[1, :, :2] = circle * [0.08 * h * g + 0.4 * spread, 0.115 * h * g + 0.02]
    rings[1, :, 2] = -body.coat
    return p.loft(rings + np.asarray(hip) + [0.0, 0.0, 0.02 * h], "cloth", caps=False)


def random_body(rng: np.random.Generator, kind: str) -> Body:
    """Measures of a random pedestrian, child or worker."""
    if kind == "child":
        return Body(rng.uniform(0.95, 1.45), rng.uniform(1.0, 1.25))
    height = float(np.clip(rng.normal(1.72, 0.09), 1.5, 1.95))
    coat = rng.uniform(0.1, 0.5) if kind == "pedestrian" and rng.random() < 0.3 else 0.0
    return Body(height, float(np.clip(rng.normal(1.15, 0.13), 0.92, 1.5)), coat)


def _ankle(body: Body) -> float:
    return 0.045 * body.height


def standing(body: Body, rng: np.random.Generator) -> Pose:
    """Upright, feet apart, arms down or hands together in front."""
    h = body.height
    gap, stagger = rng.uniform(0.04, 0.11) * h, rng.uniform(-0.05, 0.05) * h
    hip = (0.0, 0.505 * h)
    lean = rng.uniform(-0.05, 0.12)
    hands = [
        (
            rng.uniform(-0.03, 0.06) * h,
            side * rng.uniform(0.15, 0.2) * h,
            rng.uniform(0.44, 0.5) * h,
        )
        for side in (1, -1)
    ]
    if rng.random() < 0.4:  # a telephone, crossed arms, hands in pockets
        reach, level = rng.uniform(0.1, 0.2) * h, rng.uniform(0.55, 0.8) * h
        hands = [(reach, side * rng.uniform(0.0, 0.1) * h, level) for side in (1, -1)]
        if rng.random() < 0.5:
            hands[1] = (0.0, -0.17 * h, 0.47 * h)
    z = _ankle(body)
    return Pose(hip, lean, ((stagger, gap, z), (-stagger, -gap, z)), (hands[0], hands[1]))


def walking(body: Body, rng: np.random.Generator) -> Pose:
    """One moment of a stride, arms swinging against the legs."""
    h = body.height
    phase, stride = rng.uniform(0, 2 * np.pi), rng.uniform(0.12, 0.23) * h
    swing, lift = np.sin(phase) * stride, np.cos(phase)
    z, gap = _ankle(body), 0.045 * h
    feet = (
        (swing, gap, z + max(lift, 0.0) * 0.06 * h),
        (-swing, -gap, z + max(-lift, 0.0) * 0.06 * h),
    )
    drop = body.leg - np.sqrt(max(body.leg**2 - swing**2, 0.0))
    arm = 0.7 * rng.uniform(0.3, 1.0) * swing
    hands = ((-arm, 0.17 * h, 0.48 * h), (arm, -0.17 * h, 0.48 * h))
    return Pose((0.0, 0.51 * h - drop), rng.uniform(0.0, 0.15), feet, hands)


def sitting(body: Body, rng: np.random.Generator) -> Pose:
    """On a bench or a step, thighs level."""
    h = body.height
    seat = rng.uniform(0.24, 0.28) * h
    reach, z = rng.uniform(0.2, 0.3) * h, _ankle(body)
    feet = ((reach, 0.07 * h, z), (reach * rng.uniform(0.8, 1.1), -0.07 * h, z))
    hands = ((0.22 * h, 0.09 * h, seat + 0.06 * h), (0.22 * h, -0.09 * h, seat + 0.06 * h))
    return Pose((0.0, seat + 0.04 * h), rng.uniform(-0.15, 0.35), feet, hands)


def stooping(body: Body, rng: np.random.Generator) -> Pose:
    """Bent forward over something: a boot, a bicycle, a tool."""
    h, z = body.height, _ankle(body)
    feet = ((0.08 * h, 0.08 * h, z), (-0.06 * h, -0.08 * h, z))
    lean = rng.uniform(0.4, 0.95)
    reach, level = 0.3 * h, rng.uniform(0.35, 0.55) * h
    hands = ((reach, 0.1 * h, level), (reach, -0.1 * h, level))
    return Pose((-0.08 * h, 0.49 * h), lean, feet, hands)


def person(kind: str, rng: np.random.Generator) -> list[Mesh]:
    """A pedestrian, child or worker in a random pose, with what they carry."""
    body = random_body(rng, kind)
    poses: list[Callable[[Body, np.random.Generator], Pose]]
    poses = [walking, standing, sitting, stooping]
    weights = {"pedestrian": [0.55, 0.36, 0.06, 0.03], "child": [0.6, 0.34, 0.04, 0.02]}
    choice = rng.choice(4, p=weights.get(kind, [0.3, 0.45, 0.0, 0.25]))
    pose = poses[int(choice)](body, rng)
    upright = choice < 2
    load: list[Mesh] = []
    if kind == "worker":
        pose = replace(pose, helmet=bool(rng.random() < 0.7))
        load.append(_vest(body, pose))
    elif upright and rng.random() < 0.45:
        if choice == 2 or body.coat > 0.3:
            body = replace(body, coat=min(body.coat, 0.3))
        pose, load = _carry(body, pose, kind, rng)
    if choice == 2:
        body = replace(body, coat=0.0)
    return [*figure(body, pose), *load]


def _vest(body: Body, pose: Pose) -> Mesh:
    """A reflecting band round the trunk."""
    h, g = body.height, body.girth
    up = np.array([np.sin(pose.lean_rad), 0.0, np.cos(pose.lean_rad)])
    hip = np.array([pose.hip[0], 0.0, pose.hip[1]])
    path = [hip + 0.13 * h * up, hip + 0.16 * h * up]
    return p.tube(path, 0.075 * h * g, "retroreflector", 8, caps=False, flatten=1.3)


def _carry(body: Body, pose: Pose, kind: str, rng: np.random.Generator) -> tuple[Pose, list[Mesh]]:
    """Something to carry, and the pose that holds it."""
    h, hip = body.height, pose.hip
    what = int(rng.integers(5)) if kind == "pedestrian" else 0
    if what == 0:  # a rucksack
        size = (0.1 * h, 0.17 * h, 0.26 * h)
        return pose, [p.box((hip[0] - 0.12 * h, 0.0, hip[1] + 0.19 * h), size, "cloth")]
    if what == 1:  # a shopping bag
        x, y, z = np.asarray(pose.hands[1], np.float64)
        bag = p.tapered_box((x, y, z - 0.42), (0.3, 0.1), (0.32, 0.16), 0.36, "plastic")
        return pose, [bag]
    if what == 2:  # an umbrella
        hand = (0.15 * h, -0.08 * h, 0.72 * h)
        top = (0.05 * h, -0.05 * h, 1.12 * h)
        rim = rng.uniform(0.42, 0.55)
        shade = p.cylinder((top[0], top[1], top[2] - 0.16), top, (rim, 0.04), "cloth", 8, False)
        stick = p.cylinder(hand, top, 0.01, "metal", 3, caps=False)
        return replace(pose, hands=(pose.hands[0], hand)), [shade, stick]
    if what == 3:  # a suitcase on wheels
        hand = (-0.18 * h, -0.14 * h, 0.47 * h)
        case = p.tapered_box((-0.5, -0.2, 0.05), (0.22, 0.4), (0.22, 0.4), 0.55, "plastic", 0.08)
        bar = p.cylinder(hand, (-0.42, -0.2, 0.6), 0.012, "metal", 3, caps=False)
        return replace(pose, hands=(pose.hands[0], hand)), [case, bar]
    grip = 1.02  # a pram
    hands = ((0.3 * h / 1.7, 0.14, grip), (0.3 * h / 1.7, -0.14, grip))
    pram = [
        p.tapered_box((0.72, 0.0, 0.42), (0.5, 0.3), (0.78, 0.42), 0.38, "cloth"),
        p.tapered_box((0.92, 0.0, 0.8), (0.38, 0.42), (0.14, 0.34), 0.26, "cloth"),
        p.tube([(0.32, 0.0, grip), (0.5, 0.0, 0.62)], [0.2, 0.2], "metal", 4, caps=False),
        p.copies(
            p.wheel((0.0, 0.0, 0.13), 0.13, 0.05, 6),
            [(x, y, 0.0) for x in (0.5, 0.98) for y in (-0.24, 0.24)],
        ),
    ]
    return replace(pose, hands=hands), pram
