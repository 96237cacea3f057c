"""Any network's semantic labels -> panoptic predictions, file by file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lidarpan.datasets.label_files import read_prediction
from lidarpan.datasets.open import find_classes
from lidarpan.datasets.predictions import (
    find_prediction,
    prediction_paths,
    refuse_inputs_as_outputs,
    write_prediction,
)
from lidarpan.grouping import group_points
from lidarpan.grouping.fusion import merge_semantic_and_instance
from lidarpan.scans.files import load_scan
from lidarpan.structures import InputError


def group_files(
    scan_paths: Sequence[Path], semantic: Path, out: Path, classes: str, method: str
) -> Iterator[Path]:
    """Group the thing points of each scan by the semantic labels found for it.

    Args:
        scan_paths: scan files.
        semantic: folder of label files, named as the scans (see `find_prediction`).
        out: folder for the predictions, written in the layout of the classes' benchmark.
        classes: whose, as `find_dataset` takes it.
        method: see `group_points`.

    Yields:
        The prediction file of each scan.

    Raises:
        InputError: a scan has no labels, or another number of them than points.
    """
    table = find_classes(classes)
    paths = prediction_paths(out, scan_paths, classes)
    refuse_inputs_as_outputs(paths, scan_paths)
    for scan_path, path in zip(scan_paths, paths, strict=True):
        loaded = load_scan(scan_path)
        label_path = find_prediction(semantic, scan_path)
        labels = read_prediction(label_path, table)
        if labels.num_points != loaded.num_file_points:
            raise InputError(
                f"{label_path}: wanted {loaded.num_file_points} labels as {scan_path} has points, "
                f"got {labels.num_points}"
            )
        points, known = loaded.scan.points, labels.semantic[loaded.valid]
        instance = group_points(points, known, table, method=method)
        panoptic = merge_semantic_and_instance(known, instance, None, table)
        yield write_prediction(path, panoptic, loaded, table, classes)
