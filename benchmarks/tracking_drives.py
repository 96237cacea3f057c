"""Drives that are hard to track: crossing people, overtaking, buses that hide what is behind them.

Scans are made once and kept in a folder, since casting them takes far longer than tracking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from lidarpan.classes import load_class_table
from lidarpan.synthetic.sensors.presets import SENSORS
from lidarpan.synthetic.simulate import simulate_sequence
from lidarpan.synthetic.towns.gatherings import variant
from lidarpan.synthetic.towns.town import Town
from lidarpan.synthetic.towns.traffic import Mover, lane_offset
from lidarpan.whole_file import whole_file

PEOPLE = ("pedestrian", "child")
EVERY_S = 5.0  # another pair of people crosses, and another car overtakes
BUSES = 3
BUS_M_S = 5.0

Truth = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]
"""Points, semantic, instance, world_T_sensor, time in seconds."""


def stage_scenes(town: Town) -> None:
    """Replace the traffic of the ego's street by scenes that repeat along the way.

    Every EVERY_S seconds two people cross 14 m ahead, half a metre apart where they meet, and a car
    overtakes. A bus keeps 16 m ahead of the ego and hides the cars before it; a convoy of buses
    comes the other way at half time and hides the parked row behind it for two seconds and more.
    """
    street, start, speed = town.layout.streets[0], town.ego_start_m, town.ego_speed_m_s
    rng = np.random.default_rng([town.seed, 20])
    lane = lane_offset(street)
    movers = [m for m in town.movers if m.street or m.kind in PEOPLE]

    def add(kind: str, s: float, offset: float, pace: float, *, against=False, drift=0.0) -> None:
        shape = variant(kind, rng)
        movers.append(Mover(kind, shape, 0, s, offset, pace, against, drift))

    for when in np.arange(2.0, 60.0, EVERY_S):
        ahead = start + speed * when + 14.0
        for side, gap in ((-1, 0.0), (1, 0.5)):
            pace = float(rng.uniform(1.0, 1.5))
            add("pedestrian", ahead + gap, side * pace * when, 0.0, drift=-side * pace)
        add("car", start - 4.0 * (when + 2.0), -lane + 3.2, speed + 4.0)
        oncoming = start + (speed + 8.0) * (when + 1.5)
        if not 8.0 < when < 16.0:
            add("car", oncoming, lane, 8.0, against=True)
    add("bus", start + 16.0, -lane, speed)
    for k in range(4):
        add("car", start + 30.0 + 8.0 * k, -lane, speed)
    for k in range(BUSES):
        meet = start + (speed + BUS_M_S) * 10.0
        add("bus", meet + 14.0 * k, lane, BUS_M_S, against=True)
    town.movers[:] = movers


def drive_scans(
    seed: int,
    sensor: str,
    table: str,
    count: int,
    rate_hz: float,
    cache: Path | None,
    stage: Callable[[Town], None] | None = None,
) -> Iterator[Truth]:
    """The scans of a simulated drive, from the folder `cache` where it has them."""
    name = f"{'scenes' if stage else 'town'}-{sensor}-{table}-{seed}-{count}-{rate_hz:g}hz.npz"
    file = None if cache is None else cache / name
    if file is None or not file.exists():
        scans = list(_simulate(seed, sensor, table, count, rate_hz, stage))
        if file is None:
            yield from scans
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        arrays = {f"{k}_{i}": part for k, scan in enumerate(scans) for i, part in enumerate(scan)}
        with whole_file(file, suffix=".npz") as beside:
            np.savez_compressed(beside, **arrays)
    with np.load(file) as kept:
        for k in range(count):
            points, semantic, instance, pose, time_s = (kept[f"{k}_{i}"] for i in range(5))
            yield points, semantic, instance, pose, float(time_s)


def _simulate(
    seed: int, sensor: str, table: str, count: int, rate_hz: float, stage: Callable | None
) -> Iterator[Truth]:
    classes = load_class_table(table)
    for step in simulate_sequence(seed, SENSORS[sensor], count, rate_hz, stage=stage):
        truth = step.labels(classes)
        pose = step.scan.world_T_sensor
        yield step.scan.points, truth.semantic, truth.instance, pose, step.time_s
