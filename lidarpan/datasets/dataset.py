"""What every labelled dataset offers, whatever its files look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.structures import IntArray, PanopticLabels, Scan


class Dataset(Protocol):
    """The scans of one split, in order, with their labels where there are any.

    Attributes:
        classes: what the labels mean.
        sequences: the sequences (drives, scenes) of the split, in the order of the scans.
    """

    classes: ClassTable
    sequences: tuple[str, ...]

    def __len__(self) -> int:
        """Number of scans."""
        ...

    def __getitem__(self, i: int) -> Scan:
        """Scan i with all points of its file, turned to x forward, y left."""
        ...

    def path(self, i: int) -> Path:
        """The file of scan i."""
        ...

    def name(self, i: int) -> str:
        """Name of scan i, unique in the dataset, as predictions of it are filed."""
        ...

    def labels(self, i: int) -> PanopticLabels | None:
        """Truth of scan i in train ids, instances numbered within the scan; None without."""
        ...

    def raw_labels(self, i: int) -> NDArray[np.uint32] | None:
        """(N,) labels of scan i as packed in its file; instance ids stay over a sequence."""
        ...


def number_by_first_point(key: NDArray[Any]) -> IntArray:
    """Number equal positive keys 1, 2, ... as they first occur; 0 stays 0. (N,) -> (N,)."""
    instance: IntArray = np.zeros(len(key), np.int32)
    positive = np.flatnonzero(key > 0)
    if not len(positive):
        return instance
    _, first, inverse = np.unique(key[positive], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(1, len(first) + 1)
    instance[positive] = rank[inverse]
    return instance
