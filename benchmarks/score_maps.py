"""Scores of objects and whether they are right -> a rising line from a score to the share right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from lidarpan.structures import BoolArray, InputError

ScoreMap = tuple[tuple[float, float], ...]

FEWEST = 20
"""Objects that a point of the line rests on at least."""


def fit_score_map(
    score: NDArray[np.float64],
    right: BoolArray,
    weight: NDArray[np.float64] | None = None,
    fewest: int = FEWEST,
) -> ScoreMap:
    """The rising line that tells best, in squares, how often objects of a score are right.

    Isotonic regression (Zadrozny and Elkan, "Transforming classifier scores into accurate
    multiclass probability estimates", KDD 2002), whose steps are joined until each holds `fewest`
    objects; the line runs through the middle of each step, and from (0, 0) to (1, 1).

    Args:
        score: (K,) in [0, 1].
        right: (K,) bool, whether each object is.
        weight: (K,) of each object, or None for equal ones.
        fewest: objects a point of the line rests on.

    Returns:
        (score, share right) pairs, both ascending, as `merge_semantic_and_instance` takes them.

    Raises:
        InputError: fewer than `fewest` objects, or arrays that do not go together.
    """
    weights = np.ones(len(score)) if weight is None else weight
    if not len(score) == len(right) == len(weights) or len(score) < fewest:
        raise InputError(
            f"wanted {fewest} objects or more with score, right and weight, got "
            f"{len(score)}, {len(right)}, {len(weights)}"
        )
    order = np.lexsort((right, score))
    score, hit, weights = score[order], right[order].astype(np.float64), weights[order]
    blocks = isotonic_regression(hit, weights=weights).blocks
    edges = [0]
    for end in blocks[1:]:
        if end - edges[-1] >= fewest and len(score) - end >= fewest:
            edges.append(int(end))
    knots = [(0.0, 0.0)]
    for begin, end in zip(edges, [*edges[1:], len(score)], strict=True):
        part = slice(begin, end)
        x = float(np.average(score[part], weights=weights[part]))
        y = float(np.average(hit[part], weights=weights[part]))
        if knots[-1][0] + 1e-3 < x < 1 - 1e-3:
            knots.append((round(x, 4), round(float(np.clip(y, knots[-1][1], 1.0)), 4)))
    return (*knots, (1.0, 1.0))
