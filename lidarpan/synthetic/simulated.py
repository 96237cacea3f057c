"""Simulated towns as datasets on disk, in either layout."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lidarpan.datasets.kitti_labels import NAME as KITTI
from lidarpan.datasets.nuscenes_labels import NAME as NUSCENES
from lidarpan.structures import InputError
from lidarpan.synthetic.nuscenes_writer import MINI_SCENES, write_nuscenes
from lidarpan.synthetic.semantickitti_writer import (
    finished_sequences,
    split_scans,
    write_semantickitti,
)
from lidarpan.synthetic.weather import drive_in_weather, parse_weather
from lidarpan.text_trees import read_json_tree
from lidarpan.whole_file import whole_file

if TYPE_CHECKING:
    from lidarpan.synthetic.sensors.sensor import Sensor
    from lidarpan.synthetic.simulate import SimulatedScan

    Town = tuple[int, Sensor, int, float, bool, str | None]
    """Seed, sensor, number of scans, scans a second, whether of shapes held out, weather."""

    MakeTowns = Callable[[Sequence[Town]], Iterator[list[SimulatedScan]]]

NOTE = "simulating.json"
"""Lies in a dataset that is not finished, and says with what arguments it was begun."""

MADE = "simulated.json"
"""The same in one that is finished."""

TOWNS_PER_PROCESS = 4
"""A further process starts in the time that about so many towns take."""

TOWN_SPACING_M = 2000.0
"""Towns of one sequence lie this far apart in its world."""


def write_simulated(
    dataset: str,
    root: str | Path,
    *,
    num_scans: int,
    seed: int,
    sensor: str | None = None,
    scans_per_town: int | None = None,
    rate_hz: float | None = None,
    held_out: bool = False,
    weather: str | None = None,
    make_towns: MakeTowns | None = None,
) -> Iterator[Path]:
    """Write a labelled dataset of simulated towns; the same bytes for the same arguments.

    SemanticKITTI: 10 scans a second, spread over the splits' sequences (`split_scans`), 5 scans in
    a row from each town. nuScenes: 2 key frames a second, spread evenly over the ten scenes of
    v1.0-mini, 10 from each town. A sequence drives through town after town; instance ids stay
    within a sequence, and its towns lie 2 km apart in its world.

    Args:
        dataset: one of LAYOUTS.
        root: a new folder, or one in which the same call was interrupted: it is finished; where
            that was finished already nothing is made again.
        num_scans: how many in all.
        seed: 0 or more; town k of the dataset has the seed `100003 * seed + k`.
        sensor: name of a sensor, a YAML file that describes one (see `read_sensor`), or "random"
            for another one in every town; None takes the dataset's own (hdl64e, hdl32e).
        scans_per_town: scans in a row from one town; None as said above.
        rate_hz: scans a second; None as said above. A low rate shows more of each town.
        held_out: whether objects come from the part of the range that other towns leave out.
        weather: kind of weather or fault, and its strength: see `parse_weather`. What is not said
            is drawn for each town. None for none.
        make_towns: gives the scans of towns, in order; None makes them with a process per core.

    Yields:
        The scan file of each scan once it is written.

    Raises:
        InputError: another dataset, sensor or weather, or `root` holds a dataset already.
    """
    from lidarpan.synthetic.sensors.choose import sensor_of_town

    if dataset not in LAYOUTS:
        raise InputError(f"no dataset {dataset!r} to simulate: wanted {', '.join(LAYOUTS)}")
    layout = LAYOUTS[dataset]
    if seed < 0:
        raise InputError(f"wanted a seed of 0 or more, got {seed}")
    if weather:
        parse_weather(weather, np.random.default_rng())
    choose = sensor_of_town(sensor or layout.sensor)
    plan, rate = layout.plan(num_scans), rate_hz or layout.rate_hz
    in_a_row = scans_per_town or layout.scans_per_town
    sizes = {
        sequence: [min(in_a_row, count - start) for start in range(0, count, in_a_row)]
        for sequence, count in plan.items()
    }
    asked = {"dataset": dataset, "scans": num_scans, "seed": seed, "sensor": str(sensor)}
    asked |= {"scans_per_town": in_a_row, "rate_hz": rate, "held_out": held_out}
    asked |= {"weather": weather} if weather else {}
    with _unfinished(Path(root), asked) as goes_on:
        done = layout.finished(root, plan) if goes_on else {}
        first, flat = seed * 100_003, []
        for sequence, counts in sizes.items():
            if sequence not in done:
                flat += [
                    (first + i, choose(first + i), n, rate, held_out, weather)
                    for i, n in enumerate(counts)
                ]
            first += len(counts)
        towns = (make_towns or _in_parallel)(flat)
        drives = {
            sequence: _drive(islice(towns, len(n)), rate)
            for sequence, n in sizes.items()
            if sequence not in done
        }
        yield from (file for sequence in plan if sequence in done for file in done[sequence])
        yield from layout.write(root, drives.items(), goes_on=goes_on)


@contextmanager
def _unfinished(root: Path, asked: dict[str, object]) -> Iterator[bool]:
    """Keep a note of what is being made until it is whole; whether an earlier run is gone on with.

    Raises:
        InputError: the folder holds the beginning of another dataset.
    """
    note, made = root / NOTE, root / MADE
    goes_on = note.is_file() or (made.is_file() and read_json_tree(made) == asked)
    if note.is_file() and read_json_tree(note) != asked:
        raise InputError(
            f"{root}: holds an unfinished dataset of other settings ({NOTE} says which): "
            "finish it with these, or choose another folder"
        )
    if not goes_on and not any((root / name).exists() for name in ("sequences", "samples")):
        with whole_file(note) as beside:
            beside.write_text(json.dumps(asked, indent=1) + "\n")
    yield goes_on
    with suppress(OSError):
        note.replace(made)


def end_with(parent: int) -> None:
    """End this process when its parent is gone, also where that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says what is to be said

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def split_scenes(num_scans: int) -> dict[str, int]:
    """Spread scans evenly over the scenes of v1.0-mini. Number of scans -> {scene: scans}."""
    share, rest = divmod(num_scans, len(MINI_SCENES))
    counts = {scene: share + (i < rest) for i, scene in enumerate(MINI_SCENES)}
    return {scene: count for scene, count in counts.items() if count}


