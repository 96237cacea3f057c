"""Cars and vans as triangle meshes: a lofted lower body, a glazed cabin, wheels in arches."""

from __future__ import annotations

import numpy as np

from lidarpan.synthetic.actors import primitives as p
from lidarpan.synthetic.actors.car_styles import (
    STYLES,
    VANS,
    Measures,
    Style,
    random_measures,
    random_style,
)
from lidarpan.synthetic.actors.mesh import Mesh
from lidarpan.synthetic.kinds import MATERIAL

_MIRROR = np.array([1.0, -1.0, 1.0])


def car(rng: np.random.Generator) -> list[Mesh]:
    """A passenger car of a random style."""
    return _build(random_style(STYLES, rng), rng)


def van(rng: np.random.Generator) -> list[Mesh]:
    """A delivery van or a minibus."""
    return _build(random_style(VANS, rng), rng)


def _build(style: Style, rng: np.random.Generator) -> list[Mesh]:
    m = random_measures(style, rng)
    paint = "car_paint" if rng.random() < 0.6 else "dark_paint"
    y = 0.5 * m.width - 0.13
    wheel = p.wheel((0.0, 0.0, m.radius), m.radius, 0.21, 10)
    return [
        _lower_body(m, style, paint),
        *_cabin(m, style, paint),
        p.copies(wheel, [(x, side * y, 0.0) for x in m.axles for side in (1, -1)]),
        *_interior(m, style),
        *_details(m, paint),
        *_extras(m, style, paint, rng),
    ]


def _stations(m: Measures) -> tuple[p.Array, p.Array]:
    """Where the lower body has cross-sections, from tail to nose. -> x, how far arched: (R,)."""
    r, front = m.radius, m.length / 2
    knots = [(-front, 0.0), (-front + 0.07, 0.0), (front - 0.1, 0.0), (front, 0.0)]
    for axle in m.axles:
        knots += [(axle - 1.18 * r, 0.0), (axle - 0.68 * r, 1.0)]
        knots += [(axle + 0.68 * r, 1.0), (axle + 1.18 * r, 0.0)]
    x, arch = np.array(sorted(knots)).T
    every = np.sort(np.concatenate([x, [m.tail, m.cowl]]))
    return every, np.interp(every, x, arch)


def _lower_body(m: Measures, style: Style, paint: str) -> Mesh:
    """Everything below the windows: bumpers, bonnet, sides with wheel arches, floor, boot.

    Each cross-section has ten corners: on either side the edge of the floor, the sill, the widest
    point, the shoulder and the edge of the bonnet or of the window sill.
    """
    x, arch = _stations(m)
    front, nose = m.length / 2, 0.78 * m.bonnet
    along = [-front, -front + 0.07, m.tail, m.cowl, m.cowl + 0.05, front - 0.1, front]
    line = [0.93 * m.boot, m.boot, m.belt + 0.02, m.belt - 0.01, m.bonnet, nose + 0.05, nose - 0.1]
    top = np.interp(x, along, line)
    ends = [-front, -front + 0.25, -front + 0.9, front - 1.0, front - 0.3, front]
    wide = 0.5 * m.width * np.interp(x, ends, [0.84, 0.95, 1.0, 1.0, 0.94, 0.74])
    floor = m.clearance + np.interp(x, ends, [0.14, 0.06, 0.0, 0.0, 0.0, 0.06])
    sill = floor + arch * (2 * m.radius + 0.05 - floor)
    middle = np.maximum(floor + 0.5 * (top - floor), sill + 0.04)
    shoulder = np.maximum(top - 0.06, middle + 0.02)
    half_y = np.stack([0.72 * wide, 0.95 * wide, wide, 0.97 * wide, 0.88 * wide], axis=1)
    half_z = np.stack([floor, sill, middle, shoulder, np.maximum(top, shoulder + 0.01)], axis=1)
    rings = np.empty((len(x), 10, 3))
    rings[..., 0] = x[:, None]
    rings[:, :5, 1], rings[:, 5:, 1] = -half_y, half_y[:, ::-1]
    rings[:, :5, 2], rings[:, 5:, 2] = half_z, half_z[:, ::-1]
    grid = np.full((len(x) - 1, 10), MATERIAL[paint], np.uint8)
    grid[:, [0, 8]], grid[:, 9] = MATERIAL["plastic"], MATERIAL["metal"]
    between = (x[1:] + x[:-1]) / 2
    is_open = (between > m.tail) & (between < m.cowl)
    if style.bed:
        is_open |= (between < m.tail) & (between > -front + 0.05)
    grid[is_open, 4] = p.OPEN
    return p.loft(rings, grid, cap_material=paint)


# posts and windows along the cabin from windscreen to rear window: shares of its length
_POSTS = np.array([0.0, 0.05, 0.3, 0.35, 0.62, 0.67, 0.93, 1.0])


