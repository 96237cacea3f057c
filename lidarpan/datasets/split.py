"""One split of a dataset, opened: its scans with their truth, by number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.datasets.dataset import Dataset, ScanFiles
from lidarpan.datasets.packed_labels import PackedLabels
from lidarpan.structures import BoolArray, InputError, PanopticLabels, Scan


class Split:
    """The scans of one split of a dataset, in order, with their labels where there are any.

    Attributes:
        dataset: whose scans they are.
        root: of the dataset.
        split: the name of the split.
        files: of each scan.
        sequences: the sequences (drives, scenes), in the order of the scans.
    """

    def __init__(self, dataset: Dataset, root: str | Path, split: str) -> None:
        """List the scans; InputError where there are none."""
        self.dataset, self.root, self.split = dataset, Path(root), split
        self.files: list[ScanFiles] = dataset.list_scans(self.root, split)
        self.sequences: tuple[str, ...] = tuple(dict.fromkeys(f.sequence for f in self.files))
        self._seen: tuple[int, BoolArray] | None = None  # the last scan read, its usable points

    @property
    def classes(self) -> ClassTable:
        """What the labels mean."""
        return self.dataset.classes

    def __len__(self) -> int:
        """Number of scans."""
        return len(self.files)

    def __getitem__(self, i: int) -> Scan:
        """Scan i, turned to x forward, y left; InputError for a damaged file."""
        loaded = self.dataset.read_scan(self.files[i])
        self._seen = i, loaded.valid
        return loaded.scan

    def path(self, i: int) -> Path:
        """The file of scan i."""
        return self.files[i].scan

    def name(self, i: int) -> str:
        """Name of scan i, unique in the dataset."""
        return self.files[i].name

    def scene(self, i: int) -> str:
        """The sequence or scene of scan i."""
        return self.files[i].sequence

    def label_path(self, i: int) -> Path | None:
        """The file of scan i's truth, None without."""
        return self.files[i].labels

    def raw_labels(self, i: int) -> NDArray[np.uint32] | None:
        """(N,) labels of scan i as packed in its file; instance ids stay over a sequence."""
        truth = self._truth(i)
        return None if truth is None else truth.packed.astype(np.uint32)

    def labels(self, i: int) -> PanopticLabels | None:
        """Truth of the points of scan i in train ids, instances numbered within the scan."""
        truth = self._truth(i)
        if truth is None:
            return None
        labels, seen = truth.unpack(self.classes), self._seen
        if not self.dataset.drops_points:
            return labels
        if seen is None or seen[0] != i:
            seen = i, self.dataset.read_scan(self.files[i]).valid
        valid = seen[1]
        return PanopticLabels(labels.semantic[valid], labels.instance[valid])

    def _truth(self, i: int) -> PackedLabels | None:
        files = self.files[i]
        if files.labels is None:
            return None
        truth, num_points = self.dataset.truth_of(files), self.dataset.count_points(files)
        if truth.num_points != num_points:
            raise InputError(
                f"{files.labels}: wanted {num_points} labels as {files.scan} has points, "
                f"got {truth.num_points}"
            )
        return truth
