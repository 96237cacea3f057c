"""People as triangle meshes: walking, standing, stooping, crouching, seated, with their loads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lidarpan.synthetic.actors import primitives as p
from lidarpan.synthetic.actors.figure import Body, Pose, figure, random_body
from lidarpan.synthetic.actors.mesh import Mesh

# shares of walking, standing, stooping, crouching, sitting on a seat, sitting on the ground
_HABITS = {
    "pedestrian": (0.53, 0.40, 0.03, 0.04, 0.0, 0.0),
    "child": (0.60, 0.33, 0.02, 0.05, 0.0, 0.0),
    "worker": (0.25, 0.37, 0.17, 0.21, 0.0, 0.0),
    "seated": (0.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "resting": (0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
}
KINDS = tuple(_HABITS)
"""The kinds of people."""


def person(kind: str, rng: np.random.Generator) -> list[Mesh]:
    """A person of one of KINDS in a random pose, with what they carry."""
    is_small = kind in ("seated", "resting") and rng.random() < 0.12
    body = random_body(rng, "child" if is_small else kind)
    load: list[Mesh] = []
    poses = (walking, standing, stooping, crouching, sitting, resting)
    take_pose = poses[int(rng.choice(len(poses), p=_HABITS[kind]))]
    if take_pose not in (walking, standing, stooping):
        body = replace(body, coat=0.0)
    pose, free = take_pose(body, rng), take_pose in (walking, standing)
    if kind == "worker" or (kind == "resting" and not is_small and rng.random() < 0.25):
        pose = replace(pose, helmet=bool(rng.random() < 0.7))
        load.append(_vest(body, pose))
    elif free and rng.random() < 0.45:
        pose, load = _carry(body, pose, rng, everything=kind == "pedestrian")
    return [*figure(body, pose), *load]


def walking(body: Body, rng: np.random.Generator) -> Pose:
    """One moment of a stride, arms swinging against the legs."""
    h, z = body.height, body.ankle
    phase, stride = rng.uniform(0, 2 * np.pi), rng.uniform(0.12, 0.23) * h
    swing, lift, gap = np.sin(phase) * stride, np.cos(phase), 0.045 * h
    feet = (
        (swing, gap, z + max(lift, 0.0) * 0.06 * h),
        (-swing, -gap, z + max(-lift, 0.0) * 0.06 * h),
    )
    drop = body.leg - np.sqrt(max(body.leg**2 - swing**2, 0.0))
    arm, out = 0.7 * rng.uniform(0.3, 1.0) * swing, (0.07 + 0.1 * body.girth) * h
    hands = ((-arm, out, 0.48 * h), (arm, -out, 0.48 * h))
    return Pose((0.0, 0.51 * h - drop), rng.uniform(0.0, 0.15), feet, hands)


def standing(body: Body, rng: np.random.Generator) -> Pose:
    """Upright, feet apart, arms down, crossed, or one at the ear."""
    h, z = body.height, body.ankle
    gap, stagger = rng.uniform(0.04, 0.11) * h, rng.uniform(-0.05, 0.05) * h
    sides = np.array([1.0, -1.0])
    hands = np.empty((2, 3))
    hands[:, 0] = rng.uniform(-0.03, 0.06, 2) * h
    hands[:, 1] = sides * rng.uniform(0.05, 0.1, 2) * h + sides * 0.1 * h * body.girth
    hands[:, 2] = rng.uniform(0.44, 0.5, 2) * h
    if rng.random() < 0.4:
        busy = 2 if rng.random() < 0.5 else 1
        hands[:busy, 0] = rng.uniform(0.1, 0.2) * h
        hands[:busy, 1] = sides[:busy] * rng.uniform(0.0, 0.1) * h
        hands[:busy, 2] = rng.uniform(0.55, 0.85) * h
    feet = ((stagger, gap, z), (-stagger, -gap, z))
    lean = rng.uniform(-0.05, 0.12)
    return Pose((0.0, 0.505 * h), lean, feet, (hands[0], hands[1]))


def sitting(body: Body, rng: np.random.Generator) -> Pose:
    """On a bench or a step, thighs level."""
    h, z = body.height, body.ankle
    seat, reach = rng.uniform(0.24, 0.28) * h, rng.uniform(0.2, 0.3) * h
    feet = ((reach, 0.07 * h, z), (reach * rng.uniform(0.8, 1.1), -0.07 * h, z))
    hands = ((0.22 * h, 0.09 * h, seat + 0.06 * h), (0.22 * h, -0.09 * h, seat + 0.06 * h))
    return Pose((0.0, seat + 0.04 * h), rng.uniform(-0.15, 0.35), feet, hands)


def stooping(body: Body, rng: np.random.Generator) -> Pose:
    """Bent forward over something: a boot, a bicycle, a tool."""
    h, z = body.height, body.ankle
    feet = ((0.08 * h, 0.08 * h, z), (-0.06 * h, -0.08 * h, z))
    lean, level = rng.uniform(0.4, 0.95), rng.uniform(0.35, 0.55) * h
    hands = ((0.3 * h, 0.1 * h, level), (0.3 * h, -0.1 * h, level))
    return Pose((-0.08 * h, 0.49 * h), lean, feet, hands)


def crouching(body: Body, rng: np.random.Generator) -> Pose:
    """Squatting, or one knee on the ground, over something low."""
    h, z = body.height, body.ankle
    reach, level = rng.uniform(0.22, 0.36) * h, rng.uniform(0.06, 0.3) * h
    hands = ((reach, 0.08 * h, level), (reach * rng.uniform(0.6, 1.0), -0.1 * h, level))
    lean = rng.uniform(0.15, 0.8)
    if rng.random() < 0.5:
        feet = ((0.14 * h, 0.09 * h, z), (0.1 * h, -0.09 * h, z))
        spread = rng.uniform(0.0, 1.2)
        return Pose((0.0, rng.uniform(0.14, 0.2) * h), lean, feet, hands, spread=spread)
    feet = ((0.24 * h, 0.07 * h, z), (-0.22 * h, -0.07 * h, z))
    return Pose((0.0, rng.uniform(0.25, 0.3) * h), lean, feet, hands)


def resting(body: Body, rng: np.random.Generator) -> Pose:
    """On the ground or a kerb, knees drawn up, legs stretched out, or cross-legged."""
    h, z = body.height, body.ankle
    hip, lean = rng.uniform(0.05, 0.1) * h, rng.uniform(-0.1, 0.5)
    if rng.random() < 0.25:
        hands = ((0.17 * h, 0.12 * h, 0.1 * h), (0.17 * h, -0.12 * h, 0.1 * h))
        feet = ((0.2 * h, 0.02 * h, z), (0.15 * h, -0.02 * h, z))
        return Pose((0.0, hip), lean, feet, hands, spread=rng.uniform(2.0, 6.0))
    if rng.random() < 0.55:
        reach, rise = rng.uniform(0.2, 0.34) * h, rng.uniform(0.14, 0.26) * h
        hands = ((0.2 * h, 0.07 * h, rise), (0.2 * h, -0.07 * h, rise))
    elif rng.random() < 0.5:  # leaning back on the hands
        reach, lean = rng.uniform(0.36, 0.46) * h, rng.uniform(-0.45, -0.15)
        hands = ((-0.2 * h, 0.13 * h, 0.03 * h), (-0.2 * h, -0.13 * h, 0.03 * h))
    else:
        reach = rng.uniform(0.36, 0.46) * h
        hands = ((0.18 * h, 0.07 * h, 0.14 * h), (0.18 * h, -0.07 * h, 0.14 * h))
    apart = rng.uniform(0.04, 0.1) * h
    feet = ((reach, apart, z), (reach * rng.uniform(0.75, 1.0), -apart, z))
    return Pose((0.0, hip), lean, feet, hands)


def _vest(body: Body, pose: Pose) -> Mesh:
    """A reflecting band round the trunk."""
    h, g = body.height, body.girth
    path = np.stack([pose.on_trunk(0.13 * h, 0.0), pose.on_trunk(0.16 * h, 0.0)])
    return p.tube(path, 0.082 * h * g, "retroreflector", 6, caps=False, flatten=1.3)


def _carry(
    body: Body, pose: Pose, rng: np.random.Generator, everything: bool
) -> tuple[Pose, list[Mesh]]:
    """Something to carry, and the pose that holds it; without `everything` always a rucksack."""
    match int(rng.choice(5, p=[0.35, 0.3, 0.1, 0.12, 0.13])) if everything else 0:
        case 0:
            return pose, [_rucksack(body, pose, rng)]
        case 1:
            grip = np.asarray(pose.hands[1], np.float64) - [0.0, 0.0, 0.42]
            size = rng.uniform(0.2, 0.36)
            bag = p.tapered_box(grip, (size, 0.1), (size + 0.02, 0.16), 0.36, "plastic")
            return pose, [bag]
        case 2:
            return _umbrella(body, pose, rng)
        case 3:
            return _suitcase(body, pose)
        case _:
            return _pram(body, pose)


def _rucksack(body: Body, pose: Pose, rng: np.random.Generator) -> Mesh:
    h, size = body.height, rng.uniform(0.8, 1.25)
    middle = pose.on_trunk(0.19 * h, -(0.06 * body.girth + 0.05 * size) * h)
    return p.box(middle, (0.1 * h * size, 0.16 * h * size, 0.26 * h * size), "cloth")


def _umbrella(body: Body, pose: Pose, rng: np.random.Generator) -> tuple[Pose, list[Mesh]]:
    h = body.height
    hand = np.array([0.15 * h, -0.08 * h, 0.72 * h])
    top = np.array([0.05 * h, -0.05 * h, 1.12 * h])
    rim = rng.uniform(0.42, 0.55)
    shade = p.cylinder(top - [0.0, 0.0, 0.16], top, (rim, 0.04), "cloth", 8, caps=False)
    stick = p.cylinder(hand, top, 0.01, "metal", 3, caps=False)
    return replace(pose, hands=(pose.hands[0], hand)), [shade, stick]


def _suitcase(body: Body, pose: Pose) -> tuple[Pose, list[Mesh]]:
    h = body.height
    hand = np.array([-0.18 * h, -0.14 * h, 0.47 * h])
    case = p.tapered_box((-0.5, -0.2, 0.05), (0.22, 0.4), (0.22, 0.4), 0.55, "plastic", 0.08)
    bar = p.cylinder(hand, (-0.42, -0.2, 0.6), 0.012, "metal", 3, caps=False)
    wheels = p.box((-0.5, -0.2, 0.03), (0.08, 0.36, 0.06), "rubber")
    return replace(pose, hands=(pose.hands[0], hand)), [case, bar, wheels]


def _pram(body: Body, pose: Pose) -> tuple[Pose, list[Mesh]]:
    """A pram pushed with both hands."""
    x, level = 0.2 * body.height, 0.6 * body.height
    frame = p.cylinder((x, 0.18, level), (0.95, 0.18, 0.2), 0.018, "metal", 3, caps=False)
    parts = [
        p.tapered_box((0.74, 0.0, 0.42), (0.5, 0.3), (0.78, 0.42), 0.36, "cloth"),
        p.tapered_box((0.92, 0.0, 0.78), (0.38, 0.42), (0.14, 0.34), 0.26, "cloth"),
        p.copies(frame, [(0.0, 0.0, 0.0), (0.0, -0.36, 0.0)]),
        p.cylinder((x, 0.2, level), (x, -0.2, level), 0.018, "rubber", 4),
        p.copies(
            p.wheel((0.0, 0.0, 0.13), 0.13, 0.05, 6),
            [(wheel_x, y, 0.0) for wheel_x in (0.5, 1.0) for y in (-0.24, 0.24)],
        ),
    ]
    return replace(pose, hands=((x, 0.14, level), (x, -0.14, level))), parts
