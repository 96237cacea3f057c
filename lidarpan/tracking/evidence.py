"""What scans say of an object's class -> the class of its life, where they agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CLEAR = 2 / 3
"""Share of the evidence that must be for one class; with less every scan keeps its own."""
MOST_POINTS = 400  # more points say no more


def class_evidence(
    votes: NDArray[np.int64], score: NDArray[np.float64], is_thing: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """What a scan says of the classes of K objects: shares of points, by how many there are.

    votes (K, C) points of each class, score (K,) confidence, is_thing (C,) -> (K, C), 0 for stuff.
    """
    total = np.maximum(votes.sum(axis=1), 1)[:, None]
    weight = score[:, None] * np.sqrt(np.minimum(total, MOST_POINTS))
    evidence: NDArray[np.float64] = votes / total * weight * is_thing
    return evidence


def is_clear(evidence: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the evidence of whole lives is for one class. (..., C) -> (...)."""
    clear: NDArray[np.bool_] = evidence.max(axis=-1) >= CLEAR * evidence.sum(axis=-1)
    return clear
