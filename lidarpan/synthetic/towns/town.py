"""A town: planned whole, built piece by piece around where the sensor is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import FloatArray
from lidarpan.synthetic.raycast import Caster, DensityField
from lidarpan.synthetic.sensors.returns import draw_tints
from lidarpan.synthetic.towns.ground import Ground, Relief, make_ground, make_relief
from lidarpan.synthetic.towns.layout import STYLES, Layout, make_layout
from lidarpan.synthetic.towns.parcels import Parcel, make_parcels
from lidarpan.synthetic.towns.plots import develop
from lidarpan.synthetic.towns.roadside import STRETCH_M, furnish
from lidarpan.synthetic.towns.site import ActorSpot, Site, draw_log, pick
from lidarpan.synthetic.towns.solids import Body, build_parts
from lidarpan.synthetic.towns.stock import (
    Built,
    Placed,
    Shape,
    build_actors,
    stock_actor,
    without_overlaps,
)
from lidarpan.synthetic.towns.streets import paint_streets
from lidarpan.synthetic.towns.surfaces import CODE
from lidarpan.synthetic.towns.traffic import Mover, ego_offset, make_movers
from lidarpan.synthetic.towns.vegetation import make_density_field

MARGIN_M = 4.0
EGO_HALF_WIDTH_M = 1.5
"""Room that parked vehicles leave on either side of the ego's way."""
_BARRED = np.isin(np.arange(len(CODE)), [CODE["road"], CODE["marking"]])


@dataclass(frozen=True)
class Piece:
    """The part of a town around a place.

    Attributes:
        middle: (2,) float64 world metres.
        ground: the ground.
        solid: everything solid that rests.
        porous: porous bodies, closed, and their caster.
        porous_caster: of them.
        actors: those at rest.
    """

    middle: NDArray[np.float64]
    ground: Ground
    solid: Built
    porous: Body
    porous_caster: Caster
    actors: list[Placed]


