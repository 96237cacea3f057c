"""Scan, label and pose files of a drive -> one map of it, as PNG with a world file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lidarpan.datasets.poses import find_poses
from lidarpan.datasets.times import USUAL_STEP_S, find_times
from lidarpan.draw.drive_map import draw_map, save_map
from lidarpan.draw.files import Frames
from lidarpan.draw.linking import ids_stay
from lidarpan.draw.panels import BevView
from lidarpan.scans.files import with_points
from lidarpan.structures import InputError, PanopticLabels, Scan
from lidarpan.tracking.tracker import Tracker


@dataclass(frozen=True)
class DriveMap:
    """The files of a map.

    Attributes:
        image: the PNG.
        world: its world file (.pgw).
        is_linked: whether instance ids did not stay over the scans and objects were tracked.
    """

    image: Path
    world: Path
    is_linked: bool


def map_files(
    scan_paths: Sequence[Path],
    out: Path,
    *,
    labels: Path | None,
    poses: Path | None = None,
    classes: str | None = None,
    size_px: int = 2000,
    range_m: float = 40.0,
) -> DriveMap:
    """Draw all scans of a drive as one map, and a world file that places it in a GIS.

    Args:
        scan_paths: the scans of one drive in order.
        out: a .png; the world file goes beside it.
        labels: a folder with a label file for each, or the file of the one scan.
        poses: a file of poses, see `find_poses`; None looks for poses.txt.
        classes: whose classes the labels are; None takes what the files say.
        size_px: longer edge of the map.
        range_m: points farther from the sensor are left out.

    Raises:
        InputError: no labels, no or unfitting poses, another suffix, or a file that cannot be read.
    """
    if out.suffix.lower() != ".png":
        raise InputError(f"{out}: a drive's map is a .png, got {out.suffix or 'no suffix'}")
    if labels is None:
        raise InputError("the map of a drive needs labels: name their folder with --labels")
    BevView(size_px, range_m)  # both are checked before any scan is read
    where = find_poses(scan_paths, poses)
    times = find_times(scan_paths)
    if times is None:
        times = USUAL_STEP_S * np.arange(len(scan_paths))
    kept = with_points(scan_paths)
    there = set(kept)
    full = [path in there for path in scan_paths]
    where, times = where[full], times[full]
    scan_paths = kept
    frames = Frames.of(scan_paths, classes, labels)

    def read(i: int) -> tuple[Scan, PanopticLabels]:
        scan, own, _ = frames.read(i)
        assert own is not None
        return scan, own

    tracker = None if ids_stay(read, where) else Tracker(frames.classes)

    def drive() -> Iterator[tuple[Scan, PanopticLabels]]:
        for i in range(len(frames)):
            scan, own = read(i)
            if tracker is not None:
                own = tracker.update(scan.points, own, float(times[i]), where[i]).labels
            yield scan, own

    picture = draw_map(drive(), where, frames.classes, size_px=size_px, range_m=range_m)
    out.parent.mkdir(parents=True, exist_ok=True)
    return DriveMap(out, save_map(picture, out), tracker is not None)
