"""Scans as they come -> panoptic labels with ids that last, for as long as the sensor runs.

What is late is not waited for: a scan no later than the last answered one is refused; after a gap
longer than the tracker's memory nothing that moved is known any more; where scans come faster than
they can be answered the newest is taken and the others are counted as dropped.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import BoolArray, PanopticLabels, Scan
from lidarpan.tracking.tracker import TrackedScan, Tracker

Pose = NDArray[np.float64]
Item = TypeVar("Item")

RESTART_S = 5.0
"""A clock that jumps back by more than this was set anew: the stream starts from nothing."""

LONGEST_GAP_S = 30.0
"""Nobody waits for a scan that is later by more than this: it is of another recording."""

KEPT_LATENCIES = 1000


class Predictor(Protocol):
    """Anything that gives a scan its panoptic labels, such as a PanopticPipeline."""

    def predict(self, scan: Scan) -> PanopticLabels:
        """Labels of all N points."""
        ...


@dataclass
class StreamCounts:
    """What became of the scans pushed so far.

    Attributes:
        answered: scans with labels.
        late: refused, since they were no later than the last answered one (late, doubled, out of
            order).
        empty: answered without points.
        restarts: times the clock jumped back by more than RESTART_S.
        dropped: scans that newer ones overtook before they could be answered.
    """

    answered: int = 0
    late: int = 0
    empty: int = 0
    restarts: int = 0
    dropped: int = 0


class PanopticStream:
    """Answers one scan after the other; memory stays the same however long it runs.

    Rules: a scan whose time is not after the last answered one's is late and answered by None;
    one that is more than RESTART_S before it says that the clock was set anew, and the tracker
    starts from nothing; an empty scan is answered by empty labels and keeps what is known; after a
    gap things at rest are still known, things that moved for the tracker's memory. Without a pose
    the world is taken to move with the sensor. Ids are never used twice.

    Args:
        predictor: gives labels; None takes those pushed along with each scan.
        tracker: gives ids.

    Example:
        >>> stream = PanopticStream(PanopticPipeline.from_weights(), Tracker(...))  # doctest: +SKIP
        >>> tracked = stream.push(scan, time_s=0.1)  # doctest: +SKIP
    """

    def __init__(self, predictor: Predictor | None, tracker: Tracker) -> None:
        self.predictor = predictor
        self.tracker = tracker
        self.counts = StreamCounts()

    def push(
        self,
        scan: Scan,
        time_s: float,
        pose: Pose | None = None,
        labels: PanopticLabels | None = None,
    ) -> TrackedScan | None:
        """Answer a scan, or None where it is late.

        Args:
            scan: points in the sensor frame.
            time_s: when it was taken.
            pose: (4, 4) world_T_sensor; None takes the scan's own.
            labels: of its points, where somebody else made them.
        """
        if not self.is_due(time_s):
            self.counts.late += 1
            return None
        if labels is None:
            labels = self.label(scan)
        return self.follow(scan, labels, time_s, pose)

    def is_due(self, time_s: float) -> bool:
        """Whether a scan of this time would be answered; a clock set anew is taken note of."""
        if time_s < self.tracker.time_s - RESTART_S:
            self.tracker.restart()
            self.counts.restarts += 1
        return time_s > self.tracker.time_s

    def label(self, scan: Scan) -> PanopticLabels:
        """Labels of a single scan."""
        if not scan.num_points or self.predictor is None:
            return PanopticLabels(
                np.zeros(scan.num_points, np.uint8), np.zeros(scan.num_points, np.int32)
            )
        return self.predictor.predict(scan)

    def follow(
        self, scan: Scan, labels: PanopticLabels, time_s: float, pose: Pose | None = None
    ) -> TrackedScan:
        """Give labels of a scan that is due their lasting ids."""
        self.counts.empty += not scan.num_points
        self.counts.answered += 1
        where = scan.world_T_sensor if pose is None else pose
        return self.tracker.update(scan.points, labels, time_s, where)


@dataclass(frozen=True)
class Arrival:
    """A scan that came.

    Attributes:
        name: what its labels are named by.
        scan: its N usable points.
        time_s: when it was taken.
        came_s: when it was whole, monotonic.
        valid: (M,) bool over the points of its file, N of them true; None where all are usable.
    """

    name: str
    scan: Scan
    time_s: float
    came_s: float
    valid: BoolArray | None = None


@dataclass(frozen=True)
class Answer:
    """A scan that was answered.

    Attributes:
        arrival: the scan.
        tracked: its labels.
        latency_s: from when the scan was whole to when its labels were there.
    """

    arrival: Arrival
    tracked: TrackedScan
    latency_s: float


@dataclass
class LiveStream:
    """Runs a PanopticStream beside its source: reading, network and tracking overlap.

    One thread reads, one runs the network, the caller's tracks. Between them there is room for one
    scan: where it is taken, the newer scan replaces it and the drop is counted. With `waits`
    nothing is dropped, the source waits instead.

    Attributes:
        stream: answers the scans.
        waits: whether the source waits for the answers.
        clock: monotonic seconds.
    """

    stream: PanopticStream
    waits: bool = False
    clock: Callable[[], float] = time.monotonic
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_LATENCIES))

    def run(self, arrivals: Iterable[Arrival]) -> Iterator[Answer]:
        """Answer the arrivals; an exception of any thread is raised here."""
        read: _Slot[Arrival] = _Slot(self.waits)
        done: _Slot[tuple[Arrival, PanopticLabels]] = _Slot(waits=True)
        threads = [
            threading.Thread(target=_guarded, args=(self._read, arrivals, read), daemon=True),
            threading.Thread(target=_guarded, args=(self._label, read, done), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            while (item := done.take()) is not None:
                arrival, labels = item
                if not self.stream.is_due(arrival.time_s):
                    self.stream.counts.late += 1
                    continue
                tracked = self.stream.follow(arrival.scan, labels, arrival.time_s)
                latency = self.clock() - arrival.came_s
                self.latencies_s.append(latency)
                yield Answer(arrival, tracked, latency)
        finally:
            read.close()
            done.close()
            self.stream.counts.dropped += read.dropped

    def _read(self, arrivals: Iterable[Arrival], read: _Slot[Arrival]) -> None:
        for arrival in arrivals:
            if not read.put(arrival):
                return
        read.end()

    def _label(self, read: _Slot[Arrival], done: _Slot[tuple[Arrival, PanopticLabels]]) -> None:
        while (arrival := read.take()) is not None:
            if not done.put((arrival, self.stream.label(arrival.scan))):
                return
        done.end()

    def percentiles_s(self) -> tuple[float, float, float]:
        """Latency of the latest answers: the median, of 95 and of 99 in 100; nan without any."""
        if not self.latencies_s:
            return (np.nan, np.nan, np.nan)
        half, most, nearly_all = np.percentile(np.array(self.latencies_s), (50, 95, 99)).tolist()
        return half, most, nearly_all


def paced(
    arrivals: Iterable[Arrival], clock: Callable[[], float], rate: float
) -> Iterator[Arrival]:
    """The arrivals at the sensor's pace: each when its time has come, `rate` times as fast.

    After a jump of the sensor's clock, back by more than RESTART_S or ahead by more than
    LONGEST_GAP_S, the next scan comes at once.
    """
    start, last_s = (0.0, 0.0), -np.inf
    for arrival in arrivals:
        now = clock()
        if not -RESTART_S <= arrival.time_s - last_s <= LONGEST_GAP_S:
            start = now, arrival.time_s
        last_s = arrival.time_s
        due = start[0] + (arrival.time_s - start[1]) / rate
        if due > now:
            time.sleep(due - now)
        yield replace(arrival, came_s=max(due, start[0]))


class _Slot(Generic[Item]):
    """Room for one item between two threads; a newer one replaces it unless it waits."""

    def __init__(self, waits: bool) -> None:
        self.dropped = 0
        self._waits = waits
        self._item: Item | None = None
        self._error: BaseException | None = None
        self._is_over = self._is_closed = False
        self._changed = threading.Condition()

    def put(self, item: Item) -> bool:
        """Put an item; False where nobody takes any more."""
        with self._changed:
            while self._waits and self._item is not None and not self._is_closed:
                self._changed.wait()
            self.dropped += self._item is not None
            self._item = item
            self._changed.notify_all()
            return not self._is_closed

    def take(self) -> Item | None:
        """Take the item once there is one; None at the end. Raises what the other thread raised."""
        with self._changed:
            while self._item is None and not self._is_over and not self._is_closed:
                self._changed.wait()
            item, self._item = self._item, None
            self._changed.notify_all()
            if item is None and self._error is not None:
                raise self._error
            return item

    def end(self, error: BaseException | None = None) -> None:
        """Say that no item will come."""
        with self._changed:
            self._is_over, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Say that no item will be taken."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


def _guarded(step: Callable[..., None], source: Any, into: _Slot[Any]) -> None:
    """Run a thread's step; what it raises is raised where its items are taken."""
    try:
        step(source, into)
    except BaseException as error:
        into.end(error)
