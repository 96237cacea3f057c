"""Scans of several sensors -> one, in the first one's frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.fields import Fields, FileFields, LoadedScan, scan_of_fields
from lidarpan.scans.inspection import inspect_scan
from lidarpan.scans.intensity import IntensityScale
from lidarpan.structures import Scan


@dataclass(frozen=True)
class Part:
    """What one sensor saw.

    Attributes:
        fields: the columns of its points.
        origin: what to call it in errors.
        first_T_part: (4, 4) from its coordinates into those of the first part.
        scale: what to divide its intensity by; None finds it out.
        later_s: after the first part, seconds.
    """

    fields: Fields | FileFields
    origin: str
    first_T_part: NDArray[np.float64]
    scale: IntensityScale | None = None
    later_s: float = 0.0


def merge(parts: Sequence[Part], expected_height_m: float) -> LoadedScan:
    """One scan of several sensors': the points of the first, then those of the others, moved.

    Where the first part's points had to be moved to their sensor, the others go along.

    Args:
        parts: one or more.
        expected_height_m: of the sensor above the ground, for what is said of the scan.

    Raises:
        InputError: as `scan_of_fields`.
    """
    first, *others = parts
    is_moved = not np.array_equal(first.first_T_part, np.eye(4))  # the first sensor saw nothing
    given = first.first_T_part if is_moved else None
    loaded = [scan_of_fields(first.fields, first.origin, expected_height_m, first.scale, given)]
    sensor_T_first = None if is_moved else loaded[0].sensor_T_file
    for part in others:
        sensor_T_part = part.first_T_part
        if sensor_T_first is not None:
            sensor_T_part = sensor_T_first @ sensor_T_part
        origin, scale = part.origin, part.scale
        loaded.append(scan_of_fields(part.fields, origin, expected_height_m, scale, sensor_T_part))
    scan = loaded[0].scan if len(parts) == 1 else _joined(loaded, parts)
    said = dict.fromkeys(warning for one in loaded for warning in one.warnings)
    warnings = (*said, *inspect_scan(scan, expected_height_m))
    valid = loaded[0].valid if len(parts) == 1 else np.concatenate([one.valid for one in loaded])
    return LoadedScan(scan, valid, warnings, sensor_T_first)


def _joined(loaded: Sequence[LoadedScan], parts: Sequence[Part]) -> Scan:
    """The points of all, with times where all have them; rings of several sensors say nothing."""
    times = [
        one.scan.time + np.float32(part.later_s)
        for one, part in zip(loaded, parts, strict=True)
        if one.scan.time is not None
    ]
    return Scan(
        np.concatenate([one.scan.points for one in loaded]),
        np.concatenate([one.scan.intensity for one in loaded]),
        time=np.concatenate(times) if len(times) == len(parts) else None,
    )
