"""Cars and vans as triangle meshes: a lofted lower body, a glazed cabin, wheels in arches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lidarpan.synthetic import primitives as p
from lidarpan.synthetic.kinds import MATERIAL
from lidarpan.synthetic.mesh import Mesh

Range = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """One body style. Lengths in metres; x as fractions of the length from nose to tail.

    Attributes:
        share: how often it is seen.
        length: range of the body's length.
        width: range of the body's width without mirrors.
        height: range of the body's height.
        cowl: where windscreen and bonnet meet.
        roof: where the roof begins and ends.
        tail: where the rear window meets the body; the boot lies behind.
        bonnet: height of the bonnet at the cowl as a fraction of the height.
        belt: height of the window sill as a fraction of the height.
        boot: height of the tail's upper edge as a fraction of the height.
        clearance: height of the sills above the ground.
        glazed: how far back the side windows reach, as a fraction of the cabin.
        bed: whether the part behind the cabin is an open bed.
    """

    share: float
    length: Range
    width: Range
    height: Range
    cowl: float
    roof: Range
    tail: float
    bonnet: float
    belt: float
    boot: float
    clearance: float = 0.19
    glazed: float = 1.0
    bed: bool = False


STYLES: dict[str, Style] = {
    "hatchback": Style(
        0.30, (3.8, 4.4), (1.68, 1.81), (1.42, 1.52), 0.26, (0.44, 0.85), 0.965, 0.66, 0.65, 0.66
    ),
    "sedan": Style(
        0.13, (4.4, 4.95), (1.74, 1.88), (1.40, 1.49), 0.27, (0.44, 0.69), 0.84, 0.66, 0.65, 0.70
    ),
    "estate": Style(
        0.17, (4.4, 4.9), (1.74, 1.87), (1.42, 1.53), 0.26, (0.43, 0.88), 0.975, 0.65, 0.64, 0.66
    ),
    "suv": Style(
        0.16, (4.1, 4.8), (1.78, 1.94), (1.58, 1.76), 0.26, (0.42, 0.87), 0.97, 0.65, 0.63, 0.64,
        clearance=0.24,
    ),
    "mpv": Style(
        0.09, (4.2, 4.8), (1.75, 1.88), (1.58, 1.75), 0.19, (0.38, 0.89), 0.975, 0.60, 0.59, 0.60
    ),
    "city": Style(
        0.08, (3.45, 3.75), (1.60, 1.69), (1.44, 1.56), 0.22, (0.40, 0.88), 0.98, 0.64, 0.63, 0.64
    ),
    "coupe": Style(
        0.04, (4.1, 4.6), (1.74, 1.87), (1.28, 1.40), 0.31, (0.48, 0.66), 0.90, 0.69, 0.68, 0.72
    ),
    "pickup": Style(
        0.03, (4.9, 5.3), (1.80, 1.92), (1.74, 1.86), 0.25, (0.38, 0.58), 0.62, 0.62, 0.60, 0.60,
        clearance=0.28, bed=True,
    ),
}  # fmt: skip
VANS: dict[str, Style] = {
    "compact": Style(
        0.35, (4.3, 4.8), (1.80, 1.90), (1.80, 1.92), 0.19, (0.35, 0.96), 0.99, 0.56, 0.55, 0.5,
        glazed=0.4,
    ),
    "minibus": Style(
        0.25, (4.8, 5.3), (1.88, 1.98), (1.90, 2.05), 0.15, (0.28, 0.96), 0.99, 0.54, 0.52, 0.5,
    ),
    "panel": Style(
        0.4, (5.0, 6.4), (1.92, 2.06), (2.1, 2.75), 0.13, (0.26, 0.97), 0.99, 0.47, 0.46, 0.4,
        clearance=0.22, glazed=0.25,
    ),
}  # fmt: skip

_RING = 10
_TOP = 4  # the quad between a ring's two upper corners
OPEN = p.OPEN


def car(rng: np.random.Generator) -> list[Mesh]:
    """A passenger car of a random style."""
    return _build(_pick(STYLES, rng), rng)


def van(rng: np.random.Generator) -> list[Mesh]:
    """A delivery van or a minibus."""
    return _build(_pick(VANS, rng), rng)


def _pick(styles: dict[str, Style], rng: np.random.Generator) -> Style:
    shares = np.array([style.share for style in styles.values()])
    return list(styles.values())[int(rng.choice(len(shares), p=shares / shares.sum()))]


@dataclass(frozen=True)
class _Measures:
    """One car's measures in metres; x runs from the tail (negative) to the nose (positive)."""

    length: float
    width: float
    height: float
    clearance: float
    cowl: float
    roof: Range
    tail: float
    bonnet: float
    belt: float
    boot: float
    axles: Range
    radius: float


