"""Who stands and moves along a street: parked rows, traffic in lanes, people, works, stops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lidarpan.synthetic.furniture import (
    add_bollards,
    add_clutter,
    add_direction_board,
    add_fence,
    add_lamp,
    add_shelter,
    add_sign,
    add_traffic_light,
)
from lidarpan.synthetic.layout import Layout, Street
from lidarpan.synthetic.site import Pose, Site, draw, pick, place
from lidarpan.synthetic.vegetation import add_bush, add_hedge, add_tree

STRETCH_M = 50.0
MOUTH_M = 9.0
"""Traffic of a side street is not followed nearer than this to the street it joins."""
VARIANTS: dict[str, int] = {
    "car": 24, "van": 10, "truck": 10, "bus": 6, "trailer": 6, "construction_vehicle": 8, "tram": 3,
    "bicycle": 10, "motorcycle": 8, "bicyclist": 14, "motorcyclist": 10, "pedestrian": 30,
    "child": 10, "worker": 10, "cone": 5, "barrier": 6,
}  # fmt: skip
"""How many shapes of each kind towns are stocked with."""


@dataclass(frozen=True)
class Mover:
    """Someone who moves along a street at a constant speed.

    Attributes:
        kind: of the actor.
        variant: which shape of that kind.
        street: number of the street.
        start_m: place along it at time 0.
        offset_m: to the left of the centreline at time 0.
        speed_m_s: along the street's direction; negative against it.
        drift_m_s: across it, to the left.
    """

    kind: str
    variant: int
    street: int
    start_m: float
    offset_m: float
    speed_m_s: float
    drift_m_s: float = 0.0

    def pose(self, street: Street, time_s: float) -> Pose | None:
        """Where it is at a time, or None when it has left the street."""
        s = self.start_m + self.speed_m_s * time_s
        if not (MOUTH_M if street.number else 0.0) <= s <= street.length:
            return None
        x, y, yaw = street.frame(s, self.offset_m + self.drift_m_s * time_s)
        if self.drift_m_s:
            return x, y, yaw + np.pi / 2 * float(np.sign(self.drift_m_s))
        return x, y, yaw if self.speed_m_s >= 0 else yaw + np.pi


def _variant(kind: str, rng: np.random.Generator) -> int:
    return int(rng.integers(VARIANTS[kind]))


def furnish(layout: Layout, street: Street, number: int, seed: int) -> Site:
    """Everything at rest along one stretch of a street; the same for the same seed."""
    rng = np.random.default_rng([seed, 2, street.number, number])
    habits = np.random.default_rng([seed, 3, street.number])
    site = Site()
    start = number * STRETCH_M
    stop = min(start + STRETCH_M, street.length)
    for side in (-1, 1):
        _park(site, layout, street, side, start, stop, rng, float(habits.uniform(0.1, 0.95)))
        _plant(site, layout, street, side, start, stop, rng, habits.random() < 0.5)
        _stand(site, layout, street, side, start, stop, rng, float(habits.uniform(22, 45)))
        _gather(site, layout, street, side, start, stop, rng)
    if street.profile.median > 2.0:
        _plant_median(site, street, start, stop, rng, habits.random())
    if street.profile.style == "highway":
        for side in (-1, 1):
            _guard_rail(site, street, side, start, stop)
    if rng.random() < 0.1 and street.profile.style != "rural":
        _road_works(site, layout, street, start, stop, rng)
    return site


def _free(layout: Layout, street: Street, pose: Pose, room_m: float) -> bool:
    point = np.array([pose[:2]])
    return bool(layout.clearance(point, street.number)[0] > room_m)


def _along(street: Street, s: float, offset: float, side: int) -> Pose:
    """Pose at an offset whose x axis follows the traffic of that side (right-hand)."""
    x, y, yaw = street.frame(s, offset)
    return x, y, yaw if side < 0 else yaw + np.pi


def _park(
    site: Site, layout: Layout, street: Street, side: int, start: float, stop: float,
    rng: np.random.Generator, fill: float,
) -> None:  # fmt: skip
    """A row of parked vehicles: in the bay, half on the kerb, or on the road."""
    profile = street.profile
    if profile.style in ("rural", "highway") or (profile.style == "main" and not profile.bay[side]):
        return
    bay = profile.bay[side]
    if not bay and (fill < 0.45 or profile.half_width < 2.9):
        return
    offset = profile.half_width + (bay / 2 if bay else -1.0)
    across = bay > 4.2
    angle = pick(rng, (np.pi / 2, np.pi / 3)) if across else 0.0
    s = start + draw(rng, 0, 4)
    while s < stop - 2:
        if rng.random() < 0.12:
            s += draw(rng, 4, 14)
            continue
        luck = rng.random()
        kind = "car" if luck < 0.86 else "van" if luck < 0.93 else "truck" if luck < 0.955 else ""
        kind = kind or pick(rng, ("trailer", "motorcycle", "construction_vehicle"))
        length = {"car": 4.4, "van": 5.2, "truck": 8.5, "trailer": 5.0, "motorcycle": 1.2}.get(
            kind, 6.0
        )
        if across:
            kind, length = ("van" if luck > 0.94 else "car"), 2.0 / np.sin(angle)
        pose = _along(street, s + length / 2, side * (offset + float(rng.normal(0, 0.08))), side)
        turn = angle * pick(rng, (-1, 1)) if across else 0.0
        turn += float(rng.normal(0, 0.02)) + np.pi * float(rng.random() < 0.12)
        if kind == "motorcycle":
            turn += 1.2
        if rng.random() < fill and _free(layout, street, pose, 4.0):
            site.put(kind, _variant(kind, rng), (pose[0], pose[1], pose[2] + turn))
        s += length + draw(rng, 0.4, 0.9)


def _plant(
    site: Site, layout: Layout, street: Street, side: int, start: float, stop: float,
    rng: np.random.Generator, has_trees: bool,
) -> None:  # fmt: skip
    """Street trees and bushes in the planted strip."""
    profile = street.profile
    strip = profile.strip[side]
    if strip <= 0.7 and not has_trees:
        return
    offset = side * (profile.half_width + profile.bay[side] + max(0.5, strip / 2))
    s = start + draw(rng, 0, 8)
    while s < stop:
        pose = street.frame(s, offset)
        if _free(layout, street, pose, 2.0):
            if has_trees:
                add_tree(site, pose[0], pose[1], rng, 0.95)
            elif rng.random() < 0.5 and strip > 1.2:
                add_bush(site, pose[0], pose[1], rng, 0.7)
            if strip > 1.0 and rng.random() < 0.25:
                tall = draw(rng, 0.4, 1.1)
                add_hedge(site, pose, 1.0, draw(rng, 3, 8), 0.0, rng, tall, False)
        s += draw(rng, 6, 14)


def _stand(
    site: Site, layout: Layout, street: Street, side: int, start: float, stop: float,
    rng: np.random.Generator, spacing: float,
) -> None:  # fmt: skip
    """Lamps, signs, cabinets, bollards beside the kerb."""
    profile = street.profile
    kerb = profile.half_width + profile.bay[side] + 0.35
    lamp_side = -1 if street.number % 2 else 1
    first = np.ceil(start / spacing) * spacing
    for s in np.arange(first, stop, spacing):
        pose = _along(street, float(s), side * kerb, side)
        if (side == lamp_side or spacing < 28) and profile.style != "highway":
            if _free(layout, street, pose, 1.0):
                add_lamp(site, pose, rng)
    for _ in range(int(rng.poisson(0.7))):
        pose = _along(street, draw(rng, start, stop), side * (kerb + 0.1), side)
        if _free(layout, street, pose, 0.3):
            add_sign(site, pose, rng)
            if rng.random() < 0.15:
                site.put("pedestrian", _variant("pedestrian", rng), (*place(pose, 0.5, 0.2), 0.4))
    back = profile.edge(side) - 0.45
    for _ in range(int(rng.poisson(0.5))):
        pose = _along(street, draw(rng, start, stop), side * back, side)
        if _free(layout, street, pose, 0.5) and profile.sidewalk[side] > 1.7:
            add_clutter(site, pose, rng)
    if rng.random() < 0.08 and profile.sidewalk[side] > 1.8:
        pose = street.frame(start, side * kerb)
        add_bollards(site, pose, 0.0, draw(rng, 5, 15), 0.0, rng)
    if profile.style in ("main", "highway") and rng.random() < 0.2:
        pose = _along(street, draw(rng, start, stop), side * (kerb + 0.4), side)
        add_direction_board(site, pose, rng)
    for junction in layout.junctions:
        if junction.main == street.number and start <= junction.s < stop and rng.random() < 0.4:
            pose = _along(street, junction.s - 8 * -side, side * kerb, side)
            (add_traffic_light if profile.marked else add_sign)(site, pose, rng)


def _gather(
    site: Site, layout: Layout, street: Street, side: int, start: float, stop: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """People in groups, bicycles at racks, motorcycles in a row, bus stops."""
    profile = street.profile
    walk = profile.sidewalk[side]
    if profile.style == "highway":
        return
    middle = profile.edge(side) - max(walk, 0.8) / 2
    for _ in range(int(rng.poisson(0.55 if walk else 0.15))):
        pose = street.frame(draw(rng, start, stop), side * middle)
        if _free(layout, street, pose, 0.0):
            _group(site, pose, rng)
    if rng.random() < 0.22 and walk:
        pose = street.frame(draw(rng, start, stop), side * (profile.edge(side) - 0.9))
        kind = "bicycle" if rng.random() < 0.6 else "motorcycle"
        if _free(layout, street, pose, 2.0):
            pitch = draw(rng, 0.45, 0.8) if kind == "bicycle" else 1.1
            for k in range(int(rng.integers(1, 7))):
                px, py = place(pose, pitch * k, 0)
                turn = np.pi / 2 + float(rng.normal(0, 0.1))
                site.put(kind, _variant(kind, rng), (px, py, pose[2] + turn))
                if kind == "bicycle" and rng.random() < 0.6:
                    size = (0.05, 0.7, 0.75)
                    site.add("box", (px, py, pose[2]), size, "clutter", "metal")
    if rng.random() < 0.06 and walk > 1.8:
        _bus_stop(site, layout, street, side, draw(rng, start, stop), rng)


def _group(site: Site, pose: Pose, rng: np.random.Generator) -> None:
    for _ in range(pick(rng, (1, 1, 2, 3, 5))):
        kind = "child" if rng.random() < 0.15 else "pedestrian"
        px, py = place(pose, float(rng.normal(0, 0.9)), float(rng.normal(0, 0.35)))
        turn = pick(rng, (0, np.pi)) + float(rng.normal(0, 0.6))
        site.put(kind, _variant(kind, rng), (px, py, pose[2] + turn))


def _bus_stop(
    site: Site, layout: Layout, street: Street, side: int, s: float, rng: np.random.Generator
) -> None:
    profile = street.profile
    pose = _along(street, s, side * (profile.edge(side) - 0.6), side)
    if not _free(layout, street, pose, 4.0):
        return
    add_shelter(site, pose, rng)
    _group(site, (*place(pose, 0, 1.0), pose[2]), rng)
    kerb = side * (profile.half_width - 1.5)
    if rng.random() < 0.6 and profile.half_width > 3.2:
        site.put("bus", _variant("bus", rng), _along(street, s + 6, kerb, side))


def _plant_median(
    site: Site, street: Street, start: float, stop: float, rng: np.random.Generator, taste: float
) -> None:
    for s in np.arange(start + 4, stop, draw(rng, 7, 12)):
        x, y, yaw = street.frame(float(s))
        if taste < 0.35:
            add_tree(site, x, y, rng, 0.9)
        elif taste < 0.65:
            add_hedge(site, (x, y, yaw), 0, 6, 0, rng, 0.9, taste < 0.5)
        elif taste < 0.8:
            add_fence(site, (x, y, yaw), 0, 8, 0, rng, "rail")


def _guard_rail(site: Site, street: Street, side: int, start: float, stop: float) -> None:
    offset = side * (street.profile.half_width + 0.8)
    for s in np.arange(start, stop - 1, 4.0):
        x, y, yaw = street.frame(float(s) + 2, offset)
        site.add("box", (x, y, yaw), (4.05, 0.12, 0.35), "fence", "metal", bottom=0.45)
        site.add("box", (x, y, yaw), (0.12, 0.1, 0.8), "fence", "metal")


def _road_works(
    site: Site, layout: Layout, street: Street, start: float, stop: float, rng: np.random.Generator
) -> None:
    """A closed piece of a lane with cones or barriers, workers and a machine."""
    side = pick(rng, (-1, 1))
    s0, run = draw(rng, start, stop - 5), draw(rng, 10, 22)
    inner = side * (street.profile.half_width - draw(rng, 1.5, 2.6))
    outer = side * (street.profile.half_width + 0.5)
    for s in np.arange(s0, s0 + run, draw(rng, 1.6, 3)):
        for offset in (inner, outer):
            kind = "cone" if rng.random() < 0.5 else "barrier"
            pose = street.frame(float(s), offset)
            if _free(layout, street, pose, 0.0):
                site.put(kind, _variant(kind, rng), pose)
    for _ in range(int(rng.integers(1, 5))):
        pose = street.frame(s0 + draw(rng, 1, run), (inner + outer) / 2)
        turn = draw(rng, 0, 6.28)
        site.put("worker", _variant("worker", rng), (pose[0], pose[1], turn))
    if rng.random() < 0.7:
        pose = street.frame(s0 + run / 2, (inner + outer) / 2)
        kind = "construction_vehicle" if rng.random() < 0.65 else "truck"
        site.put(kind, _variant(kind, rng), pose)


def make_movers(
    layout: Layout, rng: np.random.Generator, ego_s: float
) -> tuple[list[Mover], float]:
    """Traffic of all streets, and the speed of the ego's lane (lane -1 of street 0)."""
    movers: list[Mover] = []
    ego_speed = 0.0
    for street in layout.streets:
        top = {"residential": 8.0, "urban": 9.0, "main": 13.0, "rural": 15.0, "highway": 24.0}
        for side in (-1, 1):
            speed = top[street.profile.style] * draw(rng, 0.5, 1.1)
            if rng.random() < 0.12:
                speed = 0.0
            if side == 1 and 2 * lane_offset(street) < 2.2:
                continue  # too narrow for two
            if street.number == 0 and side == -1:
                speed = max(speed, 2.0)
                ego_speed = speed
            gap = float(np.exp(rng.uniform(np.log(14), np.log(110))))
            movers += _lane(street, side, speed, gap, rng, ego_s)
            movers += _walkers(street, side, rng)
    return movers, ego_speed


