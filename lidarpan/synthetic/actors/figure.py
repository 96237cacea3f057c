"""A human figure as triangle meshes, posed by where its hips, feet and hands are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lidarpan.synthetic.actors import primitives as p
from lidarpan.synthetic.actors.mesh import Mesh


@dataclass(frozen=True)
class Body:
    """The measures of one person, metres.

    Attributes:
        height: standing height.
        girth: thickness of the clothed trunk and limbs, 1 for a slim adult in light clothes.
        coat: length of the coat or skirt below the hips, 0 for trousers.
    """

    height: float
    girth: float
    coat: float = 0.0

    @property
    def leg(self) -> float:
        """Hip joint to ankle."""
        return 0.47 * self.height

    @property
    def arm(self) -> float:
        """Shoulder to wrist."""
        return 0.33 * self.height

    @property
    def ankle(self) -> float:
        """Height of the ankle above the sole."""
        return 0.045 * self.height


@dataclass(frozen=True)
class Pose:
    """Where a figure's parts are, metres in its own frame.

    Attributes:
        hip: (x, z) of the hip joints.
        lean_rad: forward tilt of the trunk.
        feet: (x, y, z) of the left and the right ankle.
        hands: (x, y, z) of the left and the right wrist.
        helmet: whether the head carries one.
        spread: how far bent knees point outwards: 0 = ahead, 1 = half, much more = sideways.
    """

    hip: tuple[float, float]
    lean_rad: float
    feet: tuple[ArrayLike, ArrayLike]
    hands: tuple[ArrayLike, ArrayLike]
    helmet: bool = False
    spread: float = 0.0

    @property
    def up(self) -> p.Array:
        """Unit vector along the trunk. -> (3,)."""
        return np.array([np.sin(self.lean_rad), 0.0, np.cos(self.lean_rad)])

    @property
    def ahead(self) -> p.Array:
        """Unit vector out of the chest. -> (3,)."""
        return np.array([np.cos(self.lean_rad), 0.0, -np.sin(self.lean_rad)])

    def on_trunk(self, up: float, ahead: float) -> p.Array:
        """A point beside the trunk, metres from the hips along and out of it. -> (3,)."""
        hip = np.array([self.hip[0], 0.0, self.hip[1]])
        point: p.Array = hip + up * self.up + ahead * self.ahead
        return point


# up from the hip joints, half width, half depth, shift ahead: fractions of the height
_TRUNK = np.array(
    [
        [-0.035, 0.076, 0.062, 0.0],
        [0.02, 0.104, 0.075, -0.005],
        [0.11, 0.092, 0.069, 0.0],
        [0.21, 0.110, 0.078, 0.0],
        [0.285, 0.114, 0.061, -0.01],
        [0.325, 0.045, 0.042, 0.0],
    ]
)


def figure(body: Body, pose: Pose) -> list[Mesh]:
    """The parts of a person in a pose: trunk, head, legs with shoes, arms."""
    h, g = body.height, body.girth
    parts = [_trunk(body, pose), *_head(body, pose)]
    shoulder = pose.on_trunk(0.285 * h, 0.0)
    hip = pose.on_trunk(0.0, 0.0)
    for side, foot, hand in zip((1.0, -1.0), pose.feet, pose.hands, strict=True):
        joint = hip + np.array([0.0, side * 0.052 * h * g, -0.01 * h])
        ankle = np.asarray(foot, np.float64)
        knee_way = (1.0, side * pose.spread, 0.1)
        parts.append(_limb(joint, ankle, body.leg, (0.066, 0.046, 0.036), knee_way, body))
        sole = np.array([[-0.045, 0.0, -0.018], [0.1, side * 0.012, -0.018]]) * h
        parts.append(p.tube(ankle + sole, np.array([0.028, 0.02]) * h, "rubber", 5))
        at = shoulder + np.array([0.0, side * 0.116 * h * g, 0.0])
        elbow_way = (-0.7, side * 0.7, -0.3)
        parts.append(_limb(at, hand, body.arm, (0.038, 0.032, 0.026), elbow_way, body))
    if body.coat > 0:
        parts.append(_coat(body, pose))
    return parts


def _trunk(body: Body, pose: Pose) -> Mesh:
    h, g = body.height, body.girth
    up, wide, deep, shift = (_TRUNK * [h, h * g, h * g, h]).T[..., None, None]
    circle = p.circle(8, 0.5)
    hip = pose.on_trunk(0.0, 0.0)
    ahead = (shift + deep * circle[:, :1]) * pose.ahead
    return p.loft(hip + up * pose.up + ahead + wide * circle[:, 1:] * [0.0, 1.0, 0.0], "cloth")


def _head(body: Body, pose: Pose) -> list[Mesh]:
    h = min(body.height, 0.4 + 0.75 * body.height)  # children have large heads
    top = pose.on_trunk(0.405 * body.height, 0.02 * body.height)
    skull = p.ellipsoid(top, (0.06 * h, 0.051 * h, 0.074 * h), "skin", 7, 4)
    foot = pose.on_trunk(0.3 * body.height, 0.0)
    neck = p.cylinder(foot, top, 0.034 * h, "skin", 5, caps=False)
    if not pose.helmet:
        return [skull, neck]
    radii = (0.078 * h, 0.064 * h, 0.06 * h)
    crown = pose.on_trunk(0.405 * body.height + 0.022 * h, 0.02 * body.height)
    return [skull, neck, p.ellipsoid(crown, radii, "plastic", 6, 3)]


def _limb(
    start: ArrayLike,
    end: ArrayLike,
    length: float,
    radii: tuple[float, float, float],
    bend: tuple[float, float, float],
    body: Body,
) -> Mesh:
    """An arm or a leg of two equal bones, bent towards `bend` where its ends are near."""
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    span = b - a
    distance = max(float(np.sqrt(span @ span)), 1e-6)
    along = span / distance
    if distance > length:
        b, distance = a + along * length, length
    out = np.asarray(bend) - along * float(along @ np.asarray(bend))
    out /= max(float(np.sqrt(out @ out)), 1e-6)
    middle = (a + b) / 2 + out * 0.5 * np.sqrt(max(length**2 - distance**2, 0.0))
    thick = np.array([radii[0], (radii[0] + radii[1]) / 2, radii[1], radii[2]])
    scale = body.height * (0.4 + 0.6 * body.girth)
    return p.tube(np.stack([a, (a + middle) / 2, middle, b]), thick * scale, "cloth", 5, caps=False)


def _coat(body: Body, pose: Pose) -> Mesh:
    """The skirt of a coat or a dress, as wide at its hem as the stride."""
    h, g = body.height, body.girth
    stride = float(np.ptp(np.asarray(pose.feet, np.float64)[:, 0]))
    rings = np.zeros((2, 8, 3))
    rings[0, :, :2] = [0.084 * h * g, 0.112 * h * g]
    rings[1, :, :2] = [0.085 * h * g + 0.2 * stride, 0.12 * h * g + 0.02]
    rings[..., :2] *= p.circle(8, 0.5)
    rings[1, :, 2] = -body.coat
    return p.loft(rings + pose.on_trunk(0.02 * h, 0.0), "cloth", caps=False)


def random_body(rng: np.random.Generator, kind: str) -> Body:
    """Measures of a random person of a kind, or of a rider."""
    if kind == "child":
        return Body(rng.uniform(0.9, 1.45), rng.uniform(1.05, 1.3))
    height = float(np.clip(rng.normal(1.72, 0.09), 1.5, 1.95))
    coat = rng.uniform(0.1, 0.5) if kind == "pedestrian" and rng.random() < 0.3 else 0.0
    return Body(height, float(np.clip(rng.normal(1.15, 0.14), 0.92, 1.55)), coat)
