"""Drives -> labels with lasting ids, each drive a part of the job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lidarpan.datasets.track_lists import write_tracks
from lidarpan.fleet.cluster import Cluster, Part
from lidarpan.structures import InputError
from lidarpan.track_files import Drive, Summary, Tracking, track_drive


@dataclass(frozen=True)
class TrackedDrive:
    """What became of one drive.

    Attributes:
        name: of the drive.
        summary: its objects and poses.
        error: why it could not be tracked, or None.
    """

    name: str
    summary: Summary
    error: str | None = None


def track_on_cluster(
    cluster: Cluster, drives: Sequence[Drive], out: Path, tracking: Tracking, summary: Summary
) -> Iterator[TrackedDrive]:
    """Track as `track_files` does, on a cluster: the same files.

    A drive that cannot be read is answered with its error, and the others go on; the lists of
    tracks are then of the others.

    Args:
        cluster: in its block.
        drives: from `plan_drives`.
        out: folder for the lists of tracks.
        tracking: how.
        summary: receives the objects of all drives.
    """
    parts = (Part(track_part, (drive, tracking), partial(_lost, drive.name)) for drive in drives)
    for tracked in cluster.run(parts):
        summary.rows += tracked.summary.rows
        summary.poses |= tracked.summary.poses
        yield tracked
    write_tracks(out, summary.rows, tracking.classes)


def track_part(drive: Drive, tracking: Tracking) -> TrackedDrive:
    """Track a drive in a worker."""
    summary = Summary()
    try:
        for _ in track_drive(drive, tracking, summary):
            pass
    except InputError as error:
        return TrackedDrive(drive.name, Summary(), str(error))
    return TrackedDrive(drive.name, summary)


def _lost(name: str, why: str) -> TrackedDrive:
    return TrackedDrive(name, Summary(), f"{name}: {why}")
