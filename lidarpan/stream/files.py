"""Sources of scans at the sensor's pace -> labels written as they are made."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.datasets.lasting_labels import read_for_tracking
from lidarpan.datasets.poses import find_poses, has_poses
from lidarpan.datasets.predictions import find_prediction, prediction_path, write_prediction
from lidarpan.datasets.times import USUAL_STEP_S, find_times
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.files import empty_frame
from lidarpan.scans.source import FileSource, ScanSource
from lidarpan.stream.live import Answer, Arrival
from lidarpan.structures import InputError, PanopticLabels, Scan

HEADER = struct.Struct("<4sId")
MAGIC = b"LPS1"
"""Of a scan on standard input: LPS1, number of points (uint32), time in seconds (float64), then
x y z intensity of each point (float32), all little-endian."""


@dataclass
class StreamWriter:
    """Writes the answers of a stream as predictions of their scans.

    Attributes:
        out: folder for the labels.
        file_format: as `write_prediction` takes it.
        classes: of the labels.
    """

    out: Path
    file_format: str
    classes: ClassTable

    def write(self, answer: Answer) -> Path:
        """Write one answer; InputError where it cannot be written."""
        name, scan = answer.arrival.name, answer.arrival.scan
        path = prediction_path(self.out, Path(name), self.file_format, self.classes)
        valid = answer.arrival.valid
        loaded = LoadedScan(scan, np.ones(scan.num_points, np.bool_) if valid is None else valid)
        return write_prediction(path, answer.tracked.labels, loaded, self.classes, self.file_format)


def arrivals_of(sources: Sequence[ScanSource]) -> Iterator[Arrival]:
    """Every scan of the sources; those whose times nobody knows come USUAL_STEP_S apart."""
    for source in sources:
        yield from _of_source(source)


def _of_source(source: ScanSource) -> Iterator[Arrival]:
    times = poses = None
    if isinstance(source, FileSource):
        times = find_times(source.files)
        poses = find_poses(source.files) if has_poses(source.files) else None
    for k, frame in enumerate(source.frames()):
        loaded = empty_frame(frame.path) or frame.load()
        scan = loaded.scan
        if poses is not None and scan.world_T_sensor is None:
            scan = replace(scan, world_T_sensor=poses[k])
        stamp = None if frame.stamp_ns is None else frame.stamp_ns * 1e-9
        if times is not None:
            stamp = float(times[k])
        when = USUAL_STEP_S * k if stamp is None else stamp
        yield Arrival(str(frame.path), scan, when, time.monotonic(), loaded.valid)


def truth_of(truth: Path, classes: ClassTable, arrival: Arrival) -> PanopticLabels:
    """The true labels of a scan, from the folder `truth`, of its usable points.

    Raises:
        InputError: there are none, or of another number of points.
    """
    valid = arrival.valid
    if valid is None:
        valid = np.ones(arrival.scan.num_points, np.bool_)
    file = find_prediction(truth, Path(arrival.name))
    return read_for_tracking(file, classes, LoadedScan(arrival.scan, valid))


def arrivals_of_pipe(pipe: BinaryIO) -> Iterator[Arrival]:
    """Scans from a pipe, each with a HEADER.

    Raises:
        InputError: something else comes, or the pipe ends within a scan.
    """
    number = 0
    while head := pipe.read(HEADER.size):
        if len(head) < HEADER.size or head[:4] != MAGIC:
            raise InputError(
                f"standard input: wanted scan {number} with the header {MAGIC.decode()}, number of "
                f"points (uint32), seconds (float64), got {head[:8]!r}"
            )
        _, count, seconds = HEADER.unpack(head)
        content = pipe.read(16 * count)
        if len(content) < 16 * count:
            raise InputError(
                f"standard input: wanted {count} points of scan {number}, it ends after "
                f"{len(content) // 16}"
            )
        rows = np.frombuffer(content, "<f4").reshape(-1, 4)
        scan = Scan(np.ascontiguousarray(rows[:, :3]), np.clip(rows[:, 3], 0, 1))
        yield Arrival(f"{number:06d}.bin", scan, seconds, time.monotonic())
        number += 1
