"""A folder of any network's semantic labels -> train ids of each scan."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.datasets.kitti_labels import read_label
from lidarpan.datasets.label_convention import choose_convention, class_ids, to_train_ids
from lidarpan.datasets.label_files import read_prediction
from lidarpan.datasets.predictions import find_prediction
from lidarpan.errors import InputError, naming
from lidarpan.scans.numpy_files import array_headers, read_array, read_arrays
from lidarpan.structures import SemanticArray

_SAMPLE = 8
_log = logging.getLogger("lidarpan")


class SemanticFolder:
    """Semantic labels of scans, all counted in the same way.

    Args:
        folder: of label files, named as the scans (see `find_prediction`).
        scan_paths: the scans.
        classes: of the labels.
        ids: "raw", "train" or "train0" (see `label_convention`); None finds it out from up to eight
            of the files.

    Raises:
        InputError: no convention fits the files.
    """

    def __init__(
        self, folder: Path, scan_paths: Sequence[Path], classes: ClassTable, ids: str | None = None
    ) -> None:
        self.folder, self.classes = folder, classes
        self.ids = ids or self._find_convention(scan_paths)

    def read(self, scan_path: Path) -> tuple[Path, SemanticArray]:
        """The label file of a scan and its (N,) train ids; InputError where there are none."""
        path = find_prediction(self.folder, scan_path)
        bare = _bare_ids(path, self.classes)
        if bare is None or self.ids is None:
            return path, read_prediction(path, self.classes).semantic
        with naming(path):
            return path, to_train_ids(bare, self.ids, self.classes)

    def _find_convention(self, scan_paths: Sequence[Path]) -> str | None:
        """None where the files say themselves what their numbers mean."""
        count = min(_SAMPLE, len(scan_paths))
        found = []
        for k in np.linspace(0, len(scan_paths) - 1, count).round().astype(int).tolist():
            try:
                ids = _bare_ids(find_prediction(self.folder, scan_paths[k]), self.classes)
            except InputError:
                if len(scan_paths) == 1:
                    raise
                continue  # it is said when it is that scan's turn
            if ids is not None:
                found.append(ids)
        if not found:
            return None
        convention = choose_convention(found, self.classes, str(self.folder))
        level = logging.INFO if convention == "raw" else logging.WARNING
        said = "%s: the numbers are taken for %s ids (see --ids)"
        _log.log(level, said, self.folder, convention)
        return convention


def _bare_ids(path: Path, classes: ClassTable) -> NDArray[np.int64] | None:
    """A file's classes as it counts them; None for files that name what they hold."""
    match path.suffix.lower():
        case ".label":
            return (read_label(path) & 0xFFFF).astype(np.int64)
        case ".npy":
            return class_ids(read_array(path), str(path), classes)
        case ".npz":
            headers = array_headers(path)
            if len(headers) != 1 or "data" in headers:
                return None
            (array,) = read_arrays(path).values()
            return class_ids(array, str(path), classes)
        case ".bin":
            return np.fromfile(path, np.uint8).astype(np.int64)
        case _:
            return None
