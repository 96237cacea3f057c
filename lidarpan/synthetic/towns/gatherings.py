"""What is found here and there along a street: groups, cafés, racks, bus stops, road works."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lidarpan.synthetic.towns.furniture import (
    add_bench,
    add_chair,
    add_parasol,
    add_shelter,
    add_table,
)
from lidarpan.synthetic.towns.layout import Layout, Street
from lidarpan.synthetic.towns.site import Pose, Site, draw, pick, place
from lidarpan.synthetic.towns.stock import VARIANTS


def variant(kind: str, rng: np.random.Generator) -> int:
    """Which shape of a kind, by chance."""
    return int(rng.integers(VARIANTS[kind]))


@dataclass(frozen=True)
class Stretch:
    """A piece of a street, which takes what stands along it.

    Attributes:
        site: takes the parts and actors.
        layout: of the town.
        street: the street.
        start: metres along it.
        stop: metres along it.
        rng: source of chance.
    """

    site: Site
    layout: Layout
    street: Street
    start: float
    stop: float
    rng: np.random.Generator

    def free(self, pose: Pose, room_m: float) -> bool:
        """Whether a pose keeps room_m metres from the land of every other street."""
        point = np.array([pose[:2]])
        return bool(self.layout.clearance(point, self.street.number)[0] > room_m)

    def somewhere(self) -> float:
        """Metres along the street."""
        return draw(self.rng, self.start, self.stop)

    def put(self, kind: str, pose: Pose, turn: float = 0.0) -> None:
        """Let an actor of a random shape stand at a pose, turned."""
        self.site.put(kind, variant(kind, self.rng), (pose[0], pose[1], pose[2] + turn))

    def put_where_free(self, kind: str, pose: Pose) -> None:
        """Likewise, but on no other street's land."""
        if self.free(pose, 0.0):
            self.put(kind, pose)


def along(street: Street, s: float, offset: float, side: int) -> Pose:
    """Pose at an offset whose x axis follows the traffic of that side (right-hand)."""
    x, y, yaw = street.frame(s, offset)
    return x, y, yaw if side < 0 else yaw + np.pi


def gather(here: Stretch, side: int) -> None:
    """People in groups, bicycles at racks, motorcycles in a row, bus stops."""
    street, rng = here.street, here.rng
    profile = street.profile
    walk, edge = profile.sidewalk[side], profile.edge(side)
    if profile.style == "highway":
        return
    middle = edge - max(walk, 0.8) / 2
    for _ in range(int(rng.poisson(0.55 if walk else 0.15))):
        offset = middle  # or close to the hedge, wall or front behind the pavement
        if rng.random() < 0.5:
            offset = edge - draw(rng, 0.0, 0.6)
        pose = street.frame(here.somewhere(), side * offset)
        if here.free(pose, 0.0):
            group(here.site, pose, rng)
    _sit_down(here, side)
    for _ in range(int(rng.poisson(0.6 if walk else 0.0))):
        pose = street.frame(here.somewhere(), side * (edge - 0.35))
        if here.free(pose, 0.5):
            kind = pick(rng, ("bicycle", "bicycle", "motorcycle"))
            here.put(kind, pose, turn=float(rng.normal(0, 0.15)))
    if rng.random() < 0.12:
        _row_of(here, side, here.somewhere())
    if rng.random() < 0.3 and walk:
        pose = street.frame(here.somewhere(), side * (edge - 0.9))
        kind = "bicycle" if rng.random() < 0.6 else "motorcycle"
        if here.free(pose, 2.0):
            pitch = draw(rng, 0.45, 0.8) if kind == "bicycle" else 1.1
            for k in range(int(rng.integers(1, 7))):
                spot = (*place(pose, pitch * k, 0), pose[2])
                here.put(kind, spot, turn=np.pi / 2 + float(rng.normal(0, 0.1)))
                if kind == "bicycle" and rng.random() < 0.6:
                    here.site.add("box", spot, (0.05, 0.7, 0.75), "clutter", "metal")
    if rng.random() < 0.08 and walk > 1.8:
        _bus_stop(here, side, here.somewhere())


def _row_of(here: Stretch, side: int, s: float) -> None:
    """A few cones or barriers at the kerb."""
    rng, street = here.rng, here.street
    kind = pick(rng, ("cone", "barrier"))
    step = draw(rng, 1.0, 2.0) if kind == "cone" else draw(rng, 1.6, 2.6)
    offset = side * (street.profile.half_width + draw(rng, -0.6, 0.6))
    for k in range(int(rng.integers(2, 7))):
        here.put_where_free(kind, street.frame(s + k * step, offset))


_SOMEONE = (*12 * ["pedestrian"], "child", "child", "resting")


def group(site: Site, pose: Pose, rng: np.random.Generator) -> None:
    """One to seven people close together, some of whom sit."""
    for _ in range(pick(rng, (1, 1, 2, 2, 3, 5, 7))):
        kind = pick(rng, _SOMEONE)
        px, py = place(pose, float(rng.normal(0, 0.9)), float(rng.normal(0, 0.35)))
        turn = pick(rng, (0, np.pi)) + float(rng.normal(0, 0.6))
        site.put(kind, variant(kind, rng), (px, py, pose[2] + turn))