def _lane(
    street: Street, side: int, speed: float, gap: float, rng: np.random.Generator, ego_s: float
) -> list[Mover]:
    movers = []
    profile = street.profile
    offset = side * lane_offset(street)
    s = draw(rng, 0, gap) + (14.0 if street.number else 0.0)
    while s < street.length:
        kind = str(rng.choice(_TRAFFIC, p=_TRAFFIC_SHARES))
        small = kind in ("bicyclist", "motorcyclist")
        shift = side * 0.9 if kind == "bicyclist" and profile.half_width > 2.8 else 0.0
        is_ego = street.number == 0 and side == -1 and abs(s - ego_s) < (9 if small else 14)
        if kind == "tram" and profile.half_width < 5:
            kind = "van"
        if not is_ego:
            forward = -side * (speed if speed == 0 or not small else min(speed, 8.0))
            lateral = offset + shift + float(rng.normal(0, 0.15))
            movers.append(Mover(kind, _variant(kind, rng), street.number, s, lateral, forward))
        long = {"bus": 13, "truck": 11, "tram": 32, "trailer": 10}.get(kind, 6)
        s += long + gap * float(rng.exponential(1.0)) + 2
    return movers


_TRAFFIC = ("car", "van", "truck", "bus", "bicyclist", "motorcyclist", "tram")
_TRAFFIC_SHARES = (0.50, 0.08, 0.10, 0.06, 0.14, 0.11, 0.01)


