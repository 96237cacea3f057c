"""Any dataset in the ten classes that all datasets of streets have in common: `NAME@coarse`.

So a network of other classes can be scored on it, and datasets can be trained on together.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable, load_class_table
from lidarpan.datasets.dataset import Dataset, ScanFiles
from lidarpan.datasets.packed_labels import PackedLabels
from lidarpan.structures import InputError, PanopticLabels

NAME = "coarse"
SUFFIX = f"@{NAME}"


_AS_INNER = (
    "suffix", "top", "layout", "drops_points", "step_s", "counts_up", "all_posed", "all_labelled",
    "iter_scans", "usual_splits", "list_truth", "read_scan", "count_points", "prediction_path",
    "scored_path", "prediction_of", "home",
)  # fmt: skip
"""What stays as the dataset has it: all but classes and labels."""


class Coarse(Dataset):
    """A dataset whose labels are mapped by the `coarse` of its class table.

    Predictions are the dataset's own, or this package's `.npz` in any classes that have a `coarse`.

    Args:
        inner: the dataset.

    Raises:
        InputError: none of its classes has a place among the common ones.
    """

    def __init__(self, inner: Dataset) -> None:
        """Take everything but the classes from the dataset."""
        _map_of(inner.classes)
        self.inner, self.name = inner, inner.name + SUFFIX
        self.classes = replace(load_class_table(NAME), min_points=inner.classes.min_points)
        self.title = f"{inner.title or inner.name} in common classes"
        for name in _AS_INNER:
            setattr(self, name, getattr(inner, name))

    def list_scans(self, root: Path, split: str) -> list[ScanFiles]:
        """As the dataset."""
        return self.inner.list_scans(root, split)

    def truth_of(self, files: ScanFiles) -> PackedLabels:
        """The dataset's truth in the common classes."""
        return self._mapped(self.inner.truth_of(files))

    def read_prediction(self, file: Path) -> PackedLabels:
        """A prediction in the dataset's own classes."""
        return self._mapped(self.inner.read_prediction(file))

    def pack(self, labels: PanopticLabels, classes: ClassTable) -> PackedLabels:
        """Labels of any classes that have a place among the common ones."""
        if classes.names == self.classes.names:
            return PackedLabels.of(labels, self.classes)
        semantic = _map_of(classes)[labels.semantic]
        instance = np.where(self.classes.is_thing[semantic], labels.instance, 0).astype(np.int64)
        return self._packed(semantic, instance, labels)

    def _mapped(self, found: PackedLabels) -> PackedLabels:
        """Labels of the dataset; objects of two classes stay two where these are one here."""
        semantic = _map_of(self.inner.classes)[found.semantic]
        ids = self.inner.lasting_ids(found)
        own = ids * self.inner.classes.num_classes + found.semantic
        has = self.classes.is_thing[semantic] & (ids > 0)
        return self._packed(semantic, np.where(has, own, 0), found)

    def _packed(
        self,
        semantic: NDArray[np.uint8],
        instance: NDArray[np.int64],
        found: PackedLabels | PanopticLabels,
    ) -> PackedLabels:
        raw = self.classes.to_raw(semantic).astype(np.int64)
        return PackedLabels(semantic, raw + (instance << 16), instance, found.score)


def _map_of(classes: ClassTable) -> NDArray[np.uint8]:
    """(C,) train id -> common class, 0 for none."""
    if not classes.to_coarse.any():
        raise InputError(
            f"no class of {classes.name} has a place among the common ones: say it by `coarse` "
            "in the class table, see docs/datasets.md"
        )
    return classes.to_coarse
