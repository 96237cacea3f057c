"""Any network's semantic labels -> panoptic predictions, file by file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lidarpan.datasets.open import find_classes
from lidarpan.datasets.predictions import prediction_paths, write_prediction
from lidarpan.datasets.semantics import SemanticFolder
from lidarpan.grouping import group_points
from lidarpan.grouping.fusion import merge_semantic_and_instance
from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.files import empty_frame, load_scan
from lidarpan.structures import InputError, PanopticLabels
from lidarpan.whole_file import refuse_inputs_as_outputs


@dataclass(frozen=True)
class Grouped:
    """What became of one scan file.

    Attributes:
        scan_path: the input.
        path: the file written.
        error: why this scan could not be grouped, or None.
    """

    scan_path: Path
    path: Path
    error: str | None = None


def group_files(
    scan_paths: Sequence[Path],
    semantic: Path,
    out: Path,
    classes: str,
    method: str,
    ids: str | None = None,
) -> Iterator[Grouped]:
    """Group the thing points of each scan by the semantic labels found for it.

    Args:
        scan_paths: scan files.
        semantic: folder of label files, named as the scans (see `find_prediction`).
        out: folder for the predictions, written in the layout of the classes' benchmark.
        classes: whose, as `find_dataset` takes it.
        method: see `group_points`.
        ids: how the labels count, as in `SemanticFolder`; None finds it out.

    Yields:
        One result per scan, in order; a scan that cannot be grouped has its `error` set.

    Raises:
        InputError: an output would replace an input, or nobody can say what the labels count.
    """
    table = find_classes(classes)
    paths = prediction_paths(out, scan_paths, classes)
    refuse_inputs_as_outputs(paths, scan_paths)
    labels = SemanticFolder(semantic, scan_paths, table, ids)
    for scan_path, path in zip(scan_paths, paths, strict=True):
        try:
            loaded, panoptic = _group(scan_path, labels, method, path)
            yield Grouped(scan_path, write_prediction(path, panoptic, loaded, table, classes))
        except InputError as error:
            yield Grouped(scan_path, path, str(error))


def _group(
    scan_path: Path, labels: SemanticFolder, method: str, output: Path
) -> tuple[LoadedScan, PanopticLabels]:
    label_path, semantic = labels.read(scan_path)
    refuse_inputs_as_outputs([output], [label_path])
    loaded = empty_frame(scan_path) or load_scan(scan_path)
    loaded.check_count(len(semantic), label_path)
    points, known = loaded.scan.points, semantic[loaded.valid]
    if not len(points):
        return loaded, PanopticLabels.all_void(0)
    instance = group_points(points, known, labels.classes, method=method)
    return loaded, merge_semantic_and_instance(known, instance, None, labels.classes)
