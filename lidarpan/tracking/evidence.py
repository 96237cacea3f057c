"""What scans say of an object's class -> the class of its life, and which scans it overrules.

A scan says a class with a confidence, and leaves the rest open. A life is as sure of its class as
its scans are in the mean, those of many points before those of few. It overrules a scan where it is
surer than that scan is; two thirds are sure enough, whatever a single scan claims.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import VOID
from lidarpan.structures import FloatArray, PanopticLabels

Evidence = NDArray[np.float64]

CLEAR = 2 / 3  # also how sure a point is of its class where nobody says
MOST_POINTS = 400  # more points say no more


def class_evidence(
    votes: NDArray[np.int64], score: NDArray[np.float64], is_thing: NDArray[np.bool_]
) -> Evidence:
    """What a scan says of the classes of K objects: shares of points, by how many there are.

    votes (K, C) points of each class, score (K,) confidence in [0, 1], is_thing (C,) -> (K, C): the
    column of void holds what the score leaves open, and what speaks for stuff.
    """
    total = np.maximum(votes.sum(axis=1), 1)[:, None]
    weight = np.sqrt(np.minimum(total, MOST_POINTS))
    evidence: Evidence = votes / total * (score[:, None] * weight) * is_thing
    evidence[:, VOID] = weight[:, 0] - evidence.sum(axis=1)
    return evidence


def confidence_of(labels: PanopticLabels) -> FloatArray:
    """How sure the labels are of the class of each point. (N,) in [0, 1]."""
    if labels.confidence is None:
        return np.full(labels.num_points, CLEAR, np.float32)
    return labels.confidence


def likeliest(evidence: Evidence) -> NDArray[np.int64]:
    """The class that most of the evidence is for. (..., C) -> (...)."""
    best: NDArray[np.int64] = evidence[..., VOID + 1 :].argmax(axis=-1) + VOID + 1
    return best


def sureness(evidence: Evidence) -> NDArray[np.float64]:
    """Share of the evidence that is for the likeliest class. (..., C) -> (...) in [0, 1]."""
    share: Evidence = evidence[..., VOID + 1 :].max(axis=-1) / evidence.sum(axis=-1)
    return share


def overrules(
    sureness_of_life: NDArray[np.floating[Any]], confidence: NDArray[np.floating[Any]]
) -> NDArray[np.bool_]:
    """Whether the classes of lives replace those that scans say with a confidence. (...) each."""
    replaces: NDArray[np.bool_] = sureness_of_life >= np.minimum(confidence, CLEAR)
    return replaces
