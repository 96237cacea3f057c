"""Scan and label files -> a picture file."""

from __future__ import annotations

from pathlib import Path

from lidarpan.classes import ClassTable, load_class_table
from lidarpan.datasets.fields import LoadedScan
from lidarpan.datasets.files import load_scan
from lidarpan.datasets.label_files import read_prediction
from lidarpan.draw import draw_panoptic, draw_range_view, save_png
from lidarpan.structures import InputError, PanopticLabels


def draw_file(
    scan_path: Path,
    out: Path,
    *,
    labels: Path | None,
    truth: Path | None,
    classes: str,
    mode: str,
    size_px: int,
    range_m: float,
    view: str = "bev",
) -> Path:
    """Draw a scan file, with labels where they are given, to a .png file; returns its path.

    Raises:
        InputError: a file does not fit the scan, the mode needs labels, or another suffix.
    """
    if out.suffix.lower() != ".png":
        raise InputError(f"{out}: wanted a picture name ending in .png")
    table = load_class_table(classes)
    loaded = load_scan(scan_path)
    predicted = _labels_of(labels, loaded, scan_path, table)
    true = _labels_of(truth, loaded, scan_path, table)
    if predicted is None and mode not in ("height", "intensity"):
        mode = "height"
    out.parent.mkdir(parents=True, exist_ok=True)
    if view == "range":
        picture = draw_range_view(
            loaded.scan, predicted, table, truth=true, mode=mode, size_px=2 * size_px
        )
    else:
        picture = draw_panoptic(
            loaded.scan, predicted, table, truth=true, mode=mode, size_px=size_px, range_m=range_m
        )
    save_png(picture, out)
    return out


def _labels_of(
    path: Path | None, loaded: LoadedScan, scan_path: Path, classes: ClassTable
) -> PanopticLabels | None:
    """Labels of the usable points, from a file with one label per point of the file."""
    if path is None:
        return None
    labels = read_prediction(path, classes)
    if labels.num_points != loaded.num_file_points:
        raise InputError(
            f"{path}: wanted {loaded.num_file_points} labels as {scan_path} has points, "
            f"got {labels.num_points}"
        )
    return PanopticLabels(
        labels.semantic[loaded.valid], labels.instance[loaded.valid], labels.score
    )