def _measure(style: Style, rng: np.random.Generator) -> _Measures:
    length, width = rng.uniform(*style.length), rng.uniform(*style.width)
    height = rng.uniform(*style.height)
    wiggle = rng.normal(0.0, 0.012, 6)
    front = length / 2

    def x(fraction: float) -> float:
        return front - fraction * length

    radius = np.clip(0.20 * height + rng.uniform(0.0, 0.04), 0.29, 0.38)
    overhang = np.clip(0.19 * length + rng.normal(0, 0.02), 0.66, 1.0)
    rear_overhang = np.clip(0.2 * length + rng.normal(0, 0.04), 0.6, 1.1)
    return _Measures(
        length,
        width,
        height,
        style.clearance + rng.uniform(-0.03, 0.03),
        x(style.cowl + wiggle[0]),
        (x(style.roof[0] + wiggle[1]), x(style.roof[1] + wiggle[2])),
        x(min(style.tail + wiggle[2] / 2, 0.992)),
        (style.bonnet + wiggle[3]) * height,
        (style.belt + wiggle[4]) * height,
        (style.boot + wiggle[5]) * height,
        (front - overhang, -front + rear_overhang),
        float(radius),
    )


def _build(style: Style, rng: np.random.Generator) -> list[Mesh]:
    m = _measure(style, rng)
    paint = "car_paint" if rng.random() < 0.6 else "dark_paint"
    track = 0.5 * m.width - 0.13
    tyre = p.wheel((0.0, 0.0, m.radius), m.radius, 0.21, 10)
    places = [(x, y, 0.0) for x in m.axles for y in (track, -track)]
    return [
        _lower_body(m, style, paint),
        *_cabin(m, style, paint),
        p.copies(tyre, places),
        *_interior(m, style),
        *_details(m, paint),
    ]


def _stations(m: _Measures, style: Style) -> tuple[p.Array, p.Array]:
    """Where the lower body has cross-sections, from tail to nose. -> x (R,), how far arched (R,)."""
    r = m.radius
    knots = [(-m.length / 2, 0.0), (-m.length / 2 + 0.07, 0.0)]
    for axle in m.axles[::-1]:
        knots += [(axle - 1.18 * r, 0.0), (axle - 0.68 * r, 1.0)]
        knots += [(axle + 0.68 * r, 1.0), (axle + 1.18 * r, 0.0)]
    knots += [(m.length / 2 - 0.10, 0.0), (m.length / 2, 0.0)]
    knots += [(m.tail, np.nan), (m.cowl, np.nan)]
    knots.sort()
    x, arch = np.array(knots).T
    known = ~np.isnan(arch)
    return x, np.interp(x, x[known], arch[known])


