"""The walls of buildings: windows in recesses, shops, glass fronts, balconies, ivy, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lidarpan.synthetic.towns.site import Pose, Site, draw, draw_log, pick, place

Corner = tuple[float, float]
"""Where the ground height of a building is taken."""


@dataclass(frozen=True)
class Facade:
    """How a building's walls are made; metres.

    Attributes:
        style: "windows", "plain" (a bare wall), "glass" (all of it) or "shops" (below windows).
        material: of the wall.
        relief: how far windows lie behind the wall.
        storey: height of a storey.
        pitch: from window to window.
        opening: share of the pitch that is a window.
        sill: height of a window's lower edge over its floor.
        lintel: height of its upper edge.
        glazed: share of windows without a blind or a curtain.
    """

    style: str
    material: str
    relief: float
    storey: float
    pitch: float
    opening: float
    sill: float
    lintel: float
    glazed: float


_STYLES = ("windows", "plain", "glass", "shops")


def draw_facade(rng: np.random.Generator, use: str = "house") -> Facade:
    """How the walls of a building of a use are made: "house", "block" or "hall"."""
    shares = {"house": (0.9, 0.1, 0, 0), "hall": (0.3, 0.5, 0.1, 0.1)}
    style = str(rng.choice(_STYLES, p=shares.get(use, (0.52, 0.1, 0.1, 0.28))))
    walls = ("plaster", "plaster", "brick", "concrete", "wood", "metal")
    shares_of_walls = (0.05, 0.1, 0.15, 0.3, 0.0, 0.4) if use == "hall" else _WALL_SHARES
    storey = draw(rng, 2.5, 3.3)
    sill = 0.1 if rng.random() < 0.12 else draw(rng, 0.6, 1.1)  # French windows
    return Facade(
        style, str(rng.choice(walls, p=shares_of_walls)), draw_log(rng, 0.03, 0.45), storey,
        draw(rng, 1.6, 4.2), draw(rng, 0.25, 0.75), sill, min(draw(rng, 2.0, 2.6), storey - 0.2),
        draw(rng, 0.2, 0.9),
    )  # fmt: skip


_WALL_SHARES = (0.33, 0.25, 0.27, 0.1, 0.05, 0.0)


def add_facade(
    site: Site, front: Pose, anchor: Corner, wide: float, height: float, look: Facade,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Cover a wall whose outer face is x of a frame, outward being -y."""
    if look.style == "plain":
        return
    if look.style == "glass":
        _add_curtain_wall(site, front, anchor, wide, height, look)
        return
    shops = look.style == "shops" and height > 5
    if shops:
        _add_shops(site, front, anchor, wide, look, rng)
    _add_windows(site, front, anchor, wide, height, look, rng, first=int(shops))


def _add_windows(
    site: Site, front: Pose, anchor: Corner, wide: float, height: float, look: Facade,
    rng: np.random.Generator, first: int,
) -> None:  # fmt: skip
    """Piers and bands in front of a wall, so that windows lie back; glass in the openings."""
    floors = max(1, int(height / look.storey))
    count = max(1, round(wide / look.pitch))
    pitch = wide / count
    opening = look.opening * pitch
    base = first * look.storey

    def add(x: float, length: float, low: float, high: float, made: str, out: float) -> None:
        px, py = place(front, x, -out / 2)
        size = (length, out, high - low)
        site.add("box", (px, py, front[2]), size, "building", made, bottom=low, anchor=anchor)

    for column in range(count + 1):
        edge = -wide / 2 + column * pitch
        length = (pitch - opening) * (0.5 if column in (0, count) else 1.0)
        shift = 0.0 if 0 < column < count else (length / 2 if column == 0 else -length / 2)
        add(edge + shift, length, base - (not first), height, look.material, look.relief)
    for floor in range(first, floors):
        low = floor * look.storey
        under = low + look.lintel - look.storey if floor > first else base - (not first)
        add(0, wide, under, low + look.sill, look.material, look.relief)
        for column in range(count):
            x = -wide / 2 + (column + 0.5) * pitch
            if rng.random() < look.glazed:
                add(x, opening, low + look.sill, low + look.lintel, "glass", 0.02)
    top = (floors - 1) * look.storey + look.lintel
    add(0, wide, top, max(height, top + 0.1), look.material, look.relief)


def _add_curtain_wall(
    site: Site, front: Pose, anchor: Corner, wide: float, height: float, look: Facade
) -> None:
    """Glass from the ground to the roof with thin mullions, and a band at every floor."""
    px, py = place(front, 0, -0.03)
    size = (wide, 0.06, height - 0.4)
    site.add("box", (px, py, front[2]), size, "building", "glass", bottom=0.3, anchor=anchor)
    count = max(1, round(wide / min(look.pitch, 2.5)))
    for column in range(count + 1):
        px, py = place(front, (column / count - 0.5) * (wide - 0.1), -0.08)
        size = (0.08, 0.16, height)
        site.add("box", (px, py, front[2]), size, "building", "metal", anchor=anchor)
    px, py = place(front, 0, -0.06)
    for low in np.arange(0, height - 0.3, look.storey):
        size = (wide, 0.12, 0.35)
        pose = (px, py, front[2])
        site.add("box", pose, size, "building", "metal", bottom=float(low), anchor=anchor)


