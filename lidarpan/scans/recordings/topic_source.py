"""The scans of one topic of a recording, or of several merged, with their times and poses."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lidarpan.scans.fields import Fields, FileFields, LoadedScan, intensity_values
from lidarpan.scans.intensity import IntensityScale, choose_scale, contradicts
from lidarpan.scans.merge import Part, merge
from lidarpan.scans.recordings.clouds import Cloud, read_message
from lidarpan.scans.recordings.messages import Recording, RosDecoder
from lidarpan.scans.recordings.poses import plain_frame, read_tree
from lidarpan.scans.recordings.transforms import Matrix, TransformTree
from lidarpan.scans.source import Frame, Pose, frame_path
from lidarpan.structures import InputError

MAX_APART_NS = 60_000_000
"""Scans of two sensors further apart than this are not merged, nanoseconds."""

_MAX_WAITING = 32


@dataclass
class TopicSource:
    """Scans of one topic; those of further topics are moved into the first one's frame.

    Attributes:
        recording: the file or folder.
        topic_names: the topics; a frame is a scan of the first with the nearest of each other.
        frame_id: take only the messages of this frame, where several sensors share a topic.
        is_recording: always.
    """

    recording: Recording
    topic_names: Sequence[str]
    frame_id: str | None = None
    is_recording: bool = True

    def __post_init__(self) -> None:
        self._decoder = RosDecoder()
        self._first: dict[str, Cloud] = {}
        self._scales: dict[str, IntensityScale] = {}

    @property
    def path(self) -> Path:
        """Of the recording."""
        return self.recording.path

    @property
    def num_frames(self) -> int | None:
        """Messages of the first topic; None where the recording does not count them."""
        if self.frame_id is not None:
            return None
        return self.recording.topics[self.topic_names[0]].num_messages

    @cached_property
    def _transforms(self) -> tuple[TransformTree, tuple[str, ...]]:
        return read_tree(self.recording, self._decoder)

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """The frames from number `start` on.

        Raises:
            InputError: the recording is cut off, a message is damaged, or a second sensor writes
                to the topic.
        """
        last_ns: int | None = None
        groups = self._groups() if len(self.topic_names) > 1 else self._single()
        for number, group in enumerate(groups):
            first = group[0]
            said, last_ns = _check_order(last_ns, first, number), first.stamp_ns
            if number < start:
                continue
            if number == start:
                said += self._transforms[1]
            yield self._frame(number, group, said)

    def _frame(self, number: int, group: list[_Part], said: tuple[str, ...]) -> Frame:
        first = group[0]
        path = frame_path(self.path, number)
        if first.cloud is None:
            error = first.error
            return Frame(path, lambda _: _fail(error), first.stamp_ns, "", None, said)
        missing = set(self.topic_names) - {part.topic for part in group}
        if missing:
            apart = f"no scan of {', '.join(sorted(missing))} within {MAX_APART_NS / 1e6:.0f} ms"
            said += (apart,)
        pose, missed = self._pose(first.cloud)
        clouds = [(part.topic, part.cloud) for part in group if part.cloud]
        moved = [self._between(first.cloud, cloud) for _, cloud in clouds[1:]]
        begin_ns, origin = first.cloud.stamp_ns, str(path)

        def decode(height_m: float) -> LoadedScan:
            parts = []
            for (topic, cloud), first_T in zip(clouds, [np.eye(4), *moved], strict=True):
                fields, later_s = cloud.fields(), (cloud.stamp_ns - begin_ns) * 1e-9
                parts.append(Part(fields, origin, first_T, self._scale(topic, fields), later_s))
            return merge(parts, height_m)

        stamp_ns, frame_id = first.cloud.stamp_ns, first.cloud.frame_id
        columns = first.cloud.fields if len(clouds) == 1 else None
        return Frame(path, decode, stamp_ns, frame_id, pose, said + missed, columns)

    def _scale(self, topic: str, fields: Fields | FileFields) -> IntensityScale | None:
        """What the intensities of a scan are divided by: the first scan that has any decides.

        A scan whose values are plainly of another kind (bytes among fractions) keeps its own.
        """
        own = _scale_of(fields)
        if own is None:
            return None
        if topic not in self._scales:
            try:
                first = _scale_of(self._first[topic].fields())
            except InputError:  # said when it is that scan's turn
                first = None
            self._scales[topic] = first or own
        scale = self._scales[topic]
        return own if contradicts(scale, own) else scale

    def _pose(self, cloud: Cloud) -> tuple[Pose | None, tuple[str, ...]]:
        """world_T_points of a cloud, and what there is to say about it."""
        tree = self._transforms[0]
        frame, inner = plain_frame(cloud.frame_id), cloud.frame_T_points
        world = tree.world_of(frame)
        said: tuple[str, ...] = ()
        if world is None:
            moving = tree.children()
            if inner is None and len(moving) == 1:
                world, frame = tree.path(moving[0])[-1], moving[0]
                said = (f"no transform from {frame} to {cloud.frame_id}: taken as the same frame",)
            elif inner is None:
                return None, ()
            else:
                return inner, ()
        pose = tree.lookup(world, frame, cloud.stamp_ns)
        if pose is None:
            return None, (f"no pose of {frame} in {world} at the time of this scan",)
        return (pose if inner is None else pose @ inner), said

    def _between(self, first: Cloud, other: Cloud) -> Matrix:
        """Transform of another sensor's points into the first one's."""
        tree = self._transforms[0]
        target, source = plain_frame(first.frame_id), plain_frame(other.frame_id)
        found = np.eye(4) if target == source else None
        if tree.world_of(target) is not None:  # the vehicle moved between the two scans
            found = tree.between(target, first.stamp_ns, source, other.stamp_ns)
        if found is None:
            found = tree.lookup(target, source, first.stamp_ns)
        if found is None:
            raise InputError(
                f"{self.path}: wanted a transform from {source} to {target} to merge "
                f"{', '.join(self.topic_names)}, got none in /tf_static or /tf"
            )
        if other.frame_T_points is not None:
            found = found @ other.frame_T_points
        if first.frame_T_points is not None:
            found = np.linalg.inv(first.frame_T_points) @ found
        return found

    def _parts(self) -> Iterator[_Part]:
        """The scans of all topics in order, those of other frames left out."""
        counts = dict.fromkeys(self.topic_names, 0)
        seen: dict[str, str] = {}
        for message in self.recording.messages(self.topic_names):
            name = message.topic.name
            origin = f"{self.path} {name} message {counts[name]}"
            counts[name] += 1
            try:
                cloud = read_message(message, self._decoder, origin)
            except InputError as error:
                yield _Part(name, message.log_ns, None, str(error))
                continue
            if self.frame_id is not None and cloud.frame_id != self.frame_id:
                continue
            self._first.setdefault(name, cloud)
            known = seen.setdefault(name, cloud.frame_id)
            if known != cloud.frame_id:
                raise InputError(
                    f"{origin}: two sensors on one topic, {known!r} and {cloud.frame_id!r}: "
                    f"choose one with --frame {known} or --frame {cloud.frame_id}"
                )
            yield _Part(name, cloud.stamp_ns, cloud)

    def _single(self) -> Iterator[list[_Part]]:
        for part in self._parts():
            yield [part]

    def _groups(self) -> Iterator[list[_Part]]:
        """Each scan of the first topic with the nearest in time of every other topic."""
        first, *others = self.topic_names
        waiting: deque[_Part] = deque()
        recent: dict[str, deque[_Part]] = {name: deque(maxlen=_MAX_WAITING) for name in others}
        for part in self._parts():
            if part.topic == first:
                waiting.append(part)
            elif part.cloud is not None:
                recent[part.topic].append(part)
            while waiting and (
                len(waiting) > _MAX_WAITING // 2
                or all(
                    seen and seen[-1].stamp_ns >= waiting[0].stamp_ns for seen in recent.values()
                )
            ):
                yield _nearest(waiting.popleft(), recent)
        while waiting:
            yield _nearest(waiting.popleft(), recent)


@dataclass(frozen=True)
class _Part:
    """A scan of one topic, or why its message is none."""

    topic: str
    stamp_ns: int
    cloud: Cloud | None
    error: str = ""


def _check_order(last_ns: int | None, part: _Part, number: int) -> tuple[str, ...]:
    """What there is to say of a scan whose stamp is before the last one's."""
    if last_ns is None or part.stamp_ns >= last_ns:
        return ()
    back = (last_ns - part.stamp_ns) * 1e-9
    return (f"out of order: frame {number} was taken {back:.3f} s before the one before it",)


def _nearest(first: _Part, recent: dict[str, deque[_Part]]) -> list[_Part]:
    group = [first]
    for seen in recent.values():
        best = min(seen, key=lambda part: abs(part.stamp_ns - first.stamp_ns), default=None)
        if best is not None and abs(best.stamp_ns - first.stamp_ns) <= MAX_APART_NS:
            group.append(best)
    return group


def _scale_of(fields: Fields | FileFields) -> IntensityScale | None:
    file = fields if isinstance(fields, FileFields) else FileFields(fields)
    found = intensity_values(file)
    return file.scale or (None if found is None else choose_scale([found[1]]))


def _fail(error: str) -> LoadedScan:
    raise InputError(error)