def _cabin(m: Measures, style: Style, paint: str) -> list[Mesh]:
    """Roof, pillars and windows over the opening of the lower body."""
    base, edge = _window_band(m)
    if style.open_top:
        return [_windscreen(base, edge)]
    quads = np.stack([base[:-1], base[1:], edge[1:], edge[:-1]], axis=1)
    is_glass = (np.arange(7) % 2 == 1) & (_POSTS[1:] <= max(style.glazed, 0.3) + 1e-6)
    rear_window = np.stack([base[-1], edge[-1], edge[-1] * _MIRROR, base[-1] * _MIRROR])
    rear = "glass" if style.glazed > 0.5 else paint
    glass, solid = quads[is_glass], quads[~is_glass]
    return [
        p.panels(np.concatenate([solid, solid * _MIRROR]), paint),
        p.panels(np.concatenate([glass, glass * _MIRROR]), "glass"),
        _windscreen(base, edge),
        p.panels(rear_window, rear),
        *_roof(m, edge[[0, 2, 4, 7]], _POSTS[[0, 2, 4, 7]], paint),
    ]


def _windscreen(base: p.Array, edge: p.Array) -> Mesh:
    return p.panels(np.stack([base[0], edge[0], edge[0] * _MIRROR, base[0] * _MIRROR]), "glass")


def _window_band(m: Measures) -> tuple[p.Array, p.Array]:
    """Lower and upper ends of the left side's posts. -> (8, 3) each."""
    base, edge = np.empty((8, 3)), np.empty((8, 3))
    half = 0.5 * m.width
    upright = np.clip((m.height - 1.5) / 0.6, 0.0, 1.0)
    base[:, 0] = m.cowl + (m.tail - m.cowl) * _POSTS
    base[:, 1] = 0.88 * half * np.interp(_POSTS, [0, 0.2, 0.8, 1], [0.97, 1, 1, 0.96])
    base[:, 2] = np.interp(base[:, 0], [m.tail, m.cowl], [m.belt + 0.02, m.belt - 0.01])
    edge[:, 0] = m.roof[0] + (m.roof[1] - m.roof[0]) * _POSTS
    edge[:, 1] = half * (0.70 + 0.14 * upright)
    edge[:, 1] *= np.interp(_POSTS, [0, 0.3, 0.8, 1], [0.94, 1, 1, 0.94])
    edge[:, 2] = m.height - 0.11 - 0.05 * np.abs(_POSTS - 0.45)
    return base, edge


def _roof(m: Measures, edge: p.Array, share: p.Array, paint: str) -> list[Mesh]:
    """A roof with rounded edges between the upper ends of the posts, closed at both ends."""
    sag = 0.1 * np.abs(share - 0.42) ** 1.5
    rail, crown = edge * [1.0, 0.92, 1.0], edge * [1.0, 0.5, 1.0]
    rail[:, 2] = m.height - 0.035 - sag
    crown[:, 2] = m.height - sag + sag.min()
    rail[[0, -1], 0] += [-0.06, 0.05]  # the ends are rounded too
    crown[[0, -1], 0] += [-0.14, 0.11]
    half = np.stack([edge, rail, crown], axis=1)
    across = np.concatenate([half, half[:, ::-1] * _MIRROR], axis=1)
    corners = [across[:-1, :-1], across[1:, :-1], across[1:, 1:], across[:-1, 1:]]
    quads = np.stack(corners, axis=2).reshape(-1, 4, 3)
    return [p.panels(quads, paint), p.panels(across[[0, -1]], paint)]


def _interior(m: Measures, style: Style) -> list[Mesh]:
    """What is seen through the windows: dashboard, seats, rear bench, parcel shelf."""
    wide, low = 0.88 * m.width, m.clearance + 0.15
    seat_x = m.roof[0] - 0.45
    top = min(m.height - 0.18, m.belt + 0.42)
    seat = p.tapered_box((seat_x, 0, low), (0.55, 0.5), (0.12, 0.26), top - low, "cloth", -0.25)
    parts = [
        p.copies(seat, [(0.0, 0.22 * m.width, 0.0), (0.0, -0.22 * m.width, 0.0)]),
        p.box((m.cowl - 0.25, 0.0, m.belt - 0.1), (0.4, wide * 0.92, 0.16), "plastic"),
    ]
    if style.glazed < 0.5:
        middle, half = (0.8 * m.height + low) / 2, (0.8 * m.height - low) / 2
        wall = p.facing(m.roof[0] - 1.0, 0.0, middle, 0.36 * m.width, half)
        return [*parts, p.panels(wall, "metal")]
    if seat_x - m.tail <= 1.2:
        return parts
    back = seat_x - 1.12  # the bench must stay under the roof or the rear window
    roof_line = float(np.interp(back - 0.1, [m.tail, m.roof[1]], [m.belt, m.height - 0.1]))
    height = min(top, m.belt + 0.3, roof_line - 0.06) - low
    sizes = ((0.55, wide * 0.85), (0.12, wide * 0.75))
    bench = p.tapered_box((seat_x - 0.9, 0.0, low), *sizes, height, "cloth", -0.22)
    shelf = np.array([[1, 1], [1, -1], [0, -1], [0, 1]], np.float64) * [1.0, 0.42 * m.width]
    shelf[:, 0] = m.tail + 0.03 + shelf[:, 0] * (back - m.tail)
    return [*parts, bench, p.panels(np.c_[shelf, np.full(4, m.belt - 0.06)], "cloth")]


