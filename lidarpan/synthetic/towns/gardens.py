"""A house in its garden: drive, path, hedges and fences, trees."""

from __future__ import annotations

import numpy as np

from lidarpan.synthetic.towns.buildings import add_backdrop, add_building, add_canopy
from lidarpan.synthetic.towns.fences import add_fence
from lidarpan.synthetic.towns.furniture import add_clutter
from lidarpan.synthetic.towns.parcels import Parcel
from lidarpan.synthetic.towns.site import Pose, Site, draw, pick, place
from lidarpan.synthetic.towns.stock import VARIANTS
from lidarpan.synthetic.towns.vegetation import (
    add_bush,
    add_hedge,
    add_plants,
    add_thicket,
    add_tree,
)


def boundary(
    site: Site, frame: Pose, x0: float, x1: float, y: float, rng: np.random.Generator,
    bare: float = 0.1,
) -> None:  # fmt: skip
    """A hedge, fence, wall, bushes, or nothing, along x of a frame."""
    if x1 - x0 < 0.8:
        return
    luck = rng.random()
    height = 0.35 + 2.1 * float(rng.random()) ** 2  # most are low
    if rng.random() < 0.2:  # a tree that grows out of it
        at = place(frame, draw(rng, x0, x1), y + draw(rng, -0.1, 0.6))
        add_tree(site, *at, rng, draw(rng, 0.7, 1.2))
    if luck < bare:
        return
    if luck < bare + 0.27:
        add_hedge(site, frame, x0, x1, y, rng, height, clipped=True)
    elif luck < bare + 0.4:
        add_hedge(site, frame, x0, x1, y, rng, height * 1.2, clipped=False)
    else:
        add_fence(site, frame, x0, x1, y, rng)
        if rng.random() < 0.45:
            add_hedge(site, frame, x0, x1, y + 0.8, rng, height, clipped=rng.random() < 0.5)


def turned(frame: Pose, x: float, y: float) -> Pose:
    """A frame at (x, y) whose x axis is the given frame's y axis."""
    return (*place(frame, x, y), frame[2] + np.pi / 2)


def house(site: Site, parcel: Parcel, rng: np.random.Generator) -> None:
    """A house in a garden with a drive and a path, fenced off in one way or another."""
    frame, half, depth = parcel.frame, parcel.width / 2, parcel.depth
    garden = pick(rng, ("lawn", "lawn", "turf", "soil", "meadow"))
    site.paint_rectangle(garden, frame, -half, 0, half, depth)
    if rng.random() < 0.45:
        inner = [(-half, 1.0), (half, 1.0), (half, depth), (-half, depth)]
        site.raise_land(float(rng.normal(0.2, 0.5)), frame, inner)
    setback = float(rng.choice((rng.uniform(1.5, 5), rng.uniform(4, 9))))
    length = min(draw(rng, 8, 13), 2 * half - 2.5)
    deep = draw(rng, 8, 12)
    drive_side = pick(rng, (-1, 1))
    shift = -drive_side * max(0.0, (2 * half - length) / 2 - 1.0) * draw(rng, 0.3, 1)
    height = float(rng.choice((3.0, 5.8, 6.2, 8.5), p=(0.25, 0.35, 0.3, 0.1)))
    middle = (shift, setback + deep / 2)
    yaw = float(rng.normal(0, 0.04))
    add_building(site, frame, *middle, length, deep, height, rng, yaw=yaw)
    if rng.random() < 0.35:  # shrubs and climbers along the front wall
        start, end = np.sort(shift + length / 2 * rng.uniform(-1, 1, 2))
        near = setback - draw(rng, 0.1, 0.5)
        add_hedge(site, frame, start, end, near, rng, draw(rng, 0.6, 2.5), clipped=False)
    gaps = [_drive(site, frame, half, setback, deep, drive_side, rng)]
    door = shift + draw(rng, -0.3, 0.3) * length
    path = pick(rng, ("path", "sidewalk"))
    site.paint_rectangle(path, frame, door - 0.7, -0.2, door + 0.7, setback)
    gaps.append((door - 0.8, door + 0.8))
    if rng.random() < 0.15:
        site.paint_rectangle("driveway", frame, -half, 0, half, setback)
    _front(site, frame, half, gaps, rng)
    if rng.random() < 0.45:
        add_thicket(site, frame, -half, 1.0, half, setback - 0.5, rng, draw(rng, 4, 12))
    for x in (-half + 0.2, half - 0.2):
        start = 0.3 if rng.random() < 0.7 else setback
        boundary(site, turned(frame, x, 0), start, depth, 0.0, rng, bare=0.25)
    boundary(site, frame, -half, half, depth - 0.4, rng)
    add_backdrop(site, frame, half, setback + deep + 1, depth, rng)
    for _ in range(int(rng.poisson(4.0))):
        x = draw(rng, -half + 1, half - 1)
        y = draw(rng, 0.8, max(1.5, setback - 1))
        if all(not low - 0.8 < x < high + 0.8 for low, high in gaps):
            (add_tree if rng.random() < 0.22 else add_bush)(site, *place(frame, x, y), rng, 0.75)
    behind = (setback + deep + 2, depth)
    add_plants(site, frame, (-half, half), behind, rng, 7, trees=0.6, size=1.25)
    if rng.random() < 0.35:
        x = gaps[0][0] - drive_side * 0.6 - 0.3
        add_clutter(site, (*place(frame, x, draw(rng, 0.6, 2)), frame[2]), rng)


def _front(
    site: Site, frame: Pose, half: float, gaps: list[tuple[float, float]],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """The border to the street, open at drive and path."""
    if rng.random() < 0.12:
        return
    x, state = -half, int(rng.integers(2**31))
    for low, high in [*sorted(gaps), (half, half)]:
        if low > x:
            boundary(site, frame, x, low, 0.35, np.random.default_rng(state), bare=0.0)
        x = max(x, high)


def _drive(
    site: Site, frame: Pose, half: float, setback: float, deep: float, side: int,
    rng: np.random.Generator,
) -> tuple[float, float]:  # fmt: skip
    """Driveway, sometimes with a garage and a car. -> its extent along x."""
    wide = draw(rng, 2.8, 5.0)
    outer = side * (half - 0.5)
    low, high = sorted((outer, outer - side * wide))
    end = setback + draw(rng, 2, deep)
    surface = pick(rng, ("driveway", "driveway", "driveway_gravel", "lot"))
    site.paint_rectangle(surface, frame, low, -0.05, high, end)
    middle = (low + high) / 2
    luck = rng.random()
    if luck < 0.45:
        add_building(site, frame, middle, end + 2.6, 3.2, 5.5, 2.4, rng, "flat")
    elif luck < 0.6:
        size = (wide, min(5.5, end), draw(rng, 2.1, 2.8))
        add_canopy(site, (*place(frame, middle, end - size[1] / 2), frame[2]), size, rng)
    if rng.random() < 0.5 and end > 5.2:
        y = draw(rng, 2.6, end - 2.4)
        kind = "van" if rng.random() < 0.1 else "car"
        turn = np.pi / 2 * pick(rng, (-1, 1)) + float(rng.normal(0, 0.04))
        pose = (*place(frame, middle, y), frame[2] + turn)
        site.put(kind, int(rng.integers(VARIANTS[kind])), pose)
    return low, high
