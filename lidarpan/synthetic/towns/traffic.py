"""Who moves along the streets: traffic in lanes, people on sidewalks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lidarpan.synthetic.towns.gatherings import variant
from lidarpan.synthetic.towns.layout import STYLES, Layout, Street
from lidarpan.synthetic.towns.site import Pose, draw, draw_log, pick

MOUTH_M = 9.0
"""Traffic of a side street is not followed nearer than this to the street it joins."""


@dataclass(frozen=True)
class Mover:
    """Someone who moves along a street at a constant speed.

    Attributes:
        kind: of the actor.
        variant: which shape of that kind.
        street: number of the street.
        start_m: place along it at time 0.
        offset_m: to the left of the centreline at time 0.
        speed_m_s: along its way.
        against: whether it goes against the street's direction.
        drift_m_s: across it, to the left.
    """

    kind: str
    variant: int
    street: int
    start_m: float
    offset_m: float
    speed_m_s: float
    against: bool
    drift_m_s: float = 0.0

    def pose(self, street: Street, time_s: float) -> Pose | None:
        """Where it is at a time, or None when it has left the street."""
        s = self.start_m + (-self.speed_m_s if self.against else self.speed_m_s) * time_s
        offset = self.offset_m + self.drift_m_s * time_s
        edge = max(street.profile.edge(-1), street.profile.edge(1))
        if not (MOUTH_M if street.number else 0.0) <= s <= street.length or abs(offset) > edge:
            return None
        x, y, yaw = street.frame(s, offset)
        if self.drift_m_s:
            return x, y, yaw + np.pi / 2 * float(np.sign(self.drift_m_s))
        return x, y, yaw + np.pi if self.against else yaw


def make_movers(
    layout: Layout, rng: np.random.Generator, ego_s: float
) -> tuple[list[Mover], float]:
    """Traffic of all streets, and the speed on the ego's side (-1) of street 0."""
    movers: list[Mover] = []
    ego_speed = 0.0
    for street in layout.streets:
        for side in (-1, 1):
            speed = STYLES[street.profile.style]["top_speed_m_s"] * draw(rng, 0.5, 1.1)
            if rng.random() < 0.12:
                speed = 0.0
            if side == 1 and 2 * lane_offset(street) < 2.2:
                continue  # too narrow for two
            if street.number == 0 and side == -1:
                speed = max(speed, 2.0)
                ego_speed = speed
            for lane in range(num_lanes(street)):
                gap = draw_log(rng, 14, 110)
                movers += _lane(street, side, lane, speed, gap, rng, ego_s)
            movers += _walkers(street, side, rng)
    movers += _seldom(layout.streets[0], rng, ego_s, ego_speed)
    return movers, ego_speed


def _seldom(street: Street, rng: np.random.Generator, ego_s: float, speed: float) -> list[Mover]:
    """Riders and large vehicles near the ego, more often than on a real street."""
    movers = []
    for _ in range(int(rng.poisson(1.3))):
        kind = str(rng.choice(_SELDOM, p=_SELDOM_SHARES))
        side = pick(rng, (-1, 1))
        rider = kind in ("bicyclist", "motorcyclist")
        offset = side * lane_offset(street)
        if rider:
            offset += side * draw(rng, 0, 1.2)
        pace = min(speed, 6.0) if kind == "bicyclist" else speed
        s = ego_s + draw(rng, 5, 35) * pick(rng, (-1, 1))
        movers.append(Mover(kind, variant(kind, rng), 0, s, offset, pace, side > 0))
    return movers


_SELDOM = ("bicyclist", "motorcyclist", "truck", "bus", "trailer", "construction_vehicle")
_SELDOM_SHARES = (0.42, 0.3, 0.1, 0.08, 0.05, 0.05)


def _lane(
    street: Street, side: int, lane: int, speed: float, gap: float, rng: np.random.Generator,
    ego_s: float,
) -> list[Mover]:  # fmt: skip
    movers = []
    profile = street.profile
    offset = side * lane_offset(street, lane)
    ego_here = street.number == 0 and side == -1 and lane == profile.ego_lane
    s = draw(rng, 0, gap) + (14.0 if street.number else 0.0)
    while s < street.length:
        kind = str(rng.choice(_TRAFFIC, p=_TRAFFIC_SHARES))
        small = kind in ("bicyclist", "motorcyclist")
        shift = side * 0.9 if kind == "bicyclist" and profile.half_width > 2.8 else 0.0
        is_ego = ego_here and abs(s - ego_s) < (9 if small else 14)
        if kind == "tram" and profile.half_width < 5:
            kind = "van"
        if not is_ego:
            pace = min(speed, 8.0) if small else speed
            lateral = offset + shift + float(rng.normal(0, 0.15))
            shape = variant(kind, rng)
            movers.append(Mover(kind, shape, street.number, s, lateral, pace, side > 0))
        long = {"bus": 13, "truck": 11, "tram": 32, "trailer": 10}.get(kind, 6)
        s += long + gap * float(rng.exponential(1.0)) + 2
    return movers


_TRAFFIC = ("car", "van", "truck", "bus", "bicyclist", "motorcyclist", "tram")
_TRAFFIC_SHARES = (0.50, 0.08, 0.10, 0.06, 0.14, 0.11, 0.01)


def num_lanes(street: Street) -> int:
    """Lanes in either direction."""
    wide = street.profile.half_width - street.profile.median / 2
    return max(1, int(wide / 3.05)) if wide > 5 else 1


def ego_offset(street: Street) -> float:
    """Metres from the centreline to the middle of the ego's lane."""
    return lane_offset(street, min(street.profile.ego_lane, num_lanes(street) - 1))


def lane_offset(street: Street, lane: int = 0) -> float:
    """Metres from the centreline to the middle of a driving lane, counted from the kerb."""
    profile = street.profile
    inner = profile.median / 2
    wide = profile.half_width - inner
    if wide < 2.6:  # one lane
        return inner + 0.1
    if wide > 5:
        return inner + wide - 1.75 - lane * (wide - 3.5) / max(1, num_lanes(street) - 1)
    if wide < 4 and profile.style == "residential" and not profile.bay[-1]:
        return max(0.2, wide - 3.2)  # cars park at the kerb
    return inner + wide / 2


def _walkers(street: Street, side: int, rng: np.random.Generator) -> list[Mover]:
    profile = street.profile
    movers = []
    walk = max(profile.sidewalk[side], 0.8)
    for _ in range(int(rng.poisson(street.length / 60 if profile.sidewalk[side] else 0.3))):
        offset = side * (profile.edge(side) - walk * draw(rng, 0.25, 0.75))
        speed, against = draw(rng, 0.8, 1.7), rng.random() < 0.5
        kind = "child" if rng.random() < 0.15 else "pedestrian"
        s = draw(rng, 0, street.length)
        drift = 0.0
        if rng.random() < 0.12:
            speed, drift = 0.0, -side * draw(rng, 0.8, 1.5)
            offset *= draw(rng, 0.1, 1)
        shape = variant(kind, rng)
        movers.append(Mover(kind, shape, street.number, s, offset, speed, against, drift))
    return movers