def lane_offset(street: Street) -> float:
    """Metres from the centreline to the middle of the outer driving lane."""
    profile = street.profile
    inner = profile.median / 2
    wide = profile.half_width - inner
    if wide > 5:
        return inner + wide - 1.75
    if wide < 4 and profile.style == "residential" and not profile.bay[-1]:
        return max(0.2, wide - 3.2)  # cars park at the kerb
    return inner + wide / 2


def _walkers(street: Street, side: int, rng: np.random.Generator) -> list[Mover]:
    profile = street.profile
    movers = []
    walk = max(profile.sidewalk[side], 0.8)
    for _ in range(int(rng.poisson(street.length / 60 if profile.sidewalk[side] else 0.3))):
        offset = side * (profile.edge(side) - walk * draw(rng, 0.25, 0.75))
        speed = draw(rng, 0.8, 1.7) * pick(rng, (-1, 1))
        kind = "child" if rng.random() < 0.15 else "pedestrian"
        s = draw(rng, 0, street.length)
        drift = 0.0
        if rng.random() < 0.12:
            speed, drift = 0.0, -side * draw(rng, 0.8, 1.5)
            offset *= draw(rng, 0.1, 1)
        movers.append(Mover(kind, _variant(kind, rng), street.number, s, offset, speed, drift))
    return movers
