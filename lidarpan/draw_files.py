"""Scan and label files -> a picture, a film or a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from lidarpan.draw import draw_panoptic, draw_range_view, save_png
from lidarpan.draw.colors import MODES
from lidarpan.draw.drive import Moved
from lidarpan.draw.files import Frames
from lidarpan.draw.video import write_video
from lidarpan.grouping.fusion import keep_confident
from lidarpan.scans.files import with_points
from lidarpan.structures import InputError
from lidarpan.viewer import write_viewer


def draw_files(
    scan_paths: Sequence[Path],
    out: Path,
    *,
    labels: Path | None = None,
    truth: Path | None = None,
    classes: str | None = None,
    mode: str = "panoptic",
    size_px: int = 1000,
    range_m: float = 50.0,
    view: str = "bev",
    min_score: float = 0.0,
    poses: Path | None = None,
) -> Path:
    """Draw scans to `out`: one scan to .png, any number to .html, .mp4 or .gif; returns `out`.

    Args:
        scan_paths: files that `load_scan` reads, or the FramePaths of any sources.
        out: what to write; its suffix decides.
        labels: label file of the one scan, or a folder with a file for each.
        truth: true labels, likewise.
        classes: whose classes the labels are; None takes what the files say.
        mode: see `draw_panoptic`; without labels height is drawn.
        size_px: edge of a panel.
        range_m: metres shown to each side.
        view: "bev" or "range".
        min_score: predicted objects of a lower score are drawn as void; in a page that is where
            its slider stands at first.
        poses: a file of poses, see `find_poses`; where they are known, or lie beside the scans, a
            film and a page show how objects move, each in the same colour all along.

    Raises:
        InputError: a file does not fit its scan, several scans for a .png, or another suffix.
    """
    every, scan_paths = scan_paths, with_points(scan_paths)
    frames = Frames.of(scan_paths, classes, labels, truth)
    if mode not in MODES:
        raise InputError(f"no drawing mode {mode!r}: wanted one of {', '.join(MODES)}")
    if labels is None and mode in ("semantic", "instance", "error"):
        raise InputError(f"mode {mode}: wanted labels to draw, got none: name them with --labels")
    shown = "height" if labels is None and mode == "panoptic" else mode

    moved = Moved.of(frames, every, poses)

    def picture(i: int) -> Image.Image:
        scan, predicted, true, motions = moved.read(i)
        predicted = predicted and keep_confident(predicted, min_score)
        if view == "range":
            return draw_range_view(
                scan, predicted, frames.classes, truth=true, mode=shown, size_px=2 * size_px
            )
        return draw_panoptic(
            scan,
            predicted,
            frames.classes,
            truth=true,
            mode=shown,
            size_px=size_px,
            range_m=range_m,
            motions=motions,
        )

    suffix = out.suffix.lower()
    if suffix == ".png" and len(frames) > 1:
        raise InputError(
            f"{out}: holds one scan, got {len(frames)}: use .html, .mp4 or .gif, or --map for "
            "one map of the drive"
        )
    if suffix not in (".png", ".html", ".mp4", ".gif"):
        raise InputError(f"{out}: wanted a name ending in .png, .html, .mp4 or .gif")
    first = frames.read(0)  # complains before anything is made
    if first[1] is not None:
        keep_confident(first[1], min_score)
    out.parent.mkdir(parents=True, exist_ok=True)
    match suffix:
        case ".png":
            save_png(picture(0), out)
        case ".html":
            read = [moved.read(i) for i in range(len(frames))]
            write_viewer(
                out,
                [scan for scan, _, _, _ in read],
                None if labels is None else [own for _, own, _, _ in read if own is not None],
                frames.classes,
                truth=None if truth is None else [own for _, _, own, _ in read if own is not None],
                names=[path.stem for path in scan_paths],
                title=_title(scan_paths),
                min_score=min_score,
                motions=[motions for _, _, _, motions in read],
            )
        case _:
            write_video((picture(i) for i in range(len(frames))), out)
    return out


def _title(scan_paths: Sequence[Path]) -> str:
    """The scan's name, or that of the folder of several."""
    if len(scan_paths) == 1:
        return scan_paths[0].name
    folder = scan_paths[0].absolute().parent
    return folder.parent.name if folder.name == "velodyne" else folder.name
