"""Trucks, buses, trams and trailers as triangle meshes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lidarpan.synthetic import primitives as p
from lidarpan.synthetic.kinds import MATERIAL
from lidarpan.synthetic.mesh import Mesh


def _paint(rng: np.random.Generator) -> str:
    return "car_paint" if rng.random() < 0.65 else "dark_paint"


def axle_wheels(
    axles: Sequence[float], width: float, radius: float, twin: Sequence[bool] = ()
) -> list[Mesh]:
    """Wheels on both sides of each axle; twin tyres are twice as broad. x of the axles."""
    parts = []
    for index, x in enumerate(axles):
        tyre = 0.55 if index < len(twin) and twin[index] else 0.3
        one = p.wheel((x, 0.0, radius), radius, tyre, 9)
        y = width / 2 - tyre / 2 - 0.02
        parts.append(p.copies(one, [(0.0, y, 0.0), (0.0, -y, 0.0)]))
    return parts


def truck(rng: np.random.Generator) -> list[Mesh]:
    """A rigid truck with one of several bodies, or a tractor with a semi-trailer."""
    paint, width = _paint(rng), rng.uniform(2.3, 2.55)
    if rng.random() < 0.3:
        return _articulated(rng, width, paint)
    length = rng.uniform(6.0, 10.0)
    heavy = length > 7.5
    radius = 0.5 if heavy else 0.42
    deck = 2 * radius + 0.12
    front, rear = length / 2, -length / 2
    cab_length = rng.uniform(1.6, 2.1)
    cab_height = rng.uniform(2.5, 2.9) if not heavy else rng.uniform(2.8, 3.3)
    bed = (rear, front - cab_length - 0.15)
    axles = [front - 1.25, rear + 0.24 * length]
    if length > 8.5:
        axles.append(axles[1] + 1.3)
    return [
        *_truck_cab(front, cab_length, width, cab_height, radius, paint),
        *_chassis(rear, front - 1.0, width, deck, rng),
        *axle_wheels(axles, width, radius, (False, True, True)),
        *_truck_body(bed, width, deck, rng),
    ]


def _truck_cab(
    front: float, length: float, width: float, height: float, radius: float, paint: str
) -> list[Mesh]:
    """A cab over the front axle: painted shell with glass, seats behind it, mirrors."""
    low, sill, brow = 0.38, 0.53 * height, 0.9 * height
    half = width / 2
    # side outline from the front lower corner, clockwise seen from the left: x back from the nose
    levels = np.array(
        [
            [0.04, low, 0.95],
            [0.0, low + 0.25, 1.0],
            [0.02, sill, 1.0],
            [0.14, brow, 0.95],
            [0.45, height, 0.84],
        ]
    )
    rings = np.empty((5, 4, 3))
    rings[:, [0, 3], 0] = front - levels[:, :1]
    rings[:, [1, 2], 0] = front - length
    rings[:, [0, 1], 1], rings[:, [2, 3], 1] = half * levels[:, 2:], -half * levels[:, 2:]
    rings[..., 2] = levels[:, 1:2]
    grid = np.full((4, 4), MATERIAL[paint], np.uint8)
    grid[2, [0, 3]] = p.OPEN, MATERIAL["glass"]
    grid[2, 2] = p.OPEN
    grid[0, 3] = MATERIAL["dark_paint"]
    parts = [p.loft(rings, grid, cap_material=paint)]
    split = front - 0.14 - 0.6 * (length - 0.14)
    for y0, y1 in ((half, 0.95 * half), (-half, -0.95 * half)):
        a, b = (front - 0.02, y0, sill), (front - 0.14, y1, brow)
        c, d = (split, y1, brow), (split, y0, sill)
        e, f = (front - length, y1, brow), (front - length, y0, sill)
        parts += [p.panels([a, b, c, d], "glass"), p.panels([d, c, e, f], paint)]
    seat = p.tapered_box((front - 0.95, 0, sill - 0.5), (0.5, 0.5), (0.2, 0.4), 1.0, "cloth", -0.2)
    mirror = p.box((front - 0.05, 0.0, sill + 0.35), (0.12, 0.2, 0.5), "plastic")
    arch = p.box((front - 1.25, 0.0, radius + 0.1), (2 * radius + 0.2, width - 0.7, 0.5), "metal")
    lights = [
        [
            (front + 0.01, y + a, z)
            for a, z in ((-0.18, 0.62), (0.18, 0.62), (0.18, 0.8), (-0.18, 0.8))
        ]
        for y in (0.75 * half, -0.75 * half)
    ]
    return [
        *parts,
        p.copies(seat, [(0.0, 0.5, 0.0), (0.0, -0.5, 0.0)]),
        p.copies(mirror, [(0.0, half + 0.12, 0.0), (0.0, -half - 0.12, 0.0)]),
        arch,
        p.panels(np.array(lights), "glass"),
    ]


def _chassis(
    rear: float, front: float, width: float, deck: float, rng: np.random.Generator
) -> list[Mesh]:
    """The frame, a tank or side guards between the wheels, the rear lights."""
    middle, length = (rear + front) / 2, front - rear
    frame = p.box((middle, 0.0, deck - 0.2), (length, 0.9, 0.25), "metal")
    guard = p.box((middle + 0.08 * length, 0.0, 0.72), (0.3 * length, 0.25, 0.5), "plastic")
    y = width / 2 - 0.2
    h = width / 2 - 0.25
    rear_bar = p.box((rear + 0.06, 0.0, 0.55), (0.1, width - 0.1, 0.14), "dark_paint")
    x = rear - 0.005
    lights = [
        [(x, s * h + a, z) for a, z in ((-0.2, 0.75), (0.2, 0.75), (0.2, 0.95), (-0.2, 0.95))]
        for s in (1, -1)
    ]
    parts = [frame, rear_bar, p.panels(np.array(lights), "retroreflector")]
    if rng.random() < 0.8:
        parts.append(p.copies(guard, [(0.0, y, 0.0), (0.0, -y, 0.0)]))
    return parts


def _truck_body(
    bed: tuple[float, float], width: float, deck: float, rng: np.random.Generator
) -> list[Mesh]:
    """What a truck carries on its frame between two x: box, tank, flat bed, tipper, mixer."""
    rear, front = bed
    middle, length = (rear + front) / 2, front - rear
    match int(rng.choice(5, p=[0.5, 0.1, 0.15, 0.17, 0.08])):
        case 0:
            height = rng.uniform(1.9, 2.7)
            return [
                p.box((middle, 0.0, deck + height / 2), (length, width, height), "car_paint"),
                _marks(rear, front, width, deck + 0.1),
            ]
        case 1:
            return [
                _tank(rear, front, width, deck),
                p.box((middle, 0, deck), (length, width * 0.8, 0.12), "metal"),
            ]
        case 2:
            return [
                *_tray(rear, front, width, deck, rng.uniform(0.3, 0.7)),
                *_load(rear, front, width, deck, rng),
            ]
        case 3:
            body = p.tapered_box(
                (middle, 0, deck), (length * 0.9, width * 0.8), (length, width), 1.3, "metal", 0.1
            )
            heap = p.tapered_box(
                (middle, 0, deck + 1.3),
                (length * 0.9, width * 0.9),
                (0.4 * length, 0.5),
                0.3,
                "gravel",
            )
            shield = p.box((front - 0.1, 0, deck + 1.45), (0.3, width * 0.9, 0.3), "metal")
            return [body, heap, shield]
        case _:
            path = [
                (front - 0.2, 0, deck + 0.7),
                (front - 1.0, 0, deck + 1.0),
                (rear + 1.3, 0, deck + 1.35),
                (rear + 0.2, 0, deck + 1.6),
            ]
            drum = p.tube(path, np.array([0.5, 1.1, 1.15, 0.45]), "car_paint", 10)
            return [drum, p.box((rear + 0.4, 0, deck + 1.0), (0.7, 1.0, 2.0), "metal")]


def _marks(rear: float, front: float, width: float, z: float) -> Mesh:
    """Reflecting contour tape along the lower edges."""
    h, y = 0.05, width / 2 + 0.005
    sides = [
        [(rear, s * y, z), (front, s * y, z), (front, s * y, z + h), (rear, s * y, z + h)]
        for s in (1, -1)
    ]
    back = [
        (rear - 0.005, -y, z),
        (rear - 0.005, y, z),
        (rear - 0.005, y, z + h),
        (rear - 0.005, -y, z + h),
    ]
    return p.panels(np.array([*sides, back]), "retroreflector")


def _tank(rear: float, front: float, width: float, deck: float) -> Mesh:
    z = deck + 0.48 * width
    path = [(rear, 0, z), (rear + 0.25, 0, z), (front - 0.25, 0, z), (front, 0, z)]
    radii = np.array([0.36, 0.47, 0.47, 0.36]) * width
    return p.tube(path, radii, "metal", 12)


def _tray(rear: float, front: float, width: float, deck: float, side: float) -> list[Mesh]:
    """A flat bed with low boards round it."""
    middle, length, z = (rear + front) / 2, front - rear, deck + 0.1
    board = p.box((middle, 0.0, z + side / 2), (length, 0.04, side), "metal")
    end = p.box((0.0, 0.0, z + side / 2), (0.04, width, side), "metal")
    return [
        p.box((middle, 0.0, z - 0.05), (length, width, 0.1), "wood"),
        p.copies(board, [(0.0, width / 2, 0.0), (0.0, -width / 2, 0.0)]),
        p.copies(end, [(rear, 0.0, 0.0), (front, 0.0, 0.0)]),
    ]


def _load(
    rear: float, front: float, width: float, deck: float, rng: np.random.Generator
) -> list[Mesh]:
    parts = []
    for _ in range(int(rng.integers(0, 4))):
        size = (rng.uniform(0.6, 1.6), rng.uniform(0.6, width - 0.4), rng.uniform(0.3, 1.4))
        x = rng.uniform(rear + 0.9, front - 0.9)
        parts.append(p.box((x, 0.0, deck + 0.1 + size[2] / 2), size, "wood"))
    return parts


def _articulated(rng: np.random.Generator, width: float, paint: str) -> list[Mesh]:
    length = rng.uniform(14.0, 16.5)
    front, rear = length / 2, -length / 2
    return [
        *_truck_cab(front, 2.2, width, rng.uniform(3.2, 3.8), 0.5, paint),
        *_chassis(front - 6.0, front - 1.0, width, 1.0, rng),
        *axle_wheels([front - 1.4, front - 5.0], width, 0.5, (False, True)),
        *_semi_trailer(rear, front - 2.6, width, rng),
    ]


def _semi_trailer(rear: float, front: float, width: float, rng: np.random.Generator) -> list[Mesh]:
    """A box, curtain, tank, flat or tipping semi-trailer between two x."""
    deck, length = 1.2, front - rear
    axles = [rear + 1.6, rear + 2.9, rear + 4.2]
    parts = [
        p.box(((rear + front) / 2, 0.0, deck - 0.15), (length, 1.0, 0.3), "metal"),
        p.box((rear + 0.08, 0.0, 0.55), (0.1, width - 0.1, 0.15), "dark_paint"),
        *axle_wheels(axles, width, 0.5, (True, True, True)),
    ]
    kind = rng.random()
    if kind < 0.65:
        height = rng.uniform(2.6, 2.8)
        middle = ((rear + front) / 2, 0.0, deck + height / 2)
        parts.append(
            p.box(middle, (length, width, height), "cloth" if kind < 0.35 else "car_paint")
        )
        parts.append(_marks(rear, front, width, deck + 0.05))
    elif kind < 0.8:
        parts.append(_tank(rear, front, width, deck))
    else:
        parts += _tray(rear, front, width, deck, rng.uniform(0.1, 0.8))
        parts += _load(rear, front, width, deck, rng)
    return parts


def coach_body(
    x_range: tuple[float, float],
    width: float,
    heights: tuple[float, float, float, float],
    axles: Sequence[tuple[float, float]],
    paint: str,
    ends: tuple[bool, bool] = (True, True),
    pitch: float = 1.5,
) -> list[Mesh]:
    """A long body with a band of windows, a lower skirt opened over the wheels, and a floor inside.

    Args:
        x_range: rear and front end.
        width: metres.
        heights: of the skirt's lower edge, of the windows' lower and upper edge, of the roof.
        axles: (x, wheel radius) of each axle.
        paint: material of the walls.
        ends: whether the rear and the front end are windowed too.
        pitch: distance between window posts.
    """
    rear, front = x_range
    low, sill, lintel, roof = heights
    posts = np.linspace(rear + 0.15, front - 0.15, max(int((front - rear) / pitch), 2) + 1)
    knots = [(rear, 0.0), (front, 0.0), *((x, 0.0) for x in posts)]
    for x, radius in axles:
        knots += [(x - radius - 0.08, 0.0), (x - 0.6 * radius, 1.0)]
        knots += [(x + 0.6 * radius, 1.0), (x + radius + 0.08, 0.0)]
    knots.sort()
    x, arch = np.array(knots).T
    tallest = 2 * axles[0][1] + 0.06 if axles else low
    lower = low + arch * max(tallest - low, 0.0)
    for axle, radius in axles:
        inside = np.abs(x - axle) < 0.7 * radius
        lower[inside] = np.maximum(lower[inside], tallest)
    half = width / 2
    ys = np.array([0.9, 1.0, 1.0, 0.97, 0.93, 0.7]) * half
    zs = np.stack(
        [np.full_like(x, low), lower, np.full_like(x, sill), np.full_like(x, lintel)]
        + [np.full_like(x, roof - 0.1), np.full_like(x, roof)],
        axis=1,
    )
    rings = np.empty((len(x), 12, 3))
    rings[..., 0] = x[:, None]
    rings[:, :6, 1], rings[:, 6:, 1] = -ys, ys[::-1]
    rings[:, :6, 2], rings[:, 6:, 2] = zs, zs[:, ::-1]
    grid = np.full((len(x) - 1, 12), MATERIAL[paint], np.uint8)
    middle = (x[1:] + x[:-1]) / 2
    glazed = (middle > posts[0]) & (middle < posts[-1])
    grid[:, 2] = np.where(glazed, MATERIAL["glass"], MATERIAL[paint])
    grid[:, 8] = grid[:, 2]
    grid[:, 11] = MATERIAL["metal"]
    floor_z = max(low + 0.25, 0.35)
    y = 0.94 * half
    floor = [(rear, -y, floor_z), (front, -y, floor_z), (front, y, floor_z), (rear, y, floor_z)]
    parts = [p.loft(rings, grid, caps=False), p.panels(floor, "rubber")]
    for end, at, ahead in ((ends[0], rear, -0.01), (ends[1], front, 0.01)):
        parts += _end_wall(at, ahead, ys, zs[0], paint, end)
    return parts


def _end_wall(
    x: float, ahead: float, ys: p.Array, zs: p.Array, paint: str, glazed: bool
) -> list[Mesh]:
    """A front or rear wall: paint below, a window across, paint above."""
    strips = [
        [
            (x + ahead, -ys[i], zs[i]),
            (x + ahead, ys[i], zs[i]),
            (x + ahead, ys[i + 1], zs[i + 1]),
            (x + ahead, -ys[i + 1], zs[i + 1]),
        ]
        for i in range(5)
    ]
    window = p.panels(strips[2], "glass" if glazed else paint)
    return [p.panels(np.array([strips[0], strips[1], strips[3], strips[4]]), paint), window]


def _seats(
    rear: float, front: float, width: float, floor_z: float, rng: np.random.Generator
) -> Mesh:
    """Rows of seats on both sides of an aisle."""
    pitch = rng.uniform(1.3, 1.7)
    row = p.box((0.0, 0.0, floor_z + 0.7), (0.3, 0.85, 0.9), "cloth")
    xs = np.arange(rear + 0.8, front - 1.5, pitch)
    y = width / 2 - 0.55
    return p.copies(row, [(x, s * y, 0.0) for x in xs[:5] for s in (1, -1)])


def bus(rng: np.random.Generator) -> list[Mesh]:
    """A city bus or a coach, sometimes articulated."""
    paint, width, height = _paint(rng), rng.uniform(2.45, 2.55), rng.uniform(2.9, 3.4)
    low = rng.uniform(0.28, 0.36)
    heights = (low, rng.uniform(1.0, 1.4), height - rng.uniform(0.35, 0.6), height)
    if rng.random() < 0.2:
        length = rng.uniform(17.0, 18.5)
        front, rear, joint = length / 2, -length / 2, -length / 2 + 0.37 * length
        bodies = [
            *coach_body(
                (joint + 0.6, front),
                width,
                heights,
                [(front - 2.7, 0.48), (joint + 2.2, 0.48)],
                paint,
                (False, True),
                2.4,
            ),
            *coach_body(
                (rear, joint - 0.6),
                width,
                heights,
                [(joint - 2.6, 0.48)],
                paint,
                (True, False),
                2.4,
            ),
            p.box(
                (joint, 0.0, (low + height) / 2), (1.25, width - 0.2, height - low - 0.1), "rubber"
            ),
        ]
        axles = [front - 2.7, joint + 2.2, joint - 2.6]
    else:
        length = rng.uniform(8.5, 12.5)
        front, rear = length / 2, -length / 2
        axles = [front - rng.uniform(2.2, 2.7), rear + rng.uniform(2.4, 3.3)]
        bodies = coach_body(
            (rear, front), width, heights, [(x, 0.48) for x in axles], paint, (True, True), 2.0
        )
        bodies.append(_seats(rear, front, width, low, rng))
    mirror = p.box((front + 0.12, 0.0, heights[2] - 0.25), (0.2, 0.14, 0.4), "plastic")
    y = width / 2 + 0.1
    return [
        *bodies,
        *axle_wheels(axles, width - 0.04, 0.48),
        p.copies(mirror, [(0.0, y, 0.0), (0.0, -y, 0.0)]),
        _plates(front + 0.015, rear - 0.015, width),
    ]


def _plates(front: float, rear: float, width: float) -> Mesh:
    y, quads = 0.42 * width, []
    for x, at, z in ((front, 0.0, 0.5), (rear, 0.0, 0.7), (rear, y, 0.95), (rear, -y, 0.95)):
        quads.append(
            [(x, at - 0.2, z), (x, at + 0.2, z), (x, at + 0.2, z + 0.11), (x, at - 0.2, z + 0.11)]
        )
    return p.panels(np.array(quads), "retroreflector")


def tram(rng: np.random.Generator) -> list[Mesh]:
    """A tram of two or three cars with bellows between them."""
    paint, width = _paint(rng), rng.uniform(2.3, 2.65)
    count, each = int(rng.integers(2, 4)), rng.uniform(8.0, 10.0)
    heights = (0.25, rng.uniform(0.95, 1.15), 2.6, rng.uniform(3.2, 3.6))
    rear = -count * each / 2
    parts = []
    for index in range(count):
        ends = (index == 0, index == count - 1)
        x0, x1 = rear + index * each, rear + (index + 1) * each
        gap = (0.0 if ends[0] else 0.35, 0.0 if ends[1] else 0.35)
        parts += coach_body((x0 + gap[0], x1 - gap[1]), width, heights, [], paint, ends, 2.4)
        bogie = p.box(((x0 + x1) / 2, 0.0, 0.2), (2.4, width - 0.5, 0.4), "metal")
        parts.append(bogie)
        if not ends[0]:
            parts.append(p.box((x0, 0.0, 1.7), (0.9, width - 0.25, 2.7), "rubber"))
    collector = [
        (0.0, 0.0, heights[3]),
        (-0.8, 0.0, heights[3] + 0.6),
        (0.1, 0.0, heights[3] + 1.1),
    ]
    parts.append(p.tube(collector, 0.05, "metal", 4))
    parts.append(p.box((0.1, 0.0, heights[3] + 1.1), (0.1, 1.4, 0.06), "metal"))
    return parts


def trailer(rng: np.random.Generator) -> list[Mesh]:
    """A trailer standing alone: for a car, a caravan, a parked semi-trailer, a site wagon."""
    kind = rng.random()
    if kind < 0.4:
        return _car_trailer(rng)
    if kind < 0.7:
        return _caravan(rng)
    length = rng.uniform(8.0, 13.6)
    front, rear, width = length / 2, -length / 2, rng.uniform(2.4, 2.55)
    leg = p.box((front - 2.6, 0.0, 0.5), (0.15, 0.15, 1.0), "metal")
    legs = p.copies(leg, [(0.0, 0.7, 0.0), (0.0, -0.7, 0.0)])
    return [*_semi_trailer(rear, front, width, rng), legs]


def _drawbar(front: float, width: float, z: float) -> list[Mesh]:
    tip = (front + 1.1, 0.0, z)
    bars = [p.cylinder((front, y * width / 3, z), tip, 0.04, "metal", 4) for y in (1, -1)]
    return [*bars, p.cylinder((front + 0.9, 0.0, 0.0), (front + 0.9, 0.0, z), 0.04, "metal", 5)]


def _car_trailer(rng: np.random.Generator) -> list[Mesh]:
    length, width = rng.uniform(2.0, 3.6), rng.uniform(1.2, 1.8)
    front, rear, deck = length / 2, -length / 2, rng.uniform(0.5, 0.65)
    parts = [
        *_tray(rear, front, width, deck, rng.uniform(0.3, 0.5)),
        *_drawbar(front, width, deck),
        *axle_wheels([0.0] if length < 2.8 else [0.4, -0.4], width + 0.5, 0.3),
    ]
    if rng.random() < 0.5:
        height = rng.uniform(0.3, 1.3)
        parts.append(
            p.tapered_box(
                (0, 0, deck + 0.4), (length, width), (length * 0.95, width * 0.9), height, "cloth"
            )
        )
    return parts


def _caravan(rng: np.random.Generator) -> list[Mesh]:
    length, width, height = rng.uniform(4.0, 6.5), rng.uniform(2.1, 2.4), rng.uniform(2.45, 2.65)
    front, rear = length / 2, -length / 2
    heights = (0.45, 1.2, 1.9, height)
    return [
        *coach_body((rear, front), width, heights, [(0.0, 0.33)], "car_paint", (True, True), 1.8),
        *axle_wheels([0.0], width - 0.1, 0.33),
        *_drawbar(front, width, 0.5),
    ]
