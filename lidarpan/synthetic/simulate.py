"""Town and sensor to labelled scans: one, or a drive with actors that move and ids that stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.structures import BoolArray, FloatArray, IntArray, PanopticLabels, Scan
from lidarpan.synthetic.kinds import KIND, MATERIAL, raw_labels
from lidarpan.synthetic.raycast import penetrate
from lidarpan.synthetic.returns import is_lost, measured_intensity
from lidarpan.synthetic.sensor import Sensor
from lidarpan.synthetic.town import (
    Piece,
    Placed,
    Town,
    build_actors,
    make_town,
    stock_actor,
)
from lidarpan.synthetic.traffic import lane_offset

REBUILD_M = 18.0
"""The ego may be this far from the middle of a piece before the next one is built."""
_LEAFY = np.array([MATERIAL["leaf"]], np.uint8)


@dataclass(frozen=True)
class Box:
    """An upright box around an actor in the world frame.

    Attributes:
        instance: the actor's lasting number.
        kind: its kind.
        center: x, y, z of the middle, metres.
        size_m: length, width, height.
        yaw_rad: heading.
        velocity: x, y metres per second.
    """

    instance: int
    kind: str
    center: tuple[float, float, float]
    size_m: tuple[float, float, float]
    yaw_rad: float
    velocity: tuple[float, float]


@dataclass(frozen=True)
class SimulatedScan:
    """A scan and the truth about it.

    Attributes:
        scan: points, intensity, ring, time and pose.
        kind: (N,) uint8 index into kinds.KINDS.
        instance: (N,) int32 actor number, the same in all scans of a drive; 0 for none.
        moving: (N,) bool.
        time_s: since the start of the drive.
        boxes: of the actors in view of the sensor's range, hit or not.
    """

    scan: Scan
    kind: NDArray[np.uint8]
    instance: IntArray
    moving: BoolArray
    time_s: float
    boxes: tuple[Box, ...]

    def raw(self, dataset: str) -> IntArray:
        """Raw label of each point in "semantickitti" or "nuscenes" words. -> (N,) int32."""
        rest, moving = raw_labels(dataset)
        labels: IntArray = np.where(self.moving, moving[self.kind], rest[self.kind])
        return labels.astype(np.int32)

    def labels(self, classes: ClassTable) -> PanopticLabels:
        """Train ids of a class table, and instances of its thing classes."""
        semantic = _train_ids(classes)[self.kind]
        instance = np.where(classes.is_thing[semantic], self.instance, 0).astype(np.int32)
        return PanopticLabels(semantic, instance)


def _train_ids(classes: ClassTable) -> NDArray[np.uint8]:
    rest, _ = raw_labels(classes.name)
    if classes.name == "semantickitti":
        return classes.to_train(rest)
    return classes.to_train(rest)


def simulate_scan(seed: int, sensor: Sensor) -> SimulatedScan:
    """One scan in a town of its own; the same bytes for the same seed and sensor."""
    return next(simulate_sequence(seed, sensor, 1))


def simulate_sequence(
    seed: int, sensor: Sensor, num_scans: int, rate_hz: float = 10.0
) -> Iterator[SimulatedScan]:
    """A drive through one town: num_scans scans, rate_hz a second.

    Args:
        seed: of the town, the traffic, the drive and the noise.
        sensor: on the roof of the ego.
        num_scans: how many.
        rate_hz: scans a second.

    Yields:
        The scans in order; instance numbers stay.
    """
    view = min(sensor.max_range_m, 80.0)
    town = make_town(seed, drive_m=25.0 * (num_scans - 1) / rate_hz, view_m=view)
    drive = np.random.default_rng([seed, 9])
    manner = _Manner.draw(drive, sensor)
    piece: Piece | None = None
    room = view + (REBUILD_M if num_scans > 1 else 0.0)
    for index in range(num_scans):
        time_s = index / rate_hz
        at = manner.place(town, time_s)
        middle = np.array(at[:2])
        if piece is None or np.hypot(*(middle - piece.middle)) > REBUILD_M:
            piece = town.piece(middle, room)
        pose = manner.stand(piece, at, time_s)
        rng = np.random.default_rng([seed, 10, index])
        yield _render(town, piece, pose, sensor, time_s, view, rng)


@dataclass(frozen=True)
class _Manner:
    """How the ego drives: offset in its lane, yaw off the street, tilt, mounting height."""

    offset_m: float
    yaw_rad: float
    roll_rad: float
    pitch_rad: float
    height_m: float
    sway_phase: float

    @staticmethod
    def draw(rng: np.random.Generator, sensor: Sensor) -> _Manner:
        offset = float(rng.normal(0, 0.3))
        yaw = float(rng.normal(0, 0.02 if rng.random() < 0.85 else 0.3))
        roll, pitch = (float(value) for value in rng.normal(0, 0.008, 2))
        height = sensor.height_m + float(rng.normal(0, 0.03))
        return _Manner(offset, yaw, roll, pitch, height, float(rng.uniform(0, 6)))

    def place(self, town: Town, time_s: float) -> tuple[float, float, float]:
        street = town.layout.streets[0]
        s = town.ego_start_m + town.ego_speed_m_s * time_s
        x, y, yaw = street.frame(s, -lane_offset(street) + self.offset_m)
        return x, y, yaw + self.yaw_rad

    def stand(
        self, piece: Piece, at: tuple[float, float, float], time_s: float
    ) -> NDArray[np.float64]:
        """The sensor over the ground it stands on, tilted with it."""
        x, y, yaw = at
        cos, sin = np.cos(yaw), np.sin(yaw)
        feet = np.array([[1.4, 0.0], [-1.4, 0.0], [0.0, 0.8], [0.0, -0.8]])
        world = feet @ np.array([[cos, sin], [-sin, cos]]) + [x, y]
        front, back, left, right = piece.ground.heights_at(world).astype(np.float64)
        sway = 0.004 * np.sin(1.3 * time_s + self.sway_phase)
        pitch = -np.arctan2(front - back, 2.8) + self.pitch_rad + sway
        roll = np.clip(np.arctan2(left - right, 1.6), -0.03, 0.03) + self.roll_rad
        cp, sp, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
        turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        tilt = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
        bank = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
        pose = np.eye(4)
        pose[:3, :3] = turn @ tilt @ bank
        pose[:3, 3] = x, y, (front + back) / 2 + self.height_m
        return pose


@dataclass(frozen=True)
class _Surface:
    """What rays met. (R,) each."""

    range_m: FloatArray
    kind: NDArray[np.uint8]
    material: NDArray[np.uint8]
    instance: IntArray
    moving: BoolArray
    cosine: FloatArray


def _render(
    town: Town,
    piece: Piece,
    pose: NDArray[np.float64],
    sensor: Sensor,
    time_s: float,
    view_m: float,
    rng: np.random.Generator,
) -> SimulatedScan:
    directions, ring, turn = sensor.rays(rng)
    origin = pose[:3, 3].astype(np.float32)
    world = (directions @ pose[:3, :3].T.astype(np.float32)).astype(np.float32)
    movers = town.moving_actors(piece, time_s, pose[:2, 3], view_m + 10)
    met = _meet(town, piece, movers, origin, world, sensor, rng)
    tone = _tones(town, origin + world * np.minimum(met.range_m, 200)[:, None], met.instance)
    gain = (1 + 0.08 * np.sin(37.0 * np.arange(len(sensor.elevations_rad)))).astype(np.float32)
    lost = is_lost(
        met.material, met.range_m, met.cosine, sensor.max_range_m, sensor.empty_share, rng
    )
    ranges = met.range_m + rng.normal(0, sensor.range_noise_m, len(turn)).astype(np.float32)
    keep = np.isfinite(ranges) & ~lost
    keep &= (ranges > sensor.min_range_m) & (ranges < sensor.max_range_m)
    intensity = measured_intensity(
        met.material, np.minimum(met.range_m, 200), met.cosine, tone, gain[ring], rng
    )
    scan = Scan(
        points=directions[keep] * ranges[keep, None],
        intensity=intensity[keep],
        time=(turn[keep] * 0.1).astype(np.float32),
        ring=ring[keep],
        world_T_sensor=pose,
    )
    boxes = tuple(_box(actor) for actor in [*piece.actors, *movers])
    return SimulatedScan(scan, met.kind[keep], met.instance[keep], met.moving[keep], time_s, boxes)


def _meet(
    town: Town,
    piece: Piece,
    movers: list[Placed],
    origin: FloatArray,
    directions: FloatArray,
    sensor: Sensor,
    rng: np.random.Generator,
) -> _Surface:
    """The nearest of: things at rest, movers, the ground, leaves and pickets on the way."""
    count = len(directions)
    range_m = np.full(count, np.float32(sensor.max_range_m + 1))
    kind, material = np.zeros(count, np.uint8), np.zeros(count, np.uint8)
    instance, moving = np.zeros(count, np.int32), np.zeros(count, np.bool_)
    cosine = np.ones(count, np.float32)
    for built in (piece.solid, build_actors(movers)):
        hits = built.caster.cast(origin, directions)
        near = hits.range_m < range_m
        triangle = hits.triangle[near]
        range_m[near] = hits.range_m[near]
        kind[near], material[near] = built.mesh.kind[triangle], built.mesh.material[triangle]
        instance[near], moving[near] = built.instance[triangle], built.moving[triangle]
        cosine[near] = np.abs(np.einsum("ij,ij->i", hits.normal[near], directions[near]))
    ground = piece.ground.cast(origin, directions, range_m)
    near = ground < range_m
    range_m[near] = ground[near]
    points = origin + directions[near] * ground[near, None]
    kind[near], material[near] = piece.ground.surface_at(points)
    instance[near], moving[near] = 0, False
    cosine[near] = np.abs(directions[near, 2])
    leafy = piece.porous.mesh.material == MATERIAL["leaf"]
    leaf_m, triangle = penetrate(
        piece.porous_caster, piece.porous.density, leafy, town.leaves,
        origin, directions, range_m, rng,
    )  # fmt: skip
    near = leaf_m < range_m
    range_m[near] = leaf_m[near]
    chosen = triangle[near]
    kind[near], material[near] = piece.porous.mesh.kind[chosen], piece.porous.mesh.material[chosen]
    instance[near], moving[near] = 0, False
    cosine[near] = rng.uniform(0.3, 1, int(near.sum())).astype(np.float32)
    range_m[range_m > sensor.max_range_m] = np.inf
    return _Surface(range_m, kind, material, instance, moving, cosine)


def _tones(town: Town, points: FloatArray, instance: IntArray) -> FloatArray:
    """Standard normal numbers that are alike over an actor, or over about a metre elsewhere."""
    index = np.floor(points / 0.7).astype(np.int32) % len(town.tones)
    tone: FloatArray = town.tones[index[:, 0], index[:, 1], index[:, 2]]
    own = np.sin(instance * 12.9898 + 4.1) * 1.3
    return np.where(instance > 0, own.astype(np.float32), tone)


def _box(actor: Placed) -> Box:
    size = stock_actor(actor.kind, actor.variant).size_m
    x, y, yaw = actor.pose
    center = (x, y, actor.ground_m + size[2] / 2)
    return Box(actor.number, actor.kind, center, size, yaw, actor.velocity)


assert KIND["void"] == 0  # rays that meet nothing keep it until they are dropped
