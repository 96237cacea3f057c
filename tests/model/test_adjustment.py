"""Class biases by line search against trying everything."""

from itertools import product

import numpy as np
import pytest

from lidarpan.model import adjustment
from lidarpan.model.adjustment import fit_class_biases
from lidarpan.structures import InputError


def skewed(num_rows=3000, seed=0):
    """Logits of three classes with shifts of 0, +0.6 and -0.4 that should not be there."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, num_rows, p=(0.6, 0.3, 0.1))
    logits = rng.normal(0, 1, (num_rows, 3)) + 2.0 * np.eye(3)[labels] + [0, 0.6, -0.4]
    return logits.astype(np.float32), labels, rng.integers(1, 5, num_rows).astype(float)


def miou(logits, labels, weight):
    predicted = logits.argmax(axis=1)
    ious = []
    for c in np.unique(labels):
        both = weight[(predicted == c) & (labels == c)].sum()
        ious.append(both / weight[(predicted == c) | (labels == c)].sum())
    return np.mean(ious)


def test_biases_are_as_good_as_a_search_over_all():
    logits, labels, weight = skewed()
    biases = fit_class_biases(logits, labels, weight)
    found = miou(logits + biases, labels, weight)
    grid = np.arange(-1.5, 1.51, 0.25)
    best = max(miou(logits + np.array([0, a, b]), labels, weight) for a, b in product(grid, grid))
    assert found > miou(logits, labels, weight) + 0.02
    assert found >= best - 0.003
    assert biases[1] - biases[0] == pytest.approx(-0.6, abs=0.4)


def test_line_search_scores_what_argmax_scores():
    logits, labels, weight = skewed(400, seed=3)
    biases = np.array([0.2, -0.1, 0.3])
    for bias, score in adjustment._line_search(logits, labels, weight, biases, 1):
        tried = biases.copy()
        tried[1] = bias
        expected = miou(logits + tried, labels, weight) - adjustment.PENALTY * np.abs(tried).sum()
        assert score == pytest.approx(expected, abs=2e-3)


def test_a_balanced_classifier_keeps_its_biases_near_zero():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 5000)
    logits = (3.0 * np.eye(5)[labels] + rng.normal(0, 1, (5000, 5))).astype(np.float32)
    biases = fit_class_biases(logits, labels, np.ones(5000))
    assert np.abs(biases).max() < 0.5
    assert biases[4] == 0  # not in the labels


def test_shapes_that_do_not_go_together_are_errors():
    with pytest.raises(InputError, match="wanted"):
        fit_class_biases(np.zeros((3, 2), np.float32), np.zeros(2, np.int64), np.ones(3))
    with pytest.raises(InputError, match="wanted"):
        fit_class_biases(np.zeros((0, 2), np.float32), np.zeros(0, np.int64), np.ones(0))
