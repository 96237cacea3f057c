"""Town and sensor to labelled scans: one, or a drive with actors that move and ids that stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lidarpan.synthetic.render import Box, SimulatedScan, render
from lidarpan.synthetic.sensors.sensor import Sensor
from lidarpan.synthetic.towns.town import Piece, Town, make_town
from lidarpan.synthetic.towns.traffic import ego_offset

__all__ = ["Box", "SimulatedScan", "simulate_scan", "simulate_sequence"]

REBUILD_M = 18.0
"""The ego may be this far from the middle of a piece before the next one is built."""


def simulate_scan(seed: int, sensor: Sensor, *, held_out: bool = False) -> SimulatedScan:
    """One scan in a town of its own; the same bytes for the same seed and sensor."""
    return next(simulate_sequence(seed, sensor, 1, held_out=held_out))


def simulate_sequence(
    seed: int,
    sensor: Sensor,
    num_scans: int,
    rate_hz: float = 10.0,
    *,
    held_out: bool = False,
    stage: Callable[[Town], None] | None = None,
) -> Iterator[SimulatedScan]:
    """A drive through one town: num_scans scans, rate_hz a second.

    Args:
        seed: of the town, the traffic, the drive and the noise.
        sensor: on the roof of the ego.
        num_scans: how many.
        rate_hz: scans a second.
        held_out: whether objects come from the part of the range that other towns leave out.
        stage: changes who moves in the town before the drive begins.

    Yields:
        The scans in order; instance numbers stay.
    """
    view = min(sensor.max_range_m, 80.0)
    drive_m = 25.0 * (num_scans - 1) / rate_hz
    town = make_town(seed, drive_m, view, held_out)
    if stage is not None:
        stage(town)
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
        yield render(town, piece, pose, sensor, time_s, view, rng)


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
        height = sensor.height_m + float(rng.normal(0, 0.05))
        return _Manner(offset, yaw, roll, pitch, height, float(rng.uniform(0, 6)))

    def place(self, town: Town, time_s: float) -> tuple[float, float, float]:
        street = town.layout.streets[0]
        s = town.ego_start_m + town.ego_speed_m_s * time_s
        x, y, yaw = street.frame(s, -ego_offset(street) + self.offset_m)
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