@dataclass(frozen=True)
class Layout:
    """How a dataset's own scans come, and what writes them.

    Attributes:
        sensor: name of its sensor profile.
        rate_hz: scans a second.
        scans_per_town: scans in a row from one town.
        plan: number of scans -> {sequence: scans}.
        write: root and sequences -> the files written.
        finished: root and plan -> the scan files of the sequences that are whole.
    """

    sensor: str
    rate_hz: float
    scans_per_town: int
    plan: Callable[[int], dict[str, int]]
    write: Callable[..., Iterator[Path]]
    finished: Callable[[str | Path, dict[str, int]], dict[str, list[Path]]]


LAYOUTS = {
    KITTI: Layout("hdl64e", 10.0, 5, split_scans, write_semantickitti, finished_sequences),
    NUSCENES: Layout("hdl32e", 2.0, 10, split_scenes, write_nuscenes, lambda root, plan: {}),
}
"""Dataset -> how towns are written in its layout."""


def _drive(towns: Iterable[list[SimulatedScan]], rate_hz: float) -> Iterator[SimulatedScan]:
    """One sequence through town after town."""
    used = start = 0
    for k, scans in enumerate(towns):
        numbers: dict[int, int] = {}
        for scan in scans:
            for actor in np.unique(scan.instance[scan.instance > 0]).tolist():
                numbers.setdefault(actor, used + len(numbers) + 1)
            yield _moved(scan, k * TOWN_SPACING_M, start / rate_hz, numbers)
        used += len(numbers)
        start += len(scans)


def _in_parallel(towns: Sequence[Town]) -> Iterator[list[SimulatedScan]]:
    """The scans of each town in order, from a process per core; few towns are made right here."""
    workers = min(os.cpu_count() or 1, len(towns) // TOWNS_PER_PROCESS)
    if workers < 2:
        yield from (make_town(*town) for town in towns)
        return
    with ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=end_with, initargs=(os.getpid(),)
    ) as processes:
        waiting: deque[Future[list[SimulatedScan]]] = deque()
        for town in towns:
            waiting.append(processes.submit(make_town, *town))
            if len(waiting) > workers + 1:  # no more in memory than are being made
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def make_town(
    seed: int,
    sensor: Sensor,
    num_scans: int,
    rate_hz: float,
    held_out: bool,
    weather: str | None = None,
) -> list[SimulatedScan]:
    """The scans of one town."""
    from lidarpan.synthetic.simulate import simulate_sequence

    scans = simulate_sequence(seed, sensor, num_scans, rate_hz, held_out=held_out)
    return list(drive_in_weather(scans, weather, seed) if weather else scans)


def _moved(
    scan: SimulatedScan, x_m: float, time_s: float, numbers: dict[int, int]
) -> SimulatedScan:
    """The scan later, elsewhere, its actors renumbered; boxes of actors never hit are left out."""
    pose = np.eye(4) if scan.scan.world_T_sensor is None else scan.scan.world_T_sensor.copy()
    pose[0, 3] += x_m
    boxes = tuple(
        replace(
            box,
            instance=numbers[box.instance],
            center=(box.center[0] + x_m, box.center[1], box.center[2]),
        )
        for box in scan.boxes
        if box.instance in numbers
    )
    number_of = np.zeros(int(scan.instance.max(initial=0)) + 1, np.int32)
    for actor, number in numbers.items():
        if actor < len(number_of):
            number_of[actor] = number
    return replace(
        scan,
        scan=replace(scan.scan, world_T_sensor=pose),
        instance=number_of[scan.instance],
        time_s=scan.time_s + time_s,
        boxes=boxes,
    )
