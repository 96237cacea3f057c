"""Confidences of points and whether they were right -> how far they can be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import rankdata

from lidarpan.structures import BoolArray, FloatArray, InputError

Scores = NDArray[np.float64]


def expected_calibration_error(
    confidence: FloatArray, is_right: BoolArray, num_bins: int = 15
) -> float:
    """Mean gap between confidence and share right, over bins of equal width. (N,), (N,) -> [0, 1].

    Guo et al., "On calibration of modern neural networks", ICML 2017, equation 3. nan for no point.
    """
    place = np.minimum((confidence * num_bins).astype(np.int64), num_bins - 1)
    said = np.bincount(place, confidence, minlength=num_bins)
    right = np.bincount(place, is_right, minlength=num_bins)
    return float(np.abs(said - right).sum() / len(confidence)) if len(confidence) else np.nan


def fit_temperature(probability: FloatArray, truth: NDArray[Any]) -> float:
    """The T that makes p ** (1 / T) / sum likeliest for the truth, between 0.2 and 10.

    Args:
        probability: (N, C) of each class.
        truth: (N,) the right class of each row.

    Raises:
        InputError: no row.
    """
    if not len(truth):
        raise InputError("wanted labelled points to fit a temperature to, got none")
    log = np.log(np.maximum(probability, 1e-7).astype(np.float64))
    own = log[np.arange(len(truth)), truth]

    def surprise(log_temperature: float) -> float:
        power = np.exp(-log_temperature)
        scaled = power * log
        most = scaled.max(axis=1)
        total = most + np.log(np.exp(scaled - most[:, None]).sum(axis=1))
        return float((total - power * own).mean())

    bounds = (np.log(0.2), np.log(10.0))
    found = minimize_scalar(surprise, bounds=bounds, method="bounded")
    return float(np.exp(found.x))


def risk_coverage(confidence: FloatArray, is_right: BoolArray, coverage: Scores) -> Scores:
    """Share wrong among the surest points, for each share of the points that is kept.

    El-Yaniv and Wiener, "On the foundations of noise-free selective classification", JMLR 2010.

    Args:
        confidence: (N,).
        is_right: (N,) bool.
        coverage: (K,) shares in (0, 1].
    """
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~is_right[order])
    kept = np.clip(np.ceil(coverage * len(order)).astype(np.int64), 1, max(len(order), 1))
    risk: Scores = wrong[kept - 1] / kept
    return risk


def auroc(score: FloatArray, is_positive: BoolArray) -> float:
    """Probability that a positive scores higher than a negative, ties half. (N,), (N,) -> [0, 1].

    nan where there are not both.
    """
    positives = int(is_positive.sum())
    negatives = len(score) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(score)[is_positive].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))
