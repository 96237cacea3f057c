"""What a file, folder or recording holds, before anything is done with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.beams import find_beams
from lidarpan.scans.fields import FileFields, LoadedScan
from lidarpan.scans.inspection import fit_ground
from lidarpan.scans.packets.source import PacketSource
from lidarpan.scans.recordings.clouds import PACKET_TYPES, holds_points
from lidarpan.scans.recordings.messages import Recording, Topic
from lidarpan.scans.recordings.poses import pose_topics
from lidarpan.scans.recordings.topic_source import TopicSource
from lidarpan.scans.source import Frame, ScanSource
from lidarpan.scans.sources import (
    file_source,
    is_messages,
    open_messages,
    open_recording,
    split_paths,
)
from lidarpan.structures import InputError, Scan

_SENSORS = {
    "VLP-16": (16, -15.0, 15.0),
    "XT16": (16, -15.0, 15.0),
    "HDL-32E": (32, -30.67, 10.67),
    "VLP-32C": (32, -25.0, 15.0),
    "XT32": (32, -16.0, 15.0),
    "OS0-32": (32, -45.0, 45.0),
    "OS1-32": (32, -22.5, 22.5),
    "Pandar40P": (40, -25.0, 15.0),
    "HDL-64E": (64, -24.9, 2.0),
    "Pandar64": (64, -25.0, 15.0),
    "QT64": (64, -52.0, 52.0),
    "OS0-64": (64, -45.0, 45.0),
    "OS1-64": (64, -22.5, 22.5),
    "VLS-128": (128, -25.0, 15.0),
    "OT128": (128, -25.0, 15.0),
    "OS0-128": (128, -45.0, 45.0),
    "OS1-128": (128, -22.5, 22.5),
}
"""Beams, lowest and highest elevation in degrees, from the makers' data sheets."""

_BEAM_TOLERANCE_DEG = 1.5
_BEYOND_M = 2.0
_CROWD_DEG = 0.05


@dataclass(frozen=True)
class Sample:
    """One frame, looked at.

    Attributes:
        name: of the frame.
        num_points: M, as written.
        num_usable: N that are returns.
        fields: name and type of each column; empty where several sensors are merged.
        range_m: half, 98 % and all of the points lie within these distances, metres.
        elevation_deg: 1st and 99th percentile of the points' elevations.
        num_beams: by the rings, or None.
        height_m: of the sensor above a plane through the ground, or None where none is seen.
        sensor: names of sensors with so many beams and such a view, most likely first.
        stamp_ns: when it was taken, or None.
        frame_id: of coordinates.
        has_pose: whether the source knows where the sensor was.
        warnings: what looks wrong with it.
    """

    name: str
    num_points: int
    num_usable: int
    fields: tuple[str, ...]
    range_m: tuple[float, float, float]
    elevation_deg: tuple[float, float]
    num_beams: int | None
    height_m: float | None
    sensor: tuple[str, ...]
    stamp_ns: int | None
    frame_id: str
    has_pose: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """What a source holds.

    Attributes:
        path: the folder or recording.
        kind: what it is, in words.
        num_frames: or None where only reading to the end tells.
        topics: of a recording of messages.
        points: name of the topic, or what the frames are, and its first frame or what is wrong.
    """

    path: Path
    kind: str
    num_frames: int | None
    topics: tuple[Topic, ...]
    points: tuple[tuple[str, Sample | str], ...]


def describe(paths: Sequence[str | Path]) -> list[Contents]:
    """Look into files, folders and recordings: topics, and the first frame of each that has points.

    Raises:
        InputError: a path names nothing, or a recording cannot be opened.
    """
    scans, recordings = split_paths(paths)
    found = [_of_source(file_source(scans))] if scans else []
    if len(scans) == 1:
        found = [replace(found[0], path=scans[0])]
    for path in recordings:
        if is_messages(path):
            found.append(_of_messages(path, open_messages(path)))
        else:
            found.append(_of_source(open_recording(path)))
    return found


