"""What is found here and there along a street: groups, racks, bus stops, road works."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lidarpan.synthetic.towns.furniture import add_shelter
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


def group(site: Site, pose: Pose, rng: np.random.Generator) -> None:
    """One to five people close together."""
    for _ in range(pick(rng, (1, 1, 2, 2, 3, 5, 7))):
        kind = "child" if rng.random() < 0.15 else "pedestrian"
        px, py = place(pose, float(rng.normal(0, 0.9)), float(rng.normal(0, 0.35)))
        turn = pick(rng, (0, np.pi)) + float(rng.normal(0, 0.6))
        site.put(kind, variant(kind, rng), (px, py, pose[2] + turn))


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
    if rng.random() < 0.7:
        pose = street.frame(s0 + run / 2, (inner + outer) / 2)
        here.put("construction_vehicle" if rng.random() < 0.65 else "truck", pose)
