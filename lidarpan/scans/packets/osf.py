"""Ouster's OSF recordings, by the library ouster-sdk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lidarpan.scans.numpy_files import one_line
from lidarpan.scans.optional import need
from lidarpan.scans.packets.ouster import OusterFrame, frame_fields, read_info
from lidarpan.scans.source import Frame, Pose, column_frame, frame_path
from lidarpan.structures import InputError

EXTRA = "ouster"


@dataclass
class OsfSource:
    """The scans of the first sensor of an OSF file.

    Attributes:
        path: the file.
        num_frames: None: the library's versions do not agree on how to ask.
        is_recording: always.

    Raises:
        InputError: no OSF file, damaged, or ouster-sdk is not installed.
    """

    path: Path
    num_frames: int | None = field(default=None, init=False)
    is_recording: bool = True

    def __post_init__(self) -> None:
        next(self._scans(), None)

    def _scans(self) -> Iterator[Any]:
        """The sensor's LidarScans; raises InputError where the file is damaged."""
        sdk = need("ouster.sdk", EXTRA)
        seen = 0
        try:
            for entry in sdk.open_source(str(self.path)):
                scans = entry if isinstance(entry, (list, tuple)) else _listed(entry)
                if scans and scans[0] is not None:
                    yield scans[0]
                    seen += 1
        except Exception as error:  # the library raises all kinds
            raise InputError(
                f"{self.path}: damaged behind {seen} whole scans ({one_line(error)})"
            ) from None

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """The frames from number `start` on."""
        for number, scan in enumerate(self._scans()):
            if number < start:
                continue
            path = frame_path(self.path, number)
            info = read_info(scan.sensor_info.to_json_string(), str(self.path))
            came = np.asarray(scan.packet_timestamp, np.uint64)
            columns = np.asarray(scan.timestamp, np.uint64)
            stamps = came[came > 0] if (came > 0).any() else columns[columns > 0]
            stamp_ns = int(stamps.min()) if len(stamps) else 0
            frame = OusterFrame(
                int(scan.frame_id),
                stamp_ns,
                np.array(scan.field("RANGE"), np.uint32),
                np.array(scan.field("REFLECTIVITY"), np.uint8),
                columns,
            )
            read = partial(frame_fields, frame, info)
            yield column_frame(path, read, stamp_ns or None, "", _pose(scan))


def _listed(entry: Any) -> list[Any]:
    """The scans of a set of them, or the one scan."""
    return [entry] if hasattr(entry, "packet_timestamp") else [entry[i] for i in range(len(entry))]


def _pose(scan: Any) -> Pose | None:
    """Pose of the middle column; None where every one is the identity, as without mapping."""
    poses = np.asarray(scan.pose, np.float64)
    if np.allclose(poses, np.eye(4)):
        return None
    pose: Pose = poses[len(poses) // 2]
    return pose
