"""Class biases that make the mean IoU of a trained classifier largest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import FloatArray, InputError

STEP, LIMIT = 0.05, 1.5
PENALTY = 0.002
"""Loss of mean IoU that a bias of 1 has to be worth."""


def fit_class_biases(
    logits: FloatArray, labels: NDArray[np.int64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Biases to add to the logits, found class by class until none gains any more.

    A network trained with class weights and by Lovász favours some classes over others; adding a
    constant to each logit afterwards (Menon et al., "Long-tail learning via logit adjustment", ICLR
    2021) moves the borders between the classes, here to where the mean IoU of held-out scans is
    best. Each class's best bias, the others' given, is exact up to STEP: all thresholds are tried
    at once.

    Args:
        logits: (V, C), or log-probabilities.
        labels: (V,) true class in [0, C).
        weight: (V,) how much each row counts, its number of points.

    Returns:
        (C,) in [-LIMIT, LIMIT]; 0 for classes that are not in `labels`.

    Raises:
        InputError: no rows, or shapes that do not go together.
    """
    if logits.ndim != 2 or not len(logits) or not len(logits) == len(labels) == len(weight):
        raise InputError(
            f"wanted (V, C) logits and V labels and weights, got {logits.shape}, {labels.shape}, "
            f"{weight.shape}"
        )
    classes = np.unique(labels)
    biases = np.zeros(logits.shape[1])
    best = _mean_iou(_confusion(logits, labels, weight))
    for _ in range(10):
        before = best
        for c in classes:
            for bias, score in _line_search(logits, labels, weight, biases, int(c)):
                if score > best + 1e-6:
                    best, biases[c] = score, bias
        if best - before < 1e-5:
            break
    return biases


def _line_search(
    logits: FloatArray,
    labels: NDArray[np.int64],
    weight: NDArray[np.float64],
    biases: NDArray[np.float64],
    c: int,
) -> Iterator[tuple[float, float]]:
    """Every bias of class c with the penalised mean IoU it gives."""
    values = np.arange(-LIMIT, LIMIT + STEP / 2, STEP)
    size = logits.shape[1]
    others = logits + biases.astype(logits.dtype)
    others[:, c] = -np.inf
    rival = others.argmax(axis=1)
    margin = others[np.arange(len(others)), rival] - logits[:, c]  # a higher bias wins the row
    first = np.searchsorted(values, margin, side="right")
    cell = (first * size + labels) * size + rival
    table = np.bincount(cell, weight, minlength=(len(values) + 1) * size * size)
    table = table.reshape(-1, size, size)
    won = np.cumsum(table, axis=0)
    penalty = PENALTY * (np.abs(biases).sum() - abs(biases[c]))
    for k, value in enumerate(values):
        confusion = won[-1] - won[k]  # rows are the truth; lost rows go to their rivals
        confusion[:, c] += won[k].sum(axis=1)
        yield float(value), _mean_iou(confusion) - penalty - PENALTY * abs(value)


def _confusion(
    logits: FloatArray, labels: NDArray[np.int64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    size = logits.shape[1]
    cell = labels * size + logits.argmax(axis=1)
    confusion = np.bincount(cell, weight, minlength=size * size)
    return confusion.reshape(size, size).astype(np.float64)


def _mean_iou(confusion: NDArray[np.float64]) -> float:
    """Mean over the classes in the truth. (C, C), rows are the truth."""
    hit, truth = np.diag(confusion), confusion.sum(axis=1)
    union = truth + confusion.sum(axis=0) - hit
    return float((hit[truth > 0] / union[truth > 0]).mean())