def _lower_body(m: _Measures, style: Style, paint: str) -> Mesh:
    """Everything below the windows: bumpers, bonnet, sides with wheel arches, floor, boot."""
    x, arch = _stations(m, style)
    front = m.length / 2
    along = np.array([-front, -front + 0.07, m.tail, m.cowl, m.cowl + 0.05, front - 0.1, front])
    nose = 0.78 * m.bonnet
    top_z = [m.boot * 0.93, m.boot, m.belt + 0.02, m.belt - 0.01, m.bonnet, nose + 0.05, nose - 0.1]
    top = np.interp(x, along, top_z)
    ends = [-front, -front + 0.25, -front + 0.9, front - 1.0, front - 0.3, front]
    wide = 0.5 * m.width * np.interp(x, ends, [0.84, 0.95, 1.0, 1.0, 0.94, 0.74])
    floor = np.interp(x, ends, [m.clearance + 0.14, m.clearance + 0.06, *[m.clearance] * 2,
                                m.clearance, m.clearance + 0.06])  # fmt: skip
    sill = floor + arch * (2 * m.radius + 0.05 - floor)
    middle = np.maximum(floor + 0.5 * (top - floor), sill + 0.04)
    shoulder = np.maximum(top - 0.06, middle + 0.02)
    half_y = np.stack([0.72 * wide, 0.95 * wide, wide, 0.97 * wide, 0.88 * wide], axis=1)
    half_z = np.stack([floor, sill, middle, shoulder, np.maximum(top, shoulder + 0.01)], axis=1)
    rings = np.empty((len(x), _RING, 3))
    rings[..., 0] = x[:, None]
    rings[:, :5, 1], rings[:, 5:, 1] = -half_y, half_y[:, ::-1]
    rings[:, :5, 2], rings[:, 5:, 2] = half_z, half_z[:, ::-1]
    grid = np.full((len(x) - 1, _RING), MATERIAL[paint], np.uint8)
    grid[:, [0, 8, 9]] = MATERIAL["dark_paint"]
    grid[:, 9] = MATERIAL["metal"]
    middle_x = (x[1:] + x[:-1]) / 2
    is_open = (middle_x > m.tail) & (middle_x < m.cowl)
    if style.bed:
        is_open |= (middle_x < m.tail) & (middle_x > -front + 0.05)
    grid[is_open, _TOP] = OPEN
    return p.loft(rings, grid, cap_material=paint)


def _cabin(m: _Measures, style: Style, paint: str) -> list[Mesh]:
    """Roof, pillars and windows over the opening of the lower body."""
    x = np.linspace(0.0, 1.0, 8)
    share = np.array([0.0, 0.05, 0.3, 0.35, 0.62, 0.67, 0.93, 1.0])
    base_x = m.cowl + (m.tail - m.cowl) * share
    roof_front, roof_rear = m.roof
    roof_x = roof_front + (roof_rear - roof_front) * share
    wide = 0.5 * m.width
    base_y = 0.88 * wide * np.interp(share, [0, 0.2, 0.8, 1], [0.97, 1, 1, 0.96])
    upright = np.clip((m.height - 1.5) / 0.6, 0.0, 1.0)
    roof_y = wide * (0.68 + 0.16 * upright) * np.interp(share, [0, 0.3, 0.8, 1], [0.94, 1, 1, 0.93])
    base_z = np.interp(base_x, [m.tail, m.cowl], [m.belt + 0.02, m.belt - 0.01])
    edge_z = m.height - 0.05 - 0.04 * np.abs(share - 0.45)
    base = np.stack([base_x, base_y, base_z], axis=1)
    edge = np.stack([roof_x, roof_y, edge_z], axis=1)
    quads = np.stack([base[:-1], base[1:], edge[1:], edge[:-1]], axis=1)
    quads = np.concatenate([quads, quads * [1, -1, 1]])
    window = np.tile(np.arange(7) % 2 == 1, 2)
    glazed = np.tile(share[1:] <= max(style.glazed, 0.3) + 1e-6, 2)
    is_glass = window & glazed
    mirror = np.array([1.0, -1.0, 1.0])
    screens = [
        [base[0], edge[0], edge[0] * mirror, base[0] * mirror],
        [base[-1], edge[-1], edge[-1] * mirror, base[-1] * mirror],
    ]
    rear = "glass" if style.glazed > 0.5 else paint
    keep = [0, 2, 4, 7]
    crown = edge[keep] * [1.0, 0.6, 1.0]
    crown[:, 2] = m.height - 0.09 * np.abs(share[keep] - 0.4)
    crown[1, 2] = crown[2, 2] = m.height
    across = np.stack([edge[keep], crown, crown * mirror, edge[keep] * mirror], axis=1)
    roof = np.stack(
        [across[:-1, :-1], across[1:, :-1], across[1:, 1:], across[:-1, 1:]], axis=2
    ).reshape(-1, 4, 3)
    return [
        p.panels(quads[~is_glass], paint),
        p.panels(quads[is_glass], "glass"),
        p.panels(np.array(screens[:1]), "glass"),
        p.panels(np.array(screens[1:]), rear),
        p.panels(roof, paint),
    ]


