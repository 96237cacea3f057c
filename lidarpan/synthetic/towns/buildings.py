"""Houses, blocks of flats, garages and halls with recessed windows and doors."""

from __future__ import annotations

import numpy as np

from lidarpan.synthetic.towns.site import Pose, Site, draw, place


def _wall_material(rng: np.random.Generator) -> str:
    return str(rng.choice(("plaster", "plaster", "brick", "concrete", "wood"), p=_WALL_SHARES))


_WALL_SHARES = (0.35, 0.25, 0.28, 0.07, 0.05)


def add_building(
    site: Site, frame: Pose, x: float, y: float, length: float, depth: float, height: float,
    rng: np.random.Generator, roof: str | None = None, yaw: float = 0.0,
) -> None:  # fmt: skip
    """A building whose middle is (x, y) in a local frame.

    Args:
        site: takes the parts.
        frame: local frame, x along the street.
        x: of the middle.
        y: of the middle.
        length: along x.
        depth: along y.
        height: of the walls.
        rng: source of chance.
        roof: "gable", "cross" (ridge along y), "hip" or "flat"; drawn when None.
        yaw: turn in the frame.
    """
    cx, cy = place(frame, x, y)
    own: Pose = (cx, cy, frame[2] + yaw)
    material = _wall_material(rng)
    roof = roof or str(rng.choice(("gable", "cross", "hip", "flat"), p=(0.5, 0.15, 0.2, 0.15)))
    site.add(
        "box",
        own,
        (length, depth, height + 1.5),
        "building",
        material,
        bottom=-1.5,
        anchor=(cx, cy),
    )
    _add_roof(site, own, length, depth, height, roof, rng)
    for side in range(4):
        wide, half = (length, depth / 2) if side % 2 == 0 else (depth, length / 2)
        turn = side * np.pi / 2
        front = (*place(own, half * np.sin(turn), -half * np.cos(turn)), own[2] + turn)
        _add_facade(site, front, (cx, cy), wide, height, material, rng, door=side == 0)


def _add_roof(
    site: Site, own: Pose, length: float, depth: float, height: float, roof: str,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    x, y, yaw = own
    over = draw(rng, 0.3, 0.7)
    if roof == "flat":
        size = (length + 0.1, depth + 0.1, 0.3)
        site.add("box", own, size, "building", "concrete", bottom=height)
        return
    turned = roof == "cross"
    span = length if turned else depth
    size = (
        (depth if turned else length) + 2 * over,
        span + 2 * over,
        span * rng.uniform(0.3, 0.55),
    )
    inset = draw(rng, 0.4, 0.8) if roof == "hip" else 0.0
    pose = (x, y, yaw + np.pi / 2 * turned)
    site.add("gable", pose, size, "building", "brick", bottom=height - 0.1, parameter=inset)
    if rng.random() < 0.6:
        px, py = place(own, draw(rng, -0.3, 0.3) * length, 0.5)
        size = (0.6, 0.6, size[2] + 0.8)
        site.add("box", (px, py, yaw), size, "building", "brick", bottom=height, anchor=(x, y))


def _add_facade(
    site: Site, front: Pose, anchor: tuple[float, float], wide: float, height: float,
    material: str, rng: np.random.Generator, door: bool,
) -> None:  # fmt: skip
    """Piers and bands in front of a wall, so that windows lie back; glass in the openings."""
    relief = draw(rng, 0.06, 0.22)
    storey = draw(rng, 2.6, 3.1)
    floors = max(1, int(height / storey))
    count = max(1, int(wide / rng.uniform(2.0, 3.4)))
    pitch = wide / count
    opening = draw(rng, 0.35, 0.6) * pitch
    sill, lintel = draw(rng, 0.7, 1.0), draw(rng, 2.1, 2.4)

    def add(x: float, length: float, low: float, high: float, made: str, out: float) -> None:
        px, py = place(front, x, -out / 2)
        size = (length, out, high - low)
        site.add("box", (px, py, front[2]), size, "building", made, bottom=low, anchor=anchor)

    for column in range(count + 1):
        edge = -wide / 2 + column * pitch
        length = (pitch - opening) * (0.5 if column in (0, count) else 1.0)
        shift = 0.0 if 0 < column < count else (length / 2 if column == 0 else -length / 2)
        add(edge + shift, length, -1.0, height, material, relief)
    for floor in range(floors):
        low = floor * storey
        add(0, wide, low + lintel - storey, low + sill, material, relief)
        for column in range(count):
            x = -wide / 2 + (column + 0.5) * pitch
            if rng.random() < 0.5:  # else a blind or a curtain in the recess
                add(x, opening, low + sill, low + lintel, "glass", 0.02)
    add(0, wide, (floors - 1) * storey + lintel, height, material, relief)
    if door:
        x = draw(rng, -0.3, 0.3) * wide
        px, py = place(front, x, -0.6)
        size = (1.6, 1.0, 0.35)
        site.add("box", (px, py, front[2]), size, "building", "concrete", anchor=anchor)
        if rng.random() < 0.4:
            size = (2.2, 1.4, 0.15)
            site.add(
                "box", (px, py, front[2]), size, "building", "concrete", bottom=2.5, anchor=anchor
            )
        if rng.random() < 0.35:
            out = draw(rng, 0.6, 1.8)
            bx, by = place(front, -x * 0.8, -out / 2)
            size = (draw(rng, 2, 3.5), out, height * draw(rng, 0.4, 1.0))
            site.add("box", (bx, by, front[2]), size, "building", material, anchor=anchor)
    elif rng.random() < 0.15 and height > 5:
        for floor in range(1, floors):
            px, py = place(front, draw(rng, -0.2, 0.2) * wide, -0.6)
            size = (min(3.0, wide * 0.5), 1.2, 1.0)
            low = floor * storey - 0.1
            site.add(
                "box", (px, py, front[2]), size, "building", "metal", bottom=low, anchor=anchor
            )
