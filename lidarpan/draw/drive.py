"""Scan, label and pose files of a drive -> one map of it, as PNG with a world file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.datasets.poses import find_poses, has_poses
from lidarpan.datasets.times import USUAL_STEP_S, find_times
from lidarpan.draw.drive_map import draw_map, save_map
from lidarpan.draw.files import Frames
from lidarpan.draw.linking import ids_stay
from lidarpan.draw.motion import Follower, Motion
from lidarpan.draw.panels import BevView
from lidarpan.scans.files import with_points
from lidarpan.structures import InputError, PanopticLabels, Scan


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


@dataclass
class Moved:
    """The scans of a drive in order, with how their objects move where poses are known.

    Attributes:
        frames: the scans with their labels.
        follower: tracks them; None without labels, poses or a second scan.
        poses: (T, 4, 4) world_T_sensor, or None.
        times_s: (T,) s.
    """

    frames: Frames
    follower: Follower | None
    poses: NDArray[np.float64] | None
    times_s: NDArray[np.float64]

    @classmethod
    def of(cls, frames: Frames, every: Sequence[Path], poses: Path | None = None) -> Moved:
        """Of scans whose poses are in a file, or beside them if anywhere.

        every: the scans of the drive, also those without points, which are not among the frames.

        Raises:
            InputError: poses or times do not fit.
        """
        known = poses is not None or has_poses(every)
        if frames.labels is None or len(frames) < 2 or not known:
            return cls(frames, None, None, np.zeros(len(frames)))
        where, times = _placed(every, frames.scan_paths, poses)
        return cls(frames, _follower(frames, where), where, times)

    def read(
        self, i: int
    ) -> tuple[Scan, PanopticLabels | None, PanopticLabels | None, dict[int, Motion]]:
        """Scan i, its labels, true labels and motions by id; to be read one after the other."""
        scan, labels, truth = self.frames.read(i)
        if self.follower is None or labels is None or self.poses is None:
            return scan, labels, truth, {}
        labels, motions = self.follower.follow(scan, labels, float(self.times_s[i]), self.poses[i])
        return scan, labels, truth, motions


def _placed(
    every: Sequence[Path], kept: Sequence[Path], poses: Path | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Poses (T, 4, 4) and times (T,) s of those scans of a drive that are kept."""
    where, times = find_poses(every, poses), find_times(every)
    if times is None:
        times = USUAL_STEP_S * np.arange(len(every))
    there = set(kept)
    full = [path in there for path in every]
    return where[full], times[full]


def _follower(frames: Frames, poses: NDArray[np.float64]) -> Follower:
    """Tracks labelled scans at poses (T, 4, 4); it renames objects where their ids change."""
    return Follower(frames.classes, not ids_stay(partial(_labelled, frames), poses))


def _labelled(frames: Frames, i: int) -> tuple[Scan, PanopticLabels]:
    scan, own, _ = frames.read(i)
    assert own is not None
    return scan, own


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
    kept = with_points(scan_paths)
    where, times = _placed(scan_paths, kept, poses)
    scan_paths = kept
    frames = Frames.of(scan_paths, classes, labels)
    follower = _follower(frames, where)

    def drive() -> Iterator[tuple[Scan, PanopticLabels, dict[int, Motion]]]:
        for i in range(len(frames)):
            scan, own = _labelled(frames, i)
            yield scan, *follower.follow(scan, own, float(times[i]), where[i])

    picture = draw_map(drive(), where, frames.classes, size_px=size_px, range_m=range_m)
    out.parent.mkdir(parents=True, exist_ok=True)
    return DriveMap(out, save_map(picture, out), follower.renames)
