"""One look of a sensor at a piece of a town: rays to labelled points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.structures import BoolArray, FloatArray, IntArray, PanopticLabels, Scan
from lidarpan.synthetic.kinds import MATERIAL, raw_labels
from lidarpan.synthetic.raycast import Caster, penetrate
from lidarpan.synthetic.sensors.returns import is_lost, measured_intensity, stopped_short_m
from lidarpan.synthetic.sensors.sensor import Sensor
from lidarpan.synthetic.towns.site import Site
from lidarpan.synthetic.towns.solids import build_parts
from lidarpan.synthetic.towns.stock import Placed, build_actors
from lidarpan.synthetic.towns.town import Piece, Town


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
        """Raw label of each point in the words of a dataset. -> (N,) int32."""
        rest, moving = raw_labels(dataset)
        labels: IntArray = np.where(self.moving, moving[self.kind], rest[self.kind])
        return labels.astype(np.int32)

    def labels(self, classes: ClassTable) -> PanopticLabels:
        """Train ids of a class table, and instances of its thing classes."""
        semantic = classes.to_train(raw_labels(classes.name)[0])[self.kind]
        instance = np.where(classes.is_thing[semantic], self.instance, 0).astype(np.int32)
        return PanopticLabels(semantic, instance)


@dataclass(frozen=True)
class _Surface:
    """What rays met. (R,) each."""

    range_m: FloatArray
    kind: NDArray[np.uint8]
    material: NDArray[np.uint8]
    instance: IntArray
    moving: BoolArray
    cosine: FloatArray


def render(
    town: Town,
    piece: Piece,
    pose: NDArray[np.float64],
    sensor: Sensor,
    time_s: float,
    view_m: float,
    rng: np.random.Generator,
) -> SimulatedScan:
    """What a sensor sees from a pose.

    Args:
        town: gives movers, leaves and tones.
        piece: the part of the town around the sensor.
        pose: (4, 4) world_T_sensor.
        sensor: gives rays, ranges and noise.
        time_s: decides where movers are.
        view_m: how far movers are looked for.
        rng: source of noise.
    """
    directions, ring, turn = sensor.rays(rng)
    origin = pose[:3, 3].astype(np.float32)
    world = (directions @ pose[:3, :3].T.astype(np.float32)).astype(np.float32)
    movers = town.moving_actors(piece, time_s, pose[:2, 3], view_m + 10)
    met = _meet(town, piece, movers, origin, world, rng, sensor.max_range_m)
    if sensor.sees_own_car:
        met = _behind_own_car(met, directions, sensor.height_m)
    tone = _tones(town, origin + world * np.minimum(met.range_m, 200)[:, None], met.instance)
    waves = np.sin(37.0 * np.arange(sensor.num_beams))
    gain = (1 + sensor.beam_gain * waves).astype(np.float32)
    lost = is_lost(
        met.material, met.range_m, met.cosine, sensor.max_range_m, sensor.empty_share, rng
    )
    ranges = met.range_m + rng.normal(0, sensor.range_noise_m, len(turn)).astype(np.float32)
    ranges += sensor.beam_offsets_m(town.seed)[ring]
    keep = np.isfinite(ranges) & ~lost
    keep &= (ranges > sensor.min_range_m) & (ranges < sensor.max_range_m)
    gain = gain[ring] * town.tints[met.material]
    intensity = measured_intensity(
        met.material, np.minimum(met.range_m, 200), met.cosine, tone, gain, rng
    )
    if sensor.range_law:
        law = (np.clip(met.range_m, 1, 200) / 10) ** np.float32(sensor.range_law)
        intensity = np.minimum(intensity * law, np.float32(1))
    if sensor.keeps_empty_rays:
        ranges[~keep] = rng.uniform(0.02, 0.6, int((~keep).sum()))
        directions[~keep, 2] = -0.07 * np.hypot(*directions[~keep, :2].T)
        met.kind[~keep], met.instance[~keep], met.moving[~keep] = 0, 0, False
        keep[:] = True
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
    rng: np.random.Generator,
    max_range_m: float,
) -> _Surface:
    """The nearest of: things at rest, movers, the ground, leaves and pickets on the way."""
    count = len(directions)
    range_m = np.full(count, np.float32(max_range_m + 1))
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
    points = origin + directions[near] * ground[near, None]
    kind[near], material[near] = piece.ground.surface_at(points)
    instance[near], moving[near] = 0, False
    cosine[near] = np.abs(directions[near, 2])
    range_m[near] = ground[near] - stopped_short_m(material[near], cosine[near], rng)
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
    range_m[range_m > max_range_m] = np.inf
    return _Surface(range_m, kind, material, instance, moving, cosine)


def _behind_own_car(met: _Surface, directions: FloatArray, height_m: float) -> _Surface:
    """What rays met, with the own car before it. directions are in the sensor frame."""
    hits = _own_car(height_m).cast(np.zeros(3, np.float32), directions)
    near = hits.range_m < met.range_m
    return _Surface(
        np.where(near, hits.range_m, met.range_m),
        np.where(near, np.uint8(0), met.kind),
        np.where(near, np.uint8(MATERIAL["metal"]), met.material),
        np.where(near, np.int32(0), met.instance),
        met.moving & ~near,
        met.cosine,
    )


@lru_cache(maxsize=4)
def _own_car(height_m: float) -> Caster:
    """Roof and bonnet of the ego below a sensor at (0, 0, 0), kind void."""
    site = Site()
    for x0, x1, half_width, top in ((-1.2, 0.9, 0.6, 0.36), (0.9, 1.9, 0.8, 0.92)):
        size = (x1 - x0, 2 * half_width, height_m - top - 0.3)
        site.add("box", ((x0 + x1) / 2, 0, 0), size, "void", "metal", bottom=0.3 - height_m)
    solid, _ = build_parts(site, None, np.zeros(0, np.bool_))
    return Caster(solid.mesh)


def _tones(town: Town, points: FloatArray, instance: IntArray) -> FloatArray:
    """Standard normal numbers that are alike over an actor, or over a patch elsewhere."""
    index = np.floor(points / town.tone_m).astype(np.int32) % len(town.tones)
    tone: FloatArray = town.tones[index[:, 0], index[:, 1], index[:, 2]]
    own = np.sin(instance * 12.9898 + 4.1) * 1.3
    return np.where(instance > 0, own.astype(np.float32), tone)


def _box(placed: Placed) -> Box:
    size = placed.actor.size_m
    x, y, yaw = placed.pose
    center = (x, y, placed.ground_m + size[2] / 2)
    return Box(placed.number, placed.shape.kind, center, size, yaw, placed.velocity)
