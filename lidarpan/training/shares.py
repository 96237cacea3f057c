"""How frequent the classes are that are trained on, and what each is worth for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lidarpan.classes import ClassTable
from lidarpan.training.sources import Source


def class_shares(sources: Sequence[Source], classes: ClassTable) -> NDArray[np.float64]:
    """(C - 1,) share of train ids 1..C-1 of the labelled points of 64 scans, evenly spread."""
    index = [(source, position) for source in sources for position in source.scans]
    counts = np.zeros(classes.num_classes)
    for i in np.unique(np.linspace(0, len(index) - 1, min(64, len(index))).astype(int)):
        source, position = index[i]
        semantic = source.labels_of(position)
        if semantic is not None:
            counts += np.bincount(semantic, minlength=classes.num_classes)
    shares: NDArray[np.float64] = counts[1:] / max(counts[1:].sum(), 1)
    return shares


def class_weights(shares: NDArray[np.float64], balance: float) -> Tensor:
    """Share ** -balance, mean 1 over the classes seen. (C - 1,) -> (C - 1,).

    A class never seen has weight 1.
    """
    seen = shares > 0
    weight = np.maximum(shares, 1e-4) ** -balance
    weight[seen] /= weight[seen].mean() if seen.any() else 1.0
    weight[~seen] = 1.0
    return torch.tensor(weight, dtype=torch.float32)
