"""Sensors drawn at random, so that weights learn to read any of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lidarpan.synthetic.sensors.presets import SENSORS
from lidarpan.synthetic.sensors.sensor import Sensor

MAX_RAYS = 150_000
"""A drawn sensor takes wider azimuth steps rather than cast more rays than these."""

FARTHEST_M = 85.0
"""Networks see no farther."""

_KITTI_SHARE, _FREE_SHARE = 0.25, 0.2


def random_sensor(rng: np.random.Generator) -> Sensor:
    """A spinning sensor drawn at random: beams, steps, range, noise, height, tilt, sector.

    A quarter are KITTI's HDL-64E with other steps and heights, a fifth have beams of no known
    sensor, the rest the beams of a preset. One in ten sees a sector only, one in twenty is
    merged with a second one.
    """
    luck = rng.random()
    if luck < _KITTI_SHARE:
        sensor = _like_kitti(rng)
    else:
        sensor = _mounted(_free(rng) if luck < _KITTI_SHARE + _FREE_SHARE else _preset(rng), rng)
    if rng.random() < 1 / 10:
        half = rng.uniform(np.pi / 9, np.pi / 2)
        sensor = replace(sensor, sector_rad=(-half, half), blind=())
    elif luck >= _KITTI_SHARE and rng.random() < 1 / 12:
        second = replace(_preset(rng), tilt_rad=tuple(rng.normal(0, 0.15, 2).tolist()))
        sensor = replace(sensor, also=(second,))
    return _within(sensor, MAX_RAYS)


def _like_kitti(rng: np.random.Generator) -> Sensor:
    """The HDL-64E at about KITTI's height, often with half or two thirds of the azimuths."""
    sensor = SENSORS["hdl64e"]
    steps = round(sensor.azimuth_steps / rng.choice([1, 1, 1, 1.5, 2]))
    beams = sensor.elevations_rad + rng.normal(0, 0.0006, len(sensor.elevations_rad))
    return replace(
        sensor,
        elevations_rad=np.sort(beams + rng.normal(0, 0.003)),
        azimuth_steps=steps,
        height_m=float(rng.normal(1.73, 0.08)),
        blind=sensor.blind if rng.random() < 0.7 else (),
        range_law=float(rng.normal(0, 0.15)),
        range_noise_m=float(rng.uniform(0.005, 0.015)),
        beam_offset_m=float(rng.uniform(0.02, 0.05)),
    )


def _preset(rng: np.random.Generator) -> Sensor:
    names = [name for name in SENSORS if name != "hdl64e"]
    families = [name.split("-")[0] for name in names]
    chance = np.array([1 / families.count(family) for family in families])
    sensor = SENSORS[names[int(rng.choice(len(names), p=chance / chance.sum()))]]
    beams = sensor.elevations_rad + rng.normal(0, 0.0006, len(sensor.elevations_rad))
    return replace(sensor, elevations_rad=np.sort(beams))


def _free(rng: np.random.Generator) -> Sensor:
    """Beams of no known sensor: even, or denser towards somewhere near the horizon."""
    count = int(np.exp(rng.uniform(np.log(16), np.log(96))))
    lowest, highest = rng.uniform(-40, -14), rng.uniform(2, 25)
    beams = np.linspace(0, 1, count)
    if rng.random() < 0.5:
        horizon = -lowest / (highest - lowest)
        knots = np.array([0, horizon * rng.uniform(0.5, 0.9), horizon, 1])
        density = np.array([1, rng.uniform(1, 2), rng.uniform(2, 6), 1])
        where = np.linspace(0, 1, 500)
        total = np.cumsum(np.interp(where, knots, density))
        beams = np.interp(beams, (total - total[0]) / (total[-1] - total[0]), where)
    degrees = lowest + (highest - lowest) * beams
    return Sensor("free", np.radians(degrees), 1800, 0.5, 100.0, 0.015, 1.8)


def _mounted(sensor: Sensor, rng: np.random.Generator) -> Sensor:
    """A sensor on some vehicle, turning at some rate."""
    roof = rng.random() < 0.65
    height = float(rng.uniform(1.5, 2.1) if roof else rng.uniform(0.4, 2.6))
    step_deg = float(np.exp(rng.uniform(np.log(0.1), np.log(0.4))))
    limit = float(rng.uniform(30, 70)) if rng.random() < 0.15 else FARTHEST_M
    tilt = rng.normal(0, 0.04 if rng.random() < 0.2 else 0.008, 2)
    return replace(
        sensor,
        azimuth_steps=round(360 / step_deg),
        height_m=height,
        max_range_m=min(sensor.max_range_m, limit),
        range_noise_m=float(sensor.range_noise_m * np.exp(rng.normal(0, 0.6))),
        beam_offset_m=float(abs(rng.normal(0, 0.015))),
        empty_share=float(0.008 * np.exp(rng.normal(0, 0.8))),
        sees_own_car=height > 1.5 and rng.random() < 0.4,
        tilt_rad=(float(tilt[0]), float(tilt[1])),
        range_law=float(rng.normal(0, 0.3)),
        beam_gain=float(abs(rng.normal(0, 0.1))),
    )


def with_unknowns(sensor: Sensor, rng: np.random.Generator) -> Sensor:
    """A sensor with what its scans do not tell drawn at random.

    Offsets and gains of its beams, the share of empty rays and the range law of its intensity, from
    the distributions of `random_sensor`.
    """
    return replace(
        sensor,
        beam_offset_m=float(abs(rng.normal(0, 0.015))),
        empty_share=float(0.008 * np.exp(rng.normal(0, 0.8))),
        range_law=float(rng.normal(0, 0.3)),
        beam_gain=float(abs(rng.normal(0, 0.1))),
    )


def _within(sensor: Sensor, max_rays: int) -> Sensor:
    """The sensor with azimuth steps so wide that it casts at most max_rays."""
    share = 1.0 if sensor.sector_rad is None else float(np.diff(sensor.sector_rad)[0] / 2 / np.pi)
    factor = min(1.0, max_rays / (sensor.num_rays * share))
    also = tuple(
        replace(
            other,
            azimuth_steps=max(1, int(other.azimuth_steps * factor)),
            max_range_m=sensor.max_range_m,
        )
        for other in sensor.also
    )
    return replace(sensor, azimuth_steps=max(1, int(sensor.azimuth_steps * factor)), also=also)
