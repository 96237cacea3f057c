"""Motorcycles and scooters as triangle meshes."""

from __future__ import annotations

import numpy as np

from lidarpan.synthetic.actors import primitives as p
from lidarpan.synthetic.actors.mesh import Mesh
from lidarpan.synthetic.actors.two_wheelers import Seat


def motorcycle(rng: np.random.Generator) -> tuple[list[Mesh], Seat]:
    """A motorcycle or a scooter."""
    return _scooter(rng) if rng.random() < 0.5 else _motorbike(rng)


def _motorbike(rng: np.random.Generator) -> tuple[list[Mesh], Seat]:
    """A motorcycle: naked, or with a fairing, with or without a case."""
    s = rng.uniform(0.92, 1.05)
    front, radius = 0.7 * s, 0.31 * s
    paint = "car_paint" if rng.random() < 0.6 else "dark_paint"
    seat_z = rng.uniform(0.76, 0.86) * s
    bar = np.array([0.32 * s, 0.0, seat_z + 0.22 * s])
    fork = p.cylinder((bar[0], 0.1, bar[2]), (front, 0.1, radius), 0.03, "metal", 4, caps=False)
    parts = [
        p.wheel((-front, 0.0, radius), radius, 0.17 * s),
        p.wheel((front, 0.0, radius), radius, 0.12 * s),
        p.tapered_box((0.03, 0.0, 0.22 * s), (0.5 * s, 0.3), (0.6 * s, 0.34), 0.38 * s, "metal"),
        _tank(0.6 * s, seat_z + 0.16 * s, s, paint),
        p.tapered_box((-0.4 * s, 0, seat_z - 0.1), (0.7 * s, 0.2), (0.66 * s, 0.28), 0.1, "rubber"),
        p.tapered_box((-0.72 * s, 0, seat_z - 0.16), (0.3 * s, 0.12), (0.4, 0.16), 0.18, paint),
        p.tube([(-0.02, 0.2, 0.3), (-0.75 * s, 0.22, 0.4 * s)], [0.04, 0.07], "metal", 6),
        p.copies(fork, [(0.0, 0.0, 0.0), (0.0, -0.2, 0.0)]),
        p.cylinder((-front, 0.12, radius), (-0.1, 0.12, 0.35 * s), 0.04, "metal", 4),
        p.tapered_box((front, 0, 2 * radius), (0.4, 0.14), (0.2, 0.12), 0.05, paint),
        *_bars(bar, rng.uniform(0.36, 0.44)),
        *_lights(0.5 * s, seat_z, -0.93 * s),
    ]
    if rng.random() < 0.5:
        nose = (0.45 * s, 0.0, 0.62 * s)
        parts.append(p.tapered_box(nose, (0.34, 0.36), (0.16, 0.34), 0.42, paint, -0.08))
        parts.append(_screen(0.45 * s, 1.04 * s, 0.3, 0.15))
    if rng.random() < 0.35:
        parts.append(p.box((-0.85 * s, 0.0, seat_z + 0.2), (0.34, 0.42, 0.3), "plastic"))
    feet = np.array([[-0.12, 0.2, 0.36 * s], [-0.12, -0.2, 0.36 * s]])
    hands = np.array([[-0.04, 0.36, 0.02], [-0.04, -0.36, 0.02]]) + bar
    lean = rng.uniform(0.1, 0.5)
    return parts, Seat((-0.3 * s, seat_z + 0.1), lean, (feet[0], feet[1]), (hands[0], hands[1]))


