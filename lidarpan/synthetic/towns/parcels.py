"""Private land along streets, cut into plots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lidarpan.synthetic.towns.layout import STYLES, Layout, Street
from lidarpan.synthetic.towns.site import Pose, draw, place_all


@dataclass(frozen=True)
class Parcel:
    """A plot: its frame (x along its front, y away from the street), width, depth, and use."""

    frame: Pose
    width: float
    depth: float
    use: str
    number: int


_WIDTHS_M = {
    "house": (12, 24), "row": (8, 18), "flats": (22, 42), "hall": (28, 50),
    "woods": (18, 45), "field": (30, 60), "park": (20, 40), "lot": (18, 36),
    "screen": (18, 40), "terrace": (6, 22), "plaza": (18, 40),
}  # fmt: skip


def make_parcels(layout: Layout, rng: np.random.Generator) -> list[Parcel]:
    """Plots along both sides of every street that keep clear of the other streets."""
    parcels: list[Parcel] = []
    for street in layout.streets:
        uses, usual = zip(*STYLES[street.profile.style]["uses"].items(), strict=True)
        shares = rng.dirichlet(4 * np.array(usual))
        for side in (-1, 1):
            s, use = 0.0, "house"
            while s < street.length - 6:
                if s == 0 or rng.random() < (0.2 if use == "terrace" else 0.6):
                    use = uses[int(rng.choice(len(uses), p=shares))]
                width = min(draw(rng, *_WIDTHS_M[use]), street.length - s)
                depth = draw(rng, 24, 46)
                parcel = _fit(layout, street, side, s, width, depth, use, len(parcels))
                if parcel is not None:
                    parcels.append(parcel)
                    s += width
                else:
                    s += 3.0
    return parcels


def _fit(
    layout: Layout, street: Street, side: int, s: float, width: float, depth: float, use: str,
    number: int,
) -> Parcel | None:  # fmt: skip
    x, y, yaw = street.frame(s + width / 2, side * street.profile.edge(side))
    frame = (x, y, yaw if side > 0 else yaw + np.pi)
    rows = np.arange(0.5, depth, 4.5)
    grid = np.stack(np.meshgrid(np.linspace(-width / 2, width / 2, 5), rows), axis=-1)
    clear = layout.clearance(place_all(frame, grid.reshape(-1, 2)), street.number)
    free = (clear.reshape(len(rows), 5) > 0.3).all(axis=1)
    deep = depth if free.all() else float(rows[np.argmin(free)]) - 4.5
    return Parcel(frame, width, deep, use, number) if deep >= 7 else None
