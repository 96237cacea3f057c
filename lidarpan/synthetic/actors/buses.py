"""Buses and trams as triangle meshes: long bodies with a band of windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lidarpan.synthetic.actors import primitives as p
from lidarpan.synthetic.actors.cargo import axle_wheels, random_paint
from lidarpan.synthetic.actors.mesh import Mesh
from lidarpan.synthetic.kinds import MATERIAL

_HALF_WIDTHS = np.array([0.9, 1.0, 1.0, 0.97, 0.93, 0.7])
Range = tuple[float, float]

_MARGIN_M = 0.15  # from either end to the first window


def coach_body(
    x_range: tuple[float, float],
    width: float,
    heights: tuple[float, float, float, float],
    axles: Sequence[tuple[float, float]],
    paint: str,
    ends: tuple[bool, bool] = (True, True),
) -> list[Mesh]:
    """A long body with a band of windows, a skirt opened over the wheels, and a floor inside.

    Args:
        x_range: rear and front end.
        width: metres.
        heights: of the skirt's lower edge, of the windows' lower and upper edge, of the roof.
        axles: (x, wheel radius) of each axle.
        paint: material of the walls.
        ends: whether the rear and the front end are windowed.
    """
    (rear, front), (low, sill, lintel, roof), half = x_range, heights, width / 2
    knots = [(rear, low), (rear + _MARGIN_M, low), (front - _MARGIN_M, low), (front, low)]
    for x, radius in axles:
        arch = max(2 * radius + 0.06, low)
        knots += [(x - radius - 0.08, low), (x - 0.6 * radius, arch)]
        knots += [(x + 0.6 * radius, arch), (x + radius + 0.08, low)]
    x_at, skirt = np.array(sorted(knots)).T
    levels = np.array([low, 0.0, sill, lintel, roof - 0.1, roof])
    z = np.tile(levels, (len(x_at), 1))
    z[:, 1] = skirt
    z[:, 2] = np.maximum(sill, skirt)
    rings = np.empty((len(x_at), 12, 3))
    rings[..., 0] = x_at[:, None]
    rings[:, :6, 1], rings[:, 6:, 1] = -half * _HALF_WIDTHS, half * _HALF_WIDTHS[::-1]
    rings[:, :6, 2], rings[:, 6:, 2] = z, z[:, ::-1]
    grid = np.full((len(x_at) - 1, 12), MATERIAL[paint], np.uint8)
    grid[1:-1, [2, 8]], grid[:, 11] = MATERIAL["glass"], MATERIAL["metal"]
    levels[1] = low
    return [
        p.loft(rings, grid, caps=False),
        _posts(rear, front, half, sill, lintel, paint),
        *_end_wall(rear - 0.01, half, levels, paint, ends[0]),
        *_end_wall(front + 0.01, half, levels, paint, ends[1]),
    ]


def _posts(rear: float, front: float, half: float, sill: float, lintel: float, paint: str) -> Mesh:
    """Painted posts on the band of windows, about every two metres."""
    count = max(int((front - rear) / 2.0), 2)
    x = np.linspace(rear + _MARGIN_M, front - _MARGIN_M, count + 1)[1:-1]
    posts = np.empty((len(x), 2, 4, 3))
    posts[..., 0] = x[:, None, None] + np.array([-0.06, 0.06, 0.06, -0.06])
    posts[..., 1] = half * np.array([[1.0], [-1.0]]) * [1.01, 1.01, 0.98, 0.98]
    posts[..., 2] = [sill, sill, lintel, lintel]
    return p.panels(posts.reshape(-1, 4, 3), paint)


def _end_wall(x: float, half: float, levels: p.Array, paint: str, glazed: bool) -> list[Mesh]:
    """A front or rear wall: paint below, a window across, paint above."""
    y = half * _HALF_WIDTHS
    strips = np.full((5, 4, 3), x)
    strips[..., 1] = np.stack([-y[:-1], y[:-1], y[1:], -y[1:]], axis=1)
    strips[..., 2] = np.stack([levels[:-1], levels[:-1], levels[1:], levels[1:]], axis=1)
    window = p.panels(strips[2], "glass" if glazed else paint)
    return [p.panels(strips[[1, 3, 4]], paint), window]


def bus(rng: np.random.Generator) -> list[Mesh]:
    """A city bus or a coach, sometimes articulated, with two decks, or small."""
    luck = rng.random()
    if luck < 0.18:
        return _one_body(rng, (9.0, 12.0), (2.4, 2.55), (4.0, 4.4), decks=2)
    if luck < 0.33:
        return _one_body(rng, (5.9, 8.0), (2.05, 2.35), (2.5, 2.9))
    if luck < 0.82:
        return _one_body(rng, (8.5, 13.5), (2.4, 2.6), (2.85, 3.7))
    return _jointed(rng)


def _one_body(
    rng: np.random.Generator, lengths: Range, widths: Range, tops: Range, decks: int = 1
) -> list[Mesh]:
    length, width, height = rng.uniform(*lengths), rng.uniform(*widths), rng.uniform(*tops)
    paint, low, half = random_paint(rng), rng.uniform(0.26, 0.38), length / 2
    sill = rng.uniform(1.06, 1.5)  # over the wheel arches
    lintel = sill + rng.uniform(0.8, 1.0) if decks == 2 else height - rng.uniform(0.3, 0.6)
    lintel = min(max(lintel, sill + 0.7), height - 0.2)
    heights, radius = (low, sill, lintel, height), 0.48 if length > 8.2 else 0.4
    axles = [half - 0.21 * min(length, 12), -half + rng.uniform(0.2, 0.28) * length]
    parts = coach_body((-half, half), width, heights, [(x, radius) for x in axles], paint)
    if decks == 2:
        parts.append(_upper_deck(half, width, height))
    return _finished(parts, (-half, half), width, heights, axles, radius, rng)


def _upper_deck(half: float, width: float, height: float) -> Mesh:
    """The windows of an upper deck, on the walls."""
    low, high, x, y = height - 1.5, height - 0.6, half - 0.3, 0.5 * width + 0.01
    side = np.array([(x, y, low), (-x, y, low), (-x, y * 0.95, high), (x, y * 0.95, high)])
    ends = [
        p.facing(at, 0.0, height - 1.05, 0.42 * width, 0.45) for at in (half + 0.02, -half - 0.02)
    ]
    return p.panels(np.stack([side, side * [1.0, -1.0, 1.0], *ends]), "glass")


def _jointed(rng: np.random.Generator) -> list[Mesh]:
    paint, width, height = random_paint(rng), rng.uniform(2.45, 2.55), rng.uniform(2.9, 3.4)
    low = rng.uniform(0.28, 0.36)
    heights = (low, rng.uniform(1.06, 1.4), height - rng.uniform(0.35, 0.6), height)
    length = rng.uniform(16.5, 18.5)
    front, rear = length / 2, -length / 2
    joint = rear + 0.37 * length
    axles = [front - 2.7, joint + 2.2, joint - 2.6]
    ahead, behind = [(x, 0.48) for x in axles[:2]], [(axles[2], 0.48)]
    bellows = (1.25, width - 0.2, height - low - 0.1)
    bodies = [
        *coach_body((joint + 0.6, front), width, heights, ahead, paint, (False, True)),
        *coach_body((rear, joint - 0.6), width, heights, behind, paint, (True, False)),
        p.box((joint, 0.0, (low + height) / 2), bellows, "rubber"),
    ]
    return _finished(bodies, (rear, front), width, heights, axles, 0.48, rng)


def _finished(
    bodies: list[Mesh], ends: Range, width: float, heights: tuple[float, float, float, float],
    axles: list[float], radius: float, rng: np.random.Generator,
) -> list[Mesh]:  # fmt: skip
    """The bodies with seats, wheels, mirrors and plates."""
    rear, front = ends
    mirror = p.box((front + 0.12, 0.0, heights[2] - 0.25), (0.2, 0.14, 0.4), "plastic")
    y, lamp_y = width / 2 + 0.1, 0.42 * width
    plates = [p.facing(front + 0.015, 0.0, 0.55, 0.26, 0.06)]
    plates += [p.facing(rear - 0.015, at, 0.95, 0.2, 0.08) for at in (lamp_y, 0.0, -lamp_y)]
    return [
        *bodies,
        _seats(rear, front, width, heights[0] + 0.05, rng),
        *axle_wheels(axles, width - 0.04, radius),
        p.copies(mirror, [(0.0, y, 0.0), (0.0, -y, 0.0)]),
        p.panels(np.stack(plates), "retroreflector"),
    ]


def _seats(
    rear: float, front: float, width: float, floor_z: float, rng: np.random.Generator
) -> Mesh:
    """The backs of rows of seats on both sides of an aisle."""
    x = np.arange(rear + 0.8, front - 1.5, rng.uniform(1.3, 1.7))
    y = width / 2 - 0.55
    back = p.facing(0.0, 0.0, floor_z + 0.75, 0.42, 0.45)
    places = np.array([(at, side * y, 0.0) for at in x for side in (1, -1)])
    return p.panels(places[:, None] + back, "cloth")


def tram(rng: np.random.Generator) -> list[Mesh]:
    """A tram of two or three cars with bellows between them."""
    paint, width = random_paint(rng), rng.uniform(2.3, 2.65)
    count, each = int(rng.integers(2, 4)), rng.uniform(8.0, 10.0)
    heights = (0.25, rng.uniform(0.95, 1.15), 2.6, rng.uniform(3.2, 3.6))
    rear, top = -count * each / 2, heights[3]
    parts = []
    for index in range(count):
        x0, x1 = rear + index * each, rear + (index + 1) * each
        first, last = index == 0, index == count - 1
        span = (x0 if first else x0 + 0.35, x1 if last else x1 - 0.35)
        parts += coach_body(span, width, heights, [], paint, (first, last))
        parts.append(p.box(((x0 + x1) / 2, 0.0, 0.2), (2.4, width - 0.5, 0.4), "metal"))
        parts.append(_seats(x0, x1, width, 0.4, rng))
        if not first:
            parts.append(p.box((x0, 0.0, 1.7), (0.9, width - 0.25, 2.7), "rubber"))
    collector = [(0.0, 0.0, top), (-0.8, 0.0, top + 0.6), (0.1, 0.0, top + 1.1)]
    parts.append(p.tube(collector, 0.05, "metal", 4))
    parts.append(p.box((0.1, 0.0, top + 1.1), (0.1, 1.4, 0.06), "metal"))
    return parts