def _of_messages(path: Path, recording: Recording) -> Contents:
    topics = tuple(sorted(recording.topics.values(), key=lambda topic: topic.name))
    clouds = [topic for topic in topics if holds_points(topic) and topic.num_messages != 0]
    rows: list[tuple[str, Sample | str]] = []
    for topic in clouds:
        if topic.type in PACKET_TYPES:
            rows.append((topic.name, "packets of an Ouster sensor: many make a frame"))
        else:
            source = TopicSource(recording, [topic.name])
            rows.append((topic.name, _first_sample(source)))
    said = "poses in " + ", ".join(t.name for t in pose_topics(recording))
    kind = "recording of messages" + (f", {said}" if pose_topics(recording) else ", no poses")
    frames = clouds[0].num_messages if len(clouds) == 1 else None
    return Contents(path, kind, frames, topics, tuple(rows))


def _of_source(source: ScanSource) -> Contents:
    kind = "recording" if source.is_recording else "scan files"
    if isinstance(source, PacketSource):
        kind = f"packets of {source.sensor}"
    row = ("frames", _first_sample(source))
    return Contents(source.path, kind, source.num_frames, (), (row,))


def _first_sample(source: ScanSource) -> Sample | str:
    """The first frame, or why there is none."""
    try:
        for frame in source.frames():
            return sample_of(frame)
    except InputError as error:
        return str(error)
    return "no frames"


def sample_of(frame: Frame) -> Sample:
    """Look at a frame; raises InputError where it cannot be decoded."""
    given = {} if frame.columns is None else frame.columns()
    columns = given.fields if isinstance(given, FileFields) else given
    loaded: LoadedScan = frame.load()
    scan = loaded.scan
    distance = np.linalg.norm(scan.points, axis=1)
    half, most, far = (float(v) for v in np.percentile(distance, (50, 98, 100)))
    elevation = _elevation(scan)
    low, high = (float(v) for v in np.percentile(elevation, (1, 99)))
    ground = fit_ground(scan.points)
    beams = count_beams(scan)
    return Sample(
        frame.path.name,
        loaded.num_file_points,
        scan.num_points,
        tuple(f"{name} {column.dtype.str[1:]}" for name, column in columns.items()),
        (half, most, far),
        (low, high),
        beams,
        None if ground is None else -ground[2],
        guess_sensor(beams, *np.percentile(elevation, (0.5, 99.5)).tolist())[:2],
        frame.stamp_ns,
        frame.frame_id,
        frame.world_T_sensor is not None,
        loaded.warnings,
    )


def count_beams(scan: Scan) -> int | None:
    """Beams of the sensor: by rings or the order of the points, else where elevations crowd.

    Elevations crowd clearly only where all beams meet in one point: None where less than nine
    tenths of the points lie at the crowded ones.
    """
    beam = find_beams(scan)
    if beam is not None:
        return int(beam.max()) + 1
    place = ((_elevation(scan) + 90) / _CROWD_DEG).astype(np.int64)
    counts = np.bincount(place, minlength=int(180 / _CROWD_DEG) + 1)
    crowded = counts > len(place) / 2000
    begins = int((crowded & ~np.r_[False, crowded[:-1]]).sum())
    covered = counts[crowded].sum() / max(len(place), 1)
    is_clear = covered > 0.9 and crowded.sum() < 3 * begins
    return begins if is_clear and begins > 4 else None


def guess_sensor(num_beams: int | None, low_deg: float, high_deg: float) -> tuple[str, ...]:
    """Names of the sensors that may have seen so many beams between two elevations.

    Some beams may have hit nothing: a sensor may have up to a sixth more than were seen, and its
    view must hold what was seen. Fewest beams missing first, then the view that fits best.
    """
    fits = {}
    for name, (beams, low, high) in _SENSORS.items():
        holds = low - _BEAM_TOLERANCE_DEG <= low_deg and high_deg <= high + _BEAM_TOLERANCE_DEG
        if num_beams is not None and num_beams <= beams <= num_beams * 7 / 6 and holds:
            fits[name] = (beams - num_beams, abs(low - low_deg) + abs(high - high_deg))
    return tuple(sorted(fits, key=lambda name: fits[name]))


def _elevation(scan: Scan) -> NDArray[Any]:
    """Elevations of the points beyond the vehicle, degrees."""
    distance = np.linalg.norm(scan.points, axis=1)
    beyond = distance > _BEYOND_M
    if beyond.mean() < 0.1:  # a small room
        beyond = distance > 0
    sines = scan.points[beyond, 2] / distance[beyond]
    elevation: NDArray[Any] = np.degrees(np.arcsin(sines))
    return elevation
