"""What rests along a street: parked rows, trees, lamps, signs, people in groups, works, stops."""

from __future__ import annotations

import numpy as np

from lidarpan.synthetic.towns.fences import add_fence
from lidarpan.synthetic.towns.furniture import (
    add_bollards,
    add_clutter,
    add_direction_board,
    add_lamp,
    add_sign,
    add_traffic_light,
)
from lidarpan.synthetic.towns.gatherings import Stretch, along, gather, road_works
from lidarpan.synthetic.towns.layout import Layout, Street
from lidarpan.synthetic.towns.site import Site, draw, pick, place
from lidarpan.synthetic.towns.vegetation import add_bush, add_hedge, add_tree

STRETCH_M = 50.0
"""Streets are furnished in stretches of this length."""


def furnish(layout: Layout, street: Street, number: int, seed: int) -> Site:
    """Everything at rest along one stretch of a street; the same for the same seed."""
    rng = np.random.default_rng([seed, 2, street.number, number])
    habits = np.random.default_rng([seed, 3, street.number])
    site = Site()
    start = number * STRETCH_M
    stop = min(start + STRETCH_M, street.length)
    here = Stretch(site, layout, street, start, stop, rng)
    for side in (-1, 1):
        _park(here, side, draw(habits, 0.2, 1.0))
        _plant(here, side, habits.random() < 0.5)
        _stand(here, side, draw(habits, 22, 45))
        gather(here, side)
    if street.profile.median > 2.0:
        _plant_median(here, habits.random())
    if street.profile.style == "highway":
        for side in (-1, 1):
            _guard_rail(here, side)
    if rng.random() < 0.17 and street.profile.style != "rural":
        road_works(here)
    return site


def _park(here: Stretch, side: int, fill: float) -> None:
    """A row of parked vehicles: in the bay, half on the kerb, or on the road."""
    rng, profile = here.rng, here.street.profile
    if profile.style in ("rural", "highway"):
        return
    if profile.style in ("main", "avenue") and not profile.bay[side]:
        return
    bay = profile.bay[side]
    if not bay and (fill < 0.4 or profile.half_width < 2.9):
        return
    offset = profile.half_width + (bay / 2 if bay else -1.0)
    across = bay > 4.2
    angle = pick(rng, (np.pi / 2, np.pi / 3)) if across else 0.0
    s = here.start + draw(rng, 0, 4)
    while s < here.stop - 2:
        if rng.random() < 0.12:
            s += draw(rng, 4, 14)
            continue
        luck = rng.random()
        kind = "car" if luck < 0.8 else "van" if luck < 0.89 else "truck" if luck < 0.925 else ""
        kind = kind or pick(rng, _SELDOM_PARKED)
        length = _PARKED_M.get(kind, 6.0)
        if across:
            kind, length = ("van" if luck > 0.94 else "car"), 2.0 / np.sin(angle)
        lateral = side * (offset + float(rng.normal(0, 0.08)))
        pose = along(here.street, s + length / 2, lateral, side)
        turn = angle * pick(rng, (-1, 1)) if across else 0.0
        turn += float(rng.normal(0, 0.02)) + np.pi * float(rng.random() < 0.12)
        if kind == "motorcycle":
            turn += 1.2
        if rng.random() < fill and here.free(pose, 4.0):
            here.put(kind, pose, turn)
        s += length + draw(rng, 0.4, 0.9)


_SELDOM_PARKED = ("trailer", "trailer", "motorcycle", "motorcycle", "construction_vehicle", "bus")
_PARKED_M = {
    "car": 4.4, "van": 5.4, "truck": 9.0, "bus": 12.0, "trailer": 5.0, "motorcycle": 1.2
}  # fmt: skip


def _plant(here: Stretch, side: int, has_trees: bool) -> None:
    """Street trees and bushes in the planted strip."""
    rng, site, profile = here.rng, here.site, here.street.profile
    strip = profile.strip[side]
    if strip <= 0.7 and not has_trees:
        return
    offset = side * (profile.half_width + profile.bay[side] + max(0.5, strip / 2))
    s = here.start + draw(rng, 0, 8)
    while s < here.stop:
        pose = here.street.frame(s, offset)
        if here.free(pose, 2.0):
            if has_trees:
                add_tree(site, pose[0], pose[1], rng, 0.95)
            elif rng.random() < 0.5 and strip > 1.2:
                add_bush(site, pose[0], pose[1], rng, 0.7)
            if strip > 1.0 and rng.random() < 0.25:
                tall = draw(rng, 0.4, 1.1)
                add_hedge(site, pose, 1.0, draw(rng, 3, 8), 0.0, rng, tall, False)
        s += draw(rng, 6, 14)


def _stand(here: Stretch, side: int, spacing: float) -> None:
    """Lamps, signs, cabinets, bollards beside the kerb."""
    rng, site, street = here.rng, here.site, here.street
    profile = street.profile
    kerb = profile.half_width + profile.bay[side] + 0.35
    lamp_side = -1 if street.number % 2 else 1
    first = np.ceil(here.start / spacing) * spacing
    for s in np.arange(first, here.stop, spacing):
        pose = along(street, float(s), side * kerb, side)
        lit = (side == lamp_side or spacing < 28) and profile.style != "highway"
        if lit and here.free(pose, 1.0):
            add_lamp(site, pose, rng)
    for _ in range(int(rng.poisson(0.7))):
        pose = along(street, here.somewhere(), side * (kerb + 0.1), side)
        if here.free(pose, 0.3):
            add_sign(site, pose, rng)
            if rng.random() < 0.15:
                here.put("pedestrian", (*place(pose, 0.5, 0.2), 0.4))
    back = profile.edge(side) - 0.45
    for _ in range(int(rng.poisson(0.5))):
        pose = along(street, here.somewhere(), side * back, side)
        if here.free(pose, 0.5) and profile.sidewalk[side] > 1.7:
            add_clutter(site, pose, rng)
    if rng.random() < 0.08 and profile.sidewalk[side] > 1.8:
        pose = street.frame(here.start, side * kerb)
        add_bollards(site, pose, 0.0, draw(rng, 5, 15), 0.0, rng)
    if profile.style in ("main", "avenue", "highway") and rng.random() < 0.2:
        pose = along(street, here.somewhere(), side * (kerb + 0.4), side)
        add_direction_board(site, pose, rng)
    for at in (j.s for j in here.layout.junctions if j.main == street.number):
        if here.start <= at < here.stop and rng.random() < 0.4:
            pose = along(street, at - 8 * -side, side * kerb, side)
            (add_traffic_light if profile.marked else add_sign)(site, pose, rng)


def _plant_median(here: Stretch, taste: float) -> None:
    site, rng = here.site, here.rng
    for s in np.arange(here.start + 4, here.stop, draw(rng, 7, 12)):
        pose = here.street.frame(float(s))
        if taste < 0.35:
            add_tree(site, pose[0], pose[1], rng, 0.9)
        elif taste < 0.65:
            add_hedge(site, pose, 0, 6, 0, rng, 0.9, taste < 0.5)
        elif taste < 0.8:
            add_fence(site, pose, 0, 8, 0, rng, "rail")


def _guard_rail(here: Stretch, side: int) -> None:
    offset = side * (here.street.profile.half_width + 0.8)
    for s in np.arange(here.start, here.stop - 1, 4.0):
        pose = here.street.frame(float(s) + 2, offset)
        here.site.add("box", pose, (4.05, 0.12, 0.35), "fence", "metal", bottom=0.45)
        here.site.add("box", pose, (0.12, 0.1, 0.8), "fence", "metal")