@dataclass
class Town:
    """The plan of a town and who lives in it; the same for the same seed and length."""

    seed: int
    layout: Layout
    parcels: list[Parcel]
    streets: Site
    relief: Relief
    background: str
    movers: list[Mover]
    ego_start_m: float
    ego_speed_m_s: float
    leaves: DensityField
    tones: FloatArray
    tone_m: float
    tints: FloatArray
    held_out: bool
    numbers: dict[tuple[int, int, int], int] = field(default_factory=dict)

    def number_of(self, key: tuple[int, int, int]) -> int:
        """The lasting number (from 1) of the actor with this key."""
        return self.numbers.setdefault(key, len(self.numbers) + 1)

    def _shape(self, kind: str, number: int) -> Shape:
        return Shape(kind, number, self.seed, self.held_out)

    def piece(self, middle: NDArray[np.float64], radius_m: float) -> Piece:
        """Build what lies within radius_m metres of a place."""
        site, keys = self._plan(middle, radius_m + MARGIN_M)
        ground = make_ground(
            middle, radius_m + MARGIN_M, self.background,
            site.surfaces, site.mounds, self.relief, self.seed,
        )  # fmt: skip
        solid, porous = build_parts(site, ground, _BARRED)
        placed = []
        for spot, key in zip(site.actors, keys, strict=True):
            at = np.array(spot.pose[:2])
            if ground.contains(at) and np.hypot(*(at - middle)) < radius_m:
                if self._blocks_ego(spot):
                    continue
                height = float(ground.heights_at(at))
                number = self.number_of(key)
                shape = self._shape(spot.kind, spot.variant)
                placed.append(Placed(number, shape, spot.pose, height))
        placed = without_overlaps(placed)
        return Piece(
            middle, ground, build_actors(placed, solid.mesh), porous, Caster(porous.mesh), placed
        )

    def _plan(
        self, middle: NDArray[np.float64], radius_m: float
    ) -> tuple[Site, list[tuple[int, int, int]]]:
        """Join the plots, streets and stretches near a place, and key their actors."""
        site, keys = Site(), []
        for parcel in self.parcels:
            reach = radius_m + 0.5 * parcel.width + parcel.depth
            if np.hypot(parcel.frame[0] - middle[0], parcel.frame[1] - middle[1]) < reach:
                part = develop(parcel, self.seed)
                keys += [(0, parcel.number, k) for k in range(len(part.actors))]
                site.merge(part)
        site.merge(self.streets)
        for street in self.layout.streets:
            for number in range(int(np.ceil(street.length / STRETCH_M))):
                x, y, _ = street.frame((number + 0.5) * STRETCH_M)
                if np.hypot(x - middle[0], y - middle[1]) < radius_m + STRETCH_M:
                    part = furnish(self.layout, street, number, self.seed)
                    source = street.number * 1000 + number
                    keys += [(1, source, k) for k in range(len(part.actors))]
                    site.merge(part)
        return site, keys

    def _blocks_ego(self, spot: ActorSpot) -> bool:
        """Whether an actor at rest stands where the ego will drive."""
        street = self.layout.streets[0]
        gap = np.hypot(*(street.points - np.array(spot.pose[:2])).T)
        index = int(gap.argmin())
        if gap[index] > 8:
            return False
        x, y, yaw = street.frame(index, -ego_offset(street))
        size = stock_actor(self._shape(spot.kind, spot.variant)).size_m
        turn = spot.pose[2] - yaw
        half = 0.5 * (abs(size[0] * np.sin(turn)) + abs(size[1] * np.cos(turn)))
        beside = abs((spot.pose[1] - y) * np.cos(yaw) - (spot.pose[0] - x) * np.sin(yaw))
        return bool(beside < EGO_HALF_WIDTH_M + half)

    def moving_actors(
        self, piece: Piece, time_s: float, ego: NDArray[np.float64], radius_m: float
    ) -> list[Placed]:
        """Who moves near the middle of a piece at a time, without those who would hit the ego."""
        near = []
        for index, mover in enumerate(self.movers):
            street = self.layout.streets[mover.street]
            pose = mover.pose(street, time_s)
            if pose is None:
                continue
            at = np.array(pose[:2])
            if np.hypot(*(at - piece.middle)) < radius_m and piece.ground.contains(at):
                shape = self._shape(mover.kind, mover.variant)
                if np.hypot(*(at - ego)) < 2.2 + stock_actor(shape).size_m[0] / 3:
                    continue
                speed = abs(mover.drift_m_s) if mover.drift_m_s else abs(mover.speed_m_s)
                velocity = (speed * float(np.cos(pose[2])), speed * float(np.sin(pose[2])))
                height = float(piece.ground.heights_at(at))
                number = self.number_of((2, 0, index))
                near.append(Placed(number, shape, pose, height, velocity, speed > 0))
        return near


def make_town(
    seed: int, drive_m: float = 0.0, view_m: float = 80.0, held_out: bool = False
) -> Town:
    """Plan a town in which the ego can drive drive_m metres along street 0.

    Args:
        seed: of everything in it.
        drive_m: metres.
        view_m: how far the sensor sees, metres.
        held_out: take objects from the part of the range that other towns leave out.
    """
    rng = np.random.default_rng([seed, 0])
    layout = make_layout(rng, drive_m + 2 * view_m + 40)
    style = layout.streets[0].profile.style
    hilliness = float(rng.choice((0.008, 0.02, 0.04), p=(0.45, 0.35, 0.2)))
    streets = Site()
    paint_streets(streets, layout, rng)
    ego_start = view_m + float(rng.uniform(0, 40))
    movers, speed = make_movers(layout, rng, ego_start)
    leaves = make_density_field(seed)
    logs = np.log(leaves.values)
    looks = np.random.default_rng([seed, 13])
    return Town(
        seed=seed,
        layout=layout,
        parcels=make_parcels(layout, rng),
        streets=streets,
        relief=make_relief(rng, hilliness),
        background=pick(looks, STYLES[style]["land"]),
        movers=movers,
        ego_start_m=ego_start,
        ego_speed_m_s=speed,
        leaves=leaves,
        tones=((logs - logs.mean()) / logs.std()).astype(np.float32),
        tone_m=draw_log(looks, 0.25, 2.5),
        tints=draw_tints(looks),
        held_out=held_out,
    )
