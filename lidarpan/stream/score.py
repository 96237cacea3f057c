"""What a stream answered, scored against the world at the time the answers came.

An answer tells of a world that has gone on since. As by Li et al. (Towards Streaming Perception,
ECCV 2020), at the end of every scan the newest answer that is there by then is scored against that
scan's truth, so that slow answers and dropped scans cost what they cost whoever drives by them.
Each point takes the label of the nearest point of the answer, whose moving objects are moved on by
their velocity.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from lidarpan.classes import ClassTable
from lidarpan.metrics import PanopticQuality, PanopticScores
from lidarpan.stream.live import Answer, Arrival
from lidarpan.structures import PanopticLabels, Scan


@dataclass(frozen=True)
class StreamScores:
    """What the answers were worth.

    Attributes:
        at_once: of the answered scans, each against its own truth.
        late: of all scans from the first answer on, each against the newest answer there was.
        num_scans: how many those are.
        age_s: from the scan that an answer was of to the scan it was used for, mean, sensor's time.
    """

    at_once: PanopticScores
    late: PanopticScores
    num_scans: int
    age_s: float


@dataclass(frozen=True)
class _Kept:
    came_s: float
    instance: bytes
    semantic: bytes
    ids: NDArray[np.int32]
    velocity: NDArray[np.float64]


@dataclass(frozen=True)
class Known:
    """An answered scan of N points.

    Attributes:
        time_s: of the scan, sensor's time.
        came_s: when its answer came, sensor's time.
        world: (N, 3) m, its points.
        labels: the answer, of all N points.
        velocity: (N, 2) m/s, of the object of each point; 0 where it rests.
    """

    time_s: float
    came_s: float
    world: NDArray[np.float64]
    labels: PanopticLabels
    velocity: NDArray[np.float64]


@dataclass
class StreamRecord:
    """Remembers what was answered when, a few tens of kilobytes a scan.

    Attributes:
        pace: seconds of the sensor in a second of the clock.
    """

    pace: float
    _answers: dict[str, _Kept] = field(default_factory=dict)

    def add(self, answer: Answer) -> None:
        """Remember an answer."""
        labels, objects = answer.tracked.labels, answer.tracked.objects
        self._answers[answer.arrival.name] = _Kept(
            answer.arrival.time_s + answer.latency_s * self.pace,
            zlib.compress(labels.instance.tobytes(), 1),
            zlib.compress(labels.semantic.tobytes(), 1),
            objects.id[objects.is_moving],
            objects.velocity[objects.is_moving],
        )

    def score(
        self,
        arrivals: Iterable[Arrival],
        truth_of: Callable[[Arrival], PanopticLabels],
        classes: ClassTable,
    ) -> StreamScores | None:
        """Score against the truth of all scans of the source, in order; None where none was used.

        Args:
            arrivals: the scans again, dropped ones too.
            truth_of: true labels of one.
            classes: of the labels.
        """
        rules = (classes.num_classes, classes.things)
        at_once = PanopticQuality(*rules, min_points=classes.min_points)
        late = PanopticQuality(*rules, min_points=classes.min_points)
        known: list[Known] = []
        ages: list[float] = []
        for arrival in arrivals:
            truth = truth_of(arrival)
            kept = self._answers.get(arrival.name)
            if kept is not None:
                known.append(_known(arrival, kept))
                own = known[-1].labels
                at_once.update(own.semantic, own.instance, truth.semantic, truth.instance)
            there = [k for k, one in enumerate(known) if one.came_s <= arrival.time_s]
            if there:
                known = known[there[-1] :]
                said = carried(known[0], arrival.scan, arrival.time_s)
                late.update(said.semantic, said.instance, truth.semantic, truth.instance)
                ages.append(arrival.time_s - known[0].time_s)
        if not ages:
            return None
        return StreamScores(at_once.compute(), late.compute(), len(ages), float(np.mean(ages)))


def carried(known: Known, scan: Scan, time_s: float) -> PanopticLabels:
    """Labels of an answered scan on the M points of a later one.

    Args:
        known: the answered scan.
        scan: the later one.
        time_s: when that is, sensor's time.

    Returns:
        Labels of M points, void where the answered scan has no point at all.
    """
    ahead = known.world.copy()
    ahead[:, :2] += known.velocity * (time_s - known.time_s)
    if not len(ahead):
        return PanopticLabels(
            np.zeros(scan.num_points, np.uint8), np.zeros(scan.num_points, np.int32)
        )
    _, nearest = cKDTree(ahead).query(_in_world(scan))
    return PanopticLabels(known.labels.semantic[nearest], known.labels.instance[nearest])


def _known(arrival: Arrival, kept: _Kept) -> Known:
    instance = np.frombuffer(zlib.decompress(kept.instance), np.int32)
    semantic = np.frombuffer(zlib.decompress(kept.semantic), np.uint8)
    velocity = np.zeros((int(instance.max(initial=0)) + 1, 2))
    velocity[kept.ids] = kept.velocity
    labels = PanopticLabels(semantic, instance)
    world = _in_world(arrival.scan)
    return Known(arrival.time_s, kept.came_s, world, labels, velocity[instance])


def _in_world(scan: Scan) -> NDArray[np.float64]:
    pose = np.eye(4) if scan.world_T_sensor is None else scan.world_T_sensor
    world: NDArray[np.float64] = scan.points @ pose[:3, :3].T + pose[:3, 3]
    return world
