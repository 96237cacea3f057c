"""What some cars carry on the roof, and doors and boot lids that stand open."""

from __future__ import annotations

import numpy as np

from lidarpan.synthetic.actors import primitives as p
from lidarpan.synthetic.actors.car_styles import Measures, Style
from lidarpan.synthetic.actors.mesh import Mesh


def car_extras(m: Measures, style: Style, paint: str, rng: np.random.Generator) -> list[Mesh]:
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
