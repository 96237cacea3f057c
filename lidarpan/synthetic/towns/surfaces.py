"""The kinds of ground in a town."""

from __future__ import annotations

from dataclasses import dataclass

from lidarpan.synthetic.tables import read_table


@dataclass(frozen=True)
class Surface:
    """One kind of ground: what it is, its height over the slope, its roughness (metres, std)."""

    kind: str
    material: str
    height_m: float
    rough_m: float
    swell_m: float = 0.0


SURFACES = {name: Surface(**row) for name, row in read_table("towns/surfaces").items()}
"""Name -> surface. Heights are over the gently sloping base that carries the town."""

CODE: dict[str, int] = {name: code for code, name in enumerate(SURFACES)}
"""Name -> place in SURFACES, as painted into a ground."""
