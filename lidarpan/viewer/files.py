"""Scan and label files -> an open3d window or a rerun recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lidarpan.datasets.poses import find_poses, has_poses
from lidarpan.draw.files import Frames
from lidarpan.scans.files import with_points
from lidarpan.viewer.rerun import write_rerun
from lidarpan.viewer.window import show_window


def window_files(
    scan_paths: Sequence[Path],
    *,
    labels: Path | None = None,
    truth: Path | None = None,
    classes: str | None = None,
    mode: str = "panoptic",
) -> None:
    """Show scans in a window until it is closed; arguments as `draw_files`.

    Raises:
        InputError: no display, or a file does not fit its scan.
    """
    scan_paths = with_points(scan_paths)
    frames = Frames.of(scan_paths, classes, labels, truth)
    show_window([path.stem for path in scan_paths], frames.read, frames.classes, mode=mode)


def rerun_files(
    scan_paths: Sequence[Path],
    out: Path,
    *,
    labels: Path | None = None,
    truth: Path | None = None,
    classes: str | None = None,
    poses: Path | None = None,
) -> Path:
    """Write scans as a rerun recording, placed where poses are known; returns `out`.

    Raises:
        InputError: rerun is not installed, or a file does not fit its scan.
    """
    scan_paths = with_points(scan_paths)
    frames = Frames.of(scan_paths, classes, labels, truth)
    known = poses is not None or has_poses(scan_paths)
    where = find_poses(scan_paths, poses) if known else None
    each = (frames.read(i) for i in range(len(frames)))
    write_rerun(out, each, frames.classes, poses=where)
    return out
