"""Scans of several sensors -> one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.recordings.clouds import Cloud
from lidarpan.scans.recordings.transforms import Matrix
from lidarpan.structures import Scan


def merge(
    loaded: Sequence[LoadedScan], clouds: Sequence[Cloud], first_T: Sequence[Matrix]
) -> LoadedScan:
    """One scan of several sensors': the points of the first, then those of the others, moved.

    Args:
        loaded: the scans.
        clouds: the messages they were read from.
        first_T: of every scan but the first, the transform into the first one's frame.
    """
    points, times = [loaded[0].scan.points], [loaded[0].scan.time]
    rows = zip(loaded[1:], clouds[1:], first_T, strict=True)
    for other, cloud, transform in rows:
        moved = other.scan.points @ transform[:3, :3].T + transform[:3, 3]
        points.append(moved.astype(np.float32))
        later = np.float32((cloud.stamp_ns - clouds[0].stamp_ns) * 1e-9)
        times.append(None if other.scan.time is None else other.scan.time + later)
    known = [time for time in times if time is not None]
    scan = Scan(
        np.concatenate(points),
        np.concatenate([part.scan.intensity for part in loaded]),
        time=np.concatenate(known) if len(known) == len(times) else None,
    )
    warnings = dict.fromkeys(warning for part in loaded for warning in part.warnings)
    return LoadedScan(scan, np.concatenate([part.valid for part in loaded]), tuple(warnings))