def _interior(m: _Measures, style: Style) -> list[Mesh]:
    """What is seen through the windows: dashboard, seats, rear bench, parcel shelf."""
    wide = 0.88 * m.width
    seat_x = m.roof[0] - 0.45
    top = min(m.height - 0.18, m.belt + 0.42)
    low = m.clearance + 0.15
    seat = p.tapered_box((seat_x, 0, low), (0.55, 0.5), (0.12, 0.26), top - low, "cloth", -0.25)
    parts = [
        p.copies(seat, [(0.0, 0.22 * m.width, 0.0), (0.0, -0.22 * m.width, 0.0)]),
        p.box((m.cowl - 0.25, 0.0, m.belt - 0.1), (0.4, wide * 0.92, 0.16), "plastic"),
    ]
    if style.glazed < 0.5:
        wall = m.roof[0] - 1.0
        half, y = 0.8 * m.height, 0.36 * m.width
        parts.append(
            p.panels([(wall, y, low), (wall, -y, low), (wall, -y, half), (wall, y, half)], "metal")
        )
    elif seat_x - m.tail > 1.2:
        base = (seat_x - 0.9, 0.0, low)
        height = min(top, m.belt + 0.3) - low
        parts.append(
            p.tapered_box(base, (0.55, wide * 0.85), (0.12, wide * 0.75), height, "cloth", -0.22)
        )
        x, y, z = m.tail, 0.42 * m.width, m.belt - 0.06
        shelf = [
            (x + 0.03, y, z),
            (x + 0.03, -y, z),
            (base[0] - 0.25, -y, z),
            (base[0] - 0.25, y, z),
        ]
        parts.append(p.panels(shelf, "cloth"))
    return parts


def _details(m: _Measures, paint: str) -> list[Mesh]:
    """Mirrors, number plates, lights."""
    front, half = m.length / 2, 0.5 * m.width
    mirror = p.box((m.cowl - 0.28, 0.0, m.belt + 0.06), (0.12, 0.2, 0.14), paint)
    at = 0.5 * m.width + 0.06
    plates = [
        _upright(front + 0.012, 0.0, 0.48, 0.26, 0.055),
        _upright(-front - 0.012, 0.0, m.boot * 0.62, 0.26, 0.055),
        _upright(-front - 0.012, 0.66 * half, m.boot * 0.83, 0.12, 0.08),
        _upright(-front - 0.012, -0.66 * half, m.boot * 0.83, 0.12, 0.08),
    ]
    lamp = 0.72 * m.bonnet
    lights = [_upright(front - 0.02, y * 0.6 * half, lamp, 0.15, 0.06) for y in (1, -1)]
    return [
        p.copies(mirror, [(0.0, at, 0.0), (0.0, -at, 0.0)]),
        p.panels(np.array(plates), "retroreflector"),
        p.panels(np.array(lights), "glass"),
    ]


def _upright(
    x: float, y: float, z: float, half_y: float, half_z: float
) -> list[tuple[float, float, float]]:
    return [
        (x, y - half_y, z - half_z),
        (x, y + half_y, z - half_z),
        (x, y + half_y, z + half_z),
        (x, y - half_y, z + half_z),
    ]