def _scooter(rng: np.random.Generator) -> tuple[list[Mesh], Seat]:
    """A scooter: small wheels, a leg shield, a flat foot board."""
    s = rng.uniform(0.92, 1.06)
    front, radius = 0.63 * s, 0.23 * s
    paint = "car_paint" if rng.random() < 0.7 else "dark_paint"
    seat_z, bar = 0.77 * s, np.array([0.4 * s, 0.0, 1.02 * s])
    parts = [
        p.wheel((-front, 0.0, radius), radius, 0.12),
        p.wheel((front, 0.0, radius), radius, 0.11),
        p.tapered_box((-0.42 * s, 0, 0.28 * s), (0.78 * s, 0.3), (0.72 * s, 0.26), 0.42 * s, paint),
        p.tapered_box((-0.38 * s, 0, 0.68 * s), (0.66 * s, 0.22), (0.62 * s, 0.3), 0.1, "rubber"),
        p.box((0.12 * s, 0.0, 0.26 * s), (0.5 * s, 0.34, 0.1), paint),
        p.tapered_box((0.42 * s, 0, 0.22 * s), (0.16, 0.36), (0.1, 0.34), 0.68 * s, paint, -0.1),
        p.tapered_box((0.38 * s, 0, 0.9 * s), (0.2, 0.16), (0.16, 0.26), 0.15, paint),
        p.tapered_box((front, 0, 1.5 * radius), (0.42, 0.16), (0.24, 0.12), 0.16, paint, -0.04),
        p.cylinder((0.46 * s, 0, 0.5 * s), (front, 0, radius), 0.04, "metal", 4),
        *_bars(bar, 0.33),
        *_lights(0.5 * s, 0.85 * s, -0.84 * s),
    ]
    if rng.random() < 0.4:
        parts.append(p.box((-0.82 * s, 0.0, 0.95 * s), (0.34, 0.38, 0.3), "plastic"))
    if rng.random() < 0.3:
        parts.append(_screen(0.42 * s, 1.08 * s, 0.42, 0.24))
    feet = np.array([[0.2 * s, 0.12, 0.38 * s], [0.2 * s, -0.12, 0.38 * s]])
    hands = np.array([[-0.05, 0.3, 0.02], [-0.05, -0.3, 0.02]]) + bar
    lean = rng.uniform(-0.05, 0.2)
    return parts, Seat((-0.3 * s, seat_z + 0.1), lean, (feet[0], feet[1]), (hands[0], hands[1]))


def _tank(low: float, high: float, scale: float, paint: str) -> Mesh:
    """The fuel tank: an oblong body, broadest in its middle."""
    along, half_y = np.array([-0.1, 0.1, 0.35]) * scale, np.array([0.1, 0.17, 0.13])
    rings = np.empty((3, 6, 3))
    rings[..., 0] = along[:, None]
    rings[..., 1] = half_y[:, None] * p.circle(6)[:, 0]
    rings[..., 2] = (low + high) / 2 + (high - low) / 2 * p.circle(6)[:, 1]
    return p.loft(rings, paint)


def _screen(x: float, z: float, height: float, half: float) -> Mesh:
    """A windscreen that leans back."""
    corners = p.facing(x, 0.0, z + height / 2, half, height / 2)
    corners[2:, 0] -= 0.15
    return p.panels(corners, "glass")


def _bars(bar: p.Array, half: float) -> list[Mesh]:
    """Handlebar and mirrors on stalks."""
    x, _, z = bar
    handle = [(x - 0.12, half, z), (x, 0.12, z), (x, -0.12, z), (x - 0.12, -half, z)]
    y = half - 0.05
    mirror = p.box((x - 0.02, y, z + 0.2), (0.03, 0.13, 0.09), "plastic")
    stalk = p.cylinder((x - 0.06, y - 0.06, z), (x - 0.02, y, z + 0.18), 0.01, "metal", 3, False)
    sides = [(0.0, 0.0, 0.0), (0.0, -2 * y, 0.0)]
    return [p.tube(handle, 0.02, "rubber", 4), p.copies(mirror, sides), p.copies(stalk, sides)]


def _lights(front: float, z: float, rear: float) -> list[Mesh]:
    """Headlamp, number plate and tail light."""
    lamp = p.box((front, 0.0, z + 0.05), (0.14, 0.18, 0.16), "glass")
    plates = [p.facing(rear, 0.0, 0.53, 0.1, 0.085), p.facing(rear, 0.0, 0.7, 0.08, 0.04)]
    return [lamp, p.panels(plates, "retroreflector")]