def _sit_down(here: Stretch, side: int) -> None:
    """People who sit on the kerb or before a wall, on benches, and at the tables of a café."""
    street, rng, profile = here.street, here.rng, here.street.profile
    walk, edge = profile.sidewalk[side], profile.edge(side)
    away = 0.0 if side < 0 else np.pi  # the frame's y axis leads to the road
    for _ in range(int(rng.poisson(0.8 if walk else 0.3))):
        offset = edge - 0.5 if rng.random() < 0.5 else edge - walk + 0.3
        x, y, yaw = street.frame(here.somewhere(), side * offset)
        if here.free((x, y, yaw), 0.5):
            rest(here.site, (x, y, yaw + away + np.pi), rng)
    for _ in range(int(rng.poisson(0.4 if walk > 1.8 else 0.0))):
        x, y, yaw = street.frame(here.somewhere(), side * (edge - 0.5))
        if here.free((x, y, yaw), 1.0):
            bench(here.site, (x, y, yaw + away + np.pi), rng)
    if walk > 2.8 and rng.random() < 0.12:
        x, y, yaw = street.frame(here.somewhere(), side * edge)
        if here.free((x, y, yaw), 4.0):
            size = (draw(rng, 3, 10), min(walk - 1.4, draw(rng, 1.6, 6)))
            cafe(here.site, (x, y, yaw + away), size, rng)


def rest(site: Site, pose: Pose, rng: np.random.Generator) -> None:
    """One to four people on the ground in a row along x, who look against y."""
    step = draw(rng, 0.55, 0.95)
    for k in range(pick(rng, (1, 1, 2, 2, 3, 4))):
        at = place(pose, k * step, float(rng.normal(0, 0.1)))
        turn = float(rng.normal(0, 0.4)) - np.pi / 2
        site.put("resting", variant("resting", rng), (*at, pose[2] + turn))


def bench(site: Site, pose: Pose, rng: np.random.Generator) -> None:
    """A bench along x, and who sits on it and looks against y."""
    add_bench(site, pose, rng)
    for x in (-0.55, 0.0, 0.55):
        if rng.random() < 0.4:
            yaw = pose[2] - np.pi / 2 + float(rng.normal(0, 0.2))
            site.put("seated", variant("seated", rng), (*place(pose, x, -0.12), yaw))


def cafe(site: Site, pose: Pose, size: tuple[float, float], rng: np.random.Generator) -> None:
    """Tables with chairs and guests, size[0] metres along x and size[1] metres along y."""
    busy, shaded, pitch = draw(rng, 0.1, 0.8), rng.random() < 0.4, draw(rng, 1.8, 2.6)
    made, wide, tall = pick(rng, ("wood", "plastic", "metal")), draw(rng, 0.6, 1.0), 0.72
    around = pick(rng, (2, 2, 3, 4))
    for x in np.arange(0.9, max(size[0], 1.0), pitch):
        for y in np.arange(0.8, max(size[1], 0.9), pitch):
            yaw = pose[2] + draw(rng, 0, 6.3)
            table = (*place(pose, float(x), float(y)), yaw)
            add_table(site, table, wide, tall, made)
            if shaded and rng.random() < 0.7:
                add_parasol(site, table, draw(rng, 2.0, 3.2))
            for k in range(around):
                angle = 2 * np.pi * k / around + float(rng.normal(0, 0.15))
                reach = wide / 2 + draw(rng, 0.15, 0.4)
                at = place(table, reach * float(np.cos(angle)), reach * float(np.sin(angle)))
                chair = (*at, yaw + angle + np.pi)
                add_chair(site, chair, made)
                if rng.random() < busy:
                    site.put("seated", variant("seated", rng), chair)


def _bus_stop(here: Stretch, side: int, s: float) -> None:
    rng, profile = here.rng, here.street.profile
    pose = along(here.street, s, side * (profile.edge(side) - 0.6), side)
    if not here.free(pose, 4.0):
        return
    add_shelter(here.site, pose, rng)
    for _ in range(int(rng.integers(1, 4))):
        group(here.site, (*place(pose, draw(rng, -2, 2), draw(rng, -0.2, 1.3)), pose[2]), rng)
    kerb = side * (profile.half_width - 1.5)
    if rng.random() < 0.6 and profile.half_width > 3.2:
        here.put("bus", along(here.street, s + 6, kerb, side))


def road_works(here: Stretch) -> None:
    """A closed piece of a lane with cones or barriers, workers and a machine."""
    rng, street = here.rng, here.street
    side = pick(rng, (-1, 1))
    s0, run = draw(rng, here.start, here.stop - 5), draw(rng, 10, 22)
    inner = side * (street.profile.half_width - draw(rng, 1.5, 2.6))
    outer = side * (street.profile.half_width + 0.5)
    for s in np.arange(s0, s0 + run, draw(rng, 1.6, 3)):
        for offset in (inner, outer):
            kind = "cone" if rng.random() < 0.5 else "barrier"
            here.put_where_free(kind, street.frame(float(s), offset))
    for _ in range(int(rng.integers(1, 5))):
        x, y, _ = street.frame(s0 + draw(rng, 1, run), (inner + outer) / 2)
        here.put("worker", (x, y, draw(rng, 0, 6.28)))
    if rng.random() < 0.15:
        x, y, _ = street.frame(s0 + draw(rng, 1, run), outer)
        rest(here.site, (x, y, draw(rng, 0, 6.28)), rng)
    if rng.random() < 0.7:
        pose = street.frame(s0 + run / 2, (inner + outer) / 2)
        here.put("construction_vehicle" if rng.random() < 0.65 else "truck", pose)