def _add_shops(
    site: Site, front: Pose, anchor: Corner, wide: float, look: Facade, rng: np.random.Generator
) -> None:
    """Shop windows between piers on the ground floor, a fascia over them, some awnings."""
    count = max(1, round(wide / draw(rng, 3.5, 7)))
    each = wide / count
    top = look.storey - 0.5
    for column in range(count + 1):
        px, py = place(front, (column / count - 0.5) * (wide - 0.4), -look.relief / 2)
        size = (0.4, look.relief, look.storey + 1)
        pose = (px, py, front[2])
        site.add("box", pose, size, "building", look.material, bottom=-1, anchor=anchor)
    px, py = place(front, 0, -look.relief / 2 - 0.03)
    size = (wide, look.relief + 0.06, 0.6)
    site.add("box", (px, py, front[2]), size, "building", "plastic", bottom=top, anchor=anchor)
    for column in range(count):
        x = (column + 0.5) * each - wide / 2
        px, py = place(front, x, -0.02)
        size = (each - 0.4, 0.04, top)
        if rng.random() < 0.8:
            site.add("box", (px, py, front[2]), size, "building", "glass", anchor=anchor)
        if rng.random() < 0.25:
            out = draw(rng, 0.8, 2.0)
            px, py = place(front, x, -out / 2)
            size = (each - 0.2, out, 0.12)
            pose = (px, py, front[2])
            site.add("box", pose, size, "building", "cloth", bottom=top, anchor=anchor)


def add_entrance(
    site: Site, front: Pose, anchor: Corner, wide: float, height: float, look: Facade,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """A step at the door, sometimes a canopy, a porch of two walls, or a bay window."""
    x = draw(rng, -0.3, 0.3) * wide
    px, py = place(front, x, -0.5)
    pose = (px, py, front[2])
    site.add("box", pose, (1.6, 1.0, 0.2), "building", "concrete", anchor=anchor)
    luck = rng.random()
    if luck < 0.35:
        size = (2.2, 1.4, 0.15)
        site.add("box", pose, size, "building", "concrete", bottom=2.5, anchor=anchor)
    elif luck < 0.5:
        for side in (-0.9, 0.9):
            wx, wy = place(front, x + side, -0.6)
            size = (0.2, 1.2, 2.5)
            site.add("box", (wx, wy, front[2]), size, "building", look.material, anchor=anchor)
        site.add("box", pose, (2.2, 1.5, 0.3), "building", "brick", bottom=2.5, anchor=anchor)
    if rng.random() < 0.3:
        out = draw(rng, 0.5, 1.8)
        bx, by = place(front, -x * 0.8, -out / 2)
        size = (draw(rng, 2, 3.5), out, height * draw(rng, 0.4, 1.0))
        site.add("box", (bx, by, front[2]), size, "building", look.material, anchor=anchor)


def add_balconies(
    site: Site, front: Pose, anchor: Corner, wide: float, height: float, look: Facade,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """A balcony over another on every upper floor, behind boards, bars or glass."""
    length, out = min(draw(rng, 1.5, 4.5), wide * 0.5), draw(rng, 0.7, 1.8)
    made, density = pick(rng, (("metal", 0.0), ("metal", 14.0), ("glass", 0.0), ("concrete", 0.0)))
    count = max(1, int(wide / draw(rng, 5, 9)))
    for column in range(count):
        x = ((column + 0.5) / count - 0.5) * wide
        for floor in range(1, max(2, int(height / look.storey))):
            low = floor * look.storey - 0.15
            px, py = place(front, x, -out / 2)
            pose = (px, py, front[2])
            size = (length, out, 0.18)
            site.add("box", pose, size, "building", "concrete", bottom=low, anchor=anchor)
            px, py = place(front, x, -out)
            size = (length, 0.05, 1.05)
            site.add(
                "box", (px, py, front[2]), size, "building", made, bottom=low + 0.15,
                density=density, anchor=anchor,
            )  # fmt: skip


def add_ivy(
    site: Site, front: Pose, anchor: Corner, wide: float, height: float, rng: np.random.Generator
) -> None:
    """Climbers that cover parts of a wall, or nearly all of it."""
    for _ in range(int(rng.integers(2, 7))):
        length, thick = min(wide, draw(rng, 1, 5)), draw(rng, 0.15, 0.6)
        x = draw(rng, -0.5, 0.5) * (wide - length)
        px, py = place(front, x, -thick / 2 + 0.1)
        low = draw(rng, -0.3, 0.3 * height)
        tall = min(draw(rng, 1.0, height), height - low)
        site.add(
            pick(rng, ("box", "blob")), (px, py, front[2]), (length, thick, tall), "vegetation",
            "leaf", bottom=low, density=draw_log(rng, 5, 40), anchor=anchor,
        )  # fmt: skip