def _details(m: Measures, paint: str) -> list[Mesh]:
    """Mirrors, number plates, lights."""
    front, half = m.length / 2, 0.5 * m.width
    at = half + 0.06
    mirror = p.box((m.cowl - 0.28, 0.0, m.belt + 0.06), (0.12, 0.2, 0.14), paint)
    back, lamp = -front - 0.012, 0.83 * m.boot
    reflectors = [
        p.facing(front + 0.012, 0.0, 0.48, 0.26, 0.055),
        p.facing(back, 0.0, 0.62 * m.boot, 0.26, 0.055),
        p.facing(back, 0.66 * half, lamp, 0.12, 0.08),
        p.facing(back, -0.66 * half, lamp, 0.12, 0.08),
    ]
    lights = [p.facing(front - 0.02, y * 0.6 * half, 0.72 * m.bonnet, 0.15, 0.06) for y in (1, -1)]
    return [
        p.copies(mirror, [(0.0, at, 0.0), (0.0, -at, 0.0)]),
        p.panels(np.stack(reflectors), "retroreflector"),
        p.panels(np.stack(lights), "glass"),
    ]


def _extras(m: Measures, style: Style, paint: str, rng: np.random.Generator) -> list[Mesh]:
    """One car in nine has a roof box, a rack, an open door or an open boot lid."""
    luck = rng.random()
    closed = not style.open_top and not style.bed
    if luck < 0.03 and closed:
        return [_roof_box(m, rng)]
    if luck < 0.055 and closed:
        return _rack(m, rng)
    if luck < 0.085:
        return _open_door(m, style, paint, rng)
    if luck < 0.11 and closed:
        return [_boot_lid(m, paint, rng)]
    return []


def _roof_box(m: Measures, rng: np.random.Generator) -> Mesh:
    length, width = rng.uniform(1.3, 2.1), rng.uniform(0.6, 0.9)
    foot = ((m.roof[0] + m.roof[1]) / 2, 0.0, m.height + 0.03)
    return p.tapered_box(foot, (length, width), (0.85 * length, 0.9 * width), 0.36, "plastic")


def _rack(m: Measures, rng: np.random.Generator) -> list[Mesh]:
    """Bars across the roof with ladders or boards on them."""
    middle, z = (m.roof[0] + m.roof[1]) / 2, m.height + 0.1
    bar = p.box((middle, 0.0, z), (0.06, 0.72 * m.width, 0.06), "metal")
    length = rng.uniform(1.8, min(3.6, 0.9 * m.length))
    load = p.box((middle, 0.1, z + 0.1), (length, rng.uniform(0.3, 0.8), 0.12), "metal")
    return [p.copies(bar, [(0.5, 0.0, 0.0), (-0.5, 0.0, 0.0)]), load]


def _open_door(m: Measures, style: Style, paint: str, rng: np.random.Generator) -> list[Mesh]:
    """A front door that stands out from the side, its window over it."""
    side, angle = rng.choice([-1.0, 1.0]), rng.uniform(0.5, 1.2)
    hinge = np.array([m.cowl - 0.12, side * 0.47 * m.width])
    tip = hinge + rng.uniform(0.9, 1.15) * np.array([-np.cos(angle), side * np.sin(angle)])
    low, sill, top = m.clearance + 0.15, m.belt, m.height - 0.15

    def upright(bottom: float, upper: float) -> p.Array:
        corners = [(*hinge, bottom), (*tip, bottom), (*tip, upper), (*hinge, upper)]
        return np.array(corners)

    parts = [p.panels(upright(low, sill), paint)]
    if not style.open_top:
        parts.append(p.panels(upright(sill, top), "glass"))
    return parts


def _boot_lid(m: Measures, paint: str, rng: np.random.Generator) -> Mesh:
    """A lid that stands up behind the roof."""
    rise, half, x, z = rng.uniform(-0.1, 0.6), 0.36 * m.width, m.roof[1], m.height - 0.05
    back, up = x - 0.8 * np.cos(rise), z + 0.8 * np.sin(rise)
    return p.panels(
        np.array([(x, half, z), (x, -half, z), (back, -half, up), (back, half, up)]), paint
    )
