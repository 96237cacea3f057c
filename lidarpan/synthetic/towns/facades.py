"""The walls of buildings: windows in recesses, shops, glass fronts, balconies, ivy, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lidarpan.synthetic.towns.site import Pose, Site, draw, draw_log, pick


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


@dataclass(frozen=True)
class Wall:
    """One wall of a building, which takes what is on it.

    Attributes:
        site: takes the parts.
        front: frame in the wall's outer face, x along it, outward being -y.
        anchor: where the ground height of the building is taken.
        wide: length of the wall, metres.
        height: of the wall, metres.
        look: how it is made.
        rng: source of chance.
    """

    site: Site
    front: Pose
    anchor: tuple[float, float]
    wide: float
    height: float
    look: Facade
    rng: np.random.Generator

    def _add(
        self, at: tuple[float, float], size: tuple[float, float, float], material: str,
        bottom: float = 0.0, density: float = 0.0,
    ) -> None:  # fmt: skip
        """A box of the building, its middle at (x, y) of the wall's frame."""
        self.site.add(
            "box", self.front, size, "building", material, at=at, bottom=bottom, density=density,
            anchor=self.anchor,
        )  # fmt: skip

    def cover(self) -> None:
        """Windows, shops or glass, as the wall is made."""
        if self.look.style == "plain":
            return
        if self.look.style == "glass":
            self._add_curtain_wall()
            return
        shops = self.look.style == "shops" and self.height > 5
        if shops:
            self._add_shops()
        self._add_windows(first=int(shops))

    def _add_windows(self, first: int) -> None:
        """Piers and bands in front of a wall, so that windows lie back; glass in the openings."""
        look, wide = self.look, self.wide
        floors = max(1, int(self.height / look.storey))
        count = max(1, round(wide / look.pitch))
        pitch = wide / count
        opening = look.opening * pitch
        base = first * look.storey

        def add(x: float, length: float, low: float, high: float, made: str, out: float) -> None:
            self._add((x, -out / 2), (length, out, high - low), made, low)

        for column in range(count + 1):
            edge = -wide / 2 + column * pitch
            length = (pitch - opening) * (0.5 if column in (0, count) else 1.0)
            shift = 0.0 if 0 < column < count else (length / 2 if column == 0 else -length / 2)
            low = base - (not first)
            add(edge + shift, length, low, self.height, look.material, look.relief)
        for floor in range(first, floors):
            low = floor * look.storey
            under = low + look.lintel - look.storey if floor > first else base - (not first)
            add(0, wide, under, low + look.sill, look.material, look.relief)
            for column in range(count):
                x = -wide / 2 + (column + 0.5) * pitch
                if self.rng.random() < look.glazed:
                    add(x, opening, low + look.sill, low + look.lintel, "glass", 0.02)
        top = (floors - 1) * look.storey + look.lintel
        add(0, wide, top, max(self.height, top + 0.1), look.material, look.relief)

    def _add_curtain_wall(self) -> None:
        """Glass from the ground to the roof with thin mullions, and a band at every floor."""
        self._add((0, -0.03), (self.wide, 0.06, self.height - 0.4), "glass", 0.3)
        count = max(1, round(self.wide / min(self.look.pitch, 2.5)))
        for column in range(count + 1):
            x = (column / count - 0.5) * (self.wide - 0.1)
            self._add((x, -0.08), (0.08, 0.16, self.height), "metal")
        for low in np.arange(0, self.height - 0.3, self.look.storey):
            self._add((0, -0.06), (self.wide, 0.12, 0.35), "metal", float(low))

    def _add_shops(self) -> None:
        """Shop windows between piers on the ground floor, a fascia over them, some awnings."""
        rng, look = self.rng, self.look
        count = max(1, round(self.wide / draw(rng, 3.5, 7)))
        each = self.wide / count
        top = look.storey - 0.5
        for column in range(count + 1):
            x = (column / count - 0.5) * (self.wide - 0.4)
            self._add((x, -look.relief / 2), (0.4, look.relief, look.storey + 1), look.material, -1)
        fascia = (self.wide, look.relief + 0.06, 0.6)
        self._add((0, -look.relief / 2 - 0.03), fascia, "plastic", top)
        for column in range(count):
            x = (column + 0.5) * each - self.wide / 2
            if rng.random() < 0.8:
                self._add((x, -0.02), (each - 0.4, 0.04, top), "glass")
            if rng.random() < 0.25:
                out = draw(rng, 0.8, 2.0)
                self._add((x, -out / 2), (each - 0.2, out, 0.12), "cloth", top)

    def add_entrance(self) -> None:
        """A step at the door, sometimes a canopy, a porch of two walls, or a bay window."""
        rng, made = self.rng, self.look.material
        x = draw(rng, -0.3, 0.3) * self.wide
        self._add((x, -0.5), (1.6, 1.0, 0.2), "concrete")
        luck = rng.random()
        if luck < 0.35:
            self._add((x, -0.5), (2.2, 1.4, 0.15), "concrete", 2.5)
        elif luck < 0.5:
            for side in (-0.9, 0.9):
                self._add((x + side, -0.6), (0.2, 1.2, 2.5), made)
            self._add((x, -0.5), (2.2, 1.5, 0.3), "brick", 2.5)
        if rng.random() < 0.3:
            out = draw(rng, 0.5, 1.8)
            size = (draw(rng, 2, 3.5), out, self.height * draw(rng, 0.4, 1.0))
            self._add((-x * 0.8, -out / 2), size, made)

    def add_balconies(self) -> None:
        """A balcony over another on every upper floor, behind boards, bars or glass."""
        rng = self.rng
        length, out = min(draw(rng, 1.5, 4.5), self.wide * 0.5), draw(rng, 0.7, 1.8)
        made, density = pick(
            rng, (("metal", 0.0), ("metal", 14.0), ("glass", 0.0), ("concrete", 0.0))
        )
        count = max(1, int(self.wide / draw(rng, 5, 9)))
        for column in range(count):
            x = ((column + 0.5) / count - 0.5) * self.wide
            for floor in range(1, max(2, int(self.height / self.look.storey))):
                low = floor * self.look.storey - 0.15
                self._add((x, -out / 2), (length, out, 0.18), "concrete", low)
                self._add((x, -out), (length, 0.05, 1.05), made, low + 0.15, density)

    def add_ivy(self) -> None:
        """Climbers that cover parts of a wall, or nearly all of it."""
        rng = self.rng
        for _ in range(int(rng.integers(2, 7))):
            length, thick = min(self.wide, draw(rng, 1, 5)), draw(rng, 0.15, 0.6)
            x = draw(rng, -0.5, 0.5) * (self.wide - length)
            low = draw(rng, -0.3, 0.3 * self.height)
            tall = min(draw(rng, 1.0, self.height), self.height - low)
            self.site.add(
                pick(rng, ("box", "blob")), self.front, (length, thick, tall), "vegetation", "leaf",
                at=(x, -thick / 2 + 0.1), bottom=low, density=draw_log(rng, 5, 40),
                anchor=self.anchor,
            )  # fmt: skip
