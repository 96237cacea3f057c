"""Ouster's OSF recordings, by the library ouster-sdk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lidarpan.optional import need
from lidarpan.scans.numpy_files import one_line
from lidarpan.scans.packets.ouster import OusterFrame, frame_fields
from lidarpan.scans.packets.ouster_info import read_info
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
        if next(self._scans(), None) is None:
            raise InputError(f"{self.path}: no points: wanted scans, got none: cut off?")

    def _scans(self) -> Iterator[tuple[Any, Any]]:
        """The sensor's scans, each with its metadata; raises InputError where the file breaks."""
        sdk = need("ouster.sdk", EXTRA)
        seen = 0
        try:
            source = sdk.open_source(str(self.path))
            for entry in source:
                scans = _listed(entry)
                if scans and scans[0] is not None:
                    yield scans[0], _metadata(source, scans[0])
                    seen += 1
        except InputError:
            raise
        except Exception as error:  # the library raises all kinds
            raise InputError(
                f"{self.path}: damaged behind {seen} whole scans ({one_line(error)})"
            ) from None

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """The frames from number `start` on."""
        for number, (scan, metadata) in enumerate(self._scans()):
            if number < start:
                continue
            path = frame_path(self.path, number)
            info = read_info(metadata.to_json_string(), str(self.path))
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
    """The scans of all sensors at one time; versions of the library give them differently."""
    if hasattr(entry, "packet_timestamp"):
        return [entry]
    return [entry[i] for i in range(len(entry))]


def _metadata(source: Any, scan: Any) -> Any:
    """The sensor's metadata, which versions of the library keep in different places."""
    if hasattr(scan, "sensor_info"):
        return scan.sensor_info
    known = source.metadata
    return known[0] if isinstance(known, list) else known


def _pose(scan: Any) -> Pose | None:
    """Pose of the middle column; None where every one is the identity, as without mapping."""
    given = scan.body_to_world if hasattr(scan, "body_to_world") else scan.pose
    poses = np.asarray(given, np.float64)
    if np.allclose(poses, np.eye(4)):
        return None
    pose: Pose = poses[len(poses) // 2]
    return pose
